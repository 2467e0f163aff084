package store

import (
	"context"
	"time"

	"checkauth/reply"
)

// Admin is what the operator does with the entries of a running service; storetest.RunAdmin tests it. Each
// change is one statement that asks for the state that it changes, so whatever the service does at the same
// moment comes before or after it, and nothing is lost between.
//
// An entry that is leased is being tried, or waits for its turn in a node's memory, and cannot be called
// back: Retry and Drop say so (ErrLeased). One whose lease is over can be dropped: a node that has it in
// memory all the same asks for a new lease before it tries (Renew), which then fails. What was sent and
// whose end could not be written down, as on a full disk, can be dropped nevertheless; it was sent.
type Admin interface {
	// List gives entries in the order in which they were made, without their content; limit is how many
	// at most.
	List(ctx context.Context, f Filter, limit int) ([]Stored, error)
	// Show gives one with its content. ErrUnknown: there is none.
	Show(ctx context.Context, id string) (Stored, error)
	// Retry makes an entry that waits, or whose lease is over, due now. ErrLeased: it is being tried;
	// ErrEnded: there is nothing to try; ErrUnknown.
	Retry(ctx context.Context, id string, now time.Time) error
	// RetryAll makes all that wait due now, and tells how many were not.
	RetryAll(ctx context.Context, now time.Time) (int64, error)
	// Drop ends an entry that waits, or whose lease is over, as failed: its content is forgotten, the reason
	// and what was said at the last try stay for a day. Errors as Retry.
	Drop(ctx context.Context, id string, now time.Time, reason string) error
	// Stats counts.
	Stats(ctx context.Context) (Stats, error)
	Close() error
}

// Filter says which entries List gives; the zero Filter is all.
type Filter struct {
	States []reply.State // one of these; none is any
	// Domain of the recipient as it stands in the entry, in any case. What has ended has no recipient any
	// more.
	Domain string
}

// Stored is an entry with all that is known of it. What has ended has neither addresses nor content.
type Stored struct {
	reply.Entry // List leaves Body nil
	State       reply.State
	Node        string    // that leased it last
	Due         time.Time // leased: the lease's end; waiting: the next try; else: it is forgotten then
	Tries       int       // that were made; one that runs is not among them
	Outcome               // of the last try, or the end
	Aside       bool      // it failed because it could not be read
	Fault       error     // what of it cannot be read; nil: nothing
}

// Stats are counts of the entries.
type Stats struct {
	Leased, Waiting, Done, Failed int64
	Aside                         int64     // of the failed: could not be read, see Stored.Aside
	Oldest                        time.Time // when the oldest that is leased or waits was made; zero: there is none
}
