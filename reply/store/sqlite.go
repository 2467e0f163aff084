package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"checkauth/reply"
)

// Put stores an entry in a savepoint of the commit that it shares with other writes.
func (s *SQLite) Put(ctx context.Context, e reply.Entry, buckets []reply.Bucket, now time.Time) (full reply.Full, err error) {
	if e.ID == "" {
		return full, errors.New("store: an entry without an id")
	}
	buckets = sorted(buckets)
	body, packed := pack(e.Body)
	defer packed()
	err = s.w.do(ctx, func(ctx context.Context, tx *statements) error {
		for _, b := range buckets {
			counted, err := count(ctx, tx, b, now)
			if err != nil {
				return err
			}
			if !counted {
				if full, err = look(ctx, tx.peek, b, now); err != nil {
					return err
				}
				return errRefused
			}
		}
		_, err := tx.put.ExecContext(ctx, e.ID, e.From, e.To, e.MessageID, number(e.UTF8), number(e.EightBit),
			notNil(e.Digest), nano(e.Created), nano(e.Expires), s.cfg.Node, nano(now.Add(s.cfg.Lease)), body)
		if err != nil {
			return fmt.Errorf("store: put %s: %w", e.ID, err)
		}
		return nil
	})
	if errors.Is(err, errRefused) {
		return full, nil
	}
	return reply.Full{}, err
}

// sorted gives each key once, with its smallest limit, in one order for everybody: on PostgreSQL two
// transactions that count in different orders would wait for each other.
func sorted(buckets []reply.Bucket) []reply.Bucket {
	out := slices.Clone(buckets)
	slices.SortFunc(out, func(a, b reply.Bucket) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Limit, b.Limit))
	})
	return slices.CompactFunc(out, func(a, b reply.Bucket) bool { return a.Key == b.Key })
}

func count(ctx context.Context, tx *statements, b reply.Bucket, now time.Time) (bool, error) {
	if b.Limit <= 0 {
		return false, nil // the sentence would let the first one in
	}
	r, err := tx.count.ExecContext(ctx, b.Key, nano(b.Expires), b.Limit, nano(now))
	if err != nil {
		return false, fmt.Errorf("store: count %q: %w", b.Key, err)
	}
	n, err := r.RowsAffected()
	if err != nil {
		return false, fmt.Errorf("store: count %q: %w", b.Key, err)
	}
	return n == 1, nil
}

// Peek reads beside the writer.
func (s *SQLite) Peek(ctx context.Context, buckets []reply.Bucket, now time.Time) (full reply.Full, err error) {
	for _, b := range sorted(buckets) {
		if full, err = look(ctx, s.peek, b, now); err != nil || full.Key != "" {
			return full, err
		}
	}
	return full, nil
}

// look tells whether a bucket is full. One without room has no window: it is said to be full until its own
// would end.
func look(ctx context.Context, peek *sql.Stmt, b reply.Bucket, now time.Time) (reply.Full, error) {
	var n, expires int64
	err := peek.QueryRowContext(ctx, b.Key, nano(now)).Scan(&n, &expires)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		expires = nano(b.Expires)
	case err != nil:
		return reply.Full{}, fmt.Errorf("store: look at counter %q: %w", b.Key, err)
	}
	return fullness(b, n, expires), nil
}

// fullness is a bucket's, of what its counter says within its window.
func fullness(b reply.Bucket, n, expires int64) reply.Full {
	if n < b.Limit {
		return reply.Full{}
	}
	return reply.Full{Key: b.Key, Until: fromNano(expires)}
}

// Seen reads beside the writer.
func (s *SQLite) Seen(ctx context.Context, digest []byte, since time.Time) (id string, err error) {
	if len(digest) == 0 {
		return "", nil
	}
	err = s.read.QueryRowContext(ctx, sqlSeen, digest, nano(since)).Scan(&id)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("store: look for a digest: %w", err)
	}
	return id, nil
}

// Sweep forgets what has expired.
func (s *SQLite) Sweep(ctx context.Context, now time.Time) error {
	return s.w.do(ctx, func(ctx context.Context, tx *statements) error {
		for _, stmt := range []*sql.Stmt{tx.sweepEntries, tx.sweepCounters, tx.sweepReports, tx.sweepSecrets} {
			if _, err := stmt.ExecContext(ctx, nano(now)); err != nil {
				return fmt.Errorf("store: sweep: %w", err)
			}
		}
		return nil
	})
}

// number is a truth value as both databases take it.
func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// notNil: a nil slice would be NULL.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
