package smtpd_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"checkauth/reply"
	"checkauth/smtpd"
	"checkauth/verify"
	"checkauth/verify/share"
)

// smuggle sends a message that has a second one behind something that is no end of DATA.
func smuggle(t *testing.T, end string) {
	bothWays(t, func(t *testing.T, inTLS bool) {
		b := serve(t, &recorder{}, nil)
		c := b.open(inTLS)
		c.data()
		inner := mailFrom + "\r\n" + rcptTo + "\r\nDATA\r\nSubject: second\r\n\r\nsmuggled\r\n"
		c.send("Subject: first\r\n\r\nbody" + end + inner + ".\r\n")
		c.want("250 2.0.0 report ID1")
		c.say("NOOP", "250")
		c.say("QUIT", "221", "closed")
		got := b.rec.got()
		if len(got) != 1 || !strings.Contains(got[0].body, "smuggled") {
			t.Errorf("%q: %d messages", end, len(got))
		}
	})
}

func TestHostile_01(t *testing.T) { t.Parallel(); smuggle(t, "\n.\n") }
func TestHostile_02(t *testing.T) { t.Parallel(); smuggle(t, "\n.\r\n") }
func TestHostile_03(t *testing.T) { t.Parallel(); smuggle(t, "\r\n.\n") }
func TestHostile_04(t *testing.T) { t.Parallel(); smuggle(t, "\r.\r\n") }
func TestHostile_05(t *testing.T) { t.Parallel(); smuggle(t, "\r\n.\r") }
func TestHostile_06(t *testing.T) { t.Parallel(); smuggle(t, "\r\n\x00.\r\n") }

// The right end, with the next mail in the same segment, is two messages.
func TestHostile_07(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, inTLS bool) {
		b := serve(t, &recorder{}, nil)
		c := b.open(inTLS)
		c.data()
		c.send("A: 1\r\n\r\none\r\n.\r\n" + mailFrom + "\r\n" + rcptTo + "\r\nDATA\r\n")
		c.want("250 2.0.0 report ID1", "250 2.1.0", "250 2.1.5", "354")
		c.send("A: 2\r\n\r\ntwo\r\n.\r\n")
		c.want("250 2.0.0 report ID2")
		got := b.rec.got()
		if len(got) != 2 || got[0].whole != "A: 1\r\n\r\none\r\n" || got[1].body != "two\r\n" {
			t.Errorf("%d messages: %+v", len(got), got)
		}
	})
}

// A bare CR is accepted as it came and counted; so are bare LFs and NULs.
func TestHostile_08(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, inTLS bool) {
		b := serve(t, &recorder{}, nil)
		c := b.open(inTLS)
		c.data()
		const text = "A: 1\r\n\r\na\rb\rc\r\r\nd\ne\x00f\r\n"
		c.send(text + ".\r\n")
		c.want("250")
		m := b.rec.got()[0]
		if m.whole != text || m.note(verify.NoteBareCR) != 3 || m.note(verify.NoteBareLF) != 1 || m.note(verify.NoteNUL) != 1 {
			t.Errorf("%q, notes %v", m.whole, m.Notes)
		}
	})
}

// Commands in clear text behind STARTTLS are never carried out.
func TestHostile_09(t *testing.T) {
	t.Parallel()
	b := serve(t, &recorder{}, nil)
	c := b.open(false)
	c.send("STARTTLS\r\nEHLO x.example\r\n" + mailFrom + "\r\n" + rcptTo + "\r\n")
	c.want("501 5.5.1", "closed")
	if len(b.rec.begun) != 0 {
		t.Errorf("began %v", b.rec.begun)
	}
	// What is no such command, or comes where it may not, does not go over to TLS.
	c = b.open(false)
	c.say("STARTTLSxyz", "500")
	c.say("STARTTLS now", "501")
	c.say(mailFrom, "250")
	c.say("STARTTLS", "503")
	c = b.open(true)
	c.say("STARTTLS", "503")
}

// A handshake that fails ends the connection.
func TestHostile_10(t *testing.T) {
	t.Parallel()
	b := serve(t, &recorder{}, nil)
	c := b.open(false)
	c.say("STARTTLS", "220")
	c.send(mailFrom + "\r\n" + rcptTo + "\r\nNOOP\r\n")
	rest, _ := io.ReadAll(c.in) // closed, or reset
	if bytes.Contains(rest, []byte("250")) || len(b.rec.begun) != 0 {
		t.Errorf("went on in clear text: %q", rest)
	}
}

