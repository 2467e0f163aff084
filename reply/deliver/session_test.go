package deliver

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-smtp"

	"checkauth/reply"
)

const oneHost = `
example.org.    MX 10 mx.example.org.
mx.example.org. A  127.0.0.1
`

// tryStub makes one try against one server.
func tryStub(t *testing.T, s *stub, e reply.Entry) (outcome, error) {
	t.Helper()
	c := config(t)
	c.Port = listen(t, map[string]*stub{"127.0.0.1": s})
	return deliverer(t, c, oneHost).tryWhole(t.Context(), e)
}

func TestRFC5321_3_3_one_mail(t *testing.T) {
	t.Parallel()
	s, e := &stub{}, entry("one")
	what, err := tryStub(t, s, e)
	want(t, err, "taken", "")
	if what.host != "mx.example.org [127.0.0.1]" || what.tls != "no: not offered" || what.alias != "" {
		t.Errorf("got %+v", what)
	}
	heard, mails := s.got()
	if want := []string{"EHLO verifier.example.net", "MAIL FROM:<> SIZE=39", "RCPT TO:<a@example.org>", "DATA", "QUIT"}; !slices.Equal(heard, want) {
		t.Errorf("the server heard %q, want %q", heard, want)
	}
	if want := []string{received(e)}; !slices.Equal(mails, want) {
		t.Errorf("the server got %q, want %q", mails, want)
	}
}

func TestRFC5321_4_2_1_what_an_answer_means(t *testing.T) {
	t.Parallel()
	const yes, no = "permanent", "temporary"
	for _, c := range []struct {
		verb, answer, fate, reason string
	}{
		{"greeting", "554 5.7.1 go away", no, "mx.example.org [127.0.0.1]: greeting: 554 5.7.1 go away"},
		{"greeting", "521 mx.example.org takes no mail", yes, "greeting: 521 mx"},
		{"greeting", "421 4.3.2 later", no, "421 4.3.2 later"},
		{"greeting", "334 what", no, "greeting: 334 what"},
		{"greeting", "HTTP/1.1 400 Bad Request", no, "not an SMTP answer"},
		{"greeting", closes, no, "closed the connection"},
		{"EHLO", "421 4.3.2 later", no, "EHLO: 421"},
		{"EHLO", closes, no, "EHLO: the server closed"},
		{"MAIL", "451 4.7.1 later", no, "MAIL: 451 4.7.1 later"},
		{"MAIL", "550 5.7.1 no", no, "MAIL: 550 5.7.1 no"},
		{"MAIL", "501 5.1.7 Bad sender address syntax", no, "MAIL: 501 5.1.7"},
		{"MAIL", "530 5.7.0 Authentication required", no, "MAIL: 530 5.7.0"},
		{"MAIL", "552 5.3.4 too large", yes, "MAIL: 552 5.3.4"},
		{"RCPT", "450 4.2.0 greylisted", no, "RCPT: 450 4.2.0 greylisted"},
		{"RCPT", "550-5.1.1 no such\r\n550 5.1.1 user", yes, "RCPT: 550 5.1.1 no such 5.1.1 user"},
		{"RCPT", "251 will forward", "taken", ""},
		{"RCPT", closes, no, "RCPT: the server closed"},
		{"DATA", "451 4.3.0 disk", no, "DATA: 451"},
		{"DATA", "554 5.5.1 no valid recipients", yes, "DATA: 554"},
		{"DATA", "250 what", no, "DATA: 250 what"},
		{".", "250-2.0.0 queued\r\n250 2.0.0 as 1", "taken", ""},
		{".", "451 4.3.0 later", no, "message: 451 4.3.0 later"},
		{".", "550 5.7.1 spam", yes, "message: 550 5.7.1 spam"},
		{".", "354 what", no, "message: 354"},
		{".", closes, no, "message: the server closed"},
		{"QUIT", "500 what", "taken", ""},
		{"QUIT", closes, "taken", ""},
	} {
		t.Run(c.verb+" "+c.answer, func(t *testing.T) {
			t.Parallel()
			s := &stub{script: map[string][]string{c.verb: {c.answer}}}
			_, err := tryStub(t, s, entry("one"))
			want(t, err, c.fate, c.reason)
			if n := s.connections(); n != 1 {
				t.Errorf("%d connections, want 1", n)
			}
			heard, _ := s.got()
			if said := c.fate != "taken" && c.answer != closes && !strings.HasPrefix(c.answer, "HTTP"); said && !slices.Contains(heard, "QUIT") {
				t.Errorf("no QUIT in %q", heard)
			}
		})
	}
}

