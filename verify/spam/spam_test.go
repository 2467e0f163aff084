package spam_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"checkauth/verify/mail"
	"checkauth/verify/result"
	"checkauth/verify/spam"
)

const message = "From: a@example.org\r\nSubject: test\r\n\r\nHello.\r\n"

func query(text string) spam.Query {
	return spam.Query{Message: mail.Data{At: strings.NewReader(text), Size: int64(len(text))}}
}

// serve is a daemon on a free port of loopback that hears connections one after the other.
func serve(t *testing.T, network, address string, answer func(c net.Conn, command string, body []byte)) spam.Config {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			command, body := hear(c)
			answer(c, command, body)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	cfg := spam.Defaults()
	cfg.Address = l.Addr().String()
	return cfg
}

// hear reads a command as the protocol has it: a line, a header, as many octets as announced.
func hear(c net.Conn) (command string, body []byte) {
	r := bufio.NewReader(c)
	command, _ = r.ReadString('\n')
	size := 0
	for {
		line, err := r.ReadString('\n')
		if err != nil || line == "\r\n" {
			break
		}
		fmt.Sscanf(line, "Content-length: %d", &size)
	}
	body = make([]byte, size)
	n, _ := io.ReadFull(r, body)
	return strings.TrimSpace(command), body[:n]
}

func says(text string) func(net.Conn, string, []byte) {
	return func(c net.Conn, _ string, _ []byte) { io.WriteString(c, text) }
}

const table = `Spam detection software, running on the system "mx.example.net",
has identified this incoming email as possible spam.

Content preview:  1.0 NOT_A_RULE             before the table

Content analysis details:   (6.5 points, 5.0 required)

 pts rule name              description
---- ---------------------- --------------------------------------------------
-0.0 NO_RELAYS              Informational: message was not relayed via SMTP
 2.3 EMPTY_MESSAGE          Message appears to have no textual parts
 4.2 RCVD_IN_EXAMPLE        RBL: Received via a relay in bl.example.net
                            [192.0.2.1 listed in bl.example.net]
 100 USER_IN_BLOCKLIST      User is listed
 0.1 A_VERY_LONG_NAME_OF_A_RULE_INDEED 
 0.0 LAST

 9.9 NOT_A_RULE             behind the table
`

func withReport(spam, report string) string {
	return fmt.Sprintf("SPAMD/1.1 0 EX_OK\r\nContent-length: %d\r\nSpam: %s\r\n\r\n%s", len(report), spam, report)
}

func names(r spam.Result) []string {
	out := []string{}
	for _, rule := range r.Rules {
		out = append(out, fmt.Sprintf("%g %s", rule.Points, rule.Name))
	}
	return out
}

func codes(r spam.Result) string {
	var out []string
	for _, f := range r.Findings {
		out = append(out, string(f.Severity)+" "+string(f.Code)+" "+f.Args.Get("rules"))
	}
	return strings.Join(out, "; ")
}

