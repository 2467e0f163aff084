package spf

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"checkauth/verify/dns"
	"checkauth/verify/result"
)

// asks are the terms that count for the limit: RFC 7208, 4.6.4.
func asks(name string) bool {
	switch name {
	case "include", "a", "mx", "ptr", "exists", "redirect":
		return true
	}
	return false
}

// mechanism evaluates one. Where it matched, end is that of the included record, else an error; nil mostly.
func (w *walk) mechanism(p *page, d *Directive, t *Term) (matched bool, end *verdict) {
	switch d.Name {
	case "include":
		return w.include(p, d, t)
	case "a":
		return w.a(p, d, t)
	case "mx":
		return w.mx(p, d, t)
	case "ptr":
		return w.ptrTerm(p, d, t)
	case "exists":
		return w.exists(p, d, t)
	case "ip4", "ip6":
		return w.inNetwork(d, d.Addr), nil
	}
	return true, nil // 5.1: all always matches
}

// directive evaluates one mechanism: RFC 7208, 4.6.2.
func (w *walk) directive(p *page, d *Directive, t *Term) *verdict {
	if v := w.count(p, d, t); v != nil {
		return v
	}
	matched, v := w.mechanism(p, d, t)
	switch {
	case matched:
		t.Outcome = Match
		return w.matched(p, d, v)
	case v != nil:
		t.Outcome, t.Why = Failed, v.reason
	default:
		t.Outcome = NoMatch
	}
	return v
}

// matched makes the verdict of a mechanism that matched. Where an include passes, it names the term of
// the included record, which is what a reader looks for.
func (w *walk) matched(p *page, d *Directive, included *verdict) *verdict {
	v := &verdict{word: d.Qualifier, page: p, matched: d.Text, in: p.domain, network: w.width(d)}
	if included != nil && v.word == result.Pass {
		v.matched, v.in, v.network = included.matched, included.in, included.network
	}
	return v
}

// why is the reason of a match. It is made for the verdict that stands in the end alone: those of
// included records are not shown.
func (v *verdict) why() result.Reason {
	term := result.Cut(v.matched, maxQuoted)
	if v.word == result.Pass {
		return result.Because("spf-matches", "term", result.Said(v.in, term), "domain", result.Domain(v.in))
	}
	return result.Because("spf-decided-by", "term", result.Said(v.in, term), "domain", result.Domain(v.in))
}

// width is that of the network a matching term names.
func (w *walk) width(d *Directive) int {
	switch d.Name {
	case "ip4", "ip6", "a", "mx":
		if w.id.ip.Is4() {
			return d.Mask4
		}
		return d.Mask6
	}
	return -1
}

// count takes a term that asks DNS into account. RFC 7208, 4.6.4: more than ten are permerror, counted
// over all includes and redirects.
func (w *walk) count(p *page, d *Directive, t *Term) *verdict {
	if !asks(d.Name) {
		return nil
	}
	if w.lookups < maxLookups {
		w.lookups++
		return nil
	}
	w.over = true
	w.tally(p, d, t)
	t.Outcome, t.Why = Failed, result.Because("spf-past-limit")
	return permanent(fmt.Errorf("SPF record of %q, byte %d: %w", p.domain, d.Offset, ErrTooManyLookups), result.Because("spf-lookup-limit"), &culprit{kind: tooManyLookups})
}

// tally counts a term past the limit. Only include and redirect are asked about, and what comes back
// decides nothing.
func (w *walk) tally(p *page, d *Directive, t *Term) {
	if !asks(d.Name) || w.beyond == maxBeyond || w.ctx.Err() != nil {
		return
	}
	if all := p.policy.all; all >= 0 && d.Offset > p.policy.Terms[all].Offset {
		return
	}
	w.beyond++
	w.lookups++
	if d.Name != "include" && d.Name != "redirect" {
		return
	}
	target, ok := w.expand(p, d)
	t.Target = target
	if ok && !w.follow(p, target) {
		_, t.Record = w.checkHost(target, p, p.own && d.Modifier)
	}
}

