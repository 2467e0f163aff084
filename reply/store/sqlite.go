package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"checkauth/reply"
)

// Put stores an entry in the commit that it shares with other writes.
func (s *SQLite) Put(ctx context.Context, e reply.Entry, buckets []reply.Bucket, now time.Time) (full reply.Full, err error) {
	if e.ID == "" {
		return full, errors.New("store: an entry without an id")
	}
	buckets = sorted(buckets)
	counters, err := asJSON(buckets)
	if err != nil {
		return full, fmt.Errorf("store: put %s: %w", e.ID, err)
	}
	body, packed := pack(e.Body)
	defer packed()
	err = s.w.do(ctx, func(ctx context.Context, tx *statements) error {
		// Nobody else writes: what is not full now is not full at the next sentence either.
		found, err := firstFull(ctx, tx.peek, buckets, counters, now)
		if err != nil {
			return err
		}
		if full = found; full.Key != "" {
			return errRefused
		}
		if len(buckets) > 0 {
			if _, err := tx.count.ExecContext(ctx, counters, nano(now), int64(slack)); err != nil {
				return fmt.Errorf("store: count for %s: %w", e.ID, err)
			}
		}
		_, err = tx.put.ExecContext(ctx, e.ID, e.From, e.To, e.MessageID, number(e.UTF8), number(e.EightBit),
			notNil(e.Digest), nano(e.Created), nano(e.Expires), s.cfg.Node, nano(now.Add(s.cfg.Lease)), body, recipientDigest(e.Whom))
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

// asJSON is how the buckets get into one sentence.
func asJSON(buckets []reply.Bucket) (string, error) {
	pairs := make([][2]any, len(buckets))
	for i, b := range buckets {
		pairs[i] = [2]any{b.Key, nano(b.Expires)}
	}
	out, err := json.Marshal(pairs)
	return string(out), err
}

// Peek reads beside the writer.
func (s *SQLite) Peek(ctx context.Context, buckets []reply.Bucket, now time.Time) (reply.Full, error) {
	buckets = sorted(buckets)
	counters, err := asJSON(buckets)
	if err != nil {
		return reply.Full{}, fmt.Errorf("store: look at counters: %w", err)
	}
	return firstFull(ctx, s.look.peek, buckets, counters, now)
}

// firstFull tells which bucket is full, the first of several. One without room has no window: it is said to be
// full until its own would end.
func firstFull(ctx context.Context, peek *sql.Stmt, buckets []reply.Bucket, counters string, now time.Time) (_ reply.Full, err error) {
	if len(buckets) == 0 {
		return reply.Full{}, nil
	}
	found, err := peek.QueryContext(ctx, counters, nano(now), int64(slack))
	if err != nil {
		return reply.Full{}, fmt.Errorf("store: look at counters: %w", err)
	}
	defer func() { err = errors.Join(err, found.Close()) }()
	n, until := make([]int64, len(buckets)), make([]int64, len(buckets))
	for i, b := range buckets {
		until[i] = nano(b.Expires)
	}
	for found.Next() {
		var i int
		var count, expires int64
		if err := found.Scan(&i, &count, &expires); err != nil {
			return reply.Full{}, fmt.Errorf("store: look at counters: %w", err)
		}
		n[i], until[i] = count, expires
	}
	if err := found.Err(); err != nil {
		return reply.Full{}, fmt.Errorf("store: look at counters: %w", err)
	}
	for i, b := range buckets {
		if full := fullness(b, n[i], until[i]); full.Key != "" {
			return full, nil
		}
	}
	return reply.Full{}, nil
}

// fullness is a bucket's, of what its counter says within its window.
func fullness(b reply.Bucket, n, expires int64) reply.Full {
	if n < b.Limit {
		return reply.Full{}
	}
	return reply.Full{Key: b.Key, Until: fromNano(expires)}
}

// Seen reads beside the writer.
func (s *SQLite) Seen(ctx context.Context, digest []byte, since, now time.Time) (id string, err error) {
	if len(digest) == 0 {
		return "", nil
	}
	err = s.look.seen.QueryRowContext(ctx, digest, nano(since), nano(now.Add(slack))).Scan(&id)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("store: look for a digest: %w", err)
	}
	return id, nil
}

// Sweep forgets what has expired.
func (s *SQLite) Sweep(ctx context.Context, now time.Time) error {
	return s.w.do(ctx, func(ctx context.Context, tx *statements) error {
		for _, s := range []struct {
			stmt *sql.Stmt
			args []any
		}{
			{tx.sweepEntries, []any{nano(now), nano(now.Add(remember + slack))}},
			{tx.sweepCounters, []any{nano(now), nano(now.Add(longestWindow))}},
			{tx.sweepReports, []any{nano(now)}}, {tx.sweepSecrets, []any{nano(now)}},
		} {
			if _, err := s.stmt.ExecContext(ctx, s.args...); err != nil {
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