func TestExchange_over_TCP_and_a_socket(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "s")
	for _, c := range []struct{ network, address string }{{"tcp", "127.0.0.1:0"}, {"unix", socket}} {
		t.Run(c.network, func(t *testing.T) {
			t.Parallel()
			heard := make(chan string, 1)
			cfg := serve(t, c.network, c.address, func(conn net.Conn, command string, body []byte) {
				heard <- command + "\n" + string(body)
				io.WriteString(conn, withReport("True ; 6.5 / 5.0", table))
			})
			q := query(message)
			q.Trace = []byte("Received: from x ([192.0.2.1]) by mx.example.net\r\n")
			r := spam.Evaluator{Config: cfg}.Check(t.Context(), q)
			if got, want := <-heard, "REPORT SPAMC/1.5\n"+string(q.Trace)+message; got != want {
				t.Errorf("sent %q, want %q", got, want)
			}
			if r.Word != spam.Spam || r.Reason.String() != `spam-points required="5.0" score="6.5"` || r.Score != 6.5 || r.Required != 5 || r.Cause != nil {
				t.Errorf("got %s (%s), %v, %v, %v", r.Word, r.Reason, r.Score, r.Required, r.Cause)
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 70<<10)
	for _, c := range []struct {
		name, answer string
		word         result.Word
		reason       result.Code
		cause        error
	}{
		{"ham", withReport("False ; -1.9 / 5.0", table), spam.Ham, "spam-points", nil},
		{"words of other versions", "SPAMD/1.5 0 EX_OK\r\nSpam: Yes ; 15 / 5\r\n\r\n", spam.Spam, "spam-points", nil},
		{"no length, no table, line ends of Unix", "SPAMD/1.0 0 EX_OK\nSpam: No ; 2 / 5\nX-Other: y\n\nfree text\n", spam.Ham, "spam-points", nil},
		{"a refusal", "SPAMD/1.0 75 EX_TEMPFAIL\r\n", result.NotRun, "spam-daemon-refused", nil},
		{"a refusal without a line end", "SPAMD/1.0 76 Bad header line: (x)", result.NotRun, "spam-daemon-refused", nil},
		{"nothing", "", result.NotRun, "spam-daemon-closed", spam.ErrClosed},
		{"half of a header", "SPAMD/1.1 0 EX_OK\r\nSpam: True ; 6", result.NotRun, "spam-daemon-closed", spam.ErrClosed},
		{"half of a report", withReport("True ; 6.5 / 5.0", table)[:400], result.NotRun, "spam-daemon-closed", spam.ErrClosed},
		{"another protocol", "220 mx.example.net ESMTP\r\n", result.NotRun, "spam-answer-unreadable", spam.ErrUnreadable},
		{"garbage", "\x00\xff\x1b[2J\r\n\r\n", result.NotRun, "spam-answer-unreadable", spam.ErrUnreadable},
		{"no score", "SPAMD/1.1 0 EX_OK\r\n\r\n", result.NotRun, "spam-answer-unreadable", spam.ErrUnreadable},
		{"a score that is none", "SPAMD/1.1 0 EX_OK\r\nSpam: True ; NaN / 5\r\n\r\n", result.NotRun, "spam-answer-unreadable", spam.ErrUnreadable},
		{"a score beyond measure", "SPAMD/1.1 0 EX_OK\r\nSpam: True ; 9999999999999999 / 5\r\n\r\n", result.NotRun, "spam-answer-unreadable", spam.ErrUnreadable},
		{"two points", "SPAMD/1.1 0 EX_OK\r\nSpam: True ; 1.2.3 / 5\r\n\r\n", result.NotRun, "spam-answer-unreadable", spam.ErrUnreadable},
		{"a length that is none", "SPAMD/1.1 0 EX_OK\r\nSpam: True ; 1 / 5\r\nContent-length: -1\r\n\r\n", result.NotRun, "spam-answer-unreadable", spam.ErrUnreadable},
		{"a line that is no field", "SPAMD/1.1 0 EX_OK\r\nSpam\r\n\r\n", result.NotRun, "spam-answer-unreadable", spam.ErrUnreadable},
		{"an announced length over the bound", "SPAMD/1.1 0 EX_OK\r\nSpam: True ; 1 / 5\r\nContent-length: 70000\r\n\r\n", result.NotRun, "spam-answer-too-long", spam.ErrTooLong},
		{"a report over the bound", "SPAMD/1.1 0 EX_OK\r\nSpam: True ; 1 / 5\r\n\r\n" + long, result.NotRun, "spam-answer-too-long", spam.ErrTooLong},
		{"a line over the bound", long, result.NotRun, "spam-answer-too-long", spam.ErrTooLong},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := spam.Evaluator{Config: serve(t, "tcp", "127.0.0.1:0", says(c.answer))}.Check(t.Context(), query(message))
			if r.Word != c.word || r.Reason.Code != c.reason || c.cause != nil && !errors.Is(r.Cause, c.cause) {
				t.Errorf("got %s (%s), %v; want %s (%s), %v", r.Word, r.Reason, r.Cause, c.word, c.reason, c.cause)
			}
			if (r.Cause != nil) != (r.Word == result.NotRun) || r.Rules == nil {
				t.Errorf("%s with cause %v and rules %v", r.Word, r.Cause, r.Rules)
			}
		})
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	e := spam.Evaluator{Config: serve(t, "tcp", "127.0.0.1:0", says(withReport("True ; 106.6 / 5.0", strings.ReplaceAll(table, "\n", "\r\n"))))}
	r := e.Check(t.Context(), query(message))
	want := []string{"0 NO_RELAYS", "2.3 EMPTY_MESSAGE", "4.2 RCVD_IN_EXAMPLE", "100 USER_IN_BLOCKLIST", "0.1 A_VERY_LONG_NAME_OF_A_RULE_INDEED", "0 LAST"}
	if !slices.Equal(names(r), want) {
		t.Fatalf("got %q, want %q", names(r), want)
	}
	if got, want := r.Rules[2].Text, "RBL: Received via a relay in bl.example.net [192.0.2.1 listed in bl.example.net]"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, rule := range r.Rules[:3] {
		if want := rule.Name != "RCVD_IN_EXAMPLE"; rule.Test != want {
			t.Errorf("%s: describes a test mail: got %v, want %v", rule.Name, rule.Test, want)
		}
	}
}

// What a blank mail is marked down for is no advice.
func TestAdvice_leaves_out_what_describes_a_test_mail(t *testing.T) {
	t.Parallel()
	const head = "---- ---------------------- ----------\n"
	for _, c := range []struct{ name, score, rows, want string }{
		{"ham, and nothing weighs", "False ; 0.1 / 5", " 0.1 SOME x\n", ""},
		{"ham, marked down as a test", "False ; 2.3 / 5", " 2.3 EMPTY_MESSAGE x\n", ""},
		{"ham, marked down", "False ; 3.5 / 5", " 2.3 EMPTY_MESSAGE x\n 1.2 SOME y\n", "info spam-rules SOME (1.2)"},
		{"spam", "True ; 6 / 5", " 1.0 EMPTY_MESSAGE x\n 0.6 SOME y\n 5.0 MORE z\n", "warning spam-found MORE (5.0), SOME (0.6)"},
		{"spam as a test alone", "True ; 6 / 5", " 2.3 EMPTY_MESSAGE x\n 1.8 MISSING_SUBJECT x\n 1.9 PYZOR_CHECK x\n", "info spam-test-mail EMPTY_MESSAGE (2.3), PYZOR_CHECK (1.9), MISSING_SUBJECT (1.8)"},
		{"spam by being a test beside others", "True ; 6 / 5", " 4.8 EMPTY_MESSAGE x\n 1.2 SOME x\n", "info spam-test-mail EMPTY_MESSAGE (4.8); info spam-rules SOME (1.2)"},
		{"five rules at most", "True ; 9 / 5", " 1.1 A x\n 1.2 B x\n 1.3 C x\n 1.4 D x\n 1.5 E x\n 1.6 F x\n", "warning spam-found F (1.6), E (1.5), D (1.4), C (1.3), B (1.2)"},
		{"no table", "True ; 9 / 5", "", "warning spam-found-untold "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := serve(t, "tcp", "127.0.0.1:0", says(withReport(c.score, head+c.rows)))
			if r := (spam.Evaluator{Config: cfg}).Check(t.Context(), query(message)); codes(r) != c.want {
				t.Errorf("got %q, want %q", codes(r), c.want)
			}
		})
	}
}

