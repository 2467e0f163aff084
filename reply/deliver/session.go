package deliver

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"checkauth/reply"
	"checkauth/verify/panics"
	"checkauth/verify/result"
)

// farewell is how long QUIT and its answer may take: the entry's fate does not hang on it.
const farewell = time.Second

// errHandshake: TLS was offered and did not come about.
var errHandshake = errors.New("TLS failed")

// What a server would have to offer. RFC 6531, 3.5; RFC 6152, 3; RFC 1870, 6.1.
var (
	errNoUTF8     = errors.New("5.6.7 the server does not offer SMTPUTF8, which this address needs")
	errNoEightBit = errors.New("5.6.3 the server does not offer 8BITMIME, which this message needs")
	errTooLarge   = errors.New("5.3.4 the message is larger than the server takes")
)

// session is one connection to a server.
type session struct {
	cfg    Config
	conn   net.Conn // TLS once that is on
	in     *bufio.Reader
	offers map[string]string // extensions of the last EHLO, by keyword in capitals
	tls    string            // version, and who wants it; or "no: " and why; empty until that is known
	said   string            // the last answer; a stranger's text
	talked bool              // about an entry: the server is there and takes mail
	gone   bool              // there is nobody to say goodbye to
	began  time.Time
	mails  int      // that it took
	onData func()   // the server is about to have the message
	hidden []string // what no answer may repeat into a log
}

// speak has one dialogue with a server that is connected to. Deadlines bound each step, the context's end cuts
// the connection. Where the server took the entry the session stands. inClear is why no TLS is tried, or nil.
func (d *Deliverer) speak(ctx context.Context, conn net.Conn, at server, a *attempt, inClear error) (*session, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	s := &session{cfg: d.cfg, began: time.Now(), onData: a.sent}
	if inClear != nil {
		s.tls = "no: " + inClear.Error()
	}
	s.on(conn)
	err := s.open(ctx, at, inClear == nil)
	if err == nil {
		err = s.transact(a.Entry)
	}
	if err == nil {
		return s, nil
	}
	if errors.Is(err, errHandshake) {
		s.tls = "no: " + err.Error()
		if at.security.mandatory {
			err = fmt.Errorf("%w (%s): %w", errPromise, at.security.by, err)
		}
	}
	s.end()
	return s, blame(ctx, at.String(), err)
}

// end closes the connection after an error, politely where the server still answers.
func (s *session) end() {
	if !s.gone {
		s.quit()
	}
	_ = s.conn.Close()
}

// bye ends a connection that nothing is wrong with. Its entry is delivered, so that a panic over the server's last
// words is nobody's.
func (s *session) bye() {
	defer panics.Recover(func(*panics.Recovered) {})
	defer func() { _ = s.conn.Close() }()
	s.quit()
}

// blame names the server and, where the connection was cut, who cut it.
func blame(ctx context.Context, at string, err error) error {
	_, said := errors.AsType[*refusal](err)
	out := verdictOf(err)
	if !said && !out.permanent && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	out.err = fmt.Errorf("%s: %w", at, err)
	return &out
}

// on begins to read from a connection. Octets that came in before are dropped: behind a handshake they
// would be a stranger's words in clear taken for the server's (RFC 3207, 4.2).
func (s *session) on(conn net.Conn) {
	s.conn, s.in = conn, bufio.NewReaderSize(conn, maxLine)
}

// open is the dialogue before the first entry. What the server says of itself may be another host's luck; what
// it says of an entry is final.
func (s *session) open(ctx context.Context, at server, secure bool) error {
	if at.implicit {
		if err := s.handshake(ctx, at); err != nil {
			return err
		}
	}
	if err := s.greeted(); err != nil {
		return err
	}
	if err := s.hello(); err != nil {
		return err
	}
	if _, offered := s.offers["STARTTLS"]; offered && secure && !s.secured() {
		if err := s.secure(ctx, at); err != nil {
			return err
		}
	}
	if !s.secured() {
		s.tls = cmp.Or(s.tls, "no: not offered")
		if at.security.mandatory {
			return fmt.Errorf("%w (%s): %s", errPromise, at.security.by, s.tls)
		}
		if at.security.missed != nil {
			at.security.missed(errors.New("TLS: " + s.tls))
		}
	}
	if at.login.User != "" {
		return s.login(at.login)
	}
	return nil
}

