package smtpd

import (
	"context"
	"errors"
	"fmt"

	"checkauth/reply"
	"checkauth/verify"
	"checkauth/verify/mail"
	"checkauth/verify/panics"
)

// transaction keeps the promises towards an Evaluator's Transaction: Header at most once, then exactly
// one of Finish and Abandon, and a context that ends with it. A panic over there is an error here.
type transaction struct {
	env    verify.Envelope
	inner  reply.Transaction
	cancel context.CancelCauseFunc
	ctx    context.Context
	failed error // a panic in Header
	over   bool
}

// errOver is the cause of the context's end when nothing went wrong.
var errOver = errors.New("the transaction is over")

// PanicError is a panic of an Evaluator; its text has the stack.
type PanicError struct{ *panics.Recovered }

func (e *PanicError) Error() string { return fmt.Sprintf("%v\n%s", e.Recovered, e.Stack) }

// caught runs f and gives its panic as an error.
func caught(f func() error) (err error) {
	defer panics.Recover(func(r *panics.Recovered) { err = &PanicError{r} })
	return f()
}

func (s *Server) begin(e verify.Envelope) (*transaction, error) {
	t := &transaction{env: e}
	t.ctx, t.cancel = context.WithCancelCause(s.ctx)
	err := caught(func() error {
		t.inner = s.eval.Begin(t.ctx, e)
		return nil
	})
	if err == nil && t.inner == nil {
		err = errors.New("the evaluator gave no transaction")
	}
	if err != nil {
		t.cancel(err)
		return nil, err
	}
	return t, nil
}

// header tells the fields; f is what is in of the message, and more may follow.
func (t *transaction) header(f mail.Fields) {
	if t.over || t.failed != nil {
		return
	}
	t.failed = caught(func() error {
		t.inner.Header(f)
		return nil
	})
}

// finish gives the message and waits for the answer.
func (t *transaction) finish(m *verify.Message) (a reply.Answer, err error) {
	if t.failed != nil {
		err = t.failed
		t.abandon()
		return reply.Answer{}, err
	}
	t.over = true
	defer t.cancel(errOver)
	err = caught(func() (err error) {
		a, err = t.inner.Finish(t.ctx, m)
		return err
	})
	return a, err
}

// abandon ends what runs, unless the transaction is over.
func (t *transaction) abandon() {
	if t.over {
		return
	}
	t.over = true
	t.cancel(errOver)
	_ = caught(func() error { // nothing is left that could go wrong for the client
		t.inner.Abandon()
		return nil
	})
}
