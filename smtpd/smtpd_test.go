package smtpd_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"checkauth/reply"
	"checkauth/smtpd"
	"checkauth/verify"
	"checkauth/verify/mail"
	"checkauth/verify/naming"
)

func proxied(l net.Listener) net.Listener {
	return smtpd.Proxy(l, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, 10*time.Second)
}

func hasty(l net.Listener) net.Listener {
	return smtpd.Proxy(l, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, 100*time.Millisecond)
}

func TestEnvelopeIsWhole(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	b := serve(t, &recorder{}, func(c *smtpd.Config) { c.Now = func() time.Time { return now } })
	c := b.dial()
	c.want("220")
	c.say("HELO client.example.org", "250 "+host)
	c.say("MAIL FROM:<a@example.org> SIZE=77 BODY=8BITMIME", "250")
	c.say(rcptTo, "250")
	from := c.c.LocalAddr().(*net.TCPAddr).AddrPort()
	if len(b.rec.begun) != 1 {
		t.Fatalf("%d transactions began at RCPT", len(b.rec.begun))
	}
	e := b.rec.begun[0]
	if e.ID != "ID1" || e.Host != host || !e.Time.Equal(now) || e.Client != from || e.Helo != "client.example.org" || e.ESMTP ||
		e.TLS != nil || e.Purpose != verify.ForTest || e.MailFrom != "a@example.org" || e.Params != (verify.MailParams{Size: 77, Body: "8BITMIME"}) ||
		len(e.RcptTo) != 1 || e.RcptTo[0] != "check-auth@"+host {
		t.Errorf("envelope %+v", e)
	}
	c.say("DATA", "354")
	c.send("A: 1\r\nB: 2\r\n.\r\n")
	c.want("250")
	m := b.rec.got()[0]
	if len(m.Fields) != 2 || m.body != "" || m.note(verify.NoteNoEmptyEnd) != 1 || !m.Received.Equal(now) || m.Unparsed != nil {
		t.Errorf("message %+v", m.Message)
	}
	var said []string
	for _, l := range m.Transcript {
		said = append(said, l.Text[:4])
	}
	if got := strings.Join(said, " "); got != "220  HELO 250  MAIL 250  RCPT 250  DATA 354 " {
		t.Errorf("transcript %q", got)
	}
	c.data()
	c.send(".\r\n")
	c.want("250")
	if m := b.rec.got()[1]; !errors.Is(m.Unparsed, mail.ErrEmpty) || m.whole != "" {
		t.Errorf("empty message %+v", m.Message)
	}
}

// What is sent with AUTH is in no transcript.
func TestTranscriptHidesPasswords(t *testing.T) {
	t.Parallel()
	b := serve(t, &recorder{}, nil)
	c := b.open(false)
	c.say("auth plain c2VjcmV0", "502")
	c.data()
	c.send("\r\n.\r\n")
	c.want("250")
	for _, l := range b.rec.got()[0].Transcript {
		if strings.Contains(l.Text, "c2VjcmV0") {
			t.Errorf("transcript has %q", l.Text)
		}
	}
}

// The header is told while the body is still coming.
func TestHeaderIsEarly(t *testing.T) {
	t.Parallel()
	rec := &recorder{}
	b := serve(t, rec, nil)
	c := b.open(false)
	c.data()
	for _, part := range []string{"A: 1\r", "\nB", ": 2\r\n\t3\r\n\r", "\nbody"} {
		c.send(part)
	}
	told := func() bool {
		rec.mu.Lock()
		defer rec.mu.Unlock()
		return rec.fields == 2
	}
	eventually(t, told)
	c.send("\r\n.\r\n")
	c.want("250")
	if m := rec.got()[0]; m.body != "body\r\n" || len(m.Fields) != 2 {
		t.Errorf("message %+v", m.Message)
	}
}

func TestAbandon(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(c *client){
		"RSET":                  func(c *client) { c.say("RSET", "250") },
		"a second MAIL":         func(c *client) { c.say(mailFrom, "250") },
		"EHLO":                  func(c *client) { c.say("EHLO x.example", "250-") },
		"QUIT":                  func(c *client) { c.say("QUIT", "221") },
		"a close":               func(c *client) { _ = c.c.Close() },
		"a close within DATA":   func(c *client) { c.say("DATA", "354"); c.send("A: b\r\n\r\nhalf"); _ = c.c.Close() },
		"a message beyond size": func(c *client) { c.say("DATA", "354"); c.send(sized(2000) + ".\r\n"); c.want("552") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ended := make(chan struct{})
			rec := &recorder{}
			ev := contexts{rec, ended}
			b := serveEvaluator(t, rec, ev, func(c *smtpd.Config) { c.Message, c.Stop = 1000, 100*time.Millisecond })
			c := b.open(false)
			c.say(mailFrom, "250")
			c.say(rcptTo, "250")
			end(c)
			<-ended // the context of Begin
			b.stop()
			if rec.abandoned != 1 || len(rec.got()) != 0 {
				t.Errorf("abandoned %d, messages %d", rec.abandoned, len(rec.got()))
			}
		})
	}
}