func (s *session) secured() bool {
	_, on := s.conn.(*tls.Conn)
	return on
}

// transact is one mail transaction.
func (s *session) transact(e reply.Entry) error {
	params, err := s.params(e)
	if err != nil {
		return permanent(err)
	}
	s.talked = true
	for _, c := range []struct {
		name, line string
		class      int
	}{
		{"MAIL", "MAIL FROM:<" + cmp.Or(e.From, s.cfg.From) + ">" + params, 2},
		{"RCPT", "RCPT TO:<" + e.To + ">", 2},
		{"DATA", "DATA", 3},
	} {
		if err := s.command(c.name, c.line, c.class); err != nil {
			return s.ofEntry(err)
		}
	}
	return s.data(e.Body)
}

func (s *session) greeted() error {
	if err := s.deadline(s.cfg.Command); err != nil {
		return err
	}
	_, err := s.answer("greeting", 2)
	return ofHost(err)
}

// hello is EHLO, or HELO where the server does not know that (RFC 5321, 3.2).
func (s *session) hello() error {
	a, err := s.ask("EHLO", "EHLO "+s.cfg.Hostname, 2)
	s.offers = map[string]string{}
	if err == nil {
		for _, line := range a.lines[1:] {
			keyword, value, _ := strings.Cut(line, " ")
			s.offers[strings.ToUpper(keyword)] = value
		}
		return nil
	}
	if r, ok := errors.AsType[*refusal](err); ok && r.answer.class() == 5 {
		err = s.command("HELO", "HELO "+s.cfg.Hostname, 2)
	}
	return ofHost(err)
}

// secure begins TLS. RFC 7435: where nothing was promised no certificate is asked for, since without TLS the
// message would go in clear text: TLS keeps out those who only listen, not those who can change what is sent. An answer other than
// 220 leaves the connection as it is.
func (s *session) secure(ctx context.Context, at server) error {
	err := s.command("STARTTLS", "STARTTLS", 2)
	if r, ok := errors.AsType[*refusal](err); ok {
		s.tls = "no: " + r.Error()
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errHandshake, err)
	}
	if err := s.handshake(ctx, at); err != nil {
		return err
	}
	// RFC 3207, 4.2: what the server offered in clear counts no more. In TLS 1.3 the server's no to the
	// handshake comes here.
	err = s.hello()
	if _, said := errors.AsType[*refusal](err); err != nil && !said {
		return fmt.Errorf("%w: %w", errHandshake, cleaned(err))
	}
	return err
}

// handshake begins TLS on the connection; the certificate is what the host's promise wants.
func (s *session) handshake(ctx context.Context, at server) error {
	c := tls.Client(s.conn, at.security.config(serverName(cmp.Or(at.security.name, at.host))))
	if err := s.deadline(s.cfg.Command); err != nil {
		return err
	}
	if err := c.HandshakeContext(ctx); err != nil {
		s.gone = true
		return fmt.Errorf("%w: %w", errHandshake, cleaned(err))
	}
	s.on(c)
	s.tls = tls.VersionName(c.ConnectionState().Version)
	if at.security.by != "" {
		s.tls += " (" + at.security.by + ")"
	}
	return nil
}

// serverName is what SNI may hold: RFC 6066, 3: names, not addresses.
func serverName(host string) string {
	if net.ParseIP(strings.Trim(host, "[]")) != nil || strings.HasPrefix(host, "[") {
		return ""
	}
	return host
}

// cleaned: errors of TLS may quote what the server sent.
func cleaned(err error) error {
	text := err.Error()
	if result.Clean(text) == text && len(text) <= maxText {
		return err
	}
	return errors.New(result.Cut(result.Clean(text), maxText))
}

