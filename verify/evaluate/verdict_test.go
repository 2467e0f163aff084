package evaluate

import (
	"strings"
	"testing"
	"time"

	"checkauth/verify"
	"checkauth/verify/dmarc"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// What passes for somebody else proves nothing of From, whether or not the domain of From has a DMARC record.
func TestVerdict_without_a_DMARC_record(t *testing.T) {
	t.Parallel()
	dns := dnstest.Zone(t, "victim.example. A 192.0.2.80\n")
	id := func(domain string, word result.Word) dmarc.Identifier {
		return dmarc.Identifier{Domain: domain, Word: word}
	}
	const pass, none, temp = result.Pass, result.None, result.TempError
	for _, c := range []struct {
		name, from string
		spf, dkim  dmarc.Identifier
		want       verify.VerdictWord
		code       result.Code
		passed     string
	}{
		{"SPF and a signature of another", "ceo@victim.example", id("example.org", pass), id("example.org", pass), verify.NotProved, "verdict-not-for-from", "DKIM example.org"},
		{"SPF of another", "ceo@victim.example", id("example.org", pass), id("", none), verify.NotProved, "verdict-not-for-from", "SPF example.org"},
		{"a name that only looks like it", "ceo@victim.example", id("notvictim.example", pass), id("victim.example.example.org", pass), verify.NotProved, "verdict-not-for-from", "DKIM victim.example.example.org"},
		{"two organisations below one public suffix", "a@one.co.uk", id("two.co.uk", pass), id("co.uk", pass), verify.NotProved, "verdict-not-for-from", "DKIM co.uk"},
		{"SPF of the very domain", "ceo@victim.example", id("victim.example", pass), id("example.org", pass), verify.Authenticated, "verdict-aligned-without-dmarc", "SPF victim.example"},
		{"a signature from below", "ceo@victim.example", id("example.org", pass), id("mail.victim.example", pass), verify.Authenticated, "verdict-aligned-without-dmarc", "DKIM mail.victim.example"},
		{"SPF from beside", "ceo@news.victim.example", id("bounce.victim.example", pass), id("", none), verify.Authenticated, "verdict-aligned-without-dmarc", "SPF bounce.victim.example"},
		{"a signature from above", "ceo@news.victim.example", id("example.org", temp), id("Victim.Example", pass), verify.Authenticated, "verdict-aligned-without-dmarc", "DKIM Victim.Example"},
		{"another passes, the own one is not known", "ceo@victim.example", id("example.org", pass), id("victim.example", temp), verify.Unknown, "verdict-could-not-tell", ""},
		{"another passes, a third is not known", "ceo@victim.example", id("example.net", temp), id("example.org", pass), verify.NotProved, "verdict-not-for-from", "DKIM example.org"},
		{"nothing is known", "ceo@victim.example", id("example.org", temp), id("", none), verify.Unknown, "verdict-could-not-tell", ""},
		{"nothing passes", "ceo@victim.example", id("example.org", result.Fail), id("example.org", result.Fail), verify.NotProved, "verdict-nothing", ""},
		{"From with authors of two domains", "a@victim.example, b@example.org", id("example.org", pass), id("example.org", pass), verify.NotProved, "verdict-dmarc-permerror", ""},
		{"no address in From", "", id("example.org", pass), id("example.org", pass), verify.NotProved, "verdict-dmarc-permerror", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fields, err := mail.Parse([]byte("From: "+c.from+"\r\n\r\n"), mail.DefaultBounds())
			if err != nil {
				t.Fatal(err)
			}
			res := dmarc.Evaluator{DNS: dns}.Check(t.Context(), dmarc.Query{From: mail.ParseFrom(fields), SPF: c.spf, DKIM: []dmarc.Identifier{c.dkim}})
			got := judge(&verify.Report{Checks: []result.Outcome{
				{Method: verify.MethodSPF, Result: c.spf.Word}, {Method: verify.MethodDKIM, Result: c.dkim.Word},
				{Method: verify.MethodDMARC, Result: res.Word, Identities: map[string]string{"header.from": res.Author}, Detail: &res},
			}})
			if got.Word != c.want || got.Why.Code != c.code {
				t.Fatalf("got %s (%s), want %s (%s)", got.Word, got.Why, c.want, c.code)
			}
			if passed := strings.ToUpper(got.Why.Args.Get("method")) + " " + got.Why.Args.Get("passed"); c.passed != "" && passed != c.passed {
				t.Errorf("it passes by %q, want %q", passed, c.passed)
			}
		})
	}
}

// A forger's own records are in order; that is what he has them for.
func TestVerdict_of_a_mail_in_another_name(t *testing.T) {
	t.Parallel()
	ev := Evaluator{Config: Defaults(), DNS: dnstest.Zone(t, zone+"victim.example. A 192.0.2.80\n"), Now: time.Now}
	r := ev.Evaluate(t.Context(), message(t, "192.0.2.1", "From: ceo@victim.example\r\nSubject: x\r\n\r\nbody\r\n"))
	if r.Verdict.Word != verify.NotProved || r.Verdict.Why.Code != verify.NotForFrom || r.Verdict.Why.Args.Get("domain") != "victim.example" {
		t.Errorf("got %s (%s), want fail (%s)", r.Verdict.Word, r.Verdict.Why, verify.NotForFrom)
	}
}
