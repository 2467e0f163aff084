package verify

import "checkauth/verify/result"

// Types of actions beside those of the DNS: TXT, CNAME, A, AAAA, PTR.
const (
	ActionHost = "HOST" // a change at a mail system, a name server or a provider, in words
	ActionWait = "WAIT" // nothing is to be changed
)

// Action is one change that mends something, with the proof that it does. A record takes the place of those in
// Replaces.
type Action struct {
	Name     string   `json:"name"` // owner name, canonical; empty with HOST and WAIT
	Type     string   `json:"type"`
	TTL      uint32   `json:"ttl,omitempty"`      // seconds
	Value    string   `json:"value,omitempty"`    // the whole new value, as a web form takes it
	Zone     string   `json:"zone,omitempty"`     // the same as a line of a zone file, strings of at most 255 octets
	Replaces []string `json:"replaces,omitempty"` // the values that it takes the place of; a stranger's text

	Code result.Code `json:"code"` // of what to do
	Args result.Args `json:"args,omitempty"`
	Text string      `json:"text,omitempty"` // as Reason.Text

	// Settings are where a mail system is changed: a program each, its directives or menus a line each.
	Settings []result.Text `json:"settings,omitempty"`

	Why    result.Reason   `json:"why,omitzero"`
	Before []result.Reason `json:"before,omitempty"` // what to think of first, and what it costs
	When   []result.Reason `json:"when,omitempty"`   // from when on it is seen
	Where  *Place          `json:"where,omitempty"`  // of a DNS record, where the zone's servers tell
	For    []result.Code   `json:"for"`              // the findings that it mends
	Proof  *Proof          `json:"proof,omitempty"`  // nil with HOST and WAIT: nobody can try them from here
}

// Place is where a record is edited.
type Place struct {
	Zone    string          `json:"zone"`
	Servers []string        `json:"servers"`              // its name servers
	Panel   string          `json:"panel,omitempty"`      // whose panel edits the zone, where the servers tell
	Path    string          `json:"path,omitempty"`       // through its menus
	Field   string          `json:"name_field,omitempty"` // what to type as the name
	Traps   []result.Reason `json:"traps,omitempty"`      // what goes wrong there
}

// Proof is the evaluation of the same message with the change in place.
type Proof struct {
	Before Words `json:"before"`
	Words        // after
	// Lookups of SPF after the change, of 10.
	Lookups int `json:"lookups"`
	// With: so many of the actions before this one are in place, before and after.
	With      int            `json:"with,omitempty"`
	Receivers []VerdictShift `json:"receivers,omitempty"` // those whose verdict changes
}

// Words are the results of a message, in short; DKIM's is the best of all signatures.
type Words struct {
	SPF     result.Word `json:"spf"`
	DKIM    result.Word `json:"dkim"`
	DMARC   result.Word `json:"dmarc"`
	IPRev   result.Word `json:"iprev"`
	SPFHelo result.Word `json:"spf-helo"`
}

// VerdictShift is a receiver's verdict before and after.
type VerdictShift struct {
	Name   string `json:"name"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// WordsOf puts a report's results together.
func WordsOf(r *Report) Words {
	return Words{
		SPF: r.Check(MethodSPF).Result, DKIM: BestDKIM(r), DMARC: r.Check(MethodDMARC).Result,
		IPRev: r.Check(MethodIPRev).Result, SPFHelo: r.Check(MethodSPFHelo).Result,
	}
}

// BestDKIM is pass where one signature passes; else the first result that is not none.
func BestDKIM(r *Report) result.Word {
	word := result.None
	for _, c := range r.Checks {
		switch {
		case c.Method != MethodDKIM:
		case c.Result == result.Pass:
			return result.Pass
		case word == result.None:
			word = c.Result
		}
	}
	return word
}
