package advise

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"checkauth/verify"
	"checkauth/verify/dns"
	"checkauth/verify/naming"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

// work is what a finding asks for.
type work int

// The kinds.
const (
	broken   work = iota + 1 // the record counts for nothing as it is
	unlisted                 // the record does not let the client pass
	open                     // it lets everybody pass
	tidying                  // it works for this mail
)

// spfWork are the findings that a change of the record mends.
var spfWork = map[result.Code]work{
	"spf-multiple-records": broken, "spf-strings-joined": broken, "spf-syntax": broken, "spf-syntax-near": broken,
	"spf-stray-quotes": broken, "spf-typographic-character": broken, "spf-version": broken, "spf-type99-only": broken,
	"spf-wrong-name": broken, "spf-include-no-record": broken, "spf-include-loop": broken,
	"spf-too-many-lookups": broken, "spf-void-lookups": broken,

	"spf-none": unlisted, "spf-none-on-subdomain": unlisted, "spf-sender-not-listed": unlisted,
	"spf-sender-excluded": unlisted, "spf-ipv6-not-covered": unlisted, "spf-ipv4-only": unlisted,
	"spf-missing-relay-include": unlisted, "spf-helo-null-sender": unlisted,

	"spf-plus-all": open, "spf-include-passes-all": open,

	"spf-later-lookups": tidying, "spf-later-lookups-own": tidying, "spf-later-voids": tidying,
	"spf-later-voids-family": tidying, "spf-later-loop": tidying, "spf-later-no-record": tidying,
	"spf-later-several-records": tidying, "spf-later-syntax": tidying, "spf-dead-name": tidying,
	"spf-ptr-mechanism": tidying, "spf-redirect-ignored": tidying, "spf-terms-after-all": tidying,
	"spf-private-address": tidying, "spf-equals-sign": tidying, "spf-repeated-term": tidying,
	"spf-version-case": tidying, "spf-neutral-all": tidying, "spf-no-all": tidying,
}

// spfRecord mends the SPF records of the sender, the one that is looked up first and those of its own that
// it leads to. All that one record lacks is in one value, so that no two compete for a name.
func (a *adviser) spfRecord(ctx context.Context) (out []candidate) {
	if a.elsewhere() || a.Report.Check(verify.MethodSPF).Result == result.TempError || a.strangeHelo() {
		return nil
	}
	for _, domain := range a.ownRecords(ctx) {
		out = append(out, a.spfAt(ctx, domain)...)
	}
	return append(out, a.spfInWords(ctx)...)
}

// elsewhere: the record is right, or what is to be done is not to be done in it.
func (a *adviser) elsewhere() bool {
	return slices.ContainsFunc(a.Report.Findings, func(f result.Finding) bool {
		switch f.Code {
		case "spf-forwarded", "mailing-list":
			return true
		case "dns-stale-cache", "dns-secondary-stale":
			return dns.Canonical(f.Args.Get("name")) == a.sender
		}
		return false
	})
}

// strangeHelo: with the null reverse-path the HELO name is the sender, and the client chose it. Its record is
// of interest where the name is the client's.
func (a *adviser) strangeHelo() bool {
	return a.Report.Session.MailFrom == "" && !slices.Contains(a.heloName(), a.sender)
}

// ownRecords are the sender's domain and those of its organisation that findings name.
func (a *adviser) ownRecords(ctx context.Context) (out []string) {
	if a.sender == "" {
		return nil
	}
	out = append(out, a.sender)
	for _, f := range a.Report.Findings {
		d := dns.Canonical(f.Args.Get("domain"))
		if spfWork[f.Code] != 0 && len(out) < 3 && !slices.Contains(out, d) && naming.SameOrganisation(d, a.sender) && a.published(ctx, d) {
			out = append(out, d)
		}
	}
	return out
}

// published: there is a record.
func (a *adviser) published(ctx context.Context, domain string) bool {
	return slices.ContainsFunc(a.find(ctx, domain, dns.TXT), func(r dns.Record) bool { return meantAsSPF(r.Text()) })
}

