package respond_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/emersion/go-message"

	"checkauth/reply"
	"checkauth/reply/compose"
	"checkauth/reply/policy"
	"checkauth/verify"
	"checkauth/verify/dns/dnstest"
)

// What strangers publish: each text has words that are none of a record's.
const strangers = `
victim.example.             MX  10 mx.evil.example.
evil.example.               MX  10 mx.evil.example.
mx.evil.example.            A   192.0.2.1
evil.example.               TXT "v=spf1 pay now exp=exp.evil.example -all"
evil.example.               TXT "pay now"
h.evil.example.             A   192.0.2.9
h.evil.example.             TXT "v=spf1 exists:none.evil.example exp=exp.evil.example -all"
exp.evil.example.           TXT "pay now at www.evil.example"
_dmarc.evil.example.        TXT "v=DMARC1; p=none; x=pay now; pay now; rua=mailto:pay now@evil.example"
s._domainkey.evil.example.  TXT "v=DKIM1; n=pay now; pay now=pay now; k=pay now; p=MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="
_smtp._tls.evil.example.    TXT "v=TLSRPTv1; pay now"
_mta-sts.evil.example.      TXT "v=STSv1; id=pay now"
1.2.0.192.in-addr.arpa.     PTR out.evil.example.
out.evil.example.           A   192.0.2.1
`

// strangersHeader has the words wherever a field may have free text.
const strangersHeader = "Return-Path: <pay now>\r\n" +
	"ARC-Seal: i=1; a=pay now; cv=pay now; d=pay now; s=pay now; t=1; b=pay now\r\n" +
	"ARC-Message-Signature: i=1; a=rsa-sha256; c=pay now; d=evil.example; s=s; h=from; bh=aa; b=aa\r\n" +
	"ARC-Authentication-Results: i=1; pay now; spf=pass pay now\r\n" +
	"DKIM-Signature: v=1; a=ed25519-sha256; d=evil.example; s=s; i=pay now@evil.example; h=from; q=pay now; bh=aaaa; b=bbbb\r\n" +
	"DKIM-Signature: v=1; a=rsa-sha256; d=evil.example; s=s; h=from; bh=aaaa; b=bbbb\r\n" +
	"DKIM-Signature: v=1; a=pay now; d=pay now; s=pay now; h=from; bh=pay now; b=pay now; pay now=x\r\n" +
	"DKIM-Signature: v=1; a=rsa-sha256; c=pay now; d=victim.example; s=pay now; h=from; l=pay now; bh=pay now; b=aa\r\n" +
	"DKIM-Signature: pay now\r\n" +
	"pay now\r\n" +
	"Subject: pay now\r\nMessage-ID: pay now\r\nDate: pay now\r\nContent-Type: text/plain; pay now\r\nMIME-Version: pay now\r\n" +
	"Comments: pay now\r\nTo: pay now <check-auth@verifier.example>\r\n"

// A stranger who writes in the name of an unproved sender chooses From, HELO, the header and his own DNS. Our report
// goes to that sender, with our signature, and has none of his words but in the quoted fields of the header.
func TestHostile_44_no_words_of_a_stranger(t *testing.T) {
	t.Parallel()
	for _, from := range []string{"From: a@evil.example\r\n", "From: pay now\r\n", "From: \"pay now\" <x@evil.example>, pay now y@evil.example\r\n", "From: pay now <x@evil.example>\r\n"} {
		for _, helo := range []string{"h.evil.example", "evil.example"} {
			t.Run(from+helo, func(t *testing.T) {
				t.Parallel()
				h := build(t)
				h.Run.DNS = dnstest.Zone(t, strangers, patient)
				letters := compose.Defaults()
				letters.Host, letters.Service, letters.From, letters.Size = host, "check-auth@"+host, "auth-results@"+host, 1<<20 // all parts
				var err error
				if h.Compose, err = compose.New(letters, h.key); err != nil {
					t.Fatal(err)
				}
				m := h.message(t, from+strangersHeader+"\r\npay now\r\n", func(e *verify.Envelope) { e.MailFrom, e.Helo = "victim@victim.example", helo })
				m.Transcript = []verify.Line{{Client: true, Text: "NOOP pay now"}, {Client: true, Text: "PAY NOW"}, {Text: "500 pay now: no such command"}}
				h.answers(t, m, 250, "to <victim@victim.example>")
				if len(h.kicked) != 1 {
					t.Fatalf("%d replies", len(h.kicked))
				}
				for kind, text := range parts(t, h.kicked[0]) {
					if text = said(kind, text); strings.Contains(strings.ToLower(text), "pay now") {
						at := strings.Index(strings.ToLower(text), "pay now")
						t.Errorf("%s has the words: %q", kind, text[max(at-150, 0):min(at+60, len(text))])
					}
				}
			})
		}
	}
}

// The owner's own record is what he mends: it stands in his report, and in the proposal.
func TestHostile_44_the_own_record_is_shown(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.Policy = policy.Config{Quotas: policy.DefaultQuotas(), AnswerNoReply: true, Addresses: h.Policy.Addresses}
	h.Run.DNS = dnstest.Zone(t, `
victim.example.         MX  10 mx.victim.example.
mx.victim.example.      A   192.0.2.9
victim.example.         TXT "v=spf1 mx ~all"
_dmarc.victim.example.  TXT "v=DMARC1; p=none; x=my own words"
`, patient)
	m := h.message(t, "From: a@victim.example\r\n\r\nx\r\n", func(e *verify.Envelope) { e.MailFrom = "victim@victim.example" })
	h.answers(t, m, 250, "to <victim@victim.example>")
	for kind, text := range parts(t, h.kicked[0]) {
		if text = said(kind, text); kind != "text/rfc822-headers" && (!strings.Contains(text, "v=spf1 mx ~all") || !strings.Contains(text, "x=my own words")) {
			t.Errorf("%s: the own records are not there", kind)
		}
	}
}

// parts of a reply, by kind.
func parts(t *testing.T, e reply.Entry) map[string]string {
	t.Helper()
	whole, err := message.Read(bytes.NewReader(e.Body))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	err = whole.Walk(func(_ []int, p *message.Entity, err error) error {
		if err != nil || p.MultipartReader() != nil {
			return err
		}
		kind, _, _ := p.Header.ContentType()
		b, err := io.ReadAll(p.Body)
		out[kind] = string(b)
		return err
	})
	if err != nil || out["text/plain"] == "" {
		t.Fatalf("%d parts: %v", len(out), err)
	}
	return out
}

// said is the text without the fields that are quoted, on one line.
func said(kind, text string) string {
	var out []string
	for l := range strings.Lines(text) {
		if !strings.HasPrefix(l, "> ") || strings.HasSuffix(kind, "json") {
			out = append(out, strings.Fields(l)...)
		}
	}
	return strings.Join(out, " ")
}
