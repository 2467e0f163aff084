package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/emersion/go-message"
	"github.com/emersion/go-msgauth/dkim"
	"github.com/emersion/go-smtp"
	"github.com/pires/go-proxyproto"

	"checkauth/reply/sign"
	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/panics"
	"checkauth/verify/result"
)

// demoCmd is `check-auth demo`.
type demoCmd struct {
	Case string `help:"Run one of the stories: well, story, footer, lookups, forgery." placeholder:"NAME"`
	Stay bool   `help:"Keep the servers up and print how to send to them."`
}

// demoTime is how long the whole demo may take.
const demoTime = 10 * time.Second

// Run exits 0 only if every mail was answered as it should be.
func (c *demoCmd) Run(ctx context.Context, e env) error {
	dir, err := os.MkdirTemp("", "check-auth-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	d, err := openDemo(ctx, dir, e)
	if err != nil {
		return err
	}
	err = c.play(ctx, d, e)
	if err == nil && c.Stay {
		d.stay(ctx, e)
	}
	return errors.Join(err, d.close())
}

func (c *demoCmd) play(ctx context.Context, d *demo, e env) error {
	ctx, cancel := context.WithTimeout(ctx, demoTime)
	defer cancel()
	var names []string
	var wrong []error
	played := 0
	for _, s := range d.stories {
		names = append(names, s.name)
		if c.Case != "" && c.Case != s.name {
			continue
		}
		played++
		fmt.Fprintf(e.out, "== %s: %s\n", s.name, s.about)
		if err := d.tell(ctx, s, e.out); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", s.name, err))
			fmt.Fprintf(e.out, "NOT AS IT SHOULD BE: %v\n", err)
		}
		fmt.Fprintln(e.out)
	}
	if played == 0 {
		return usage("--case %q: there are %s", c.Case, strings.Join(names, ", "))
	}
	if len(wrong) > 0 {
		return &exitError{exitFail, errors.Join(wrong...)}
	}
	fmt.Fprintf(e.out, "%d of %d mails were answered as they should be.\n", played, played)
	return nil
}

// demo is the whole house on loopback.
type demo struct {
	stories []story
	dns     *dnstest.Server
	service *service
	sink    *sink
	ended   chan error
	stop    context.CancelFunc
	plain   net.Addr // without PROXY header
	proxy   net.Addr
}

func openDemo(ctx context.Context, dir string, e env) (*demo, error) {
	stories, zone, err := stories(dir, e.now())
	if err != nil {
		return nil, err
	}
	d := &demo{stories: stories, ended: make(chan error, 1)}
	s := defaults(e.getenv)
	s.Hostname, s.Operator, s.State = demoHost, "postmaster@"+demoHost, filepath.Join(dir, "state")
	s.Listen, s.Proxy.Listen = []string{"127.0.0.1:0"}, []string{"127.0.0.1:0"}
	s.SMTP.Loopback = loopbackEvaluate // for --stay
	s.Proxy.Trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	if err := os.MkdirAll(s.State, 0o700); err != nil {
		return nil, err
	}
	ours, _, err := sign.Open(s.State, demoHost, s.Reply.Selector)
	if err != nil {
		return nil, err
	}
	if d.dns, err = dnstest.Start(zone + ours.Record() + "\n"); err != nil {
		return nil, err
	}
	if d.sink, err = openSink(); err != nil {
		return nil, errors.Join(err, d.dns.Close())
	}
	s.Resolver.Servers = []string{d.dns.Addr().String()}
	s.Deliver.Relay = d.sink.addr()
	if d.service, err = openService(ctx, &s, slog.New(slog.DiscardHandler), e); err != nil {
		return nil, errors.Join(err, d.sink.close(), d.dns.Close())
	}
	d.plain, d.proxy = d.service.plain[0].Addr(), d.service.proxied[0].Addr()
	run, stop := context.WithCancel(ctx)
	d.stop = stop
	go func() {
		defer panics.Recover(func(r *panics.Recovered) { d.ended <- r })
		d.ended <- d.service.run(run)
	}()
	return d, nil
}

func (d *demo) close() error {
	d.stop()
	return errors.Join(<-d.ended, d.sink.close(), d.dns.Close())
}