// What was said before TLS is forgotten.
func TestRFC3207_4_2(t *testing.T) {
	t.Parallel()
	b := serve(t, &recorder{}, nil)
	c := b.bare(true)
	c.say(mailFrom, "503")
	c.say("EHLO in.tls.example", "250-")
	c.data()
	c.send("\r\n.\r\n")
	c.want("250")
	e := b.rec.got()[0].Envelope
	if e.Helo != "in.tls.example" || !e.ESMTP || e.TLS == nil || e.TLS.Version != "TLS 1.3" || e.TLS.Cipher == "" {
		t.Errorf("envelope %+v, TLS %+v", e, e.TLS)
	}
}

// A message that stalls and goes on with commands.
func TestHostile_11(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, inTLS bool) {
		b := serve(t, &recorder{}, func(c *smtpd.Config) { c.DataIdle = 100 * time.Millisecond })
		c := b.open(inTLS)
		c.data()
		c.send("Subject: x\r\n\r\nstalls")
		c.want("421 4.4.2")
		_, _ = io.WriteString(c.c, "\r\n.\r\n"+mailFrom+"\r\n"+rcptTo+"\r\nDATA\r\n") // may fail: closed
		c.want("closed")
		b.stop()
		if len(b.rec.begun) != 1 || len(b.rec.got()) != 0 || b.rec.abandoned != 1 {
			t.Errorf("began %d, messages %d, abandoned %d", len(b.rec.begun), len(b.rec.got()), b.rec.abandoned)
		}
	})
}

// BDAT is not offered: no chunk is read, and none is taken for commands.
func TestHostile_12(t *testing.T) { t.Parallel(); bdat(t, "BDAT 1000 LAST\r\n0123456789") }
func TestHostile_13(t *testing.T) { t.Parallel(); bdat(t, "BDAT 4294967295\r\n"+mailFrom+"\r\n") }

func bdat(t *testing.T, command string) {
	bothWays(t, func(t *testing.T, inTLS bool) {
		b := serve(t, &recorder{}, nil)
		c := b.open(inTLS)
		c.say(mailFrom, "250")
		c.say(rcptTo, "250")
		c.send(command)
		c.want("502 5.5.1", "closed")
		b.stop()
		if len(b.rec.got()) != 0 || b.rec.abandoned != 1 {
			t.Errorf("messages %d, abandoned %d", len(b.rec.got()), b.rec.abandoned)
		}
	})
}

func TestHostile_14(t *testing.T) {
	t.Parallel()
	noSMTP(t, "POST / HTTP/1.1\r\nHost: x\r\n\r\n", "post /\r\n")
}
func TestHostile_15(t *testing.T) {
	t.Parallel()
	noSMTP(t, "CONNECT x:25 HTTP/1.1\r\n", "GET /\r\n", "\x16\x03\x01", " EHLO x\r\n", "*1\r\n")
}

// noSMTP: the connection ends at the first line, whatever follows.
func noSMTP(t *testing.T, starts ...string) {
	bothWays(t, func(t *testing.T, inTLS bool) {
		b := serve(t, &recorder{}, nil)
		for _, start := range starts {
			c := b.bare(inTLS)
			c.send(start + "EHLO client.example.org\r\n" + mailFrom + "\r\n" + rcptTo + "\r\n")
			c.want("554 5.5.2", "closed")
		}
		if len(b.rec.begun) != 0 {
			t.Errorf("began %v", b.rec.begun)
		}
	})
}

func TestHostile_16(t *testing.T) {
	t.Parallel()
	spoken := make(chan struct{})
	b := serve(t, &recorder{}, nil, func(l net.Listener) net.Listener { return gate{l, spoken} })
	c := b.dial()
	c.send("EHLO client.example.org\r\n")
	close(spoken)
	c.want("220", "250-")
	c.data()
	c.send("\r\n.\r\n")
	c.want("250")
	late := b.open(false)
	late.data()
	late.send("\r\n.\r\n")
	late.want("250")
	got := b.rec.got()
	if got[0].note(verify.NoteEarlyTalk) != 1 || got[1].note(verify.NoteEarlyTalk) != 0 {
		t.Errorf("notes %v and %v", got[0].Notes, got[1].Notes)
	}
}

