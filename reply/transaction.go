package reply

import (
	"context"

	"checkauth/verify"
	"checkauth/verify/mail"
)

// Evaluator begins a transaction at the first accepted RCPT; it is called from many sessions at once. The SMTP server asks it,
// and respond is one.
type Evaluator interface {
	// Begin must not block. ctx lives until the transaction ends; a client that leaves after its final dot does not end it
	// (RFC 1047).
	Begin(ctx context.Context, e verify.Envelope) Transaction
	// Heard tells that the client heard an Answer with that Report: a command of its own followed. Without it nobody knows, and
	// the same message may come again (RFC 1047).
	Heard(report string)
}

// Transaction: Header at most once, then exactly one of Finish and Abandon. Finish returns when the reply is stored or refused;
// its Answer is what the client hears. After Abandon nothing runs on.
type Transaction interface {
	Header(f mail.Fields)
	// Finish must end soon after ctx, unless it is storing already. Its error is ours, not the client's: nothing was stored, and
	// the client is to try again. Nothing may read m after Finish.
	Finish(ctx context.Context, m *verify.Message) (Answer, error)
	Abandon()
}

// Answer is what the client hears at the final dot. Each line is written with the enhanced code (RFC 2034, 4).
type Answer struct {
	Code     int      // 250, 451, 550, …
	Enhanced [3]int   // RFC 3463
	Lines    []string // ASCII, each at most 480 octets, no controls
	Report   string   // id of the stored report that it tells of; empty: none
}
