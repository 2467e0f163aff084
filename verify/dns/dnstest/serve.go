package dnstest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	mdns "github.com/miekg/dns"
)

// sockets are the listeners of one address, UDP and TCP on one port.
type sockets struct {
	udp net.PacketConn
	tcp net.Listener
}

func (s sockets) close() { _ = s.udp.Close(); _ = s.tcp.Close() }

// listen opens both sockets at an address. Port 0 gives a free one, which the kernel chooses for UDP
// and which TCP must then be able to have.
func listen(at netip.AddrPort) (sockets, netip.AddrPort, error) {
	udp, err := net.ListenPacket("udp", at.String())
	if err != nil {
		return sockets{}, at, err
	}
	at = netip.AddrPortFrom(at.Addr(), udp.LocalAddr().(*net.UDPAddr).AddrPort().Port())
	tcp, err := net.Listen("tcp", at.String())
	if err != nil {
		_ = udp.Close()
		return sockets{}, at, err
	}
	return sockets{udp, tcp}, at, nil
}

// listenAll opens the resolver's address and those of the authoritative servers on the same port.
func listenAll(at netip.AddrPort, others []netip.Addr) (map[netip.Addr]sockets, netip.AddrPort, error) {
	first, got, err := listen(at)
	if err != nil {
		return nil, at, err
	}
	all := map[netip.Addr]sockets{got.Addr(): first}
	for _, ip := range others {
		if _, ok := all[ip]; ok {
			continue
		}
		s, _, err := listen(netip.AddrPortFrom(ip, got.Port()))
		if err != nil {
			for _, s := range all {
				s.close()
			}
			return nil, at, err
		}
		all[ip] = s
	}
	return all, got, nil
}

// listenTries is how many free ports are tried before one must be free at all addresses.
const listenTries = 20

func listenFree(at netip.AddrPort, others []netip.Addr) (all map[netip.Addr]sockets, got netip.AddrPort, err error) {
	for range listenTries {
		all, got, err = listenAll(at, others)
		if err == nil || at.Port() != 0 {
			break
		}
	}
	if err != nil {
		err = fmt.Errorf("no port of UDP and TCP at %s: %w", at.Addr(), err)
	}
	return all, got, err
}

// serve answers at the sockets until the server is closed. It returns when both are served.
func (s *Server) serve(ip netip.Addr, at sockets) {
	handler := mdns.HandlerFunc(func(w mdns.ResponseWriter, m *mdns.Msg) { s.answer(ip, w, m) })
	var started sync.WaitGroup
	for _, listener := range []*mdns.Server{
		{PacketConn: at.udp, UDPSize: mdns.MaxMsgSize},
		{Listener: at.tcp},
	} {
		started.Add(1)
		listener.Handler = handler
		listener.NotifyStartedFunc = started.Done
		s.listeners = append(s.listeners, listener)
		s.running.Go(func() {
			if err := listener.ActivateAndServe(); err != nil {
				s.mu.Lock()
				s.err = errors.Join(s.err, err)
				s.mu.Unlock()
			}
		})
	}
	started.Wait()
}

// answer handles one question that came in at ip.
func (s *Server) answer(ip netip.Addr, w mdns.ResponseWriter, request *mdns.Msg) {
	if len(request.Question) != 1 {
		return
	}
	x := &exchange{request: request, reply: new(mdns.Msg).SetReply(request)}
	_, x.udp = w.RemoteAddr().(*net.UDPAddr)
	world := s.world.Load()
	q := request.Question[0]
	if ip == s.addr.Addr() {
		s.note(q, "")
		x.reply.RecursionAvailable = true
		world.zone.fill(x.reply)
		world.spoil(x, canonical(q.Name), q.Qtype)
	} else {
		s.note(q, " @"+ip.String())
		x.reply.Authoritative = true
		world.servers[ip].answer(x)
	}
	if x.delay > 0 && !s.wait(x.delay) {
		return
	}
	x.send(w)
}

// answer is the authoritative server's: its own zone, and its fault.
func (a *authority) answer(x *exchange) {
	if a == nil { // its zone was replaced by one without it
		x.fail(mdns.RcodeRefused)
		return
	}
	a.fill(x.reply)
	if a.fault != nil {
		a.fault.apply(x)
	}
}

// fill answers from the zone, or refers to the servers of one below: RFC 1034, 4.3.2, step 3 b.
func (a *authority) fill(m *mdns.Msg) {
	name := canonical(m.Question[0].Name)
	for _, cut := range a.cuts {
		if !mdns.IsSubDomain(cut, name) {
			continue
		}
		m.Authoritative = false
		m.Ns = a.zone.sets[key{cut, mdns.TypeNS}]
		for _, rr := range m.Ns {
			server := canonical(rr.(*mdns.NS).Ns)
			m.Extra = append(m.Extra, a.zone.sets[key{server, mdns.TypeA}]...)
			m.Extra = append(m.Extra, a.zone.sets[key{server, mdns.TypeAAAA}]...)
		}
		return
	}
	a.zone.fill(m)
}

// spoil applies every fault of the question, in the order of the zone text.
func (w *world) spoil(x *exchange, name string, kind uint16) {
	for _, f := range w.faults {
		if f.matches(name, kind) {
			f.apply(x)
		}
	}
}

// wait is false where the server was closed first.
func (s *Server) wait(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.closed:
		return false
	}
}

// send writes what goes out. Write errors are the asker's: it went away.
func (x *exchange) send(w mdns.ResponseWriter) {
	if x.udp {
		for _, b := range x.before {
			_, _ = w.Write(b)
		}
	}
	if x.silent {
		return
	}
	size := mdns.MaxMsgSize
	if x.udp {
		size = mdns.MinMsgSize
	}
	if opt := x.request.IsEdns0(); opt != nil {
		if x.udp {
			// RFC 6891, 6.2.3: less than 512 is taken for 512.
			size = max(size, int(opt.UDPSize()))
		}
		if !x.plain {
			x.reply.SetEdns0(1232, false)
			if x.extra != nil {
				out := x.reply.IsEdns0()
				out.Option = append(out.Option, x.extra)
			}
		}
	}
	x.reply.Compress = true
	x.reply.Truncate(size)
	if err := w.WriteMsg(x.reply); err != nil {
		// More than a message can hold (RFC 1035, 4.2.2).
		x.fail(mdns.RcodeServerFailure)
		_ = w.WriteMsg(x.reply)
	}
}
