package front

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"go.uber.org/goleak"

	"checkauth/verify/result"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// unstuffed runs all of in through dots with the given sizes of pieces. rest is what follows the end.
func unstuffed(in []byte, src, dst int) (out, rest []byte, end bool, c Counts) {
	var d dots
	buf := make([]byte, max(dst, 2))
	for len(in) > 0 && !end {
		n, used, over := d.take(buf, in[:min(max(src, 1), len(in))])
		out, in, end = append(out, buf[:n]...), in[used:], over
	}
	return out, in, end, d.Counts
}

func TestRFC5321_4_5_2_transparency(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		".\r\n":                      "",
		"a\r\n.\r\n":                 "a\r\n",
		"..\r\n...\r\n.\r\n":         ".\r\n..\r\n",
		".a\r\n.\r\n":                "a\r\n",
		"a\n.\n.\r\n\r\n.\r\n":       "a\n.\n.\r\n\r\n",
		"a\r\r\n.\r\n":               "a\r\r\n",
		".\r\r\n.\r\n":               "\r\r\n",
		"\r\n.\rx\r\n.\r\n":          "\r\n\rx\r\n",
		"\r\n.\n.\r\n\r\n.\r\nrest":  "\r\n\n.\r\n\r\n",
		"\r\n\x00.\r\n\r\n.\r\nrest": "\r\n\x00.\r\n\r\n",
	} {
		for _, size := range []int{1, 2, 3, 100} {
			if got, _, end, _ := unstuffed([]byte(in), size, size); string(got) != want || !end {
				t.Errorf("%q in pieces of %d: got %q, end %t, want %q", in, size, got, end, want)
			}
		}
	}
}

// reference is RFC 5321, 4.5.2 in its own words: cut at CR LF, a line that is a dot ends the message, a
// dot at the start of another is taken away.
func reference(in []byte) (out, rest []byte, end bool) {
	for {
		line, after, ok := bytes.Cut(in, []byte("\r\n"))
		if !ok {
			return out, nil, false
		}
		if string(line) == "." {
			return out, after, true
		}
		out = append(append(out, bytes.TrimPrefix(line, []byte("."))...), "\r\n"...)
		in = after
	}
}

// FuzzDots: there is one end, where the reference sees it; what comes out is the message without its
// stuffing, whatever the pieces; stuffing and taking it out again changes nothing.
func FuzzDots(f *testing.F) {
	for _, s := range []string{"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r\n", "\r\n.\r", "\r\n\x00.\r\n", "\r\n.\r\n", "\r\n.\rx", ".\r\r\n", "\r\r\n."} {
		f.Add([]byte("a"+s+"MAIL FROM:<a@example.org>\r\n.\r\n"), uint8(3), uint8(2))
	}
	f.Fuzz(func(t *testing.T, in []byte, src, dst uint8) {
		want, rest, ended := reference(in)
		got, left, end, counts := unstuffed(in, int(src), int(dst))
		if end != ended || end && (!bytes.Equal(got, want) || !bytes.Equal(left, rest)) {
			t.Fatalf("%q: got %q, %t, rest %q; want %q, %t, rest %q", in, got, end, left, want, ended, rest)
		}
		if !end && !bytes.HasPrefix(got, want) {
			t.Fatalf("%q without an end: got %q, want at least %q", in, got, want)
		}
		if n := bytes.Count(got, []byte("\n")) - bytes.Count(got, []byte("\r\n")); end && counts.BareLF != n {
			t.Fatalf("%q: %d bare LF, want %d", got, counts.BareLF, n)
		}
		if n := bytes.Count(got, []byte("\r")) - bytes.Count(got, []byte("\r\n")); end && counts.BareCR != n {
			t.Fatalf("%q: %d bare CR, want %d", got, counts.BareCR, n)
		}
		message := append(bytes.Clone(in), "\r\n"...)
		back, left, end, _ := unstuffed(append(stuffed(message), ".\r\nQUIT\r\n"...), int(src), int(dst))
		if !end || !bytes.Equal(back, message) || string(left) != "QUIT\r\n" {
			t.Fatalf("%q came back as %q, %t, rest %q", message, back, end, left)
		}
	})
}

func stuffed(message []byte) []byte {
	lines := bytes.SplitAfter(message, []byte("\r\n"))
	for i, l := range lines {
		if bytes.HasPrefix(l, []byte(".")) {
			lines[i] = append([]byte("."), l...)
		}
	}
	return bytes.Join(lines, nil)
}

// handler takes everything.
type handler struct{ closed chan End }

func (h handler) Admit() error                                     { return nil }
func (h handler) Argument(_, arg string) (string, *smtp.SMTPError) { return arg, nil }
func (h handler) Refused(string, int, string)                      {}
func (h handler) Heard()                                           {}
func (h handler) TLSFailed(result.Reason)                          {}
func (h handler) Closed(e End)                                     { h.closed <- e }

func testConfig() Config {
	return Config{Host: "verifier.example.org", Command: func() (time.Duration, bool) { return 5 * time.Second, false }, Greeting: time.Millisecond,
		DataIdle: 5 * time.Second, Session: 5 * time.Second, Write: 5 * time.Second, MinRate: 500, Window: time.Minute,
		Errors: 10, Commands: 100, Line: 8 << 10}
}

// backend takes messages and counts what go-smtp was made to do.
type backend struct {
	mails, messages int
	last            []byte
	err             error
}

func (b *backend) NewSession(c *smtp.Conn) (smtp.Session, error) {
	return &mailbox{b, c.Conn().(*Conn)}, nil
}

type mailbox struct {
	*backend
	c *Conn
}

