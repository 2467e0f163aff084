package compose

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"checkauth/reply/policy"
	"checkauth/verify"
	"checkauth/verify/dns/client"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/evaluate"
	"checkauth/verify/known"
	"checkauth/verify/mail"
	"checkauth/verify/receivers"
	"checkauth/verify/result"
)

// marked is in all that the stranger says.
const marked = "callnow"

// strangersZone is the DNS: the victim's zone, with names that anybody can make up below it, and the stranger's own, in which
// everything has his word. %[1]s is a label of his.
const strangersZone = `victim.example. MX 10 mx.victim.example.
mx.victim.example. A 198.51.100.7
victim.example. NS ns.victim.example.
victim.example. TXT "v=spf1 mx exists:%%{h}.x.victim.example include:%%{h} ?all"
*.victim.example. A 203.0.113.9
%[1]s.evil.example. A 192.0.2.66
%[1]s.evil.example. MX 5 mx-%[1]s.evil.example.
mx-%[1]s.evil.example. A 192.0.2.67
%[1]s.evil.example. TXT "v=spf1 include:%[1]s.other.example %[1]s:1 exp=e.%[1]s.evil.example -all"
e.%[1]s.evil.example. TXT "%[1]s explains"
_dmarc.%[1]s.evil.example. TXT "v=DMARC1; p=none; %[1]s=1; rua=mailto:%[1]s@%[1]s.other.example"
default._bimi.%[1]s.evil.example. TXT "v=BIMI1; l=%[1]s"
_mta-sts.%[1]s.evil.example. TXT "v=STSv1; %[1]s"
_smtp._tls.%[1]s.evil.example. TXT "v=TLSRPTv1; %[1]s"
%[1]s._domainkey.%[1]s.evil.example. TXT "v=DKIM1; n=%[1]s; h=%[1]s; t=%[1]s; p=%[1]s"
evil.example. NS %[1]s.evil.example.
66.2.0.192.in-addr.arpa. PTR %[1]s.evil.example.
66.2.0.192.in-addr.arpa. PTR %[1]s.victim.example.
`

// strangersMail is the message; %[1]s is his word, %[2]s a label of his, %[3]s a text with the word in it.
const strangersMail = "Received: from %[2]s.evil.example (%[1]s [192.0.2.1]) by %[1]s; Tue, 24 Nov 2026 02:00:00 +0000\r\n" +
	"Received-SPF: %[3]s\r\nAuthentication-Results: verifier.example; dkim=pass (%[1]s)\r\nAuthentication-Results: %[2]s.example; spf=pass (%[1]s)\r\n" +
	"ARC-Seal: i=1; a=rsa-sha256; cv=none; d=%[2]s.evil.example; s=%[2]s; b=%[1]s\r\n" +
	"ARC-Message-Signature: i=1; a=%[1]s; d=%[2]s.evil.example; s=%[2]s; h=%[1]s; bh=%[1]s; b=%[1]s\r\n" +
	"ARC-Authentication-Results: i=1; %[2]s.example; spf=pass smtp.mailfrom=%[1]s\r\n" +
	"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=%[2]s.evil.example; s=%[2]s; i=%[1]s@%[2]s.evil.example; h=From:%[2]s; z=From:%[1]s; bh=%[1]s; b=%[1]s\r\n" +
	"DKIM-Signature: v=1; a=rsa-sha256; c=%[1]s; d=victim.example; s=%[2]s; h=From:Subject:%[2]s; bh=%[1]s; b=%[1]s; %[2]s=%[1]s\r\n" +
	"DKIM-Signature: v=1; a=%[1]s; d=%[2]s.victim.example; s=%[2]s; h=From; bh=%[1]s; b=%[1]s; q=%[1]s\r\n" +
	"DKIM-Signature: %[3]s\r\n" +
	"From: %[1]s <%[1]s@%[2]s.%[4]s>\r\nSender: %[1]s@%[1]s.example\r\nReply-To: %[1]s <x@%[1]s.example>\r\nTo: %[1]s <%[1]s@%[1]s.example>\r\nCc: %[3]s\r\n" +
	"Subject: %[3]s\r\nDate: %[1]s\r\nMessage-ID: <%[1]s@%[1]s.example>\r\nIn-Reply-To: <%[1]s>\r\nReferences: %[1]s\r\nList-Id: <%[1]s.%[1]s.example>\r\n" +
	"X-%[2]s: %[1]s\r\n%[2]s : %[1]s\r\n%[2]s\xff: \xff%[1]s\r\nno field %[3]s\r\nAccept-Language: %[1]s\r\nX-Mailer: %[1]s\r\n" +
	"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=%[2]s\r\n\r\n%[1]s\r\n--%[2]s\r\nContent-Type: text/%[2]s; name=%[1]s; charset=%[1]s\r\n\r\n%[3]s\r\n--%[2]s--\r\n"

