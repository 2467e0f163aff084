package advise

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"checkauth/verify/dns"
	"checkauth/verify/known"
	"checkauth/verify/naming"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

// withSender is the draft with a term for the client, nil where it passes without one, where nothing ties it
// to the domain, or where the sender is refuted.
func (d *draft) withSender(ctx context.Context) *draft {
	if d.domain != d.sender || !d.client.IsValid() || d.Report.Session.MailFrom != "" && d.refuted() {
		return nil
	}
	if len(d.texts) > 0 && d.judge(ctx, d.client, d.domain, d.now.String()).Word == result.Pass {
		return nil
	}
	o := *d
	now := *d.now
	now.terms = slices.Clone(d.now.terms)
	o.now, o.before = &now, slices.Clone(d.before)
	if !o.pick(ctx) {
		return nil
	}
	o.place(ctx)
	o.excluded()
	if !o.hostAlone(ctx) && (len(o.texts) == 0 || o.now.all == result.Fail) {
		o.listFirst()
	}
	return &o
}

// pick finds the term for the client that asks the DNS least and is right.
func (d *draft) pick(ctx context.Context) bool {
	if d.Report.Session.MailFrom == "" {
		// The name's own zone says whose address it is.
		d.term, d.spared = "a", true
		d.by = result.Because("why-spf-helo", "helo", result.Domain(d.domain), "ip", d.client)
		return true
	}
	if parent := d.parent(ctx); parent != "" {
		d.term, d.by = "include:"+parent, result.Because("why-spf-parent", "parent", result.Domain(parent), "domain", result.Domain(d.domain), "ip", d.client)
		return true
	}
	l, ok := d.link(ctx, d.kinds()...)
	if !ok {
		return false
	}
	d.by = d.because(l)
	if include, ok := d.ownersRecord(ctx, l); ok && d.lookups(ctx) < mostLookups-1 {
		d.term = "include:" + include
		d.by = result.Because("why-spf-include", "ip", d.client, "target", result.Domain(include), "domain", result.Domain(d.domain))
		return true
	}
	d.term = literal(d.client)
	if term := map[linkKind]string{isExchanger: "mx", isAddress: "a"}[l.kind]; term != "" && len(d.texts) == 0 && l.at == d.domain {
		d.term = term
	}
	d.sharedHost(l)
	return true
}

// kinds of links that count: what ties the IPv6 address of a host to its IPv4 address must stand on the
// sender's side.
func (d *draft) kinds() []linkKind {
	if d.has("spf-ipv6-not-covered") {
		return []linkKind{isExchanger, isAddress, ownName, named, neighbour}
	}
	return nil
}

// parent: the domain above has a record with which the client passes.
func (d *draft) parent(ctx context.Context) string {
	for _, f := range d.findings {
		if f.Code == "spf-none-on-subdomain" && d.lets(ctx, f.Args.Get("parent")) {
			return dns.Canonical(f.Args.Get("parent"))
		}
	}
	return ""
}

// because says what ties the client to the domain.
func (d *draft) because(l link) result.Reason {
	ip := d.client.String()
	switch l.kind {
	case isExchanger:
		return result.Because("why-spf-mx", "domain", result.Domain(l.at), "ip", result.Ours(ip), "host", result.Domain(l.host))
	case isAddress:
		return result.Because("why-spf-a", "domain", result.Domain(d.domain), "ip", result.Ours(ip), "host", result.Domain(l.host))
	case ownName:
		return result.Because("why-spf-name", "domain", result.Domain(d.domain), "ip", result.Ours(ip), "host", result.Domain(l.host))
	case neighbour:
		return result.Because("why-spf-neighbour", "domain", result.Domain(l.at), "ip", result.Ours(ip), "host", result.Domain(l.host))
	case named:
		return result.Because("why-spf-named", "domain", result.Domain(d.domain), "ip", result.Ours(ip), "host", result.Domain(l.host))
	case signed:
		return result.Because("why-spf-signed", "domain", result.Domain(d.domain), "ip", result.Ours(ip), "host", result.Domain(l.host))
	}
	return result.Because("why-spf-ns", "domain", result.Domain(d.domain), "ip", result.Ours(ip), "host", result.Domain(l.host))
}

// ownersRecord is a record that the owner of the client's host publishes for all to include, and that lets
// the client pass.
func (d *draft) ownersRecord(ctx context.Context, l link) (string, bool) {
	if l.kind != neighbour && l.kind != named && l.kind != isExchanger {
		return "", false
	}
	for _, name := range d.ownersNames(ctx, l) {
		if n, ok := d.covers(ctx, name); ok && d.lookups(ctx)+1+n <= mostLookups && !naming.SameOrganisation(name, d.domain) {
			return name, true
		}
	}
	return "", false
}

