package deliver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"

	"checkauth/verify/dns"
	"checkauth/verify/naming"
)

// The bounds of one try: RFC 5321, 5.1 asks for two addresses at least.
const (
	maxHosts     = 5
	maxAddresses = 4 // of one host
)

// Why there is nowhere to go; the codes are those of RFC 3463 and RFC 7505.
var (
	ErrBadAddress = errors.New("5.1.3 not an address that mail can be sent to")
	ErrNoDomain   = errors.New("5.1.2 the domain does not exist")
	ErrNullMX     = errors.New("5.1.10 the domain takes no mail (null MX)")
	ErrNoAddress  = errors.New("5.4.4 the host has no address")
)

// host is one that takes mail for a domain.
type host struct {
	name string
	pref uint16 // of its MX record
	// secure: the answer that named it was validated (RFC 7672, 2.2.1).
	secure bool
	// domains are the next hop's: the recipient's as DNS asks for it, and what its alias leads to where that is
	// validated (RFC 7672, 3.2.2).
	domains []string
	addrs   []netip.Addr // of an address literal; else they are asked for when it is the host's turn
}

// route gives the hosts that take mail for an address, the first choice first.
func route(ctx context.Context, resolver dns.Resolver, to string) ([]host, error) {
	at := strings.LastIndexByte(to, '@')
	if at < 1 {
		return nil, permanent(fmt.Errorf("%w: no local part or no domain", ErrBadAddress))
	}
	domain := to[at+1:]
	if strings.HasPrefix(domain, "[") {
		return literal(domain)
	}
	name, err := wireName(domain)
	if err != nil {
		return nil, permanent(err)
	}
	found, err := resolver.Resolve(ctx, dns.Ask(name, dns.MX))
	switch {
	case err != nil:
		return nil, err
	case found.NX:
		return nil, permanent(fmt.Errorf("%w: %q", ErrNoDomain, name))
	case len(found.Records) == 0:
		// RFC 5321, 5.1: a domain without MX records is its own host.
		return []host{{name: name, secure: found.AD, domains: nextHop(name, found)}}, nil
	}
	hosts, err := exchangers(name, found.Records)
	for i := range hosts {
		hosts[i].secure, hosts[i].domains = found.AD, nextHop(name, found)
	}
	return hosts, err
}

func nextHop(name string, found dns.Answer) []string {
	if n := len(found.Chain); n > 0 && found.AD {
		return []string{name, found.Chain[n-1].Target}
	}
	return []string{name}
}

// literal is RFC 5321, 4.1.3: [192.0.2.1] or [IPv6:2001:db8::1].
func literal(domain string) ([]host, error) {
	inner, closed := strings.CutSuffix(domain[1:], "]")
	six := len(inner) > 5 && strings.EqualFold(inner[:5], "IPv6:")
	if six {
		inner = inner[5:]
	}
	a, err := netip.ParseAddr(inner)
	if err != nil || !closed || a.Zone() != "" || a.Is4() == six {
		return nil, permanent(fmt.Errorf("%w: address literal %q", ErrBadAddress, domain))
	}
	return []host{{name: domain, addrs: []netip.Addr{a}}}, nil
}

// wireName is the domain as DNS asks for it.
func wireName(domain string) (string, error) {
	name, ok := naming.ASCII(domain)
	if !ok || !dns.Askable(name) {
		return "", fmt.Errorf("%w: domain %q", ErrBadAddress, domain)
	}
	return name, nil
}

// exchangers sorts MX hosts: RFC 5321, 5.1: by preference, in random order where that is equal.
func exchangers(domain string, records []dns.Record) ([]host, error) {
	records = slices.Clone(records) // the resolver's are shared
	slices.SortStableFunc(records, func(a, b dns.Record) int { return cmp.Or(cmp.Compare(a.Pref, b.Pref), cmp.Compare(a.Target, b.Target)) })
	var hosts []host
	seen := map[string]bool{"": true} // RFC 7505, 3: the root is no host
	for _, r := range records {
		if !seen[r.Target] && len(hosts) < maxHosts {
			hosts = append(hosts, host{name: r.Target, pref: r.Pref})
		}
		seen[r.Target] = true
	}
	// Those beyond the bound are the same for everybody: whoever counts by destination has counted these.
	rand.Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] })
	slices.SortStableFunc(hosts, func(a, b host) int { return cmp.Compare(a.pref, b.pref) })
	if len(hosts) == 0 {
		return nil, permanent(fmt.Errorf("%w: %q", ErrNullMX, domain))
	}
	return hosts, nil
}

// addresses asks for a host's addresses. alias is where a CNAME led to: RFC 5321, 5.1 forbids it for
// MX hosts, everybody follows it.
func addresses(ctx context.Context, resolver dns.Resolver, h host) (addrs []netip.Addr, alias string, err error) {
	if len(h.addrs) > 0 {
		return h.addrs, "", nil
	}
	var four, six []netip.Addr
	for _, t := range []dns.Type{dns.A, dns.AAAA} {
		found, failed := resolver.Resolve(ctx, dns.Ask(h.name, t))
		if failed != nil {
			err = failed
			continue
		}
		for _, r := range found.Records {
			if r.Addr.Unmap().Is4() {
				four = append(four, r.Addr)
			} else {
				six = append(six, r.Addr)
			}
		}
		for _, c := range found.Chain {
			alias = c.Target
		}
	}
	// Each family has its half, which the other one may use where it is not needed: many of the one must not
	// hide those of the other, which may be the only ones that we can reach.
	four = four[:min(len(four), max(maxAddresses/2, maxAddresses-len(six)))]
	six = six[:min(len(six), maxAddresses-len(four))]
	switch addrs = slices.Concat(four, six); {
	case len(addrs) > 0:
		return addrs, alias, nil
	case err == nil:
		err = &failure{err: fmt.Errorf("%w: %q", ErrNoAddress, h.name), permanent: true}
	}
	return nil, "", err
}

// Place is a host that a mail would be brought to.
type Place struct {
	Host  string
	Addrs []netip.Addr
	// DANE: TLSA records say who the host is, which goes before MTA-STS (RFC 8461, 2). Impossible: no certificate can
	// match them.
	DANE, Impossible bool
}

// Destination gives all hosts that a mail to an address would be brought to, the most wanted first and in one
// order for everybody. The error is one of those above where it could not be brought anywhere; any other one
// says that not everything could be learnt.
func Destination(ctx context.Context, resolver dns.Resolver, to string) (out []Place, err error) {
	_, out, err = destination(ctx, resolver, to)
	return out, err
}

// destination gives the hosts, too, in the order of the slots.
func destination(ctx context.Context, resolver dns.Resolver, to string) (of []host, out []Place, err error) {
	hosts, err := route(ctx, resolver, to)
	if err != nil {
		return nil, nil, err
	}
	slices.SortStableFunc(hosts, func(a, b host) int { return cmp.Or(cmp.Compare(a.pref, b.pref), cmp.Compare(a.name, b.name)) })
	for _, h := range hosts {
		found, _, failed := addresses(ctx, resolver, h)
		if failed != nil && (err == nil || !errors.Is(failed, ErrNoAddress)) {
			err = failed // what may pass weighs more: the mail may yet be brought there
		}
		if len(found) > 0 {
			of, out = append(of, h), append(out, Place{Host: h.name, Addrs: found})
		}
	}
	if len(out) > 0 && errors.Is(err, ErrNoAddress) {
		err = nil
	}
	return of, out, err
}