// tell sends one story's mail, prints what came of it, and checks that it is what it should be.
func (d *demo) tell(ctx context.Context, s story, out io.Writer) error {
	code, lines, err := d.send(ctx, s)
	if err != nil {
		return err
	}
	for i, l := range lines {
		sep := "-"
		if i == len(lines)-1 {
			sep = " "
		}
		fmt.Fprintf(out, "%d%s%s\n", code, sep, result.Clean(l))
	}
	if code != s.code {
		return fmt.Errorf("answered %d, want %d", code, s.code)
	}
	for _, want := range s.answer {
		if !strings.Contains(strings.Join(lines, "\n"), want) {
			return fmt.Errorf("the answer does not say %q", want)
		}
	}
	if len(s.reply) == 0 {
		return d.silent()
	}
	return d.reply(ctx, s, out)
}

// send speaks SMTP with the story's client address in front (PROXY protocol v2) and returns the answer
// at the final dot.
func (d *demo) send(ctx context.Context, s story) (code int, lines []string, err error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", d.proxy.String())
	if err != nil {
		return 0, nil, err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return 0, nil, err
		}
	}
	from := net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(s.ip), 40025))
	to := net.TCPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.25:25"))
	if _, err := proxyproto.HeaderProxyFromAddrs(2, from, to).WriteTo(conn); err != nil {
		return 0, nil, err
	}
	t := textproto.NewConn(conn)
	if _, _, err := t.ReadResponse(220); err != nil {
		return 0, nil, err
	}
	for _, step := range []struct {
		line string
		want int
	}{
		{"EHLO " + s.helo, 250}, {"MAIL FROM:<" + s.from + ">", 250},
		{"RCPT TO:<check-auth@" + demoHost + ">", 250}, {"DATA", 354},
	} {
		if err := t.PrintfLine("%s", step.line); err != nil {
			return 0, nil, err
		}
		if _, _, err := t.ReadResponse(step.want); err != nil {
			return 0, nil, fmt.Errorf("%s: %w", step.line, err)
		}
	}
	w := t.DotWriter()
	if _, err := w.Write(s.message); err != nil {
		return 0, nil, err
	}
	if err := w.Close(); err != nil {
		return 0, nil, err
	}
	code, text, err := t.ReadResponse(0)
	return code, strings.Split(text, "\n"), err
}

// silent checks that no reply was mailed. The reply is stored before the answer is given, so that the
// answer with a refusal means there is none.
func (d *demo) silent() error {
	select {
	case m := <-d.sink.mails:
		return fmt.Errorf("a reply was mailed to %s, want none", m.to)
	default:
		return nil
	}
}

// reply prints the mail that came back and checks its words and its signature.
func (d *demo) reply(ctx context.Context, s story, out io.Writer) error {
	var m received
	select {
	case m = <-d.sink.mails:
	case <-ctx.Done():
		return errors.New("no reply came")
	}
	text, err := m.print(out)
	if err != nil {
		return err
	}
	if m.from != "" || m.to != s.from {
		return fmt.Errorf("the reply went from <%s> to <%s>, want <> and <%s>", m.from, m.to, s.from)
	}
	for _, want := range s.reply {
		if !strings.Contains(text, want) {
			return fmt.Errorf("the reply does not say %q", strings.TrimSpace(want))
		}
	}
	resolver, err := openResolver(d.dns.Addr().String())
	if err != nil {
		return err
	}
	return verifySignature(ctx, resolver, m.data)
}

// stay keeps the servers up until the context ends. What it prints to be pasted must work at once: another user than
// the story's, who has had a report for now.
func (d *demo) stay(ctx context.Context, e env) {
	host, port, _ := net.SplitHostPort(d.plain.String())
	_, proxied, _ := net.SplitHostPort(d.proxy.String())
	fmt.Fprintf(e.out, `
The servers stay up until you press Ctrl-C. Replies are printed here.
With swaks (the client is then %[1]s, which yours.example names in its SPF record):
    swaks --server %[1]s --port %[2]s --ehlo here.yours.example --to check-auth@%[4]s --from you@yours.example
With nc, in the place of one of the stories' clients (PROXY protocol v1 in front):
    printf 'PROXY TCP4 192.0.2.10 192.0.2.25 40025 25\r\nEHLO mail.wellkept.example\r\nMAIL FROM:<ben@wellkept.example>\r\nRCPT TO:<check-auth@%[4]s>\r\nDATA\r\n' > /tmp/mail
    printf 'From: ben@wellkept.example\r\nSubject: test\r\n\r\nHello\r\n.\r\nQUIT\r\n' >> /tmp/mail
    nc -N %[1]s %[3]s < /tmp/mail
The DNS zones of the stories are at %[5]s (dig @%[1]s -p %[6]d bakery.example TXT).
`, host, port, proxied, demoHost, d.dns.Addr(), d.dns.Addr().Port())
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-d.sink.mails:
			if _, err := m.print(e.out); err != nil {
				fmt.Fprintf(e.err, "check-auth: reply to <%s>: %v\n", result.Clean(m.to), err)
			}
		}
	}
}

