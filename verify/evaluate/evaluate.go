// Package evaluate makes a Report of a Message: it has the list of checks, runs them side by side under
// their deadlines, and keeps one failing check from taking the others down. What a check finds is the
// check's affair; how findings of two checks go together is package diagnose's.
package evaluate

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"checkauth/verify"
	"checkauth/verify/diagnose"
	"checkauth/verify/dkim"
	"checkauth/verify/dns"
	"checkauth/verify/dnsbl"
	"checkauth/verify/inbound"
	"checkauth/verify/known"
	"checkauth/verify/mail"
	"checkauth/verify/naming"
	"checkauth/verify/panics"
	"checkauth/verify/receivers"
	"checkauth/verify/result"
	"checkauth/verify/share"
	"checkauth/verify/spam"
)

// Config of the evaluation; each bound must be above zero.
type Config struct {
	Evaluation time.Duration // of one message after its final dot; what is unfinished then is temperror
	SPF        time.Duration // of one SPF evaluation; RFC 7208, 4.6.4 says at least 20 s
	Signatures int           // DKIM signatures of one message that are verified
}

// Defaults of Config.
func Defaults() Config {
	return Config{Evaluation: 30 * time.Second, SPF: 20 * time.Second, Signatures: 10}
}

// Evaluator evaluates messages; one serves any number of them at once.
type Evaluator struct {
	Config Config
	DNS    dns.Resolver
	Quota  *dns.Quotas // of questions, over all messages; nil: none
	Health *dns.Health // of the resolver DNS; nil: nobody watches
	// Authorities are asked where a record decided a failure; nil: nobody is.
	Authorities *dns.Authorities
	Now         func() time.Time
	// Lists are the block lists to ask, Spamd the SpamAssassin to ask; without them these checks are not made.
	Lists []dnsbl.List
	Spamd spam.Config
	// Receivers are the rules of mailbox providers; nil: none are held against the message.
	Receivers *receivers.Set
	// Atlas knows who hosts zones and mail; nil: no actions are worked out.
	Atlas *known.Atlas
	// Servers are domains of mail services that many share: the name of a machine below one proves no sender.
	Servers []string
	// Loopback: a client on loopback is evaluated as one of the Internet, for tests on one machine.
	Loopback bool
	// Turns are for what computes some milliseconds (hashes, signatures), Searches for the search for causes, which may take
	// seconds. Hundreds of messages may wait for the DNS meanwhile, for which nobody holds a turn.
	Turns, Searches share.Turns
	// Panicked is told of a check that panicked; that check's result is temperror. It may be nil.
	Panicked func(id, method string, value any, stack []byte)

	more []check // of tests
}

// Evaluation is one message on its way: Header at most once, then exactly one of Finish and Abandon.
type Evaluation struct {
	ev     Evaluator
	env    verify.Envelope
	ctx    context.Context
	cancel context.CancelCauseFunc
	memo   *dns.Memo
	author atomic.Pointer[string] // domain of From, once the header is in

	early  sync.WaitGroup
	beside sync.WaitGroup // what others ask, of which the report has nothing
	watch  *dns.Watched   // nil where there is no Health

	account *dns.Account // nil where there is no Quota
	mu      sync.Mutex
	found   map[string][]result.Outcome // by method
	digest  *dkim.Digest                // of the DKIM check, to judge again with other keys
	fault   error                       // of ours: see Finish
	spared  error                       // the quota that left advice out
	sender  sender                      // what the domain of MAIL FROM says

	diagnoses []diagnose.Diagnosis // once the checks are done
	heard     []statements         // of the zones' own servers
}

var errAbandoned = errors.New("the client gave the message up")

// Begin starts the checks that need the envelope alone. They run while the message is still coming in.
func (ev Evaluator) Begin(ctx context.Context, env verify.Envelope) *Evaluation {
	e := &Evaluation{ev: ev, env: env, found: map[string][]result.Outcome{}}
	e.ctx, e.cancel = context.WithCancelCause(ctx)
	if ev.Quota != nil {
		e.account = ev.Quota.For(env.Client.Addr(), responsible(env))
	}
	e.memo = dns.NewMemo(e.ctx, e.upstream())
	e.memo.Follow(func(a dns.Answer) []dns.Question {
		if d := e.author.Load(); d != nil {
			return inbound.Follow(*d, a)
		}
		return nil
	})
	if e.faulty() != nil {
		return e // the resolver is known to be down
	}
	e.askAhead()
	for c := range ev.at(early) {
		e.start(&e.early, c, input{env: env})
	}
	e.askSender()
	return e
}

// upstream is the resolver for one message, charged to who sent it. Where it is down, nothing goes on.
func (e *Evaluation) upstream() dns.Resolver {
	up := e.ev.DNS
	if h := e.ev.Health; h != nil {
		e.watch = h.For(e.ctx, up, func(err error) {
			e.blame(err)
			e.cancel(err)
		})
		up = e.watch
	}
	if e.account != nil {
		up = e.account.Over(up)
	}
	return up
}

