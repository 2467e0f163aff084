// Package store keeps what is on its way: entries (mail of ours until a destination has taken it),
// counters (how much of it there was) and, where the operator wants them, reports. What Put accepted
// survives the loss of the process and of power.
//
// It decides nothing: which buckets there are says reply/policy, when the next try is says
// reply/deliver, and what time it is says the caller.
package store

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"checkauth/reply"
)

// Store is what every kind of store does; storetest.Run tests it. All methods may be called at once
// from many goroutines. A write that returned nil is durable. A context that ends before a write began
// ends the call; one that began is waited for.
type Store interface {
	// Put stores an entry, leased to this node, and counts it in each bucket: all or nothing. full is
	// the first bucket, by key, that was full; then nothing is stored or counted.
	Put(ctx context.Context, e reply.Entry, buckets []reply.Bucket, now time.Time) (full reply.Full, err error)
	// Count counts in each bucket of in without an entry, all or nothing as Put does, and takes one off each of back that
	// was counted in a window that still runs: Expires is that of the bucket as it was counted.
	Count(ctx context.Context, in, back []reply.Bucket, now time.Time) (full reply.Full, err error)
	// Peek tells which bucket Put would find full. It holds nothing: Put decides.
	Peek(ctx context.Context, buckets []reply.Bucket, now time.Time) (full reply.Full, err error)
	// Seen gives the id of the newest entry with that digest made at since or later, or "". One that
	// failed for good does not count: its message may have a new answer. Nor does an empty digest.
	Seen(ctx context.Context, digest []byte, since, now time.Time) (id string, err error)

	// Undelivered gives the newest reply for somebody (Entry.Whom) that was tried and not taken: it waits for its next
	// try, or has failed and is not forgotten yet. The zero one: there is none.
	Undelivered(ctx context.Context, whom string) (Undelivered, error)

	// Claim leases up to n entries whose time has come, the longest waiting first: those for their
	// next try and those whose lease ran out. Times that were written by a clock that was wrong, and has been
	// set since, are put right (clock.go): an entry may come with other times than it was put with.
	Claim(ctx context.Context, now time.Time, n int) ([]Claimed, error)
	// Renew begins this node's lease of an entry anew. ErrUnknown: it is not this node's any more, as
	// the operator dropped it or another node took it over when its lease was over. Whoever is about to
	// send an entry whose lease may end meanwhile asks for it, and does not send it where it fails.
	Renew(ctx context.Context, id string, now time.Time) error
	// Done says that a destination took the entry; its content is forgotten, the outcome stays for a day.
	Done(ctx context.Context, id string, now time.Time, o Outcome) error
	// Retry counts a try that failed and says when the next one is.
	Retry(ctx context.Context, id string, at time.Time, o Outcome) error
	// Release gives a lease back without counting a try; the outcome before stays.
	Release(ctx context.Context, id string, at time.Time) error
	// Fail says that there is no further try; the content is forgotten, the outcome stays for a day.
	Fail(ctx context.Context, id string, now time.Time, o Outcome) error

	// Secrets keeps offer under a name, unless there is one of that name, and gives all that have not expired
	// by their names: nodes that share a store share them.
	Secrets(ctx context.Context, name string, offer []byte, expires, now time.Time) (map[string][]byte, error)
	// Stop keeps an address out for good, Resume lifts that, Stopped tells.
	Stop(ctx context.Context, address string, now time.Time) error
	Resume(ctx context.Context, address string) error
	Stopped(ctx context.Context, address string) (bool, error)

	// Sweep forgets what has expired. Call it every few minutes.
	Sweep(ctx context.Context, now time.Time) error
	// Close waits for what has begun. No method may be called after it.
	Close() error
}

// Claimed is an entry that this node is to deliver now.
type Claimed struct {
	reply.Entry
	Tries   int       // that were made so far; all failed
	Until   time.Time // the lease's end; zero: not known
	Hurried bool      // the operator wants this try, whatever speaks for a later one
}

// Undelivered is a reply that did not arrive.
type Undelivered struct {
	Created time.Time
	Tries   int
	Kind    string // of the last failure
	Ended   bool   // there is no further try
}

// Outcome is what came of a try. Its texts are strangers', cleaned and bounded by who has them of a
// server.
type Outcome struct {
	Reason string // why it failed, or empty
	Kind   string // of failure, in a word of ours; empty where it did not fail
	Answer string // what the server said last
	TLS    string // version, or "no: " and why; and what asked for it
	Host   string // whom it was tried with
	// Untried: the entry ends without a try, so that none is counted; it is not stored.
	Untried bool
}

// Config of a store.
type Config struct {
	// Lease is how long an entry is its node's own; a try of deliver must be over before.
	Lease time.Duration
	// Wait is the longest time that an entry waits for its next try; 0: two hours.
	Wait time.Duration
	Node string // this node's name; it stands beside the entries that it leased
	Log  *slog.Logger
}

// Defaults are a lease of 20 minutes and the host's name.
func Defaults() Config {
	node, err := os.Hostname()
	if err != nil {
		node = "localhost"
	}
	return Config{Lease: 20 * time.Minute, Node: node, Log: slog.Default()}
}

func (c Config) check() error {
	if c.Lease <= 0 {
		return errors.New("store: Lease is 0: want a duration longer than one try of delivery, such as 20m")
	}
	if c.Node == "" {
		return errors.New("store: Node is empty: want this node's name")
	}
	return nil
}

// Kinds of errors; errors.Is tells them apart.
var (
	ErrLocked  = errors.New("another process uses this folder")
	ErrTaken   = errors.New("another process serves")
	ErrForeign = errors.New("not a queue of ours")
	ErrCorrupt = errors.New("the database is damaged")
	ErrHalf    = errors.New("queue.db was copied without queue.db-wal, which has what is in the queue")
	ErrNewer   = errors.New("made by a newer version")
	ErrOlder   = errors.New("made by an older version")
	ErrUnknown = errors.New("no such entry on its way")
	ErrLeased  = errors.New("it is being tried")
	ErrEnded   = errors.New("it has ended")
	ErrFull    = errors.New("no room on the disk")
	ErrAway    = errors.New("the database is away")
	ErrURL     = errors.New("the database's URL cannot be used")
	ErrClosed  = errors.New("the store is closed")
)

// remember is how long a finished entry's id, digest and reason stay: longer than any rule asks for
// the same message again, short enough for whom it concerned.
const remember = 24 * time.Hour

// nano is how a time stands in the tables. The zero time has no UnixNano.
func nano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromNano(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
