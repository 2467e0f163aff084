package verify

import (
	"time"

	"checkauth/verify/mail"
	"checkauth/verify/result"
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
	Checks   []result.Outcome `json:"checks"`
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

// Panicked is the reason of a check that ended by a fault of this program: what it would have said is not known.
const Panicked result.Code = "check-panicked"

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

// Check gives the first check of a method; the zero Outcome where there is none.
func (r *Report) Check(method string) result.Outcome {
	for _, c := range r.Checks {
		if c.Method == method {
			return c
		}
	}
	return result.Outcome{}
}

// All gives the checks of a method in order.
func (r *Report) All(method string) []result.Outcome {
	var out []result.Outcome
	for _, c := range r.Checks {
		if c.Method == method {
			out = append(out, c)
		}
	}
	return out
}
