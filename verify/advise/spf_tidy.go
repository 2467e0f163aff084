package advise

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"

	"checkauth/verify/dns"
	"checkauth/verify/naming"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

// spfEdits are what findings change in a record beyond how it is spelt.
var spfEdits = map[result.Code]func(*draft, context.Context, result.Finding){
	"spf-include-no-record":     (*draft).dropTarget,
	"spf-later-no-record":       (*draft).dropTarget,
	"spf-later-syntax":          (*draft).dropBroken,
	"spf-later-several-records": (*draft).dropBroken,
	"spf-syntax":                (*draft).dropStrange,
	"spf-multiple-records":      (*draft).dropStrange,
	"spf-include-passes-all":    (*draft).dropWide,
	"spf-include-loop":          (*draft).cutLoop,
	"spf-later-loop":            (*draft).cutLoop,
	"spf-dead-name":             (*draft).dropDead,
	"spf-void-lookups":          (*draft).dropVoids,
	"spf-later-voids":           (*draft).dropVoids,
	"spf-later-voids-family":    (*draft).dropVoids,
	"spf-plus-all":              (*draft).narrow,
	"spf-neutral-all":           (*draft).end,
	"spf-no-all":                (*draft).end,
}

// tidy does what the findings ask for and, as the record is written anew, what no record should have.
func (d *draft) tidy(ctx context.Context) {
	for _, f := range d.findings {
		if edit := spfEdits[f.Code]; edit != nil {
			edit(d, ctx, f)
		}
	}
	if len(d.texts) == 0 {
		return
	}
	for range rounds {
		if !d.hasBroken() || !d.again(ctx) {
			break
		}
	}
	d.drop(func(t spf.Directive) bool {
		return t.Addr.IsValid() && t.Qualifier == result.Pass && t.Addr != d.client && unrouted(t.Addr)
	})
	d.replacePtr(ctx)
	if len(d.texts) > 1 && strength[d.now.all] < strength[result.SoftFail] && d.now.redirect == "" {
		d.end(ctx, result.Finding{})
	}
}

// rounds are how often a draft is looked at anew: what made a record unreadable hid what else is wrong.
const rounds = 3

// again does what is found in the draft itself; it tells whether that changed anything.
func (d *draft) again(ctx context.Context) bool {
	was := d.now.String()
	e, q := d.trial(d.client, d.domain, was)
	for _, f := range e.Examine(ctx, q).Findings {
		if edit := spfEdits[f.Code]; edit != nil && f.Severity != result.Info && d.concerns(f) {
			edit(d, ctx, f)
		}
	}
	return d.now.String() != was
}

func unrouted(ip netip.Addr) bool { return naming.Private(ip) || ip.IsLoopback() }

// drop takes terms out, and gives those that it took.
func (d *draft) drop(which func(spf.Directive) bool) (gone []string) {
	kept := []spf.Directive{}
	for _, t := range d.now.terms {
		if which(t) {
			gone = append(gone, t.Text)
		} else {
			kept = append(kept, t)
		}
	}
	d.now.terms = kept
	return gone
}

// dropTerm takes out a term.
func (d *draft) dropTerm(term string) bool {
	if d.now.redirect != "" && strings.EqualFold(term, "redirect="+d.now.redirect) {
		d.now.redirect = ""
		if d.now.all == "" {
			d.now.all = result.SoftFail
		}
		return true
	}
	return len(d.drop(func(t spf.Directive) bool { return t.Text == term })) > 0
}

// dropTerms takes out what a finding is about.
func (d *draft) dropTerms(f result.Finding) (gone bool) {
	for _, term := range spf.AboutOf(f).Terms {
		gone = d.dropTerm(term) || gone
	}
	return gone
}

func (d *draft) dropTarget(ctx context.Context, f result.Finding) {
	d.dropStrange(ctx, f)
	if d.dropTerms(f) {
		d.note(result.Because("before-spf-target", "term", f.Args.Text("term"), "target", result.Domain(f.Args.Get("target"))))
	}
}

func (d *draft) dropBroken(_ context.Context, f result.Finding) {
	if naming.SameOrganisation(f.Args.Get("domain"), d.domain) {
		return // that record is mended itself
	}
	if d.dropTerms(f) {
		d.note(result.Because("before-spf-owner", "term", f.Args.Text("term"), "owner", f.Args.Text("domain")))
	}
}

func (d *draft) dropWide(_ context.Context, f result.Finding) {
	if d.dropTerms(f) {
		d.note(result.Because("before-spf-owner", "term", f.Args.Text("term"), "owner", f.Args.Text("target")))
		d.listFirst()
	}
}

