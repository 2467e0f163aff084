package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"checkauth/reply"
)

const (
	pgLockCounters = `SELECT bucket, n, expires FROM counters WHERE bucket = ANY ($1::text[]) ORDER BY bucket FOR UPDATE`

	// Of rows that are there and locked: an UPDATE would be planned anew each time, as a join.
	pgCount = pgFirst + ` ON CONFLICT (bucket) DO UPDATE SET n = excluded.n, expires = excluded.expires`

	// Where another node has made one at this moment it is an error, and all begins again (raced).
	pgFirst = `INSERT INTO counters (bucket, n, expires)
	SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS new (bucket, n, expires) ORDER BY bucket`

	pgPeek = `SELECT bucket, n, expires FROM counters WHERE bucket = ANY ($1::text[]) AND expires > $2`
)

// pgPut is an entry on its way into the table, or what is counted without one.
type pgInsert struct {
	args    []any // of sqlPut; nil: there is no entry
	buckets []reply.Bucket
	back    []reply.Bucket
	now     int64
	slack   time.Duration
	full    reply.Full
}

// pgCounter is a row of counters, locked, or one that there is not yet.
type pgCounter struct {
	n, expires int64
	locked     bool
	changed    bool
}

// runs tells whether the window is under way: it is not over, and not void.
func (c *pgCounter) runs(b reply.Bucket, now int64, slack time.Duration) bool {
	return c.expires > now && c.expires <= nano(b.Expires.Add(slack))
}

type pgCounters map[string]*pgCounter

// Put stores an entry in a commit that it shares with other writes.
func (p *Postgres) Put(ctx context.Context, e reply.Entry, buckets []reply.Bucket, now time.Time) (reply.Full, error) {
	if e.ID == "" {
		return reply.Full{}, errors.New("store: an entry without an id")
	}
	put := &pgInsert{buckets: sorted(buckets), now: nano(now), slack: p.slack()}
	if err := put.texts(e.ID, e.From, e.To, e.MessageID); err != nil {
		return reply.Full{}, fmt.Errorf("store: put %q: %w", e.ID, err)
	}
	body, packed := pack(e.Body)
	defer packed()
	put.args = []any{e.ID, e.From, e.To, e.MessageID, number(e.UTF8), number(e.EightBit),
		notNil(e.Digest), nano(e.Created), nano(e.Expires), p.cfg.Node, nano(now.Add(p.cfg.Lease)), body, recipientDigest(e.Whom)}
	put.args = append(put.args, turnsOf(e)...)
	if err := p.w.do(ctx, &pgChange{put: put}); err != nil {
		return reply.Full{}, err
	}
	return put.full, nil
}

// Count counts in a commit that it shares with other writes.
func (p *Postgres) Count(ctx context.Context, in, back []reply.Bucket, now time.Time) (reply.Full, error) {
	put := &pgInsert{buckets: sorted(in), back: sorted(back), now: nano(now), slack: p.slack()}
	if err := put.texts(); err != nil {
		return reply.Full{}, fmt.Errorf("store: count: %w", err)
	}
	if err := p.w.do(ctx, &pgChange{put: put}); err != nil {
		return reply.Full{}, err
	}
	return put.full, nil
}

// texts tells what PostgreSQL would not take as one.
func (p *pgInsert) texts(more ...string) error {
	for _, b := range slices.Concat(p.buckets, p.back) {
		more = append(more, b.Key)
	}
	if i := slices.IndexFunc(more, func(s string) bool { return s != clean(s) }); i >= 0 {
		return fmt.Errorf("%q is no text", more[i])
	}
	return nil
}

