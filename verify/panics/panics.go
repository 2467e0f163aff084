// Package panics keeps a panic in one goroutine from ending the process with every session in it. Whatever a
// stranger's octets led to, it is our fault and costs that one check, delivery or connection.
//
// A goroutine that we start begins with a deferred Recover, or is started by a Group. No other package calls
// recover (TestGoroutinesRecover in cmd/check-auth).
package panics

import (
	"fmt"
	"runtime/debug"
	"sync"
)

// Recovered is a panic that was caught. It is an error.
type Recovered struct {
	Value any
	Stack []byte // of the goroutine that panicked
}

func (r *Recovered) Error() string { return fmt.Sprintf("panic: %v", r.Value) }

// Unwrap gives the value where it is an error.
func (r *Recovered) Unwrap() error {
	err, _ := r.Value.(error)
	return err
}

// Recover is to be deferred itself. It tells then of the panic that ends the function, and ends that panic; without
// one then is not called.
func Recover(then func(*Recovered)) {
	if p := recover(); p != nil {
		then(of(p))
	}
}

// of keeps what a Group has passed on: its stack is that of the place.
func of(p any) *Recovered {
	if r, ok := p.(*Recovered); ok {
		return r
	}
	return &Recovered{Value: p, Stack: debug.Stack()}
}

// Catch gives the panic of f as an error, a *Recovered.
func Catch(f func() error) (err error) {
	defer Recover(func(r *Recovered) { err = r })
	return f()
}

// Group runs functions side by side on behalf of a caller who waits for them. A panic of one is the caller's: Wait
// passes it on, so that it costs what a panic of the caller itself would. The zero Group is ready.
type Group struct {
	running sync.WaitGroup
	once    sync.Once
	first   *Recovered
}

// Start runs f in a goroutine of its own.
func (g *Group) Start(f func()) {
	g.running.Go(func() {
		defer Recover(func(r *Recovered) { g.once.Do(func() { g.first = r }) })
		f()
	})
}

// Wait returns when all have returned. Where one has panicked it panics with a *Recovered, the first.
func (g *Group) Wait() {
	g.running.Wait()
	if g.first != nil {
		panic(g.first)
	}
}
