// Package dnsbl asks lists in the DNS (RFC 5782) whether they have the client's address or a domain of the
// message. Nothing is asked but the lists that the operator configured, of which there are none by default.
//
// An answer is a listing only where it lies in 127.0.0.0/8 and is none of the answers by which a list says
// that it does not serve our resolver. Everything else that is no clear "not listed" is "could not tell".
//
// The zone of a list may hold the operator's key: reports name lists, never zones.
//
// Not done: RFC 5782, 5, the test entries of a list, which are for who configures it.
package dnsbl

import (
	"errors"
	"fmt"

	"checkauth/verify/dns"
	"checkauth/verify/result"
)

// Kind of a list: what it means to be on it.
type Kind string

// RFC 5782, 2.1 and 2.2.
const (
	Block Kind = "block"
	Allow Kind = "allow"
)

// Of what a list is made.
type Of string

// RFC 5782, 2.1 and 3.
const (
	IP     Of = "ip"
	Domain Of = "domain"
)

// List is one list. Where only Zone is set, and it is a zone that we know, the rest is known too.
type List struct {
	Zone string // without the reversed address; may hold a key
	Kind Kind
	Of   Of
	Name string // for reports
	URL  string // where its owner says why something is listed, and takes it out
}

// MaxLists are asked for one message.
const MaxLists = 10

// Config of this check. There are no lists by default: most serve only who runs a resolver of his own, and some want to be paid.
type Config struct{ Lists []List }

// Valid names all faults of the lists.
func (c Config) Valid() error {
	var all []error
	if len(c.Lists) > MaxLists {
		all = append(all, fmt.Errorf("%d lists are configured: at most %d are asked for one message", len(c.Lists), MaxLists))
	}
	for _, l := range c.Lists {
		l = Complete(l)
		switch {
		case !dns.Askable(l.Zone):
			all = append(all, fmt.Errorf("zone %q is no name in the DNS", l.Zone))
		case l.Kind != Block && l.Kind != Allow:
			all = append(all, fmt.Errorf("list %q: kind is %q: want %q or %q", l.Zone, l.Kind, Block, Allow))
		case l.Of != IP && l.Of != Domain:
			all = append(all, fmt.Errorf("list %q: of is %q: want %q or %q", l.Zone, l.Of, IP, Domain))
		case l.Name == "":
			all = append(all, fmt.Errorf("list %q has no name for reports", l.Zone))
		}
	}
	return errors.Join(all...)
}

// Evaluator has no state: one serves any number of goroutines.
type Evaluator struct {
	DNS    dns.Resolver
	Lists  []List
	Expect func(dns.Question) // told ahead what will be asked; may be nil
}

// State is what one list says.
type State string

// What a list may say. The last four leave it open whether it has the entry.
const (
	Listed     State = "listed"
	NotListed  State = "not-listed"
	Refused    State = "refused"      // the list does not serve our resolver
	Wrong      State = "wrong-answer" // an address outside 127.0.0.0/8: the list is gone, or somebody answers in its place
	Unanswered State = "unanswered"   // the DNS failed
	NotAsked   State = "not-asked"    // a private address, no domain, a family that the list does not have, our bound
)

// Entry is one list and what was asked of it.
type Entry struct {
	List     string   `json:"list"`
	Kind     Kind     `json:"kind"`
	Of       Of       `json:"of"`
	Subject  string   `json:"subject"` // address or domain
	State    State    `json:"state"`
	Answers  []string `json:"answers"`        // addresses that came
	Meanings []string `json:"meanings"`       // the list's own short words for them, where we know them
	Text     string   `json:"text,omitempty"` // of its TXT record, a stranger's
	URL      string   `json:"url,omitempty"`  // where to look
	policy   bool     // the whole listing says that this range should not send, and nothing else
	wide     bool     // large receivers refuse by it
	err      error
}

// Result is what the lists say.
type Result struct {
	Word     result.Word      `json:"-"` // pass: on no block list; fail, temperror, not run
	Reason   result.Reason    `json:"-"`
	Findings []result.Finding `json:"-"`
	Cause    error            `json:"-"`

	Entries []Entry `json:"lists"`
}

// UnansweredError is a list that the DNS gave no answer for. Its text leaves out the name that was asked,
// which may hold the operator's key.
type UnansweredError struct {
	List string
	Err  *dns.Error
}

func (e *UnansweredError) Error() string { return fmt.Sprintf("list %s: DNS: %s", e.List, e.Err.Kind) }
func (e *UnansweredError) Unwrap() error { return e.Err }

// The kinds of what is no answer, beside *UnansweredError.
var (
	ErrRefused = errors.New("the list does not serve this resolver")
	ErrWrong   = errors.New("the list answers with an address outside 127.0.0.0/8")
)
