package deliver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"checkauth/reply/store"
	"checkauth/verify/dns"
	"checkauth/verify/panics"
	"checkauth/verify/result"
)

// bookkeeping bounds one call of the store when everything else ends.
const bookkeeping = 10 * time.Second

var errStopping = errors.New("this service is stopping")

// Run delivers until the context ends; then what runs has Grace to finish and what waits goes back to
// the store.
func (d *Deliverer) Run(ctx context.Context) error {
	work, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(errStopping)
	tick := time.NewTicker(d.cfg.Every)
	defer tick.Stop()
	d.claim(ctx)
	for {
		d.startAll(work)
		d.giveBack(ctx, d.queue.returns(), d.cfg.Retries[0])
		select {
		case <-ctx.Done():
			d.finish(ctx, stop)
			return nil
		case <-d.wake:
		case <-tick.C:
			d.writeAgain(ctx)
			d.claim(ctx)
		}
	}
}

// claim fills the queue with what is due.
func (d *Deliverer) claim(ctx context.Context) {
	room := d.queue.room()
	if room == 0 || ctx.Err() != nil {
		return
	}
	if d.cfg.Health != nil && d.cfg.Relay == "" && d.cfg.Health.Down(ctx) != nil {
		return // the entries do not age meanwhile: nobody looks at them
	}
	due, err := d.store.Claim(ctx, d.cfg.Now(), room)
	if err != nil && ctx.Err() == nil {
		d.cfg.Log.ErrorContext(ctx, "queue not read", "error", err)
	}
	for _, c := range due {
		if c.Hurried {
			d.queue.reached(c.To) // the operator asked for this try: forget the back-off
		}
		d.queue.add(c, d.cfg.Now())
	}
}

func (d *Deliverer) startAll(ctx context.Context) {
	for {
		p, ok := d.queue.next()
		if !ok {
			d.queue.makeWay(time.Now())
			return
		}
		d.tasks.Go(func() { d.one(ctx, p) })
	}
}

// giveBack returns leases; the entries come again after that time.
func (d *Deliverer) giveBack(ctx context.Context, ids []string, after time.Duration) {
	for _, id := range ids {
		if err := d.store.Release(ctx, id, d.cfg.Now().Add(after)); err != nil && !errors.Is(err, store.ErrUnknown) {
			d.cfg.Log.ErrorContext(ctx, "lease not given back, it runs out", "report", id, "error", err)
		}
	}
}

// finish waits for what runs, at most Grace until its connections are cut.
func (d *Deliverer) finish(ctx context.Context, stop context.CancelCauseFunc) {
	cut := time.AfterFunc(d.cfg.Grace, func() { stop(errStopping) })
	defer cut.Stop()
	d.tasks.Wait()
	d.idle.close()
	if d.sts != nil {
		d.sts.Close()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bookkeeping)
	defer cancel()
	d.writeAgain(ctx)
	d.giveBack(ctx, d.queue.drain(), 0)
}

// one is a try of one entry, in a goroutine of its own.
func (d *Deliverer) one(ctx context.Context, p *slot) {
	// Its lease runs out, and it comes again.
	defer panics.Recover(func(r *panics.Recovered) { d.panicked(ctx, "beside a delivery", p.ID, r) })
	hung := make(chan struct{})
	late := time.AfterFunc(patience, func() {
		defer panics.Recover(func(r *panics.Recovered) { d.panicked(ctx, "while a delivery takes long", p.ID, r) })
		defer close(hung)
		d.queue.slowed(p)
		d.signal()
	})
	defer func() {
		if !late.Stop() {
			<-hung
		}
		d.queue.end(p)
		d.signal()
	}()
	if !d.ours(ctx, p.Claimed) {
		return
	}
	started := time.Now()
	of := d.attempt(p.Entry, p)
	what, err := d.guarded(ctx, p, of)
	d.record(ctx, p, of, what, err, time.Since(started))
	if what.bye != nil {
		what.bye()
	}
}

// ours sees to it that the lease outlasts the try. Where it may not, a new one is asked for: an entry that
// waited here until its lease was over may be the operator's, who dropped it, or another node's. What cannot be
// made sure of, as on a full disk, is not sent; it comes back with the end of its lease.
func (d *Deliverer) ours(ctx context.Context, c store.Claimed) bool {
	now := d.cfg.Now()
	if c.Until.After(now.Add(d.cfg.Attempt)) {
		return true
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bookkeeping)
	defer cancel()
	err := d.store.Renew(ctx, c.ID, now)
	if err == nil {
		return true
	}
	d.queue.tried(c.ID)
	if errors.Is(err, store.ErrUnknown) {
		d.cfg.Log.InfoContext(ctx, "report not tried: dropped, or another node's", "report", c.ID)
	} else {
		d.cfg.Log.ErrorContext(ctx, "report not tried, it comes back: no new lease", "report", c.ID, "error", err)
	}
	return false
}

