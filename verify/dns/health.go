package dns

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"checkauth/verify/panics"
)

// ErrDown: our own resolver does not answer, so that nothing can be said of any name.
var ErrDown = errors.New("our own resolver does not answer")

// Health knows whether our own resolver answers at all. One that does not is our trouble and nobody else's:
// what was asked of it meanwhile says nothing about any domain. It is asked for the name servers of the root,
// once failures make that a question, and its answer counts for a few seconds: a domain whose own servers fail
// costs one such question in that time, however often it is asked for.
//
// One Health serves all messages; its methods may be called from any goroutine.
type Health struct {
	// Probe asks the resolver for ". NS", within a time of its own of about two seconds. nil: it answered.
	Probe func(ctx context.Context) error
	// Changed is told when the resolver is found to be down, with the cause, and when it answers again; one
	// that answers from the beginning is not told of. It is called by one goroutine at a time; nil: nobody is told.
	Changed func(down error)
	Now     func() time.Time

	mu      sync.Mutex
	down    error // of the last probe
	probed  time.Time
	running *probe
}

// probe is one question that several may wait for; err is set when done is closed.
type probe struct {
	done chan struct{}
	err  error
}

// Bounds of the watch over the resolver. A message hears that it is down within patience, the probe's own time
// and what is left of a round trip: less than 7 s.
const (
	// kept is how long it counts that the resolver answers. That it does not counts for less: what with the probe's own
	// time its return is seen within as much.
	kept     = 5 * time.Second
	keptDown = 3 * time.Second
	watching = time.Second // between two looks of Watch
	// patience with one question, after which it counts as failed whatever still comes. A resolver that asks a
	// silent domain may take as long; then the probe says that it is well.
	patience = 3 * time.Second
	// suspicious is how many failures within one message ask for a probe.
	suspicious = 2
)

// Check tells whether the resolver answers: nil, or an error that wraps ErrDown. It asks where that has not been
// found out within the last seconds. The context ends the wait alone.
func (h *Health) Check(ctx context.Context) error {
	h.mu.Lock()
	if h.fresh() {
		defer h.mu.Unlock()
		return h.down
	}
	p := h.begin(ctx)
	h.mu.Unlock()
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return nil // nobody knows
	}
}

// begin starts a probe where none runs; h.mu is held.
func (h *Health) begin(ctx context.Context) *probe {
	if h.running == nil {
		h.running = &probe{done: make(chan struct{})}
		go h.probe(context.WithoutCancel(ctx), h.running)
	}
	return h.running
}

// Down is what is known, without waiting: nil, or an error that wraps ErrDown. One that was down for long is asked
// again meanwhile.
func (h *Health) Down(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.down != nil && !h.fresh() {
		h.begin(ctx)
	}
	return h.down
}

// Known is what the last probe found, without asking: nil, or an error that wraps ErrDown. sure: it still counts.
func (h *Health) Known() (down error, sure bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.down, h.fresh()
}

// fresh: h.mu is held. A probe of the future is void: the clock was set back.
func (h *Health) fresh() bool {
	now, lasts := h.Now(), kept
	if h.down != nil {
		lasts = keptDown
	}
	return !h.probed.IsZero() && now.Sub(h.probed) < lasts && !now.Before(h.probed)
}

// probe asks once, on behalf of all who wait.
func (h *Health) probe(ctx context.Context, p *probe) {
	defer close(p.done)
	defer panics.Recover(func(*panics.Recovered) {
		p.err = nil // a fault of ours is no word on the resolver
		h.mu.Lock()
		defer h.mu.Unlock()
		h.running = nil
	})
	if err := h.Probe(ctx); err != nil {
		p.err = fmt.Errorf("%w: %w", ErrDown, err)
	}
	h.mu.Lock()
	was := h.down
	h.down, h.probed = p.err, h.Now()
	h.mu.Unlock()
	if h.Changed != nil && (was == nil) != (p.err == nil) {
		h.Changed(p.err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running = nil // only now: Changed is called in order
}

// Watch asks at once, and then again and again while the resolver is down, so that its return is seen also where
// no mail comes in. It returns at the context's end.
func (h *Health) Watch(ctx context.Context) {
	t := time.NewTicker(watching)
	defer t.Stop()
	for down := h.Check(ctx); ; {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if known, _ := h.Known(); down != nil || known != nil {
			down = h.Check(ctx)
		}
	}
}

// Watched is a resolver for one message. When several of its questions fail as they do where the resolver is
// down, it has that found out, and says so once.
type Watched struct {
	health *Health
	up     Resolver
	down   func(error)

	failed atomic.Int64
	said   sync.Once
	asking sync.WaitGroup
}

// For watches over what one message asks of a resolver. down is called, once, when that one is found to be down:
// at once where that is known.
func (h *Health) For(ctx context.Context, up Resolver, down func(error)) *Watched {
	w := &Watched{health: h, up: up, down: down}
	switch known, sure := h.Known(); {
	case known != nil && sure:
		w.tell(known)
	case known != nil: // it may be back
		w.failed.Store(suspicious)
		w.asking.Go(func() {
			defer panics.Recover(func(*panics.Recovered) {}) // as in probe
			w.ask(ctx)
		})
	}
	return w
}

// Resolve implements Resolver.
func (w *Watched) Resolve(ctx context.Context, q Question) (Answer, error) {
	w.asking.Add(1)
	slow := time.AfterFunc(patience, func() {
		defer panics.Recover(func(*panics.Recovered) {}) // as in probe
		defer w.asking.Done()
		w.failed.Add(1)
		w.ask(ctx)
	})
	a, err := w.up.Resolve(ctx, q)
	inTime := slow.Stop()
	if inTime {
		w.asking.Done()
	}
	if err != nil && AsError(q, err).Kind.Suspect() {
		if inTime { // else it has counted
			w.failed.Add(1)
		}
		w.ask(ctx)
	}
	return a, err
}

// Suspect tells whether a question fails so where the resolver is not there, or reaches nobody. Any other answer is
// one, also REFUSED.
func (k Kind) Suspect() bool {
	switch k {
	case ServFail, Bogus, Lame, Timeout, Unreachable:
		return true
	}
	return false
}

func (w *Watched) ask(ctx context.Context) {
	if w.failed.Load() < suspicious {
		return
	}
	if err := w.health.Check(ctx); err != nil {
		w.tell(err)
	}
}

func (w *Watched) tell(err error) { w.said.Do(func() { w.down(err) }) }

// Wait returns when nothing is being found out for this message any more. No question may be under way.
func (w *Watched) Wait() { w.asking.Wait() }
