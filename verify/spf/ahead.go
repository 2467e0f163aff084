package spf

import (
	"context"
	"slices"
	"strings"
	"sync"

	"checkauth/verify/dns"
	"checkauth/verify/result"
)

// Ahead tells what an evaluation is going to ask, as far as the answers that are there show it. It asks
// nothing itself and decides nothing: where it errs, a question goes out in vain, or the evaluation asks
// that question by itself, later.
//
// It is stricter than the evaluation with what a stranger's record may make us ask: no more terms than
// the limit in all, and no more look-ups that may find nothing than it takes to pass their limit.
type Ahead struct {
	mu      sync.Mutex
	w       *walk // for the identity and its macros
	domain  string
	answers map[dns.Question]dns.Answer
	met     map[dns.Question]bool // the evaluation may come here
	asked   map[dns.Question]bool
	risky   map[dns.Question]bool // of terms that may find nothing: under way, or nothing was found
	records map[string]*outline   // by domain
	terms   int                   // asked ahead

	// Of one look at the whole tree.
	next   []dns.Question
	held   bool // something waits until addresses are there
	count  int  // terms passed
	voids  int  // of them, those that found nothing
	closed bool // the evaluation cannot get further than here
}

// Ahead is that of Check.
func (e Evaluator) Ahead(q Query) *Ahead { return e.ahead(mailFrom(q)) }

// AheadHelo is that of CheckHelo.
func (e Evaluator) AheadHelo(q Query) *Ahead { return e.ahead(heloIdentity(q)) }

func (e Evaluator) ahead(id identity) *Ahead {
	a := &Ahead{
		answers: map[dns.Question]dns.Answer{}, met: map[dns.Question]bool{}, asked: map[dns.Question]bool{},
		risky: map[dns.Question]bool{}, records: map[string]*outline{}, domain: id.begin(),
	}
	e.DNS = dns.ResolverFunc(a.known)
	a.w = e.walk(context.Background(), id)
	return a
}

// First is what can be asked before there is any answer.
func (a *Ahead) First() []dns.Question {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.look()
}

// Follow is what can be asked after one more answer. Answers of others are welcome: this evaluation may
// come to the same question later. It may be called from many goroutines at once.
func (a *Ahead) Follow(answer dns.Answer) []dns.Question {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := answer.Question
	a.answers[q] = answer
	if len(answer.Records) > 0 {
		delete(a.risky, q)
	}
	// Addresses lead to nothing by themselves.
	if !a.met[q] || !a.held && q.Type == a.w.family() {
		return nil
	}
	return a.look()
}

// known gives the macro %{p} the answers that are there.
func (a *Ahead) known(_ context.Context, q dns.Question) (dns.Answer, error) {
	if answer, ok := a.answers[q]; ok {
		return answer, nil
	}
	return dns.Answer{}, &dns.Error{Question: q, Kind: dns.Canceled}
}

// look goes through the tree in the order of the evaluation and past what is not known yet.
func (a *Ahead) look() []dns.Question {
	a.next, a.held, a.count, a.voids, a.closed = nil, false, 0, 0, false
	a.record(a.domain)
	return a.next
}

// need gives the answer to a question, or has it asked where that is allowed.
func (a *Ahead) need(q dns.Question, allowed bool) (dns.Answer, bool) {
	answer, ok := a.answers[q]
	if !ok {
		a.met[q] = true
		if allowed && !a.asked[q] {
			a.asked[q] = true
			a.next = append(a.next, q)
		}
	}
	return answer, ok
}

// term is need for the question of a term.
func (a *Ahead) term(q dns.Question) (dns.Answer, bool) {
	before := len(a.next)
	answer, ok := a.need(q, a.terms < maxLookups)
	a.terms += len(a.next) - before
	return answer, ok
}

