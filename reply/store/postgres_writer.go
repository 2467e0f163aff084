package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"checkauth/verify/panics"
)

// pgWriter owns the connection that writes, and the node's name with it: an advisory lock that the server gives
// back when the connection ends, however it ends.
//
// A commit costs two round trips however many writes share it: one that locks the counters that there are and reads
// them, in which the key's order is everybody's, and one with all changes, new counters and the commit. Which entries
// are refused is decided between the two, so that nothing has to be undone.
type pgWriter struct {
	*group[*pgChange]
	config  *pgx.ConnConfig
	node    string
	lease   time.Duration
	timeout time.Duration
	conn    *pgx.Conn // nil: to be made
	used    time.Time // last
	commits atomic.Int64
}

type pgJob = job[*pgChange]

// pgChange is an entry to be put, or statements.
type pgChange struct {
	put *pgInsert
	run func(b *pgx.Batch, fail func(error)) // fail sets what the caller hears; the others go on
}

// idle is how long a connection is trusted without asking.
const idleTrust = time.Second

// commit writes all jobs in one transaction and answers them. Where one of them is to blame, each has its own.
func (w *pgWriter) commit(jobs []*pgJob) {
	if len(jobs) == 0 {
		return
	}
	defer answer(jobs)
	err := w.try(jobs)
	if err == nil {
		return
	}
	alone := len(jobs) > 1 && blames(err)
	for _, j := range jobs {
		if alone {
			err = w.try([]*pgJob{j})
		}
		if err != nil {
			j.err = knownPostgres(fmt.Errorf("store: %w", err))
		}
	}
}

// blames tells whether an error is one write's, and not the server's or the connection's, where a second try would
// make all others wait again.
func blames(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return false
	}
	for _, class := range []string{"08", "25", "28", "53", "55", "57", "58", "F0", "XX"} {
		if strings.HasPrefix(e.Code, class) {
			return false
		}
	}
	return true
}

// raceTries: each lost race leaves a counter that is there the next time.
const raceTries = 5

func (w *pgWriter) try(jobs []*pgJob) (err error) {
	// Not a caller's context: its end would cut the neighbours' transaction.
	ctx, cancel := context.WithTimeoutCause(context.Background(), w.timeout, errors.New("the database does not answer"))
	defer cancel()
	// A panic here would end the process with every session in it.
	defer panics.Recover(func(r *panics.Recovered) { err = errors.Join(fmt.Errorf("in a write: %w", r), w.drop()) })
	if err := w.awake(ctx); err != nil {
		return err
	}
	begun, err := w.transact(ctx, jobs)
	if lost(err) && !begun && ctx.Err() == nil { // the connection had gone: nothing has reached the server
		_ = w.drop()
		if err = w.connect(ctx); err == nil {
			_, err = w.transact(ctx, jobs)
		}
	}
	for tries := 1; raced(err) && tries < raceTries; tries++ {
		if err = errors.Join(err, w.mend(ctx, err)); w.conn == nil {
			break
		}
		_, err = w.transact(ctx, jobs)
	}
	if err != nil {
		return errors.Join(err, context.Cause(ctx), w.mend(ctx, err))
	}
	w.used = time.Now()
	w.commits.Add(1)
	return nil
}

// awake makes the connection where there is none, or where it has been lost while nothing was written.
func (w *pgWriter) awake(ctx context.Context) error {
	if w.conn != nil && time.Since(w.used) > idleTrust && w.conn.Ping(ctx) != nil {
		_ = w.drop() // it was lost: that is why
	}
	if w.conn != nil {
		return nil
	}
	return w.connect(ctx)
}

// connect takes the node's name.
func (w *pgWriter) connect(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, w.config)
	if err != nil {
		return err
	}
	w.conn, w.used = conn, time.Now()
	if _, err = conn.Exec(ctx, "SELECT pg_advisory_lock("+lockKey+")", "node/"+w.node); err == nil {
		return nil
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "55P03" { // lock_not_available
		err = fmt.Errorf("%w in the name of %s: give each node a name of its own (store.node): %w", ErrTaken, w.node, err)
	}
	return errors.Join(err, w.drop())
}

// first connects at the start. The process before this one may still be ending, or the server has not noticed
// that it is gone.
func (w *pgWriter) first(ctx context.Context) error {
	err := w.connect(ctx)
	for errors.Is(err, ErrTaken) {
		again := w.connect(ctx)
		if ctx.Err() != nil {
			return err // it says more than that the time is over
		}
		err = again
	}
	if err == nil {
		_, err = w.conn.Exec(ctx, pgTakeOver, int64(w.lease), w.node)
	}
	return err
}

// mend leaves a connection that can be used again, or none.
func (w *pgWriter) mend(ctx context.Context, err error) error {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && w.conn != nil && !w.conn.IsClosed() && !strings.HasPrefix(e.Code, "25") && !strings.HasPrefix(e.Code, "57") {
		if _, err := w.conn.Exec(ctx, "ROLLBACK"); err == nil {
			return nil
		}
	}
	return w.drop()
}

// drop gives the connection back. What it says at its end is nobody's concern.
func (w *pgWriter) drop() error {
	if w.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = w.conn.Close(ctx)
		w.conn = nil
	}
	return nil
}

// lost tells whether the connection ended, as after a restart of the server, rather than that the server has
// refused something or cannot be connected to.
func lost(err error) bool {
	if err == nil {
		return false
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return strings.HasPrefix(e.Code, "57P") // terminating connection
	}
	_, unreachable := errors.AsType[*pgconn.ConnectError](err)
	return !unreachable
}

// transact runs all jobs. With an error nothing is stored, unless begun: then the commit was sent.
func (w *pgWriter) transact(ctx context.Context, jobs []*pgJob) (begun bool, err error) {
	for _, j := range jobs {
		j.err = nil
	}
	counters, err := w.lockCounters(ctx, jobs)
	if err != nil {
		return false, err
	}
	b := &pgx.Batch{}
	if counters == nil {
		b.Queue("BEGIN")
	}
	for _, j := range jobs {
		if j.run.put != nil {
			j.run.put.decide(b, counters)
			continue
		}
		j.run.run(b, func(err error) { j.err = err })
	}
	counters.store(b)
	b.Queue("COMMIT").Exec(func(tag pgconn.CommandTag) error {
		if tag.String() != "COMMIT" {
			return fmt.Errorf("COMMIT is answered %q", tag)
		}
		return nil
	})
	return true, w.conn.SendBatch(ctx, b).Close()
}
