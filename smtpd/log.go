package smtpd

import (
	"errors"
	"log/slog"
	"strconv"

	"checkauth/smtpd/front"
)

// What the log says of strangers. Programs such as fail2ban read these lines (deploy/fail2ban), so their form does
// not change: the message, the session, the client, then what is ours; a stranger's own bytes stand last, and quoted.
// Of addresses only the domains are there.

// loggedRefusals of a session have a line each at INFO. It is more than a session has by default, which ends after
// ten; one that may go on does not fill the log.
const loggedRefusals = 20

// reasons of a refusal, by its code, and where that tells less by its enhanced code too.
var reasons = map[string]string{
	"550 5.7.1": "relay",   // for somebody else's domain
	"550 5.1.1": "unknown", // for nobody of ours
	"553":       "address", "552": "size", "555": "parameter", "501": "syntax", "503": "sequence",
	"452":       "recipients",
	"451 4.7.1": "rate", "451": "trouble",
}

// noteworthy commands are logged when they are refused; the refusal of another one is no attempt to send mail.
var noteworthy = map[string]bool{"MAIL": true, "RCPT": true, "AUTH": true}

// Refused implements front.Handler.
func (s *session) Refused(verb string, code int, text string) {
	level := slog.LevelDebug
	if noteworthy[verb] && s.origin != balancer { // which only looks whether we are there
		if s.refusals++; s.refusals <= loggedRefusals {
			level = slog.LevelInfo
		}
	}
	args := []any{"command", verb, "reason", reason(verb, code, text), "code", code}
	from, to := s.from, s.tried
	if verb == "MAIL" {
		from, to = s.tried, address{}
	}
	if from != (address{}) || to != (address{}) {
		args = append(args, "from-domain", domainOf(from))
	}
	if to != (address{}) {
		args = append(args, "to-domain", domainOf(to))
	}
	s.tried = address{}
	s.log.Log(s.server.ctx, level, "command refused", args...)
}

func reason(verb string, code int, text string) string {
	if verb == "AUTH" {
		return "auth"
	}
	key := strconv.Itoa(code)
	if len(text) >= 5 {
		if r := reasons[key+" "+text[:5]]; r != "" {
			return r
		}
	}
	if r := reasons[key]; r != "" {
		return r
	}
	return "other"
}

// domainOf is what of an address may stand in the log.
func domainOf(a address) string {
	if a.domain == "" {
		return "<>" // the null sender, or <postmaster>
	}
	return a.domain
}

// outcome is the line about a message: what its client hears.
func (s *session) outcome(level slog.Level, what string, code int, args ...any) {
	args = append([]any{"report", s.tx.env.ID, "code", code}, args...)
	s.log.Log(s.server.ctx, level, what, append(args, "from-domain", domainOf(s.from))...)
}

// logEnd is the line about a session that ended otherwise than by QUIT, or with more refusals than have a line.
func (s *session) logEnd(e front.End) {
	level := slog.LevelDebug
	if e.Why != "" && !errors.Is(e.Err, errProbe) || s.refusals > loggedRefusals {
		level = slog.LevelInfo
	}
	args := []any{"why", e.Why, "error", e.Err, "transactions", s.begins, "refused", s.refusals}
	if s.tx != nil {
		s.cut = s.tx.env.ID
	}
	if s.cut != "" {
		args = append(args, "report", s.cut)
	}
	s.log.Log(s.server.ctx, level, "session ended", args...)
}
