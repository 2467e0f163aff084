package spf

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"checkauth/verify/dns"
	"checkauth/verify/result"
)

// RFC 7208, 4.6.4.
const (
	maxLookups = 10 // terms that ask DNS
	maxVoids   = 2  // of them, those that found nothing
	maxMX      = 10 // names of one mx whose addresses are asked for
	maxPTR     = 10 // names of the client's address that are looked at
)

const (
	maxBeyond = 20      // terms that are counted past the limit, for the report alone
	maxTerms  = 1000    // terms of one record that the tree shows; of those behind it only what decided
	maxAll    = 1 << 16 // terms, and macros in them, of all records of one evaluation: what two records can hold
	maxFound  = 20      // addresses or names that the tree shows of one term
	maxQuoted = 100     // octets of a term in a reason
)

// What a permerror may be, beside a *SyntaxError.
var (
	ErrMultipleRecords = errors.New("more than one SPF record")
	ErrTooManyLookups  = errors.New("more than 10 terms that ask DNS")
	ErrTooManyVoids    = errors.New("more than 2 look-ups that found nothing")
	ErrTooManyMX       = errors.New("an mx with more than 10 names")
	ErrNoRecord        = errors.New("a domain without SPF record")
)

// Check runs check_host for the MAIL FROM identity; for that of HELO where the reverse-path is null.
func (e Evaluator) Check(ctx context.Context, q Query) Result {
	w := e.walk(ctx, mailFrom(q))
	v, r := w.run()
	r.Findings = w.findings(v, r, q.MailFrom == "")
	return r
}

// CheckHelo runs check_host for the HELO identity (RFC 7208, 2.3). It gives no findings: what is wrong
// with a HELO name's record is seldom why a mail is refused.
func (e Evaluator) CheckHelo(ctx context.Context, q Query) Result {
	_, r := e.walk(ctx, heloIdentity(q)).run()
	return r
}

// walk is one evaluation. It asks one question at a time, in the order of the RFC; who wants it faster
// asks ahead behind the Resolver.
type walk struct {
	ctx      context.Context
	dns      dns.Resolver
	diagnose dns.Resolver
	expect   func(dns.Question)
	expanded func(name string)
	host     string
	now      func() time.Time
	id       identity

	lookups, voids int
	took           time.Duration // of the DNS
	// over is set when the limit of look-ups is passed: the result is fixed, and the walk goes on to
	// count what the whole record would need.
	over   bool
	beyond int
	size   int      // of all records
	void   []string // names that were asked for and not found
	loop   []string // chain of the first include or redirect that leads back to itself
	pages  []*page  // all records, in the order of the walk
	ptr    *pointers
	asked  []dns.Question // in order, each time that one is asked
	first  []dns.Record   // TXT of the sender's domain
	nx     bool           // and that name does not exist
}

func (e Evaluator) walk(ctx context.Context, id identity) *walk {
	now := e.Now
	if now == nil {
		now = time.Now
	}
	w := &walk{ctx: ctx, dns: e.DNS, diagnose: e.Diagnose, expect: e.Expect, expanded: e.Expanded, host: e.Host, now: now, id: id}
	if w.diagnose == nil {
		w.diagnose = w.dns
	}
	if w.expect == nil {
		w.expect = func(dns.Question) {}
	}
	return w
}

// page is one record under evaluation.
type page struct {
	domain string
	from   *page // whose include or redirect led here
	own    bool  // the sender's own: not reached by any include
	txt    *dns.Record
	policy *Policy
	rec    *Record
}

// verdict is what one call of check_host gives; a nil one is that nothing is decided.
type verdict struct {
	word    result.Word
	reason  result.Reason
	cause   error
	culprit *culprit // of a permerror, where one is known

	matched, in string
	network     int
	page        *page // whose exp explains a fail
}

