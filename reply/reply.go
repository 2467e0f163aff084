// Package reply is the contract of the back: what is stored for delivery (Entry) and what bounds how
// much of it there may be (Bucket). It is plain data; policy decides, compose writes, store keeps,
// deliver sends. And it is the contract with the SMTP server: Evaluator, Transaction, Answer.
package reply

import (
	"cmp"
	"net/netip"
	"time"

	"checkauth/verify/naming"
	"checkauth/verify/share"
)

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
	// Client sent the message that this answers, for the turns that networks take. Of an entry that comes from the store it
	// is the first address of its /24, or /64 of IPv6. The zero one has no network.
	Client netip.Addr
	// Counted are the mail servers' addresses that it was counted at when it was stored. It is not stored with it: a
	// further try counts anew.
	Counted []Counted
}

// Organisation is the one that the recipient's domain belongs to; the domain where it has none.
func (e Entry) Organisation() string {
	domain := naming.Domain(e.To)
	return cmp.Or(naming.Organisation(domain), domain)
}

// Counted is an address of a mail server, and the buckets that a reply is counted in before it is brought there.
type Counted struct {
	At netip.Addr
	In []Bucket
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

	// Pot is the key of another bucket of the same entry, where this one counts what somebody has had of that one: it
	// may have a Part-th of what is free there, and always one (share.Rule). Limit bounds it as well. Empty: no pot.
	Pot  string
	Part int
	// Few, where it is above zero, is how much one may have once four fifths of the pot are taken.
	Few int64
}

// Most is how many a bucket may have counted for one more to have room, where its pot has counted so many. Who has a
// share of what nobody has any more is not to blame: the pot itself is full.
func (b Bucket) Most(pot Bucket, counted int64) int64 {
	free := pot.Limit - counted
	if b.Pot == "" || free <= 0 {
		return b.Limit
	}
	most := min(b.Limit, int64(share.Rule{Part: b.Part}.Most(int(free))))
	if b.Few > 0 && free <= pot.Limit/5 {
		most = min(most, b.Few)
	}
	return most
}

// Full is a bucket that was full, and when its window is over; the zero Full is none.
type Full struct {
	Key   string
	Until time.Time
}