func TestSlow_daemon(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		answer func(net.Conn, string, []byte)
	}{
		{"silence", func(c net.Conn, _ string, _ []byte) { io.Copy(io.Discard, c) }},
		{"it stops in the middle", func(c net.Conn, _ string, _ []byte) {
			io.WriteString(c, "SPAMD/1.1 0 EX_OK\r\nSpam: True ; 6.5 / 5.0\r\n")
			waitForEnd(c)
		}},
		{"it keeps the connection open behind the report", func(c net.Conn, _ string, _ []byte) {
			io.WriteString(c, "SPAMD/1.1 0 EX_OK\r\nSpam: True ; 6.5 / 5.0\r\n\r\nreport")
			waitForEnd(c)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := serve(t, "tcp", "127.0.0.1:0", func(conn net.Conn, s string, b []byte) { c.answer(conn, s, b); waitForEnd(conn) })
			cfg.Timeout = 100 * time.Millisecond
			r := spam.Evaluator{Config: cfg}.Check(t.Context(), query(message))
			if r.Word != result.NotRun || r.Reason.Code != "spam-daemon-timeout" || !errors.Is(r.Cause, os.ErrDeadlineExceeded) {
				t.Errorf("got %s (%s), %v; want not run by the timeout", r.Word, r.Reason, r.Cause)
			}
		})
	}
}

// waitForEnd returns when the client has closed: writing fails then.
func waitForEnd(c net.Conn) {
	for {
		if _, err := c.Write([]byte("\r")); err != nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestEndless_answer(t *testing.T) {
	t.Parallel()
	cfg := serve(t, "tcp", "127.0.0.1:0", func(c net.Conn, _ string, _ []byte) {
		io.WriteString(c, "SPAMD/1.1 0 EX_OK\r\nSpam: True ; 6.5 / 5.0\r\n\r\n")
		for {
			if _, err := c.Write(bytes.Repeat([]byte("x"), 4096)); err != nil {
				return
			}
		}
	})
	if r := (spam.Evaluator{Config: cfg}).Check(t.Context(), query(message)); r.Reason.Code != "spam-answer-too-long" {
		t.Errorf("got %s (%s), %v", r.Word, r.Reason, r.Cause)
	}
}

// A daemon that says no without reading the message: what it says is the cause, not how writing failed.
func TestRefusal_before_the_message_is_read(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		bufio.NewReader(c).ReadString('\n')
		io.WriteString(c, "SPAMD/1.0 76 EX_PROTOCOL\r\n")
		c.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, c) // else a reset would take the answer away
		c.Close()
	}()
	cfg := spam.Defaults()
	cfg.Address = l.Addr().String()
	r := spam.Evaluator{Config: cfg}.Check(t.Context(), query(strings.Repeat("x", 400<<10)))
	if r.Reason.String() != `spam-daemon-refused code="76" text="EX_PROTOCOL"` {
		t.Errorf("got %s (%s), %v", r.Word, r.Reason, r.Cause)
	}
}