// RFC 1047: a client that leaves after its final dot changes nothing.
func TestFinishOutlivesTheClient(t *testing.T) {
	t.Parallel()
	gone, finished := make(chan struct{}), make(chan error, 1)
	rec := &recorder{finish: func(ctx context.Context, _ verify.Envelope) (reply.Answer, error) {
		<-gone
		finished <- ctx.Err()
		return reply.Answer{Code: 250, Enhanced: [3]int{2}}, nil
	}}
	b := serve(t, rec, nil)
	c := b.open(false)
	c.data()
	c.send("\r\n.\r\n")
	eventually(t, func() bool { return len(rec.got()) == 1 })
	_ = c.c.Close()
	close(gone)
	if err := <-finished; err != nil {
		t.Errorf("the context ended: %v", err)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer reply.Answer
		err    error
		panics bool
		want   string
	}{
		"one line":      {answer: reply.Answer{Code: 250, Enhanced: [3]int{2, 0, 0}, Lines: []string{"spf=pass"}}, want: "250 2.0.0 spf=pass"},
		"several lines": {answer: reply.Answer{Code: 550, Enhanced: [3]int{5, 7, 1}, Lines: []string{"a", "b"}}, want: "550-5.7.1 a\n550 5.7.1 b"},
		"a line break":  {answer: reply.Answer{Code: 550, Enhanced: [3]int{5, 7, 1}, Lines: []string{"a\r\n250 b\x1b"}}, want: `550 5.7.1 a\x0d\x0a250 b\x1b`},
		"too long":      {answer: reply.Answer{Code: 550, Enhanced: [3]int{5, 7, 1}, Lines: []string{strings.Repeat("x", 600)}}, want: "550 5.7.1 " + strings.Repeat("x", 477) + "..."},
		"no such code":  {answer: reply.Answer{Code: 25, Enhanced: [3]int{2, 0, 0}}, want: "451 4.3.0 Local error, try again later"},
		"two classes":   {answer: reply.Answer{Code: 250, Enhanced: [3]int{5, 0, 0}}, want: "451 4.3.0 Local error, try again later"},
		"an error":      {err: errors.New("disk full"), want: "451 4.3.0 Report ID1 could not be made, try again later"},
		"a panic":       {panics: true, want: "451 4.3.0 Report ID1 could not be made, try again later"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			var mu sync.Mutex
			rec := &recorder{finish: func(context.Context, verify.Envelope) (reply.Answer, error) {
				if c.panics {
					panic("boom")
				}
				return c.answer, c.err
			}}
			b := serve(t, rec, func(cfg *smtpd.Config) { cfg.Log = slog.New(slog.NewTextHandler(locked{&mu, &log}, nil)) })
			cl := b.open(false)
			cl.data()
			cl.send("\r\n.\r\n")
			if got := cl.reply(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			cl.say("NOOP", "250")
			mu.Lock()
			defer mu.Unlock()
			text := log.String()
			if c.err != nil && !strings.Contains(text, "disk full") || c.panics && !strings.Contains(text, "boom") {
				t.Errorf("the log has %s", text)
			}
			if strings.Contains(text, "a@example.org") {
				t.Errorf("the log has an address: %s", text)
			}
		})
	}
}

type locked struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

func TestBeginPanics(t *testing.T) {
	t.Parallel()
	b := serveEvaluator(t, &recorder{}, panics{}, nil)
	c := b.open(false)
	c.say(mailFrom, "250")
	c.say(rcptTo, "451 4.3.0")
	c.say("DATA", "503")
}

type panics struct{}

func (panics) Begin(context.Context, verify.Envelope) reply.Transaction { panic("boom") }
func (panics) Heard(string)                                             {}

func TestBeginsAreCounted(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	var mu sync.Mutex
	b := serve(t, &recorder{}, func(c *smtpd.Config) {
		c.BeginsSession, c.BeginsNetwork = 3, 5
		c.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	})
	begin := func(c *client, want string) {
		c.say(mailFrom, "250")
		c.say(rcptTo, want)
	}
	one, two := b.open(false), b.open(false)
	for range 3 {
		begin(one, "250")
	}
	begin(one, "451 4.7.1")
	begin(two, "250")
	begin(two, "250")
	begin(two, "451 4.7.1")
	mu.Lock()
	now = now.Add(time.Minute)
	mu.Unlock()
	begin(two, "250")
}