func (w *walk) run() (*verdict, Result) {
	domain := w.id.begin()
	v, rec := w.checkHost(domain, nil, true)
	if v.reason.Code == "" {
		v.reason = v.why()
	}
	r := Result{
		Word: v.word, Reason: v.reason, Cause: v.cause,
		Sender: w.id.sender, Domain: domain, Lookups: w.lookups, Voids: w.voids,
		Matched: v.matched, MatchedIn: v.in, Network: v.network, Root: rec,
	}
	if v.word == result.Fail {
		r.Explanation = w.explain(v.page)
	}
	return v, r
}

// ask asks one question. All that go out are kept, so that diagnosis knows which are new.
func (w *walk) ask(name string, t dns.Type) (dns.Answer, error) {
	q := dns.Ask(name, t)
	w.asked = append(w.asked, q)
	a, err := w.dns.Resolve(w.ctx, q)
	if err != nil {
		e := dns.AsError(q, err)
		w.took += e.Took
		return a, e
	}
	w.took += a.Took
	return a, nil
}

// temporary: RFC 7208, 4.4. Our own bound of questions is among them: it says nothing about
// the record.
func temporary(err error) *verdict {
	return &verdict{word: result.TempError, cause: err, reason: dns.AsError(dns.Question{}, err).Reason(), network: -1}
}

func permanent(cause error, why result.Reason, c *culprit) *verdict {
	return &verdict{word: result.PermError, cause: cause, reason: why, culprit: c, network: -1}
}

func none(why result.Reason) *verdict {
	return &verdict{word: result.None, reason: why, network: -1}
}

// checkHost is check_host of RFC 7208, 4.1, for the record of one domain. It calls itself for include and
// redirect; the limit of look-ups bounds how deep.
func (w *walk) checkHost(domain string, from *page, own bool) (*verdict, *Record) {
	p, v := w.fetch(domain, from, own)
	if v != nil {
		return v, nil
	}
	return w.evaluate(p), p.rec
}

// fetch finds the record of a domain: RFC 7208, 4.3 to 4.5.
func (w *walk) fetch(domain string, from *page, own bool) (*page, *verdict) {
	// RFC 7208, 4.3: a malformed domain gives none, and nothing is asked.
	if domain == "" {
		return nil, none(result.Because("spf-domain-empty"))
	}
	if !wellFormed(domain) {
		return nil, none(result.Because("spf-domain-malformed", "domain", result.Domain(result.Cut(domain, maxQuoted))))
	}
	a, err := w.ask(domain, dns.TXT)
	if err != nil {
		return nil, temporary(err)
	}
	if from == nil {
		w.first, w.nx = a.Records, a.NX
	}
	var found *dns.Record
	records := 0
	for i := range a.Records {
		if IsRecord(a.Records[i].Text()) {
			if records++; records == 1 {
				found = &a.Records[i]
			}
		}
	}
	switch {
	case records == 1:
	case records > 1:
		count := strconv.Itoa(records)
		return nil, permanent(fmt.Errorf("%q: %w", domain, ErrMultipleRecords), result.Because("spf-several-records", "domain", result.Domain(domain), "count", result.Ours(count)),
			&culprit{kind: multipleRecords, domain: domain, count: records})
	case a.NX:
		return nil, none(result.Because("spf-domain-unknown", "domain", result.Domain(domain)))
	default:
		return nil, none(result.Because("spf-no-record", "domain", result.Domain(domain)))
	}
	p := &page{domain: domain, from: from, own: own, txt: found}
	p.rec = &Record{Domain: domain, Text: found.Text(), TTL: found.TTL}
	w.pages = append(w.pages, p)
	return p, nil
}

