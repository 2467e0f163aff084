package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// question is one that came in.
type question struct {
	name string // lower case, with the last dot
	kind uint16
	at   netip.Addr // the address that was asked: the resolver's, or that of a name server
}

// answer is what a part of the tree says.
type answer struct {
	records []string // in the form of a zone file; none: there is nothing
	rcode   int
	delay   time.Duration
	silent  bool
	zones   bool // the records of the zones answer, after the delay
}

// names is the DNS: the resolver of the service, and every name server of the Internet, at port 53 of all its addresses.
type names struct {
	mu      sync.RWMutex
	sets    map[string]map[uint16][]dns.RR
	exist   map[string]bool // also where only something below is
	parts   map[string]func(question) answer
	watches []func(question)

	closers []func() error
}

func openNames() (*names, error) {
	n := &names{}
	n.clear()
	for network, where := range map[string]string{"4": "0.0.0.0:53", "6": "[::]:53"} {
		u, err := net.ListenPacket("udp"+network, where)
		if err != nil {
			return nil, fmt.Errorf("DNS: %w", err)
		}
		t, err := net.Listen("tcp"+network, where)
		if err != nil {
			return nil, fmt.Errorf("DNS: %w", err)
		}
		n.closers = append(n.closers, u.Close, t.Close)
		if network == "4" {
			err = n.serve4(ipv4.NewPacketConn(u))
		} else {
			err = n.serve6(ipv6.NewPacketConn(u))
		}
		if err != nil {
			return nil, fmt.Errorf("DNS: %w", err)
		}
		s := &dns.Server{Listener: t, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
			if out := n.reply(m, w.LocalAddr().(*net.TCPAddr).AddrPort().Addr().Unmap(), false); out != nil {
				_ = w.WriteMsg(out) // who asked may be gone
			}
		})}
		go func() { _ = s.ActivateAndServe() }() // it ends with its listener
	}
	return n, nil
}

// serve4 answers over UDP from the address that was asked.
func (n *names) serve4(c *ipv4.PacketConn) error {
	if err := c.SetControlMessage(ipv4.FlagDst, true); err != nil {
		return err
	}
	go func() {
		for {
			b := make([]byte, 4096)
			l, cm, from, err := c.ReadFrom(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil && cm != nil {
				go n.datagram(b[:l], cm.Dst, func(out []byte) { _, _ = c.WriteTo(out, &ipv4.ControlMessage{Src: cm.Dst}, from) })
			}
		}
	}()
	return nil
}

func (n *names) serve6(c *ipv6.PacketConn) error {
	if err := c.SetControlMessage(ipv6.FlagDst, true); err != nil {
		return err
	}
	go func() {
		for {
			b := make([]byte, 4096)
			l, cm, from, err := c.ReadFrom(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil && cm != nil {
				go n.datagram(b[:l], cm.Dst, func(out []byte) { _, _ = c.WriteTo(out, &ipv6.ControlMessage{Src: cm.Dst}, from) })
			}
		}
	}()
	return nil
}

func (n *names) datagram(in []byte, at net.IP, write func([]byte)) {
	m := new(dns.Msg)
	asked, ok := netip.AddrFromSlice(at)
	if !ok || m.Unpack(in) != nil || len(m.Question) != 1 {
		return
	}
	if out := n.reply(m, asked.Unmap(), true); out != nil {
		if b, err := out.Pack(); err == nil {
			write(b)
		}
	}
}

func (n *names) close() {
	for _, c := range n.closers {
		_ = c()
	}
}

// clear forgets all zones, and who watches.
func (n *names) clear() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sets, n.exist, n.parts, n.watches = map[string]map[uint16][]dns.RR{}, map[string]bool{}, map[string]func(question) answer{}, nil
}

// zone adds records in the form of a zone file.
func (n *names) zone(format string, args ...any) {
	p := dns.NewZoneParser(strings.NewReader(fmt.Sprintf(format, args...)+"\n"), ".", "")
	p.SetDefaultTTL(300)
	n.mu.Lock()
	defer n.mu.Unlock()
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		h := rr.Header()
		h.Name = strings.ToLower(h.Name)
		if n.sets[h.Name] == nil {
			n.sets[h.Name] = map[uint16][]dns.RR{}
		}
		n.sets[h.Name][h.Rrtype] = append(n.sets[h.Name][h.Rrtype], rr)
		for up := h.Name; up != ""; _, up, _ = strings.Cut(up, ".") {
			n.exist[up] = true
		}
	}
	if err := p.Err(); err != nil {
		panic(err) // a fault of this program
	}
}

// part has a function answer for a domain and all below; "." is all that no other part has.
func (n *names) part(domain string, f func(question) answer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.parts[domain] = f
}