// gate accepts when it is opened.
type gate struct {
	net.Listener
	open chan struct{}
}

func (g gate) Accept() (net.Conn, error) {
	<-g.open
	return g.Listener.Accept()
}

func TestHostile_17(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, inTLS bool) {
		b := serve(t, &recorder{}, nil)
		c := b.bare(inTLS)
		go func() { _, _ = io.WriteString(c.c, strings.Repeat("NOOP\r\nRSET\r\n", 5000)) }()
		n := 0
		r := c.reply()
		for ; strings.HasPrefix(r, "250"); r = c.reply() {
			n++
		}
		if !strings.HasPrefix(r, "421 4.7.0") || n > 100 {
			t.Errorf("after %d commands: %q", n, r)
		}
	})
}

// A client that sends an octet now and then holds its place no longer than the limit for a command, or
// the minimum rate allows; others are served meanwhile.
func TestHostile_18(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, inTLS bool) {
		b := serve(t, &recorder{}, func(c *smtpd.Config) {
			c.PerIP, c.PerNetwork, c.BeginsNetwork = 100, 100, 100
			c.Command, c.Session = 1500*time.Millisecond, 3*time.Second
		})
		done := make(chan string, 20)
		for n := range 20 {
			c := b.open(inTLS)
			if n%2 == 0 {
				c.data() // DATA is not idle: the session's end comes first
			}
			stop := make(chan struct{})
			go drip(c.c, stop)
			go func() {
				done <- c.reply()
				close(stop)
			}()
		}
		b.open(inTLS).say("QUIT", "221")
		for range 20 {
			if r := <-done; !strings.HasPrefix(r, "421 4.4.2") {
				t.Errorf("got %q", r)
			}
		}
	})
}

func drip(w io.Writer, stop <-chan struct{}) {
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			if _, err := w.Write([]byte("x")); err != nil {
				return
			}
		}
	}
}

// Too many connections, of one network and at all: 421, and a good client is served. Addresses come by
// PROXY.
func TestHostile_19(t *testing.T) {
	t.Parallel()
	b := serve(t, &recorder{}, func(c *smtpd.Config) { c.Connections, c.PerIP, c.PerNetwork, c.Share = 30, 2, 10, share.Rule{} }, proxied)
	open := func(ip string) *client {
		c := b.dial()
		c.send("PROXY TCP4 " + ip + " 198.51.100.1 4000 25\r\n")
		return c
	}
	for n := range 10 {
		open(fmt.Sprintf("192.0.2.%d", n)).want("220")
	}
	open("192.0.2.200").want("421 4.7.0", "closed")
	for n := range 20 {
		open(fmt.Sprintf("203.0.%d.1", n)).want("220")
	}
	open("203.0.113.1").want("421 4.7.0", "closed")
}

// 21st connection of one address; a place that got free is given again.
func TestHostile_20(t *testing.T) {
	t.Parallel()
	b := serve(t, &recorder{}, nil)
	var first *client
	for range 20 {
		c := b.dial()
		c.want("220")
		if first == nil {
			first = c
		}
	}
	for range 5 {
		b.dial().want("421 4.7.0", "closed")
	}
	first.say("QUIT", "221", "closed")
	eventually(t, func() bool { return strings.HasPrefix(b.dial().reply(), "220") })
}

