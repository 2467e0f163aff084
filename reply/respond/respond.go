// Package respond is the way of one mail through the back of the house: evaluate, decide, compose,
// store. Its answer says 250 only when the reply is durably stored.
package respond

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"checkauth/reply"
	"checkauth/reply/compose"
	"checkauth/reply/deliver"
	"checkauth/reply/policy"
	"checkauth/reply/store"
	"checkauth/verify"
	"checkauth/verify/dns"
	"checkauth/verify/evaluate"
	"checkauth/verify/mail"
	"checkauth/verify/mtasts"
	"checkauth/verify/naming"
	"checkauth/verify/result"
	"checkauth/verify/share"
)

// Store is what is needed of the store: called from many transactions at once.
type Store interface {
	// Put stores an entry, all or nothing, and returns when it is durable. full is the first bucket that
	// was full; then nothing is stored. Peek tells which one Put would find full.
	Put(ctx context.Context, e reply.Entry, buckets []reply.Bucket, now time.Time) (full reply.Full, err error)
	Peek(ctx context.Context, buckets []reply.Bucket, now time.Time) (full reply.Full, err error)
	// Seen gives the report id of an entry with that digest made since then and by now, or "".
	Seen(ctx context.Context, digest []byte, since, now time.Time) (id string, err error)
	// Secrets keeps offer under a name that is new, and gives all that have not expired.
	Secrets(ctx context.Context, name string, offer []byte, expires, now time.Time) (map[string][]byte, error)
	// Stop, Resume and Stopped keep who wants no reports.
	Stop(ctx context.Context, address string, now time.Time) error
	Resume(ctx context.Context, address string) error
	Stopped(ctx context.Context, address string) (bool, error)
	// Undelivered gives the newest reply for somebody that was tried and not taken.
	Undelivered(ctx context.Context, whom string) (store.Undelivered, error)
}

// Config of a Responder.
type Config struct {
	Host  string
	Queue time.Duration // how long a reply is tried
	Again time.Duration // the same message again within this time is not answered twice
	Log   *slog.Logger
	Now   func() time.Time
}

// Defaults of Config.
func Defaults() Config {
	return Config{Queue: 24 * time.Hour, Again: time.Hour}
}

// Responder begins transactions; one serves all sessions.
type Responder struct {
	Config  Config
	Run     evaluate.Evaluator
	Policy  policy.Config
	Compose *compose.Composer
	Store   Store
	Enqueue func(reply.Entry) // tells the delivery that an entry is there
	// Admit waits while replies leave more slowly than they come in, where a reply to an address, of a client's test, would
	// make that worse (deliver.Deliverer); nil: nobody waits.
	Admit func(ctx context.Context, client netip.Addr, to string) error
	// Destination tells where a mail to an address would be brought to (deliver.Destination); nil: to a relay.
	Destination func(ctx context.Context, r dns.Resolver, to string) ([]deliver.Place, error)
	// Promised gives the MTA-STS policy of a domain, fetched only where that is wanted (deliver.Deliverer); nil: none.
	Promised func(ctx context.Context, domain string, fetch bool) mtasts.Policy

	mu      sync.Mutex
	working map[string]bool // digests of messages that are evaluated just now
	heard   heardReports    // answers

	tokens keyring
	warned lastWarning
	shorts share.Notices
}

// claim is false where the message is being worked on already.
func (r *Responder) claim(digest []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.working[string(digest)] {
		return false
	}
	if r.working == nil {
		r.working = map[string]bool{}
	}
	r.working[string(digest)] = true
	return true
}

func (r *Responder) release(digest []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.working, string(digest))
}

// Transaction is one mail: Header at most once, then exactly one of Finish and Abandon.
type Transaction struct {
	r    *Responder
	env  verify.Envelope
	eval *evaluate.Evaluation // nil where nothing is evaluated
	to   route
}

// Begin starts the checks that need the envelope alone.
func (r *Responder) Begin(ctx context.Context, env verify.Envelope) reply.Transaction {
	t := &Transaction{r: r, env: env}
	if env.Purpose == verify.ForTest && !r.Policy.Early(env) {
		t.eval = r.Run.Begin(ctx, env)
		t.askRoute(t.recipient())
	}
	return t
}