// follow keeps the first chain of names that leads back to itself, and tells that this one does.
func (w *walk) follow(p *page, target string) bool {
	top := p
	for top != nil && top.domain != target {
		top = top.from
	}
	if top != nil && w.loop == nil {
		w.loop = []string{target}
		for at := p; at != top.from; at = at.from {
			w.loop = append(w.loop, at.domain)
		}
		slices.Reverse(w.loop)
	}
	return top != nil
}

// target is the domain that a term asks about: RFC 7208, 4.8. ok is false where DNS cannot be asked
// about it; the RFC leaves open what follows then, and we take it for a name that does not exist.
func (w *walk) target(p *page, d *Directive, t *Term) (name string, ok bool) {
	name, ok = w.expand(p, d)
	t.Target = name
	if !ok {
		t.Why = result.Because("spf-name-impossible", "name", result.Domain(result.Cut(name, maxQuoted)))
	}
	return name, ok
}

func (w *walk) expand(p *page, d *Directive) (name string, ok bool) {
	if d.Domain == "" {
		return p.domain, true
	}
	name, ok = shorten(strings.TrimSuffix(d.Domain, ".")), true
	if d.spec != nil {
		name, ok = d.spec.name(func(letter byte) (string, bool) { return w.value(letter, p.domain) })
	}
	// The one dot that may stand at the end is gone by now: the next would end an empty label.
	ok = ok && dns.Askable(name) && !strings.HasSuffix(name, ".")
	name = dns.Canonical(name)
	if w.expanded != nil && ok && !fixed(d.spec) {
		w.expanded(name)
	}
	return name, ok
}

// voided counts a look-up that found nothing: RFC 7208, 4.6.4: at most two terms may find nothing. The
// addresses of an mx's names and those of names of the client are no terms of their own.
func (w *walk) voided(a dns.Answer, t *Term) *verdict {
	if len(a.Records) > 0 {
		return nil
	}
	q := a.Question
	t.Why = result.Because("spf-found-nothing", "name", result.Domain(q.Name), "type", result.Ours(q.Type.String()))
	w.voids++
	w.void = append(w.void, q.Name)
	if w.voids > maxVoids {
		return permanent(fmt.Errorf("%q %s: %w", q.Name, q.Type, ErrTooManyVoids), result.Because("spf-void-limit", "name", result.Domain(q.Name)), &culprit{kind: tooManyVoids})
	}
	return nil
}

// lookUp asks the question of a term; RFC 7208, 5: an error of the DNS ends the evaluation with
// temperror.
func (w *walk) lookUp(name string, kind dns.Type, t *Term) (dns.Answer, *verdict) {
	a, err := w.ask(name, kind)
	if err != nil {
		return a, temporary(err)
	}
	a.Question = dns.Ask(name, kind)
	t.lives(a)
	return a, w.voided(a, t)
}

// lives keeps how long the records that a term used may be remembered: the shortest of them.
func (t *Term) lives(a dns.Answer) {
	for _, r := range a.Records {
		if ttl := r.TTL; t.TTL == nil || ttl < *t.TTL {
			t.TTL = &ttl
		}
	}
}

// family is the type of the client's own kind of address: RFC 7208, 5.
func (w *walk) family() dns.Type {
	if w.id.ip.Is4() {
		return dns.A
	}
	return dns.AAAA
}

// include: RFC 7208, 5.2: matches where the other domain's record passes.
func (w *walk) include(p *page, d *Directive, t *Term) (bool, *verdict) {
	target, ok := w.expand(p, d)
	t.Target = target
	if !ok && !w.writable(d) {
		t.Why = result.Because("spf-name-impossible", "name", result.Domain(result.Cut(target, maxQuoted)))
		return false, nil
	}
	v := none(result.Reason{})
	if ok {
		w.follow(p, target)
		v, t.Record = w.checkHost(target, p, false)
	}
	switch v.word {
	case result.Pass:
		return true, v
	case result.None:
		return false, w.noRecord(p, d, target)
	case result.TempError, result.PermError:
		return false, v
	}
	t.Why = result.Because("spf-include-said", "result", v.word, "domain", result.Domain(target))
	return false, nil
}

