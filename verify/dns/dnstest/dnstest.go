// Package dnstest serves a zone text as a resolver would: a real server on loopback, UDP and TCP on
// one port, with faults as lines of the text. Tests and the product's own demonstration ask it.
//
// The text is a standard zone file (RFC 1035, 5; origin ".", $TTL 300) with these lines, which are
// comments to other programs:
//
//	;FAULT KIND name type       what happens to that question; *.name is the name and all below, ANY all types
//	;AUTH server rr             that authoritative server has this set in place of the text's
//	;AUTHGONE server name type  it has none
//	;AUTHREFER server zone      it refers to that zone's servers for the names at and below it, with their addresses
//	;AUTHFAULT server KIND      the whole server
//
// KIND is SERVFAIL, REFUSED, NXDOMAIN, NODATA, TIMEOUT, or
//   - LAME and BOGUS: SERVFAIL with extended error 22 and 6; BOGUS answers where CD is set. EDE=n: any.
//     BOGUS-MUTE is BOGUS without the extended error.
//   - RCODE=n: any code to 15. FORMERR-EDNS, NOTIMP-EDNS, BADVERS-EDNS: where the query has EDNS.
//   - TRUNCATE: TC over UDP, whole over TCP. TIMEOUT-TCP: silence over TCP.
//   - DELAY=50ms. DROP=n: the first n queries stay without answer.
//   - WRONGID, WRONGNAME, NOTRESPONSE, GARBAGE: such a datagram comes before the right one, with forged
//     data in it. ALLGARBAGE: nothing else comes.
//   - FOREIGN: a record of another owner stands before the right ones.
//   - NOCHASE: the answer ends at the first CNAME.
//   - ADVICE=n: the right answer with that extended error beside it.
//   - NOAA: the answer is not authoritative.
//   - AD: the answer is said to be validated, where the query asks for that (RFC 6840, 5.7).
//
// Several faults of one question apply in order. Not served: DNAME, DNSSEC records' logic.
package dnstest

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"

	mdns "github.com/miekg/dns"
)

// Server is a running server; its methods may be called from any goroutine.
type Server struct {
	addr      netip.AddrPort
	world     atomic.Pointer[world]
	listeners []*mdns.Server
	running   sync.WaitGroup
	stop      sync.Once
	closed    chan struct{}

	mu      sync.Mutex
	queries []string
	err     error // of the listeners
}

// Start serves the zone text on a free port of 127.0.0.1.
func Start(zone string, opts ...Option) (*Server, error) {
	return StartOn("127.0.0.1:0", zone, opts...)
}

// StartOn serves the zone text on an address and port.
func StartOn(addr, zone string, opts ...Option) (*Server, error) {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, fmt.Errorf("address to serve DNS on: %w; want one such as 127.0.0.1:5353", err)
	}
	world, err := parse(zone)
	if err != nil {
		return nil, err
	}
	var others []netip.Addr
	if apply(opts).authoritative {
		others = world.addresses()
	}
	all, at, err := listenFree(at, others)
	if err != nil {
		return nil, err
	}
	s := &Server{addr: at, closed: make(chan struct{})}
	s.world.Store(world)
	for ip, sockets := range all {
		s.serve(ip, sockets)
	}
	return s, nil
}

// Addr is where the resolver is asked.
func (s *Server) Addr() netip.AddrPort { return s.addr }

// Close stops all listeners and waits for what they were answering.
func (s *Server) Close() error {
	s.stop.Do(func() {
		close(s.closed)
		for _, l := range s.listeners {
			if err := l.Shutdown(); err != nil {
				s.mu.Lock()
				s.err = fmt.Errorf("close DNS server %s: %w", s.addr, err)
				s.mu.Unlock()
			}
		}
		s.running.Wait()
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Replace serves another zone text from now on. Authoritative servers that listen go on listening; new
// ones are not started.
func (s *Server) Replace(zone string) error {
	world, err := parse(zone)
	if err != nil {
		return err
	}
	s.world.Store(world)
	return nil
}

// Queries lists the questions that came in, in order, as "example.org TXT": each try counts. Those of
// an authoritative server end in " @127.53.1.1".
func (s *Server) Queries() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.queries...)
}

func (s *Server) note(q mdns.Question, where string) {
	line := strings.TrimSuffix(canonical(q.Name), ".") + " " + mdns.Type(q.Qtype).String() + where
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queries = append(s.queries, line)
}
