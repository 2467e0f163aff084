package main

import (
	"net/textproto"
	"strings"
	"testing"

	"checkauth/verify/dns/dnstest"
)

// before is serveZone as it was before the administrator changed it.
var before = strings.Replace(serveZone, "ip4:127.0.0.0/8 -all", "?all", 1)

// talk is a client that has sent a message but for its final dot.
func talk(t *testing.T, addr, message string) *textproto.Conn {
	t.Helper()
	c, err := textproto.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	hears(t, c, 220)
	for _, s := range []struct {
		line string
		want int
	}{{"EHLO mx.sender.example", 250}, {"MAIL FROM:<anna@sender.example>", 250}, {"RCPT TO:<check-auth@verifier.example>", 250}, {"DATA", 354}} {
		says(t, c, s.line, s.want)
	}
	if _, err := c.W.WriteString(strings.ReplaceAll(message, "\n", "\r\n")); err != nil {
		t.Fatal(err)
	}
	return c
}

func hears(t *testing.T, c *textproto.Conn, want int) string {
	t.Helper()
	code, text, err := c.ReadResponse(0)
	if err != nil || code != want {
		t.Fatalf("got %d %q, %v, want %d", code, text, err, want)
	}
	return text
}

func says(t *testing.T, c *textproto.Conn, line string, want int) string {
	t.Helper()
	if err := c.PrintfLine("%s", line); err != nil {
		t.Fatal(err)
	}
	return hears(t, c, want)
}

func idOf(t *testing.T, text string) string {
	t.Helper()
	m := reportID.FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no report id in %q", text)
	}
	return m[1]
}

// again is a service whose sender's DNS can be changed, and which takes replies.
func again(t *testing.T, change func(*settings)) (addr string, world *dnstest.Server, replies *sink) {
	t.Helper()
	world, replies = dnstest.New(t, before), newSink(t)
	s := defaults(func(string) string { return "" })
	s.Hostname, s.Operator, s.State = "verifier.example", "you@operator.example", t.TempDir()
	s.Listen = []string{"127.0.0.1:0"}
	s.SMTP.Loopback = loopbackEvaluate
	s.Resolver.Servers = []string{world.Addr().String()}
	s.Deliver.Relay = replies.addr()
	change(&s)
	return inProcess(t, &s), world, replies
}

func everyMinute(s *settings) { s.Policy.AddressMinute = unlimited }

// Who heard the 250 and sends the same octets again has changed something, and wants to know what comes of it.
func TestRFC1047_the_same_octets_after_the_answer_are_a_new_test(t *testing.T) {
	t.Parallel()
	addr, world, replies := again(t, everyMinute)
	c := talk(t, addr, mailOf(1))
	first := says(t, c, ".", 250)
	says(t, c, "QUIT", 221)
	if err := world.Replace(serveZone); err != nil {
		t.Fatal(err)
	}
	second := says(t, talk(t, addr, mailOf(1)), ".", 250)
	if !strings.Contains(first, "spf=neutral") || !strings.Contains(second, "spf=pass") || idOf(t, first) == idOf(t, second) {
		t.Errorf("got %q, then %q: want neutral, then pass", first, second)
	}
	for range 2 {
		replies.next(t)
	}
	// That client left, so this may be its second try: it hears of its own report, not of the first.
	if third := says(t, talk(t, addr, mailOf(1)), ".", 250); !strings.Contains(third, "answered already") || idOf(t, third) != idOf(t, second) {
		t.Errorf("got %q, want the report of %q", third, second)
	}
}

// A new test has the usual quotas.
func TestRFC1047_a_new_test_has_its_quota(t *testing.T) {
	t.Parallel()
	addr, _, _ := again(t, func(*settings) {})
	c := talk(t, addr, mailOf(1))
	says(t, c, ".", 250)
	says(t, c, "QUIT", 221)
	if text := says(t, talk(t, addr, mailOf(1)), ".", 550); !strings.Contains(text, "quota address-minute") {
		t.Errorf("got %q, want the quota", text)
	}
}

// A client that may not have heard the answer tries again, and hears of the report that is stored.
func TestRFC1047_who_may_not_have_heard_tries_again(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		end  func(t *testing.T, c *textproto.Conn)
	}{
		{"cut behind the final dot", func(t *testing.T, c *textproto.Conn) {
			if err := c.PrintfLine("."); err != nil {
				t.Fatal(err)
			}
			_ = c.Close()
		}},
		{"left without a command", func(t *testing.T, c *textproto.Conn) {
			says(t, c, ".", 250)
			_ = c.Close()
		}},
		{"QUIT in one piece with the final dot", func(t *testing.T, c *textproto.Conn) {
			says(t, c, ".\r\nQUIT", 250)
			hears(t, c, 221)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			addr, world, replies := again(t, everyMinute)
			c.end(t, talk(t, addr, mailOf(1)))
			mail := replies.next(t)
			if err := world.Replace(serveZone); err != nil {
				t.Fatal(err)
			}
			text := says(t, talk(t, addr, mailOf(1)), ".", 250)
			if !strings.Contains(text, "answered already") || !strings.Contains(string(mail.data), "<"+idOf(t, text)+"@verifier.example>") {
				t.Errorf("got %q, want the id of the report that is stored", text)
			}
			select {
			case m := <-replies.mails:
				t.Errorf("a second reply came, to %s", m.to)
			default:
			}
		})
	}
}

// After a restart nobody knows who heard what, so the same octets are a second try.
func TestRFC1047_after_a_restart_nobody_knows(t *testing.T) {
	t.Parallel()
	world, state := dnstest.New(t, serveZone), t.TempDir()
	args := []string{"--resolver-servers=" + world.Addr().String(), "--deliver-port=" + silence(t)}
	first := start(t, state, args...)
	c := talk(t, first.addr, mailOf(1))
	text := says(t, c, ".", 250)
	says(t, c, "QUIT", 221)
	first.kill()
	second := start(t, state, args...)
	if again := says(t, talk(t, second.addr, mailOf(1)), ".", 250); !strings.Contains(again, "answered already") || idOf(t, again) != idOf(t, text) {
		t.Errorf("got %q, want the report of %q", again, text)
	}
}