// clean is a text as PostgreSQL takes it: UTF-8 without NUL.
func clean(s string) string {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// lockCounters begins the transaction with the counters of all entries, in the order of their keys; nil, and no
// transaction, where there are none.
func (w *pgWriter) lockCounters(ctx context.Context, jobs []*pgJob) (pgCounters, error) {
	var keys []string
	for _, j := range jobs {
		if j.run.put != nil {
			for _, b := range slices.Concat(j.run.put.buckets, j.run.put.back) {
				keys = append(keys, b.Key)
			}
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	counters := make(pgCounters, len(keys))
	b := &pgx.Batch{}
	b.Queue("BEGIN")
	b.Queue(pgLockCounters, keys).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var key string
			c := &pgCounter{locked: true}
			if err := rows.Scan(&key, &c.n, &c.expires); err != nil {
				return err
			}
			counters[key] = c
		}
		return rows.Err()
	})
	for _, key := range keys {
		counters[key] = &pgCounter{} // rows come later
	}
	return counters, w.conn.SendBatch(ctx, b).Close()
}

// decide counts an entry in all of its buckets, or in none.
func (p *pgInsert) decide(b *pgx.Batch, counters pgCounters) {
	if p.full = counters.full(p.buckets, p.now, p.slack); p.full.Key != "" {
		return
	}
	for _, bucket := range p.buckets {
		c := counters[bucket.Key]
		if !c.runs(bucket, p.now, p.slack) {
			c.n, c.expires = 0, nano(bucket.Expires)
		}
		c.n, c.changed = c.n+1, true
	}
	for _, bucket := range p.back {
		if c := counters[bucket.Key]; c.n > 0 && c.runs(bucket, p.now, 0) {
			c.n, c.changed = c.n-1, true
		}
	}
	if p.args != nil {
		b.Queue(sqlPut, p.args...)
	}
}

// full is fullOf as of rows that were read.
func (c pgCounters) full(buckets []reply.Bucket, now int64, slack time.Duration) reply.Full {
	return fullOf(buckets, func(i int) counter {
		if found := c[buckets[i].Key]; found != nil && found.runs(buckets[i], now, slack) {
			return counter{found.n, found.expires}
		}
		return counter{expires: nano(buckets[i].Expires)}
	})
}

// store writes those that have changed, new ones first: another node's new counter may have been made and changed again
// since, and whoever waits for that change must not be waited for by him who makes it.
func (c pgCounters) store(b *pgx.Batch) {
	for _, locked := range []bool{false, true} {
		var keys []string
		var n, expires []int64
		for key, counter := range c {
			if counter.changed && counter.locked == locked {
				keys, n, expires = append(keys, key), append(n, counter.n), append(expires, counter.expires)
			}
		}
		switch {
		case len(keys) == 0:
		case locked:
			b.Queue(pgCount, keys, n, expires)
		default:
			b.Queue(pgFirst, keys, n, expires)
		}
	}
}

// raced tells that another node made a counter between our two steps, or that each waited for the other: nothing is
// stored, and the next try may end otherwise.
func raced(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (e.Code == "23505" && e.TableName == "counters" || e.Code == "40P01") // unique_violation, deadlock_detected
}

// Peek reads on a connection of its own, which the writer does not hold up.
func (p *Postgres) Peek(ctx context.Context, buckets []reply.Bucket, now time.Time) (reply.Full, error) {
	buckets = sorted(buckets)
	keys := make([]string, len(buckets))
	for i, b := range buckets {
		keys[i] = clean(b.Key)
	}
	var counters pgCounters
	err := p.look(ctx, "look at counters", func(ctx context.Context) (err error) {
		counters, err = p.counters(ctx, keys, nano(now))
		return err
	})
	if err != nil {
		return reply.Full{}, err
	}
	return counters.full(buckets, nano(now), p.slack()), nil
}

func (p *Postgres) counters(ctx context.Context, keys []string, now int64) (_ pgCounters, err error) {
	found, err := p.db.QueryContext(ctx, pgPeek, keys, now)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, found.Close()) }()
	out := pgCounters{}
	for found.Next() {
		var key string
		c := &pgCounter{}
		if err := found.Scan(&key, &c.n, &c.expires); err != nil {
			return nil, err
		}
		out[key] = c
	}
	return out, found.Err()
}
