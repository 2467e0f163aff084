package verify

import (
	"encoding/json"
	"fmt"
	"time"

	"checkauth/verify/arc"
	"checkauth/verify/dkim"
	"checkauth/verify/dmarc"
	"checkauth/verify/dnsbl"
	"checkauth/verify/header"
	"checkauth/verify/helo"
	"checkauth/verify/inbound"
	"checkauth/verify/iprev"
	"checkauth/verify/mail"
	"checkauth/verify/result"
	"checkauth/verify/spam"
	"checkauth/verify/spf"
)

// Version of the JSON form. Fields are only added.
const Version = 1

// Report is everything that is said of one message. Its JSON form is published in docs/; package
// compose adds the sentences (text) to it.
type Report struct {
	Version  int              `json:"version"`
	ID       string           `json:"id"`
	Host     string           `json:"host"` // who says this
	Time     time.Time        `json:"time"`
	Session  Session          `json:"session"`
	Message  MessageFacts     `json:"message"`
	Verdict  Verdict          `json:"verdict"`
	Checks   []Check          `json:"checks"`
	Findings []result.Finding `json:"findings"`
	// Receivers: what the large mailbox providers would do by their published rules.
	Receivers []Receiver `json:"receivers"`
	// Actions are what to do now, the most important first.
	Actions []Action `json:"actions"`
	// Authoritative is what the zones' own servers say of the records that decided a failure.
	Authoritative []Authority `json:"authoritative"`
	// Sender and Class are for who answers the message: what the envelope sender's own domain says, and what that and
	// the checks prove of him. They are set once, after the checks and before advice.
	Sender Sender `json:"-"`
	Class  Class  `json:"-"`
}

// Class of an envelope sender, by what proves it; the rules are package standing's.
type Class string

// Sender is what the domain of MAIL FROM says of mail in its name, whoever the author is.
type Sender struct {
	// Known: it could be told whether a DMARC record applies to the domain, and what that asks for.
	Known      bool
	Policy     string // none, quarantine, reject; "" where no record applies
	PolicyName string // domain of that record
	// Aligned are the d= of signatures that pass and align with the domain by that record, in the spelling of naming.Key.
	Aligned []string
	MX      []string // its mail servers, in the spelling of naming.ASCII
	// Host is a name of the client's address, which leads back to it, that is the domain's own or its MX host; "" without.
	Host string
	// Undecided: our own bound of questions for one message, or the look-up of a DMARC record, leaves SPF, DMARC or
	// the policy above unknown. The silence of all of the domain's own servers does not.
	Undecided bool
}

// Authority is one record as the name servers of its zone have it.
type Authority struct {
	Name    string            `json:"name"`
	Type    string            `json:"type"`
	Zone    string            `json:"zone"`
	Servers []AuthorityServer `json:"servers"`
	// VisibleAt is when the last cache that has what we used forgets it, where the servers have something
	// else; zero where nothing is to be waited for.
	VisibleAt time.Time     `json:"visible_at,omitzero"`
	Says      result.Reason `json:"says,omitzero"`
}

// AuthorityServer is what one of them said.
type AuthorityServer struct {
	Server string        `json:"server"`
	Serial *uint32       `json:"serial"`         // of its zone; null where it did not tell
	Data   []string      `json:"data"`           // as in a zone file
	Error  result.Reason `json:"error,omitzero"` // why it gave no answer
}

// Session is what SMTP said.
type Session struct {
	ClientIP   string `json:"client_ip"`
	ClientPort uint16 `json:"client_port"`
	Helo       string `json:"helo"`
	TLS        *TLS   `json:"tls"` // null in clear text, {} where it is only known that there was TLS
	// TLSFailed: the client tried TLS a few minutes before, in vain.
	TLSFailed  *TLSFailure `json:"tls_failed,omitempty"`
	MailFrom   string      `json:"mail_from"`
	RcptTo     []string    `json:"rcpt_to"`
	Transcript []Line      `json:"transcript"`
}

// MessageFacts tell which message it was.
type MessageFacts struct {
	From      string      `json:"from"`
	Subject   string      `json:"subject"`
	MessageID string      `json:"message_id"`
	Size      int64       `json:"size"` // octets
	Fields    mail.Fields `json:"-"`    // the original header, for the reply alone
}

// Verdict is the answer in one word.
type Verdict struct {
	Word VerdictWord   `json:"result"`
	Why  result.Reason `json:"why"`
}

// VerdictWord: does the message authenticate?
type VerdictWord string

