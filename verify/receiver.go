package verify

import "checkauth/verify/result"

// RuleState tells whether a receiver's rule is met.
type RuleState string

// A check that gave no result for want of an answer is Undecided, never NotMet. NotSeen is what nobody looked
// at: it is listed and decides nothing.
const (
	Met       RuleState = "met"
	NotMet    RuleState = "not met"
	Undecided RuleState = "unknown"
	NotSeen   RuleState = "not looked at"
)

// Receiver is what one receiver would do with the message.
type Receiver struct {
	ID      string         `json:"id"`
	Name    string         `json:"name"`
	About   string         `json:"about,omitempty"`
	Verdict string         `json:"verdict"`        // accept, junk, defer, reject, unknown
	Code    string         `json:"code,omitempty"` // of reject and defer, as in "550 5.7.26"; empty where none is published
	Text    result.Text    `json:"text,omitzero"`  // of the reply, shortened; alternatives stand between bars
	Why     result.Reason  `json:"why"`            // the verdict in words
	Hint    result.Reason  `json:"hint,omitzero"`
	Bulk    result.Reason  `json:"bulk,omitzero"` // from which volume its rules for bulk mail hold
	Rules   []ReceiverRule `json:"rules"`         // those that are not met or could not be told, in the file's order
}

// ReceiverRule is one rule of a receiver, held against the message.
type ReceiverRule struct {
	ID          string        `json:"id"`
	Requirement result.Reason `json:"requirement"` // the rule in words
	State       RuleState     `json:"state"`
	Missing     []string      `json:"missing,omitempty"` // the predicates that are not met
	Decides     bool          `json:"decides,omitempty"` // it is not met, and counts for the verdict
	Scope       string        `json:"scope"`
	Strength    string        `json:"strength"`
	Verdict     string        `json:"verdict"` // where it is not met; of bulk and marketing: what it would be
	Code        string        `json:"code,omitempty"`
	DeferCode   string        `json:"defer_code,omitempty"` // the milder answer that the receiver also uses
	Text        result.Text   `json:"text,omitzero"`
	Since       string        `json:"since,omitempty"`
	Source      string        `json:"source"`
	SourceDate  string        `json:"source_date,omitempty"`
}
