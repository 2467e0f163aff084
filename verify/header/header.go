// Package header looks at the form of a message's header: which fields it must have and may have once
// (RFC 5322, 3.6), whether Date and Message-ID can be read, and whether the octets and lines are those
// that a header may have (RFC 5322, 2.1.1 and 2.2; RFC 6532 with SMTPUTF8). It asks nobody.
//
// The word is fail where a rule for who writes mail is broken. Where we differ: RFC 5322, 3.6.4 says only
// that Message-ID should be there; without it the word is fail all the same, as large receivers refuse
// such mail. RFC 5322, 4 lets nobody write the obsolete forms: those that programs read alike (a two-digit
// year, GMT) are a remark here, the others are faults.
//
// Not looked at: the grammar of the other address fields, References, and the fields of MIME. What is
// wrong with the author in From is said by DMARC's check, and a line that is no field at all by the report
// itself: both count for the word here, without a finding.
package header

import (
	"time"

	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// Facts is what is known of the message beside its header. A bool of the second part tells that the
// transport saw it and that the report says so: then no finding is made of it here.
type Facts struct {
	Received time.Time // when the message came in; zero where nobody knows, and Date is compared with nothing
	SMTPUTF8 bool      // the transaction used it (RFC 6531), or nobody can tell

	BareCR, BareLF, LongLine, NUL bool
}

// State of a field that a message should have.
type State string

// A field can be read and stands once or more, or one of these is wrong with it.
const (
	OK        State = "ok"
	Missing   State = "missing"
	Malformed State = "malformed"
	Off       State = "off" // Date alone: more than a day ahead or more than seven behind
)

// Result is what was found of the header.
type Result struct {
	Word     result.Word      `json:"-"` // pass, fail
	Reason   result.Reason    `json:"-"` // the first rule that is broken
	Findings []result.Finding `json:"-"`

	FromCount   int       `json:"from_count"` // those in disguise included
	Duplicates  []string  `json:"duplicates"` // fields that may stand once and stand more often, From among them
	Date        State     `json:"date"`
	DateTime    time.Time `json:"date_time,omitzero"` // what Date says, in UTC; zero where it cannot be read
	DateDiffers int64     `json:"date_differs"`       // seconds that Date is ahead of the receipt; negative where it is behind
	MessageID   State     `json:"message_id"`
	Malformed   int       `json:"malformed"` // lines that are no fields
	// Faulty are fields that are there and not as they must be: From, Date and Message-ID that cannot be
	// read, 8-bit octets, controls, bare line ends, blank folds, white space in front of the colon. Fields
	// that are missing, stand twice or are too long are not among them. At most 50.
	Faulty      []string `json:"faulty"`
	Octets8Bit  int      `json:"octets_8bit"`
	Controls    int      `json:"controls"` // control characters other than the tab and line ends, NUL included
	BareCR      int      `json:"bare_cr"`
	BareLF      int      `json:"bare_lf"`
	LongestLine int      `json:"longest_line"` // octets without the line end
	Fields      int      `json:"fields"`
	Size        int      `json:"size"` // octets, without the empty line behind it
}

// rules in the order in which the first broken one gives the reason.
var rules = []func(*state){
	(*state).begin,
	(*state).malformed,
	(*state).from,
	(*state).duplicates,
	(*state).date,
	(*state).messageID,
	(*state).sender,
	(*state).octets,
	(*state).lineEnds,
	(*state).lines,
	(*state).spaced,
}

// Check looks at a header. It keeps nothing of it.
func Check(fields mail.Fields, f Facts) Result {
	s := state{fields: fields, facts: f, author: mail.ParseFrom(fields), seen: scan(fields)}
	s.Word, s.Duplicates, s.Faulty, s.Fields = result.Pass, []string{}, []string{}, len(fields)
	for _, rule := range rules {
		rule(&s)
	}
	return s.Result
}

// state is one header on its way through the rules.
type state struct {
	Result
	fields mail.Fields
	facts  Facts
	author mail.From
	seen   seen
}

// broken notes that a rule is not kept; the first one is the reason.
func (s *state) broken(why result.Reason) {
	s.Word = result.Fail
	if s.Reason.IsZero() {
		s.Reason = why
	}
}

// maxFaulty names are kept: a header may have a thousand fields.
const maxFaulty = 50

// faulty notes fields for Result.Faulty, each of them once.
func (s *state) faulty(names ...string) {
	for _, n := range names {
		if len(s.Faulty) < maxFaulty {
			(*list)(&s.Faulty).add(result.Cut(n, maxName))
		}
	}
}

func (s *state) found(f result.Finding) { s.Findings = append(s.Findings, f) }
