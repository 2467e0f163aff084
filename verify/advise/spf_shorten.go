package advise

import (
	"cmp"
	"context"
	"net/netip"
	"slices"

	"checkauth/verify/dns"
	"checkauth/verify/known"
	"checkauth/verify/naming"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

const (
	mostLookups  = 10  // RFC 7208, 4.6.4
	mostNetworks = 12  // that stand in the place of one include
	bestLength   = 450 // octets: RFC 7208, 3.4
	enough       = 50  // look-ups: where so many are needed, nobody has to know how many
	mostSteps    = 100 // terms that are looked at for one include
)

// shorten brings a record under ten look-ups: without the includes that do nothing, then with the networks
// of the costliest in their place, then with the addresses of the domain's own hosts.
func (d *draft) shorten(ctx context.Context) {
	for _, step := range []func(*draft, context.Context){(*draft).dropOwnBounce, (*draft).flattenIncludes, (*draft).flattenHosts} {
		if d.now == nil || d.lookups(ctx) <= mostLookups {
			return
		}
		step(d, ctx)
	}
}

// lookups of the draft for a client that nothing in it matches.
func (d *draft) lookups(ctx context.Context) int {
	p, _ := spf.Parse(d.now.String())
	return d.cost(ctx, p, []string{d.domain})
}

// cost: RFC 7208, 4.6.4: terms that ask the DNS, those of included records with them.
func (a *adviser) cost(ctx context.Context, p *spf.Policy, path []string) (n int) {
	for _, t := range p.Terms {
		if t.Err != nil || t.Name == "all" && !t.Modifier || n >= enough {
			break
		}
		n += a.costOf(ctx, t, path)
	}
	return n
}

func (a *adviser) costOf(ctx context.Context, t spf.Directive, path []string) int {
	switch {
	case leads(t):
		target := dns.Canonical(t.Domain)
		p, ok := a.parsed(ctx, target)
		if !ok || slices.Contains(path, target) || len(path) > deepest {
			return 1
		}
		return 1 + a.cost(ctx, p, append(slices.Clone(path), target))
	case t.Modifier:
		return 0
	}
	switch t.Name {
	case "a", "mx", "ptr", "exists", "include":
		return 1
	}
	return 0
}

// dropOwnBounce: SPF is looked up at the domain of the return path. A vendor that puts its own there is never
// judged by this record. Of one that has its customers publish a term that must be certain.
func (d *draft) dropOwnBounce(ctx context.Context) {
	for _, t := range slices.Clone(d.now.terms) {
		if !leads(t) {
			continue
		}
		target := dns.Canonical(t.Domain)
		vendor, ok := d.Atlas.ByInclude(target)
		idle := ok && vendor.Bounce == known.BounceOwn && (vendor.SPF == "" || vendor.Certain(known.BounceFact))
		if !idle || d.lookups(ctx) <= mostLookups || d.lets(ctx, target) {
			continue
		}
		d.dropTerm(t.Text)
		d.note(result.Because("before-spf-own-bounce", "term", result.Said(d.domain, t.Text), "vendor", result.Ours(vendor.Name)))
	}
}

// lets: the record of a domain lets the client pass.
func (a *adviser) lets(ctx context.Context, domain string) bool {
	_, ok := a.covers(ctx, domain)
	return ok
}

// flat is a term that networks can stand for.
type flat struct {
	term spf.Directive
	nets []netip.Prefix
	cost int
}

func (d *draft) flattenIncludes(ctx context.Context) {
	var all []flat
	for _, t := range d.now.terms {
		if t.Modifier || t.Name != "include" || !leads(t) {
			continue
		}
		if nets, ok := d.few(ctx, t); ok {
			all = append(all, flat{t, nets, d.costOf(ctx, t, []string{d.domain})})
		}
	}
	slices.SortStableFunc(all, func(x, y flat) int { return cmp.Or(y.cost-x.cost, len(x.nets)-len(y.nets)) })
	for _, f := range all {
		if d.lookups(ctx) <= mostLookups {
			return
		}
		d.put(f.term, f.nets)
	}
}

// put replaces a term by networks, unless the record would become too long for one datagram.
func (d *draft) put(t spf.Directive, nets []netip.Prefix) bool {
	was := d.now.terms
	d.replace(t, nets)
	if length := len(d.now.String()); length > bestLength && length > d.length() {
		d.now.terms = was
		return false
	}
	if t.Name == "include" {
		d.note(result.Because("before-spf-literals", "term", result.Said(d.domain, t.Text), "owner", result.Domain(dns.Canonical(t.Domain))))
	} else {
		d.note(result.Because("before-spf-own-literals", "term", result.Said(d.domain, t.Text)))
	}
	return true
}

// flattenTerm puts the networks of one term in its place, where that can be.
func (d *draft) flattenTerm(ctx context.Context, t spf.Directive) bool {
	nets, ok := d.few(ctx, t)
	return ok && len(nets) > 0 && d.put(t, nets)
}

// few are the networks of a term, if they are known and few.
func (d *draft) few(ctx context.Context, t spf.Directive) ([]netip.Prefix, bool) {
	g := &gathering{adviser: d.adviser, left: mostSteps}
	nets, _, ok := g.networks(ctx, d.domain, t, []string{d.domain})
	return nets, ok && len(nets) <= mostNetworks
}

// flattenHosts: the addresses of the domain's own hosts are its own to keep up.
func (d *draft) flattenHosts(ctx context.Context) {
	for _, t := range slices.Clone(d.now.terms) {
		own := t.Domain == "" || naming.SameOrganisation(t.Domain, d.domain)
		if t.Modifier || t.Name != "a" && t.Name != "mx" || !own || d.lookups(ctx) <= mostLookups {
			continue
		}
		d.flattenTerm(ctx, t)
	}
}