func eventually(t *testing.T, f func() bool) {
	t.Helper()
	for range 200 {
		if f() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("it never came")
}

func TestHostile_21(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, inTLS bool) {
		b := serve(t, &recorder{}, func(c *smtpd.Config) { c.PerIP, c.PerNetwork = 50, 50 })
		for _, name := range []string{"", " ", "a\x1b[2J", "a\x00b", "a\rb", "a\x7f"} {
			b.bare(inTLS).say("HELO "+name, "501 5.5.")
			b.bare(inTLS).say("EHLO "+name, "501 5.5.")
		}
		b.bare(inTLS).say("EHLO "+strings.Repeat("a", 9000), "500 5.5.2")
		for _, name := range []string{strings.Repeat("a", 4096), "[999.1.1.1]", "two words", "\xff\xfe", "bücher.example"} {
			c := b.bare(inTLS)
			if r := c.say("EHLO "+name, "250-"+host+"\n"); strings.Contains(r, name) {
				t.Errorf("the name is repeated: %q", r)
			}
			c.data()
			c.send("\r\n.\r\n")
			c.want("250")
			got := b.rec.got()
			if e := got[len(got)-1].Envelope; e.Helo != name {
				t.Errorf("helo %q, want %q", e.Helo, name)
			}
			for _, l := range got[len(got)-1].Transcript {
				if len(l.Text) > 500 {
					t.Errorf("transcript line of %d octets", len(l.Text))
				}
			}
		}
	})
}

func TestHostile_22(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, inTLS bool) {
		b := serve(t, &recorder{}, func(c *smtpd.Config) { c.Errors = 100 })
		c := b.open(inTLS)
		c.say("MAIL FROM:<\"a\r\nRCPT TO:<x@y>\"@b>", "501", "503") // two lines, neither carried out
		for arg, want := range map[string]string{
			"<a@b\x00x>": "501", "<a@[127.0.0.1]>": "553", "<ü@example.org>": "553", "<ü@example.org> SMTPUTF8": "",
			"<a>": "501", "<a@>": "501", "<@b>": "501", "<a b@c>": "501", "<a@b>x": "501", "<a@b@c>": "501", "a@b c": "555", "<a@b": "501",
			`<"a@b>`: "501", `<""@b>`: "501", "<\"a\u202eb\"@c> SMTPUTF8": "501", "<a\u009bb@c> SMTPUTF8": "501", "<\xff@b> SMTPUTF8": "501",
			"<a@b..c>": "501", "<" + strings.Repeat("a", 1000) + "@b>": "501", "<a@-b_c>": "",
		} {
			if want == "" {
				want = "250 2.1.0"
			}
			c.say("MAIL FROM:"+arg, want)
		}
		for arg, want := range map[string]string{
			"<@r:a@b>": "a@b", "<@r.example,@s.example:a@b.>": "a@b", `<"a b>,"@b>`: `"a b>,"@b`, `<"a\"\\@"@b>`: `"a\"\\@"@b`,
			`<"plain"@b>`: "plain@b", "<a..b@c>": `"a..b"@c`, "<.a@c>": `".a"@c`, "<>": "", "a@b": "a@b", "<ü@b> smtputf8": "ü@b",
		} {
			c = b.open(inTLS)
			c.say("MAIL FROM:"+arg, "250 2.1.0")
			c.say(rcptTo, "250")
			c.say("DATA", "354")
			c.send("\r\n.\r\n")
			c.want("250")
			got := b.rec.got()
			if e := got[len(got)-1].Envelope; e.MailFrom != want {
				t.Errorf("%s: got %s, want %s", arg, e.MailFrom, want)
			}
		}
	})
}

// The ways to ask for relaying.
func TestHostile_23(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, inTLS bool) {
		b := serve(t, &recorder{}, func(c *smtpd.Config) { c.Errors = 100 })
		c := b.open(inTLS)
		c.say(mailFrom, "250")
		for _, path := range []string{
			"<u@example.com>", "u@example.com", "<u@example.com.>", "<u%example.com@" + host + ">", "<u%example.com>", `<"u%example.com">`,
			`<"u@example.com">`, `<"u@example.com"@` + host + ">", "<u@example.com@" + host + ">", "<u@" + host + "@example.com>",
			"<@" + host + ":u@example.com>", "<@" + host + ",@example.net:u@example.com>", "<example.com!u>", "<example.com!u@" + host + ">",
			"<" + host + "!example.com!u@" + host + ">", "<u@[192.0.2.1]>", "<u@[IPv6:2001:db8::1]>", "<u%example.com@[127.0.0.1]>",
			"<u@example.com@[127.0.0.1]>", "<u@" + host + ".example.com>", "<check-auth@x." + host + ">", "<u@localhost>", `<"example.com!u"@` + host + ">",
		} {
			c.say("RCPT TO:"+path, "550 5.7.1")
		}
		if len(b.rec.begun) != 0 {
			t.Errorf("began %v", b.rec.begun)
		}
	})
}

