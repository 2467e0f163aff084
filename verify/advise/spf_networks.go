package advise

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"checkauth/verify/dns"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

// gathering looks for the networks of one term.
type gathering struct {
	*adviser
	left int // terms that may still be looked at
}

// networks are those that a term matches, as its owner publishes them now. Not known are those of terms that
// depend on the client, of records that forbid some of what they let pass, and of what has an error.
func (g *gathering) networks(ctx context.Context, domain string, t spf.Directive, path []string) (nets []netip.Prefix, end, ok bool) {
	target := domain
	if g.left--; g.left < 0 {
		return nil, false, false
	}
	if t.Domain != "" {
		target = dns.Canonical(t.Domain)
	}
	switch {
	case t.Err != nil || strings.Contains(t.Domain, "%"):
		return nil, false, false
	case leads(t):
		nets, ok = g.recordNetworks(ctx, target, path)
		return nets, t.Modifier, ok
	case t.Modifier:
		return nil, false, true
	}
	switch t.Name {
	case "ip4", "ip6":
		n, err := t.Addr.Prefix(bitsOf(t))
		return []netip.Prefix{n}, false, err == nil && narrowEnough(n)
	case "a":
		nets, ok = g.hostNetworks(ctx, t, target)
		return nets, false, ok
	case "mx":
		nets, ok = g.exchangerNetworks(ctx, t, target)
		return nets, false, ok
	case "all":
		return nil, true, t.Qualifier != result.Pass
	}
	return nil, false, false
}

func narrowEnough(n netip.Prefix) bool { return n.Bits() >= 16 || n.Addr().Is4() && n.Bits() >= 8 }

// recordNetworks: RFC 7208, 5.2: an include matches what its record lets pass.
func (g *gathering) recordNetworks(ctx context.Context, domain string, path []string) (out []netip.Prefix, ok bool) {
	if slices.Contains(path, domain) {
		return nil, true // a circle lets nobody pass
	}
	p, ok := g.parsed(ctx, domain)
	if !ok || len(path) > deepest {
		return nil, false
	}
	all := slices.ContainsFunc(p.Terms, func(t spf.Directive) bool { return t.Name == "all" && !t.Modifier })
	for _, t := range p.Terms {
		if all && t.Modifier {
			continue // RFC 7208, 6.1: beside all, redirect is ignored
		}
		nets, end, ok := g.networks(ctx, domain, t, append(slices.Clone(path), domain))
		if !ok || t.Name != "all" && !t.Modifier && t.Qualifier != result.Pass || len(out) > mostNetworks*2 {
			return nil, false
		}
		for _, n := range nets {
			if !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
		if end && !t.Modifier {
			break // RFC 7208, 5.1: nothing behind all counts
		}
	}
	return out, true
}

// hostNetworks are the addresses of a name, of both families, with the masks of the term.
func (g *gathering) hostNetworks(ctx context.Context, t spf.Directive, name string) (out []netip.Prefix, ok bool) {
	for _, family := range []dns.Type{dns.A, dns.AAAA} {
		answer, err := g.Resolver.Resolve(ctx, dns.Ask(name, family))
		if err != nil {
			return nil, false
		}
		for _, r := range answer.Records {
			bits := t.Mask6
			if r.Addr.Is4() {
				bits = t.Mask4
			}
			n, err := r.Addr.Prefix(bits)
			if err != nil || !narrowEnough(n) {
				return nil, false
			}
			out = append(out, n)
		}
	}
	return out, true
}

// mostExchangers is how many MX hosts are looked up.
const mostExchangers = 3

func (g *gathering) exchangerNetworks(ctx context.Context, t spf.Directive, name string) (out []netip.Prefix, ok bool) {
	answer, err := g.Resolver.Resolve(ctx, dns.Ask(name, dns.MX))
	if err != nil || len(answer.Records) > mostExchangers {
		return nil, false
	}
	for _, r := range answer.Records {
		if r.Target == "" {
			continue
		}
		nets, ok := g.hostNetworks(ctx, t, r.Target)
		if !ok {
			return nil, false
		}
		out = append(out, nets...)
	}
	return out, true
}
