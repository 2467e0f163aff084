package smtpd

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/emersion/go-smtp"

	"checkauth/smtpd/front"
	"checkauth/verify"
	"checkauth/verify/panics"
	"checkauth/verify/result"
)

// session is one connection: the Handler of its front and the Session of go-smtp, called by one
// goroutine.
type session struct {
	server *Server
	raw    net.Conn
	conn   *front.Conn
	log    *slog.Logger

	client netip.AddrPort
	origin origin

	begins, unknown, refusals int
	said                      string // report id of the last answer, until it is known to be heard

	// The transaction.
	tried  address // of the last MAIL or RCPT, until it is taken or the refusal is logged
	cut    string  // the report id of the message that the connection ended in
	path   address // of the MAIL or RCPT that go-smtp works on
	from   address
	params verify.MailParams
	rcpts  []address
	role   Role
	tx     *transaction // from the first recipient on
}

func refusal(code, class, subject, detail int, text string) *smtp.SMTPError {
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{class, subject, detail}, Message: text}
}

// Admit implements front.Handler.
func (s *session) Admit() error {
	o, err := proxied(s.raw)
	if err != nil {
		return err
	}
	s.client = addrPort(s.raw.RemoteAddr())
	s.log = s.log.With("client", s.client.Addr())
	if err := s.server.reg.admit(s.conn, s.client.Addr()); err != nil {
		if o, ok := errors.AsType[*overload](err); ok {
			return s.server.putOff(o, s.client.Addr())
		}
		return err
	}
	s.origin = o
	if o == told {
		s.origin = s.server.cfg.origin(s.client.Addr(), addrPort(s.raw.LocalAddr()).Addr())
	}
	return nil
}

// Heard implements front.Handler.
func (s *session) Heard() {
	if s.said != "" {
		s.server.eval.Heard(s.said)
		s.said = ""
	}
}

// TLSFailed implements front.Handler.
func (s *session) TLSFailed(why result.Reason) {
	s.server.broken.add(s.client.Addr(), verify.TLSFailure{Time: s.server.cfg.Now(), Cause: why})
}

// Closed implements front.Handler.
func (s *session) Closed(e front.End) {
	defer panics.Recover(func(r *panics.Recovered) { s.log.Error("panic at the end of a connection", "error", &PanicError{r}) })
	defer func() { s.server.reg.remove(s.conn) }()
	s.logEnd(e)
	s.Reset()
}

// Argument implements front.Handler: the path is parsed here and written anew for go-smtp.
func (s *session) Argument(verb, arg string) (string, *smtp.SMTPError) {
	keyword, read := "FROM:", s.sender
	if verb == "RCPT" {
		keyword, read = "TO:", s.recipient
	}
	if len(arg) < len(keyword) || !strings.EqualFold(arg[:len(keyword)], keyword) {
		return "", refusal(501, 5, 5, 4, "Syntax: "+verb+" "+keyword+"<address>")
	}
	path, params, r := read(arg[len(keyword):])
	if r != nil {
		return "", r
	}
	return keyword + "<" + path + ">" + params, nil
}

func (s *session) sender(arg string) (path, params string, r *smtp.SMTPError) {
	a, params, err := parsePath(arg)
	s.tried = a
	utf8 := hasParam(params, "SMTPUTF8")
	switch {
	case err != nil || a.domain == "" && a.local != "":
		return "", "", refusal(501, 5, 1, 7, "Sender address is malformed")
	case a.literal():
		return "", "", refusal(553, 5, 1, 7, "Sender address must have a domain name")
	case !a.ascii() && !utf8:
		// RFC 6531, 3.4: without the parameter it is an address of RFC 5321.
		return "", "", refusal(553, 5, 6, 7, "Sender address needs SMTPUTF8")
	}
	if r := s.checkParams(params); r != nil {
		return "", "", r
	}
	s.path = a
	return a.String(), withoutAuth(params), nil
}

// withoutAuth: RFC 4954, 5: a server that does not trust the client treats AUTH= as AUTH=<>.
// go-smtp refuses the mail for an empty value, for a name that is no mailbox, and for xtext in lower case.
func withoutAuth(params string) string {
	var kept strings.Builder
	for p := range strings.FieldsSeq(params) {
		if name, _, _ := strings.Cut(p, "="); !strings.EqualFold(name, "AUTH") {
			kept.WriteString(" " + p)
		}
	}
	return kept.String()
}

// mailParams are those that we announce, and AUTH, which RFC 4954, 5 lets a client send anyway.
var mailParams = map[string]bool{"SIZE": true, "BODY": true, "SMTPUTF8": true, "AUTH": true}

// checkParams looks at the parameters of MAIL before go-smtp does: its codes for unknown ones and for
// sizes beyond 32 bits are not those of RFC 5321, 4.1.1.11 and RFC 1870, 6.
func (s *session) checkParams(params string) *smtp.SMTPError {
	for p := range strings.FieldsSeq(params) {
		name, value, _ := strings.Cut(p, "=")
		name = strings.ToUpper(name)
		if !mailParams[name] {
			return refusal(555, 5, 5, 4, "Parameter of MAIL not known")
		}
		if name != "SIZE" {
			continue
		}
		n, err := strconv.ParseUint(value, 10, 64)
		switch {
		case errors.Is(err, strconv.ErrRange), err == nil && n > uint64(s.server.cfg.Message):
			return refusal(552, 5, 3, 4, "Message is too large")
		case err != nil:
			return refusal(501, 5, 5, 4, "SIZE wants a number")
		}
	}
	return nil
}