// draft is the record of one name as it is to become.
type draft struct {
	*adviser
	domain   string
	findings []result.Finding // about it
	texts    []string         // that it is made of
	now      *wording
	before   []result.Reason
	ended    bool   // its end was made stricter
	term     string // what was put in for the client
	by       result.Reason
	spared   bool          // authorises nobody new though a term was put in
	passes   bool          // it lets the client pass, which the record that is there may not do
	strange  result.Reason // why a term was taken out that leads to a broken record of somebody else
}

// spfAt gives the record of a name: with the client in it, then without, then with the end that it has.
func (a *adviser) spfAt(ctx context.Context, domain string) (out []candidate) {
	d := a.draft(ctx, domain)
	if len(d.findings) == 0 || d.length() > longestRecord || len(d.now.terms) > mostTerms {
		return nil
	}
	d.tidy(ctx)
	d.shorten(ctx)
	var drafts []*draft
	if with := d.withSender(ctx); with != nil {
		drafts = append(drafts, with)
	}
	if len(d.texts) > 0 {
		drafts = append(drafts, d)
	}
	if d.ended && len(d.texts) == 1 {
		drafts = append(drafts, d.asItEnded())
	}
	for _, one := range drafts {
		if c, ok := one.candidate(ctx); ok {
			out = append(out, c)
		}
	}
	return out
}

// A record beyond these bounds is no work of a person, and is left alone.
const (
	longestRecord = 4096 // octets
	mostTerms     = 100
)

// length of what is published, octets.
func (d *draft) length() (n int) {
	for _, t := range d.texts {
		n += len(t)
	}
	return n
}

// draft reads what is published, or was meant to be.
func (a *adviser) draft(ctx context.Context, domain string) *draft {
	d := &draft{adviser: a, domain: domain}
	for _, f := range a.Report.Findings {
		if spfWork[f.Code] != 0 && d.concerns(f) && !a.inside(f) {
			d.findings = append(d.findings, f)
		}
	}
	if len(d.findings) > 0 {
		d.texts = d.sources(ctx)
		d.now = &wording{}
		if d.length() <= longestRecord {
			d.now = readSPF(domain, d.texts)
		}
	}
	return d
}

// inside: the client is in a private network itself, so that the terms for such are of use here.
func (a *adviser) inside(f result.Finding) bool {
	return f.Code == "spf-private-address" && unrouted(a.client)
}

// concerns: the finding is about the record, or about one that it leads to and that only its owner can mend.
func (d *draft) concerns(f result.Finding) bool {
	domain := dns.Canonical(f.Args.Get("domain"))
	switch {
	case dns.Canonical(f.Args.Get("in")) == d.domain:
		return true
	case f.Code == "spf-helo-null-sender":
		return d.domain == d.sender
	case f.Code == "spf-sender-excluded" && d.domain == d.sender:
		return true
	case domain == d.domain:
		return true
	}
	return d.domain == d.sender && spfWork[f.Code] == broken && !naming.SameOrganisation(domain, d.sender)
}

// has tells whether there is such a finding.
func (d *draft) has(codes ...result.Code) bool {
	return slices.ContainsFunc(d.findings, func(f result.Finding) bool { return slices.Contains(codes, f.Code) })
}

// hasBroken: the record counts for nothing as it is.
func (d *draft) hasBroken() bool {
	return slices.ContainsFunc(d.findings, func(f result.Finding) bool { return spfWork[f.Code] == broken })
}

// sources are the texts of the record: of TXT, else of where it stands by mistake.
func (d *draft) sources(ctx context.Context) (out []string) {
	if out = d.recordsAt(ctx, d.domain, dns.TXT); len(out) > 0 {
		return out
	}
	for _, f := range d.findings {
		switch f.Code {
		case "spf-type99-only":
			out = append(out, d.recordsAt(ctx, d.domain, dns.SPF)...)
		case "spf-wrong-name":
			out = append(out, d.recordsAt(ctx, f.Args.Get("name"), dns.TXT)...)
			d.before = append(d.before, result.Because("before-delete-wrong-name", "name", result.Domain(f.Args.Get("name"))))
		}
	}
	return out
}

func (d *draft) recordsAt(ctx context.Context, name string, t dns.Type) (out []string) {
	for _, r := range d.find(ctx, name, t) {
		if meantAsSPF(r.Text()) {
			out = append(out, joints(r, d.twoTerms))
		}
	}
	return out
}

