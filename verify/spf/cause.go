package spf

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"

	"checkauth/verify/dns"
	"checkauth/verify/naming"
	"checkauth/verify/result"
)

// culprit is what made a permerror, as far as its finding needs it.
type culprit struct {
	kind   culpritKind
	page   *page
	term   *Directive
	err    *SyntaxError
	domain string
	count  int
}

type culpritKind int

const (
	multipleRecords culpritKind = iota
	syntaxError
	tooManyLookups
	tooManyVoids
	tooManyMX
	includeNoRecord
)

// findings names the causes that the evaluation of one identity can know by itself. The result is fixed
// by now and nothing here changes it.
func (w *walk) findings(v *verdict, r Result, nullSender bool) []result.Finding {
	switch v.word {
	case result.PermError:
		return w.broken(v.culprit, r)
	case result.None:
		// RFC 7208, 2.4: with the null reverse-path the HELO name decided; that is the caller's finding.
		if !nullSender {
			return w.missing(r.Domain)
		}
	case result.Fail, result.SoftFail, result.Neutral:
		return w.notCovered(v, r, nullSender)
	}
	return nil
}

// broken says what made the permerror.
func (w *walk) broken(c *culprit, r Result) []result.Finding {
	one := func(f result.Finding) []result.Finding { return []result.Finding{f} }
	if c == nil {
		return nil
	}
	switch c.kind {
	case multipleRecords:
		return one(result.Found(result.Error, "spf-multiple-records", "domain", result.Domain(c.domain), "count", c.count))
	case syntaxError:
		return w.unreadableFinding(c)
	case tooManyLookups:
		if len(w.loop) > 0 {
			return one(ofNames(result.Found(result.Error, "spf-include-loop", "domain", result.Domain(r.Domain), "chain", chain(w.loop)), w.loop...))
		}
		return one(result.Found(result.Error, "spf-too-many-lookups", "domain", result.Domain(r.Domain),
			"count", w.lookups, "costly", result.Said(r.Domain, w.costly(r.Root))))
	case tooManyVoids:
		return one(ofNames(result.Found(result.Error, "spf-void-lookups", "domain", result.Domain(r.Domain), "names", result.Join(result.Domains(w.void), ", ")), w.void...))
	case tooManyMX:
		return one(result.Found(result.Error, "spf-too-many-mx", "domain", result.Domain(r.Domain), "name", result.Domain(c.domain), "count", c.count))
	case includeNoRecord:
		if f, ok := joined(c.page, c.term.Text, c.term.Offset); ok {
			return one(f)
		}
		return one(ofTerms(result.Found(result.Error, "spf-include-no-record", "domain", result.Domain(c.page.domain),
			"term", result.Said(c.page.domain, result.Cut(c.term.Text, maxQuoted)), "target", result.Domain(c.domain)), c.term.Text))
	}
	return nil
}

// unreadableFinding is that of the first term that cannot be read, and what was probably meant.
func (w *walk) unreadableFinding(c *culprit) []result.Finding {
	if f, ok := joined(c.page, c.err.Term, c.err.Offset); ok {
		return []result.Finding{f}
	}
	term := result.Cut(c.err.Term, maxQuoted)
	out := []result.Finding{result.Found(result.Error, "spf-syntax",
		"domain", result.Domain(c.page.domain), "term", result.Said(c.page.domain, term), "column", result.Ours(column(c.err.Offset)))}
	if c.err.Near != "" {
		out = append(out, result.Found(result.Info, "spf-syntax-near", "domain", result.Domain(c.page.domain), "term", result.Said(c.page.domain, term), "near", result.Said(c.page.domain, c.err.Near)))
	}
	return out
}

// column counts from one, as editors do.
func column(offset int) string { return strconv.Itoa(offset + 1) }

// joined tells whether a term was made of two where the strings of the TXT record meet: RFC 7208, 3.3:
// they are joined without a space. What stands on each side must be a term by itself, for a long term
// may well be cut in the middle.
func joined(p *page, term string, offset int) (result.Finding, bool) {
	at := 0
	for _, s := range p.txt.Strings {
		at += len(s)
		if at <= offset || at >= offset+len(term) {
			continue
		}
		before, after := term[:at-offset], term[at-offset:]
		if readTerm(before).Err == nil && readTerm(after).Err == nil {
			return ofTerms(result.Found(result.Error, "spf-strings-joined", "domain", result.Domain(p.domain), "term", result.Said(p.domain, result.Cut(term, maxQuoted)),
				"before", result.Said(p.domain, result.Cut(before, maxQuoted)), "after", result.Said(p.domain, result.Cut(after, maxQuoted))), term), true
		}
	}
	return result.Finding{}, false
}

