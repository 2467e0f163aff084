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

// sorted gives each key once, with its smallest limit, in one order for everybody: on PostgreSQL two
// transactions that count in different orders would wait for each other.
func sorted(buckets []reply.Bucket) []reply.Bucket {
	out := slices.Clone(buckets)
	slices.SortFunc(out, func(a, b reply.Bucket) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Limit, b.Limit))
	})
	return slices.CompactFunc(out, func(a, b reply.Bucket) bool { return a.Key == b.Key })
}

// counter is a bucket's within its window.
type counter struct{ n, expires int64 }

// fullOf tells which bucket is full, the first of several. of gives the counter of a bucket; one that has no window is
// said to be full until its own would end.
func fullOf(buckets []reply.Bucket, of func(i int) counter) reply.Full {
	for i, b := range buckets {
		pot, counted := reply.Bucket{}, int64(0)
		if b.Pot != "" {
			if at, ok := slices.BinarySearchFunc(buckets, b.Pot, func(b reply.Bucket, key string) int { return cmp.Compare(b.Key, key) }); ok {
				pot, counted = buckets[at], of(at).n
			}
		}
		if c := of(i); c.n >= b.Most(pot, counted) {
			return reply.Full{Key: b.Key, Until: fromNano(c.expires)}
		}
	}
	return reply.Full{}
}

// firstFull is fullOf as of SQLite's table.
func firstFull(ctx context.Context, peek *sql.Stmt, buckets []reply.Bucket, counters string, now time.Time) (_ reply.Full, err error) {
	if len(buckets) == 0 {
		return reply.Full{}, nil
	}
	found, err := peek.QueryContext(ctx, counters, nano(now), int64(slack))
	if err != nil {
		return reply.Full{}, fmt.Errorf("store: look at counters: %w", err)
	}
	defer func() { err = errors.Join(err, found.Close()) }()
	all := make([]counter, len(buckets))
	for i, b := range buckets {
		all[i].expires = nano(b.Expires)
	}
	for found.Next() {
		var i int
		var c counter
		if err := found.Scan(&i, &c.n, &c.expires); err != nil {
			return reply.Full{}, fmt.Errorf("store: look at counters: %w", err)
		}
		all[i] = c
	}
	if err := found.Err(); err != nil {
		return reply.Full{}, fmt.Errorf("store: look at counters: %w", err)
	}
	return fullOf(buckets, func(i int) counter { return all[i] }), nil
}