// twoTerms: a finding says that this is two terms, run together where strings meet.
func (d *draft) twoTerms(term string) bool {
	return slices.ContainsFunc(d.findings, func(f result.Finding) bool {
		return f.Code == "spf-strings-joined" && slices.Contains(spf.AboutOf(f).Terms, term)
	})
}

// candidate is the draft as an action; none where nothing would change.
func (d *draft) candidate(ctx context.Context) (candidate, bool) {
	value := d.now.String()
	if _, err := spf.Parse(value); err != nil || d.same(ctx, value) {
		return candidate{}, false
	}
	d.passes = d.domain == d.sender && d.client.IsValid() && d.judge(ctx, d.client, d.domain, value).Word == result.Pass
	c := d.txt(ctx, d.rank(), d.domain, value, meantAsSPF, d.what(), d.mends()...)
	c.Why = d.why()
	c.Before = d.toThinkOf(c.Why)
	c.authorises = d.term != "" && !d.spared
	return c, true
}

// toThinkOf is what comes before the change: who is added, where that is not the reason for it, what is not certain,
// and the price of -all.
func (d *draft) toThinkOf(why result.Reason) (out []result.Reason) {
	if d.term != "" && why.Code != d.by.Code {
		out = append(out, d.by)
	}
	out = append(out, d.before...)
	if d.unread() && d.now.all == result.Fail {
		out = append(out, result.Because("before-spf-forbids", "domain", result.Domain(d.domain)))
	}
	if len(d.now.dropped) > 0 {
		out = append(out, result.Because("before-spf-dropped", "terms", result.Said(d.domain, result.Cut(strings.Join(d.now.dropped, " "), 200))))
	}
	return out
}

// unread: the fault is one of the domain's own record, of which receivers use nothing.
func (d *draft) unread() bool {
	return d.strange.Code == "" && d.has("spf-multiple-records", "spf-strings-joined", "spf-syntax", "spf-stray-quotes",
		"spf-typographic-character", "spf-version", "spf-type99-only", "spf-wrong-name")
}

// same: the name has that record already, and no other.
func (d *draft) same(ctx context.Context, value string) bool {
	old := d.recordsAt(ctx, d.domain, dns.TXT)
	return len(old) == 1 && slices.ContainsFunc(d.find(ctx, d.domain, dns.TXT), func(r dns.Record) bool { return r.Text() == value })
}

// mends are the findings that the draft answers.
func (d *draft) mends() (out []result.Code) {
	for _, f := range d.findings {
		if slices.Contains(out, f.Code) || spfWork[f.Code] == unlisted && d.term == "" && !d.passes {
			continue
		}
		out = append(out, f.Code)
	}
	return out
}

// rank: what keeps the mail from passing comes first.
func (d *draft) rank() rank {
	passed := d.Report.Check(verify.MethodSPF).Result == result.Pass
	switch {
	case !passed && (d.passes || d.term != "" || d.hasBroken()):
		return d.failing()
	case slices.ContainsFunc(d.findings, func(f result.Finding) bool { return spfWork[f.Code] == open }):
		return policy
	}
	return hygiene
}

// failing is the rank of what keeps SPF or DKIM from passing: it counts for most where DMARC does not pass by the
// other.
func (a *adviser) failing() rank {
	if a.Report.Check(verify.MethodDMARC).Result == result.Pass {
		return breaks
	}
	return decides
}

// judge evaluates the client against a record in place of that of the name.
func (a *adviser) judge(ctx context.Context, ip netip.Addr, domain, text string) spf.Result {
	e, q := a.trial(ip, domain, text)
	return e.Check(ctx, q)
}

// trial is an evaluator for which the name has that record, and the question about an address.
func (a *adviser) trial(ip netip.Addr, domain, text string) (spf.Evaluator, spf.Query) {
	over := dns.Over(a.Resolver, func() time.Time { return a.Report.Time })
	over.Set(domain, dns.TXT, dns.Record{TTL: ttl, Strings: split(text)})
	e := spf.Evaluator{DNS: over, Host: a.Report.Host, Now: func() time.Time { return a.Report.Time }}
	return e, spf.Query{IP: ip, Helo: a.Report.Session.Helo, MailFrom: a.Report.Session.MailFrom, Domain: domain}
}
