package smtpd_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"checkauth/reply"
	"checkauth/smtpd"
	"checkauth/verify"
	"checkauth/verify/mail"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// seen is one message as the evaluator got it.
type seen struct {
	*verify.Message
	whole, body string
	early       mail.Fields // of Header
}

func (s *seen) note(code string) int {
	for _, n := range s.Notes {
		if n.Code == code {
			return n.Count
		}
	}
	return 0
}

// recorder is an Evaluator that keeps what it gets.
type recorder struct {
	finish func(ctx context.Context, e verify.Envelope) (reply.Answer, error) // nil: 250
	begin  func(e verify.Envelope)

	mu        sync.Mutex
	begun     []verify.Envelope
	messages  []*seen
	abandoned int
	fields    int      // that Header told of last
	heard     []string // reports
	broken    []string // promises that smtpd did not keep
}

type recorded struct {
	r    *recorder
	ctx  context.Context
	env  verify.Envelope
	head mail.Fields
	done bool
}

func (r *recorder) Begin(ctx context.Context, e verify.Envelope) reply.Transaction {
	if r.begin != nil {
		r.begin(e)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun = append(r.begun, e)
	return &recorded{r: r, ctx: ctx, env: e}
}

func (r *recorder) Heard(report string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard = append(r.heard, report)
}

func (t *recorded) Header(f mail.Fields) {
	t.r.mu.Lock()
	defer t.r.mu.Unlock()
	if t.head != nil || t.done {
		t.r.broken = append(t.r.broken, "Header came twice or late")
	}
	t.head, t.r.fields = f, len(f)
}

func (t *recorded) end(what string) {
	if t.done {
		t.r.broken = append(t.r.broken, what+" after the end")
	}
	t.done = true
}

func (t *recorded) Finish(ctx context.Context, m *verify.Message) (reply.Answer, error) {
	t.r.mu.Lock()
	t.end("Finish")
	whole, err := io.ReadAll(m.Whole.Reader())
	body, err2 := io.ReadAll(m.Body.Reader())
	if err := errors.Join(err, err2); err != nil {
		t.r.broken = append(t.r.broken, err.Error())
	}
	t.r.messages = append(t.r.messages, &seen{m, string(whole), string(body), t.head})
	t.r.mu.Unlock()
	if t.r.finish != nil {
		return t.r.finish(ctx, t.env)
	}
	return reply.Answer{Code: 250, Enhanced: [3]int{2, 0, 0}, Lines: []string{"report " + t.env.ID}, Report: t.env.ID}, nil
}

func (t *recorded) Abandon() {
	t.r.mu.Lock()
	defer t.r.mu.Unlock()
	t.end("Abandon")
	t.r.abandoned++
}

// got waits for nothing: it is what has come so far.
func (r *recorder) got() []*seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.messages)
}

// settled is called when the server has stopped: every transaction must have had its one end.
func (r *recorder) settled(t testing.TB) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.broken) > 0 {
		t.Errorf("broken promises: %q", r.broken)
	}
	if len(r.begun) != len(r.messages)+r.abandoned {
		t.Errorf("%d transactions began, %d were finished and %d abandoned", len(r.begun), len(r.messages), r.abandoned)
	}
}

const host = "verifier.example.org"

// role: check-auth@ is the service, postmaster@ and abuse@ the operator's.
func role(local, domain string) smtpd.Role {
	if domain != "" && !strings.EqualFold(domain, host) {
		return smtpd.Foreign
	}
	base, _, _ := strings.Cut(strings.ToLower(local), "+")
	switch base {
	case "check-auth":
		return smtpd.Service
	case "postmaster", "abuse":
		return smtpd.Operator
	}
	return smtpd.UnknownUser
}

// bench is a server on loopback.
type bench struct {
	t    testing.TB
	addr string
	rec  *recorder
	srv  *smtpd.Server
	down sync.Once
}

// serve starts a server; change may turn its settings, and listen may wrap its listener.
func serve(t testing.TB, rec *recorder, change func(*smtpd.Config), listen ...func(net.Listener) net.Listener) *bench {
	t.Helper()
	return serveEvaluator(t, rec, rec, change, listen...)
}