// ownersNames: where a provider's record is known to stand, else where owners put one by custom.
func (d *draft) ownersNames(ctx context.Context, l link) (out []string) {
	if p, ok := d.provider(ctx); ok && p.SPFAt != known.AtBounce {
		for _, term := range append([]string{p.SPF}, p.Alternatives...) {
			if target, ok := strings.CutPrefix(term, "include:"); ok && dns.Askable(target) {
				out = append(out, dns.Canonical(target))
			}
		}
	}
	for _, name := range append(d.clientNames(), l.host) {
		if org := naming.Organisation(name); org != "" && !slices.Contains(out, org) && naming.SameOrganisation(name, l.host) {
			out = append(out, org, "_spf."+org, "spf."+org)
		}
	}
	return out[:min(len(out), 5)]
}

// provider of both the domain's MX and the client's host.
func (d *draft) provider(ctx context.Context) (known.Provider, bool) {
	p, ok := d.Atlas.ProviderOf(d.clientNames()...)
	mx, found := d.Atlas.ProviderOfMX(d.exchangers(ctx, d.sender)...)
	if found && ok && mx.ID != p.ID {
		return known.Provider{}, false
	}
	return p, ok
}

// covers: the record of a domain lets the client pass, and not the whole world with it; n are its look-ups.
func (a *adviser) covers(ctx context.Context, domain string) (n int, ok bool) {
	p, ok := a.parsed(ctx, domain)
	if !ok {
		return 0, false
	}
	e := spf.Evaluator{DNS: a.Resolver, Host: a.Report.Host}
	s := a.Report.Session
	q := spf.Query{IP: a.client, Helo: s.Helo, MailFrom: s.MailFrom, Domain: domain}
	r := e.Check(ctx, q)
	if r.Word != result.Pass {
		return 0, false
	}
	if q.IP = nobody(a.client); e.Check(ctx, q).Word == result.Pass {
		return 0, false
	}
	if widest := 16; r.Network >= 0 && (r.Network < widest || a.client.Is6() && r.Network < 2*widest) {
		return 0, false
	}
	return a.cost(ctx, p, []string{domain}), true
}

// nobody is an address of the family from which no mail can come: what lets that pass lets everybody.
func nobody(ip netip.Addr) netip.Addr {
	if ip.Is4() {
		return netip.AddrFrom4([4]byte{233, 252, 0, 1}) // RFC 6676, 2
	}
	return netip.MustParseAddr("ff0e::db8:0:1") // RFC 6676, 3
}

// place puts the term where it counts: an address in front of what asks the DNS and of what refuses the
// client, another term at the end.
func (d *draft) place(ctx context.Context) {
	added := readTerm(d.term)
	if len(d.texts) == 0 {
		d.now.all = result.SoftFail
		if d.hostAlone(ctx) {
			d.now.all = result.Fail
		}
		d.now.terms = added
		return
	}
	at := len(d.now.terms)
	if added[0].Addr.IsValid() || d.spared {
		at = slices.IndexFunc(d.now.terms, func(t spf.Directive) bool { return !t.Modifier && !t.Addr.IsValid() })
	}
	if at < 0 {
		at = len(d.now.terms)
	}
	before := d.now.terms
	d.now.terms = slices.Insert(slices.Clone(before), at, added...)
	if d.judge(ctx, d.client, d.domain, d.now.String()).Word != result.Pass {
		d.now.terms = distinct(d.domain, slices.Concat(added, before))
	}
}

// hostAlone: the name is that of a server, and no mail is sent or taken as it but that server's own bounces. A
// server may call itself by the bare domain, for which others send too.
func (d *draft) hostAlone(ctx context.Context) bool {
	return d.spared && d.domain != naming.Organisation(d.domain) && d.domain != d.author && len(d.exchangers(ctx, d.domain)) == 0
}

// excluded: what the record says of the client its owner may have meant.
func (d *draft) excluded() {
	for _, f := range d.findings {
		if f.Code == "spf-sender-excluded" {
			d.note(result.Because("before-spf-excluded", "ip", d.client, "term", f.Args.Text("term"), "domain", result.Domain(f.Args.Get("domain"))))
		}
	}
}

// sharedHost: a hoster that has many domains does it once.
func (d *draft) sharedHost(l link) {
	org := naming.Organisation(l.host)
	if l.kind != neighbour && l.kind != isExchanger || org == "" || naming.SameOrganisation(org, d.domain) {
		return
	}
	d.note(result.Because("before-spf-shared-host", "host", result.Domain(org), "own", result.Ours(literal(d.client)),
		"line", result.Said(org, "v=spf1 include:"+org+" ~all")))
}