func (m *mailbox) Mail(string, *smtp.MailOptions) error { m.mails++; return nil }
func (m *mailbox) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (m *mailbox) Reset()                               {}
func (m *mailbox) Logout() error                        { return nil }

func (m *mailbox) Data(io.Reader) error {
	m.last, m.err = io.ReadAll(m.c.Data())
	if m.err == nil {
		m.messages++
	}
	return m.err
}

// behind serves a connection with go-smtp until it ends.
func behind(t testing.TB, cfg Config, c net.Conn) (*backend, End) {
	t.Helper()
	h, b := handler{make(chan End, 1)}, &backend{}
	s := smtp.NewServer(b)
	s.MaxLineLength = 0
	l := one{make(chan net.Conn, 1)}
	l.c <- New(c, cfg, h)
	close(l.c)
	if err := s.Serve(l); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	end := <-h.closed
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b, end
}

// played is a client that says everything at once and then no more.
type played struct {
	in  *bytes.Reader
	out bytes.Buffer
}

func (p *played) Read(b []byte) (int, error)       { return p.in.Read(b) }
func (p *played) Write(b []byte) (int, error)      { return p.out.Write(b) }
func (p *played) Close() error                     { return nil }
func (p *played) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (p *played) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (p *played) SetDeadline(time.Time) error      { return nil }
func (p *played) SetReadDeadline(time.Time) error  { return nil }
func (p *played) SetWriteDeadline(time.Time) error { return nil }

// one is a listener with the connections of its channel.
type one struct{ c chan net.Conn }

func (l one) Accept() (net.Conn, error) {
	if c, ok := <-l.c; ok {
		return c, nil
	}
	return nil, io.EOF
}
func (one) Close() error   { return nil }
func (one) Addr() net.Addr { return &net.TCPAddr{} }

const start = "EHLO x.example\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n"

func TestMinimumRate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		piece    string
		why      string
		messages int
		heard    string
	}{
		"too slow":    {"x", "too slow in DATA", 0, "\r\n421 4.4.2 Data came too slowly"},
		"fast enough": {strings.Repeat("x", 500), "", 1, "\r\n250 2.0.0 "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := testConfig()
			cfg.Window, cfg.MinRate = time.Second, 1000
			ours, theirs := net.Pipe()
			go func() { // ends with the connection
				_, _ = io.WriteString(theirs, start)
				for range 150 {
					if _, err := io.WriteString(theirs, c.piece); err != nil {
						return
					}
					<-time.After(10 * time.Millisecond)
				}
				_, _ = io.WriteString(theirs, "\r\n.\r\nQUIT\r\n")
			}()
			heard := make(chan string)
			go func() {
				out, _ := io.ReadAll(theirs)
				heard <- string(out)
			}()
			b, end := behind(t, cfg, ours)
			if out := <-heard; end.Why != c.why || b.messages != c.messages || !strings.Contains(out, c.heard) {
				t.Errorf("ended %q, %d messages, heard %q", end.Why, b.messages, out)
			}
		})
	}
}

// A rising load shortens the wait that has begun.
func TestTighten(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	full := make(chan struct{})
	cfg.Command = func() (time.Duration, bool) {
		select {
		case <-full:
			return time.Millisecond, false
		default:
			return time.Hour, false
		}
	}
	cfg.Session = 2 * time.Hour
	ours, theirs := net.Pipe()
	h := handler{make(chan End, 1)}
	c := New(ours, cfg, h)
	done := make(chan error, 1)
	go func() {
		_, err := c.Read(make([]byte, 10))
		_ = c.Close()
		done <- err
	}()
	_, _ = io.WriteString(theirs, "NO") // the wait has begun
	close(full)
	c.Tighten()
	heard, _ := io.ReadAll(theirs)
	if err := <-done; err != io.EOF || !strings.HasPrefix(string(heard), "421 4.4.2") {
		t.Errorf("%v, heard %q", err, heard)
	}
	_ = theirs.Close()
}

// FuzzFront: whatever a client sends in one breath, go-smtp is never made to begin more mails than
// there are lines that say so, no message ends but at CR LF . CR LF, and every reply is a well-formed line.
func FuzzFront(f *testing.F) {
	for _, s := range []string{
		start + "A: b\r\n\r\nc\r\n.\r\nQUIT\r\n", start + "a\r\n.\n" + start + ".\r\n", start + "a\n.\r\n" + start + "b\r\n.\r\nNOOP\r\n",
		"EHLO \xff\r\nMAIL\r\nNOOP x y\r\nRSET\r\n", "EHLO x\r\nBDAT 5 LAST\r\nRSET\r\n", "STARTTLSxyz\r\nSTARTTLS\r\nNOOP\r\n",
		"GET / HTTP/1.0\r\n" + start, "HELO x\nHELO\ty\r\nVRFY\r\nHELP\r\nAUTH PLAIN x\r\n", start + strings.Repeat("x", 9000),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		p := &played{in: bytes.NewReader(in)}
		b, _ := behind(t, testConfig(), p)
		if mails := bytes.Count(bytes.ToUpper(in), []byte("MAIL")); b.mails > mails {
			t.Fatalf("%q began %d mails", in, b.mails)
		}
		ends := 0
		for i := range in {
			if bytes.HasPrefix(in[i:], []byte("\r\n.\r\n")) {
				ends++
			}
		}
		if b.messages > ends {
			t.Fatalf("%q has %d ends of DATA and made %d messages", in, ends, b.messages)
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(p.out.String(), "\r\n"), "\r\n") {
			if len(line) < 4 || len(line) > 510 || control(line) || strings.ContainsFunc(line, func(r rune) bool { return r > 126 }) {
				t.Fatalf("%q: reply %q", in, line)
			}
		}
	})
}