// sink is a small receiving server for the replies.
type sink struct {
	server   *smtp.Server
	listener net.Listener
	mails    chan received
	ended    chan error
}

type received struct {
	from, to string
	data     []byte
}

func openSink() (*sink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{listener: l, mails: make(chan received, 64), ended: make(chan error, 1)}
	s.server = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &sinkSession{sink: s}, nil }))
	s.server.Domain = "mx.receiver.example"
	s.server.ErrorLog = nullLogger{}
	go func() {
		defer panics.Recover(func(r *panics.Recovered) { s.ended <- r })
		s.ended <- s.server.Serve(l)
	}()
	return s, nil
}

func (s *sink) addr() string { return s.listener.Addr().String() }

func (s *sink) close() error {
	err := s.server.Close()
	if e := <-s.ended; !errors.Is(e, smtp.ErrServerClosed) && !errors.Is(e, net.ErrClosed) {
		err = errors.Join(err, e)
	}
	return err
}

type sinkSession struct {
	sink *sink
	mail received
}

func (s *sinkSession) Reset()        { s.mail = received{} }
func (s *sinkSession) Logout() error { return nil }
func (s *sinkSession) Mail(from string, _ *smtp.MailOptions) error {
	s.mail.from = from
	return nil
}
func (s *sinkSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.mail.to = to
	return nil
}

// Data takes the mail, or puts it off where nobody reads the replies.
func (s *sinkSession) Data(r io.Reader) error {
	b, err := io.ReadAll(io.LimitReader(r, 1<<20))
	if err != nil {
		return err
	}
	s.mail.data = b
	select {
	case s.sink.mails <- s.mail:
		return nil
	default:
		return &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 3, 1}, Message: "mailbox full"}
	}
}

type nullLogger struct{}

func (nullLogger) Printf(string, ...any) {}
func (nullLogger) Println(...any)        {}

// print shows the mail as a plain-text reader would: its header, then its first text part.
func (m received) print(out io.Writer) (text string, err error) {
	header, _, _ := bytes.Cut(m.data, []byte("\r\n\r\n"))
	for line := range bytes.Lines(header) {
		fmt.Fprintf(out, "    | %s\n", result.Clean(strings.TrimRight(string(line), "\r\n")))
	}
	entity, err := message.Read(bytes.NewReader(m.data))
	if err != nil {
		return "", fmt.Errorf("the reply cannot be read: %w", err)
	}
	text, err = plainText(entity)
	if err != nil {
		return "", err
	}
	scan := bufio.NewScanner(strings.NewReader("\n" + text))
	for scan.Scan() {
		fmt.Fprintf(out, "    | %s\n", scan.Text())
	}
	return text, scan.Err()
}

var errFound = errors.New("found")

// plainText is the first text part, however deep it is.
func plainText(entity *message.Entity) (text string, err error) {
	err = entity.Walk(func(_ []int, part *message.Entity, err error) error {
		if kind, _, _ := part.Header.ContentType(); err != nil || kind != "text/plain" {
			return err
		}
		b, err := io.ReadAll(part.Body)
		text = strings.ReplaceAll(string(b), "\r\n", "\n")
		return cmp.Or(err, errFound)
	})
	if !errors.Is(err, errFound) {
		return "", fmt.Errorf("the reply has no text part: %w", cmp.Or(err, io.EOF))
	}
	return text, nil
}

// verifySignature checks the reply as its receiver would.
func verifySignature(ctx context.Context, resolver dns.Resolver, mail []byte) error {
	found, err := dkim.VerifyWithOptions(bytes.NewReader(mail), &dkim.VerifyOptions{
		LookupTXT: func(name string) ([]string, error) {
			a, err := resolver.Resolve(ctx, dns.Ask(name, dns.TXT))
			return a.Texts(), err
		},
	})
	if err != nil {
		return err
	}
	if len(found) != 1 || found[0].Err != nil || found[0].Domain != demoHost {
		return fmt.Errorf("the reply's DKIM signature does not verify: %+v", found)
	}
	return nil
}