// serveEvaluator is serve with another evaluator in front of the recorder.
func serveEvaluator(t testing.TB, rec *recorder, ev reply.Evaluator, change func(*smtpd.Config), listen ...func(net.Listener) net.Listener) *bench {
	t.Helper()
	cfg := smtpd.Defaults()
	cfg.Host, cfg.TLS, cfg.Spool, cfg.Role = host, &tls.Config{Certificates: []tls.Certificate{certificate()}}, t.TempDir(), role
	cfg.Loopback = true
	cfg.Share.Unlimited = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	var ids int
	var mu sync.Mutex
	cfg.ID = func() string {
		mu.Lock()
		defer mu.Unlock()
		ids++
		return fmt.Sprintf("ID%d", ids)
	}
	if change != nil {
		change(&cfg)
	}
	srv, err := smtpd.New(cfg, ev)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, addr: l.Addr().String(), rec: rec, srv: srv}
	for _, wrap := range listen {
		l = wrap(l)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	t.Cleanup(func() {
		b.stop()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		rec.settled(t)
	})
	return b
}

func (b *bench) stop() {
	b.down.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := b.srv.Shutdown(ctx); err != nil {
			b.t.Errorf("Shutdown: %v", err)
		}
	})
}

// client speaks SMTP in raw lines.
type client struct {
	t  testing.TB
	c  net.Conn
	in *bufio.Reader
}

func (b *bench) dial() *client {
	b.t.Helper()
	c, err := net.Dial("tcp", b.addr)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	return &client{b.t, c, bufio.NewReader(c)}
}

func (c *client) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.c, s); err != nil {
		c.t.Fatalf("sending %.60q: %v", s, err)
	}
}

// reply reads one reply, its lines joined with LF; "closed" where the server has closed.
func (c *client) reply() string {
	c.t.Helper()
	var lines []string
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			if errors.Is(err, io.EOF) || strings.Contains(err.Error(), "reset by peer") {
				return "closed"
			}
			c.t.Fatalf("reading a reply: %v", err)
		}
		line = strings.TrimSuffix(line, "\r\n")
		lines = append(lines, line)
		if len(line) < 4 || line[3] != '-' {
			return strings.Join(lines, "\n")
		}
	}
}

// want reads one reply for each prefix.
func (c *client) want(prefixes ...string) string {
	c.t.Helper()
	var got string
	for _, p := range prefixes {
		if got = c.reply(); !strings.HasPrefix(got, p) {
			c.t.Fatalf("got %q, want %q", got, p)
		}
	}
	return got
}

// say sends lines and wants a reply to each.
func (c *client) say(line string, prefix ...string) string {
	c.t.Helper()
	c.send(line + "\r\n")
	return c.want(prefix...)
}

// starttls goes over to TLS after the greeting.
func (c *client) starttls(cfg *tls.Config) {
	c.t.Helper()
	c.say("EHLO client.example.org", "250-")
	c.say("STARTTLS", "220")
	t := tls.Client(c.c, cfg)
	if err := t.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	c.c, c.in = t, bufio.NewReader(t)
}

// open greets, in TLS where asked, and gives a client that has said EHLO.
func (b *bench) open(inTLS bool) *client {
	b.t.Helper()
	c := b.bare(inTLS)
	c.say("EHLO client.example.org", "250-")
	return c
}

// bare is open without the EHLO.
func (b *bench) bare(inTLS bool) *client {
	b.t.Helper()
	c := b.dial()
	c.want("220 " + host)
	if inTLS {
		c.starttls(&tls.Config{InsecureSkipVerify: true})
	}
	return c
}

const (
	mailFrom = "MAIL FROM:<a@example.org>"
	rcptTo   = "RCPT TO:<check-auth@" + host + ">"
)

// data goes on to where the message may be sent.
func (c *client) data() {
	c.t.Helper()
	c.say(mailFrom, "250 2.1.0")
	c.say(rcptTo, "250 2.1.5")
	c.say("DATA", "354")
}

// bothWays runs a case in clear text and in TLS.
func bothWays(t *testing.T, f func(t *testing.T, inTLS bool)) {
	for name, inTLS := range map[string]bool{"in clear": false, "in TLS": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, inTLS)
		})
	}
}

var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return signed(key, key.Public())
})

// rsaCertificate is for TLS 1.0 with suites of its time.
var rsaCertificate = sync.OnceValue(func() tls.Certificate {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return signed(key, key.Public())
})

func signed(key, public any) tls.Certificate {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