// params are those of MAIL that the entry needs and the server knows.
func (s *session) params(e reply.Entry) (string, error) {
	var params string
	_, eightBit := s.offers["8BITMIME"]
	if size, offered := s.offers["SIZE"]; offered {
		// RFC 1870, 3: no number, or zero, is no limit that we could know.
		if limit, err := strconv.ParseInt(size, 10, 64); err == nil && limit > 0 && int64(len(e.Body)) > limit {
			return "", fmt.Errorf("%w: %d octets of %d", errTooLarge, len(e.Body), limit)
		}
		params += " SIZE=" + strconv.Itoa(len(e.Body))
	}
	switch {
	case e.EightBit && !eightBit:
		return "", errNoEightBit
	case eightBit && (e.EightBit || e.UTF8):
		params += " BODY=8BITMIME"
	}
	if e.UTF8 {
		if _, offered := s.offers["SMTPUTF8"]; !offered {
			return "", errNoUTF8
		}
		params += " SMTPUTF8"
	}
	return params, nil
}

// data sends the message. From here on the server may have it, whatever else happens (RFC 1047), so no
// other host is asked; a second try goes out under the same Message-ID.
func (s *session) data(body []byte) error {
	err := s.message(body)
	if err == nil {
		if _, err = s.answer("message", 2); err == nil {
			return nil
		}
	} else {
		s.gone = true
	}
	return ofMessage(err)
}

// message writes the body with its dots doubled and the final dot (RFC 5321, 4.5.2).
func (s *session) message(body []byte) error {
	if err := s.deadline(s.cfg.Data); err != nil {
		return err
	}
	s.onData()
	out := bufio.NewWriter(s.conn)
	if err := writeDotted(out, body); err != nil {
		return err
	}
	return out.Flush()
}

// writeDotted writes a message with its dots doubled and the final dot.
func writeDotted(out *bufio.Writer, body []byte) error {
	if lines := bytes.Count(body, []byte("\r\n")); lines != bytes.Count(body, []byte("\n")) || lines != bytes.Count(body, []byte("\r")) || !bytes.HasSuffix(body, []byte("\r\n")) {
		// Line ends to be mended, which no reply of ours has; the library looks at each octet.
		w := textproto.NewWriter(out).DotWriter()
		if _, err := w.Write(body); err != nil {
			return err
		}
		return w.Close()
	}
	for dot := bytes.HasPrefix(body, []byte(".")); len(body) > 0; dot = true {
		if dot {
			_ = out.WriteByte('.') // a fault comes back with the next write
		}
		end := len(body)
		if n := bytes.Index(body, []byte("\n.")); n >= 0 {
			end = n + 1
		}
		if _, err := out.Write(body[:end]); err != nil {
			return err
		}
		body = body[end:]
	}
	_, err := out.WriteString(".\r\n")
	return err
}

// quit says goodbye, as far as the server listens.
func (s *session) quit() {
	if s.deadline(farewell) == nil {
		if _, err := s.conn.Write([]byte("QUIT\r\n")); err == nil {
			_, _ = readAnswer(s.in)
		}
	}
}

func (s *session) deadline(d time.Duration) error { return s.conn.SetDeadline(time.Now().Add(d)) }

func (s *session) command(name, line string, class int) error {
	_, err := s.ask(name, line, class)
	return err
}

// ask sends a command and reads its answer, within one deadline for both.
func (s *session) ask(name, line string, class int) (answer, error) {
	if err := s.deadline(s.cfg.Command); err != nil {
		s.gone = true
		return answer{}, fmt.Errorf("%s: %w", name, err)
	}
	if _, err := s.conn.Write([]byte(line + "\r\n")); err != nil {
		s.gone = true
		return answer{}, fmt.Errorf("%s: %w", name, err)
	}
	return s.answer(name, class)
}

// answer reads what was said to a command. Another class than the one wanted is a *refusal.
func (s *session) answer(name string, class int) (answer, error) {
	a, err := readAnswer(s.in)
	if err != nil {
		s.gone = true
		if len(s.hidden) > 0 && errors.Is(err, errNoAnswer) {
			err = errNoAnswer // without what it quotes
		}
		return a, fmt.Errorf("%s: %w", name, err)
	}
	a.hide(s.hidden)
	s.said = fmt.Sprintf("%d %s", a.code, a.text())
	if a.class() != class {
		return a, &refusal{command: name, answer: a}
	}
	return a, nil
}