func TestRFC5321_3_2_HELO_where_EHLO_is_unknown(t *testing.T) {
	t.Parallel()
	s := &stub{script: map[string][]string{"EHLO": {"502 5.5.1 what"}}}
	_, err := tryStub(t, s, entry("one"))
	want(t, err, "taken", "")
	heard, _ := s.got()
	if want := []string{"EHLO verifier.example.net", "HELO verifier.example.net", "MAIL FROM:<>"}; !slices.Equal(heard[:3], want) {
		t.Errorf("the server heard %q, want %q", heard, want)
	}
	s = &stub{script: map[string][]string{"EHLO": {"502 what"}, "HELO": {"550 5.7.1 no"}}}
	_, err = tryStub(t, s, entry("one"))
	want(t, err, "temporary", "HELO: 550 5.7.1 no") // about us, not about the entry: somebody may fix it
}

func TestRFC5321_4_5_2_dots(t *testing.T) {
	t.Parallel()
	for _, body := range []string{".\r\n", "a\r\n.\r\nb\r\n", "..\r\n.a", "a\r\n\r\n", "no line end", "bare\n.\nline ends\n"} {
		s, e := &stub{}, entry("one")
		e.Body = []byte(body)
		_, err := tryStub(t, s, e)
		want(t, err, "taken", "")
		wanted := strings.TrimSuffix(received(e), "\n") + "\n"
		if _, mails := s.got(); !slices.Equal(mails, []string{wanted}) {
			t.Errorf("%q: the server got %q, want %q", body, mails, wanted)
		}
	}
}

func TestRFC6531_3_4_extensions_as_needed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, ehlo   string
		change       func(*reply.Entry)
		fate, reason string
		mail         string
	}{
		{"nothing offered, nothing needed", "250 mx", func(*reply.Entry) {}, "taken", "", "MAIL FROM:<>"},
		{"offered, not needed", "250-mx\r\n250-8BITMIME\r\n250 SMTPUTF8", func(*reply.Entry) {}, "taken", "", "MAIL FROM:<>"},
		{"keywords in any case", "250-mx\r\n250-smtputf8\r\n250 8bitMIME", func(e *reply.Entry) { e.UTF8 = true }, "taken", "", "MAIL FROM:<> BODY=8BITMIME SMTPUTF8"},
		{"8 bits", "250-mx\r\n250 8BITMIME", func(e *reply.Entry) { e.EightBit = true }, "taken", "", "MAIL FROM:<> BODY=8BITMIME"},
		{"no SMTPUTF8", "250-mx\r\n250 8BITMIME", func(e *reply.Entry) { e.UTF8 = true }, "permanent", "5.6.7", ""},
		{"no 8BITMIME", "250-mx\r\n250 SMTPUTF8", func(e *reply.Entry) { e.EightBit = true }, "permanent", "5.6.3", ""},
		{"a sender", "250 mx", func(e *reply.Entry) { e.From = "b@example.net" }, "taken", "", "MAIL FROM:<b@example.net>"},
		{"SIZE just enough", "250-mx\r\n250 SIZE 39", func(*reply.Entry) {}, "taken", "", "MAIL FROM:<> SIZE=39"},
		{"SIZE too small", "250-mx\r\n250 SIZE 38", func(*reply.Entry) {}, "permanent", "5.3.4", ""},
		{"SIZE without a number", "250-mx\r\n250 SIZE", func(*reply.Entry) {}, "taken", "", "MAIL FROM:<> SIZE=39"},
		{"SIZE beyond numbers", "250-mx\r\n250 SIZE 99999999999999999999", func(*reply.Entry) {}, "taken", "", "MAIL FROM:<> SIZE=39"},
		{"SIZE below zero", "250-mx\r\n250 SIZE -1", func(*reply.Entry) {}, "taken", "", "MAIL FROM:<> SIZE=39"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, e := &stub{script: map[string][]string{"EHLO": {c.ehlo}}}, entry("one")
			c.change(&e)
			_, err := tryStub(t, s, e)
			want(t, err, c.fate, c.reason)
			heard, _ := s.got()
			if c.mail != "" && !slices.Contains(heard, c.mail) {
				t.Errorf("the server heard %q, want %q", heard, c.mail)
			}
		})
	}
}

