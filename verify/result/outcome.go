package result

import "encoding/json"

// Outcome is what one check says of the message; DKIM has one a signature. A check makes it itself, with all that is shown
// of it, so that nobody who passes it on or shows it has to know the check.
type Outcome struct {
	Method     string            `json:"method"`
	Result     Word              `json:"result"`
	Reason     Reason            `json:"reason,omitzero"`
	Cause      string            `json:"cause,omitempty"` // of temperror and permerror: the error, in English
	Identities map[string]string `json:"identities"`      // verified, by registered property (RFC 8601, 2.7)
	Evidence   []Evidence        `json:"evidence"`
	// Detail is a pointer to the check's own result, for programs and for advice; nil where it has none. Of an Outcome that
	// was read from JSON it is the json.RawMessage: Detail (the function) gives the same for both.
	Detail any `json:"details,omitempty"`

	Findings []Finding `json:"-"` // the report has them all in one list
	Label    string    `json:"-"` // of the check, as people call it
	Subject  Text      `json:"-"` // which of several of the same method; no value where there is one
	Facts    []Fact    `json:"-"`
	Tree     *Tree     `json:"-"`
	Table    *Table    `json:"-"`
	// Unbroken: the reason stands on one line, for scripts look for it.
	Unbroken bool `json:"-"`
	// Beyond: the check is none of those that verifiers have always had, whose records are listed even where there are none.
	Beyond bool `json:"-"`
	// Registered: the method stands in Authentication-Results, with these properties beside the identities (RFC 8601, 2.7).
	Registered bool            `json:"-"`
	Properties map[string]Text `json:"-"`
}

// Speaker is a detail that has reasons in it, which programs want beside their sentences.
type Speaker interface{ EachReason(do func(*Reason)) }

// Describer is a detail that says how it is shown: it sets the facts, the tree and the table of its outcome.
type Describer interface{ Describe(o *Outcome) }

// Detail gives the detail of an outcome as the type that its check has; nil where it has none, or one of another type.
func Detail[T any](o Outcome) *T {
	switch d := o.Detail.(type) {
	case *T:
		return d
	case json.RawMessage:
		v := new(T)
		if json.Unmarshal(d, v) == nil {
			return v
		}
	}
	return nil
}

// UnmarshalJSON leaves the detail as it stands, for only the check knows its form.
func (o *Outcome) UnmarshalJSON(b []byte) error {
	type plain Outcome
	v := struct {
		*plain
		Detail json.RawMessage `json:"details"`
	}{plain: (*plain)(o)}
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	if len(v.Detail) > 0 {
		o.Detail = v.Detail
	}
	return nil
}

// CauseText is an error as Outcome's Cause; "" where there is none.
func CauseText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
