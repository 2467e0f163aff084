// Package reply is the contract of the back: what is stored for delivery (Entry) and what bounds how
// much of it there may be (Bucket). It is plain data; policy decides, compose writes, store keeps,
// deliver sends.
package reply

import "time"

// Entry is one mail of ours on its way: a report, or mail passed on to the operator.
type Entry struct {
	ID        string // report id
	From      string // envelope sender; empty is the null reverse-path (RFC 3834, 3.3)
	To        string // envelope recipient, as it stands between angle brackets
	MessageID string // with its angle brackets; the same on every try
	Body      []byte // the whole message with CRLF line ends, signed
	UTF8      bool   // SMTPUTF8 is needed (RFC 6531)
	EightBit  bool   // the body has octets above 127 (RFC 6152)
	// Digest names the message that this answers (its envelope, the fields that tell one message from the
	// next, and its body); the same one again within an hour is answered with the stored report's id, not
	// with a second mail, unless its client heard the first answer. Empty: no such rule.
	Digest []byte
	// Whom the reply is for, in the spelling that is compared: its next test hears what became of this one. Only a
	// digest of it is stored; empty: nobody asks.
	Whom    string
	Created time.Time
	Expires time.Time // no further try after this
}

// State of a stored entry.
type State string

// The states. An entry is born leased to the node that stored it.
const (
	Leased  State = "leased"  // a node is at it until the lease's end
	Waiting State = "waiting" // for its next try
	Done    State = "done"    // a destination has taken it
	Failed  State = "failed"  // for good, with its reason
)

// Bucket is one counter that must not be full for an entry to be stored.
type Bucket struct {
	Key     string    // what is counted, with its window: "address-day/a@example.org"
	Limit   int64     // it is full when it has counted so many
	Expires time.Time // end of the window, where this one is the first within it; the counter then begins anew
}

// Full is a bucket that was full, and when its window is over; the zero Full is none.
type Full struct {
	Key   string
	Until time.Time
}

// Answer is what the client hears at the final dot.
type Answer struct {
	Code     int      // 250, 451, 550, …
	Enhanced [3]int   // RFC 3463
	Lines    []string // ASCII, each at most 480 octets, no controls
	Report   string   // id of the stored report that it tells of; empty: none
}