// blame keeps a fault of ours, the first one; nil is none.
func (e *Evaluation) blame(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fault == nil {
		e.fault = err
	}
}

func (e *Evaluation) faulty() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.fault
}

// spare notes that a quota has left advice out; nil: it has not.
func (e *Evaluation) spare(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.spared == nil {
		e.spared = err
	}
}

// Spared is the quota that left advice out of the report, after Finish; nil: none did.
func (e *Evaluation) Spared() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.spared
}

// responsible is the domain that SPF is asked about.
func responsible(env verify.Envelope) string {
	return cmp.Or(naming.Domain(env.MailFrom), naming.Key(env.Helo))
}

// expanded tells the sender's account of names that macros make.
func (e *Evaluation) expanded(name string) {
	if e.account != nil {
		e.account.Expanded(name)
	}
}

// Header asks ahead for what the message's checks will need.
func (e *Evaluation) Header(fields mail.Fields) {
	if e.faulty() != nil {
		return
	}
	author := mail.ParseFrom(fields).Domain
	if author != "" {
		e.author.Store(&author)
	}
	for _, q := range ahead(fields, author, e.ev.Config.Signatures) {
		e.memo.Prefetch(q)
	}
}

// Ask runs f with a resolver of the message's own memo, for at most so many questions, on its sender's
// account. The context ends with the evaluation's time; Finish and Abandon return when f has. It is called before
// them.
func (e *Evaluation) Ask(questions int, f func(context.Context, dns.Resolver)) {
	e.ask(&e.beside, "beside", questions, f)
}

// ask runs f in a goroutine of its own; what f would have learnt stays unknown if it panics.
func (e *Evaluation) ask(wg *sync.WaitGroup, what string, questions int, f func(context.Context, dns.Resolver)) {
	wg.Go(func() {
		defer panics.Recover(e.ev.panicked(e.env.ID, what))
		view := e.memo.View(questions)
		defer func() { e.blame(view.Quota()) }()
		f(e.ctx, view)
	})
}

// panicked tells of a panic that was caught.
func (ev Evaluator) panicked(id, what string) func(*panics.Recovered) {
	return func(r *panics.Recovered) {
		if ev.Panicked != nil {
			ev.Panicked(id, what, r.Value, r.Stack)
		}
	}
}

// Cancel makes Finish end soon, with temperror for what is not known yet. It may be called at any time.
func (e *Evaluation) Cancel() { e.cancel(errAbandoned) }

// Abandon ends what runs and waits for it.
func (e *Evaluation) Abandon() {
	e.cancel(errAbandoned)
	e.early.Wait()
	e.beside.Wait()
	e.wait()
}

// wait returns when nothing is being asked any more.
func (e *Evaluation) wait() {
	e.memo.Wait()
	if e.watch != nil {
		e.watch.Wait()
	}
}

// Finish evaluates the message and gives the report. Nothing that it started runs on after it.
//
// The error is a fault of ours: a quota of questions a minute (an error that wraps a *dns.QuotaError) refused what
// the checks or those of Ask wanted to know, or our own resolver is down (dns.ErrDown). The report then says
// nothing about the message, and has no advice. A quota that is met in advice alone, which comes last, leaves that
// advice out, and a finding says so.
func (e *Evaluation) Finish(m *verify.Message) (*verify.Report, error) {
	ctx, cancel := context.WithTimeoutCause(e.ctx, e.ev.Config.Evaluation,
		fmt.Errorf("the %s for one message are over", e.ev.Config.Evaluation))
	defer cancel()
	// The early checks live under e.ctx; they must end with this deadline as well.
	stop := context.AfterFunc(ctx, func() { e.cancel(context.Cause(ctx)) })
	defer stop()
	defer e.wait() // what was asked ahead and not needed ends too
	defer e.cancel(nil)
	if err := e.faulty(); err != nil {
		e.cancel(err)
		e.early.Wait()
		e.beside.Wait()
		return e.report(m), err
	}

	in := input{env: e.env, msg: bounded(ctx, m)}
	var late, informing sync.WaitGroup
	for c := range e.ev.at(beside) {
		e.start(&informing, c, in)
	}
	for c := range e.ev.at(whole) {
		e.start(&late, c, in)
	}
	e.early.Wait()
	late.Wait()
	e.mu.Lock() // others may still write
	in.spf, in.dkim = e.found[verify.MethodSPF], e.found[verify.MethodDKIM]
	e.mu.Unlock()
	for c := range e.ev.at(last) {
		e.start(&late, c, in)
		late.Wait()
	}
	informing.Wait()
	r := e.report(m)
	counted(r)
	e.rank(ctx, r)
	if e.faulty() == nil {
		e.diagnoses = e.diagnose(ctx, r, in.msg)
		e.conclude(r)
		r.Authoritative = e.authoritative(ctx)
		e.advise(ctx, r, in.msg)
		e.noteSpared(r)
	}
	e.beside.Wait() // before its questions are cut off
	return r, e.faulty()
}

