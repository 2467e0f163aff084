package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// batch is how many writes share a commit at most; it bounds how long the first of them waits.
const batch = 128

// errRefused undoes one write on purpose: its neighbours go on.
var errRefused = errors.New("refused")

// write is one caller's change. run may be called again in another transaction, so it keeps nothing
// but what it read there.
type write struct {
	ctx  context.Context
	run  func(ctx context.Context, tx *statements) error
	err  error
	done chan struct{}
}

// writer owns the only connection that writes. While one commit waits for the disk, further writes
// gather and share the next one: with 64 sessions a disk of 200 syncs a second stores thousands.
type writer struct {
	conn    *sql.Conn
	sql     *statements
	queue   chan *write
	closing chan struct{}
	closed  chan struct{}
	once    sync.Once
	commits atomic.Int64
}

func newWriter(conn *sql.Conn, st *statements) *writer {
	w := &writer{
		conn: conn, sql: st, queue: make(chan *write, batch),
		closing: make(chan struct{}), closed: make(chan struct{}),
	}
	go w.loop()
	return w
}

// do runs one change and returns when it is durable, or is not and never will be.
func (w *writer) do(ctx context.Context, run func(context.Context, *statements) error) error {
	job := &write{ctx: ctx, run: run, done: make(chan struct{})}
	select {
	case <-w.closing:
		return ErrClosed
	default:
	}
	select {
	case w.queue <- job:
	case <-w.closing:
		return ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-job.done:
		return job.err
	case <-w.closed:
	}
	// It may have been in the last batch.
	select {
	case <-job.done:
		return job.err
	default:
		return ErrClosed
	}
}

func (w *writer) loop() {
	defer close(w.closed)
	for {
		select {
		case first := <-w.queue:
			w.commit(w.gather(first))
		case <-w.closing:
			for len(w.queue) > 0 {
				w.commit(w.gather(<-w.queue))
			}
			return
		}
	}
}

// gather takes what already waits, and waits for nothing.
func (w *writer) gather(first *write) []*write {
	jobs := []*write{first}
	for len(jobs) < batch {
		select {
		case job := <-w.queue:
			jobs = append(jobs, job)
		default:
			return jobs
		}
	}
	return jobs
}

// commit writes all jobs in one transaction and answers them. SQLite may undo a whole transaction at a
// failed write (a full disk), so after one nothing of it is trusted: the failed job is answered, the
// others run again without it.
func (w *writer) commit(jobs []*write) {
	jobs = begun(jobs)
	for len(jobs) > 0 {
		failed, err := w.try(jobs)
		err = known(err)
		if err == nil {
			answer(jobs)
			return
		}
		if failed < 0 {
			for _, job := range jobs {
				job.err = err
			}
			answer(jobs)
			return
		}
		jobs[failed].err = err
		answer(jobs[failed : failed+1])
		jobs = append(jobs[:failed], jobs[failed+1:]...)
	}
}

// begun drops those whose caller has left before anything was done.
func begun(jobs []*write) []*write {
	kept := jobs[:0]
	for _, job := range jobs {
		if job.ctx.Err() != nil {
			job.err = context.Cause(job.ctx)
			close(job.done)
			continue
		}
		kept = append(kept, job)
	}
	return kept
}

func answer(jobs []*write) {
	for _, job := range jobs {
		close(job.done)
	}
}

// try runs jobs in one transaction. With an error nothing is stored; failed is the job that caused it,
// or -1.
func (w *writer) try(jobs []*write) (failed int, err error) {
	// Not a caller's context: its end would interrupt the neighbours' transaction.
	ctx := context.Background()
	if err := w.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return -1, err
	}
	for i, job := range jobs {
		if err := w.one(ctx, job); err != nil {
			return i, errors.Join(err, w.rollback(ctx))
		}
	}
	if err := w.exec(ctx, "COMMIT"); err != nil {
		return -1, errors.Join(err, w.rollback(ctx))
	}
	w.commits.Add(1)
	return 0, nil
}

// one runs a job in a savepoint. A refusal undoes that much and is no failure.
func (w *writer) one(ctx context.Context, job *write) (err error) {
	// A panic here would end the process with every session in it.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("store: panic in a write: %v", p)
		}
	}()
	if err := w.exec(ctx, "SAVEPOINT one"); err != nil {
		return err
	}
	job.err = job.run(ctx, w.sql)
	switch {
	case errors.Is(job.err, ErrUnknown): // nothing was changed
	case errors.Is(job.err, errRefused):
		if err := w.exec(ctx, "ROLLBACK TO one"); err != nil {
			return err
		}
	case job.err != nil:
		return job.err
	}
	return w.exec(ctx, "RELEASE one")
}

// rollback ends a transaction that SQLite may have ended by itself already.
func (w *writer) rollback(ctx context.Context) error {
	if err := w.exec(ctx, "ROLLBACK"); err != nil && w.exec(ctx, "BEGIN IMMEDIATE") == nil {
		return w.exec(ctx, "ROLLBACK")
	}
	return nil
}

func (w *writer) exec(ctx context.Context, query string) error {
	if _, err := w.conn.ExecContext(ctx, query); err != nil {
		return fmt.Errorf("store: %s: %w", query, err)
	}
	return nil
}

// close waits for what has begun.
func (w *writer) close() {
	w.once.Do(func() { close(w.closing) })
	<-w.closed
}