func TestHostile_24(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, inTLS bool) {
		b := serve(t, &recorder{}, nil)
		c := b.open(inTLS)
		c.say(mailFrom, "250")
		var all strings.Builder
		for n := range 1000 {
			fmt.Fprintf(&all, "RCPT TO:<postmaster+%d@%s>\r\n", n, host)
		}
		go func() { _, _ = io.WriteString(c.c, all.String()) }()
		counts := map[string]int{}
		for r := c.reply(); r != "closed"; r = c.reply() {
			counts[r[:min(9, len(r))]]++
		}
		if counts["250 2.1.5"] != 5 || counts["452 4.5.3"] < 80 || counts["421 4.7.0"] != 1 || len(counts) != 3 {
			t.Errorf("replies %v", counts)
		}
	})
}

func TestHostile_25(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, inTLS bool) {
		b := serve(t, &recorder{}, nil)
		c := b.open(inTLS)
		c.say(mailFrom, "250")
		for n := range 9 {
			c.say(fmt.Sprintf("RCPT TO:<user%d@%s>", n, host), "550 5.1.1")
		}
		c.say("RCPT TO:<user10@"+host+">", "550 5.1.1", "421 4.7.0", "closed")
	})
}

func TestHostile_26(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, inTLS bool) {
		b := serve(t, &recorder{}, nil)
		for _, to := range []string{"postmaster", "POSTMASTER", "postmaster@" + host, "abuse@" + host} {
			c := b.open(inTLS)
			c.say(mailFrom, "250")
			c.say("RCPT TO:<"+to+">", "250 2.1.5")
			c.say("DATA", "354")
			c.send("\r\n.\r\n")
			c.want("250")
			got := b.rec.got()
			e := got[len(got)-1].Envelope
			if to, _, _ = strings.Cut(to, "@"); e.Purpose != verify.ForOperator || !strings.HasPrefix(e.RcptTo[0], to+"@") {
				t.Errorf("%s: %+v", to, e)
			}
		}
	})
}

func TestHostile_27(t *testing.T) {
	t.Parallel()
	const limit = 700 << 10 // above what is held in memory
	bothWays(t, func(t *testing.T, inTLS bool) {
		b := serve(t, &recorder{}, func(c *smtpd.Config) { c.Message = limit })
		c := b.open(inTLS)
		for _, size := range []int{limit - 1, limit, limit + 1, 10 * limit} {
			c.data()
			text := sized(size)
			c.send(text + ".\r\n")
			if size > limit {
				c.want("552 5.3.4")
				continue
			}
			c.want("250")
			got := b.rec.got()
			if m := got[len(got)-1]; m.whole != text || m.Whole.Size != int64(size) || m.body != text[len("A: b\r\n\r\n"):] {
				t.Errorf("%d octets came as %d", size, len(m.whole))
			}
		}
		c.say("MAIL FROM:<a@example.org> SIZE="+fmt.Sprint(limit+1), "552 5.3.4")
		c.say("MAIL FROM:<a@example.org> SIZE="+fmt.Sprint(limit), "250")
		c.say(rcptTo, "250")
		c.say("DATA", "354")
		// Who goes on for ever is cut.
		go func() { _, _ = io.WriteString(c.c, sized(20*limit)) }()
		c.want("552 5.3.4")
	})
}

// sized is a message of so many octets.
func sized(n int) string {
	b := append([]byte("A: b\r\n\r\n"), bytes.Repeat([]byte("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n"), n/64+1)...)[:n]
	if b[n-2] == '\r' || b[n-3] == '\r' {
		b[n-2], b[n-3], b[n-4] = 'x', 'x', 'x'
	}
	return string(append(b[:n-2], "\r\n"...))
}

func TestHostile_28(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, inTLS bool) {
		b := serve(t, &recorder{}, nil)
		c := b.open(inTLS)
		for n, want := range map[int]int{998: 0, 999: 999, 1000: 1000, 2001: 2001, 1000000: 1000000} {
			c.data()
			c.send("A: b\r\n\r\n." + strings.Repeat(".", n) + "\r\nx\r\n.\r\n")
			c.want("250")
			got := b.rec.got()
			if m := got[len(got)-1]; m.note(verify.NoteLongLine) != want || len(m.body) != n+5 {
				t.Errorf("a line of %d: notes %v, body of %d", n, m.Notes, len(m.body))
			}
		}
	})
}