// noteSpared says in the report that advice is left out, and why.
func (e *Evaluation) noteSpared(r *verify.Report) {
	if e.Spared() != nil {
		r.Findings = append(r.Findings, result.Found(result.Info, "advice-quota"))
	}
}

// brief leaves out the rules that are met or that nobody looked at: there are some seventy.
func brief(all []verify.Receiver) []verify.Receiver {
	for i := range all {
		all[i].Rules = slices.DeleteFunc(all[i].Rules, func(r verify.ReceiverRule) bool {
			return r.State == verify.Met || r.State == verify.NotSeen
		})
	}
	return all
}

func sortFindings(r *verify.Report) {
	slices.SortStableFunc(r.Findings, func(a, b result.Finding) int { return cmp.Compare(rank[a.Severity], rank[b.Severity]) })
}

// Evaluate does all of it for a message that is there as a whole. It is for whoever has neither Quota nor Health, so
// that no fault of Finish can be met.
func (ev Evaluator) Evaluate(ctx context.Context, m *verify.Message) *verify.Report {
	e := ev.Begin(ctx, m.Envelope)
	e.Header(m.Fields)
	r, _ := e.Finish(m)
	return r
}

// start runs one check in a goroutine of its own.
func (e *Evaluation) start(wg *sync.WaitGroup, c check, in input) {
	wg.Go(func() {
		o := e.guarded(c, in)
		e.mu.Lock()
		defer e.mu.Unlock()
		e.found[c.method] = o
	})
}

// guarded runs a check under its own deadline and turns a panic into that check's temperror.
func (e *Evaluation) guarded(c check, in input) (out []result.Outcome) {
	defer panics.Recover(func(r *panics.Recovered) {
		e.ev.panicked(e.env.ID, c.method)(r)
		out = c.complete(only(result.Outcome{Result: result.TempError,
			Reason: result.Because(verify.Panicked, "id", result.Ours(e.env.ID)), Cause: "our own fault"}))
	})
	ctx := e.ctx
	if c.limit != nil {
		limit := c.limit(e.ev.Config)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, fmt.Errorf("the %s for %s are over", limit, c.method))
		defer cancel()
	}
	if why := e.ev.unseen(in.env.Client.Addr()); c.needsAddress && !why.IsZero() {
		return c.complete(only(result.Outcome{Result: result.NotRun, Reason: why}))
	}
	view := e.memo.View(c.budget + c.own)
	diagnosis := e.memo.View(c.diagnosis)
	in.diagnose, in.expect, in.expanded, in.keep = diagnosis, e.memo.Prefetch, e.expanded, e.keep
	out = c.run(ctx, e.ev, view, in)
	if c.informs {
		e.spare(view.Quota())
	} else {
		e.blame(view.Quota())
	}
	e.spare(diagnosis.Quota())
	evidence := view.Evidence()
	for i := range out {
		if out[i].Evidence == nil {
			out[i].Evidence = evidence
		}
	}
	return c.complete(out)
}

// keep has what was hashed of the message.
func (e *Evaluation) keep(d *dkim.Digest) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.digest = d
}

// complete fills in what the list says of a check.
func (c check) complete(out []result.Outcome) []result.Outcome {
	for i := range out {
		out[i].Method, out[i].Label, out[i].Registered, out[i].Beyond = c.method, c.label, c.registered, c.beyond
		if out[i].Identities == nil {
			out[i].Identities = map[string]string{}
		}
		if out[i].Evidence == nil {
			out[i].Evidence = []result.Evidence{}
		}
	}
	return out
}

// unseen tells why nothing can be said of a client by its address; zero where something can. A private one means
// that we stand behind NAT or a container's proxy, and loopback that one stands on this machine.
func (ev Evaluator) unseen(a netip.Addr) result.Reason {
	a = a.Unmap()
	switch {
	case a.IsLoopback() && !ev.Loopback:
		return result.Because("client-address-loopback", "ip", a)
	case !a.IsValid() || naming.Private(a) || a.IsUnspecified() || a.IsMulticast():
		return result.Because("client-address-private", "ip", a)
	}
	return result.Reason{}
}

// What unseen says.
const clientPrivate, clientLoopback = "client-address-private", "client-address-loopback"

func only(o result.Outcome) []result.Outcome { return []result.Outcome{o} }

