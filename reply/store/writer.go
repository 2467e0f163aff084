package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"

	"checkauth/verify/panics"
)

// errRefused: a write found that it must not be, before it changed anything. Its neighbours go on.
var errRefused = errors.New("refused")

// writer owns the only connection that writes.
type writer struct {
	*group[func(ctx context.Context, tx *statements) error]
	conn    *sql.Conn
	sql     *statements
	commits atomic.Int64
}

// write is one caller's change. It may be run again in another transaction, so it keeps nothing but what it
// read there.
type write = job[func(ctx context.Context, tx *statements) error]

func newWriter(conn *sql.Conn, st *statements) *writer {
	w := &writer{conn: conn, sql: st}
	w.group = newGroup(w.commit)
	return w
}

// commit writes all jobs in one transaction and answers them. SQLite may undo a whole transaction at a
// failed write (a full disk), so after one nothing of it is trusted: the failed job is answered, the
// others run again without it.
func (w *writer) commit(jobs []*write) {
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

// try runs jobs in one transaction. With an error nothing is stored; failed is the job that caused it,
// or -1.
func (w *writer) try(jobs []*write) (failed int, err error) {
	// Not a caller's context: its end would interrupt the neighbours' transaction.
	ctx := context.Background()
	if _, err := w.sql.begin.ExecContext(ctx); err != nil {
		return -1, fmt.Errorf("store: begin: %w", err)
	}
	for i, job := range jobs {
		if err := w.one(ctx, job); err != nil {
			return i, errors.Join(err, w.rollback(ctx))
		}
	}
	if _, err := w.sql.commit.ExecContext(ctx); err != nil {
		return -1, errors.Join(fmt.Errorf("store: commit: %w", err), w.rollback(ctx))
	}
	w.commits.Add(1)
	return 0, nil
}

// one runs a job. A refusal is no failure.
func (w *writer) one(ctx context.Context, job *write) (err error) {
	// A panic here would end the process with every session in it.
	defer panics.Recover(func(r *panics.Recovered) { err = fmt.Errorf("store: in a write: %w", r) })
	job.err = job.run(ctx, w.sql)
	if errors.Is(job.err, ErrUnknown) || errors.Is(job.err, errRefused) {
		return nil // nothing was changed
	}
	return job.err
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