// dropStrange: what is broken is the record of somebody else. Only its owner can mend that; until then no mail
// passes with the term that leads there.
func (d *draft) dropStrange(ctx context.Context, f result.Finding) {
	owner := dns.Canonical(f.Args.Get("domain"))
	if owner == d.domain {
		return
	}
	for _, t := range slices.Clone(d.now.terms) {
		if t.Name == "include" && !t.Modifier && d.reaches(ctx, dns.Canonical(t.Domain), owner) && d.dropTerm(t.Text) {
			d.note(result.Because("before-spf-owner", "term", result.Said(d.domain, t.Text), "owner", result.Domain(owner)))
			d.strange = result.Because("why-spf-owner", "term", result.Said(d.domain, t.Text), "owner", result.Domain(owner))
		}
	}
}

const (
	deepest  = 5  // includes within each other that are followed
	mostSeen = 20 // domains that one include leads to
)

// reaches: the record of one domain leads to another.
func (a *adviser) reaches(ctx context.Context, from, to string) bool {
	return slices.Contains(a.below(ctx, from), to)
}

// below are the domains that the record of one leads to, itself first.
func (a *adviser) below(ctx context.Context, domain string) []string {
	out := []string{domain}
	for i := 0; i < len(out) && len(out) < mostSeen; i++ {
		p, ok := a.parsed(ctx, out[i])
		if !ok {
			continue
		}
		for _, t := range p.Terms {
			if target := dns.Canonical(t.Domain); leads(t) && !slices.Contains(out, target) && len(out) < mostSeen {
				out = append(out, target)
			}
		}
	}
	return out
}

// leads: the term leads to the record of another domain, that is the same for every sender.
func leads(t spf.Directive) bool {
	return t.Err == nil && (t.Name == "include" && !t.Modifier || t.Name == "redirect" && t.Modifier) && !strings.Contains(t.Domain, "%")
}

// longestStrange is how long a record of somebody else may be, octets: it is read again and again.
const longestStrange = 2048

// parsed is the one SPF record of a domain.
func (a *adviser) parsed(ctx context.Context, domain string) (*spf.Policy, bool) {
	var found []string
	for _, r := range a.find(ctx, domain, dns.TXT) {
		if text := r.Text(); spf.IsRecord(text) && len(text) <= longestStrange {
			found = append(found, r.Text())
		}
	}
	if len(found) != 1 {
		return nil, false
	}
	p, _ := spf.Parse(found[0])
	return p, true
}

// cutLoop takes out the term that closes the circle or, where that is in somebody else's record, the one that
// leads there. What else it let pass stays, as far as its networks are few.
func (d *draft) cutLoop(ctx context.Context, f result.Finding) {
	chain := spf.AboutOf(f).Names
	at := slices.Index(chain, d.domain)
	for _, t := range slices.Clone(d.now.terms) {
		target := dns.Canonical(t.Domain)
		if !leads(t) || target != d.domain && !(at < 0 && len(chain) > 0 && d.reaches(ctx, target, chain[0])) && !(at >= 0 && at+1 < len(chain) && target == chain[at+1]) {
			continue
		}
		if !d.flattenTerm(ctx, t) {
			d.dropTerm(t.Text)
		}
	}
	if slices.Contains(chain, dns.Canonical(d.now.redirect)) {
		d.now.redirect = ""
		d.now.all = result.SoftFail
	}
}

func (d *draft) dropDead(_ context.Context, f result.Finding) {
	var gone []string
	for _, term := range spf.AboutOf(f).Terms {
		if d.dropTerm(term) {
			gone = append(gone, term)
		}
	}
	if len(gone) > 0 {
		d.note(result.Because("before-spf-dead", "terms", result.Said(d.domain, joinTexts(gone))))
	}
}

// dropVoids: a term that finds nothing lets nobody pass; of one that finds nothing for one address family
// alone the addresses stay. An include that has such terms is replaced by its networks.
func (d *draft) dropVoids(ctx context.Context, f result.Finding) {
	names := spf.AboutOf(f).Names
	void := func(t spf.Directive, of string) bool {
		target := dns.Canonical(t.Domain)
		if target == "" {
			target = of
		}
		return t.Err == nil && (t.Name == "a" || t.Name == "mx" || t.Name == "exists") && slices.Contains(names, target)
	}
	for _, t := range slices.Clone(d.now.terms) {
		switch {
		case void(t, d.domain):
			if nets, ok := d.few(ctx, t); ok && len(nets) > 0 {
				d.replace(t, nets)
			} else if ok || t.Name == "exists" {
				d.dropTerm(t.Text)
				d.note(result.Because("before-spf-dead", "terms", result.Said(d.domain, t.Text)))
			}
		case leads(t) && slices.ContainsFunc(d.below(ctx, dns.Canonical(t.Domain)), func(domain string) bool { return d.holdsVoid(ctx, domain, void) }):
			d.flattenTerm(ctx, t)
		}
	}
}

