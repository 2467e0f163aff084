package smtpd_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"checkauth/reply"
	"checkauth/smtpd"
	"checkauth/verify"
)

// logged serves with a log; lines gives those of INFO and above so far, without their time. Once the server has stopped
// it is all.
func logged(t *testing.T, rec *recorder, change func(*smtpd.Config)) (b *bench, lines func() []string) {
	t.Helper()
	var log bytes.Buffer
	var mu sync.Mutex
	b = serve(t, rec, func(cfg *smtpd.Config) {
		cfg.Log = slog.New(slog.NewTextHandler(locked{&mu, &log}, nil))
		if change != nil {
			change(cfg)
		}
	})
	return b, func() []string {
		mu.Lock()
		defer mu.Unlock()
		var out []string
		for line := range strings.Lines(log.String()) {
			_, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			out = append(out, rest)
		}
		return out
	}
}

// Each refusal of a MAIL, a RCPT or an AUTH has a line, with the domains and without the local parts.
func TestLog_refused_commands(t *testing.T) {
	t.Parallel()
	const mail, rcpt = "MAIL FROM:<secret@sender.example>", "RCPT TO:<check-auth@" + host + ">"
	for _, c := range []struct{ name, before, refused, want string }{
		{"relay", mail, "RCPT TO:<secret@victim.example>", "command=RCPT reason=relay code=550 from-domain=sender.example to-domain=victim.example"},
		{"relay by a percent sign", "MAIL FROM:<>", "RCPT TO:<secret%victim.example@" + host + ">", "command=RCPT reason=relay code=550 from-domain=<> to-domain=" + host},
		{"relay by two signs", mail, "RCPT TO:<secret@victim.example@" + host + ">", "command=RCPT reason=relay code=550 from-domain=sender.example"},
		{"nobody", mail, "RCPT TO:<secret@" + host + ">", "command=RCPT reason=unknown code=550 from-domain=sender.example to-domain=" + host},
		{"a second service address", mail + "\r\n" + rcpt, "RCPT TO:<check-auth+token@" + host + ">", "command=RCPT reason=recipients code=452 from-domain=sender.example to-domain=" + host},
		{"a sender without a name", "", "MAIL FROM:<secret@[192.0.2.1]>", "command=MAIL reason=address code=553 from-domain=[192.0.2.1]"},
		{"a sender in UTF-8", "", "MAIL FROM:<secret@bücher.example>", "command=MAIL reason=address code=553 from-domain=bücher.example"},
		{"a recipient in UTF-8", mail, "RCPT TO:<secrét@" + host + ">", "command=RCPT reason=address code=553 from-domain=sender.example to-domain=" + host},
		{"too large", "", mail + " SIZE=99999999999", "command=MAIL reason=size code=552 from-domain=sender.example"},
		{"a parameter of MAIL", "", mail + " RET=FULL", "command=MAIL reason=parameter code=555 from-domain=sender.example"},
		{"a parameter of RCPT", mail, rcpt + " NOTIFY=NEVER", "command=RCPT reason=parameter code=555 from-domain=sender.example to-domain=" + host},
		{"malformed", "", "MAIL FROM:<secret@>", "command=MAIL reason=syntax code=501"},
		{"AUTH", "", "AUTH PLAIN c2VjcmV0", "command=AUTH reason=auth code=502"},
		{"AUTH with rubbish", "", "AUTH \x01secret", "command=AUTH reason=auth code=501"},
		{"AUTH within a mail", mail, "AUTH LOGIN", "command=AUTH reason=auth code=502 from-domain=sender.example"},
		{"out of order", "", "RCPT TO:<secret@victim.example>", "command=RCPT reason=sequence code=503"},
		{"RET that go-smtp does not like", "", mail + " BODY=SECRET", "command=MAIL reason=syntax code=501 from-domain=sender.example"},
		{"nothing", "", "VRFY secret\r\nHELP\r\nEXPN secret\r\n\xff", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b, lines := logged(t, &recorder{}, nil)
			cl := b.open(false)
			if c.before != "" {
				for line := range strings.SplitSeq(c.before, "\r\n") {
					cl.say(line, "250")
				}
			}
			cl.send(c.refused + "\r\nQUIT\r\n")
			for r := ""; r != "closed"; r = cl.reply() {
			}
			b.stop()
			got := lines()
			if c.want == "" && strings.Contains(strings.Join(got, "\n"), "command refused") ||
				c.want != "" && !slices.Equal(got, []string{`level=INFO msg="command refused" session=1 client=127.0.0.1 ` + c.want}) {
				t.Errorf("%q: got\n%s\nwant\n%s", c.refused, strings.Join(got, "\n"), c.want)
			}
			if strings.Contains(strings.ToLower(strings.Join(got, "")), "secret") {
				t.Errorf("the log has a local part: %q", got)
			}
		})
	}
}

