package respond

import (
	"bytes"
	"context"
	"io"
	"net/mail"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/emersion/go-message"

	"checkauth/reply/compose"
	"checkauth/reply/policy"
	"checkauth/verify"
	"checkauth/verify/dns"
	"checkauth/verify/evaluate"
	vmail "checkauth/verify/mail"
)

// FuzzBytesToMail is the whole path from a session's bytes to the reply, but for store and signature.
func FuzzBytesToMail(f *testing.F) {
	f.Add([]byte("From: a@example.org\r\nSubject: x\r\n\r\nhttp://evil.example/\r\n"), "mx.example.org", "a@example.org", "v=spf1 a:mx.example.org -all")
	f.Add([]byte("Subject: \x1b[2J\u202e\r\nMessage-ID: <a@b>\r\n\tX: y\r\n\xff\r\n"), "\x1b[31m", "\"a b\"@example.org", "v=spf1 +all exp=%{l}")
	f.Add([]byte("DKIM-Signature: v=1; a=rsa-sha256; d=\x00; s=(; h=From; bh=; b=\r\n"), "-", "<>@x", "\x9b v=DMARC1; p=none")
	f.Fuzz(func(t *testing.T, raw []byte, helo, from, text string) {
		now := time.Unix(1764000000, 0)
		m := &verify.Message{
			Envelope: verify.Envelope{ID: "fuzz", Host: "verifier.example", Time: now, Helo: helo, MailFrom: from,
				Client: netip.MustParseAddrPort("192.0.2.1:25"), Purpose: verify.ForTest},
			Whole: vmail.Data{At: bytes.NewReader(raw), Size: int64(len(raw))},
		}
		var err error
		if m.Fields, m.Body, err = vmail.Split(m.Whole, vmail.DefaultBounds()); err != nil {
			m.Unparsed = err
		}
		ev := evaluate.Evaluator{Config: evaluate.Defaults(), DNS: says(text), Now: func() time.Time { return now },
			Panicked: func(_, method string, v any, stack []byte) { t.Errorf("%s panicked: %v\n%s", method, v, stack) }}
		r := ev.Evaluate(t.Context(), m)
		cfg := compose.Defaults()
		cfg.Host, cfg.Service, cfg.From = "verifier.example", "check-auth@verifier.example", "auth-results@verifier.example"
		c, err := compose.New(cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		d := policy.Config{}.Decide(r, policy.Facts{}, now)
		for _, l := range c.Answer(d).Lines {
			if len(l) > 480 || strings.ContainsFunc(l, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Fatalf("answer line %q", l)
			}
		}
		e, err := c.Reply(r, d, m.Body, now)
		if err != nil {
			t.Fatal(err)
		}
		harmless(t, e.Body, cfg.Size)
	})
}

// harmless reads the mail as its receiver would.
func harmless(t *testing.T, body []byte, size int) {
	t.Helper()
	if len(body) > size {
		t.Fatalf("%d octets, want at most %d", len(body), size)
	}
	for line := range bytes.SplitSeq(body, []byte("\r\n")) {
		if len(line) > 998 || bytes.ContainsAny(line, "\r\n") {
			t.Fatalf("line %q", line)
		}
	}
	parsed, err := mail.ReadMessage(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if len(parsed.Header) > 13 || len(parsed.Header["From"]) != 1 || len(parsed.Header["To"]) != 1 || parsed.Header["Bcc"] != nil {
		t.Fatalf("header %v", parsed.Header)
	}
	entity, err := message.Read(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	err = entity.Walk(func(_ []int, p *message.Entity, err error) error {
		if err != nil || p.MultipartReader() != nil {
			return err
		}
		b, err := io.ReadAll(p.Body)
		for _, c := range strings.ReplaceAll(string(b), "\n", "") {
			if c != '\r' && !unicode.IsPrint(c) {
				t.Fatalf("%U in a part: %q", c, b)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// says answers every TXT question with one text and every other one with one address or name.
func says(text string) dns.Resolver {
	return dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
		r := dns.Record{Name: q.Name, Type: q.Type, TTL: 300, Target: "mx.example.org", Addr: netip.MustParseAddr("192.0.2.1")}
		if q.Type == dns.TXT {
			r.Strings = []string{text}
		}
		return dns.Answer{Question: q, Records: []dns.Record{r}}, nil
	})
}
