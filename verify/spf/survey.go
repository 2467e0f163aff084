package spf

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"checkauth/verify/dns"
	"checkauth/verify/result"
)

// Whole is what the whole tree would need for a client that no term matches.
type Whole struct {
	Lookups int    `json:"lookups"` // of 10; at least, where Missed
	Voids   int    `json:"voids"`   // of 2; at least, where Missed
	Costs   []Cost `json:"costs"`   // of the include and redirect terms of the sender's own record
	Missed  bool   `json:"missed"`  // some of the tree was not looked at
}

// Cost is how many terms that ask DNS are evaluated for one term, itself included.
type Cost struct {
	Term    string `json:"term"`
	Lookups int    `json:"lookups"`
}

// maxFurther is how many questions Examine may ask beyond those of the evaluation and its diagnosis.
const maxFurther = 10

// maxNames is how many names of terms a survey makes: a record may have thousands, with macros in them.
const maxNames = 200

// maxSaid is how many findings a survey has: nobody reads more.
const maxSaid = 50

// maxCost ends the count where includes multiply.
const maxCost = 1000

// Examine is Check with Whole and a lint of the whole tree, what the evaluation never came to included.
// It asks up to ten questions more, through Diagnose, and they change nothing in the result.
func (e Evaluator) Examine(ctx context.Context, q Query) Result {
	w := e.walk(ctx, mailFrom(q))
	v, r := w.run()
	r.Findings = w.findings(v, r, q.MailFrom == "")
	s := w.survey(r.Findings)
	if len(s.order) > 0 {
		r.Whole = s.whole(s.order[0], r)
	}
	s.lint()
	s.nearMiss(r.Word)
	s.notLooked()
	r.Findings = s.elsewhere(s.supersede(append(r.Findings, s.found...)))
	slices.SortStableFunc(r.Findings, func(a, b result.Finding) int { return cmp.Compare(weight[a.Severity], weight[b.Severity]) })
	return r
}

func (s *survey) whole(root *site, r Result) *Whole {
	x := &Whole{Lookups: s.cost(root), Costs: s.costs(root)}
	s.lookups(x.Lookups, root)
	x.Voids = max(s.voids(root.domain), r.Voids)
	x.Missed = len(s.missed) > 0
	return x
}

// weight orders findings: what matters most comes first.
var weight = map[result.Severity]int{result.Error: 0, result.Warning: 1, result.Info: 2}

// survey is the tree as far as it can be known, reached or not.
type survey struct {
	w      *walk
	known  []result.Finding // of the evaluation: not to be said again
	found  []result.Finding
	more   *extra
	sites  map[string]*site
	order  []*site  // those with a record, the sender's own first
	missed []string // domains and names that were not looked at
	stack  []string // of cost
	names  int      // that were expanded
}

// site is one domain of the tree.
type site struct {
	*page
	broken bool          // it has no record that can be evaluated
	told   bool          // and that has been said
	links  map[int]*site // by term
	counts int           // -1 where not yet counted
}

// survey follows every include and redirect, those nearest to the sender's record first.
func (w *walk) survey(known []result.Finding) *survey {
	s := &survey{w: w, known: known, more: w.extra(maxFurther), sites: map[string]*site{}}
	for _, p := range w.pages {
		if s.sites[p.domain] == nil {
			s.add(&site{page: p, broken: p.policy.bad > 0})
		}
	}
	for done := 0; done < len(s.order); {
		level := s.order[done:]
		done = len(s.order)
		s.follow(s.leads(level))
	}
	return s
}

// lead is a term that leads to another record.
type lead struct {
	at     *site
	term   int
	d      *Directive
	target string
}

func (s *survey) leads(level []*site) []lead {
	var out []lead
	for _, at := range level {
		at.each(func(i int, d *Directive) {
			if d.Name != "include" && d.Name != "redirect" {
				return
			}
			if target, ok := s.target(at.page, d); ok {
				out = append(out, lead{at, i, d, target})
			}
		})
	}
	return out
}

func (s *survey) follow(leads []lead) {
	var next []dns.Question
	for _, l := range leads {
		if s.sites[l.target] == nil && wellFormed(l.target) {
			next = append(next, dns.Ask(l.target, dns.TXT))
		}
	}
	s.more.expect(next...)
	for _, l := range leads {
		link := s.sites[l.target]
		if link == nil {
			link = s.fetch(l.target, l.at.page, l.d)
		}
		l.at.links[l.term] = link
		s.unreadable(link, l.at.page, l.d)
	}
}