func TestEvaluationsAreCounted(t *testing.T) {
	t.Parallel()
	working, goOn := make(chan struct{}), make(chan struct{})
	rec := &recorder{finish: func(context.Context, verify.Envelope) (reply.Answer, error) {
		close(working)
		<-goOn
		return reply.Answer{Code: 250, Enhanced: [3]int{2}}, nil
	}}
	b := serve(t, rec, func(c *smtpd.Config) { c.Evaluations = 1 })
	one, two := b.open(false), b.open(false)
	one.data()
	two.data()
	one.send("\r\n.\r\n")
	<-working
	two.send("\r\n.\r\n")
	two.want("451 4.3.2")
	close(goOn)
	one.want("250")
}

func TestErrorsAreCounted(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, inTLS bool) {
		b := serve(t, &recorder{}, nil)
		c := b.open(inTLS)
		for range 9 {
			c.say("WHAT", "500")
		}
		c.say("WHAT", "500", "421 4.7.0", "closed")
	})
}

// A bare LF ends no command, and no command is carried out with one in it.
func TestBareLFInCommands(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, inTLS bool) {
		b := serve(t, &recorder{}, nil)
		c := b.open(inTLS)
		c.send(mailFrom + "\n" + "NOOP\r\n")
		c.want("500 5.5.2", "250 2.0.0")
		c.say(rcptTo, "503")
	})
}

// A full disk, or no folder at all: the client tries again, the process lives, nothing lies around.
func TestSpoolFails(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "gone")
	b := serve(t, &recorder{}, func(c *smtpd.Config) { c.Spool = folder })
	c := b.open(false)
	c.data()
	c.send(sized(300<<10) + ".\r\n")
	c.want("452 4.3.1")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	c.data()
	c.send(sized(300<<10) + ".\r\n")
	c.want("250")
	if files, err := os.ReadDir(folder); err != nil || len(files) != 0 {
		t.Errorf("left in the folder: %v, %v", files, err)
	}
}

// version2 is a header of version 2 for TCP over IPv4: command 0 LOCAL, 1 PROXY.
func version2(command byte, addresses string) []byte {
	b := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), 0x20|command, 0x11)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(addresses))), addresses...)
}

// One recipient named twice is one recipient: a 452 for the second would be tried again, and that try be a second test.
func TestRepeatedRecipients(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		paths []string
		want  []string // replies
		to    []string // of the message
	}{
		"the same":         {[]string{"check-auth@" + host, "check-auth@" + host, "check-auth@" + host}, []string{"250", "250", "250"}, []string{"check-auth@" + host}},
		"in capitals":      {[]string{"check-auth@" + host, "CHECK-Auth@Verifier.Example.ORG."}, []string{"250", "250"}, []string{"check-auth@" + host}},
		"quoted":           {[]string{"check-auth@" + host, `"check-auth"@` + host}, []string{"250", "250"}, []string{"check-auth@" + host}},
		"in U-labels":      {[]string{"check-auth@xn--bcher-kva.example", "check-auth@B\u00fccher.example"}, []string{"250", "250"}, []string{"check-auth@xn--bcher-kva.example"}},
		"in A-labels":      {[]string{"check-auth@b\u00fccher.example", "check-auth@XN--BCHER-kva.example"}, []string{"250", "250"}, []string{"check-auth@b\u00fccher.example"}},
		"without a domain": {[]string{"postmaster", "Postmaster@" + host}, []string{"250", "250"}, []string{"postmaster@" + host}},
		"beyond the bound": {[]string{"abuse", "postmaster@" + host, "postmaster", "abuse@" + host}, []string{"501", "250", "250", "250"}, []string{"postmaster@" + host, "abuse@" + host}},
		"another detail":   {[]string{"check-auth+token@" + host, "check-auth@" + host}, []string{"250", "452"}, []string{"check-auth+token@" + host}},
		"another domain":   {[]string{"check-auth@" + host, "check-auth@xn--bcher-kva.example"}, []string{"250", "452"}, []string{"check-auth@" + host}},
		"another mail's":   {[]string{"postmaster@" + host, "check-auth@" + host, "postmaster@" + host}, []string{"250", "452", "250"}, []string{"postmaster@" + host}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := serve(t, &recorder{}, func(cfg *smtpd.Config) {
				cfg.Recipients = 2
				cfg.Role = func(local, domain string) smtpd.Role {
					if ascii, ok := naming.Host(domain); ok && ascii == "xn--bcher-kva.example" {
						domain = host
					}
					return role(local, domain)
				}
			})
			cl := b.open(false)
			cl.say("MAIL FROM:<a@example.org> SMTPUTF8", "250")
			for i, path := range c.paths {
				cl.say("RCPT TO:<"+path+">", c.want[i])
			}
			cl.say("DATA", "354")
			cl.say("Subject: x\r\n\r\n.", "250")
			if got := b.rec.got(); len(got) != 1 || !slices.Equal(got[0].Envelope.RcptTo, c.to) {
				t.Errorf("messages %d, to %q, want one to %q", len(got), got[0].Envelope.RcptTo, c.to)
			}
		})
	}
}

