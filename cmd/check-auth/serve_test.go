package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-message"

	"checkauth/verify/dns/dnstest"
)

// The sender's domain. Its mail comes from loopback and its reply goes there.
const serveZone = `
sender.example.        TXT "v=spf1 ip4:127.0.0.0/8 -all"
sender.example.        MX  10 mx.sender.example.
mx.sender.example.     A   127.0.0.1
1.0.0.127.in-addr.arpa. PTR mx.sender.example.
`

// program is a running `serve`, as a process of its own.
type program struct {
	cmd  *exec.Cmd
	addr string
	log  *bufio.Scanner
}

// start begins a process and waits until it takes mail.
func start(t testing.TB, state string, args ...string) *program {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"serve", "--listen=127.0.0.1:0", "--hostname=verifier.example",
		"--operator=you@operator.example", "--smtp-loopback-clients=evaluate", "--deliver-allow-private", "--state=" + state}, args...)...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &program{cmd: cmd, log: bufio.NewScanner(out)}
	t.Cleanup(func() { p.kill() })
	p.addr = p.waitFor(t, regexp.MustCompile(`msg="taking mail" address=(\S+)`))
	// The log must be read on, or the process stops at a full pipe.
	go func() {
		for p.log.Scan() {
		}
	}()
	return p
}

func (p *program) waitFor(t testing.TB, want *regexp.Regexp) string {
	t.Helper()
	var seen []string
	for p.log.Scan() {
		if m := want.FindStringSubmatch(p.log.Text()); m != nil {
			return m[1]
		}
		seen = append(seen, p.log.Text())
	}
	t.Fatalf("serve ended:\n%s", strings.Join(seen, "\n"))
	return ""
}

// kill is SIGKILL: nothing of the process runs after it.
func (p *program) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// dialogue sends one mail and gives the answer at the final dot.
func dialogue(t *testing.T, addr, from, to, message string) (int, string) {
	t.Helper()
	c, err := textproto.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, _, err := c.ReadResponse(220); err != nil {
		t.Fatal(err)
	}
	for _, s := range []struct {
		line string
		want int
	}{{"EHLO mx.sender.example", 250}, {"MAIL FROM:<" + from + ">", 250}, {"RCPT TO:<" + to + ">", 250}, {"DATA", 354}} {
		if err := c.PrintfLine("%s", s.line); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.ReadResponse(s.want); err != nil {
			t.Fatalf("%s: %v", s.line, err)
		}
	}
	w := c.DotWriter()
	fmt.Fprint(w, message)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	code, text, err := c.ReadResponse(0)
	if err != nil {
		t.Fatal(err)
	}
	return code, text
}

func mailOf(n int) string {
	return fmt.Sprintf("From: anna@sender.example\nSubject: test %d\nMessage-ID: <%d@sender.example>\n\nhello\n", n, n)
}

func (s *sink) port() string {
	_, port, _ := net.SplitHostPort(s.addr())
	return port
}

