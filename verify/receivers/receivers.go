// Package receivers says what the large mailbox providers would do with a message by the rules that
// they publish, and by replies that were seen. The rules are data, receivers.toml: which receiver, what
// it asks for, since when, by which source, and the named predicates (predicates.go) that must hold; an
// operator adds receivers by a file of the same form.
//
// It sees one message: reputation, volume and complaints, which decide as often, are not here. Each
// receiver has a hint at where its own figures are to be found.
package receivers

import (
	"checkauth/verify"
	"checkauth/verify/result"
)

// What a receiver would do; Junk means that the junk folder is likely.
const (
	Accept  = "accept"
	Junk    = "junk"
	Defer   = "defer"
	Reject  = "reject"
	Unknown = "unknown" // no rule decides, and one could not be judged or too few are known
	None    = "none"    // of a rule alone: it is what the receiver asks for, and decides nothing
)

// Whom a rule binds. Of one blank test mail nobody can tell whether it is one of many, so the rules for
// bulk and marketing mail are listed and never decide.
const (
	All       = "all"
	Bulk      = "bulk"
	Marketing = "marketing"
)

// How sure a rule is. A recommended one is listed and never decides.
const (
	Required     = "required"      // published as a must
	Recommended  = "recommended"   // published as advice
	Observed     = "observed"      // seen, with no published rule
	DomainPolicy = "domain-policy" // what the domain's own DMARC record asks for: Junk
)

// fewest rules that could decide make it worth saying that none is broken. A receiver of which less is known may refuse
// for much that nobody here knows.
const fewest = 3

// State of a rule or a predicate.
type State = verify.RuleState

// The states, as verify has them.
const (
	Met       = verify.Met
	NotMet    = verify.NotMet
	Undecided = verify.Undecided
	NotSeen   = verify.NotSeen
)

// Verdict is what one receiver would do with the message, and Rule one of its rules.
type (
	Verdict = verify.Receiver
	Rule    = verify.ReceiverRule
)

// Set is the rules that were loaded. It does not change: one serves any number of goroutines.
type Set struct {
	receivers []receiver
	sources   map[string]source
	rules     []rule
}

// Codes lists the code of every sentence that a Verdict can carry, but for those of an operator's file,
// which brings its own.
func (s *Set) Codes() []result.Code {
	out := []result.Code{
		"receiver-accept", "receiver-accept-asks", "receiver-junk", "receiver-reject", "receiver-reject-uncoded", "receiver-defer",
		"receiver-defer-uncoded", "receiver-unknown", "receiver-unknown-few", "receiver-junk-observed", "receiver-junk-policy",
		"receiver-reject-observed", "receiver-reject-uncoded-observed", "receiver-defer-observed", "receiver-defer-uncoded-observed",
		"receiver-bulk", "receiver-bulk-unnumbered",
	}
	for i := range s.receivers {
		if h := s.receivers[i].hint(); !h.IsZero() && h.Text == "" {
			out = append(out, h.Code)
		}
	}
	for i := range s.rules {
		if q := s.rules[i].requirement(); q.Text == "" {
			out = append(out, q.Code)
		}
	}
	return out
}
