package inbound

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"checkauth/verify/dns"
	"checkauth/verify/result"
)

// maxHosts of the mail servers are asked for an address, maxMX are listed.
const maxHosts, maxMX = 2, 20

// receives tells whether mail for the domain has a place to go: RFC 5321, 5.1.
func (s *state) receives(ctx context.Context, domain string) {
	a, err := s.ask(ctx, domain, dns.MX)
	if err != nil {
		s.temperror(err)
		return
	}
	s.secure = a.AD
	hosts, null := servers(a.Records)
	switch {
	case null && len(hosts) == 0:
		s.nullMX(domain, a)
	case len(hosts) > 0:
		if null {
			s.found(result.Found(result.Info, "inbound-null-mx-beside", "domain", result.Domain(domain)), a.Evidence())
		}
		s.first = hosts[0].Host
		for _, h := range hosts[:min(len(hosts), maxMX)] {
			s.res.MX = append(s.res.MX, MX{Host: shown(h.Host), Pref: h.Pref})
		}
		s.resolve(ctx, domain, hosts)
	case a.NX:
		s.noMX(domain, a)
	default:
		s.implicit(ctx, domain, a)
	}
}

// servers sorts the records: the servers by preference, and whether there is a null MX (RFC 7505, 3).
func servers(records []dns.Record) (hosts []MX, null bool) {
	for _, r := range records {
		if r.Target == "" {
			null = true
			continue
		}
		hosts = append(hosts, MX{Host: r.Target, Pref: r.Pref})
	}
	slices.SortFunc(hosts, func(a, b MX) int {
		return cmp.Or(cmp.Compare(a.Pref, b.Pref), strings.Compare(a.Host, b.Host))
	})
	return hosts, null
}

// nullMX: RFC 7505, 4.2: a domain that mail comes from should not say that it takes none: receivers may
// refuse its mail for it.
func (s *state) nullMX(domain string, a dns.Answer) {
	s.res.NullMX = true
	s.conclude(result.Fail, result.Because("inbound-has-null-mx"))
	s.found(result.Found(result.Warning, "inbound-null-mx", "domain", result.Domain(domain)), a.Evidence())
}

func (s *state) noMX(domain string, a dns.Answer) {
	s.conclude(result.Fail, result.Because("inbound-has-no-mx"))
	s.found(result.Found(result.Warning, "inbound-no-mx", "domain", result.Domain(domain)), a.Evidence())
}

// implicit: RFC 5321, 5.1: without MX the domain's own address takes the mail.
func (s *state) implicit(ctx context.Context, domain string, mx dns.Answer) {
	has, validated, err := s.address(ctx, domain)
	s.secure = s.secure && validated
	switch {
	case err != nil:
		s.temperror(err)
	case has:
		s.res.Implicit, s.first = true, domain
		s.conclude(result.Pass, result.Because("inbound-has-address"))
	default:
		s.noMX(domain, mx)
	}
}

// resolve: RFC 5321, 5.1: a server without an address takes nothing. Whether one of the first ones has one
// is all that is looked at.
func (s *state) resolve(ctx context.Context, domain string, hosts []MX) {
	var failed *dns.Error
	for i, h := range hosts[:min(len(hosts), maxHosts)] {
		has, validated, err := s.address(ctx, h.Host)
		if i == 0 {
			s.secure = s.secure && validated
		}
		switch {
		case err != nil:
			failed = cmp.Or(failed, err)
		case has:
			s.conclude(result.Pass, result.Because("inbound-has-mx", "host", result.Domain(shown(h.Host))))
		default:
			s.res.Hosts = append(s.res.Hosts, shown(h.Host))
		}
		if has {
			break
		}
	}
	s.unresolvable(domain)
	switch {
	case s.res.Word != "":
	case failed != nil:
		s.temperror(failed)
	case len(hosts) > maxHosts:
		s.conclude(result.Pass, result.Because("inbound-has-more-mx"))
	default:
		s.conclude(result.Fail, result.Because("inbound-has-dead-mx"))
	}
}

func (s *state) unresolvable(domain string) {
	if len(s.res.Hosts) > 0 {
		s.found(result.Found(result.Warning, "inbound-mx-unresolvable", "domain", result.Domain(domain), "hosts", result.Join(result.Domains(s.res.Hosts), ", ")))
	}
}

// address tells whether a name has one, and whether the resolver validated it.
func (s *state) address(ctx context.Context, name string) (has, validated bool, err *dns.Error) {
	for _, t := range []dns.Type{dns.A, dns.AAAA} {
		a, err := s.ask(ctx, name, t)
		if err != nil {
			return false, false, err
		}
		if len(a.Records) > 0 {
			return true, a.AD, nil
		}
		if a.NX {
			break // of all types: RFC 8020, 2
		}
	}
	return false, false, nil
}
