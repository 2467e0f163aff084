package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"checkauth/reply"
	"checkauth/verify/naming"
)

// row is an entry as the table has it.
type row struct {
	Claimed
	body             []byte
	utf8, eightBit   int64
	created, expires int64
	hurried          int64
	network          string
	broken           error // columns that are not of their type
}

// Claim leases what is due. An entry whose body cannot be read again is set aside, so that it neither
// stops the others nor comes back every second.
func (s *SQLite) Claim(ctx context.Context, now time.Time, n int) ([]Claimed, error) {
	var rows []row
	heal := s.heals.due(now)
	err := s.w.do(ctx, func(ctx context.Context, tx *statements) (err error) {
		if heal {
			if _, err := tx.heal.ExecContext(ctx, nano(now), nano(now.Add(slack)), nano(now.Add(s.cfg.horizon()))); err != nil {
				return fmt.Errorf("store: claim: %w", err)
			}
		}
		rows, err = claim(ctx, tx, s.cfg, now, n)
		return err
	})
	if err != nil {
		return nil, err
	}
	return claimed(ctx, rows, s.cfg, now, s.setAside), nil
}

func claim(ctx context.Context, tx *statements, cfg Config, now time.Time, n int) ([]row, error) {
	var due int
	if err := tx.due.QueryRowContext(ctx, nano(now), n+1).Scan(&due); err != nil {
		return nil, fmt.Errorf("store: claim: %w", err)
	}
	query := tx.claim
	if due > n {
		query = tx.claimInTurn
	}
	found, err := query.QueryContext(ctx, cfg.Node, nano(now.Add(cfg.Lease)), nano(now), n, nano(now.Add(-overdue)))
	if err != nil {
		return nil, fmt.Errorf("store: claim: %w", err)
	}
	return scanAll(found)
}

func scanAll(found *sql.Rows) (out []row, err error) {
	defer func() { err = errors.Join(err, found.Close()) }()
	for found.Next() {
		r, err := scan(found)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	if err := found.Err(); err != nil {
		return nil, fmt.Errorf("store: claim: %w", err)
	}
	return out, nil
}

// scan reads a row. SQLite keeps any type in any column; where it is not ours the id is read alone.
func scan(found *sql.Rows) (r row, err error) {
	r.broken = found.Scan(&r.ID, &r.From, &r.To, &r.MessageID, &r.utf8, &r.eightBit, &r.Digest,
		&r.created, &r.expires, &r.Tries, &r.hurried, &r.network, &r.body)
	if r.broken == nil {
		return r, nil
	}
	var other any
	if err := found.Scan(&r.ID, &other, &other, &other, &other, &other, &other, &other, &other, &other, &other, &other, &other); err != nil {
		return r, fmt.Errorf("store: claim: %w", err)
	}
	return r, nil
}

// claimed unpacks what was leased, the longest waiting first, and sets aside what cannot be read.
func claimed(ctx context.Context, rows []row, cfg Config, now time.Time,
	aside func(ctx context.Context, id string, now time.Time, reason string) error) (out []Claimed) {
	for _, r := range rows {
		c, err := decode(r)
		if err != nil {
			cfg.Log.ErrorContext(ctx, "entry set aside", "report", r.ID, "error", err)
			if err := aside(ctx, r.ID, now, err.Error()); err != nil {
				cfg.Log.ErrorContext(ctx, "entry not set aside, it comes back after its lease", "report", r.ID, "error", err)
			}
			continue
		}
		c.Until = now.Add(cfg.Lease)
		out = append(out, c)
	}
	// RETURNING promises no order. Ids settle what is equal, so that two runs are alike.
	slices.SortFunc(out, func(a, b Claimed) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return out
}

func decode(r row) (Claimed, error) {
	if r.broken != nil {
		return Claimed{}, r.broken
	}
	body, err := unpack(r.body)
	if err != nil {
		return Claimed{}, err
	}
	c := r.Claimed
	c.Body, c.UTF8, c.EightBit, c.Hurried = body, r.utf8 != 0, r.eightBit != 0, r.hurried != 0
	c.Created, c.Expires = fromNano(r.created), fromNano(r.expires)
	if network, err := netip.ParsePrefix(r.network); err == nil {
		c.Client = network.Addr()
	}
	return c, nil
}

// turnsOf are what sqlTurns goes by: the tester's network, the largest one of it, and the recipient's organisation.
func turnsOf(e reply.Entry) []any {
	organisation := clean(e.Organisation())
	if !e.Client.IsValid() {
		return []any{"", "", organisation}
	}
	networks := naming.Networks(e.Client)
	return []any{networks[0].String(), networks[len(networks)-1].String(), organisation}
}

// Renew begins a lease anew.
func (s *SQLite) Renew(ctx context.Context, id string, now time.Time) error {
	return s.w.do(ctx, func(ctx context.Context, tx *statements) error {
		r, err := tx.renew.ExecContext(ctx, id, nano(now.Add(s.cfg.Lease)), s.cfg.Node)
		return changed(r, err, id)
	})
}

// Done says that a destination took the entry.
func (s *SQLite) Done(ctx context.Context, id string, now time.Time, o Outcome) error {
	return s.finish(ctx, id, reply.Done, now, o)
}

// Fail says that there is no further try.
func (s *SQLite) Fail(ctx context.Context, id string, now time.Time, o Outcome) error {
	return s.finish(ctx, id, reply.Failed, now, o)
}

func (s *SQLite) finish(ctx context.Context, id string, state reply.State, now time.Time, o Outcome) error {
	return s.w.do(ctx, func(ctx context.Context, tx *statements) error {
		r, err := tx.finish.ExecContext(ctx, id, string(state), nano(now.Add(remember)), o.Reason, o.Answer, o.TLS, o.Host, o.Kind, number(!o.Untried))
		return changed(r, err, id)
	})
}

func (s *SQLite) setAside(ctx context.Context, id string, now time.Time, reason string) error {
	return s.w.do(ctx, func(ctx context.Context, tx *statements) error {
		r, err := tx.aside.ExecContext(ctx, id, nano(now.Add(remember)), reason)
		return changed(r, err, id)
	})
}

// Retry counts a failed try.
func (s *SQLite) Retry(ctx context.Context, id string, at time.Time, o Outcome) error {
	return s.w.do(ctx, func(ctx context.Context, tx *statements) error {
		r, err := tx.retry.ExecContext(ctx, id, nano(at), o.Reason, o.Answer, o.TLS, o.Host, o.Kind)
		return changed(r, err, id)
	})
}

// Release gives a lease back.
func (s *SQLite) Release(ctx context.Context, id string, at time.Time) error {
	return s.w.do(ctx, func(ctx context.Context, tx *statements) error {
		r, err := tx.release.ExecContext(ctx, id, nano(at))
		return changed(r, err, id)
	})
}

// changed: a statement that found no entry: the operator dropped it, or another node took it over.
func changed(r interface{ RowsAffected() (int64, error) }, err error, id string) error {
	if err != nil {
		return fmt.Errorf("store: entry %s: %w", id, err)
	}
	n, err := r.RowsAffected()
	if err != nil {
		return fmt.Errorf("store: entry %s: %w", id, err)
	}
	if n == 0 {
		return fmt.Errorf("store: entry %s: %w", id, ErrUnknown)
	}
	return nil
}