// bounded makes every reader of the message end with the context, so that nothing outlives Finish.
func bounded(ctx context.Context, m *verify.Message) *verify.Message {
	b := *m
	if m.Body.At != nil {
		b.Body.At = ctxReaderAt{ctx, m.Body.At}
	}
	if m.Whole.At != nil {
		b.Whole.At = ctxReaderAt{ctx, m.Whole.At}
	}
	return &b
}

type ctxReaderAt struct {
	ctx context.Context
	at  io.ReaderAt
}

func (r ctxReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.at.ReadAt(p, off)
}

// report puts together what the checks found, in the report's order.
func (e *Evaluation) report(m *verify.Message) *verify.Report {
	r := &verify.Report{
		Version: verify.Version, ID: e.env.ID, Host: e.env.Host, Time: e.env.Time,
		Session: session(m),
		Message: verify.MessageFacts{
			From: m.Fields.Value("From"), Subject: m.Fields.Value("Subject"),
			MessageID: m.Fields.Value("Message-ID"), Size: m.Whole.Size, Fields: m.Fields,
		},
		Findings: []result.Finding{}, Receivers: []verify.Receiver{}, Actions: []verify.Action{}, Authoritative: []verify.Authority{},
	}
	for _, c := range e.ev.checks() {
		for _, o := range e.found[c.method] {
			for _, f := range o.Findings {
				if f.Check == "" {
					f.Check = c.method
				}
				r.Findings = append(r.Findings, f)
			}
			r.Checks = append(r.Checks, o)
		}
	}
	r.Findings = append(r.Findings, outages(r)...)
	r.Findings = append(r.Findings, notes(m)...)
	switch why := e.ev.unseen(e.env.Client.Addr()); why.Code {
	case clientPrivate:
		r.Findings = append(r.Findings, result.Found(result.Error, "client-address-private", "ip", why.Args.Text("ip")))
	case clientLoopback:
		r.Findings = append(r.Findings, result.Found(result.Error, "client-address-loopback", "ip", why.Args.Text("ip")))
	}
	r.Verdict = judge(r)
	return r
}

var rank = map[result.Severity]int{result.Error: 0, result.Warning: 1, result.Info: 2}

func session(m *verify.Message) verify.Session {
	env := m.Envelope
	s := verify.Session{
		ClientIP: env.Client.Addr().String(), ClientPort: env.Client.Port(), Helo: env.Helo, TLS: env.TLS, TLSFailed: env.TLSFailed,
		MailFrom: env.MailFrom, RcptTo: env.RcptTo, Transcript: m.Transcript,
	}
	if s.RcptTo == nil {
		s.RcptTo = []string{}
	}
	if s.Transcript == nil {
		s.Transcript = []verify.Line{}
	}
	return s
}

// outages names the questions that the DNS did not answer, where they decided a result: once each, however
// many checks met them.
func outages(r *verify.Report) []result.Finding {
	var out []result.Finding
	for _, c := range r.Checks {
		if c.Result != result.TempError || !strings.HasPrefix(string(c.Reason.Code), "dns-") {
			continue
		}
		same := func(f result.Finding) bool { return f.Code == c.Reason.Code && f.Args.Equal(c.Reason.Args) }
		if !slices.ContainsFunc(r.Findings, same) && !slices.ContainsFunc(out, same) {
			out = append(out, result.Finding{Severity: result.Error, Code: c.Reason.Code, Args: c.Reason.Args, Check: c.Method})
		}
	}
	return out
}

// notes turns what the SMTP side saw into findings.
func notes(m *verify.Message) []result.Finding {
	var out []result.Finding
	for _, n := range m.Notes {
		out = append(out, result.Found(result.Warning, result.Code("smtp-"+n.Code), "count", n.Count))
	}
	if m.Unparsed != nil {
		out = append(out, result.Found(result.Error, "message-unparsable", "error", m.Unparsed.Error()))
	}
	bad, fields := m.Fields.Malformed(), m.Fields
	if _, ok := fields.BOM(); ok {
		bad, fields = bad[1:], fields[1:] // the check of the header says what the first one is
	}
	if len(bad) > 0 {
		out = append(out, result.Found(result.Warning, "header-malformed-line", "count", len(bad),
			"line", lineOf(m.Fields[:len(m.Fields)-len(fields)], fields), "text", strings.TrimSpace(string(bad[0].Raw))))
	}
	for _, f := range m.Fields {
		if mail.ClaimsAuthserv(f, m.Envelope.Host) {
			out = append(out, result.Found(result.Warning, "ar-forged", "host", result.Ours(m.Envelope.Host)))
			break
		}
	}
	return out
}

// lineOf is the number of the first line that is no field, from 1, where before stands in front of fs.
func lineOf(before, fs mail.Fields) int {
	n := 1 + bytes.Count(before.Bytes(), []byte("\n"))
	for _, f := range fs {
		if f.Name == "" {
			break
		}
		n += bytes.Count(f.Raw, []byte("\n"))
	}
	return n
}
