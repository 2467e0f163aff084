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

	"golang.org/x/net/idna"

	"checkauth/verify/dns"
)

// The bounds of one try: RFC 5321, 5.1 asks for two addresses at least.
const (
	maxHosts     = 10
	maxAddresses = 4 // of one host
)

// Why there is nowhere to go; the codes are those of RFC 3463 and RFC 7505.
var (
	errBadAddress = errors.New("5.1.3 not an address that mail can be sent to")
	errNoDomain   = errors.New("5.1.2 the domain does not exist")
	errNullMX     = errors.New("5.1.10 the domain takes no mail (null MX)")
	errNoAddress  = errors.New("5.4.4 the host has no address")
)

// host is one that takes mail for a domain.
type host struct {
	name  string
	addrs []netip.Addr // of an address literal; else they are asked for when it is the host's turn
}

// route gives the hosts that take mail for an address, the first choice first.
func (d *Deliverer) route(ctx context.Context, to string) ([]host, error) {
	at := strings.LastIndexByte(to, '@')
	if at < 1 {
		return nil, permanent(fmt.Errorf("%w: no local part or no domain", errBadAddress))
	}
	domain := to[at+1:]
	if strings.HasPrefix(domain, "[") {
		return literal(domain)
	}
	name, err := wireName(domain)
	if err != nil {
		return nil, permanent(err)
	}
	found, err := d.dns.Resolve(ctx, dns.Ask(name, dns.MX))
	switch {
	case err != nil:
		return nil, err
	case found.NX:
		return nil, permanent(fmt.Errorf("%w: %q", errNoDomain, name))
	case len(found.Records) == 0:
		// RFC 5321, 5.1: a domain without MX records is its own host.
		return []host{{name: name}}, nil
	}
	return exchangers(name, found.Records)
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
		return nil, permanent(fmt.Errorf("%w: address literal %q", errBadAddress, domain))
	}
	return []host{{name: domain, addrs: []netip.Addr{a}}}, nil
}

// names turns U-labels into A-labels (RFC 5891, 5). Names of ASCII do not go through it: an
// underscore is no matter of ours.
var names = idna.New(idna.MapForLookup(), idna.BidiRule())

// wireName is the domain as DNS asks for it.
func wireName(domain string) (string, error) {
	name := dns.Canonical(domain)
	if strings.ContainsFunc(name, func(r rune) bool { return r > '~' }) {
		var err error
		if name, err = names.ToASCII(name); err != nil {
			return "", fmt.Errorf("%w: %w", errBadAddress, err)
		}
	}
	if !dns.Askable(name) {
		return "", fmt.Errorf("%w: domain %q", errBadAddress, domain)
	}
	return name, nil
}

// exchangers sorts MX hosts: RFC 5321, 5.1: by preference, in random order where that is equal.
func exchangers(domain string, records []dns.Record) ([]host, error) {
	records = slices.Clone(records) // the resolver's are shared
	rand.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
	slices.SortStableFunc(records, func(a, b dns.Record) int { return cmp.Compare(a.Pref, b.Pref) })
	var hosts []host
	seen := map[string]bool{"": true} // RFC 7505, 3: the root is no host
	for _, r := range records {
		if !seen[r.Target] && len(hosts) < maxHosts {
			hosts = append(hosts, host{name: r.Target})
		}
		seen[r.Target] = true
	}
	if len(hosts) == 0 {
		return nil, permanent(fmt.Errorf("%w: %q", errNullMX, domain))
	}
	return hosts, nil
}

// addresses asks for a host's addresses. alias is where a CNAME led to: RFC 5321, 5.1 forbids it for
// MX hosts, everybody follows it.
func (d *Deliverer) addresses(ctx context.Context, h host) (addrs []netip.Addr, alias string, err error) {
	if len(h.addrs) > 0 {
		return h.addrs, "", nil
	}
	// IPv4 first: many hosts have a reverse name and an SPF term for that alone.
	for _, t := range []dns.Type{dns.A, dns.AAAA} {
		found, failed := d.dns.Resolve(ctx, dns.Ask(h.name, t))
		if failed != nil {
			err = failed
			continue
		}
		for _, r := range found.Records {
			addrs = append(addrs, r.Addr)
		}
		for _, c := range found.Chain {
			alias = c.Target
		}
	}
	switch {
	case len(addrs) > 0:
		return addrs[:min(len(addrs), maxAddresses)], alias, nil
	case err == nil:
		err = &failure{err: fmt.Errorf("%w: %q", errNoAddress, h.name), permanent: true}
	}
	return nil, "", err
}