// Header tells the fields, as soon as they are there.
func (t *Transaction) Header(f mail.Fields) {
	if t.eval != nil {
		t.eval.Header(f)
		if t.r.Policy.Addresses.Of(t.env.RcptTo).Kind == policy.ToAuthor {
			t.askRoute(policy.Author(f))
		}
	}
}

// Abandon ends what runs.
func (t *Transaction) Abandon() {
	if t.eval != nil {
		t.eval.Abandon()
	}
}

// Finish returns when the reply is stored or refused. What keeps us from it and passes by itself is an answer too
// (putOff); an error is a fault that somebody has to look at: nothing is stored, and the client should try again.
func (t *Transaction) Finish(ctx context.Context, m *verify.Message) (reply.Answer, error) {
	a, err := t.finish(ctx, m)
	if err != nil {
		return t.putOff(ctx, err)
	}
	return a, nil
}

func (t *Transaction) finish(ctx context.Context, m *verify.Message) (reply.Answer, error) {
	switch {
	case t.env.Purpose != verify.ForTest:
		return t.forward(ctx, m)
	case t.eval == nil:
		return t.early(ctx)
	}
	if t.r.Admit != nil {
		if err := t.r.Admit(ctx, t.env.Client.Addr(), t.recipient()); err != nil {
			t.eval.Abandon()
			return reply.Answer{}, err
		}
	}
	var digest []byte
	var err error
	t.compute(ctx, func() { digest, err = digestOf(m) })
	if err != nil {
		t.eval.Abandon()
		return reply.Answer{}, err
	}
	if !t.r.claim(digest) {
		t.eval.Abandon()
		return reply.Answer{}, errTwice
	}
	defer t.r.release(digest)
	id, err := t.answeredBefore(ctx, digest)
	if err != nil || id != "" {
		t.eval.Abandon()
		return t.sameAgain(id), err
	}
	began := t.r.Config.Now()
	stop := context.AfterFunc(ctx, t.eval.Cancel)
	report, err := t.eval.Finish(m)
	stop()
	if ctx.Err() != nil {
		return reply.Answer{}, context.Cause(ctx)
	}
	if err != nil {
		return reply.Answer{}, err
	}
	t.warn(ctx, t.eval.Spared(), "advice is left out of a report")
	return t.decide(ctx, report, m, digest, t.r.Config.Now().Sub(began))
}

// compute runs a computation that waits for nothing. Only so many run at once.
func (t *Transaction) compute(ctx context.Context, f func()) { t.r.Run.Turns.Do(ctx, f) }

// settle decides, composes and stores.
func (t *Transaction) decide(ctx context.Context, report *verify.Report, m *verify.Message, digest []byte, took time.Duration) (reply.Answer, error) {
	now := t.r.Config.Now()
	facts, err := t.facts(ctx, report, now)
	if err != nil {
		return reply.Answer{}, err
	}
	d := t.r.Policy.Decide(report, facts, now)
	if d.Resume != "" {
		if err := t.r.Store.Resume(ctx, d.Resume); err != nil {
			return reply.Answer{}, err
		}
	}
	if d.Mail {
		obstacle, err := t.foresee(ctx, report, d.To)
		if err != nil {
			return reply.Answer{}, err
		}
		if d, err = t.mail(ctx, d, report, m, digest, now); err != nil {
			return reply.Answer{}, err
		}
		if d.Mail && obstacle.Code != "" {
			d.Lines = append(d.Lines, obstacle)
		}
	}
	t.r.Config.Log.InfoContext(ctx, "message evaluated", "report", report.ID, "client", report.Session.ClientIP,
		"verdict", report.Verdict.Word, "spf", report.Check(verify.MethodSPF).Result,
		"dmarc", report.Check(verify.MethodDMARC).Result, "class", d.Class, "form", d.Form.Kind, "mailed", d.Mail, "rule", d.Rule,
		"code", d.Code, "size", m.Whole.Size, "took", took)
	a := t.r.Compose.Answer(d)
	if d.Mail {
		a.Report = report.ID
	}
	return a, nil
}