// mayVoid is term where finding nothing counts: RFC 7208, 4.6.4. Only as many are under way as could
// still be evaluated if all of them found nothing; so a record of names that do not exist, which dies at
// the third, does not make us ask for a fourth.
func (a *Ahead) mayVoid(q dns.Question) (dns.Answer, bool) {
	answer, ok := a.answers[q]
	switch {
	case ok && len(answer.Records) == 0:
		a.risky[q] = true
		a.voids++
		a.closed = a.closed || a.voids > maxVoids
	case !ok && !a.risky[q] && len(a.risky) > maxVoids:
		a.met[q], a.held = true, true
		return answer, false
	case !ok && a.terms < maxLookups:
		a.risky[q] = true
	}
	return a.term(q)
}

// outline is what Ahead keeps of a record.
type outline struct {
	page     *page
	word     result.Word // none or permerror, where there is nothing to evaluate
	terms    []planned   // those that ask, as far as the first literal that matches
	end      result.Word // of that literal; neutral where there is none
	redirect *planned    // where it counts
}

// planned is a term that asks.
type planned struct {
	d      *Directive
	byName bool // it needs %{p}
	target string
	ok     bool // DNS can be asked about the target
	never  bool // it never matches (RFC 8616, 4)
	ready  bool // target, ok and never are set
}

// outlined gives the outline of a domain's record; nil where it is not there yet.
func (a *Ahead) outlined(domain string, first bool) *outline {
	o := a.records[domain]
	if o != nil {
		return o
	}
	if !wellFormed(domain) {
		return &outline{word: result.None}
	}
	ask := a.term
	if first {
		ask = func(q dns.Question) (dns.Answer, bool) { return a.need(q, true) }
	}
	answer, ok := ask(dns.Ask(domain, dns.TXT))
	if !ok {
		return nil
	}
	o = a.w.outline(domain, answer)
	a.records[domain] = o
	return o
}

// outline reads a record: RFC 7208, 4.5 and 4.6.
func (w *walk) outline(domain string, answer dns.Answer) *outline {
	o := &outline{page: &page{domain: domain}, word: result.None}
	var text string
	for _, r := range answer.Records {
		if s := r.Text(); IsRecord(s) {
			if o.word == "" {
				o.word = result.PermError
				return o
			}
			o.word, text = "", s
		}
	}
	if o.word != "" {
		return o
	}
	policy, err := Parse(text)
	if err != nil {
		o.word = result.PermError
		return o
	}
	o.plan(w, policy)
	return o
}

// plan keeps of a record what can be reached.
func (o *outline) plan(w *walk, policy *Policy) {
	for i := range policy.Terms {
		d := &policy.Terms[i]
		switch {
		case d.Modifier:
		case asks(d.Name):
			// One more than can be evaluated, so that the look ends there.
			if len(o.terms) <= maxLookups {
				o.terms = append(o.terms, planTerm(d))
			}
		case d.Name == "all" || w.inNetwork(d, d.Addr):
			o.end = d.Qualifier
			return
		}
	}
	o.end = result.Neutral
	if policy.redirect >= 0 {
		t := planTerm(&policy.Terms[policy.redirect])
		o.redirect = &t
	}
}

// planTerm copies the term: the record that it stands in may have thousands.
func planTerm(d *Directive) planned {
	c := *d
	return planned{d: &c, byName: slices.ContainsFunc(d.spec, func(m macro) bool { return m.letter == 'p' })}
}

// record looks at the record of one domain and tells its word, as far as that is sure; empty where it
// is not.
func (a *Ahead) record(domain string) result.Word {
	o := a.outlined(domain, a.count == 0)
	if o == nil {
		return ""
	}
	if o.word != "" {
		return o.word
	}
	sure := true
	for i := range o.terms {
		t := &o.terms[i]
		matched, known := a.visit(o, t)
		switch {
		case a.closed:
			return ""
		case matched && sure:
			return t.d.Qualifier
		case matched:
			return "" // by this term or one before it
		}
		sure = sure && known
	}
	word := o.end
	if o.redirect != nil {
		word = a.replaced(o)
	}
	if !sure {
		return ""
	}
	return word
}

// replaced: RFC 7208, 6.1.
func (a *Ahead) replaced(o *outline) result.Word {
	if !a.counted() || !a.ready(o, o.redirect) {
		return ""
	}
	word := result.None
	if o.redirect.ok {
		word = a.record(o.redirect.target)
	}
	a.closed = a.closed || broken(word)
	return word
}