func (s *survey) add(at *site) {
	at.links, at.counts = map[int]*site{}, -1
	s.sites[at.domain] = at
	if at.policy != nil {
		s.order = append(s.order, at)
	}
}

// each calls f for the terms that an evaluation can come to. RFC 7208, 5.1 and 6.1: none behind all, and
// redirect without all alone.
func (at *site) each(f func(i int, d *Directive)) {
	for i := range at.policy.Terms {
		d := &at.policy.Terms[i]
		if d.Err != nil || d.Modifier && (i != at.policy.redirect || at.policy.all >= 0) {
			continue
		}
		f(i, d)
		if i == at.policy.all {
			return
		}
	}
}

// target expands a name, without what would ask DNS.
func (s *survey) target(p *page, d *Directive) (string, bool) {
	isP := func(m macro) bool { return m.letter == 'p' }
	if s.names++; s.names > maxNames || slices.ContainsFunc(d.spec, isP) {
		s.miss(d.Text)
		return "", false
	}
	name, ok := s.w.expand(p, d)
	if !ok && (d.Name == "include" || d.Name == "redirect") && s.w.writable(d) {
		s.noRecord(p, d, name)
	}
	return name, ok
}

func (s *survey) miss(name string) {
	if name = result.Cut(name, maxQuoted); len(s.missed) < maxNames && !slices.Contains(s.missed, name) {
		s.missed = append(s.missed, name)
	}
}

func (s *survey) ask(name string, t dns.Type) (dns.Answer, error) {
	return s.more.Resolve(s.w.ctx, dns.Ask(name, t))
}

// fetch reads a record that the evaluation did not come to.
func (s *survey) fetch(target string, from *page, d *Directive) *site {
	at := &site{page: &page{domain: target, from: from, own: from.own && d.Modifier}, broken: true}
	defer s.add(at)
	if !wellFormed(target) {
		s.noRecord(from, d, target)
		return at
	}
	a, err := s.ask(target, dns.TXT)
	if err != nil {
		s.unanswered(from, d, target, err)
		return at
	}
	var records []*dns.Record
	for i := range a.Records {
		if r := &a.Records[i]; IsRecord(r.Text()) {
			records = append(records, r)
		}
	}
	switch len(records) {
	case 0:
		s.noRecord(from, d, target)
	case 1:
		s.read(at, records[0])
	default:
		if !s.judged("spf-multiple-records", "domain", target) {
			s.say(ofTerms(result.Found(result.Warning, "spf-later-several-records",
				"domain", result.Domain(target), "count", len(records), "term", result.Said(from.domain, result.Cut(d.Text, maxQuoted)), "in", result.Domain(from.domain)), d.Text))
		}
	}
	return at
}

func (s *survey) read(at *site, r *dns.Record) {
	policy, err := Parse(r.Text())
	// The bound of the evaluation holds here as well.
	if s.w.size += policy.size; s.w.size > maxAll {
		s.miss(at.domain)
		return
	}
	at.txt, at.policy, at.broken = r, policy, err != nil
}

// unreadable tells of a term that cannot be read in a record that the evaluation has not judged.
func (s *survey) unreadable(at *site, in *page, d *Directive) {
	if at.told || at.policy == nil || at.policy.bad == 0 || s.judged("spf-syntax", "domain", at.domain) {
		return
	}
	at.told = true
	for _, bad := range at.policy.Terms {
		if bad.Err != nil {
			s.say(ofTerms(result.Found(result.Warning, "spf-later-syntax", "domain", result.Domain(at.domain), "bad", result.Said(at.domain, result.Cut(bad.Text, maxQuoted)),
				"column", result.Ours(column(bad.Offset)), "term", result.Said(in.domain, result.Cut(d.Text, maxQuoted)), "in", result.Domain(in.domain)), d.Text))
			return
		}
	}
}

// judged tells whether the evaluation has a finding with that code and argument.
func (s *survey) judged(code result.Code, name, value string) bool {
	return slices.ContainsFunc(s.known, func(f result.Finding) bool { return f.Code == code && f.Args.Get(name) == value })
}

