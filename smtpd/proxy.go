package smtpd

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/pires/go-proxyproto"
)

// Proxy makes a listener for load balancers that speak the PROXY protocol, version 1 or 2: a connection
// from trusted must bring the header within the timeout, one from elsewhere is closed.
func Proxy(l net.Listener, trusted []netip.Prefix, timeout time.Duration) net.Listener {
	return &proxyproto.Listener{
		Listener:          observedListener{l},
		ReadHeaderTimeout: timeout,
		ConnPolicy: func(o proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) {
			from := addrPort(o.Upstream).Addr()
			if slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(from) }) {
				return proxyproto.REQUIRE, nil
			}
			return proxyproto.REJECT, fmt.Errorf("%w: %s", proxyproto.ErrInvalidUpstream, from)
		},
	}
}

var (
	errNoProxyHeader = errors.New("no PROXY header came")
	errProbe         = errors.New("the connection ended without an octet")
)

// observedListener makes connections that know whether anything came over them: a balancer that only looks whether the
// port is open is no fault to tell of.
type observedListener struct{ net.Listener }

// Accept implements net.Listener.
func (l observedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if t, ok := c.(*net.TCPConn); ok && err == nil {
		return &observedConn{TCPConn: t}, nil
	}
	return c, err
}

type observedConn struct {
	*net.TCPConn
	received bool // read by one goroutine, which is the one that asks
}

// Read implements net.Conn.
func (c *observedConn) Read(b []byte) (int, error) {
	n, err := c.TCPConn.Read(b)
	c.received = c.received || n > 0
	return n, err
}

// origin is what a client's address says about who is in front of us.
type origin int

const (
	told     origin = iota // the sender's own address, as far as anybody can tell
	balancer               // a balancer speaks for itself (PROXY LOCAL): it only looks whether we are there
	untold                 // a balancer does not know its client, or looks whether we are there (PROXY UNKNOWN)
	hidden                 // a private address: we stand behind NAT, or a proxy that does not tell
	loopback               // this machine itself: a proxy or a mail server on it, or one of its programs
)

// proxied looks at the PROXY header, where the connection has to have one.
func proxied(c net.Conn) (origin, error) {
	p, ok := c.(interface {
		ProxyHeader() *proxyproto.Header
		Raw() net.Conn
	})
	if !ok {
		return told, nil
	}
	h := p.ProxyHeader()
	if h == nil {
		if raw, ok := p.Raw().(*observedConn); ok && !raw.received {
			return told, errProbe
		}
		return told, errNoProxyHeader
	}
	_, _, isTCP := h.TCPAddrs()
	switch {
	case h.Version == 2 && h.Command.IsLocal():
		return balancer, nil
	case h.Command.IsLocal() || !isTCP: // version 1 has one word for both
		return untold, nil
	}
	return told, nil
}

// addrPort is the address, a mapped one unmapped, without the name of an interface.
func addrPort(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	p := t.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap().WithZone(""), p.Port())
}

// unread is the address of a client whose PROXY header was not read, and is not waited for; invalid where there is to be one.
func unread(c net.Conn) netip.Addr {
	if _, ok := c.(interface{ Raw() net.Conn }); ok {
		return netip.Addr{}
	}
	return addrPort(c.RemoteAddr()).Addr()
}

var shared = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598: carrier-grade NAT

// origin of a client that came to our address local.
func (c Config) origin(client, local netip.Addr) origin {
	trusted := slices.ContainsFunc(c.Trusted, func(p netip.Prefix) bool { return p.Contains(client) })
	switch {
	case trusted:
		return told
	case client.IsLoopback() && !c.Loopback:
		return loopback
	case local.IsLoopback():
		return told // a try on this machine
	case client.IsPrivate(), client.IsLinkLocalUnicast(), shared.Contains(client):
		return hidden
	}
	return told
}

// unseen are the warnings for the operator, by what the address says: the sender's mail is put off for a fault
// of ours. A balancer's own connection has no sender.
var unseen = map[origin]string{
	untold: "mail was put off: the load balancer's PROXY header names no client (UNKNOWN), so its sender's address is not known",
	hidden: "mail was put off: the client's address is private, so we stand behind NAT or a proxy that does not tell its client's address; " +
		"let the proxy send the PROXY protocol (proxy.listen, proxy.trusted), give check-auth an address of its own, or name networks to be trusted in smtp.trusted-private",
	loopback: "mail was put off: the client is this machine itself, so a proxy or a mail server on it hands on what others send; " +
		"let the proxy send the PROXY protocol (proxy.listen, proxy.trusted), or give check-auth an address of its own; " +
		"to test from this machine set smtp.loopback-clients to evaluate",
}

// cannotSee is the answer where mail came from an address that is not its sender's. The operator is told at most
// once an hour of each kind.
func (s *session) cannotSee() *smtp.SMTPError {
	if text := unseen[s.origin]; text != "" && s.server.hourly.passes(s.origin, s.server.cfg.Now()) {
		s.log.Warn(text)
	}
	return refusal(451, 4, 3, 5, "Your address does not reach us, try again later")
}

// hourly lets each kind of warning pass once an hour.
type onceAnHour struct {
	mu   sync.Mutex
	last map[origin]time.Time
}

func (h *onceAnHour) passes(o origin, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	// A clock that was set back must not silence a warning for longer than its hour.
	if last, ok := h.last[o]; ok && now.Sub(last) < time.Hour && !last.After(now) {
		return false
	}
	if h.last == nil {
		h.last = map[origin]time.Time{}
	}
	h.last[o] = now
	return true
}