func (d *draft) holdsVoid(ctx context.Context, domain string, void func(spf.Directive, string) bool) bool {
	p, ok := d.parsed(ctx, domain)
	return ok && slices.ContainsFunc(p.Terms, func(t spf.Directive) bool { return void(t, domain) })
}

// end gives the record an end that forbids.
func (d *draft) end(context.Context, result.Finding) {
	if d.now.redirect == "" {
		d.now.all, d.ended = result.SoftFail, true
		d.listFirst()
	}
}

// narrow takes out what lets everybody pass.
func (d *draft) narrow(_ context.Context, f result.Finding) {
	if d.now.all == result.Pass {
		d.now.all = result.SoftFail
	}
	for _, term := range spf.AboutOf(f).Terms {
		for i, t := range d.now.terms {
			if t.Text == term && (t.Name == "a" || t.Name == "mx") {
				d.now.terms[i].Mask4, d.now.terms[i].Mask6 = 32, 128
			}
		}
		d.drop(func(t spf.Directive) bool { return t.Text == term && t.Addr.IsValid() })
	}
	d.listFirst()
}

// maxPtr is for how many addresses it is asked whether ptr lets them pass.
const maxPtr = 4

// replacePtr puts in the place of ptr those of the hosts that are known here which it let pass: the client
// and the domain's own.
func (d *draft) replacePtr(ctx context.Context) {
	at := slices.IndexFunc(d.now.terms, func(t spf.Directive) bool { return t.Name == "ptr" && !t.Modifier && t.Qualifier == result.Pass })
	if at < 0 {
		return
	}
	t := d.now.terms[at]
	var nets []netip.Prefix
	hosts := d.knownHosts(ctx)
	for _, ip := range hosts[:min(len(hosts), maxPtr)] {
		if d.judge(ctx, ip, d.domain, "v=spf1 "+t.String()+" -all").Word == result.Pass {
			nets = append(nets, netip.PrefixFrom(ip, ip.BitLen()))
		}
	}
	d.replace(t, nets)
	d.note(result.Because("before-spf-ptr", "domain", result.Domain(cmp.Or(t.Domain, d.domain))))
	d.replacePtr(ctx)
}

// knownHosts are the client, unless it is one of a provider's many, and the addresses of the domain and its MX
// hosts.
func (d *draft) knownHosts(ctx context.Context) (out []netip.Addr) {
	if d.client.IsValid() && !d.generic() {
		out = append(out, d.client)
	}
	for _, name := range append(d.exchangers(ctx, d.domain), d.domain) {
		for _, r := range d.find(ctx, name, dns.A) {
			if !slices.Contains(out, r.Addr) {
				out = append(out, r.Addr)
			}
		}
	}
	return out
}

// replace puts networks in the place of a term, with its qualifier.
func (d *draft) replace(old spf.Directive, nets []netip.Prefix) {
	i := slices.IndexFunc(d.now.terms, func(t spf.Directive) bool { return t.Text == old.Text && t.Offset == old.Offset })
	if i < 0 {
		return
	}
	var terms []spf.Directive
	for _, n := range nets {
		terms = append(terms, network(n, old.Qualifier))
	}
	d.now.terms = distinct(d.domain, slices.Concat(d.now.terms[:i], terms, d.now.terms[i+1:]))
}

// network is a term of its own for a network.
func network(n netip.Prefix, q result.Word) spf.Directive {
	t := spf.Directive{Qualifier: q, Name: "ip6", Addr: n.Addr(), Mask4: 32, Mask6: n.Bits()}
	if n.Addr().Is4() {
		t.Name, t.Mask4, t.Mask6 = "ip4", n.Bits(), 128
	}
	t.Text = t.String()
	return t
}

// asItEnded is the draft with the end that is published.
func (d *draft) asItEnded() *draft {
	o := *d
	now := *d.now
	o.now = &now
	o.now.all = readSPF(d.domain, d.texts).all
	o.findings = slices.DeleteFunc(slices.Clone(d.findings), func(f result.Finding) bool {
		return f.Code == "spf-neutral-all" || f.Code == "spf-no-all"
	})
	o.before = slices.DeleteFunc(slices.Clone(d.before), func(b result.Reason) bool { return b.Code == "before-spf-list" })
	return &o
}