// evaluate: RFC 7208, 4.6: the whole record is read first, and a syntax error anywhere in it decides.
func (w *walk) evaluate(p *page) *verdict {
	var err error
	p.policy, err = Parse(p.rec.Text)
	if w.size += p.policy.size; w.size > maxAll {
		// Our bound, not the RFC's: it says nothing about the record, so it is no permerror. What was
		// read is let go, or thirty such records would be held at once.
		p.policy, _ = Parse(version)
		q := dns.Ask(p.domain, dns.TXT)
		return temporary(&dns.Error{Question: q, Kind: dns.Budget, Detail: fmt.Sprintf("%d terms", maxAll)})
	}
	p.rec.Terms = make([]Term, 0, min(len(p.policy.Terms), maxTerms))
	if bad, ok := errors.AsType[*SyntaxError](err); ok {
		return w.unreadable(p, bad)
	}
	var v *verdict
	for i := range p.policy.Terms {
		v = w.step(p, &p.policy.Terms[i], v)
	}
	v = w.redirect(p, v)
	if v == nil {
		// RFC 7208, 4.7: neutral, as if ?all stood at the end.
		v = &verdict{word: result.Neutral, reason: result.Because("spf-no-match", "domain", result.Domain(p.domain)), network: -1}
	}
	return v
}

// unreadable shows the terms of a record with a syntax error; none of them is evaluated.
func (w *walk) unreadable(p *page, first *SyntaxError) *verdict {
	first.Domain = p.domain
	for i := range p.policy.Terms {
		d := &p.policy.Terms[i]
		t := Term{Text: d.Text, Offset: d.Offset, Outcome: NotReached, Lookups: w.lookups, Voids: w.voids}
		if d.Err != nil {
			t.Outcome, t.Why = Failed, syntaxReason(p.domain, d.Err)
		}
		if i < maxTerms || d.Err == first {
			p.rec.Terms = append(p.rec.Terms, t)
		}
	}
	return permanent(first, syntaxReason(p.domain, first), &culprit{kind: syntaxError, page: p, err: first})
}

// step makes one term of the tree and, where nothing is decided yet, evaluates it.
func (w *walk) step(p *page, d *Directive, v *verdict) *verdict {
	at := len(p.rec.Terms)
	p.rec.Terms = append(p.rec.Terms, Term{Text: d.Text, Offset: d.Offset, Outcome: NotReached})
	t := &p.rec.Terms[at] // nobody else adds to this record
	began := w.took
	switch {
	case d.Modifier:
		t.Outcome = Modifier // redirect waits until no mechanism has matched
	case w.over:
		w.tally(p, d, t)
	case v == nil:
		v = w.directive(p, d, t)
	}
	t.Lookups, t.Voids, t.MS = w.lookups, w.voids, (w.took - began).Milliseconds()
	if at >= maxTerms && t.Outcome != Match && t.Outcome != Failed {
		p.rec.Terms = p.rec.Terms[:at]
	}
	return v
}

// redirect: RFC 7208, 6.1: where no mechanism matched and there is no all in the record, the record of
// another domain takes this one's place.
func (w *walk) redirect(p *page, v *verdict) *verdict {
	at := p.policy.redirect
	if at < 0 || p.policy.all >= 0 || v != nil && !w.over {
		return v
	}
	d := &p.policy.Terms[at]
	if at >= len(p.rec.Terms) {
		p.rec.Terms = append(p.rec.Terms, Term{Text: d.Text, Offset: d.Offset, Outcome: Modifier})
		at = len(p.rec.Terms) - 1
	}
	t := &p.rec.Terms[at]
	began := w.took
	if w.over {
		w.tally(p, d, t)
	} else {
		v = w.redirected(p, d, t)
	}
	t.Lookups, t.Voids, t.MS = w.lookups, w.voids, (w.took - began).Milliseconds()
	return v
}

func (w *walk) redirected(p *page, d *Directive, t *Term) *verdict {
	if v := w.count(p, d, t); v != nil {
		return v
	}
	target, ok := w.expand(p, d)
	t.Target = target
	v := none(result.Reason{})
	if ok {
		w.follow(p, target)
		v, t.Record = w.checkHost(target, p, p.own)
	}
	// RFC 7208, 6.1: no record there, or no name that could have one, is permerror.
	if v.word == result.None {
		v = w.noRecord(p, d, target)
	}
	if v.word == result.TempError || v.word == result.PermError {
		t.Outcome, t.Why = Failed, v.reason
	}
	return v
}