// A stop within DATA: either the message ends in time and is answered, or the client hears 421 and
// nothing was taken.
func TestHostile_29(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, inTLS bool) {
		b := serve(t, &recorder{}, func(c *smtpd.Config) { c.Stop = 2 * time.Second })
		idle, good, slow := b.open(inTLS), b.open(inTLS), b.open(inTLS)
		good.data()
		good.send("A: b\r\n\r\nhalf")
		slow.data()
		slow.send("A: b\r\n\r\nhalf")
		down := make(chan struct{})
		go func() {
			defer close(down)
			b.stop()
		}()
		idle.want("421 4.3.2", "closed")
		good.send("\r\n.\r\n")
		good.want("250 2.0.0", "421 4.3.2", "closed")
		slow.want("421 4.3.2", "closed")
		<-down
		if _, err := net.Dial("tcp", b.addr); err == nil {
			t.Error("still listening")
		}
		if got := b.rec.got(); len(got) != 1 || b.rec.abandoned != 1 {
			t.Errorf("%d messages, %d abandoned", len(got), b.rec.abandoned)
		}
	})
}

// The evaluation that outlasts the stop ends with its context, and the client hears it.
func TestHostile_29_evaluating(t *testing.T) {
	t.Parallel()
	working := make(chan struct{})
	rec := &recorder{finish: func(ctx context.Context, _ verify.Envelope) (reply.Answer, error) {
		close(working)
		<-ctx.Done()
		return reply.Answer{}, context.Cause(ctx)
	}}
	b := serve(t, rec, func(c *smtpd.Config) { c.Stop = 50 * time.Millisecond })
	c := b.open(false)
	c.data()
	c.send("\r\n.\r\n")
	<-working
	b.stop()
	c.want("421 4.3.2", "closed")
}

// 160,000 continuation lines: refused at the end of data, nothing looked at twice.
func TestHostile_66(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, inTLS bool) {
		b := serve(t, &recorder{}, nil)
		c := b.open(inTLS)
		for name, text := range map[string]string{
			"continuation lines in one header field": "DKIM-Signature: a\r\n" + strings.Repeat(" b\r\n", 501),
			"header too large at line 32765":         "DKIM-Signature: a\r\n" + strings.Repeat(" b\r\n", 160000),
			"too many header fields":                 strings.Repeat("A: b\r\n", 1001),
			"header too large":                       strings.Repeat("A: "+strings.Repeat("b", 900)+"\r\n", 200),
		} {
			c.data()
			c.send(text + "\r\nbody\r\n.\r\n")
			if r := c.want("552 5.3.4"); !strings.Contains(r, name) {
				t.Errorf("%s: %q", name, r)
			}
		}
		c.data()
		c.send(strings.Repeat("A: b\r\n", 1000) + "\r\nbody\r\n.\r\n")
		c.want("250")
		if got := b.rec.got(); len(got) != 1 || len(got[0].early) != 1000 || len(got[0].Fields) != 1000 {
			t.Errorf("%d messages", len(got))
		}
	})
}

// 1000 signatures, each within the bounds, are the evaluator's to count; here they come through whole.
func TestHostile_67(t *testing.T) {
	t.Parallel()
	comesWhole(t, strings.Repeat("DKIM-Signature: a\r\n", 999))
}

// Absurd keys are the evaluator's; a signature of any size within the header's bound comes through.
func TestHostile_68(t *testing.T) {
	t.Parallel()
	comesWhole(t, "DKIM-Signature: b="+strings.Repeat("A", 11000)+"\r\n")
}

// What stands behind the signed length comes through.
func TestHostile_69(t *testing.T) { t.Parallel(); comesWhole(t, "DKIM-Signature: l=0\r\n") }

