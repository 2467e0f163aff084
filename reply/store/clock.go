package store

import (
	"cmp"
	"sync"
	"time"
)

// A machine's clock may be years off until something sets it right, and what was written down meanwhile stays. All
// times here were computed from some now and a length, so a time that lies farther ahead than its length was written
// by a clock that has been set back since, and is void:
//
//   - a counter's window, whose length the bucket brings with it, begins anew;
//   - an entry that waits longer than any entry waits is due now, and one that was made in the future is as old as if
//     it were made now;
//   - what has ended is not remembered for longer than a day, nor seen before it was made.
//
// A clock that is set ahead must expire nothing: an entry ages while somebody looks after it. One that is found to be
// over, and that should have been looked at long ago, has the time since then added to its life. So it is after days
// in which no process ran, too: a report that is late is better than none.

const (
	// slack is how far the clock may have been set, or the nodes' clocks may be apart, without being noticed. A store of
	// several nodes adds what they may be apart.
	slack = time.Minute
	// overdue is how late an entry is looked at where the clock has been set, or nobody was there.
	overdue = 10 * time.Minute
	// longestWait is that of an entry for its next try, where Config says nothing.
	longestWait = 2 * time.Hour
	// longestWindow is longer than any counter's.
	longestWindow = 32 * 24 * time.Hour
	// healing is how often entries are looked through for times that are void.
	healing = 30 * time.Second
)

// horizon is how far ahead the next look at an entry can lie.
func (c Config) horizon() time.Duration { return max(c.Lease, cmp.Or(c.Wait, longestWait)) + slack }

const (
	// An entry's end lies behind its next look. Where it does not, it was put right before that look was written down.
	//
	// $1 now, $2 from when on an entry was made by a clock that was ahead, $3 from when on its next look is void.
	sqlHeal = `UPDATE entries SET
		expires = CASE WHEN created > $2 THEN $1 + (expires - created) WHEN expires > due THEN expires + ($1 - due) ELSE expires END,
		created = CASE WHEN created > $2 THEN $1 ELSE created END,
		due = CASE WHEN due > $3 THEN $1 ELSE due END
	WHERE state IN ('waiting', 'leased') AND (due > $3 OR created > $2) AND created <= ` + mostNano

	// mostNano: in SQLite's order of types a text, which some damage has put there, is above it.
	mostNano = "9223372036854775807"

	// Another node's lease is its own, whatever its clock says.
	pgHeal = sqlHeal + ` AND (state = 'waiting' OR node = $4)`
)

// healer says when to look through the entries again.
type healer struct {
	mu   sync.Mutex
	last time.Time
}

// due is true the first time, every half minute, and at once where the clock has been set back.
func (h *healer) due(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if since := now.Sub(h.last); !h.last.IsZero() && 0 <= since && since < healing {
		return false
	}
	h.last = now
	return true
}
