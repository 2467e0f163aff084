package deliver

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"checkauth/verify/dns"
)

// What a server's 5xx means for an entry. A reply that was promised with a 250 is given up only where the server
// speaks of the entry: its recipient or its content. Whatever else it says no to is somebody's to fix, and the entry
// waits for that until it expires.

// hostTakesNoMail: RFC 7504, 4: a host that says so never takes mail.
const hostTakesNoMail = 521

// ofHost is for the greeting and for EHLO, which are about us and that host: a server that is overloaded, or looks for the client in a list, may greet with a 554 that is gone a
// minute later, so another host or another try may do better (as smtp_skip_5xx_greeting of Postfix).
func ofHost(err error) error {
	r, ok := refused5(err)
	if !ok {
		return err
	}
	if r.blamesAddress() {
		return addressRefused(err)
	}
	return &failure{err: err, permanent: r.answer.code == hostTakesNoMail}
}

// addressRefused: the server wants a PTR record of our address. Another address of ours may have one, and the record can
// be published within the entry's time.
func addressRefused(err error) error {
	return &failure{err: &ourMatter{err, refusesAddress}, ourAddress: true}
}

// ofEntry is for the commands of a transaction.
func (s *session) ofEntry(err error) error {
	r, ok := refused5(err)
	switch {
	case !ok:
		return err
	case !s.secured() && r.wantsTLS():
		return &failure{err: err}
	case r.blamesAddress():
		return addressRefused(err)
	case r.answer.code == wantsLogin:
		return &failure{err: err}
	case r.command == "MAIL" && !r.blamesSize():
		return &failure{err: &ourMatter{err, refusesSender}}
	case r.command == "RCPT" && s.cfg.Relay != "" && relaying.MatchString(r.text()) && !r.ofMailbox():
		return &failure{err: &ourMatter{err, refusesToRelay}}
	}
	return permanent(err)
}

// ofMessage is for the final dot. Only a server that says that it does not have the message leaves it to another:
// else two might deliver it.
func ofMessage(err error) error {
	r, ok := refused5(err)
	if !ok {
		return &failure{err: err, stop: true}
	}
	if r.blamesAddress() {
		return addressRefused(err)
	}
	return permanent(err)
}

// ourMatter is a refusal that the operator, or whoever runs the relay, can do something about.
type ourMatter struct {
	err  error
	kind matter
}

func (m *ourMatter) Error() string { return m.err.Error() }
func (m *ourMatter) Unwrap() error { return m.err }

// matter is what is refused.
type matter string

const (
	refusesAddress matter = "address" // ours, for its missing PTR record
	refusesSender  matter = "sender"  // the envelope sender: <>, unless the operator says otherwise
	refusesToRelay matter = "relay"   // the relay does not know us
)

// Kinds of failures, as the recipient's next report has them. What a server said stays out of it: its words are a
// stranger's.
const (
	KindPromise   = "promise"   // TLS as DANE or MTA-STS promises it was not to be had
	KindTLS       = "tls"       // the server insists on TLS, and the handshake failed
	KindOurs      = "ours"      // it refuses our envelope sender or our address
	KindRecipient = "recipient" // it refuses the recipient for good
	KindContent   = "content"   // it refuses the message for good
	KindLater     = "later"     // it puts the reply off, or greets with a refusal
	KindNeeds     = "needs"     // it does not offer what the address or the message needs
	KindNowhere   = "nowhere"   // there is no server, or none that may be connected to
	KindDNS       = "dns"       // where the servers are could not be learnt
	KindReach     = "reach"     // no server could be reached, or it hung up
)

// kindOf is the kind of a try's failure. Of several hosts' failures the one that somebody can do most about counts.
func kindOf(err error) string {
	_, ours := errors.AsType[*ourMatter](err)
	r, refused := errors.AsType[*refusal](err)
	_, unanswered := errors.AsType[*dns.Error](err)
	switch {
	case err == nil, errors.Is(err, errExpired):
		return ""
	case errors.Is(err, errPromise):
		return KindPromise
	case errors.Is(err, errHandshake) && (!refused || r.wantsTLS()):
		return KindTLS
	case ours:
		return KindOurs
	case isOneOf(err, errNoUTF8, errNoEightBit, errTooLarge):
		return KindNeeds
	case refused && !isPermanent(err):
		return KindLater
	case refused && r.command == "RCPT":
		return KindRecipient
	case refused:
		return KindContent
	case isOneOf(err, ErrBadAddress, ErrNoDomain, ErrNullMX, ErrNoAddress, errUnroutable):
		return KindNowhere
	case unanswered:
		return KindDNS
	}
	return KindReach
}

func isOneOf(err error, kinds ...error) bool {
	return slices.ContainsFunc(kinds, func(kind error) bool { return errors.Is(err, kind) })
}

func refused5(err error) (*refusal, bool) {
	r, ok := errors.AsType[*refusal](err)
	return r, ok && r.answer.class() == 5
}

// enhanced tells whether the answer has an enhanced code (RFC 3463) with this subject and detail.
func (r *refusal) enhanced(code string) bool {
	for _, line := range r.answer.lines {
		if first, _, _ := strings.Cut(line, " "); first == code {
			return true
		}
	}
	return false
}

// What servers say where they have no enhanced code for it.
var (
	encryption = regexp.MustCompile(`(?i)starttls|\btls\b|encrypt`)
	ptr        = regexp.MustCompile(`(?i)\b(ptr|rdns)s?\b|\breverse[- ](dns|hostname|host name|lookup|address|name|mapping|pointer)`)
	relaying   = regexp.MustCompile(`(?i)relay(ing)? (access )?(is )?(denied|prohibited|not (permitted|allowed))|(not|unable to|cannot|won't|refuse to) relay`)
)

func (r *refusal) text() string { return strings.Join(r.answer.lines, " ") }

// wantsLogin is RFC 3207, 4 (with a text about STARTTLS) and RFC 4954, 6.
const wantsLogin = 530

// wantsTLS: RFC 3207, 4: 530; RFC 5248, 2.4: X.7.10.
func (r *refusal) wantsTLS() bool {
	return r.answer.code == wantsLogin || r.enhanced("5.7.10") || encryption.MatchString(r.text())
}

// blamesAddress: RFC 7372, 3.3: X.7.25: the client's address has no name that leads back to it.
func (r *refusal) blamesAddress() bool {
	return r.enhanced("5.7.25") || ptr.MatchString(r.text()) && !r.ofMailbox()
}

// ofMailbox: RFC 3463, 3.2: X.1.Z is about an address in the mail, whatever words it holds.
func (r *refusal) ofMailbox() bool {
	return slices.ContainsFunc(r.answer.lines, func(l string) bool { return strings.HasPrefix(l, "5.1.") })
}

// blamesSize: RFC 1870, 6.1: 552; RFC 3463, 3.4: X.3.4.
func (r *refusal) blamesSize() bool { return r.answer.code == 552 || r.enhanced("5.3.4") }