// panicked logs a fault of ours.
func (d *Deliverer) panicked(ctx context.Context, where, id string, r *panics.Recovered) {
	d.cfg.Log.ErrorContext(ctx, "panic "+where, "report", id, "panic", r.Value, "stack", string(r.Stack))
}

// guarded turns a panic into a failed try: it must not end the process with every session in it.
func (d *Deliverer) guarded(ctx context.Context, p *slot, of *attempt) (what outcome, err error) {
	defer panics.Recover(func(r *panics.Recovered) {
		d.panicked(ctx, "in a delivery", p.ID, r)
		what.talked = true // it is no word on the domain
		err = r
	})
	if now := d.cfg.Now(); !p.Expires.After(now) {
		if _, set := d.queue.clockSet(p.ID, now); !set {
			return what, permanent(errExpired)
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, d.cfg.Attempt, fmt.Errorf("the %s for one try are over", d.cfg.Attempt))
	defer cancel()
	ctx, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	d.queue.cuttable(p, cut)
	defer d.queue.cuttable(p, nil)
	return d.try(ctx, of)
}

var errExpired = errors.New("expired")

// record writes down what became of a try.
func (d *Deliverer) record(ctx context.Context, p *slot, of *attempt, what outcome, err error, took time.Duration) {
	c := p.Claimed
	stopping := errors.Is(context.Cause(ctx), errStopping)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bookkeeping)
	defer cancel()
	now := d.cfg.Now()
	log := d.cfg.Log.With("report", c.ID, "domain", domainOf(c.To), "try", c.Tries+1, "took", took)
	next := now.Add(d.delay(c.Tries))
	if until := postponedUntil(err); until.After(next) {
		next = until
	}
	reason := reasonOf(err, c.To)
	out := what.outcome(kindOf(err), reason, c.To)
	out.Untried = errors.Is(err, errExpired)
	if what.talked {
		d.queue.reached(c.To)
		d.queue.answers(p, err == nil)
	}
	d.complain(ctx, c.To, what, err)
	since, set := d.queue.clockSet(c.ID, now)
	switch {
	case err == nil:
		log.InfoContext(ctx, "report delivered", what.attrs()...)
		err = d.write(ctx, ending{c.ID, func(ctx context.Context) error { return d.store.Done(ctx, c.ID, now, out) }})
		if d.cfg.Took != nil && d.cfg.Relay == "" {
			d.cfg.Took(ctx, c.Entry, what.name, what.at, what.met)
		}
	case isPermanent(err):
		d.lost(ctx, log, c.To, "report not deliverable", reason)
		err = d.fail(ctx, c.ID, now, out)
	case stopping:
		d.queue.tried(c.ID)
		err = d.store.Release(ctx, c.ID, now)
	case of.untried(err, now):
		log.InfoContext(ctx, "report waits: no server was connected to", "until", postponedUntil(err), "reason", reason)
		d.queue.tried(c.ID)
		err = d.store.Release(ctx, c.ID, postponedUntil(err))
	case d.blind(ctx, err):
		// Nothing was learnt about the destination: no try is counted, nothing rests or expires.
		log.InfoContext(ctx, "report waits: our own DNS resolver does not answer", "reason", reason)
		d.queue.tried(c.ID)
		err = d.store.Release(ctx, c.ID, now.Add(d.cfg.Retries[0]))
	case set:
		// Its times are by the old clock. It goes back with one of them, so that the store sees how far it is off.
		log.InfoContext(ctx, "report goes back: the clock was set while it was tried", "reason", reason)
		d.queue.tried(c.ID)
		err = d.store.Release(ctx, c.ID, since)
	case !next.Add(d.cfg.Every).Before(c.Expires):
		// The next look at the queue would come too late for that try; its reason would be lost.
		d.lost(ctx, log, c.To, "report expired", reason)
		out.Reason = "expired: " + reason
		err = d.fail(ctx, c.ID, now, out)
	default:
		if !what.talked {
			d.queue.backsOff(c.To, now, next)
		}
		log.InfoContext(ctx, "report waits for another try", "next", next, "reason", reason)
		d.queue.tried(c.ID)
		err = d.store.Retry(ctx, c.ID, next, out)
	}
	if err != nil {
		log.ErrorContext(ctx, "outcome not stored yet", "error", err)
	}
}

// lost logs that an entry is given up. What was to go to the operator is mail that was taken for postmaster or
// abuse: it is the operator's own address that is wrong, or it leads back to us.
func (d *Deliverer) lost(ctx context.Context, log *slog.Logger, to, what, reason string) {
	if d.cfg.Operator != "" && sameAddress(to, d.cfg.Operator) {
		log.ErrorContext(ctx, "mail for the operator is lost: look at operator in the configuration", "why", what, "reason", reason)
		return
	}
	log.WarnContext(ctx, what, "reason", reason)
}

