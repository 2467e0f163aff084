package smtpd_test

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"checkauth/smtpd"
)

// heardLog keeps what is logged, from debug on where level says so.
type heardLog struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (l *heardLog) logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(locked{&l.mu, &l.out}, &slog.HandlerOptions{Level: level}))
}

func (l *heardLog) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.out.String(), text)
}

func (l *heardLog) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.String()
}

func TestPrivateClients(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		header, want string
		warns        string // what the operator is told, once
	}{
		"public":          {"PROXY TCP4 192.0.2.1 198.51.100.1 4000 25\r\n", "250", ""},
		"private":         {"PROXY TCP4 10.0.0.1 198.51.100.1 4000 25\r\n", "451 4.3.5", "address is private"},
		"NAT of carriers": {"PROXY TCP4 100.64.0.1 198.51.100.1 4000 25\r\n", "451 4.3.5", "address is private"},
		"trusted":         {"PROXY TCP4 172.16.0.1 198.51.100.1 4000 25\r\n", "250", ""},
		"mapped":          {"PROXY TCP6 ::ffff:10.0.0.1 2001:db8::1 4000 25\r\n", "451 4.3.5", "address is private"},
		"IPv6":            {"PROXY TCP6 2001:db8::2 2001:db8::1 4000 25\r\n", "250", ""},
		"unknown":         {"PROXY UNKNOWN\r\n", "451 4.3.5", "names no client"},
		"version 2":       {string(version2(1, "\xc0\x00\x02\x01\xc6\x33\x64\x01\x0f\xa0\x00\x19")), "250", ""},
		"version 2 LOCAL": {string(version2(0, "")), "451 4.3.5", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothWays(t, func(t *testing.T, inTLS bool) {
				var log heardLog
				b := serve(t, &recorder{}, func(cfg *smtpd.Config) {
					cfg.Trusted = []netip.Prefix{netip.MustParsePrefix("172.16.0.0/12")}
					cfg.Log = log.logger(slog.LevelInfo)
				}, proxied)
				for range 2 {
					cl := b.behind(c.header)
					if inTLS {
						cl.starttls(&tls.Config{InsecureSkipVerify: true})
					}
					cl.say("EHLO x.example", "250-")
					cl.say(mailFrom, c.want)
				}
				if c.warns == "" && log.text() != "" || c.warns != "" && log.count(c.warns) != 1 {
					t.Errorf("the log says %q, want %q once", log.text(), c.warns)
				}
			})
		})
	}
}

// behind is a client that a balancer speaks for.
func (b *bench) behind(header string) *client {
	b.t.Helper()
	c := b.dial()
	if header != "" {
		c.send(header)
	}
	c.want("220")
	return c
}

// A proxy or a mail server on this machine hides the sender: tests that come by it are put off, mail to the
// operator (cron writes some) is not.
func TestLoopbackClients(t *testing.T) {
	t.Parallel()
	const local4, local6 = "PROXY TCP4 127.0.0.1 198.51.100.1 4000 25\r\n", "PROXY TCP6 ::1 2001:db8::1 4000 25\r\n"
	for name, c := range map[string]struct {
		header   string // "" is a connection without the PROXY protocol
		evaluate bool
		trusted  string
		want     string
	}{
		"refused":             {want: "451 4.3.5"},
		"told by PROXY":       {header: local4, want: "451 4.3.5"},
		"IPv6 told by PROXY":  {header: local6, want: "451 4.3.5"},
		"evaluated":           {evaluate: true, want: "250 2.1.5"},
		"evaluated, by PROXY": {header: local4, evaluate: true, want: "250 2.1.5"},
		"trusted":             {trusted: "127.0.0.0/8", want: "250 2.1.5"},
		"has its own address": {header: "PROXY TCP4 192.0.2.1 198.51.100.1 4000 25\r\n", want: "250 2.1.5"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log heardLog
			var listen []func(net.Listener) net.Listener
			if c.header != "" {
				listen = append(listen, proxied)
			}
			b := serve(t, &recorder{}, func(cfg *smtpd.Config) {
				cfg.Loopback, cfg.Log = c.evaluate, log.logger(slog.LevelInfo)
				if c.trusted != "" {
					cfg.Trusted = []netip.Prefix{netip.MustParsePrefix(c.trusted)}
				}
			}, listen...)
			cl := b.behind(c.header)
			cl.say("EHLO x.example", "250-")
			for range 2 {
				cl.say(mailFrom, "250")
				cl.say("RCPT TO:<nobody@"+host+">", "550")
				cl.say("RCPT TO:<a@elsewhere.example>", "550")
				cl.say(rcptTo, c.want)
				cl.say("RSET", "250")
			}
			cl.say(mailFrom, "250")
			cl.say("RCPT TO:<postmaster@"+host+">", "250 2.1.5")
			want := 0
			if c.want != "250 2.1.5" {
				want = 1
			}
			if n := log.count("level=WARN"); n != want || log.count("smtp.loopback-clients") != want {
				t.Errorf("%d warnings, want %d: %s", n, want, log.text())
			}
		})
	}
}

