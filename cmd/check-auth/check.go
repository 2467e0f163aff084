package main

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"checkauth/reply/compose"
)

// check tells every value that cannot be used, all at once. It looks at the values alone, not at files: a
// configuration may be printed on another machine.
func (s *settings) check() error {
	if err := s.bounds(); err != nil {
		return err
	}
	s.tidy()
	var errs []error
	bad := func(key, format string, args ...any) { errs = append(errs, s.fault(key, format, args...)) }
	s.checkNames(bad)
	all := s.endpoints(bad)
	s.checkListen(all, bad)
	s.checkPublic(all, bad)
	if s.TLS.Certificate == "" && s.TLS.Key != "" {
		bad("tls.key", "certificate and key go together: give both or none")
	}
	if s.TLS.Certificate != "" && s.TLS.Key == "" {
		bad("tls.certificate", "certificate and key go together: give both or none")
	}
	for _, r := range s.Resolver.Servers {
		if _, err := addrPort(r, 53); err != nil {
			bad("resolver.servers", "%q: %w", r, err)
		}
	}
	s.checkDelivery(all, bad)
	for _, p := range s.Reply.Parts {
		if err := compose.CheckPart(p); err != nil {
			bad("reply.parts", "%w", err)
		}
	}
	s.policy(bad)
	if l := s.SMTP.Loopback; l != "" && l != loopbackRefuse && l != loopbackEvaluate {
		bad("smtp.loopback-clients", "%q: want %s or %s", l, loopbackRefuse, loopbackEvaluate)
	}
	if _, err := s.lists(); err != nil {
		bad("evaluate.blocklists", "%w", err)
	}
	if a := s.Evaluate.Spamd; a != "" && !strings.Contains(a, "/") {
		if _, _, err := net.SplitHostPort(a); err != nil {
			bad("evaluate.spamd", "%q: want HOST:PORT, such as \"127.0.0.1:783\", or the path of a socket", a)
		}
	}
	if _, ok := levels[s.Log.Level]; !ok {
		bad("log.level", "%q: want debug, info, warn or error", s.Log.Level)
	}
	return badConfig(errs)
}

func (s *settings) checkDelivery(all []endpoint, bad func(key, format string, args ...any)) {
	if r := s.Deliver.Relay; r != "" {
		host, port, err := net.SplitHostPort(r)
		number, wrong := strconv.ParseUint(port, 10, 16)
		switch {
		case err != nil || wrong != nil || host == "" || number == 0:
			bad("deliver.relay", "%q: want HOST:PORT, such as \"smtp.example.org:25\"", r)
		case s.ourselves(host, uint16(number), all):
			bad("deliver.relay", "%q is where this service takes mail itself: replies would come back here: name another server or port", r)
		}
	}
	s.checkFrom(bad)
	if _, err := s.Deliver.sources(); err != nil {
		bad("deliver.source", "%w", err)
	}
	if s.Deliver.Port > 65535 {
		bad("deliver.port", "%d: want 1 to 65535", s.Deliver.Port)
	}
}

// ourselves tells whether a host and port are among what we listen on, as far as that is known without the DNS.
func (s *settings) ourselves(host string, port uint16, all []endpoint) bool {
	at, err := netip.ParseAddr(host)
	switch {
	case err == nil:
	case host == "localhost":
		at = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	default:
		return strings.EqualFold(strings.TrimSuffix(host, "."), s.Hostname) && slices.ContainsFunc(all, func(a endpoint) bool { return a.at.Port() == port })
	}
	at = at.Unmap()
	here := at.IsLoopback() || s.ours().has(at)
	return slices.ContainsFunc(all, func(a endpoint) bool {
		family := a.network == "tcp" || a.at.Addr().Is4() == at.Is4()
		return a.at.Port() == port && (a.at.Addr() == at || here && family && a.at.Addr().IsUnspecified())
	})
}
