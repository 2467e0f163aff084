package evaluate

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"
	"time"

	"checkauth/verify"
	"checkauth/verify/arc"
	"checkauth/verify/dkim"
	"checkauth/verify/dmarc"
	"checkauth/verify/dns"
	"checkauth/verify/dnsbl"
	"checkauth/verify/header"
	"checkauth/verify/helo"
	"checkauth/verify/inbound"
	"checkauth/verify/iprev"
	"checkauth/verify/mail"
	"checkauth/verify/naming"
	"checkauth/verify/result"
	"checkauth/verify/spam"
	"checkauth/verify/spf"
	"checkauth/verify/transport"
)

// check is one entry of the list.
type check struct {
	method       string // as in the report and, where it is registered, in Authentication-Results
	label        string // as people call it
	detail       any    // a nil pointer to the type of its detail; nil where it has none
	stage        stage
	registered   bool                       // the method stands in the registry of RFC 8601, 6
	beyond       bool                       // see result.Outcome
	budget       int                        // questions of its own; the sum over all checks is 200
	own          int                        // questions of its own that are the operator's wish; they are in no sum
	diagnosis    int                        // questions about why, once the result is fixed; the sum is at most 60
	limit        func(Config) time.Duration // nil: the evaluation's deadline alone
	informs      bool                       // it decides nothing, so that a full quota leaves it out and puts no mail off
	needsAddress bool                       // it says nothing where the client's address is not the sender's
	// run gives nothing where the check is not configured. What it leaves out of an outcome (method, label, what it asked) is
	// filled in.
	run func(context.Context, Evaluator, dns.Resolver, input) []result.Outcome
}

// stage is when a check can run.
type stage int

const (
	early  stage = iota // it needs the envelope alone, and runs while the message comes in
	whole               // it needs the message
	beside              // it needs the message, and none waits for it longer than its own time
	last                // it needs what the others found
)

// input is what a check may look at: the envelope always, the message in the second list, what the
// other checks found in the third.
type input struct {
	env       verify.Envelope
	msg       *verify.Message
	spf, dkim []result.Outcome
	diagnose  dns.Resolver // asked why a result is what it is; what it answers changes no result
	expect    func(dns.Question)
	expanded  func(name string)  // is told of names that SPF macros make
	keep      func(*dkim.Digest) // is told what was hashed, to judge again with other keys
}

func spfLimit(c Config) time.Duration { return c.SPF }

// list has all checks in the order of the report. A check is one package and one line here.
var list = []check{
	// RFC 7208, 4.6.4: ten terms, each an mx with ten names, and the record itself.
	{method: verify.MethodSPF, detail: (*spf.Result)(nil), label: "SPF", stage: early, registered: true, budget: 112, diagnosis: 16, limit: spfLimit, needsAddress: true, run: checkSPF},
	{method: verify.MethodIPRev, detail: (*iprev.Result)(nil), label: `"iprev"`, stage: early, registered: true, budget: 12, limit: spfLimit, needsAddress: true, run: checkIPRev},
	{method: verify.MethodDKIM, detail: (*dkim.Signature)(nil), label: "DKIM", stage: whole, registered: true, budget: 10, diagnosis: 22, run: checkDKIM},
	{method: verify.MethodSpam, detail: (*spam.Result)(nil), label: "SpamAssassin", stage: beside, beyond: true, limit: spamLimit, run: checkSpam},
	{method: verify.MethodDMARC, detail: (*dmarc.Result)(nil), label: "DMARC", stage: last, registered: true, budget: dmarc.Questions, diagnosis: dmarc.Diagnosis, run: checkDMARC},
	{method: verify.MethodSPFHelo, detail: (*spf.Result)(nil), label: "HELO SPF", stage: early, budget: 16, limit: spfLimit, needsAddress: true, run: checkSPFHelo},
	{method: verify.MethodHelo, detail: (*helo.Result)(nil), label: "HELO", stage: early, budget: 4, limit: spfLimit, run: checkHelo},
	{method: verify.MethodTLS, label: "TLS", stage: early, beyond: true, run: checkTLS},
	{method: verify.MethodARC, detail: (*arc.Result)(nil), label: "ARC", stage: beside, beyond: true, informs: true, budget: 10, limit: informationLimit, run: checkARC},
	{method: verify.MethodHeader, detail: (*header.Result)(nil), label: "Header", stage: beside, beyond: true, run: checkHeader},
	{method: verify.MethodInbound, detail: (*inbound.Result)(nil), label: "Inbound", stage: beside, beyond: true, informs: true, budget: inbound.Questions, limit: informationLimit, run: checkInbound},
	{method: verify.MethodDNSBL, detail: (*dnsbl.Result)(nil), label: "Blocklist", stage: beside, beyond: true, informs: true, own: dnsblQuestions, limit: informationLimit, run: checkDNSBL},
}

