package dns

import (
	"context"
	"fmt"
	"sync"

	"checkauth/verify/panics"
	"checkauth/verify/result"
)

// Memo answers each question once for one message: equal questions wait for the same answer, so that a
// report shows one consistent snapshot, and a question asked ahead is not asked again.
//
// Entries run under the memo's context, never the asker's: one caller's cancel must not answer the
// others.
type Memo struct {
	ctx context.Context
	up  Resolver

	mu      sync.Mutex
	entries map[Question]*entry
	ahead   int // questions that Prefetch may still ask
	follow  []func(Answer) []Question
	running sync.WaitGroup
}

type entry struct {
	done   chan struct{} // closed when answer and err are set
	answer Answer
	err    error
}

// PrefetchBudget is how many questions may be asked ahead for one message.
const PrefetchBudget = 64

// NewMemo makes the memo of one message. ctx ends all of its questions.
func NewMemo(ctx context.Context, up Resolver) *Memo {
	return &Memo{ctx: ctx, up: up, entries: map[Question]*entry{}, ahead: PrefetchBudget}
}

// Follow says what is worth asking ahead once an answer is there. f is called with each answer, in the
// goroutine of its entry and whoever asked first: were it the evaluator, which wins that race at times,
// what stands below the answer would not be asked ahead. It must be set before the first question.
func (m *Memo) Follow(f func(Answer) []Question) { m.follow = append(m.follow, f) }

// Prefetch asks ahead, without waiting; over its budget it does nothing. It changes how soon an answer
// is there, never what the evaluation finds.
func (m *Memo) Prefetch(q Question) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.entries[q] != nil || m.ahead == 0 {
		return
	}
	m.ahead--
	m.begin(q)
}

// begin starts a question; m.mu is held.
func (m *Memo) begin(q Question) *entry {
	e := &entry{done: make(chan struct{})}
	m.entries[q] = e
	m.running.Go(func() {
		defer close(e.done)
		defer panics.Recover(func(r *panics.Recovered) {
			e.err = &Error{Question: q, Kind: Malformed, Err: fmt.Errorf("in the resolver: %w", r)}
		})
		if e.answer, e.err = m.up.Resolve(m.ctx, q); e.err == nil {
			m.followed(q, e.answer)
		}
	})
	return e
}

// followed asks ahead what an answer leads to. A panic there must not spoil the answer, which is in;
// whoever evaluates it meets the same fault and reports it.
func (m *Memo) followed(q Question, a Answer) {
	defer panics.Recover(func(*panics.Recovered) {})
	a.Question = q // whatever the resolver calls it
	for _, f := range m.follow {
		for _, next := range f(a) {
			m.Prefetch(next)
		}
	}
}

// Wait returns when no question is under way any more. Nothing may be asked after it; its caller ends
// the memo's context first.
func (m *Memo) Wait() { m.running.Wait() }

func (m *Memo) resolve(ctx context.Context, q Question) (Answer, error) {
	m.mu.Lock()
	e := m.entries[q]
	if e == nil {
		e = m.begin(q)
	}
	m.mu.Unlock()
	select {
	case <-e.done:
		return e.answer, e.err
	default:
	}
	select {
	case <-e.done:
		return e.answer, e.err
	case <-ctx.Done():
		return Answer{}, &Error{Question: q, Kind: Canceled, Err: context.Cause(ctx)}
	}
}

// View is one check's way to the memo. It counts the check's own distinct questions against its
// budget, in the order of the check's walk and whoever asked first, so that no result depends on
// timing, and keeps them as the check's evidence. A View serves one goroutine at a time.
type View struct {
	memo   *Memo
	budget int

	mu    sync.Mutex
	seen  map[Question]bool
	order []result.Evidence
	quota *Error
}

// View makes one with a budget of n questions.
func (m *Memo) View(n int) *View {
	return &View{memo: m, budget: n, seen: map[Question]bool{}, order: make([]result.Evidence, 0, 2)}
}

// Resolve implements Resolver. Over the budget the error's Kind is Budget.
func (v *View) Resolve(ctx context.Context, q Question) (Answer, error) {
	v.mu.Lock()
	first := !v.seen[q]
	if first && len(v.seen) >= v.budget {
		v.mu.Unlock()
		return Answer{}, &Error{Question: q, Kind: Budget, Detail: fmt.Sprintf("%d questions", v.budget)}
	}
	v.seen[q] = true
	v.mu.Unlock()
	a, err := v.memo.resolve(ctx, q)
	if first {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.note(q, a, err)
	}
	return a, err
}

// note keeps what came of a question; v.mu is held.
func (v *View) note(q Question, a Answer, err error) {
	if err == nil {
		v.order = append(v.order, a.Evidence())
		return
	}
	e := AsError(q, err)
	v.order = append(v.order, e.Evidence())
	if e.Kind == Quota && v.quota == nil {
		v.quota = e
	}
}

// Quota is the first error of that Kind that this view met: what was asked through it then says nothing
// about anybody but us. nil: there was none.
func (v *View) Quota() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.quota == nil {
		return nil
	}
	return v.quota
}

// Evidence is every question that was asked through this view, in order.
func (v *View) Evidence() []result.Evidence {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.order[:len(v.order):len(v.order)]
}

// ResolverFunc makes a Resolver of a function.
type ResolverFunc func(ctx context.Context, q Question) (Answer, error)

// Resolve calls the function.
func (f ResolverFunc) Resolve(ctx context.Context, q Question) (Answer, error) { return f(ctx, q) }
