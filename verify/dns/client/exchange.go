package client

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	mdns "github.com/miekg/dns"

	"checkauth/verify/dns"
)

// udpSize is how large an answer over UDP may be. It passes every path in one piece (RFC 9715, 3).
const udpSize = 1232

// maxStray is how many datagrams that are no answer are skipped: a flood of them is somebody guessing.
const maxStray = 100

// errStray marks what came in and was not the answer.
var errStray = errors.New("what came in is no answer to the question")

// exchange sends the query over UDP, and over TCP where the answer is cut.
func (c *Client) exchange(ctx context.Context, server netip.AddrPort, query *mdns.Msg) (*mdns.Msg, error) {
	query.Id = randomID()
	packed, err := query.Pack()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errStray, err)
	}
	m, err := c.overUDP(ctx, server, query, packed)
	if err != nil || !m.Truncated {
		return m, err
	}
	// RFC 7766, 5: a cut answer is asked again over TCP, whatever of it came.
	return c.overTCP(ctx, server, query, packed)
}

func randomID() uint16 {
	var b [2]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand
	return binary.BigEndian.Uint16(b[:])
}

// overUDP waits for the answer and skips what is none: RFC 5452, 9.1. A datagram with another id, an
// unreadable one or one with another question must not end the wait for the right one.
func (c *Client) overUDP(ctx context.Context, server netip.AddrPort, query *mdns.Msg, packed []byte) (*mdns.Msg, error) {
	conn, err := c.socket(ctx, server)
	if err != nil {
		return nil, err
	}
	ended := c.limit(ctx, conn)
	m, err := await(conn, query, packed)
	if over := ended(); err == nil && !over && reusable(server) {
		c.sockets(server).Put(conn)
	} else {
		_ = conn.Close()
	}
	return m, err
}

// buffers take datagrams. What is unpacked from them shares nothing with them.
var buffers = sync.Pool{New: func() any { return new([4096]byte) }}

// await sends the query and reads until its answer comes.
func await(conn net.Conn, query *mdns.Msg, packed []byte) (*mdns.Msg, error) {
	if _, err := conn.Write(packed); err != nil {
		return nil, err
	}
	buffer := buffers.Get().(*[4096]byte)
	defer buffers.Put(buffer)
	var stray error
	for range maxStray {
		n, err := conn.Read(buffer[:])
		if err != nil {
			if stray != nil && timedOut(err) {
				err = stray
			}
			return nil, err
		}
		m, err := match(query, buffer[:n])
		if err == nil {
			return m, nil
		}
		stray = err
	}
	return nil, stray
}

// reusable tells whether a socket may serve another question. A fixed port leaves an id of 16 bits to
// guess (RFC 5452, 4), but nobody outside of this machine can answer in the name of a server on loopback,
// and making a socket costs more than the question.
func reusable(server netip.AddrPort) bool { return server.Addr().Unmap().IsLoopback() }

// sockets are those that wait for their next question to a server. What the pool drops is closed when it
// is collected.
func (c *Client) sockets(server netip.AddrPort) *sync.Pool {
	pool, ok := c.pools.Load(server)
	if !ok {
		pool, _ = c.pools.LoadOrStore(server, new(sync.Pool))
	}
	return pool.(*sync.Pool)
}

func (c *Client) socket(ctx context.Context, server netip.AddrPort) (net.Conn, error) {
	if reusable(server) {
		if conn, ok := c.sockets(server).Get().(net.Conn); ok {
			return conn, nil
		}
	}
	return c.dialUDP(ctx, server)
}

// portTries is how many random source ports are tried before the kernel chooses.
const portTries = 5

// dialUDP makes a socket with a random source port for one question. Out of 64,512, where the kernel
// would take one of 28,000: RFC 5452, 10 asks for the widest range that there is.
func (c *Client) dialUDP(ctx context.Context, server netip.AddrPort) (net.Conn, error) {
	dialer := net.Dialer{Timeout: c.config.Timeout}
	for range portTries {
		dialer.LocalAddr = &net.UDPAddr{Port: 1024 + int(randomID())%(1<<16-1024)}
		conn, err := dialer.DialContext(ctx, "udp", server.String())
		if !errors.Is(err, syscall.EADDRINUSE) {
			return conn, err
		}
	}
	dialer.LocalAddr = nil
	return dialer.DialContext(ctx, "udp", server.String())
}

func (c *Client) overTCP(ctx context.Context, server netip.AddrPort, query *mdns.Msg, packed []byte) (*mdns.Msg, error) {
	dialer := net.Dialer{Timeout: c.config.Timeout}
	conn, err := dialer.DialContext(ctx, "tcp", server.String())
	if err != nil {
		return nil, err
	}
	ended := c.limit(ctx, conn)
	defer func() {
		ended()
		_ = conn.Close()
	}()
	// RFC 7766, 8: length and message in one segment.
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...)); err != nil {
		return nil, err
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, body); err != nil {
		return nil, err
	}
	m, err := match(query, body)
	if err == nil && m.Truncated {
		return nil, fmt.Errorf("%w: cut, over TCP", errStray)
	}
	return m, err
}

// limit ends every read and write of the connection with the timeout and with the context, until ended is
// called; over: the context came first.
func (c *Client) limit(ctx context.Context, conn net.Conn) (ended func() (over bool)) {
	_ = conn.SetDeadline(time.Now().Add(c.config.Timeout))
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return func() bool { return !stop() }
}

// match reads a message and tells whether it answers the query: RFC 5452, 9.1 (the addresses and ports
// were checked by the kernel, as the socket is connected).
func match(query *mdns.Msg, packed []byte) (*mdns.Msg, error) {
	if len(packed) < 12 || binary.BigEndian.Uint16(packed) != query.Id {
		return nil, fmt.Errorf("%w: another id", errStray)
	}
	m := new(mdns.Msg)
	if err := m.Unpack(packed); err != nil && !(m.Truncated && len(m.Question) == 1) {
		return nil, fmt.Errorf("%w: %w", errStray, err)
	}
	if !m.Response || m.Opcode != mdns.OpcodeQuery {
		return nil, fmt.Errorf("%w: not a response", errStray)
	}
	if len(m.Question) == 0 && refusesEDNS(m) {
		return m, nil // who could not read the query may not repeat its question: RFC 9619, 4
	}
	if len(m.Question) != 1 || !same(m.Question[0], query.Question[0]) {
		return nil, fmt.Errorf("%w: another question", errStray)
	}
	return m, nil
}

// same: RFC 4343, 3: without regard to case.
func same(a, b mdns.Question) bool {
	return a.Qtype == b.Qtype && a.Qclass == b.Qclass && fromWire(a.Name) == fromWire(b.Name)
}

// failure sorts what the network said into kinds.
func failure(ctx context.Context, q dns.Question, server netip.AddrPort, err error) *dns.Error {
	e := &dns.Error{Question: q, Kind: dns.Unreachable, Server: server.String(), Err: err}
	switch {
	case ctx.Err() != nil:
		e.Kind, e.Err = dns.Canceled, context.Cause(ctx)
	case errors.Is(err, errStray):
		e.Kind = dns.Malformed
	case timedOut(err):
		e.Kind = dns.Timeout
	}
	return e
}

func timedOut(err error) bool {
	n, ok := errors.AsType[net.Error](err)
	return ok && n.Timeout()
}
