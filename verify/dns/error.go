package dns

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"checkauth/verify/result"
)

// Kind tells errors of the DNS apart. None of them says anything about the name's owner: each is a
// temperror, never "no record".
type Kind string

// The kinds. Codes of reports are made of them (Error.Reason).
const (
	ServFail    Kind = "servfail"    // the server could not, or would not, find it out
	Bogus       Kind = "bogus"       // SERVFAIL, and DNSSEC is the cause: answered with checking disabled, or extended error 6 to 10
	Lame        Kind = "lame"        // SERVFAIL with extended error 22 or 23: no authoritative server answers
	Refused     Kind = "refused"     // REFUSED and all other codes
	Timeout     Kind = "timeout"     // no answer in time
	Malformed   Kind = "malformed"   // an answer that cannot be read, or that answers something else
	Chain       Kind = "chain"       // a CNAME loop or more CNAMEs than we follow
	Unreachable Kind = "unreachable" // the network said no
	Budget      Kind = "budget"      // our own bound of questions for one message
	Quota       Kind = "quota"       // our own bound of questions a minute, over all messages: see QuotaError
	Canceled    Kind = "canceled"    // the context ended first
)

// NotAsked tells that a bound of ours kept the question from being asked.
func (k Kind) NotAsked() bool { return k == Budget || k == Quota }

// Error is why there is no answer.
type Error struct {
	Question Question
	Kind     Kind
	Server   string // address and port of the last server asked, may be empty
	Detail   string // what the server or the network said of it, may be empty; a stranger's text
	Err      error  // may be nil
	Took     time.Duration
	Time     time.Time // when it was given up; zero where nothing was asked
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "DNS: %q %s: %s", e.Question.Name, e.Question.Type, e.Kind)
	if e.Server != "" {
		fmt.Fprintf(&b, " (server %s)", e.Server)
	}
	if e.Detail != "" {
		fmt.Fprintf(&b, ": %q", e.Detail)
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// Timeout makes an *Error a net.Error.
func (e *Error) Timeout() bool { return e.Kind == Timeout || e.Kind == Canceled }

// Temporary makes an *Error a net.Error: all of them are temporary.
func (e *Error) Temporary() bool { return true }

// NetError is the same for libraries that ask for a *net.DNSError (go-msgauth takes anything else for
// permanent).
func (e *Error) NetError() *net.DNSError {
	return &net.DNSError{
		UnwrapErr: e, Err: e.Error(), Name: e.Question.Name, Server: e.Server,
		IsTimeout: e.Timeout(), IsTemporary: true,
	}
}

// codes of the catalogue for the kinds; the rest is "dns-" and the kind.
var codes = map[Kind]result.Code{Bogus: "dns-dnssec-bogus", Lame: "dns-lame-delegation"}

// Reason is the error for the report: which question failed, and how.
func (e *Error) Reason() result.Reason {
	code, ok := codes[e.Kind]
	if !ok {
		code = result.Code("dns-" + string(e.Kind))
	}
	return result.Because(code, "name", result.Domain(e.Question.Name), "type", result.Ours(e.Question.Type.String()))
}

// Evidence is the failed question in the form that a report carries.
func (e *Error) Evidence() result.Evidence {
	rcode := strings.ToUpper(string(e.Kind))
	if e.Kind == Bogus || e.Kind == Lame {
		rcode = "SERVFAIL"
	}
	return result.Evidence{Name: e.Question.Name, Type: e.Question.Type.String(), Rcode: rcode, Server: e.Server, Data: []string{}, Extended: e.Detail, Took: e.Took, Time: e.Time}
}

// AsError gives the *Error in err. Whatever else a Resolver may have returned becomes one that says so.
func AsError(q Question, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Question: q, Kind: Unreachable, Err: err}
}
