package store

import (
	"context"
	"sync"
)

// batch is how many writes share a commit at most; it bounds how long the first of them waits.
const batch = 128

// job is one caller's change, in the form that a kind of store has for it.
type job[T any] struct {
	ctx  context.Context
	run  T
	err  error
	done chan struct{}
}

// group gathers writes. While one commit waits for the disk, further writes gather and share the next one:
// with 64 sessions a disk of 200 syncs a second stores thousands.
type group[T any] struct {
	commit  func([]*job[T]) // sets their errors and calls answer
	queue   chan *job[T]
	closing chan struct{}
	closed  chan struct{}
	once    sync.Once
}

func newGroup[T any](commit func([]*job[T])) *group[T] {
	g := &group[T]{
		commit: commit, queue: make(chan *job[T], batch),
		closing: make(chan struct{}), closed: make(chan struct{}),
	}
	go g.loop()
	return g
}

// do runs one change and returns when it is durable, or is not and never will be.
func (g *group[T]) do(ctx context.Context, run T) error {
	j := &job[T]{ctx: ctx, run: run, done: make(chan struct{})}
	select {
	case <-g.closing:
		return ErrClosed
	default:
	}
	select {
	case g.queue <- j:
	case <-g.closing:
		return ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-j.done:
		return j.err
	case <-g.closed:
	}
	// It may have been in the last batch.
	select {
	case <-j.done:
		return j.err
	default:
		return ErrClosed
	}
}

func (g *group[T]) loop() {
	defer close(g.closed)
	for {
		select {
		case first := <-g.queue:
			g.commit(begun(g.gather(first)))
		case <-g.closing:
			for len(g.queue) > 0 {
				g.commit(begun(g.gather(<-g.queue)))
			}
			return
		}
	}
}

// gather takes what already waits, and waits for nothing.
func (g *group[T]) gather(first *job[T]) []*job[T] {
	jobs := []*job[T]{first}
	for len(jobs) < batch {
		select {
		case j := <-g.queue:
			jobs = append(jobs, j)
		default:
			return jobs
		}
	}
	return jobs
}

// begun drops those whose caller has left before anything was done.
func begun[T any](jobs []*job[T]) []*job[T] {
	kept := jobs[:0]
	for _, j := range jobs {
		if j.ctx.Err() != nil {
			j.err = context.Cause(j.ctx)
			close(j.done)
			continue
		}
		kept = append(kept, j)
	}
	return kept
}

func answer[T any](jobs []*job[T]) {
	for _, j := range jobs {
		close(j.done)
	}
}

// close waits for what has begun.
func (g *group[T]) close() {
	g.once.Do(func() { close(g.closing) })
	<-g.closed
}
