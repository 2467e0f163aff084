// Package spam asks a SpamAssassin daemon (spamd) what it thinks of a message: one REPORT command of its
// protocol, over TCP or a Unix socket, with a bound on everything that is sent, awaited and read.
//
// The words are ham and spam, which RFC 8601 does not have; they say what this daemon with its own
// settings thinks, and no receiver has the same. What goes wrong on the way is "not run" with its cause:
// the daemon is the operator's, so none of it is about the mail.
//
// Not done: compression, TLS, a user's own settings, and learning.
package spam

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// The words of this check beside result.NotRun.
const (
	Ham  result.Word = "ham"
	Spam result.Word = "spam"
)

// Config of the daemon. Each bound is above zero.
type Config struct {
	Address string        // host:port, or the path of a Unix socket; empty: the check is off
	Timeout time.Duration // of the whole exchange
	Size    int64         // octets of the largest message that is sent
}

// Defaults: no daemon. SpamAssassin itself looks at 500 KiB at most, and takes seconds where it asks the
// DNS.
func Defaults() Config { return Config{Timeout: 20 * time.Second, Size: 512 << 10} }

// Evaluator has no state: one serves any number of goroutines.
type Evaluator struct{ Config }

// Query is one message.
type Query struct {
	// Trace are fields that stand on top of the message, each with its CR LF: our own Return-Path and
	// Received, without which the daemon knows neither client nor envelope.
	Trace   []byte
	Message mail.Data
}

// Result is what the daemon said.
type Result struct {
	Word     result.Word      `json:"-"` // ham, spam, not run
	Reason   result.Reason    `json:"-"`
	Findings []result.Finding `json:"-"`
	Cause    error            `json:"-"` // with not run

	Score    float64 `json:"score"`
	Required float64 `json:"required"`
	Rules    []Rule  `json:"rules"` // in the daemon's order, those with most weight first or not
}

// Rule is one line of the daemon's table; its text is the daemon's, in its language.
type Rule struct {
	Points float64 `json:"points"`
	Name   string  `json:"name"`
	Text   string  `json:"description"`
	Test   bool    `json:"test_mail"` // it only tells that this is a test mail: see testRules
}

// What may be wrong with the exchange; a refusal is a *RefusedError.
var (
	ErrTooLarge   = errors.New("the message is larger than what is sent to spamd")
	ErrUnreadable = errors.New("the answer of spamd cannot be read")
	ErrTooLong    = errors.New("the answer of spamd is too long")
	ErrClosed     = errors.New("spamd closed the connection before its answer was whole")
)

// RefusedError is an answer that says that there is none.
type RefusedError struct {
	Code int    // as of sysexits.h
	Text string // behind it
}

func (e *RefusedError) Error() string { return fmt.Sprintf("spamd answered %d %q", e.Code, e.Text) }

// dialError tells a daemon that cannot be reached from one that fails later.
type dialError struct{ err error }

func (e *dialError) Error() string { return fmt.Sprintf("no connection to spamd: %v", e.err) }
func (e *dialError) Unwrap() error { return e.err }

// Check asks once. It returns when the answer is read or the time is over.
func (e Evaluator) Check(ctx context.Context, q Query) Result {
	if size := q.Message.Size + int64(len(q.Trace)); size > e.Size {
		return notRun(fmt.Errorf("%w: %d octets, %d allowed", ErrTooLarge, size, e.Size),
			result.Because("spam-message-too-large", "size", size, "limit", e.Size))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, e.Timeout, fmt.Errorf("no answer from spamd within %v", e.Timeout))
	defer cancel()
	a, err := e.exchange(ctx, q)
	if err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
		return notRun(err, because(ctx, err))
	}
	return conclude(a)
}

func notRun(err error, why result.Reason) Result {
	return Result{Word: result.NotRun, Reason: why, Cause: err, Rules: []Rule{}}
}

// because names no address: that is the operator's own.
func because(ctx context.Context, err error) result.Reason {
	refused, isRefused := errors.AsType[*RefusedError](err)
	_, isDial := errors.AsType[*dialError](err)
	timeout, isNet := errors.AsType[net.Error](err)
	switch {
	case isRefused:
		return result.Because("spam-daemon-refused", "code", refused.Code, "text", refused.Text)
	case ctx.Err() != nil || isNet && timeout.Timeout():
		return result.Because("spam-daemon-timeout")
	case isDial:
		return result.Because("spam-daemon-unreachable")
	case errors.Is(err, ErrTooLong):
		return result.Because("spam-answer-too-long")
	case errors.Is(err, ErrUnreadable):
		return result.Because("spam-answer-unreadable")
	}
	return result.Because("spam-daemon-closed")
}

// network: a path has a slash, and no host has one.
func (c Config) network() string {
	if strings.Contains(c.Address, "/") {
		return "unix"
	}
	return "tcp"
}