// writable is false where the local part has letters that no macro can stand for (RFC 8616, 4).
func (w *walk) writable(d *Directive) bool {
	_, ok := d.spec.name(func(letter byte) (string, bool) { return w.value(letter, "") })
	return ok
}

// noRecord: RFC 7208, 5.2 and 6.1.
func (w *walk) noRecord(p *page, d *Directive, target string) *verdict {
	target = result.Cut(target, maxQuoted)
	term := result.Cut(d.Text, maxQuoted)
	return permanent(fmt.Errorf("SPF record of %q, byte %d: %q, which is %q: %w", p.domain, d.Offset, term, target, ErrNoRecord),
		result.Because("spf-target-without-record", "term", result.Said(p.domain, term), "target", result.Domain(target), "domain", result.Domain(p.domain)),
		&culprit{kind: includeNoRecord, page: p, term: d, domain: target})
}

// a: RFC 7208, 5.3.
func (w *walk) a(p *page, d *Directive, t *Term) (bool, *verdict) {
	name, ok := w.target(p, d, t)
	if !ok {
		return false, nil
	}
	a, v := w.lookUp(name, w.family(), t)
	return w.anyInNetwork(d, a, t), v
}

// mx: RFC 7208, 5.4. The names are taken by preference, and by name where that is equal: a server may
// send them in any order, and with more than ten the result must not depend on it.
func (w *walk) mx(p *page, d *Directive, t *Term) (bool, *verdict) {
	name, ok := w.target(p, d, t)
	if !ok {
		return false, nil
	}
	a, v := w.lookUp(name, dns.MX, t)
	if v != nil {
		return false, v
	}
	hosts := byPreference(a.Records)
	for i, host := range hosts {
		// RFC 7208, 4.6.4: the addresses of more than ten names must not be asked for; where they would
		// have to be, the result is permerror.
		if i == maxMX {
			return false, permanent(fmt.Errorf("%q: %w", name, ErrTooManyMX),
				result.Because("spf-mx-limit", "name", result.Domain(name), "count", len(hosts)),
				&culprit{kind: tooManyMX, domain: name, count: len(hosts)})
		}
		matched, v := w.mxHost(d, host.Target, t)
		if matched || v != nil {
			return matched, v
		}
	}
	return false, nil
}

func byPreference(records []dns.Record) []dns.Record {
	records = slices.Clone(records)
	slices.SortStableFunc(records, func(x, y dns.Record) int {
		return cmp.Or(cmp.Compare(x.Pref, y.Pref), cmp.Compare(x.Target, y.Target))
	})
	return records
}

func (w *walk) mxHost(d *Directive, host string, t *Term) (bool, *verdict) {
	if !dns.Askable(host) { // a null MX (RFC 7505)
		return false, nil
	}
	a, err := w.ask(host, w.family())
	if err != nil {
		return false, temporary(err)
	}
	t.lives(a)
	return w.anyInNetwork(d, a, t), nil
}

// exists: RFC 7208, 5.7: any A record will do, whatever the client's family.
func (w *walk) exists(p *page, d *Directive, t *Term) (bool, *verdict) {
	name, ok := w.target(p, d, t)
	if !ok {
		return false, nil
	}
	a, v := w.lookUp(name, dns.A, t)
	for _, r := range a.Records {
		t.found(r.Shown())
	}
	return len(a.Records) > 0, v
}

func (w *walk) anyInNetwork(d *Directive, a dns.Answer, t *Term) bool {
	matched := false
	for _, r := range a.Records {
		t.found(r.Shown())
		matched = matched || w.inNetwork(d, r.Addr)
	}
	return matched
}

// inNetwork compares the high-order bits: RFC 7208, 5.6. An address of the other family never matches,
// not even a mapped one.
func (w *walk) inNetwork(d *Directive, addr netip.Addr) bool {
	if addr.Is4() != w.id.ip.Is4() || !w.id.ip.IsValid() {
		return false
	}
	bits := d.Mask6
	if addr.Is4() {
		bits = d.Mask4
	}
	network, err := addr.WithZone("").Prefix(bits)
	return err == nil && network.Contains(w.id.ip)
}

func (t *Term) found(s string) {
	if len(t.Found) < maxFound {
		t.Found = append(t.Found, s)
	}
}
