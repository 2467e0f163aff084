// Package verify is the contract between the SMTP side, the checks and the reply: what came in
// (Envelope, Message) and what is said of it (Report, Check, Finding, Action). It is plain data with
// its JSON form; nothing runs here. Package run makes a Report of a Message.
package verify

import (
	"net/netip"
	"time"

	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// Envelope is what is known of a transaction when its first recipient is accepted.
type Envelope struct {
	ID     string // of the report: 26 letters and digits of base32
	Host   string // our own name (authserv-id of RFC 8601, 2.5)
	Time   time.Time
	Client netip.AddrPort // a mapped IPv4 address is unmapped
	Helo   string         // as the client gave it, any bytes; empty where it gave none
	ESMTP  bool           // it said EHLO
	TLS    *TLS           // nil in clear text
	// TLSUnknown: of a saved message, where nobody can tell whether it came over TLS.
	TLSUnknown bool
	// TLSFailed is what came of this client's last STARTTLS, where it came to nothing a few minutes ago and the mail
	// came in clear text; else nil.
	TLSFailed *TLSFailure
	Purpose   Purpose

	MailFrom string     // reverse-path without angle brackets, quoted again where it must be; "" is the null one
	Params   MailParams // of MAIL FROM
	RcptTo   []string   // accepted so far
}

// Purpose is what the recipients are for.
type Purpose string

// A transaction is a test or mail to the operator, never both.
const (
	ForTest     Purpose = "test"
	ForOperator Purpose = "operator" // postmaster, abuse, auth-results: never answered
)

// TLS of the session.
type TLS struct {
	Version    string `json:"version,omitempty"` // "TLS 1.3"; both are empty where it is only known that there was TLS
	Cipher     string `json:"cipher,omitempty"`
	ServerName string `json:"sni,omitempty"` // that the client asked for; a stranger's text
	// Client names the certificate that the client showed, where it was asked for one; nobody checks it, and it
	// is a stranger's text.
	Client string `json:"client_certificate,omitempty"`
}

// TLSFailure is a handshake that came to nothing.
type TLSFailure struct {
	Time  time.Time     `json:"time"`
	Cause result.Reason `json:"cause"` // a code tls-failed-...
}

// MailParams are the parameters of MAIL FROM.
type MailParams struct {
	Size     int64  // SIZE= (RFC 1870), 0 where absent
	Body     string // BODY= (RFC 6152): 7BIT, 8BITMIME or empty
	SMTPUTF8 bool   // RFC 6531
}

// Message is one mail as it came in.
type Message struct {
	Envelope   Envelope
	Fields     mail.Fields
	Whole      mail.Data // as received in DATA, dot-stuffing undone, before our own Received
	Body       mail.Data // what follows the empty line
	Received   time.Time // of the final dot
	Transcript []Line
	Notes      []Note // what the SMTP side saw on the way
	// Unparsed: why the header could not be taken apart; then there are no Fields and no Body.
	Unparsed error
}

// Line is one line of the SMTP dialogue.
type Line struct {
	Client bool          `json:"client"` // else ours
	Text   string        `json:"text"`   // without its line end; a stranger's where Client
	After  time.Duration `json:"-"`      // since the connection began
}

// Note is a fact of the transport that a check turns into a finding.
type Note struct {
	Code  string // one of the constants below
	Count int    // how often, or how long in octets
}

// What the SMTP side notes.
const (
	NoteBareCR     = "bare-cr"       // Count: how many; RFC 5321, 2.3.8
	NoteBareLF     = "bare-lf"       // Count: how many
	NoteLongLine   = "line-too-long" // Count: octets of the longest; RFC 5321, 4.5.3.1.6
	NoteNUL        = "nul"           // Count: how many
	NoteEarlyTalk  = "early-talker"  // the client spoke before our greeting
	NoteNoEmptyEnd = "header-only"   // the empty line after the header was missing
)
