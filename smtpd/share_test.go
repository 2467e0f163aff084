package smtpd_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"checkauth/smtpd"
	"checkauth/verify"
)

// shared is a log that several sessions write to.
type shared struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *shared) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// One network, be it /24 or /48, holds an eighth of the free connections; all others come in, and the log names it once.
func TestConnectionsAreShared(t *testing.T) {
	t.Parallel()
	var log shared
	b := serve(t, &recorder{}, func(c *smtpd.Config) {
		c.Connections, c.PerIP, c.PerNetwork, c.Log = 40, 100, 100, slog.New(slog.NewTextHandler(&log, nil))
	}, proxied)
	open := func(ip string) *client {
		c := b.dial()
		family, to := "TCP4", "198.51.100.1"
		if strings.Contains(ip, ":") {
			family, to = "TCP6", "2001:db8:ffff::1"
		}
		c.send("PROXY " + family + " " + ip + " " + to + " 4000 25\r\n")
		return c
	}
	for n := range 5 { // 40/8, of what is free
		if line := open(fmt.Sprintf("2001:db8:0:%x00::1", n+1)).reply(); strings.HasPrefix(line, "220") != (n < 4) {
			t.Errorf("connection %d of one /48: %q", n+1, line)
		} else if n == 4 && !strings.Contains(line, "connections for your network 2001:db8::/48") {
			t.Errorf("the client hears %q", line)
		}
	}
	for n := range 20 {
		open(fmt.Sprintf("203.0.%d.1", n)).want("220")
	}
	for range 5 {
		open("2001:db8:0:7700::1").want("421 4.7.0", "closed")
	}
	if n := strings.Count(log.String(), "too many connections at once"); n != 1 || !strings.Contains(log.String(), "network 2001:db8::/48 has its share") {
		t.Errorf("%d warnings:\n%s", n, log.String())
	}
}

// Messages that are evaluated are shared likewise: who waits for slow name servers of his own keeps nobody else out.
func TestEvaluationsAreShared(t *testing.T) {
	t.Parallel()
	var log shared
	working, goOn := make(chan struct{}, 16), make(chan struct{})
	rec := &recorder{finish: func(context.Context, verify.Envelope) (smtpd.Answer, error) {
		working <- struct{}{}
		<-goOn
		return smtpd.Answer{Code: 250, Enhanced: [3]int{2}}, nil
	}}
	b := serve(t, rec, func(c *smtpd.Config) {
		c.Evaluations, c.Log = 16, slog.New(slog.NewTextHandler(&log, nil))
	}, proxied)
	test := func(ip string) *client {
		c := b.dial()
		c.send("PROXY TCP6 " + ip + " 2001:db8:ffff::1 4000 25\r\n")
		c.want("220")
		c.say("EHLO h.example", "250")
		c.data()
		c.send("\r\n.\r\n")
		return c
	}
	first := test("2a00::1")
	<-working
	test("2a00:0:0:100::1").want("451 4.3.2")
	other := test("2a00:1::1")
	<-working
	close(goOn)
	first.want("250")
	other.want("250")
	if !strings.Contains(log.String(), "too many evaluations at once") || !strings.Contains(log.String(), "2a00::/48 has its share: 1") {
		t.Errorf("the log says:\n%s", log.String())
	}
}

// Who sends NOOP for ever only holds a place: it is the first to make room.
func TestNOOPIsIdle(t *testing.T) {
	t.Parallel()
	b := serve(t, &recorder{}, func(c *smtpd.Config) { c.Connections, c.PerIP, c.PerNetwork = 2, 10, 10 })
	holder, other := b.open(false), b.open(false)
	for range 5 {
		holder.say("NOOP", "250")
		other.say("RSET", "250")
		other.say("MAIL FROM:<a@example.org>", "250")
		time.Sleep(500 * time.Millisecond)
	}
	b.dial().want("220")
	holder.want("421", "closed")
	other.say("RSET", "250")
}
