package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"checkauth/reply"
)

const (
	// What another node has locked is its own. $5 is earlier than now by what the clocks may be apart: another node's
	// lease is over when it is over by every clock.
	pgClaim = `WITH ripe AS MATERIALIZED (
		SELECT id FROM entries
		WHERE state IN ('waiting', 'leased') AND due <= $3 AND (state = 'waiting' OR node = $1 OR due <= $5)
		ORDER BY due LIMIT $4 FOR UPDATE SKIP LOCKED)
	UPDATE entries SET state = 'leased', node = $1, due = $2,
		expires = CASE WHEN expires <= $3 AND due > 0 AND due <= $6 THEN expires + ($3 - due) ELSE expires END FROM ripe WHERE entries.id = ripe.id
	` + claimedColumns

	pgClaimInTurn = `WITH ` + sqlTurns + `(node = $1 OR due <= $5)` + sqlTurnsEnd + `,
	mine AS MATERIALIZED (
		SELECT entries.id FROM entries JOIN turns ON turns.id = entries.id
		WHERE state IN ('waiting', 'leased') AND entries.due <= $3 AND (state = 'waiting' OR node = $1 OR entries.due <= $5)
		ORDER BY turn, turns.due LIMIT $4 FOR UPDATE OF entries SKIP LOCKED)
	UPDATE entries SET state = 'leased', node = $1, due = $2,
		expires = CASE WHEN expires <= $3 AND due > 0 AND due <= $6 THEN expires + ($3 - due) ELSE expires END FROM mine WHERE entries.id = mine.id
	` + claimedColumns

	// What another node took over is its own: only an end is everybody's word.
	pgRetry   = sqlRetry + ` AND node = $8`
	pgRelease = sqlRelease + ` AND node = $3`

	pgTakeOver = sqlTakeOver + ` AND node = $2`
)

// pgSweeps wait for nobody: a counter that is being counted is not over, and its lock may be held by who waits for
// one that is locked here.
var pgSweeps = []struct {
	query string
	void  time.Duration // what ends so much later than now is void; 0: nothing is
}{
	{`DELETE FROM entries WHERE id IN (SELECT id FROM entries WHERE state IN ('done', 'failed') AND (due <= $1 OR due > $2) FOR UPDATE SKIP LOCKED)`, remember + slack},
	{`DELETE FROM counters WHERE bucket IN (SELECT bucket FROM counters WHERE expires <= $1 OR expires > $2 FOR UPDATE SKIP LOCKED)`, longestWindow},
	{`DELETE FROM reports WHERE id IN (SELECT id FROM reports WHERE expires <= $1 FOR UPDATE SKIP LOCKED)`, 0},
	{`DELETE FROM secrets WHERE name IN (SELECT name FROM secrets WHERE expires <= $1
		AND (SELECT COUNT(*) FROM secrets AS newer WHERE newer.expires > secrets.expires) >= 3 FOR UPDATE SKIP LOCKED)`, 0},
}

// slack is between this node's clock and what another one wrote.
func (p *Postgres) slack() time.Duration { return slack + p.cfg.Apart }

// bound: a database that hangs must not hang who asks it.
func (p *Postgres) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, p.cfg.Timeout, errors.New("the database does not answer"))
}

// begin is bound for a write: the caller's end is obeyed before it, and not within.
func (p *Postgres) begin(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	ctx, cancel := p.bound(context.WithoutCancel(ctx))
	return ctx, cancel, nil
}

func (p *Postgres) failed(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		err = errors.Join(err, context.Cause(ctx))
	}
	return knownPostgres(fmt.Errorf("store: %s: %w", what, err))
}

// look reads on a connection of its own, which the writer does not hold up. After a restart of the server each connection is found to be lost, one after the
// other.
func (p *Postgres) look(ctx context.Context, what string, read func(context.Context) error) error {
	ctx, cancel := p.bound(ctx)
	defer cancel()
	err := read(ctx)
	for i := 0; i < p.cfg.Conns && lost(err) && ctx.Err() == nil; i++ {
		err = read(ctx)
	}
	if err != nil {
		return p.failed(ctx, what, err)
	}
	return nil
}