// FuzzHostile44_nothing_of_a_stranger lets a stranger write in a victim's name, with his word in every field of the message,
// part of its body, line of the dialogue, name of TLS and answer of his DNS, and looks for it in all that the victim gets.
func FuzzHostile44_nothing_of_a_stranger(f *testing.F) {
	for _, s := range []string{"", "pay at callnow.example", "\x1b]0;callnow\x07", "v=1; d=callnow; b=", "a@callnow.victim.example", "=?utf-8?q?callnow?=", "1-800-callnow"} {
		for n := range byte(8) {
			f.Add(s, n)
		}
	}
	atlas, err := known.Load()
	if err != nil {
		f.Fatal(err)
	}
	rules, err := receivers.Load()
	if err != nil {
		f.Fatal(err)
	}
	c := composer(f)
	f.Fuzz(func(t *testing.T, text string, n byte) {
		if len(text) > 300 {
			t.Skip()
		}
		text += marked
		label := []string{marked, "pay-" + marked + "-2"}[n%2]
		server := dnstest.New(t, fmt.Sprintf(strangersZone, label), dnstest.WithAuthoritative())
		authorities := client.Authorities(server.Addr().Port(), netip.Addr.IsLoopback)
		ev := evaluate.Evaluator{Config: evaluate.Defaults(), DNS: server.Client(t), Authorities: &authorities, Now: func() time.Time { return now }, Atlas: atlas, Receivers: rules}
		helo := []string{label + ".evil.example", label + ".victim.example", text, "[" + text + "]"}[n/2%4]
		raw := fmt.Sprintf(strangersMail, marked, label, strings.NewReplacer("\r", "", "\n", "").Replace(text), []string{"evil.example", "victim.example"}[n/8%2])
		r := ev.Evaluate(t.Context(), strangersMessage(t, raw, helo, text))
		for _, short := range []bool{false, true} {
			d := policy.Decision{Class: policy.Open, To: r.Session.MailFrom, Again: "check-auth+token@verifier.example", Never: "check-auth-stop+token@verifier.example", Short: short}
			e, err := c.Reply(r, d, data(raw), now)
			if err != nil {
				t.Fatal(err)
			}
			got := takeApart(t, e.Body)
			for name, values := range got.header {
				notSaid(t, "field "+name, strings.Join(values, " "))
			}
			for i, p := range got.parts {
				notSaid(t, got.kinds[i], p)
			}
		}
		for _, form := range []func() (string, error){
			func() (string, error) { return c.HTML(r, policy.Decision{Class: policy.Open}) }, // also what a mail has no room for
			func() (string, error) { b, err := c.JSON(r, policy.Open); return string(b), err },
		} {
			got, err := form()
			if err != nil {
				t.Fatal(err)
			}
			notSaid(t, "whole form", got)
		}
	})
}

func strangersMessage(t testing.TB, raw, helo, text string) *verify.Message {
	t.Helper()
	env := verify.Envelope{ID: "strangersstrangersstranger", Host: "verifier.example", Time: now, Helo: helo, MailFrom: "ann@victim.example", ESMTP: true,
		Client: netip.MustParseAddrPort("192.0.2.66:50123"), RcptTo: []string{"check-auth+" + marked + "@verifier.example"}, Purpose: verify.ForTest,
		TLS:       &verify.TLS{Version: "TLS 1.3", Cipher: "TLS_AES_128_GCM_SHA256", ServerName: text, Client: text},
		TLSFailed: &verify.TLSFailure{Time: now, Cause: result.Because("tls-failed-other", "error", text)}}
	m := &verify.Message{Envelope: env, Received: now, Whole: data(raw)}
	m.Transcript = []verify.Line{{Text: "220 verifier.example ESMTP"}, {Client: true, Text: "EHLO " + helo}, {Text: "250 " + helo}, {Client: true, Text: "MAIL FROM:<" + text}, {Client: true, Text: text}}
	var err error
	if m.Fields, m.Body, err = mail.Split(m.Whole, mail.DefaultBounds()); err != nil {
		m.Unparsed = err
	}
	return m
}

// notSaid looks for the word, in whatever case.
func notSaid(t testing.TB, where, text string) {
	t.Helper()
	if at := strings.Index(strings.ToLower(text), marked); at >= 0 {
		t.Errorf("%s: %q", where, text[max(at-120, 0):min(at+60, len(text))])
	}
}