// at are the checks of a stage.
func (ev Evaluator) at(s stage) iter.Seq[check] {
	return func(yield func(check) bool) {
		for _, c := range ev.checks() {
			if c.stage == s && !yield(c) {
				return
			}
		}
	}
}

// checks are those of the list, and in tests others.
func (ev Evaluator) checks() []check { return slices.Concat(list, ev.more) }

func informationLimit(c Config) time.Duration { return min(8*time.Second, c.Evaluation/2) }
func spamLimit(c Config) time.Duration        { return min(15*time.Second, c.Evaluation/2) }

// dnsblQuestions are those of the lists that the operator has chosen, beyond the sum of the others.
const dnsblQuestions = 20

func spfQuery(env verify.Envelope) spf.Query {
	return spf.Query{IP: env.Client.Addr(), Helo: env.Helo, MailFrom: env.MailFrom}
}

func checkSPF(ctx context.Context, ev Evaluator, r dns.Resolver, in input) []result.Outcome {
	res := spf.Evaluator{DNS: r, Diagnose: in.diagnose, Expect: in.expect, Expanded: in.expanded, Host: in.env.Host, Now: ev.Now}.Examine(ctx, spfQuery(in.env))
	o := res.Outcome("smtp.mailfrom", res.Sender)
	// RFC 7208, 2.4: with the null reverse-path the HELO name decided, and that is the cause to name.
	if in.env.MailFrom == "" && res.Word != result.Pass {
		o.Findings = append(o.Findings, result.Found(result.Warning, "spf-helo-null-sender", "helo", result.Domain(in.env.Helo), "result", res.Word))
	}
	return only(o)
}

func checkSPFHelo(ctx context.Context, ev Evaluator, r dns.Resolver, in input) []result.Outcome {
	res := spf.Evaluator{DNS: r, Expanded: in.expanded, Host: in.env.Host, Now: ev.Now}.CheckHelo(ctx, spfQuery(in.env))
	o := res.Outcome("smtp.helo", in.env.Helo)
	// What HELO's record lacks is said by its own words; as a finding it would stand beside the one of MAIL FROM and read as if
	// it were about the sender's domain.
	o.Findings = nil
	return only(o)
}

func checkIPRev(ctx context.Context, _ Evaluator, r dns.Resolver, in input) []result.Outcome {
	res := iprev.Evaluator{DNS: r}.Check(ctx, in.env.Client.Addr())
	return only(res.Outcome(in.env.Client.Addr()))
}

func checkHelo(ctx context.Context, ev Evaluator, r dns.Resolver, in input) []result.Outcome {
	res := helo.Evaluator{DNS: r}.Check(ctx, helo.Query{Helo: in.env.Helo, IP: in.env.Client.Addr(), Unseen: ev.unseen(in.env.Client.Addr())})
	return only(res.Outcome(in.env.Helo))
}

func checkTLS(_ context.Context, _ Evaluator, _ dns.Resolver, in input) []result.Outcome {
	if in.env.TLSUnknown {
		return only(result.Outcome{Result: result.NotRun, Reason: result.Because("tls-not-told")})
	}
	var q transport.Query
	certificate := ""
	if t := in.env.TLS; t != nil {
		q, certificate = transport.Query{Present: true, Version: t.Version, Cipher: t.Cipher}, t.Client
	}
	if f := in.env.TLSFailed; f != nil {
		q.Failed, q.FailedAt = f.Cause, f.Time
	}
	return only(transport.Check(q).Outcome(certificate))
}