// No address ends the command that it stands in.
func TestHostile_22(t *testing.T) {
	t.Parallel()
	for _, to := range []string{"a@example.org>\r\nRCPT TO:<b@example.net", "a\n@example.org", "a\x00@example.org", "a@example.org\x7f"} {
		s, e := &stub{}, entry("one")
		e.To = to
		_, err := tryStub(t, s, e)
		want(t, err, "permanent", "control character")
		if n := s.connections(); n != 0 {
			t.Errorf("%q: %d connections", to, n)
		}
	}
	s, e := &stub{}, entry("one")
	e.To = `"a b>,"@example.org`
	_, err := tryStub(t, s, e)
	want(t, err, "taken", "")
	if heard, _ := s.got(); !slices.Contains(heard, `RCPT TO:<"a b>,"@example.org>`) {
		t.Errorf("the server heard %q", heard)
	}
}

const startTLS = "250-mx.example.org\r\n250-8BITMIME\r\n250 STARTTLS"

func TestRFC7435_3_TLS_without_trust(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		version uint16
	}{{"TLS 1.3", tls.VersionTLS13}, {"TLS 1.2", tls.VersionTLS12}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var sni string
			s := &stub{script: map[string][]string{"EHLO": {startTLS, "250-mx\r\n250 SIZE 0"}}}
			s.tls = &tls.Config{Certificates: []tls.Certificate{certificate(t)}, MaxVersion: c.version,
				GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) { sni = h.ServerName; return nil, nil }}
			what, err := tryStub(t, s, entry("one"))
			want(t, err, "taken", "")
			heard, mails := s.got()
			wanted := []string{"EHLO verifier.example.net", "STARTTLS", "TLS EHLO verifier.example.net", "TLS MAIL FROM:<> SIZE=39",
				"TLS RCPT TO:<a@example.org>", "TLS DATA", "TLS QUIT"}
			if what.tls != c.name || sni != "mx.example.org" || !slices.Equal(heard, wanted) || len(mails) != 1 {
				t.Errorf("got %+v, SNI %q, heard %q, %d mails", what, sni, heard, len(mails))
			}
		})
	}
}

func TestRFC7435_3_clear_text_where_TLS_fails(t *testing.T) {
	t.Parallel()
	good := func(t *testing.T) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{certificate(t)}} }
	for _, c := range []struct {
		name        string
		script      map[string][]string
		tls         func(*testing.T) *tls.Config
		connections int
		reason      string
	}{
		{"no certificate", nil, func(*testing.T) *tls.Config { return &tls.Config{} }, 2, "no: mx.example.org [127.0.0.1]: TLS failed"},
		{"a certificate of ours is wanted", nil, func(t *testing.T) *tls.Config {
			c := good(t)
			c.ClientAuth = tls.RequireAnyClientCert
			return c
		}, 2, "no: mx.example.org [127.0.0.1]: TLS failed"},
		{"closes at the command", map[string][]string{"STARTTLS": {closes}}, good, 2, "no: mx.example.org [127.0.0.1]: TLS failed"},
		{"clear text in place of a handshake", nil, func(*testing.T) *tls.Config { return nil }, 2, "TLS failed"},
		{"refused by an answer", map[string][]string{"STARTTLS": {"454 4.7.0 no"}}, good, 1, "no: STARTTLS: 454 4.7.0 no"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &stub{script: map[string][]string{"EHLO": {startTLS}, "STARTTLS": c.script["STARTTLS"]}, tls: c.tls(t)}
			what, err := tryStub(t, s, entry("one"))
			want(t, err, "taken", "")
			if !strings.Contains(what.tls, c.reason) || strings.Contains(what.tls, "\x1b") || s.connections() != c.connections {
				t.Errorf("got %q and %d connections, want %q and %d", what.tls, s.connections(), c.reason, c.connections)
			}
			if _, mails := s.got(); len(mails) != 1 {
				t.Errorf("%d mails, want 1", len(mails))
			}
		})
	}
}