// costly names the terms of the record that need most look-ups, at most three.
func (w *walk) costly(rec *Record) string {
	type cost struct {
		text string
		n    int
		rec  *Record
	}
	var all []cost
	last := 0
	add := func(t *Term) {
		if t.Lookups > last {
			all = append(all, cost{t.Text, t.Lookups - last, t.Record})
			last = t.Lookups
		}
	}
	if rec == nil {
		return ""
	}
	redirect := w.pages[0].policy.redirect
	for i := range rec.Terms {
		if i != redirect {
			add(&rec.Terms[i])
		}
	}
	if redirect >= 0 && redirect < len(rec.Terms) {
		add(&rec.Terms[redirect])
	}
	slices.SortStableFunc(all, func(x, y cost) int { return cmp.Compare(y.n, x.n) })
	var out []string
	for _, c := range all[:min(len(all), 3)] {
		out = append(out, fmt.Sprintf("%s (%d)", result.Cut(c.text, maxQuoted), c.n))
	}
	return strings.Join(out, ", ")
}

// maxExtra is how many questions diagnosis may ask beyond those of the evaluation.
const maxExtra = 6

// extra asks for diagnosis: what the evaluation has asked costs nothing, of the rest it has so many.
type extra struct {
	w    *walk
	most int
	mine map[dns.Question]bool
}

func (w *walk) extra(most int) *extra { return &extra{w: w, most: most, mine: map[dns.Question]bool{}} }

func (x *extra) Resolve(ctx context.Context, q dns.Question) (dns.Answer, error) {
	if slices.Contains(x.w.asked, q) {
		return x.w.dns.Resolve(ctx, q)
	}
	if !x.mine[q] {
		if len(x.mine) == x.most {
			return dns.Answer{}, &dns.Error{Question: q, Kind: dns.Budget}
		}
		x.mine[q] = true
	}
	return x.w.diagnose.Resolve(ctx, q)
}

// expect tells of what will be asked, as far as that is allowed.
func (x *extra) expect(qs ...dns.Question) {
	left := x.most - len(x.mine)
	told := map[dns.Question]bool{}
	for _, q := range qs {
		if left == 0 {
			return
		}
		if dns.Askable(q.Name) && !x.mine[q] && !told[q] && !slices.Contains(x.w.asked, q) {
			told[q] = true
			x.w.expect(q)
			left--
		}
	}
}

// find gives the records of a name, none where DNS does not tell.
func (x *extra) find(name string, t dns.Type) []dns.Record {
	if !dns.Askable(name) {
		return nil
	}
	a, err := x.Resolve(x.w.ctx, dns.Ask(name, t))
	if err != nil {
		return nil
	}
	return a.Records
}

func (x *extra) hasRecord(name string, t dns.Type) bool {
	return slices.ContainsFunc(x.find(name, t), func(r dns.Record) bool { return IsRecord(r.Text()) })
}

// missing says why there is no record, the most special cause that can be seen.
func (w *walk) missing(domain string) []result.Finding {
	one := func(f result.Finding) []result.Finding { return []result.Finding{f} }
	if !wellFormed(domain) {
		return one(result.Found(result.Warning, "spf-domain-invalid", "sender", result.Cut(w.id.sender, maxQuoted)))
	}
	if f, ok := w.almost(domain); ok {
		return one(f)
	}
	x := w.extra(maxExtra)
	parent := organised(domain)
	elsewhere := []string{"_spf." + domain, domain + "." + domain}
	if w.nx { // RFC 8020: below a name that does not exist there is nothing
		x.expect(dns.Ask(parent, dns.TXT))
	} else {
		x.expect(dns.Ask(domain, dns.SPF), dns.Ask(elsewhere[0], dns.TXT), dns.Ask(elsewhere[1], dns.TXT), dns.Ask(parent, dns.TXT))
		if x.hasRecord(domain, dns.SPF) {
			return one(result.Found(result.Error, "spf-type99-only", "domain", result.Domain(domain)))
		}
		for _, name := range elsewhere {
			if x.hasRecord(name, dns.TXT) {
				return one(result.Found(result.Error, "spf-wrong-name", "domain", result.Domain(domain), "name", result.Domain(name)))
			}
		}
	}
	if parent != "" && x.hasRecord(parent, dns.TXT) {
		return one(result.Found(result.Error, "spf-none-on-subdomain", "domain", result.Domain(domain), "parent", result.Domain(parent)))
	}
	return one(result.Found(result.Error, "spf-none", "domain", result.Domain(domain)))
}