// Seen reads on a connection of its own, which the writer does not hold up.
func (p *Postgres) Seen(ctx context.Context, digest []byte, since, now time.Time) (id string, err error) {
	if len(digest) == 0 {
		return "", nil
	}
	err = p.look(ctx, "look for a digest", func(ctx context.Context) error {
		err := p.db.QueryRowContext(ctx, sqlSeen, digest, nano(since), nano(now.Add(p.slack()))).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return id, err
}

// Claim leases what is due, on a connection of its own, which the writer does not hold up.
func (p *Postgres) Claim(ctx context.Context, now time.Time, n int) ([]Claimed, error) {
	ctx, cancel, err := p.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	if p.heals.due(now) {
		if _, err := p.db.ExecContext(ctx, pgHeal, nano(now), nano(now.Add(p.slack())), nano(now.Add(p.cfg.horizon()+p.cfg.Apart)), p.cfg.Node); err != nil {
			return nil, p.failed(ctx, "claim", err)
		}
	}
	var due int
	if err := p.db.QueryRowContext(ctx, sqlDue, nano(now), n+1).Scan(&due); err != nil {
		return nil, p.failed(ctx, "claim", err)
	}
	query := pgClaim
	if due > n {
		query = pgClaimInTurn
	}
	found, err := p.db.QueryContext(ctx, query, p.cfg.Node, nano(now.Add(p.cfg.Lease)), nano(now), n, nano(now.Add(-p.cfg.Apart)), nano(now.Add(-overdue)))
	if err != nil {
		return nil, p.failed(ctx, "claim", err)
	}
	rows, err := scanAll(found)
	if err != nil {
		return nil, p.failed(ctx, "claim", err)
	}
	return claimed(ctx, rows, p.cfg.Config, now, p.setAside), nil
}

// entry runs a statement that changes one entry.
func (p *Postgres) entry(ctx context.Context, id, query string, args ...any) error {
	return p.w.do(ctx, &pgChange{run: func(b *pgx.Batch, fail func(error)) {
		b.Queue(query, append([]any{id}, args...)...).Exec(func(tag pgconn.CommandTag) error {
			if tag.RowsAffected() == 0 {
				fail(fmt.Errorf("store: entry %s: %w", id, ErrUnknown))
			}
			return nil
		})
	}})
}

// Renew begins a lease anew.
func (p *Postgres) Renew(ctx context.Context, id string, now time.Time) error {
	return p.entry(ctx, id, sqlRenew, nano(now.Add(p.cfg.Lease)), p.cfg.Node)
}

// Done says that a destination took the entry, whosever it is by now.
func (p *Postgres) Done(ctx context.Context, id string, now time.Time, o Outcome) error {
	return p.finish(ctx, id, reply.Done, now, o)
}

// Fail says that there is no further try.
func (p *Postgres) Fail(ctx context.Context, id string, now time.Time, o Outcome) error {
	return p.finish(ctx, id, reply.Failed, now, o)
}

func (p *Postgres) finish(ctx context.Context, id string, state reply.State, now time.Time, o Outcome) error {
	return p.entry(ctx, id, sqlFinish, string(state), nano(now.Add(remember)), clean(o.Reason), clean(o.Answer), clean(o.TLS), clean(o.Host),
		clean(o.Kind), number(!o.Untried))
}

func (p *Postgres) setAside(ctx context.Context, id string, now time.Time, reason string) error {
	return p.entry(ctx, id, sqlAside, nano(now.Add(remember)), clean(reason))
}

// Retry counts a failed try.
func (p *Postgres) Retry(ctx context.Context, id string, at time.Time, o Outcome) error {
	return p.entry(ctx, id, pgRetry, nano(at), clean(o.Reason), clean(o.Answer), clean(o.TLS), clean(o.Host), clean(o.Kind), p.cfg.Node)
}

// Release gives a lease back.
func (p *Postgres) Release(ctx context.Context, id string, at time.Time) error {
	return p.entry(ctx, id, pgRelease, nano(at), p.cfg.Node)
}

// Secrets keeps an offer where there is none of its name, and reads all: two nodes that offer at once wait for each
// other at the name, and agree.
func (p *Postgres) Secrets(ctx context.Context, name string, offer []byte, expires, now time.Time) (all map[string][]byte, err error) {
	err = p.w.do(ctx, &pgChange{run: func(b *pgx.Batch, _ func(error)) {
		b.Queue(sqlOffer, name, notNil(offer), nano(expires))
		b.Queue(sqlSecrets, nano(now)).Query(func(rows pgx.Rows) error {
			all = map[string][]byte{}
			for rows.Next() {
				var name string
				var secret []byte
				if err := rows.Scan(&name, &secret); err != nil {
					return err
				}
				all[name] = secret
			}
			return rows.Err()
		})
	}})
	return all, err
}

// Stop keeps an address out; it is stored as a digest.
func (p *Postgres) Stop(ctx context.Context, address string, now time.Time) error {
	return p.w.do(ctx, &pgChange{run: func(b *pgx.Batch, _ func(error)) { b.Queue(sqlStop, hashed(address), nano(now)) }})
}

// Resume lets an address in again.
func (p *Postgres) Resume(ctx context.Context, address string) error {
	return p.w.do(ctx, &pgChange{run: func(b *pgx.Batch, _ func(error)) { b.Queue(sqlResume, hashed(address)) }})
}

// Stopped reads on a connection of its own, which the writer does not hold up.
func (p *Postgres) Stopped(ctx context.Context, address string) (bool, error) {
	var n int64
	err := p.look(ctx, "look for a stopped address", func(ctx context.Context) error {
		return p.db.QueryRowContext(ctx, sqlStopped, hashed(address)).Scan(&n)
	})
	return n > 0, err
}

// Undelivered reads on a connection of its own, which the writer does not hold up.
func (p *Postgres) Undelivered(ctx context.Context, whom string) (u Undelivered, err error) {
	if whom == "" {
		return u, nil
	}
	err = p.look(ctx, "look for a reply that did not arrive", func(ctx context.Context) (err error) {
		u, err = undelivered(p.db.QueryRowContext(ctx, sqlUndelivered, hashed(whom)))
		return err
	})
	return u, err
}

// Sweep forgets what has expired, on a connection of its own, which the writer does not hold up.
func (p *Postgres) Sweep(ctx context.Context, now time.Time) error {
	ctx, cancel, err := p.begin(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	for _, s := range pgSweeps {
		args := []any{nano(now)}
		if s.void > 0 {
			args = append(args, nano(now.Add(s.void+p.cfg.Apart)))
		}
		if _, err := p.db.ExecContext(ctx, s.query, args...); err != nil {
			return p.failed(ctx, "sweep", err)
		}
	}
	return nil
}