func checkDKIM(ctx context.Context, ev Evaluator, r dns.Resolver, in input) []result.Outcome {
	if in.msg.Unparsed != nil {
		return notRead()
	}
	v := dkim.Verifier{DNS: r, Diagnose: in.diagnose, Expect: in.expect, Now: ev.Now, Signatures: ev.Config.Signatures, Turns: ev.Turns, Searches: ev.Searches}
	digest := v.Digest(ctx, in.msg.Fields, in.msg.Body)
	in.keep(digest)
	res := v.Judge(ctx, digest)
	if res.Fault != nil {
		ev.panicked(in.env.ID, "dkim search")(res.Fault)
	}
	res.Findings = apparent(in.msg.Fields, res.Findings)
	out := res.Outcomes()
	for i := range res.Signatures {
		out[i].Evidence = evidenceOf(r, res.Signatures[i].KeyName)
	}
	return out
}

// evidenceOf picks what was asked for one name.
func evidenceOf(r dns.Resolver, name string) []result.Evidence {
	out := []result.Evidence{}
	if v, ok := r.(*dns.View); ok {
		for _, e := range v.Evidence() {
			if e.Name == dns.Canonical(name) {
				out = append(out, e)
			}
		}
	}
	return out
}

// unknown stands for a check that did not run to its end: what it might have passed is not known.
var unknown = dmarc.Identifier{Word: result.TempError}

func checkARC(ctx context.Context, ev Evaluator, r dns.Resolver, in input) []result.Outcome {
	if in.msg.Unparsed != nil {
		return notRead()
	}
	res := arc.Evaluator{DNS: r, Now: ev.Now, Turns: ev.Turns}.Check(ctx, in.msg.Fields, in.msg.Body)
	return only(res.Outcome())
}

func checkHeader(_ context.Context, _ Evaluator, _ dns.Resolver, in input) []result.Outcome {
	if in.msg.Unparsed != nil {
		return notRead()
	}
	f := header.Facts{Received: in.msg.Received, SMTPUTF8: in.env.Params.SMTPUTF8 || in.msg.Received.IsZero()}
	for _, n := range in.msg.Notes {
		f.BareCR = f.BareCR || n.Code == verify.NoteBareCR
		f.BareLF = f.BareLF || n.Code == verify.NoteBareLF
		f.LongLine = f.LongLine || n.Code == verify.NoteLongLine
		f.NUL = f.NUL || n.Code == verify.NoteNUL
	}
	res := header.Check(in.msg.Fields, f)
	return only(res.Outcome())
}

// checkInbound looks at the author's domain, to which answers go.
func checkInbound(ctx context.Context, _ Evaluator, r dns.Resolver, in input) []result.Outcome {
	if in.msg.Unparsed != nil {
		return notRead()
	}
	domain := mail.ParseFrom(in.msg.Fields).Domain
	if domain == "" {
		return only(result.Outcome{Result: result.NotRun, Reason: result.Because("inbound-no-author")})
	}
	res := inbound.Evaluator{DNS: r, Expect: in.expect}.Check(ctx, domain)
	return only(res.Outcome())
}

// checkDNSBL keeps no evidence: the names that are asked may hold the operator's key.
func checkDNSBL(ctx context.Context, ev Evaluator, r dns.Resolver, in input) []result.Outcome {
	if len(ev.Lists) == 0 {
		return nil
	}
	var domains []string
	for _, d := range []string{mail.ParseFrom(in.msg.Fields).Domain, naming.Domain(in.env.MailFrom)} {
		if d != "" && !slices.Contains(domains, d) {
			domains = append(domains, d)
		}
	}
	res := dnsbl.Evaluator{DNS: r, Lists: ev.Lists, Expect: in.expect}.Check(ctx, in.env.Client.Addr(), domains)
	return only(res.Outcome())
}

// checkSpam asks the operator's spamd.
func checkSpam(ctx context.Context, ev Evaluator, _ dns.Resolver, in input) []result.Outcome {
	if ev.Spamd.Address == "" {
		return nil
	}
	res := spam.Evaluator{Config: ev.Spamd}.Check(ctx, spam.Query{Trace: trace(in.env), Message: in.msg.Whole})
	return only(res.Outcome())
}