// The second connection is in clear once; where that fails too there is no third.
func TestRFC7435_3_clear_text_is_tried_once(t *testing.T) {
	t.Parallel()
	s := &stub{script: map[string][]string{"EHLO": {startTLS}, "RCPT": {"450 4.2.0 later"}}, tls: &tls.Config{}}
	_, err := tryStub(t, s, entry("one"))
	want(t, err, "temporary", "450 4.2.0 later")
	if n := s.connections(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

// RFC 3207, 4.2: what was said in clear is not taken for the server's words in TLS. The injected lines
// would answer EHLO and offer an extension.
func TestRFC3207_4_2_nothing_read_before_the_handshake_counts(t *testing.T) {
	t.Parallel()
	cert := certificate(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &stub{script: map[string][]string{"greeting": {"250 mx.example.org"}}}
	accept(t, l, func(conn net.Conn) {
		defer func() { _ = conn.Close() }()
		plain := &stub{script: map[string][]string{"EHLO": {startTLS}}}
		if !plain.say(conn, conn, "220 hi") || !readsLine(conn) || !plain.say(conn, conn, startTLS) || !readsLine(conn) ||
			!plain.say(conn, conn, "220 go\r\n250-injected\r\n250 SIZE 1") {
			return
		}
		c := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}})
		if c.Handshake() == nil && readsLine(c) { // EHLO, answered as the stub's greeting
			s.serve(c)
		}
	})
	c := config(t)
	c.Port = l.Addr().(*net.TCPAddr).Port
	what, err := deliverer(t, c, oneHost).tryWhole(t.Context(), entry("one"))
	want(t, err, "taken", "")
	if _, mails := s.got(); !strings.HasPrefix(what.tls, "TLS") || len(mails) != 1 {
		t.Errorf("got %+v, %d mails, want one in TLS", what, len(mails))
	}
}

// readsLine reads a line octet by octet, so that nothing of what follows is lost.
func readsLine(r io.Reader) bool {
	for b := make([]byte, 1); ; {
		if _, err := io.ReadFull(r, b); err != nil {
			return false
		}
		if b[0] == '\n' {
			return true
		}
	}
}

// backend takes mail as go-smtp's server hears it.
type backend struct {
	mu    sync.Mutex
	mails []string
	utf8  bool
}

func (b *backend) NewSession(*smtp.Conn) (smtp.Session, error) { return b, nil }
func (b *backend) Mail(_ string, o *smtp.MailOptions) error    { b.utf8 = o.UTF8; return nil }
func (b *backend) Rcpt(string, *smtp.RcptOptions) error        { return nil }
func (b *backend) Reset()                                      {}
func (b *backend) Logout() error                               { return nil }
func (b *backend) Data(r io.Reader) error {
	all, err := io.ReadAll(r)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mails = append(b.mails, string(all))
	return err
}

// A server that is not ours: STARTTLS, SMTPUTF8 and an address of the whole world.
func TestRFC6531_3_2_to_another_program(t *testing.T) {
	t.Parallel()
	b := &backend{}
	server := smtp.NewServer(b)
	server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate(t)}}
	server.EnableSMTPUTF8, server.Domain = true, "mx.example.org"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() { _ = server.Close(); running.Wait() })
	c := config(t)
	c.Port = l.Addr().(*net.TCPAddr).Port
	e := entry("one")
	e.To, e.UTF8 = "ü@bücher.example", true
	what, err := deliverer(t, c, "xn--bcher-kva.example. MX 0 mx.example.org.\nmx.example.org. A 127.0.0.1\n").tryWhole(t.Context(), e)
	want(t, err, "taken", "")
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Equal(b.mails, []string{string(e.Body)}) || !b.utf8 || what.tls != "TLS 1.3" {
		t.Errorf("got %q, UTF-8 %t, %+v", b.mails, b.utf8, what)
	}
}

// What a hostile server can make us read and hold is bounded.
func TestEndlessAnswersAreCut(t *testing.T) {
	t.Parallel()
	for verb, words := range map[string][]string{
		"greeting": {endless, oneLine}, "EHLO": {endless, oneLine}, "MAIL": {endless}, "RCPT": {endless, oneLine}, ".": {endless, oneLine},
	} {
		for _, word := range words {
			s := &stub{script: map[string][]string{verb: {word}}}
			c := config(t)
			c.Dial = inMemory(map[string]*stub{"127.0.0.1": s})
			_, err := deliverer(t, c, oneHost).tryWhole(t.Context(), entry("one"))
			want(t, err, "temporary", "the answer has more than")
			s.mu.Lock()
			if s.written > maxAnswer {
				t.Errorf("%s %s: %d octets were read", verb, word, s.written)
			}
			s.mu.Unlock()
		}
	}
}