// The usual session ends after ten refusals, and each has its line; one that may go on does not fill the log.
func TestLog_refusals_are_bounded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		change      func(*smtpd.Config)
		tries, want int
		end         string
	}{
		{"by default", nil, 10, 10, `why="Too many unknown recipients, closing connection" .*refused=10`},
		{"a hundred", func(cfg *smtpd.Config) { cfg.Errors, cfg.Commands, cfg.UnknownUsers = 1000, 1000, 1000 }, 100, 20, `refused=100`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b, lines := logged(t, &recorder{}, c.change)
			cl := b.open(false)
			cl.say(mailFrom, "250")
			for n := range c.tries {
				cl.say(fmt.Sprintf("RCPT TO:<user%d@%s>", n, host), "550 5.1.1")
			}
			cl.send("QUIT\r\n")
			for r := ""; r != "closed"; r = cl.reply() {
			}
			b.stop()
			got := lines()
			n := 0
			for _, l := range got {
				if strings.Contains(l, `msg="command refused"`) {
					n++
				}
			}
			if last := got[len(got)-1]; n != c.want || !regexp.MustCompile(`msg="session ended".*`+c.end).MatchString(last) {
				t.Errorf("got %d lines of %d tries, then %s; want %d lines and %s", n, c.tries, last, c.want, c.end)
			}
		})
	}
}

// What is refused is not called taken, and each line about a message has its report id and the sender's domain.
func TestLog_messages(t *testing.T) {
	t.Parallel()
	const small = 4 << 10
	large := strings.Repeat("x\r\n", small)
	for _, c := range []struct {
		name, message string
		code          int
		want          string
	}{
		{"taken", "\r\n.\r\n", 250, `level=INFO msg="message taken" .* report=ID1 code=250 .* from-domain=example.org`},
		{"refused", "\r\n.\r\n", 550, `level=INFO msg="message refused" .* report=ID1 code=550 .* from-domain=example.org`},
		{"put off", "\r\n.\r\n", 451, `level=INFO msg="message refused" .* report=ID1 code=451 .* from-domain=example.org`},
		{"too large", large + ".\r\n", 250, `level=INFO msg="message refused" .* report=ID1 code=552 .* from-domain=example.org`},
		{"far too large", strings.Repeat(large, 10), 250, `level=INFO msg="message refused" .* report=ID1 code=552 .* from-domain=example.org\n` +
			`level=INFO msg="session ended" .* why="message far too large" .*report=ID1`},
		{"not finished", "Subject: x\r\n", 250, `level=INFO msg="session ended" .* why="client left within a transaction" .*report=ID1`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			rec := &recorder{finish: func(context.Context, verify.Envelope) (reply.Answer, error) {
				return reply.Answer{Code: c.code, Enhanced: [3]int{c.code / 100, 0, 0}}, nil
			}}
			b, lines := logged(t, rec, func(cfg *smtpd.Config) { cfg.Message = small })
			cl := b.open(false)
			cl.data()
			_, _ = cl.c.Write([]byte(c.message)) // one that is far too large is not read to its end
			if strings.HasSuffix(c.message, "\r\n.\r\n") {
				cl.reply()
				cl.say("QUIT", "221")
			}
			_ = cl.c.Close()
			b.stop()
			got := strings.Join(lines(), "\n")
			if !regexp.MustCompile("^" + c.want + "$").MatchString(got) {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}
