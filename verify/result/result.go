// Package result has the words that a check may conclude with and the shape of what it says about
// them. It holds data and no sentence: a Code is put into words by package templates.
package result

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Word is the result of one check. RFC 8601, 2.7: each method has a fixed set of them.
type Word string

// The words of RFC 8601, 2.7 for the methods that we run.
const (
	None      Word = "none"
	Neutral   Word = "neutral"
	Pass      Word = "pass"
	Fail      Word = "fail"
	SoftFail  Word = "softfail"
	Policy    Word = "policy"
	TempError Word = "temperror"
	PermError Word = "permerror"
)

// NotRun is no word of RFC 8601: the check could not be made at all, its Reason tells why.
const NotRun Word = "not run"

// Code names a cause, a reason or a remark. Codes are kebab-case, never renamed and never reused;
// templates/words has the sentence of each.
type Code string

// Reason says why a check concluded what it did. The zero Reason says nothing.
type Reason struct {
	Code Code   `json:"code"`
	Args Args   `json:"args,omitempty"`
	Text string `json:"text,omitempty"` // the English sentence, set by who writes the JSON (compose)
}

// IsZero tells that there is nothing to say.
func (r Reason) IsZero() bool { return r.Code == "" }

// String is for logs and tests: the code and its arguments, sorted, quoted.
func (r Reason) String() string {
	if len(r.Args) == 0 {
		return string(r.Code)
	}
	var b strings.Builder
	b.WriteString(string(r.Code))
	for _, a := range r.Args {
		fmt.Fprintf(&b, " %s=%q", a.Name, a.Value)
	}
	return b.String()
}

// Because makes a Reason of a code and pairs of argument name and value, of which TextOf makes a text.
func Because(code Code, pairs ...any) Reason {
	return Reason{Code: code, Args: named(pairs)}
}

// Severity orders findings for the reader.
type Severity string

// A finding is an error where mail is refused or put into junk for it, a warning where some receivers
// mind or where it will break, info where it is only good to know.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Info    Severity = "info"
)

// Finding is one fact that the reader should know: the cause, not the symptom.
type Finding struct {
	Code     Code       `json:"code"`
	Args     Args       `json:"args,omitempty"`
	Text     string     `json:"text,omitempty"` // as Reason.Text
	Severity Severity   `json:"severity"`
	Check    string     `json:"check,omitempty"` // method of the check that it belongs to
	Evidence []Evidence `json:"evidence,omitempty"`
	// About is what it is about, for advice: a type of the check's package, whole where the arguments are cut to be shown; nil
	// where the arguments are all that there is.
	About any `json:"-"`
}

// Found makes a Finding of a code and pairs of argument name and value, of which TextOf makes a text.
func Found(s Severity, code Code, pairs ...any) Finding {
	return Finding{Severity: s, Code: code, Args: named(pairs)}
}

// Evidence is one answer of the DNS as it was used.
type Evidence struct {
	Name  string   `json:"name"`            // owner name asked for, without final dot
	Type  string   `json:"type"`            // TXT, A, …
	Rcode string   `json:"rcode"`           // NOERROR, NXDOMAIN, or what went wrong (SERVFAIL, TIMEOUT, …)
	TTL   uint32   `json:"ttl"`             // seconds; of the records, zero where there are none
	Data  []string `json:"data"`            // as in a zone file
	Chain []string `json:"chain,omitempty"` // names that CNAMEs led to, in order
	// Extended is what the server said beside it (RFC 8914), or why we did not ask; a stranger's text.
	Extended string        `json:"extended,omitempty"`
	Server   string        `json:"server,omitempty"`
	Took     time.Duration `json:"-"`
	Time     time.Time     `json:"time,omitzero"` // when the answer came in
	AD       bool          `json:"ad"`
}

// MarshalJSON writes Took as "ms", milliseconds, behind the fields.
func (e Evidence) MarshalJSON() ([]byte, error) {
	type plain Evidence
	return json.Marshal(struct {
		plain
		MS int64 `json:"ms"`
	}{plain(e), e.Took.Milliseconds()})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (e *Evidence) UnmarshalJSON(b []byte) error {
	type plain Evidence
	v := struct {
		*plain
		MS int64 `json:"ms"`
	}{plain: (*plain)(e)}
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	e.Took = time.Duration(v.MS) * time.Millisecond
	return nil
}
