// Package spf evaluates SPF records: check_host of RFC 7208, section 4, with the mechanisms of
// section 5, the modifiers of 6 and the macros of 7. It asks DNS and nothing else: it writes no
// Received-SPF field and decides nothing about the mail.
//
// Where the RFC leaves a choice, or we differ:
//   - 4.6.4: past the limit of look-ups we walk on for the report alone; the result is fixed by then.
//   - 4.6.4: a term counts as one void look-up at most; the addresses of an mx's names and those of the
//     client's names are no terms.
//   - 4.6.4: an mx with more than ten names is permerror when an eleventh would have to be asked for.
//   - 4.8: a target that DNS cannot be asked about is taken for a name that does not exist; with include
//     and redirect it has no record.
//   - 6.2: an explanation is cut at 1024 octets.
//   - Records of more than 65536 terms in one evaluation are temperror: our bound.
//
// A record is walked in three ways, which share the parser, the expansion of macros and the order of terms, and nothing else.
// The evaluation (eval.go, mechanisms.go) is the RFC's: one term after the other, it ends at the first that matches, and its
// counts are the limits. Ahead (ahead.go) walks what is known so far, again with each answer that comes in, and never waits;
// it must be wrong rather than late, and it bounds what a stranger's record may make us ask. The survey (survey.go) walks all
// of the tree, also what the evaluation never came to, to say what will break. One walker with three modes was drawn: each
// step would ask which mode it is in, because what ends a walk, what counts, and what an unknown answer means differ in all
// three. FuzzAhead and TestAhead_changes_nothing_but_the_time hold them together: an evaluation ends alike with it and without.
package spf

import (
	"net/netip"
	"time"

	"checkauth/verify/dns"
	"checkauth/verify/result"
)

// Query is one identity to check.
type Query struct {
	IP   netip.Addr // <ip>; a mapped IPv4 address is taken for what it maps (RFC 7208, 5)
	Helo string     // as the client gave it, any bytes
	// MailFrom is the reverse-path without its angle brackets, any bytes. Empty is the null
	// reverse-path: postmaster@Helo is checked then (RFC 7208, 2.4).
	MailFrom string
	// Domain is the <domain> of check_host where it is not that of the sender (RFC 7208, 4.1): a record
	// looked at as if an include or redirect had led there. Empty is the sender's.
	Domain string
}

// Checked is the <domain> that Check evaluates, as DNS is asked for it.
func (q Query) Checked() string { return mailFrom(q).begin() }

// Evaluator runs check_host. It has no state: one serves any number of goroutines.
type Evaluator struct {
	DNS dns.Resolver
	// Diagnose is asked why the result is what it is, once that is fixed; it changes nothing. nil is DNS.
	Diagnose dns.Resolver
	// Expect is told of questions that Diagnose is about to be asked one after the other, so that they can
	// go out side by side; nil: they do not.
	Expect func(dns.Question)
	// Expanded is told of each name that macros other than %{d} were expanded to, before that is asked for: whoever sends
	// the mail or connects has chosen it. nil: nobody is.
	Expanded func(name string)

	Host string           // our own name, for %{r}; empty gives "unknown" (RFC 7208, 7.3)
	Now  func() time.Time // for %{t}; nil is time.Now
}

// Result is what check_host concluded and how it came there.
type Result struct {
	Word     result.Word      `json:"-"` // one of the seven of RFC 7208, 2.6
	Reason   result.Reason    `json:"-"`
	Findings []result.Finding `json:"-"`
	Cause    error            `json:"-"` // set with temperror and permerror, else nil; errors.Is tells which

	Sender      string `json:"sender"`                // the <sender> that was checked: local-part@domain
	Domain      string `json:"domain"`                // the <domain> that was checked
	Explanation string `json:"explanation,omitempty"` // of exp=, ASCII, with fail alone; a stranger's text
	Lookups     int    `json:"lookups"`               // terms that ask DNS, of 10 (RFC 7208, 4.6.4)
	Voids       int    `json:"voids"`                 // look-ups that found nothing, of 2 (RFC 7208, 4.6.4)
	Matched     string `json:"matched,omitempty"`     // the term that decided, as published
	MatchedIn   string `json:"matched_in,omitempty"`  // the domain whose record has it
	// Network is the width in bits of the literal network that matched (ip4, ip6, and the address with
	// its mask for a and mx); -1 where the match was by all, or there was none.
	Network int     `json:"network"`
	Root    *Record `json:"record,omitempty"` // nil where there is none
	Whole   *Whole  `json:"whole,omitempty"`  // of Examine, where there is a record
}

// Record is one published record in the tree of all that was visited.
type Record struct {
	Domain string `json:"domain"`
	Text   string `json:"text"` // joined strings, as published; a stranger's text
	TTL    uint32 `json:"ttl"`
	Terms  []Term `json:"terms"` // in the record's order, also those that were not reached; of more than 1000 the first and what decided
}

// Outcome of one term.
type Outcome string

// What became of a term.
const (
	Match      Outcome = "match"
	NoMatch    Outcome = "no match"
	NotReached Outcome = "not reached"
	Failed     Outcome = "error"    // it decided the result by an error
	Modifier   Outcome = "modifier" // redirect, exp or unknown; not a mechanism
)

// Term is one term of a record and what became of it.
type Term struct {
	Text    string        `json:"text"`   // as published
	Offset  int           `json:"offset"` // of its first byte in Record.Text
	Outcome Outcome       `json:"outcome"`
	Why     result.Reason `json:"why,omitzero"`
	Target  string        `json:"target,omitempty"` // the domain that it asked about, macros expanded
	Found   []string      `json:"found,omitempty"`  // addresses or names that it found, at most 20
	TTL     *uint32       `json:"ttl,omitempty"`    // seconds; the shortest of the records that it used, nil where there were none
	Lookups int           `json:"lookups"`          // running count after this term
	Voids   int           `json:"voids"`            // running count after this term
	MS      int64         `json:"ms"`               // milliseconds that DNS took, for all below it as well; asked ahead, it took less in all
	Record  *Record       `json:"record,omitempty"` // of include and redirect
}