// watch tells of each question; the function is called from many goroutines.
func (n *names) watch(f func(question)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.watches = append(n.watches, f)
}

// below tells whether a name is a domain or below it; both have the last dot.
func below(name, domain string) bool {
	return name == domain || strings.HasSuffix(name, "."+domain)
}

// reply answers a question; nil is silence.
func (n *names) reply(m *dns.Msg, at netip.Addr, udp bool) *dns.Msg {
	q := question{strings.ToLower(m.Question[0].Name), m.Question[0].Qtype, at}
	n.mu.RLock()
	watches := n.watches
	part := n.parts["."]
	for up := q.name; up != ""; _, up, _ = strings.Cut(up, ".") {
		if p := n.parts[up]; p != nil {
			part = p
			break
		}
	}
	n.mu.RUnlock()
	for _, w := range watches {
		w(q)
	}
	a := answer{zones: true}
	if part != nil {
		a = part(q)
	}
	if a.delay > 0 {
		time.Sleep(a.delay)
	}
	if a.silent {
		return nil
	}
	out := new(dns.Msg).SetReply(m)
	out.RecursionAvailable, out.Authoritative = at.String() == resolver, at.String() != resolver
	switch out.Rcode = a.rcode; {
	case a.rcode != 0:
	case a.zones:
		n.fill(out, q)
	default:
		fillText(out, q, a.records)
	}
	opt := m.IsEdns0()
	if opt != nil {
		out.SetEdns0(1232, false)
	}
	if udp {
		size := dns.MinMsgSize
		if opt != nil {
			size = max(size, int(opt.UDPSize()))
		}
		out.Truncate(size)
	}
	return out
}

// organisation is the last two labels of a name, the apex of its zone.
func organisation(name string) string {
	labels := strings.Split(strings.TrimSuffix(name, "."), ".")
	return strings.Join(labels[max(len(labels)-2, 0):], ".") + "."
}

func soa(name string) dns.RR {
	apex := organisation(name)
	return record("%s 60 SOA ns.%s hostmaster.%s 1 3600 900 1209600 60", apex, apex, apex)
}

func record(format string, args ...any) dns.RR {
	rr, err := dns.NewRR(fmt.Sprintf(format, args...))
	if err != nil {
		panic(err) // a fault of this program
	}
	return rr
}

// fillText answers with those records that are of the type, under the name that was asked for.
func fillText(out *dns.Msg, q question, records []string) {
	for _, r := range records {
		if rr := record("%s", r); rr.Header().Rrtype == q.kind || rr.Header().Rrtype == dns.TypeCNAME {
			rr.Header().Name = q.name
			out.Answer = append(out.Answer, rr)
		}
	}
	if len(out.Answer) == 0 {
		out.Ns = []dns.RR{soa(q.name)}
	}
}

// fill answers from the zones, through CNAMEs.
func (n *names) fill(out *dns.Msg, q question) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	name := q.name
	for range 8 {
		set, there := n.find(name)
		if !there {
			out.Rcode = dns.RcodeNameError
			break
		}
		for _, rr := range set[q.kind] {
			out.Answer = append(out.Answer, named(rr, name))
		}
		c := set[dns.TypeCNAME]
		if len(set[q.kind]) > 0 || len(c) == 0 {
			break
		}
		out.Answer = append(out.Answer, named(c[0], name))
		name = strings.ToLower(c[0].(*dns.CNAME).Target)
	}
	if len(out.Answer) == 0 || out.Rcode != 0 {
		out.Ns = []dns.RR{soa(name)}
	}
}

func named(rr dns.RR, name string) dns.RR {
	out := dns.Copy(rr)
	out.Header().Name = name
	return out
}

// find is the set at a name, by wildcards too; every apex that has anything has a name server. mu is held.
func (n *names) find(name string) (map[uint16][]dns.RR, bool) {
	if name == "." {
		return map[uint16][]dns.RR{dns.TypeNS: {record(". 3600 NS ns.root.example.")}}, true
	}
	apex := organisation(name)
	switch {
	case name == apex && n.exist[name]:
		set := map[uint16][]dns.RR{dns.TypeNS: {record("%s NS ns.%s", name, name)}, dns.TypeSOA: {soa(name)}}
		for k, v := range n.sets[name] {
			set[k] = v
		}
		return set, true
	case n.exist[name]:
		return n.sets[name], true
	case name == "ns."+apex:
		return map[uint16][]dns.RR{dns.TypeA: {record("%s A 45.53.0.1", name)}}, true
	}
	for _, up, _ := strings.Cut(name, "."); up != ""; _, up, _ = strings.Cut(up, ".") {
		if set := n.sets["*."+up]; set != nil {
			return set, true
		}
		if n.exist[up] {
			break
		}
	}
	return nil, false
}