// trace is what tells spamd of the client and the envelope: RFC 5321, 4.4.
func trace(env verify.Envelope) []byte {
	clean := func(s string) string { return result.Cut(result.ASCII(s), 255) }
	return fmt.Appendf(nil, "Return-Path: <%s>\r\nReceived: from %s ([%s])\r\n\tby %s; %s\r\n",
		clean(env.MailFrom), clean(env.Helo), env.Client.Addr(), env.Host, env.Time.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700"))
}

// notRead is what a check of the header says of one that cannot be taken apart.
func notRead() []result.Outcome {
	return only(result.Outcome{Result: result.NotRun, Reason: result.Because("message-not-read")})
}

func checkDMARC(ctx context.Context, _ Evaluator, r dns.Resolver, in input) []result.Outcome {
	if in.msg.Unparsed != nil {
		return notRead()
	}
	q := dmarc.Query{From: mail.ParseFrom(in.msg.Fields)}
	for _, c := range in.spf {
		q.SPF = unknown
		if d := result.Detail[spf.Result](c); d != nil {
			q.SPF = dmarc.Identifier{Domain: d.Domain, Word: c.Result}
		}
	}
	for _, c := range in.dkim {
		switch d := result.Detail[dkim.Signature](c); {
		case d != nil:
			q.DKIM = append(q.DKIM, dmarc.Identifier{Domain: d.Domain, Selector: d.Selector, Word: c.Result})
		case c.Result != result.None:
			q.DKIM = append(q.DKIM, unknown)
		}
	}
	res := dmarc.Evaluator{DNS: r, Diagnose: in.diagnose, Expect: in.expect}.Check(ctx, q)
	res.Findings = apparent(in.msg.Fields, res.Findings)
	if lost, _ := in.msg.Fields.BOM(); strings.EqualFold(lost, "From") && res.Reason.Code == "from-is-spaced" {
		res.Reason = result.Because("header-begins-with-bom")
	}
	res.Findings = append(res.Findings, restsOnPart(&res, in.dkim)...)
	return only(res.Outcome())
}

// restsOnPart: DMARC fails, and it would pass where a receiver accepts a signature over a part of the body.
func restsOnPart(res *dmarc.Result, signatures []result.Outcome) []result.Finding {
	if res.Word != result.Fail {
		return nil
	}
	for _, c := range signatures {
		d := result.Detail[dkim.Signature](c)
		if d == nil || c.Reason.Code != "dkim-body-partly-signed" || d.Index < 0 || d.Index >= len(res.DKIM) || !res.DKIM[d.Index].Aligned {
			continue
		}
		return []result.Finding{result.Found(result.Warning, "dmarc-rests-on-l-tag", "domain", result.Domain(d.Domain), "author", result.Domain(res.Author))}
	}
	return nil
}

// consequences: findings of a field that is missed only for what stands at the beginning of the message, an empty line
// or a byte order mark. The check of the header names that.
var consequences = map[result.Code]string{
	"from-missing":            "From",
	"from-space-before-colon": "From",
	"dkim-not-signed":         "DKIM-Signature",
}

// apparent leaves those out.
func apparent(fields mail.Fields, all []result.Finding) []result.Finding {
	lost, bom := fields.BOM()
	return slices.DeleteFunc(all, func(f result.Finding) bool {
		name, ok := consequences[f.Code]
		return ok && (len(fields) == 0 || bom && strings.EqualFold(name, lost))
	})
}

// judge puts the whole into one word: DMARC decides where it can; without a DMARC record it is a pass of SPF or of a
// signature for the author's organisation.
func judge(r *verify.Report) verify.Verdict {
	d := r.Check(verify.MethodDMARC)
	from := d.Identities["header.from"]
	say := func(w verify.VerdictWord, code result.Code, pairs ...any) verify.Verdict {
		return verify.Verdict{Word: w, Why: result.Because(code, append(pairs, "domain", result.Domain(from))...)}
	}
	cannot := func() verify.Verdict {
		switch r.Check(verify.MethodSPF).Reason.Code {
		case clientPrivate:
			return say(verify.Unknown, "verdict-client-private")
		case clientLoopback:
			return say(verify.Unknown, "verdict-client-loopback")
		}
		return say(verify.Unknown, "verdict-could-not-tell")
	}
	switch d.Result {
	case result.Pass:
		return say(verify.Authenticated, "verdict-dmarc-pass")
	case result.Fail:
		return say(verify.NotProved, "verdict-dmarc-fail", "policy", result.Detail[dmarc.Result](d).Policy.Text())
	case result.TempError:
		return cannot()
	case result.NotRun:
		return say(verify.NotProved, "verdict-message-not-read")
	case result.PermError:
		if from == "" {
			return say(verify.NotProved, "verdict-dmarc-permerror")
		}
		return say(verify.NotProved, "verdict-dmarc-record")
	}
	return judgeWithoutRecord(r, say, cannot)
}

// judgeWithoutRecord: no record says how to align, so an identifier counts as it does by default: relaxed.
func judgeWithoutRecord(r *verify.Report, say func(verify.VerdictWord, result.Code, ...any) verify.Verdict, cannot func() verify.Verdict) verify.Verdict {
	d := result.Detail[dmarc.Result](r.Check(verify.MethodDMARC))
	if d == nil {
		return cannot()
	}
	passes := passing(d)
	for _, p := range passes {
		if d.Belongs(p.domain) {
			return say(verify.Authenticated, "verdict-aligned-without-dmarc", "method", result.Ours(p.method), "passed", result.Domain(p.domain))
		}
	}
	untold := slices.ContainsFunc(r.Checks, func(c result.Outcome) bool {
		return (c.Result == result.TempError || c.Result == result.NotRun) && (c.Method == verify.MethodSPF || c.Method == verify.MethodDKIM)
	})
	switch {
	case d.UnderReject == dmarc.WouldUnknown, len(passes) == 0 && untold:
		return cannot()
	case len(passes) > 0:
		return say(verify.NotProved, verify.NotForFrom, "method", result.Ours(passes[0].method), "passed", result.Domain(passes[0].domain))
	}
	return say(verify.NotProved, "verdict-nothing")
}

// passed is a domain that SPF or a signature passes for.
type passed struct{ method, domain string }

// passing are those of a message, signatures first: they survive forwarding.
func passing(d *dmarc.Result) (out []passed) {
	for _, a := range d.DKIM {
		if a.Word == result.Pass {
			out = append(out, passed{verify.MethodDKIM, a.Domain})
		}
	}
	if d.SPF.Word == result.Pass {
		out = append(out, passed{verify.MethodSPF, d.SPF.Domain})
	}
	return out
}

// counted says of each signature what it counts for in DMARC.
func counted(r *verify.Report) {
	d := result.Detail[dmarc.Result](r.Check(verify.MethodDMARC))
	for i := range r.Checks {
		o := &r.Checks[i]
		if s := result.Detail[dkim.Signature](*o); s != nil {
			s.Counts = d.Counts(s.Index, o.Result, s.Partly())
			s.Describe(o)
		}
	}
}

// Restore gives a report that was read from JSON what that does not keep: the labels, the details as types, and the facts.
// Nobody knows any more whose words its arguments are. A detail that cannot be read is an error that names its check.
func Restore(r *verify.Report) error {
	for i := range r.Checks {
		o := &r.Checks[i]
		at := slices.IndexFunc(list, func(c check) bool { return c.method == o.Method })
		if at < 0 {
			return fmt.Errorf("check %q: there is none", o.Method)
		}
		list[at].complete(r.Checks[i : i+1])
		if raw, ok := o.Detail.(json.RawMessage); ok && list[at].detail != nil {
			o.Detail = reflect.New(reflect.TypeOf(list[at].detail).Elem()).Interface()
			if err := json.Unmarshal(raw, o.Detail); err != nil {
				return fmt.Errorf("check %q: %w", o.Method, err)
			}
		}
		if d, ok := o.Detail.(result.Describer); ok {
			d.Describe(o)
		} else if t := r.Session.TLS; t != nil && o.Method == verify.MethodTLS {
			o.Facts = transport.Certificate(t.Client)
		}
	}
	counted(r)
	return nil
}