func comesWhole(t *testing.T, header string) {
	bothWays(t, func(t *testing.T, inTLS bool) {
		b := serve(t, &recorder{}, nil)
		c := b.open(inTLS)
		c.data()
		c.send(header + "\r\n<b>appended</b>\r\n.\r\n")
		c.want("250")
		if m := b.rec.got()[0]; m.whole != header+"\r\n<b>appended</b>\r\n" || m.body != "<b>appended</b>\r\n" || string(m.Fields.Bytes()) != header {
			t.Errorf("%d octets came", len(m.whole))
		}
	})
}

// The number of every case that is ours is in a test's name.
func TestHostileCasesAreAllThere(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("hostile_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range slices.Concat(span(1, 29), span(66, 69)) {
		if !bytes.Contains(source, fmt.Appendf(nil, "func TestHostile_%02d(", n)) {
			t.Errorf("no test for case %d", n)
		}
	}
}

func span(from, to int) (all []int) {
	for n := from; n <= to; n++ {
		all = append(all, n)
	}
	return all
}

// Old servers are just who needs a report: every version of TLS works.
func TestTLSVersions(t *testing.T) {
	t.Parallel()
	b := serve(t, &recorder{}, func(c *smtpd.Config) {
		c.TLS = &tls.Config{Certificates: []tls.Certificate{rsaCertificate()}, MinVersion: tls.VersionTLS10}
		for _, list := range [][]*tls.CipherSuite{tls.CipherSuites(), tls.InsecureCipherSuites()} {
			for _, s := range list {
				c.TLS.CipherSuites = append(c.TLS.CipherSuites, s.ID)
			}
		}
	})
	for version, name := range map[uint16]string{tls.VersionTLS10: "TLS 1.0", tls.VersionTLS11: "TLS 1.1", tls.VersionTLS12: "TLS 1.2", tls.VersionTLS13: "TLS 1.3"} {
		c := b.bare(false)
		c.starttls(&tls.Config{InsecureSkipVerify: true, ServerName: host, MinVersion: version, MaxVersion: version,
			CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}})
		c.say("EHLO old.example", "250-")
		c.data()
		c.send("\r\n.\r\n")
		c.want("250")
		got := b.rec.got()
		e := got[len(got)-1].Envelope.TLS
		if e == nil || e.Version != name || e.ServerName != host || version < tls.VersionTLS13 && e.Cipher != "TLS_RSA_WITH_AES_128_CBC_SHA" {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

// 19, when every place is taken: who has been idle longest makes room for the next client.
func TestHostile_19_full(t *testing.T) {
	t.Parallel()
	b := serve(t, &recorder{}, func(c *smtpd.Config) { c.Connections, c.Commands = 3, 1000 })
	oldest, busy, sending := b.open(false), b.open(false), b.open(false)
	sending.data()
	refused := 0
	for deadline := time.Now().Add(20 * time.Second); ; refused++ {
		busy.say("NOOP", "250")
		c := b.dial()
		if line := c.reply(); strings.HasPrefix(line, "220") {
			break
		} else if !strings.HasPrefix(line, "421 4.7.0") || time.Now().After(deadline) {
			t.Fatalf("a new client hears %q", line)
		}
		time.Sleep(100 * time.Millisecond)
	}
	if refused == 0 {
		t.Error("nobody was refused: a client that was busy a moment ago made room")
	}
	oldest.want("421 4.7.0 Idle", "closed")
	sending.send("A: b\r\n\r\n.\r\n")
	sending.want("250")
	busy.say("NOOP", "250")
}

// A client's certificate is named where it was asked for; who has none is served all the same.
func TestTLSClientCertificate(t *testing.T) {
	t.Parallel()
	b := serve(t, &recorder{}, func(c *smtpd.Config) {
		c.TLS = &tls.Config{Certificates: []tls.Certificate{rsaCertificate()}, ClientAuth: tls.RequestClientCert}
	})
	for _, shown := range []bool{true, false} {
		cfg := &tls.Config{InsecureSkipVerify: true, ServerName: host}
		if shown {
			cfg.Certificates = []tls.Certificate{rsaCertificate()}
		}
		c := b.bare(false)
		c.starttls(cfg)
		c.say("EHLO client.example", "250-")
		c.data()
		c.send("\r\n.\r\n")
		c.want("250")
		got := b.rec.got()
		if e := got[len(got)-1].Envelope.TLS; e == nil || (e.Client != "") != shown {
			t.Errorf("shown %t: %+v", shown, e)
		}
	}
}
