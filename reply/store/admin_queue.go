package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"checkauth/reply"
)

// admin is what both kinds of store have in common of it.
type admin struct {
	name  string // of the database, for errors
	db    *sql.DB
	known func(error) error // puts the database's errors into our kinds
}

func (k *admin) failed(err error) error { return fmt.Errorf("store: %s: %w", k.name, k.known(err)) }

// List gives entries without their content.
func (k *admin) List(ctx context.Context, f Filter, limit int) (out []Stored, err error) {
	query, args := listQuery(f, limit)
	found, err := k.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, k.failed(err)
	}
	defer func() { err = errors.Join(err, found.Close()) }()
	for found.Next() {
		s, _, err := scanStored(found, false)
		if err != nil {
			return nil, k.failed(err)
		}
		out = append(out, s)
	}
	if err := found.Err(); err != nil {
		return nil, k.failed(err)
	}
	return out, nil
}

// Show gives an entry with its content.
func (k *admin) Show(ctx context.Context, id string) (Stored, error) {
	s, body, err := scanStored(k.db.QueryRowContext(ctx, sqlShow, id), true)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return s, fmt.Errorf("store: entry %s: %w", id, ErrUnknown)
	case err != nil:
		return s, k.failed(err)
	case len(body) == 0 || s.Fault != nil:
		return s, nil
	}
	s.Body, s.Fault = unpack(body)
	return s, nil
}

// Retry makes an entry due.
func (k *admin) Retry(ctx context.Context, id string, now time.Time) error {
	return k.change(ctx, id, sqlHurry, id, nano(now))
}

// Drop ends an entry.
func (k *admin) Drop(ctx context.Context, id string, now time.Time, reason string) error {
	return k.change(ctx, id, sqlDrop, id, nano(now), nano(now.Add(remember)), reason)
}

// change runs a statement that changes one entry. Where it did not, why is read in the same transaction. On
// PostgreSQL the entry may have changed between the two, so that the statement would take it now.
func (k *admin) change(ctx context.Context, id, query string, args ...any) (err error) {
	for range 10 {
		if err = k.changeOnce(ctx, id, query, args...); !errors.Is(err, errAgain) {
			return err
		}
	}
	return err
}

var errAgain = errors.New("it changed just now: ask again")

func (k *admin) changeOnce(ctx context.Context, id, query string, args ...any) (err error) {
	tx, err := k.db.BeginTx(ctx, nil)
	if err != nil {
		return k.failed(err)
	}
	defer func() {
		if err != nil {
			_ = tx.Rollback() // the error before says more
		}
	}()
	r, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return k.failed(err)
	}
	n, err := r.RowsAffected()
	if err != nil {
		return k.failed(err)
	}
	if n == 0 {
		return k.unchanged(ctx, tx, id)
	}
	if err := tx.Commit(); err != nil {
		return k.failed(err)
	}
	return nil
}

// hurried is how many entries RetryAll changes at once: the service's own writes wait that long.
const hurried = 500

// RetryAll makes all that wait due.
func (k *admin) RetryAll(ctx context.Context, now time.Time) (all int64, err error) {
	for {
		r, err := k.db.ExecContext(ctx, sqlHurryAll, nano(now), hurried)
		if err != nil {
			return all, k.failed(err)
		}
		n, err := r.RowsAffected()
		if err != nil {
			return all, k.failed(err)
		}
		if all += n; n < hurried {
			return all, nil
		}
	}
}

// Stats counts.
func (k *admin) Stats(ctx context.Context) (Stats, error) {
	s, err := stats(ctx, k.db)
	if err != nil {
		return s, k.failed(err)
	}
	return s, nil
}

// Close gives the file back.
func (k *admin) Close() error {
	if k.db == nil {
		return nil
	}
	return k.db.Close()
}

// unchanged tells why an entry was not changed.
func (k *admin) unchanged(ctx context.Context, tx *sql.Tx, id string) error {
	var state reply.State
	var node string
	var due column
	err := tx.QueryRowContext(ctx, sqlWhy, id).Scan(&state, &node, &due)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("store: entry %s: %w", id, ErrUnknown)
	case err != nil:
		return k.failed(err)
	case state == reply.Leased:
		return fmt.Errorf("store: entry %s: %w by %s, whose lease ends at %s", id, ErrLeased, node, fromNano(due.n).Format("15:04:05 UTC"))
	case state == reply.Waiting:
		return fmt.Errorf("store: entry %s: %w", id, errAgain)
	}
	return fmt.Errorf("store: entry %s: %w: %s", id, ErrEnded, state)
}

func stats(ctx context.Context, db *sql.DB) (s Stats, err error) {
	if err := db.QueryRowContext(ctx, sqlAsides).Scan(&s.Aside); err != nil {
		return s, err
	}
	found, err := db.QueryContext(ctx, sqlStats)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, found.Close()) }()
	for found.Next() {
		var state reply.State
		var n int64
		var oldest column
		if err := found.Scan(&state, &n, &oldest); err != nil {
			return s, err
		}
		switch state {
		case reply.Leased:
			s.Leased = n
		case reply.Waiting:
			s.Waiting = n
		case reply.Done:
			s.Done = n
		case reply.Failed:
			s.Failed = n
		}
		if t := fromNano(oldest.n); (state == reply.Leased || state == reply.Waiting) && oldest.n > 0 && (s.Oldest.IsZero() || t.Before(s.Oldest)) {
			s.Oldest = t
		}
	}
	return s, found.Err()
}