// blind tells whether a try failed because our own resolver is down.
func (d *Deliverer) blind(ctx context.Context, err error) bool {
	e, ok := errors.AsType[*dns.Error](err)
	return ok && e.Kind.Suspect() && d.cfg.Health != nil && d.cfg.Health.Check(ctx) != nil
}

// sameAddress: an entry has its recipient's domain in A-labels, the configuration as it is typed.
func sameAddress(a, b string) bool {
	i, j := strings.LastIndexByte(a, '@'), strings.LastIndexByte(b, '@')
	if i < 0 || j < 0 || !strings.EqualFold(a[:i], b[:j]) {
		return false
	}
	x, failed := wireName(a[i+1:])
	y, err := wireName(b[j+1:])
	if failed != nil || err != nil { // an address literal
		return strings.EqualFold(a[i:], b[j:])
	}
	return x == y
}

// complaining is how often the operator hears of one matter.
const complaining = time.Hour

// complaints are what the operator was told, and when.
type complaints struct {
	mu   sync.Mutex
	last map[string]time.Time
}

func (c *complaints) due(about string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if last, told := c.last[about]; told && now.Sub(last).Abs() < complaining {
		return false
	}
	if c.last == nil {
		c.last = map[string]time.Time{}
	}
	c.last[about] = now
	return true
}

// complain says what only the operator, or whoever runs the relay, can change. Meanwhile the entries wait.
func (d *Deliverer) complain(ctx context.Context, to string, what outcome, err error) {
	m, ok := errors.AsType[*ourMatter](err)
	if !ok {
		return
	}
	var about string
	switch {
	case m.kind == refusesAddress:
		about = "a receiver refuses our address, for it has no PTR record that leads back to it: its reports wait until they expire; have the record set"
	case d.cfg.Relay == "":
		about = "a receiver refuses MAIL FROM:<>, which RFC 5321, 4.5.5 wants taken: its reports wait until they expire"
	case m.kind == refusesToRelay:
		about = "the relay does not relay for us: the reports wait; let it take mail from this machine's address, or set deliver.relay-user and deliver.relay-password-file"
	case d.cfg.From == "":
		about = "the relay refuses MAIL FROM:<>: the reports wait; set deliver.envelope-from to an address whose bounces somebody reads, or use another relay"
	default:
		about = "the relay refuses deliver.envelope-from: the reports wait; set an address that it takes"
	}
	if d.complaints.due(about, d.cfg.Now()) {
		d.cfg.Log.WarnContext(ctx, about, "host", what.host, "answer", reasonOf(m, to))
	}
}

// ending is what became of an entry for good.
type ending struct {
	id    string
	store func(ctx context.Context) error
}

func (d *Deliverer) fail(ctx context.Context, id string, now time.Time, out store.Outcome) error {
	return d.write(ctx, ending{id, func(ctx context.Context) error { return d.store.Fail(ctx, id, now, out) }})
}

// write stores an ending. One that cannot be stored, as on a full disk, is kept, for at the end of its
// lease the entry would be sent again.
func (d *Deliverer) write(ctx context.Context, e ending) error {
	err := e.store(ctx)
	if err != nil && !errors.Is(err, store.ErrUnknown) && d.queue.keep(e) {
		return err
	}
	d.queue.tried(e.id)
	return err
}

// writeAgain stores the endings that could not be stored before, up to the first that still cannot.
func (d *Deliverer) writeAgain(ctx context.Context) {
	kept := d.queue.takeKept()
	for i, e := range kept {
		err := d.write(ctx, e)
		switch {
		case err == nil:
			d.cfg.Log.InfoContext(ctx, "outcome stored after all", "report", e.id)
		case !errors.Is(err, store.ErrUnknown):
			for _, e := range kept[i+1:] {
				d.queue.keep(e)
			}
			return
		}
	}
}

// delay is the time to the next try, with up to a tenth more, so that entries that failed together do
// not come back together.
func (d *Deliverer) delay(tries int) time.Duration {
	base := d.cfg.Retries[min(tries, len(d.cfg.Retries)-1)]
	return base + rand.N(base/10+1)
}

// reasonOf is an error for the log and the table: bounded, and without the recipient's local part,
// which servers like to repeat.
func reasonOf(err error, to string) string {
	if err == nil {
		return ""
	}
	text := discreet(err.Error(), to)
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	return text
}

// discreet is a stranger's text without controls and without the recipient.
func discreet(text, to string) string {
	if to != "" {
		text = strings.ReplaceAll(text, to, "recipient")
	}
	return result.Clean(text)
}
