package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
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
		// Nobody else writes: what is not full now is not full at the next statement either.
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
		_, err = tx.put.ExecContext(ctx, append([]any{e.ID, e.From, e.To, e.MessageID, number(e.UTF8), number(e.EightBit),
			notNil(e.Digest), nano(e.Created), nano(e.Expires), s.cfg.Node, nano(now.Add(s.cfg.Lease)), body, recipientDigest(e.Whom)}, turnsOf(e)...)...)
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

// asJSON is how the buckets get into one statement.
func asJSON(buckets []reply.Bucket) (string, error) {
	pairs := make([][2]any, len(buckets))
	for i, b := range buckets {
		pairs[i] = [2]any{b.Key, nano(b.Expires)}
	}
	out, err := json.Marshal(pairs)
	return string(out), err
}

// Count counts without an entry, in the commit that it shares with other writes.
func (s *SQLite) Count(ctx context.Context, in, back []reply.Bucket, now time.Time) (full reply.Full, err error) {
	in, back = sorted(in), sorted(back)
	counted, err := asJSON(in)
	if err != nil {
		return full, fmt.Errorf("store: count: %w", err)
	}
	returned, err := asJSON(back)
	if err != nil {
		return full, fmt.Errorf("store: count: %w", err)
	}
	err = s.w.do(ctx, func(ctx context.Context, tx *statements) error {
		found, err := firstFull(ctx, tx.peek, in, counted, now)
		if err != nil {
			return err
		}
		if full = found; full.Key != "" {
			return errRefused
		}
		if len(in) > 0 {
			if _, err := tx.count.ExecContext(ctx, counted, nano(now), int64(slack)); err != nil {
				return fmt.Errorf("store: count: %w", err)
			}
		}
		if len(back) > 0 {
			if _, err := tx.uncount.ExecContext(ctx, returned, nano(now)); err != nil {
				return fmt.Errorf("store: count: %w", err)
			}
		}
		return nil
	})
	if errors.Is(err, errRefused) {
		return full, nil
	}
	return reply.Full{}, err
}

// Peek reads on a connection of its own, which the writer does not hold up.
func (s *SQLite) Peek(ctx context.Context, buckets []reply.Bucket, now time.Time) (reply.Full, error) {
	buckets = sorted(buckets)
	counters, err := asJSON(buckets)
	if err != nil {
		return reply.Full{}, fmt.Errorf("store: look at counters: %w", err)
	}
	return firstFull(ctx, s.look.peek, buckets, counters, now)
}

// Seen reads on a connection of its own, which the writer does not hold up.
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
