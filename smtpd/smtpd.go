// Package smtpd takes mail: the sessions, their transactions and all limits towards clients. It knows
// what a transaction is and nothing of SPF, DKIM or DMARC: an Evaluator gets the envelope, the header
// and the message as they come in, and says what the client hears at the final dot.
//
// go-smtp parses the commands behind our own front (package front), which has TLS, the deadlines, the
// counts and the message.
package smtpd

// Role is what a recipient is to us.
type Role int

// The roles.
const (
	Foreign     Role = iota // of a domain that is not ours: we relay nothing
	UnknownUser             // of ours, and nobody
	Service                 // a test
	Operator                // postmaster, abuse: passed on, never answered
)
