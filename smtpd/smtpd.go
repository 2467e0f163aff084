// Package smtpd takes mail: the sessions, their transactions and all limits towards clients. It knows
// what a transaction is and nothing of SPF, DKIM or DMARC: an Evaluator gets the envelope, the header
// and the message as they come in, and says what the client hears at the final dot.
//
// go-smtp parses the commands behind our own front (package front), which has TLS, the deadlines, the
// counts and the message.
package smtpd

import (
	"context"

	"checkauth/verify"
	"checkauth/verify/mail"
)

// Answer is the reply to the final dot. Lines are ASCII of at most 480 octets; each is written with the
// enhanced code (RFC 2034, 4).
type Answer struct {
	Code     int
	Enhanced [3]int
	Lines    []string
	Report   string // id of the stored report that it tells of; empty: none
}

// Evaluator begins a transaction at the first accepted RCPT; called from many sessions at once.
type Evaluator interface {
	// Begin must not block. ctx lives until the transaction ends; a client that leaves after its final
	// dot does not end it (RFC 1047).
	Begin(ctx context.Context, e verify.Envelope) Transaction
	// Heard tells that the client heard an Answer with that Report: a command of its own followed. Without it
	// nobody knows, and the same message may come again (RFC 1047).
	Heard(report string)
}

// Transaction: Header at most once, then exactly one of Finish and Abandon. Finish returns when the
// reply is stored or refused; its Answer is what the client hears. After Abandon nothing runs on.
type Transaction interface {
	Header(f mail.Fields)
	// Finish must end soon after ctx, unless it is storing already. Its error is ours, not the
	// client's: nothing was stored, and the client is to try again. Nothing may read m after Finish.
	Finish(ctx context.Context, m *verify.Message) (Answer, error)
	Abandon()
}

// Role is what a recipient is to us.
type Role int

// The roles.
const (
	Foreign     Role = iota // of a domain that is not ours: we relay nothing
	UnknownUser             // of ours, and nobody
	Service                 // a test
	Operator                // postmaster, abuse: passed on, never answered
)