func (s *survey) say(f result.Finding) {
	if len(s.found) < maxSaid {
		s.found = append(s.found, f)
	}
}

// noRecord: RFC 7208, 5.2 and 6.1: the evaluation would end there with permerror.
func (s *survey) noRecord(p *page, d *Directive, target string) {
	term := result.Cut(d.Text, maxQuoted)
	if !s.judged("spf-include-no-record", "term", term) {
		s.say(ofTerms(result.Found(result.Warning, "spf-later-no-record", "domain", result.Domain(p.domain), "term", result.Said(p.domain, term), "target", result.Domain(result.Cut(target, maxQuoted))), d.Text))
	}
}

func (s *survey) unanswered(p *page, d *Directive, target string, err error) {
	if dns.AsError(dns.Ask(target, dns.TXT), err).Kind.NotAsked() {
		s.miss(target)
		return
	}
	s.say(result.Found(result.Info, "spf-later-unanswered",
		"domain", result.Domain(p.domain), "term", result.Said(p.domain, result.Cut(d.Text, maxQuoted)), "target", result.Domain(target)))
}

// cost is how many terms that ask DNS the record of a site needs where nothing matches: RFC 7208, 4.6.4.
func (s *survey) cost(at *site) int {
	switch {
	case at.policy == nil || at.broken && len(s.stack) > 0:
		return 0
	case at.counts >= 0:
		return at.counts
	case slices.Contains(s.stack, at.domain):
		s.loop(at)
		return 0
	}
	s.stack = append(s.stack, at.domain)
	n := 0
	at.each(func(i int, d *Directive) { n = min(n+s.costOf(at, i, d), maxCost) })
	s.stack = s.stack[:len(s.stack)-1]
	at.counts = n
	return n
}

func (s *survey) costOf(at *site, i int, d *Directive) int {
	if !asks(d.Name) {
		return 0
	}
	if link := at.links[i]; link != nil {
		return 1 + s.cost(link)
	}
	return 1
}

// loop is found where the count comes back to a record that it is in.
func (s *survey) loop(at *site) {
	from := slices.Index(s.stack, at.domain)
	names := append(slices.Clone(s.stack[from:]), at.domain)
	if !s.has("spf-include-loop") && !s.has("spf-later-loop") {
		s.say(ofNames(result.Found(result.Warning, "spf-later-loop", "domain", result.Domain(s.stack[0]), "chain", chain(names)), names...))
	}
}

// costs are those of the terms that lead to other records.
func (s *survey) costs(root *site) []Cost {
	out := []Cost{}
	root.each(func(i int, d *Directive) {
		if d.Name == "include" || d.Name == "redirect" {
			out = append(out, Cost{result.Cut(d.Text, maxQuoted), s.costOf(root, i, d)})
		}
	})
	return out
}

// lookups tells where the limit would be passed, if no term matched before.
func (s *survey) lookups(n int, root *site) {
	if n <= maxLookups || s.has("spf-too-many-lookups") || s.has("spf-include-loop") || s.has("spf-later-loop") {
		return
	}
	costs := s.costs(root)
	slices.SortStableFunc(costs, func(x, y Cost) int { return cmp.Compare(y.Lookups, x.Lookups) })
	var costly []string
	for _, c := range costs[:min(len(costs), 3)] {
		costly = append(costly, fmt.Sprintf("%s (%d)", c.Term, c.Lookups))
	}
	if len(costly) == 0 {
		s.say(result.Found(result.Warning, "spf-later-lookups-own", "domain", result.Domain(root.domain), "count", n))
		return
	}
	s.say(result.Found(result.Warning, "spf-later-lookups",
		"domain", result.Domain(root.domain), "count", n, "costly", result.Said(root.domain, strings.Join(costly, ", "))))
}

func (s *survey) has(code result.Code) bool {
	is := func(f result.Finding) bool { return f.Code == code }
	return slices.ContainsFunc(s.known, is) || slices.ContainsFunc(s.found, is)
}

// notLooked names what is left out, so that nobody takes silence for a clean bill.
func (s *survey) notLooked() {
	if len(s.missed) == 0 {
		return
	}
	s.say(result.Found(result.Info, "spf-not-examined", "limit", maxFurther,
		"count", len(s.missed), "names", result.Join(result.Domains(s.missed[:min(len(s.missed), 5)]), ", ")))
}