// facts are what the policy needs of the store and of the DNS.
func (t *Transaction) facts(ctx context.Context, report *verify.Report, now time.Time) (policy.Facts, error) {
	to, _ := t.r.Policy.Recipient(report)
	f := policy.Facts{Route: t.to.found(to)}
	f.Service = t.r.reader(report.Session.MailFrom, f.Route)
	var err error
	if f.Keys, err = t.r.keys(ctx, now); err != nil {
		return f, err
	}
	if to == "" {
		return f, nil
	}
	if f.Stopped, err = t.r.Store.Stopped(ctx, naming.Fold(to)); err != nil {
		return f, err
	}
	known, err := t.r.Store.Peek(ctx, t.r.Policy.Asks(f.Route, to, now), now)
	f.Known = known.Key != ""
	return f, err
}

// mail composes and stores the reply. Where a counter is full the decision is another: that is asked before
// composing, so that a flood costs no signature, and holds when the reply is stored.
func (t *Transaction) mail(ctx context.Context, d policy.Decision, report *verify.Report, m *verify.Message, digest []byte, now time.Time) (policy.Decision, error) {
	full, err := t.r.Store.Peek(ctx, d.Buckets, now)
	if err != nil {
		return d, err
	}
	if full.Key != "" {
		t.short(ctx, full)
		return t.r.Policy.Full(d, report, full, now), nil
	}
	e, err := t.r.Compose.Reply(report, d, m.Body, now) // which has turns of its own
	if err != nil {
		return d, err
	}
	e.Client = t.env.Client.Addr()
	e.Digest, e.Whom, e.Counted = digest, naming.Fold(d.To), d.Counted
	full, err = t.put(ctx, e, d.Buckets, now)
	if err != nil {
		return d, err
	}
	if full.Key != "" {
		t.short(ctx, full)
		return t.r.Policy.Full(d, report, full, now), nil
	}
	return d, nil
}

// early is the answer to what the envelope alone decides.
func (t *Transaction) early(ctx context.Context) (reply.Answer, error) {
	now := t.r.Config.Now()
	keys, err := t.r.keys(ctx, now)
	if err != nil {
		return reply.Answer{}, err
	}
	d := t.r.Policy.DecideEarly(t.env, keys, now)
	if d.Stop != "" {
		if err := t.r.Store.Stop(ctx, d.Stop, now); err != nil {
			return reply.Answer{}, err
		}
	}
	t.r.Config.Log.InfoContext(ctx, "message not evaluated", "report", t.env.ID, "client", t.env.Client.Addr(),
		"form", d.Form.Kind, "rule", d.Rule, "code", d.Code)
	return t.r.Compose.Answer(d), nil
}

func (t *Transaction) put(ctx context.Context, e reply.Entry, buckets []reply.Bucket, now time.Time) (reply.Full, error) {
	e.Expires = now.Add(t.r.Config.Queue)
	if err := ctx.Err(); err != nil {
		return reply.Full{}, context.Cause(ctx)
	}
	// A Put that began is waited for, whatever becomes of the client (RFC 1047).
	full, err := t.r.Store.Put(context.WithoutCancel(ctx), e, buckets, now)
	if err != nil {
		return full, fmt.Errorf("storing the reply %s: %w", e.ID, err)
	}
	if full.Key == "" {
		t.r.Enqueue(e)
	}
	return full, nil
}

// forward passes mail for postmaster and abuse on to the operator.
func (t *Transaction) forward(ctx context.Context, m *verify.Message) (reply.Answer, error) {
	now := t.r.Config.Now()
	var e reply.Entry
	var err error
	t.compute(ctx, func() { e, err = t.r.Compose.Forward(t.env, m.Whole.Reader(), now) })
	if err != nil {
		return reply.Answer{}, err
	}
	d := policy.Answered(result.Because("answer-operator", "id", result.Ours(e.ID)))
	full, err := t.put(ctx, e, t.r.Policy.Operator(t.env.Client.Addr(), now), now)
	if err != nil {
		return reply.Answer{}, err
	}
	if full.Key != "" {
		t.short(ctx, full)
		d = policy.PutOff(policy.NoRoom, result.Because("answer-operator-full"))
	}
	t.r.Config.Log.InfoContext(ctx, "mail for the operator", "report", e.ID, "client", t.env.Client.Addr(), "code", d.Code)
	return t.r.Compose.Answer(d), nil
}