func hasParam(params, name string) bool {
	for p := range strings.FieldsSeq(params) {
		if strings.EqualFold(p, name) {
			return true
		}
	}
	return false
}

func (s *session) recipient(arg string) (path, params string, r *smtp.SMTPError) {
	a, params, err := parsePath(arg)
	s.tried = a
	postmaster := a.domain == "" && strings.EqualFold(a.local, "postmaster")
	switch {
	case (err != nil || a.domain == "" && !postmaster) && detour(arg):
		return "", "", relaying()
	case err != nil || a.domain == "" && !postmaster:
		return "", "", refusal(501, 5, 1, 3, "Recipient address is malformed")
	case !a.ascii() && !s.params.SMTPUTF8:
		return "", "", refusal(553, 5, 6, 7, "Recipient address needs SMTPUTF8 at MAIL")
	case strings.TrimSpace(params) != "":
		return "", "", refusal(555, 5, 5, 4, "Parameter of RCPT not known")
	}
	s.path = a
	if postmaster {
		// RFC 5321, 4.1.1.3: <postmaster> needs no domain; go-smtp wants one.
		a.domain = s.server.cfg.Host
	}
	return a.String(), "", nil
}

// detour tells whether a malformed recipient is one of the old ways to ask for relaying.
func detour(arg string) bool {
	return strings.ContainsAny(arg, "%!") || strings.Count(arg, "@") > 1 || strings.Contains(arg, `"`) && strings.Contains(arg, "@")
}

func relaying() *smtp.SMTPError { return refusal(550, 5, 7, 1, "We do not relay") }

// Mail implements smtp.Session.
func (s *session) Mail(_ string, o *smtp.MailOptions) error {
	s.Reset()
	// From this machine itself comes also what its own programs write to the operator, so that the recipient decides.
	if s.origin != told && s.origin != loopback {
		return s.cannotSee()
	}
	s.from, s.tried = s.path, address{}
	s.params = verify.MailParams{Size: o.Size, Body: string(o.Body), SMTPUTF8: o.UTF8}
	return nil
}

// Rcpt implements smtp.Session.
func (s *session) Rcpt(string, *smtp.RcptOptions) error {
	role := s.server.cfg.Role(s.path.local, s.path.domain)
	switch {
	case role == Foreign, role == UnknownUser && strings.ContainsAny(s.path.local, "%!@"):
		return relaying()
	case role == UnknownUser:
		return s.nobody()
	case role == Service && s.origin == loopback:
		return s.cannotSee()
	}
	to := s.path
	if to.domain == "" {
		to.domain = s.server.cfg.Host
	}
	switch {
	case slices.ContainsFunc(s.rcpts, to.same):
		s.tried = address{}
		return nil // one recipient, however often it is named
	case len(s.rcpts) > 0 && (role != s.role || role == Service):
		return refusal(452, 4, 5, 3, "One service address a message, send another message")
	case len(s.rcpts) >= s.server.cfg.Recipients:
		return refusal(452, 4, 5, 3, "Too many recipients")
	}
	if len(s.rcpts) == 0 {
		if r := s.begin(role, to.String()); r != nil {
			return r
		}
	}
	s.role, s.tried = role, address{}
	s.rcpts = append(s.rcpts, to)
	return nil
}

// nobody counts recipients that do not exist: a client that tries many is looking for addresses.
func (s *session) nobody() error {
	s.unknown++
	if s.unknown >= s.server.cfg.UnknownUsers {
		s.conn.Drop(refusal(421, 4, 7, 0, "Too many unknown recipients, closing connection"))
	}
	return refusal(550, 5, 1, 1, "No such recipient")
}

// begin starts the transaction with the envelope as it is at the first recipient.
func (s *session) begin(role Role, to string) *smtp.SMTPError {
	now := s.server.cfg.Now()
	if s.begins >= s.server.cfg.BeginsSession || !s.server.reg.begin(s.client.Addr(), now) {
		return refusal(451, 4, 7, 1, "Too many messages, try again later")
	}
	s.begins++
	helo, esmtp := s.conn.Helo()
	e := verify.Envelope{
		ID: s.server.cfg.ID(), Host: s.server.cfg.Host, Time: now, Client: s.client, Helo: helo, ESMTP: esmtp,
		TLS: s.conn.TLS(), Purpose: verify.ForTest, MailFrom: s.from.String(), Params: s.params, RcptTo: []string{to},
	}
	if e.TLS == nil {
		e.TLSFailed = s.server.broken.of(s.client.Addr(), now)
	}
	if role == Operator {
		e.Purpose = verify.ForOperator
	}
	tx, err := s.server.begin(e)
	if err != nil {
		s.log.Error("transaction not begun", "report", e.ID, "error", err)
		return refusal(451, 4, 3, 0, "Local error, try again later")
	}
	s.tx = tx
	return nil
}

// Data implements smtp.Session. The message comes from the front; go-smtp's reader gives nothing.
func (s *session) Data(io.Reader) error {
	defer s.Reset()
	return s.take(s.conn.Data())
}

// Reset implements smtp.Session; go-smtp calls it at RSET, EHLO and behind a message.
func (s *session) Reset() {
	if s.tx != nil {
		s.tx.abandon()
	}
	s.tx, s.rcpts, s.from, s.params, s.tried = nil, nil, address{}, verify.MailParams{}, address{}
}

// Logout implements smtp.Session.
func (s *session) Logout() error {
	s.Reset()
	return nil
}