// The warning comes once an hour, and each kind for itself.
func TestUnseenClientsAreWarnedOfHourly(t *testing.T) {
	t.Parallel()
	var log heardLog
	var mu sync.Mutex
	now := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
	turn := func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(d)
	}
	b := serve(t, &recorder{}, func(cfg *smtpd.Config) {
		cfg.Log, cfg.Loopback = log.logger(slog.LevelInfo), false
		cfg.Now = func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return now
		}
	}, proxied)
	mail := func(address string) {
		c := b.behind("PROXY TCP4 " + address + " 198.51.100.1 4000 25\r\n")
		c.say("EHLO x.example", "250-")
		c.send(mailFrom + "\r\n")
		if c.reply(); address == "127.0.0.1" {
			c.say(rcptTo, "451 4.3.5")
		}
	}
	for _, step := range []struct {
		after             time.Duration
		address           string
		private, loopback int
	}{
		{0, "10.0.0.1", 1, 0}, {time.Minute, "10.0.0.2", 1, 0}, {0, "127.0.0.1", 1, 1}, {58 * time.Minute, "10.0.0.1", 1, 1},
		{time.Minute, "10.0.0.1", 2, 1}, {time.Minute, "127.0.0.1", 2, 2},
		{-3 * 365 * 24 * time.Hour, "10.0.0.1", 3, 2}, {time.Minute, "10.0.0.1", 3, 2}, // the clock was three years ahead
	} {
		turn(step.after)
		mail(step.address)
		if p, l := log.count("address is private"), log.count("is this machine itself"); p != step.private || l != step.loopback {
			t.Errorf("after %s, %s: %d and %d warnings, want %d and %d", step.after, step.address, p, l, step.private, step.loopback)
		}
	}
}

// What only looks whether we are there is no sign of NAT: it logs nothing, and the warning is still there for the
// first mail.
func TestProbesLogNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		header string
		lines  string // empty: it leaves at once
	}{
		"LOCAL":                   {string(version2(0, "")), "EHLO lb.example\r\nQUIT\r\n"},
		"LOCAL, without a word":   {string(version2(0, "")), ""},
		"UNKNOWN":                 {"PROXY UNKNOWN\r\n", "HELO lb.example\r\nQUIT\r\n"},
		"a port that is open":     {"", ""},
		"private":                 {"PROXY TCP4 10.0.0.1 198.51.100.1 4000 25\r\n", "EHLO lb.example\r\nNOOP\r\nQUIT\r\n"},
		"loopback":                {"PROXY TCP4 127.0.0.1 198.51.100.1 4000 25\r\n", "EHLO lb.example\r\nQUIT\r\n"},
		"private, without a QUIT": {"PROXY TCP4 10.0.0.1 198.51.100.1 4000 25\r\n", "EHLO lb.example\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log heardLog
			b := serve(t, &recorder{}, func(cfg *smtpd.Config) {
				cfg.Log, cfg.Loopback = log.logger(slog.LevelInfo), false
			}, proxied)
			p := b.dial()
			p.send(c.header)
			if c.header != "" {
				p.want("220")
			}
			for line := range strings.Lines(c.lines) {
				p.send(line)
				p.want("2")
			}
			_ = p.c.(*net.TCPConn).CloseWrite()
			p.want("closed")
			mail := b.behind("PROXY TCP4 10.0.0.1 198.51.100.1 4000 25\r\n")
			mail.say("EHLO x.example", "250-")
			mail.say(mailFrom, "451 4.3.5")
			mail.say("QUIT", "221", "closed")
			b.stop() // every session has ended
			if log.count("level=") != 2 || log.count("address is private") != 1 || log.count("session=2 ") != 2 {
				t.Errorf("the log says %q, want the warning and the refused MAIL of the second session alone", log.text())
			}
		})
	}
}

// A balancer that forgets its header loses mail, so that is said.
func TestMissingProxyHeaderIsLogged(t *testing.T) {
	t.Parallel()
	var log heardLog
	b := serve(t, &recorder{}, func(cfg *smtpd.Config) { cfg.Log = log.logger(slog.LevelInfo) }, proxied)
	c := b.dial()
	c.send("EHLO x.example\r\n")
	c.want("closed")
	b.stop()
	if log.count("no PROXY header came") != 1 {
		t.Errorf("the log says %q", log.text())
	}
}