// organised is the domain above one, where it can have a record of its own; else empty.
func organised(domain string) string {
	_, parent, _ := strings.Cut(domain, ".")
	if suffix, _ := publicsuffix.PublicSuffix(parent); parent == suffix || !wellFormed(parent) {
		return ""
	}
	return parent
}

// almost looks for a TXT record that was meant to be one.
func (w *walk) almost(domain string) (result.Finding, bool) {
	for _, r := range w.first {
		text := r.Text()
		if len(r.Strings) > 1 && IsRecord(r.Strings[0]) && !IsRecord(text) {
			_, after, _ := strings.Cut(strings.Join(r.Strings[1:], ""), " ")
			after = strings.TrimSuffix(strings.Join(r.Strings[1:], ""), " "+after)
			return ofTerms(result.Found(result.Error, "spf-strings-joined", "domain", result.Domain(domain),
				"term", result.Said(domain, result.Cut(r.Strings[0]+after, maxQuoted)), "before", result.Said(domain, r.Strings[0]), "after", result.Said(domain, result.Cut(after, maxQuoted))), r.Strings[0]+after), true
		}
		start := strings.NewReplacer(" ", "", "\"", "", "\t", "").Replace(lower(text[:min(len(text), 12)]))
		if strings.HasPrefix(start, "v=spf") || strings.HasPrefix(start, "spf1") || strings.HasPrefix(start, "v:spf1") {
			return result.Found(result.Error, "spf-version", "domain", result.Domain(domain), "text", result.Said(domain, result.Cut(text, maxQuoted))), true
		}
	}
	return result.Finding{}, false
}

// notCovered: the record is in order and does not let the client pass.
func (w *walk) notCovered(v *verdict, r Result, nullSender bool) []result.Finding {
	severity := result.Error
	if v.word == result.Neutral {
		severity = result.Warning
	}
	ip := w.id.ip.String()
	if host, ip4, ok := w.coveredByIPv4(r.Domain); ok {
		return []result.Finding{result.Found(severity, "spf-ipv6-not-covered",
			"domain", result.Domain(r.Domain), "ip", result.Ours(ip), "host", result.Domain(host), "ip4", result.Ours(ip4))}
	}
	// With the null reverse-path it is the caller's finding again, as above.
	if nullSender {
		return nil
	}
	if v.matched != "" && readTerm(v.matched).Name != "all" {
		return []result.Finding{result.Found(severity, "spf-sender-excluded",
			"domain", result.Domain(v.in), "ip", result.Ours(ip), "term", result.Said(v.in, result.Cut(v.matched, maxQuoted)), "result", v.word)}
	}
	return []result.Finding{result.Found(severity, "spf-sender-not-listed",
		"domain", result.Domain(r.Domain), "ip", result.Ours(ip), "result", v.word)}
}

// coveredByIPv4 looks for an IPv4 address of the very host that came over IPv6, for which the record
// passes. The host's name counts where it has the client's address; and as everybody may give his host the
// address of another's, the address has to lead back to it where its name is not the domain's own.
func (w *walk) coveredByIPv4(domain string) (host, ip4 string, ok bool) {
	if !w.id.ip.Is6() {
		return "", "", false
	}
	x := w.extra(maxExtra)
	host, ok = x.host()
	if !ok {
		return "", "", false
	}
	records := x.find(host, dns.A)
	for _, r := range records[:min(len(records), 3)] {
		again := Evaluator{DNS: x, Host: w.host, Now: w.now}.walk(w.ctx, w.id)
		again.id.ip = r.Addr
		if v, _ := again.checkHost(domain, nil, true); v.word == result.Pass && (naming.SameOrganisation(host, domain) || x.leadsTo(r.Addr, host)) {
			return host, r.Addr.String(), true
		}
	}
	return "", "", false
}

// leadsTo: the address is called so.
func (x *extra) leadsTo(ip netip.Addr, host string) bool {
	return slices.ContainsFunc(x.find(dns.ReverseName(ip), dns.PTR), func(r dns.Record) bool { return dns.Canonical(r.Target) == dns.Canonical(host) })
}

// host gives the name of the client: that of HELO, else that of its PTR record.
func (x *extra) host() (string, bool) {
	ip := x.w.id.ip
	has := func(name string) bool {
		return slices.ContainsFunc(x.find(name, dns.AAAA), func(r dns.Record) bool { return r.Addr == ip })
	}
	if helo := dns.Canonical(x.w.id.helo); wellFormed(helo) && has(helo) {
		return helo, true
	}
	for _, r := range x.find(dns.ReverseName(ip), dns.PTR) {
		return r.Target, has(r.Target)
	}
	return "", false
}

// private are the networks that the Internet does not route: RFC 6890 without those for documentation.
var private = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("::1/128"),
}