// A message authenticates by DMARC's pass, or, where its domain has no DMARC record, by a pass of SPF
// or DKIM for the same organisation. What could not be learnt is unknown.
const (
	Authenticated VerdictWord = "pass"
	NotProved     VerdictWord = "fail"
	Unknown       VerdictWord = "unknown"
)

// NotForFrom is the reason of a fail where SPF or DKIM passes, but for a domain that has nothing to do with From.
const NotForFrom result.Code = "verdict-not-for-from"

// Methods, in the order of the report.
const (
	MethodSPF     = "spf"
	MethodIPRev   = "iprev"
	MethodDKIM    = "dkim"
	MethodDMARC   = "dmarc"
	MethodSPFHelo = "spf-helo"
	MethodHelo    = "helo"
	MethodTLS     = "tls"
	MethodARC     = "arc"
	MethodHeader  = "header"
	MethodInbound = "inbound" // whether the author's domain takes mail
	MethodDNSBL   = "dnsbl"   // where configured
	MethodSpam    = "spam"    // where configured
)

// Check is one check of the message; DKIM has one a signature.
type Check struct {
	Method     string            `json:"method"`
	Result     result.Word       `json:"result"`
	Reason     result.Reason     `json:"reason,omitzero"`
	Cause      string            `json:"cause,omitempty"` // of temperror and permerror: the error, in English
	Identities map[string]string `json:"identities"`      // verified, by registered property (RFC 8601, 2.7)
	Evidence   []result.Evidence `json:"evidence"`
	Details    Details           `json:"details,omitzero"`
}

// Details of a check's own kind: at most one is set, and which follows from the method. In JSON it is
// that one itself.
type Details struct {
	SPF   *spf.Result
	DKIM  *dkim.Signature
	DMARC *dmarc.Result
	IPRev *iprev.Result
	Helo  *helo.Result

	ARC     *arc.Result
	Header  *header.Result
	Inbound *inbound.Result
	DNSBL   *dnsbl.Result
	Spam    *spam.Result
}

// of gives the place for the details of a method, nil where it has none.
func (d *Details) of(method string) any {
	switch method {
	case MethodSPF, MethodSPFHelo:
		return &d.SPF
	case MethodDKIM:
		return &d.DKIM
	case MethodDMARC:
		return &d.DMARC
	case MethodIPRev:
		return &d.IPRev
	case MethodHelo:
		return &d.Helo
	case MethodARC:
		return &d.ARC
	case MethodHeader:
		return &d.Header
	case MethodInbound:
		return &d.Inbound
	case MethodDNSBL:
		return &d.DNSBL
	case MethodSpam:
		return &d.Spam
	}
	return nil
}

// MarshalJSON writes the one that is set.
func (d Details) MarshalJSON() ([]byte, error) {
	switch {
	case d.SPF != nil:
		return json.Marshal(d.SPF)
	case d.DKIM != nil:
		return json.Marshal(d.DKIM)
	case d.DMARC != nil:
		return json.Marshal(d.DMARC)
	case d.IPRev != nil:
		return json.Marshal(d.IPRev)
	case d.Helo != nil:
		return json.Marshal(d.Helo)
	case d.ARC != nil:
		return json.Marshal(d.ARC)
	case d.Header != nil:
		return json.Marshal(d.Header)
	case d.Inbound != nil:
		return json.Marshal(d.Inbound)
	case d.DNSBL != nil:
		return json.Marshal(d.DNSBL)
	case d.Spam != nil:
		return json.Marshal(d.Spam)
	}
	return []byte("null"), nil
}

// UnmarshalJSON reads what was written for the check's method.
func (c *Check) UnmarshalJSON(b []byte) error {
	type plain Check
	v := struct {
		*plain
		Details json.RawMessage `json:"details"`
	}{plain: (*plain)(c)}
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	if len(v.Details) == 0 {
		return nil
	}
	place := c.Details.of(c.Method)
	if place == nil {
		return fmt.Errorf("check %q: details of an unknown kind", c.Method)
	}
	return json.Unmarshal(v.Details, place)
}

// Check gives the first check of a method; the zero Check where there is none.
func (r *Report) Check(method string) Check {
	for _, c := range r.Checks {
		if c.Method == method {
			return c
		}
	}
	return Check{}
}

// All gives the checks of a method in order.
func (r *Report) All(method string) []Check {
	var out []Check
	for _, c := range r.Checks {
		if c.Method == method {
			out = append(out, c)
		}
	}
	return out
}
