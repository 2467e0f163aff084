package smtpd_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"checkauth/reply"
	"checkauth/smtpd"
	"checkauth/verify"
	"checkauth/verify/mail"
)

// frail is an evaluator that panics in one of its methods, once.
type frail struct {
	reply.Evaluator
	at   string
	once *atomic.Bool
}

func (f frail) oops(at string) {
	if f.at == at && f.once.CompareAndSwap(false, true) {
		panic("boom")
	}
}

func (f frail) Begin(ctx context.Context, e verify.Envelope) reply.Transaction {
	f.oops("Begin")
	return frailTransaction{f.Evaluator.Begin(ctx, e), f}
}

func (f frail) Heard(report string) {
	f.oops("Heard")
	f.Evaluator.Heard(report)
}

type frailTransaction struct {
	reply.Transaction
	f frail
}

func (t frailTransaction) Header(f mail.Fields) {
	t.f.oops("Header")
	t.Transaction.Header(f)
}

func (t frailTransaction) Finish(ctx context.Context, m *verify.Message) (reply.Answer, error) {
	defer t.f.oops("Finish")
	return t.Transaction.Finish(ctx, m)
}

func (t frailTransaction) Abandon() {
	t.Transaction.Abandon()
	t.f.oops("Abandon")
}

// frailConn panics in one of its methods, once.
type frailConn struct {
	net.Conn
	f frail
}

func (c frailConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if bytes.Contains(b[:n], []byte("NOOP read")) {
		c.f.oops("Read")
	}
	return n, err
}

func (c frailConn) Write(b []byte) (int, error) {
	if bytes.HasPrefix(b, []byte("354")) {
		c.f.oops("Write")
	}
	return c.Conn.Write(b)
}

func (c frailConn) CloseWrite() error {
	c.f.oops("CloseWrite")
	return c.Conn.(*net.TCPConn).CloseWrite()
}

type frailListener struct {
	net.Listener
	f frail
}

func (l frailListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return frailConn{c, l.f}, err
}

// A panic wherever a client's octets lead to costs that client a 4xx or his connection, and nobody else anything.
func TestAPanicCostsOneClient(t *testing.T) {
	t.Parallel()
	for at, c := range map[string]struct {
		do   func(c *client)
		want string // the last answer; empty: the connection ends
	}{
		"Begin":  {do: func(c *client) { c.say(mailFrom, "250"); c.send(rcptTo + "\r\n") }, want: "451 4.3.0"},
		"Header": {do: func(c *client) { c.data(); c.send("Subject: x\r\n\r\nx\r\n.\r\n") }, want: "451 4.3.0"},
		"Finish": {do: func(c *client) { c.data(); c.send("Subject: x\r\n\r\nx\r\n.\r\n") }, want: "451 4.3.0"},
		"Heard": {do: func(c *client) {
			c.data()
			c.send("Subject: x\r\n\r\nx\r\n.\r\n")
			c.want("250")
			c.send("NOOP\r\n")
		}, want: "421 4.3.0"},
		"Role":    {do: func(c *client) { c.say(mailFrom, "250"); c.send("RCPT TO:<panic@" + host + ">\r\n") }, want: "421"},
		"Abandon": {do: func(c *client) { c.say(mailFrom, "250"); c.say(rcptTo, "250"); c.send("RSET\r\n") }, want: "250"},
		"Read":    {do: func(c *client) { c.send("NOOP read\r\n") }, want: "421 4.3.0"},
		"Write":   {do: func(c *client) { c.say(mailFrom, "250"); c.say(rcptTo, "250"); c.send("DATA\r\n") }, want: "421 4.3.0"},
		"CloseWrite": {do: func(c *client) {
			c.send(strings.Repeat("NOOP\r\n", 10))
			c.want(strings.Split(strings.Repeat("250 ", 9), " ")[:9]...)
		}, want: "421"},
	} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			var mu sync.Mutex
			rec := &recorder{}
			f := frail{Evaluator: rec, at: at, once: &atomic.Bool{}}
			b := serveEvaluator(t, rec, f, func(cfg *smtpd.Config) {
				cfg.Log = slog.New(slog.NewTextHandler(locked{&mu, &log}, nil))
				cfg.Commands = 10
				cfg.Role = func(local, domain string) smtpd.Role {
					if local == "panic" {
						f.oops("Role")
					}
					return role(local, domain)
				}
			}, func(l net.Listener) net.Listener { return frailListener{l, f} })
			cl := b.open(false)
			c.do(cl)
			if got := cl.reply(); !strings.HasPrefix(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			eventually(t, f.once.Load) // the last answer may come before it
			other := b.open(false)
			other.data()
			other.send("Subject: x\r\n\r\nx\r\n.\r\n")
			other.want("250")
			other.send("QUIT\r\n")
			other.want("221")
			_ = cl.c.Close()
			b.stop()
			mu.Lock()
			defer mu.Unlock()
			if at != "Abandon" && at != "CloseWrite" && !strings.Contains(log.String(), "boom") {
				t.Errorf("the log does not tell: %s", log.String())
			}
		})
	}
}
