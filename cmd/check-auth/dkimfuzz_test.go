package main

import (
	"context"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"checkauth/reply/compose"
	"checkauth/verify"
	"checkauth/verify/dkim"
	"checkauth/verify/dns"
)

// Whatever a message and the records of strangers hold, what is printed of them is text without a control
// character, and JSON in ASCII.
func FuzzDKIMPrinted(f *testing.F) {
	f.Add("From: a@example.org\r\nDKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=s1; h=From:\x1b; l=1; i=\x9b@example.org; bh=AAAA; b=AAAA\r\n\r\n\x1b[2J\r\n", "v=DKIM1; n=\x1b; t=\xe2\x80\xae; p=AAAA")
	f.Add("From: \x1b\r\nDKIM-Signature: v=1\r\n\r\n", "v=DKIM1; k=\x00; x=1; p=")
	composer, err := compose.New(compose.Defaults(), nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, message, record string) {
		m := newMessage(verify.Envelope{}, []byte(message))
		if m.Unparsed != nil || len(message) > 4096 {
			t.Skip()
		}
		zone := dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
			return dns.Answer{Question: q, Records: []dns.Record{{Name: q.Name, Type: dns.TXT, TTL: 300, Strings: []string{record}}}}, nil
		})
		v := dkim.Verifier{DNS: zone, Diagnose: zone, Now: func() time.Time { return time.Unix(1795574031, 0) }}
		ask := &dkimAsk{ctx: t.Context(), memo: dns.NewMemo(t.Context(), zone), verifier: v}
		show := dkimShow{terminal: terminal{composer, false}, fields: m.Fields, res: v.Check(t.Context(), m.Fields, m.Body), canon: true}
		show.dmarc = ask.alignment(m.Fields, show.res.Signatures)
		key := keyShow{terminal{composer, false}, v.Key(t.Context(), "s1", "example.org")}
		for _, text := range []string{show.text(), key.text()} {
			if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
				t.Fatalf("what does not print is printed: %q", text)
			}
		}
		for _, v := range []any{show.forJSON(), key.forJSON()} {
			b, err := asciiJSON(v)
			if err != nil || strings.ContainsFunc(string(b), func(r rune) bool { return r > '~' }) {
				t.Fatalf("%v: %q", err, b)
			}
		}
	})
}
