package compose

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"checkauth/reply/policy"
	"checkauth/templates"
	"checkauth/verify"
	"checkauth/verify/dkim"
	"checkauth/verify/dmarc"
	"checkauth/verify/dns"
	"checkauth/verify/iprev"
	"checkauth/verify/mail"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

// textOf writes a report without a message.
func textOf(t *testing.T, r *verify.Report) string {
	t.Helper()
	out, err := composer(t).Text(restored(t, r), policy.Decision{Class: policy.Proved}, mail.Data{At: strings.NewReader("")})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func servfail(name string) result.Finding {
	return result.Found(result.Error, "dns-servfail", "name", name, "type", "TXT")
}

func TestText_names_one_outage_once(t *testing.T) {
	t.Parallel()
	r := &verify.Report{Findings: []result.Finding{servfail("a.example.org"), result.Found(result.Warning, "tls-none"), servfail("b.example.org")}}
	out := textOf(t, r)
	if !strings.Contains(flat(out), "1. The DNS answers SERVFAIL for a.example.org (TXT), b.example.org (TXT), and") {
		t.Errorf("the outage does not name both questions:\n%s", out)
	}
	if !strings.Contains(out, "\n2. The mail came in clear text") || strings.Contains(out, "\n3. ") {
		t.Errorf("want two findings:\n%s", out)
	}
}

func TestText_names_the_first_questions_of_many(t *testing.T) {
	t.Parallel()
	r := &verify.Report{}
	for i := range 8 {
		r.Findings = append(r.Findings, servfail(fmt.Sprintf("n%d.example.org", i)))
	}
	if out := flat(textOf(t, r)); !strings.Contains(out, "n4.example.org (TXT), 3 more, and") || strings.Contains(out, "n5.example.org") {
		t.Errorf("want five names and a count:\n%s", out)
	}
}

// A code of the DNS is a reason in brackets and a finding: it has a sentence for each.
func TestEveryOutageHasItsTwoSentences(t *testing.T) {
	t.Parallel()
	w, err := templates.Default()
	if err != nil {
		t.Fatal(err)
	}
	c := composer(t)
	for _, kind := range []dns.Kind{dns.ServFail, dns.Bogus, dns.Lame, dns.Refused, dns.Timeout, dns.Malformed, dns.Chain, dns.Unreachable, dns.Budget, dns.Canceled} {
		why := (&dns.Error{Question: dns.Ask("example.org", dns.TXT), Kind: kind}).Reason()
		if !w.Has(templates.English, string(why.Code)) {
			t.Errorf("%s has no reason", why.Code)
		}
		if f := c.finding(result.Finding{Code: why.Code, Args: why.Args}); !strings.Contains(f, "example.org (TXT)") || !strings.HasSuffix(f, ".") {
			t.Errorf("%s: the finding is no sentence: %q", why.Code, f)
		}
	}
}

// Scripts look for these by one line.
func TestText_keeps_known_reasons_on_one_line(t *testing.T) {
	t.Parallel()
	name := strings.Repeat("long.", 15) + "example.org"
	for _, c := range []struct {
		method string
		detail any
		why    result.Reason
		want   string
	}{
		{verify.MethodDKIM, &dkim.Signature{}, result.Because("dkim-key-does-not-exist", "name", name), `(key "` + name + `" doesn't exist)`},
		{verify.MethodDKIM, &dkim.Signature{}, result.Because("dkim-matches-from", "address", "a@"+name), "(matches From: a@" + name + ")"},
		{verify.MethodIPRev, &iprev.Result{}, result.Because("iprev-matches", "host", name), "(matches " + name + ")"},
	} {
		r := &verify.Report{Checks: []result.Outcome{{Method: c.method, Result: result.Pass, Reason: c.why, Detail: c.detail}}}
		if out := textOf(t, r); !strings.Contains(out, "\nResult:         pass "+c.want+"\n") {
			t.Errorf("%s: not on one line:\n%s", c.why.Code, out)
		}
	}
}

func TestText_shows_the_CNAMEs_on_the_way(t *testing.T) {
	t.Parallel()
	e := result.Evidence{Name: "s._domainkey.example.org", Type: "TXT", Rcode: "NXDOMAIN", Chain: []string{"a.example.net", "b.example.net"}}
	want := []string{
		"    s._domainkey.example.org. IN CNAME a.example.net.",
		"    a.example.net. IN CNAME b.example.net.",
		"    b.example.net. TXT (no records)",
	}
	if got := records(e); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	e.Rcode, e.TTL, e.Data = "NOERROR", 300, []string{`"p="`}
	want[2] = `    b.example.net. 300 IN TXT "p="`
	if got := records(e); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestText_says_where_alignment_was_not_looked_at(t *testing.T) {
	t.Parallel()
	for code, want := range map[result.Code]string{
		"dmarc-align-no-record": "example.org: pass, not compared, as no DMARC record applies",
		"dmarc-align-same":      "example.org: pass, not aligned (the same name as the From domain)",
	} {
		r := &verify.Report{Checks: []result.Outcome{{Method: verify.MethodDMARC, Detail: &dmarc.Result{
			SPF: dmarc.Alignment{Identifier: dmarc.Identifier{Domain: "example.org", Word: result.Pass}, Why: result.Because(code)},
		}}}}
		if out := flat(textOf(t, r)); !strings.Contains(out, "SPF domain: "+want) {
			t.Errorf("%s: want %q in\n%s", code, want, out)
		}
	}
}

// The reason beside the result is not said again under its term.
func TestText_says_a_reason_once(t *testing.T) {
	t.Parallel()
	why := result.Because("spf-target-without-record", "term", "include:example.net", "domain", "example.org", "target", "example.net")
	r := &verify.Report{Checks: []result.Outcome{{Method: verify.MethodSPF, Result: result.PermError, Reason: why, Detail: &spf.Result{
		Root: &spf.Record{Domain: "example.org", Terms: []spf.Term{{Text: "include:example.net", Outcome: spf.Failed, Why: why}}},
	}}}}
	if out := flat(textOf(t, r)); strings.Count(out, "example.net has no SPF record") != 1 {
		t.Errorf("want the reason once:\n%s", out)
	}
}

func TestText_shows_the_null_sender(t *testing.T) {
	t.Parallel()
	if out := flat(textOf(t, &verify.Report{})); !strings.Contains(out, "with <> as its sender") {
		t.Errorf("the greeting hides the null sender:\n%s", out)
	}
}

func TestText_writes_methods_as_people_do(t *testing.T) {
	t.Parallel()
	f := result.Found(result.Error, "dmarc-strict-alignment", "method", "dkim", "tag", "adkim", "domain", "a.example.org", "author", "example.org")
	if got := composer(t).finding(f); !strings.HasPrefix(got, "DKIM passes for a.example.org") {
		t.Errorf("got %q", got)
	}
}

func TestText_public_key_stands_behind_its_record(t *testing.T) {
	t.Parallel()
	r := &verify.Report{Checks: []result.Outcome{{Method: verify.MethodDKIM, Result: result.Pass,
		Evidence: []result.Evidence{{Name: "s._domainkey.example.org", Type: "TXT", TTL: 60, Data: []string{`"p=x"`}}},
		Detail:   &dkim.Signature{KeyName: "s._domainkey.example.org", Key: &dkim.Key{Bits: 2048}}}}}
	want := "    s._domainkey.example.org. 60 IN TXT \"p=x\"\nPublic key used for verification: s._domainkey.example.org (2048 bits)\n"
	if out := textOf(t, r); !strings.Contains(out, want) {
		t.Errorf("want %q in\n%s", want, out)
	}
}

func TestOriginal_has_no_blank_at_the_end_of_our_fields(t *testing.T) {
	t.Parallel()
	r := &verify.Report{Host: "verifier.example", Checks: []result.Outcome{
		{Method: verify.MethodDKIM, Result: result.None}, {Method: verify.MethodDMARC, Result: result.PermError},
	}}
	if got, want := authenticationResults(restored(t, r)), "verifier.example; dkim=none; dmarc=permerror"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