// Without its header, or from elsewhere, a connection to a Proxy listener ends unheard.
func TestProxyWantsItsHeader(t *testing.T) {
	t.Parallel()
	serve(t, &recorder{}, nil, hasty).dial().want("closed") // after the timeout
	b := serve(t, &recorder{}, nil, proxied)
	c := b.dial()
	c.send("EHLO x.example\r\n")
	c.want("closed")
	elsewhere := serve(t, &recorder{}, nil, func(l net.Listener) net.Listener {
		return smtpd.Proxy(l, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, time.Second)
	})
	c = elsewhere.dial()
	_, _ = io.WriteString(c.c, "PROXY TCP4 192.0.2.1 198.51.100.1 4000 25\r\n") // may fail: closed
	c.want("closed")
	good := b.dial()
	good.send("PROXY TCP4 192.0.2.7 198.51.100.1 4000 25\r\n")
	good.want("220")
	good.say("EHLO x.example", "250-")
	good.say(mailFrom, "250")
	good.say(rcptTo, "250")
	if e := b.rec.begun[0]; e.Client != netip.MustParseAddrPort("192.0.2.7:4000") {
		t.Errorf("client %s", e.Client)
	}
}

// Behind a PROXY header too the last reply reaches a client that is still sending: with its octets unread
// the kernel would reset the connection.
func TestLastReplyBehindProxy(t *testing.T) {
	t.Parallel()
	c := serve(t, &recorder{}, nil, proxied).dial()
	c.send("PROXY TCP4 192.0.2.7 198.51.100.1 4000 25\r\n")
	c.want("220")
	c.send("BDAT 100000\r\n" + strings.Repeat("x", 100000))
	c.want("502 5.5.1")
	if b, err := c.in.ReadByte(); err != io.EOF {
		t.Errorf("behind the last reply: %q, %v, want EOF", b, err)
	}
}

// RFC 4954, 5: AUTH at MAIL is taken as <> whatever it says, and no mail is refused for it.
func TestRFC4954_5_AUTH_at_MAIL(t *testing.T) {
	t.Parallel()
	c := serve(t, &recorder{}, nil).open(false)
	for _, auth := range []string{"<>", "", "joe", "joe@example.org", "e+3Dmc2@example.org", "e+3dmc2@example.org", "a=b"} {
		c.say(mailFrom+" SIZE=100 auth="+auth+" BODY=8BITMIME", "250 2.1.0")
	}
	c.say(mailFrom+" SIZE=99999999 AUTH=<>", "552 5.3.4")
}

// RFC 5321, 4.1.1: white space before the line end is tolerated.
func TestRFC5321_4_1_1_trailing_white_space(t *testing.T) {
	t.Parallel()
	c := serve(t, &recorder{}, nil).bare(false)
	c.say("EHLO client.example.org \t", "250-")
	c.say(mailFrom+"\t", "250 2.1.0")
	c.say(rcptTo+" \t ", "250 2.1.5")
	c.say("DATA\t", "354")
	c.say(".", "250")
	c.say("RSET\t", "250")
	c.say("NOOP\ta", "501")
	c.say("QUIT \t", "221")
}

func TestSeveralListeners(t *testing.T) {
	t.Parallel()
	b := serve(t, &recorder{}, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- b.srv.Serve(l) }()
	other := &bench{t: t, addr: l.Addr().String()}
	other.open(true).say("QUIT", "221")
	b.open(false).say("QUIT", "221")
	b.stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if err := b.srv.Serve(l); err != nil {
		t.Errorf("Serve after Shutdown: %v", err)
	}
}

// Shutdown's own context cuts what is open.
func TestShutdownIsCut(t *testing.T) {
	t.Parallel()
	b := serve(t, &recorder{}, nil)
	c := b.open(false)
	c.data()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b.down.Do(func() {
		if err := b.srv.Shutdown(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Shutdown: %v", err)
		}
	})
	c.want("421 4.3.2", "closed")
}