func TestNot_sent(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	cfg := spam.Defaults()
	cfg.Address = address
	if r := (spam.Evaluator{Config: cfg}).Check(t.Context(), query(message)); r.Reason.Code != "spam-daemon-unreachable" || strings.Contains(r.Reason.String(), "127.0.0.1") {
		t.Errorf("nobody listens: got %s (%s), %v", r.Word, r.Reason, r.Cause)
	}
	cfg.Address = "/nowhere/spamd.sock"
	if r := (spam.Evaluator{Config: cfg}).Check(t.Context(), query(message)); r.Reason.Code != "spam-daemon-unreachable" {
		t.Errorf("no socket: got %s (%s), %v", r.Word, r.Reason, r.Cause)
	}
	large := query("")
	large.Message.Size, large.Trace = cfg.Size, []byte("x")
	if r := (spam.Evaluator{Config: cfg}).Check(t.Context(), large); r.Reason.String() != `spam-message-too-large limit="524288" size="524289"` || !errors.Is(r.Cause, spam.ErrTooLarge) {
		t.Errorf("one octet over the bound: got %s (%s), %v", r.Word, r.Reason, r.Cause)
	}
}

func TestCancelled_from_outside(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the client left")
	cfg := serve(t, "tcp", "127.0.0.1:0", func(c net.Conn, _ string, _ []byte) { cancel(why); waitForEnd(c) })
	if r := (spam.Evaluator{Config: cfg}).Check(ctx, query(message)); r.Word != result.NotRun || !errors.Is(r.Cause, why) {
		t.Errorf("got %s (%s), %v; want the cause of the context", r.Word, r.Reason, r.Cause)
	}
}

// With CHECK_AUTH_TEST_SPAMD=host:port or a path the package is tested against a daemon that runs there;
// tools/spamd-check.sh starts one.
func TestReal_daemon(t *testing.T) {
	t.Parallel()
	cfg := spam.Defaults()
	if cfg.Address = os.Getenv("CHECK_AUTH_TEST_SPAMD"); cfg.Address == "" {
		t.Skip("CHECK_AUTH_TEST_SPAMD is not set: see tools/spamd-check.sh")
	}
	const head = "Return-Path: <a@example.org>\r\nReceived: from mail.example.org (mail.example.org [192.0.2.1]) by mx.example.net with ESMTP id 1; Fri, 01 May 2026 12:00:00 +0000\r\n"
	const fields = "From: A <a@example.org>\r\nTo: b@example.net\r\nSubject: Minutes of the meeting\r\nDate: Fri, 01 May 2026 12:00:00 +0000\r\nMessage-ID: <20260501120000.1234@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
	// SpamAssassin's own test text.
	const gtube = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
	for _, c := range []struct {
		name, message string
		word          result.Word
		rule, finding string
	}{
		{"an honest text", fields + "\r\nHello,\r\n\r\nhere are the minutes of our meeting, as promised. Please tell me what I forgot.\r\n\r\nRegards, A\r\n", spam.Ham, "", ""},
		{"a blank mail", fields + "\r\n", spam.Ham, "EMPTY_MESSAGE", ""},
		{"the text that every filter knows", fields + "\r\n" + gtube + "\r\n", spam.Spam, "GTUBE", "info spam-test-mail GTUBE (1000.0)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := query(c.message)
			q.Trace = []byte(head)
			r := spam.Evaluator{Config: cfg}.Check(t.Context(), q)
			has := slices.ContainsFunc(r.Rules, func(rule spam.Rule) bool { return rule.Name == c.rule && rule.Test && rule.Text != "" })
			if r.Word != c.word || has != (c.rule != "") || r.Required != 5 || c.finding != "" && !strings.Contains(codes(r), c.finding) {
				t.Errorf("got %s (%s), %v, %q, %s", r.Word, r.Reason, r.Cause, names(r), codes(r))
			}
			for _, rule := range r.Rules {
				if rule.Name == "NO_RECEIVED" {
					t.Errorf("the daemon has not seen the trace")
				}
			}
		})
	}
}