// broken: no include or redirect survives this.
func broken(word result.Word) bool {
	return word == result.None || word == result.PermError || word == result.TempError
}

// counted: RFC 7208, 4.6.4.
func (a *Ahead) counted() bool {
	a.closed = a.closed || a.count == maxLookups
	a.count++
	return !a.closed
}

// visit looks at one term. known is false where it cannot be told yet whether it matches.
func (a *Ahead) visit(o *outline, t *planned) (matched, known bool) {
	if !a.counted() || !a.ready(o, t) {
		return false, false
	}
	if t.never {
		return false, true
	}
	switch t.d.Name {
	case "include":
		return a.include(t)
	case "a":
		return a.inNetwork(t.d, a.mayVoid, dns.Ask(t.target, a.w.family()))
	case "mx":
		return a.mx(t)
	case "ptr":
		return a.ptr(t)
	}
	answer, known := a.mayVoid(dns.Ask(t.target, dns.A)) // exists
	return len(answer.Records) > 0, known
}

// ready expands the target. What %{p} needs is asked first.
func (a *Ahead) ready(o *outline, t *planned) bool {
	if t.ready {
		return true
	}
	if t.byName && !a.pointers("") {
		a.held = true
		return false
	}
	a.w.ptr = nil
	t.target, t.ok = a.w.expand(o.page, t.d)
	t.never = !t.ok && (t.d.Name != "include" || !a.w.writable(t.d))
	t.ready = true
	return true
}

func (a *Ahead) include(t *planned) (matched, known bool) {
	word := result.None
	if t.ok {
		word = a.record(t.target)
	}
	a.closed = a.closed || broken(word)
	return word == result.Pass, word != ""
}

// inNetwork looks for the client among the addresses of a name.
func (a *Ahead) inNetwork(d *Directive, ask func(dns.Question) (dns.Answer, bool), q dns.Question) (matched, known bool) {
	answer, known := ask(q)
	for _, r := range answer.Records {
		matched = matched || a.w.inNetwork(d, r.Addr)
	}
	return matched, known
}

func (a *Ahead) address(q dns.Question) (dns.Answer, bool) { return a.need(q, true) }

// mx asks for the addresses of all names that may be asked for, in the order of the evaluation.
func (a *Ahead) mx(t *planned) (matched, known bool) {
	answer, known := a.mayVoid(dns.Ask(t.target, dns.MX))
	for i, host := range byPreference(answer.Records) {
		if i == maxMX {
			a.closed = true
			break
		}
		if !dns.Askable(host.Target) {
			continue
		}
		yes, told := a.inNetwork(t.d, a.address, dns.Ask(host.Target, a.w.family()))
		matched, known = matched || yes && known, known && told
	}
	return matched, known
}

func (a *Ahead) ptr(t *planned) (matched, known bool) {
	known = a.pointers(t.target)
	answer, ok := a.answers[a.reverse()]
	if ok && len(answer.Records) == 0 {
		a.voids++
		a.closed = a.closed || a.voids > maxVoids
	}
	if !known {
		return false, false
	}
	for _, name := range (&pointers{answer: answer}).names() {
		if under(name, t.target) {
			for _, r := range a.answers[dns.Ask(name, a.w.family())].Records {
				matched = matched || r.Addr == a.w.id.ip
			}
		}
	}
	return matched, true
}

func (a *Ahead) reverse() dns.Question { return dns.Ask(dns.ReverseName(a.w.id.ip), dns.PTR) }

// pointers has the names of the client's address asked for, and the addresses of those under domain, or
// of all; it tells whether all are there.
func (a *Ahead) pointers(domain string) bool {
	if !a.w.id.ip.IsValid() {
		return true
	}
	answer, known := a.need(a.reverse(), true)
	for _, name := range (&pointers{answer: answer}).names() {
		if dns.Askable(name) && (domain == "" || strings.HasSuffix("."+name, "."+domain)) {
			_, ok := a.address(dns.Ask(name, a.w.family()))
			known = known && ok
		}
	}
	return known
}