// alone makes one try under a clock of its own, against one server without a network.
func alone(t *testing.T, s *stub, test func(t *testing.T, d *Deliverer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := config(t)
		c.Command, c.Data = 5*time.Minute, 10*time.Minute
		c.Dial = inMemory(map[string]*stub{"192.0.2.1": s})
		test(t, newDeliverer(t, c, nil, oneDomain))
	})
}

func TestRFC5321_4_5_3_2_deadlines(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		verb, fate, reason string
		took               time.Duration
	}{
		{"greeting", "temporary", "greeting: read pipe: i/o timeout", 5 * time.Minute},
		{"EHLO", "temporary", "EHLO: read pipe: i/o timeout", 5 * time.Minute},
		{"MAIL", "temporary", "MAIL: read pipe: i/o timeout", 5 * time.Minute},
		{"RCPT", "temporary", "RCPT: read pipe: i/o timeout", 5 * time.Minute},
		{"DATA", "temporary", "DATA: read pipe: i/o timeout", 5 * time.Minute},
		{".", "temporary", "message: read pipe: i/o timeout", 10 * time.Minute},
		{"QUIT", "taken", "", farewell},
	} {
		t.Run(c.verb, func(t *testing.T) {
			t.Parallel()
			alone(t, &stub{script: map[string][]string{c.verb: {hangs}}}, func(t *testing.T, d *Deliverer) {
				began := time.Now()
				_, err := d.tryWhole(t.Context(), entry("one"))
				want(t, err, c.fate, c.reason)
				if took := time.Since(began); took != c.took {
					t.Errorf("it took %s, want %s", took, c.took)
				}
			})
		})
	}
}

// A line now and then does not lengthen a deadline: it is that of the whole answer.
func TestRFC5321_4_5_3_2_deadline_of_a_slow_answer(t *testing.T) {
	t.Parallel()
	alone(t, &stub{script: map[string][]string{"EHLO": {drips}}}, func(t *testing.T, d *Deliverer) {
		began := time.Now()
		_, err := d.tryWhole(t.Context(), entry("one"))
		want(t, err, "temporary", "EHLO: read pipe: i/o timeout")
		if took := time.Since(began); took != d.cfg.Command {
			t.Errorf("it took %s, want %s", took, d.cfg.Command)
		}
		time.Sleep(time.Minute) // for the server's last line
	})
}

func TestTheContextsEndCutsTheConnection(t *testing.T) {
	t.Parallel()
	cause := errors.New("the time for one try is over")
	for _, verb := range []string{"greeting", "RCPT", "."} {
		s := &stub{script: map[string][]string{verb: {hangs}}}
		alone(t, s, func(t *testing.T, d *Deliverer) {
			began := time.Now()
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, cause)
			defer cancel()
			_, err := d.tryWhole(ctx, entry("one"))
			want(t, err, "temporary", cause.Error())
			if took := time.Since(began); !errors.Is(err, cause) || s.connections() != 1 || took != time.Minute {
				t.Errorf("%s: got %v after %d connections and %s", verb, err, s.connections(), took)
			}
		})
	}
}

func TestServerName(t *testing.T) {
	t.Parallel()
	for at, want := range map[[2]string]string{
		{"mx.example.org", "192.0.2.1:25"}:                                           "mx.example.org [192.0.2.1]",
		{"mx\x1b.example.org", "192.0.2.1:25"}:                                       `mx\x1b.example.org [192.0.2.1]`,
		{"[192.0.2.1]", "192.0.2.1:25"}:                                              "[192.0.2.1]",
		{"[IPv6:2001:db8::1]", netip.MustParseAddrPort("[2001:db8::1]:25").String()}: "[IPv6:2001:db8::1]",
		{"relay.example.org", "relay.example.org:587"}:                               "relay.example.org",
	} {
		if got := (server{host: at[0], addr: at[1]}).String(); got != want {
			t.Errorf("%+v: got %q, want %q", at, got, want)
		}
	}
	for host, want := range map[string]string{"mx.example.org": "mx.example.org", "[192.0.2.1]": "", "192.0.2.1": "", "[IPv6:2001:db8::1]": "", "2001:db8::1": ""} {
		if got := serverName(host); got != want {
			t.Errorf("SNI for %s: got %q, want %q", host, got, want)
		}
	}
}