func TestCheckNamesEverything(t *testing.T) {
	t.Parallel()
	cfg := smtpd.Defaults()
	cfg.Message, cfg.Command, cfg.Header.Folds = 0, -time.Second, 0
	err := cfg.Check()
	if err == nil {
		t.Fatal("no error")
	}
	for _, field := range []string{"Message", "Command", "Header.Folds", "Host", "Spool", "Role", "ID"} {
		if !strings.Contains(err.Error(), field+": ") {
			t.Errorf("%s is not named in %v", field, err)
		}
	}
	if _, err := smtpd.New(cfg, &recorder{}); err == nil {
		t.Error("New takes it")
	}
}

// BenchmarkSession: messages a second of one client, and of several, with nobody evaluating.
func BenchmarkSession(b *testing.B) {
	for name, size := range map[string]int{"1KiB": 1 << 10, "100KiB": 100 << 10, "1MiB": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			s := serveEvaluator(b, &recorder{}, null{}, func(c *smtpd.Config) {
				c.BeginsSession, c.BeginsNetwork, c.Commands, c.Session = 1<<40, 1<<40, 1<<40, time.Hour
			})
			c := s.open(false)
			text := mailFrom + "\r\n" + rcptTo + "\r\nDATA\r\n"
			message := sized(size) + ".\r\n"
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				c.send(text)
				c.want("250", "250", "354")
				c.send(message)
				c.want("250")
			}
		})
	}
}

// null evaluates nothing.
type null struct{}

func (null) Begin(context.Context, verify.Envelope) reply.Transaction { return null{} }
func (null) Heard(string)                                             {}
func (null) Header(mail.Fields)                                       {}
func (null) Abandon()                                                 {}
func (null) Finish(context.Context, *verify.Message) (reply.Answer, error) {
	return reply.Answer{Code: 250, Enhanced: [3]int{2, 0, 0}, Lines: []string{"done"}}, nil
}

// contexts tells when the context of a transaction ends.
type contexts struct {
	*recorder
	ended chan struct{}
}

func (e contexts) Begin(ctx context.Context, env verify.Envelope) reply.Transaction {
	context.AfterFunc(ctx, func() { close(e.ended) })
	return e.recorder.Begin(ctx, env)
}

// short fails to accept a few times, as a system without memory or descriptors does.
type short struct {
	net.Listener
	errs []error
}

func (l *short) Accept() (net.Conn, error) {
	if len(l.errs) > 0 {
		err := l.errs[0]
		l.errs = l.errs[1:]
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", err)}
	}
	return l.Listener.Accept()
}

func TestAcceptSurvivesAShortage(t *testing.T) {
	t.Parallel()
	b := serve(t, &recorder{}, nil, func(l net.Listener) net.Listener {
		return &short{l, []error{syscall.ENOBUFS, syscall.ENOMEM, syscall.EMFILE}}
	})
	b.open(false).say("QUIT", "221")
}

// The last record of a TLS session is its close_notify: without it a client takes our answer to QUIT for cut off.
func TestRFC8446_6_1_close_notify(t *testing.T) {
	t.Parallel()
	for _, last := range []struct{ line, answer string }{{"QUIT", "221"}, {"GET / HTTP/1.1", ""}} {
		c := serve(t, &recorder{}, nil).dial()
		raw := &tapped{Conn: c.c}
		c.c, c.in = raw, bufio.NewReader(raw)
		c.want("220")
		c.starttls(&tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}) // where an alert is seen from outside
		c.send(last.line + "\r\n")
		if last.answer != "" {
			c.want(last.answer)
		}
		if rest, err := io.ReadAll(c.in); err != nil {
			t.Errorf("%s: behind our last answer: %q, %v", last.line, rest, err)
		}
		const alert = 21
		if kind := lastRecord(raw.read); kind != alert {
			t.Errorf("%s: the last record is of type %d, want an alert (%d)", last.line, kind, alert)
		}
	}
}

// tapped keeps what was read.
type tapped struct {
	net.Conn
	read []byte
}

func (c *tapped) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read = append(c.read, b[:n]...)
	return n, err
}

// lastRecord is the type of the last TLS record behind the clear text (RFC 5246, 6.2.1).
func lastRecord(b []byte) (kind byte) {
	_, b, _ = bytes.Cut(b, []byte("\r\n220 "))
	_, b, _ = bytes.Cut(b, []byte("\r\n"))
	for len(b) >= 5 {
		kind = b[0]
		b = b[min(5+(int(b[3])<<8|int(b[4])), len(b)):]
	}
	return kind
}