// newSink takes replies until the test is over.
func newSink(t testing.TB) *sink {
	t.Helper()
	s, err := openSink()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// next waits for one reply.
func (s *sink) next(t *testing.T) received {
	t.Helper()
	select {
	case m := <-s.mails:
		return m
	case <-time.After(20 * time.Second):
		t.Fatal("no reply came")
		return received{}
	}
}

// A 250 is a promise: the process is killed before the delivery could begin (the sender's MX cannot be
// looked up yet), another is started, and the reply comes, once.
func TestReplySurvivesSIGKILL(t *testing.T) {
	t.Parallel()
	world := dnstest.New(t, serveZone)
	replies, silent := newSink(t), silence(t)
	state := t.TempDir()
	resolver := "--resolver-servers=" + world.Addr().String()
	// The destination takes the connection and says nothing, so that the reply is under way.
	first := start(t, state, resolver, "--deliver-port="+silent)
	code, text := dialogue(t, first.addr, "anna@sender.example", "check-auth@verifier.example", mailOf(1))
	if code != 250 || !strings.Contains(text, "spf=pass") {
		t.Fatalf("answered %d %s", code, text)
	}
	id := regexp.MustCompile(`report (\w+) to`).FindStringSubmatch(text)
	if id == nil {
		t.Fatalf("no report id in %q", text)
	}
	first.kill()
	start(t, state, resolver, "--deliver-port="+replies.port())
	m := replies.next(t)
	if m.from != "" || m.to != "anna@sender.example" || !strings.Contains(string(m.data), "Message-Id: <"+id[1]+"@verifier.example>") {
		t.Errorf("the reply went from <%s> to <%s>:\n%s", m.from, m.to, m.data)
	}
	select {
	case m := <-replies.mails:
		t.Errorf("a second reply came:\n%s", m.data)
	case <-time.After(1500 * time.Millisecond):
	}
}

// silence is the port of a server that takes connections and says nothing.
func silence(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port // the kernel accepts for us
}

// SIGTERM ends an idle server at once, with exit status 0.
func TestServeStops(t *testing.T) {
	t.Parallel()
	world := dnstest.New(t, serveZone)
	p := start(t, t.TempDir(), "--resolver-servers="+world.Addr().String())
	idle, err := net.Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	lines := textproto.NewConn(idle)
	if _, _, err := lines.ReadResponse(220); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if _, _, err := lines.ReadResponse(421); err != nil {
		t.Errorf("an idle client hears %v, want 421", err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("serve ended with %v, want exit status 0", err)
	}
}

func TestServeTakesWhatItShould(t *testing.T) {
	t.Parallel()
	world := dnstest.New(t, serveZone)
	replies := newSink(t)
	s := defaults(func(string) string { return "" })
	s.Hostname, s.Operator, s.State = "verifier.example", "you@operator.example", t.TempDir()
	s.Listen = []string{"127.0.0.1:0"}
	s.SMTP.Loopback = loopbackEvaluate
	s.Resolver.Servers = []string{world.Addr().String()}
	s.Deliver.Relay = replies.addr()
	addr := inProcess(t, &s)

	code, text := dialogue(t, addr, "anna@sender.example", "CHECK-auth@Verifier.example", mailOf(1))
	if code != 250 {
		t.Errorf("a test: %d %s", code, text)
	}
	if m := replies.next(t); m.to != "anna@sender.example" {
		t.Errorf("the reply went to %s", m.to)
	}
	again, repeated := dialogue(t, addr, "anna@sender.example", "CHECK-auth@Verifier.example", mailOf(1))
	if again != 250 || !strings.Contains(repeated, "answered already") {
		t.Errorf("the same mail again: %d %s", again, repeated)
	}
	code, text = dialogue(t, addr, "anna@sender.example", "postmaster@verifier.example", mailOf(2))
	if code != 250 {
		t.Errorf("mail for postmaster: %d %s", code, text)
	}
	if m := replies.next(t); m.to != "you@operator.example" || m.from != "" {
		t.Errorf("the operator's mail went from <%s> to <%s>", m.from, m.to)
	}
	code, text = dialogue(t, addr, "", "check-auth@verifier.example", mailOf(3))
	if code != 250 || !strings.Contains(text, "no report: null sender") {
		t.Errorf("the null sender: %d %s", code, text)
	}
	select {
	case m := <-replies.mails:
		t.Errorf("one more mail, to %s", m.to)
	default:
	}
}

// runs lets something run until the test ends.
func runs(t testing.TB, run func(context.Context) error) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// inProcess runs the service within the test and gives its address.
func inProcess(t testing.TB, s *settings) string {
	t.Helper()
	e := env{now: time.Now, err: os.Stderr, getenv: func(string) string { return "" }}
	if err := s.check(); err != nil {
		t.Fatal(err)
	}
	s.Log.Level = "error"
	v, err := openService(t.Context(), s, s.Log.logger(e), e)
	if err != nil {
		t.Fatal(err)
	}
	addr := v.plain[0].Addr().String()
	runs(t, v.run)
	return addr
}

// Behind a proxy or a mail server of the same machine the sender hears of no fault of its own, and the operator hears
// what to do. What the machine's own programs write to the operator is taken. A try on one machine works as it is.
func TestServeOnLoopback(t *testing.T) {
	t.Parallel()
	world := dnstest.New(t, serveZone)
	for _, c := range []struct {
		host, set string
		taken     bool
	}{
		{"verifier.example", "", false}, {"verifier.example", loopbackEvaluate, true},
		{"localhost", "", true}, {"localhost", loopbackRefuse, false},
	} {
		t.Run(c.host+" "+c.set, func(t *testing.T) {
			t.Parallel()
			replies := newSink(t)
			s := defaults(func(string) string { return "" })
			s.Hostname, s.Operator, s.State = c.host, "you@operator.example", t.TempDir()
			s.Listen, s.Resolver.Servers, s.Deliver.Relay = []string{"127.0.0.1:0"}, []string{world.Addr().String()}, replies.addr()
			s.SMTP.Loopback = c.set
			addr := inProcess(t, &s)
			code, text := dialogue(t, addr, "root@"+c.host, "postmaster@"+c.host, mailOf(1))
			if code != 250 {
				t.Errorf("mail for the operator: %d %s", code, text)
			}
			if m := replies.next(t); m.to != "you@operator.example" {
				t.Errorf("the operator's mail went to %s", m.to)
			}
			if !c.taken {
				if err := recipient(t, addr, "check-auth@"+c.host); err == nil || !strings.Contains(err.Error(), "4.3.5") {
					t.Errorf("a test: %v, want 451 4.3.5", err)
				}
				return
			}
			code, text = dialogue(t, addr, "anna@sender.example", "check-auth@"+c.host, mailOf(2))
			if code != 250 || !strings.Contains(text, "spf=pass") {
				t.Errorf("a test: %d %s", code, text)
			}
		})
	}
}

// Our own names are ours in A-labels and in U-labels, wherever they are written (RFC 5890, 2.3.2.4).
func TestServeInULabels(t *testing.T) {
	t.Parallel()
	world := dnstest.New(t, serveZone)
	replies := newSink(t)
	s := defaults(func(string) string { return "" })
	s.Hostname, s.Domains, s.Operator, s.State = "pr\u00fcfer.example", []string{"xn--bcher-kva.example", "Stra\u00dfe.example"}, "you@operator.example", t.TempDir()
	s.Listen, s.Resolver.Servers, s.Deliver.Relay = []string{"127.0.0.1:0"}, []string{world.Addr().String()}, replies.addr()
	s.SMTP.Loopback = loopbackEvaluate
	addr := inProcess(t, &s)
	if s.Hostname != "xn--prfer-lva.example" {
		t.Errorf("the host calls itself %s", s.Hostname)
	}
	for _, domain := range []string{"pr\u00fcfer.example", "xn--prfer-lva.example", "b\u00fccher.example", "xn--bcher-kva.example", "stra\u00dfe.example", "xn--strae-oqa.example"} {
		if err := recipient(t, addr, "check-auth@"+domain, "SMTPUTF8"); err != nil {
			t.Errorf("%s: %v", domain, err)
		}
	}
	if err := recipient(t, addr, "check-auth@buecher.example", "SMTPUTF8"); err == nil {
		t.Error("a domain of somebody else's is taken")
	}
}

// recipient goes to RCPT and gives what is said there, nil for 250.
func recipient(t *testing.T, addr, to string, params ...string) error {
	t.Helper()
	c, err := textproto.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, _, err := c.ReadResponse(220); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"EHLO mx.sender.example", strings.Join(append([]string{"MAIL FROM:<anna@sender.example>"}, params...), " ")} {
		if err := c.PrintfLine("%s", line); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.ReadResponse(250); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.PrintfLine("RCPT TO:<%s>", to); err != nil {
		t.Fatal(err)
	}
	_, _, err = c.ReadResponse(250)
	return err
}

// Who tried STARTTLS in vain and comes back in clear text is told what stopped it, and not to use STARTTLS.
func TestReportOfAFailedHandshake(t *testing.T) {
	t.Parallel()
	world := dnstest.New(t, serveZone)
	// A ClientHello of TLS 1.2 with TLS_DHE_RSA_WITH_AES_256_GCM_SHA384 alone, which crypto/tls cannot send.
	dhe := "\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x03" + strings.Repeat("r", 32) + "\x00\x00\x02\x00\x9f\x01\x00"
	for _, c := range []struct {
		name string
		try  func(net.Conn)
		say  []string
	}{
		{"DHE alone", func(c net.Conn) { fmt.Fprint(c, dhe) },
			[]string{"no cipher suite in common", "Your server tried TLS at", "It offered TLS_DHE_RSA_WITH_AES_256_GCM_SHA384;", "Let the server offer cipher suites with ECDHE"}},
		{"refuses a self-signed certificate", func(c net.Conn) {
			_ = tls.Client(c, &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "verifier.example"}).Handshake()
		}, []string{"refused our certificate (alert bad_certificate)", "Let the server take the certificate of verifier.example as it is"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			replies := newSink(t)
			s := defaults(func(string) string { return "" })
			s.Hostname, s.Operator, s.State = "verifier.example", "you@operator.example", t.TempDir()
			s.Listen, s.Resolver.Servers, s.Deliver.Relay = []string{"127.0.0.1:0"}, []string{world.Addr().String()}, replies.addr()
			s.SMTP.Loopback = loopbackEvaluate
			addr := inProcess(t, &s)
			startTLS(t, addr, c.try)
			if code, text := dialogue(t, addr, "anna@sender.example", "check-auth@verifier.example", mailOf(1)); code != 250 {
				t.Fatalf("%d %s", code, text)
			}
			text := strings.Join(strings.Fields(replyText(t, replies.next(t))), " ")
			for _, want := range append(c.say, "it tried TLS", "Mail in clear text can be read") {
				if !strings.Contains(text, want) {
					t.Errorf("the report does not say %q:\n%s", want, text)
				}
			}
			if wrong := "use STARTTLS where it is offered"; strings.Contains(text, wrong) {
				t.Errorf("the report says %q:\n%s", wrong, text)
			}
		})
	}
}

// startTLS goes to where the handshake begins, and on until the server has closed.
func startTLS(t *testing.T, addr string, try func(net.Conn)) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := textproto.NewConn(conn)
	for _, step := range []struct {
		line string
		want int
	}{{"", 220}, {"EHLO mx.sender.example", 250}, {"STARTTLS", 220}} {
		if step.line != "" {
			if err := c.PrintfLine("%s", step.line); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := c.ReadResponse(step.want); err != nil {
			t.Fatal(err)
		}
	}
	try(conn)
	_, _ = io.Copy(io.Discard, conn)
}

// replyText is the text part of a reply.
func replyText(t *testing.T, m received) string {
	t.Helper()
	entity, err := message.Read(bytes.NewReader(m.data))
	if err != nil {
		t.Fatal(err)
	}
	text, err := plainText(entity)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
