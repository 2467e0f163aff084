package conformance

import (
	"context"
	"net/netip"
	"strings"

	"checkauth/verify/dns"
)

// zone is DNS data of a suite. It is written once and then read by many.
type zone struct {
	records map[string][]dns.Record
	silent  map[dns.Question]bool // time out
	all     map[string][]dns.Type // of a name whose every question times out but those of these types
	broken  func(name string) bool
}

func newZone() *zone {
	return &zone{records: map[string][]dns.Record{}, silent: map[dns.Question]bool{}, all: map[string][]dns.Type{}}
}

func (z *zone) add(name string, r dns.Record) {
	r.Name = dns.Canonical(name)
	r.TTL = 300
	z.records[r.Name] = append(z.records[r.Name], r)
}

func (z *zone) address(name, ip string) error {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return err
	}
	kind := dns.AAAA
	if addr.Is4() {
		kind = dns.A
	}
	z.add(name, dns.Record{Type: kind, Addr: addr})
	return nil
}

// Resolve follows CNAMEs as a resolver does; a loop is an error.
func (z *zone) Resolve(_ context.Context, q dns.Question) (dns.Answer, error) {
	a := dns.Answer{Question: q, Server: "suite"}
	seen := map[string]bool{}
	for name := q.Name; ; {
		if seen[name] {
			return dns.Answer{}, &dns.Error{Question: q, Kind: dns.Chain}
		}
		seen[name] = true
		if z.timesOut(dns.Question{Name: name, Type: q.Type}) {
			return dns.Answer{}, &dns.Error{Question: q, Kind: dns.Timeout}
		}
		var alias *dns.Record
		for _, r := range z.records[name] {
			if r.Type == q.Type {
				a.Records = append(a.Records, r)
			} else if r.Type == dns.CNAME {
				alias = &r
			}
		}
		if len(a.Records) > 0 || alias == nil {
			_, exists := z.records[name]
			a.NX = !exists
			return a, nil
		}
		a.Chain = append(a.Chain, *alias)
		name = alias.Target
	}
}

func (z *zone) timesOut(q dns.Question) bool {
	if z.silent[q] || z.broken != nil && z.broken(q.Name) {
		return true
	}
	but, ok := z.all[q.Name]
	if !ok {
		return false
	}
	for _, t := range but {
		if t == q.Type {
			return false
		}
	}
	return true
}

func beginsWith(prefix string) func(string) bool {
	return func(name string) bool { return strings.HasPrefix(name, prefix) }
}
