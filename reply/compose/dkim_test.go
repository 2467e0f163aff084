package compose

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"checkauth/reply/policy"
	"checkauth/verify"
	"checkauth/verify/dkim"
	"checkauth/verify/dmarc"
	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// value is what stands behind a label in the details of the checks, unwrapped; "" where it is not there.
func value(text, label string) string {
	_, rest, found := strings.Cut(text, "\n"+label)
	if !found {
		return ""
	}
	var lines []string
	for i, l := range strings.Split(rest, "\n") {
		if i > 0 && !strings.HasPrefix(l, strings.Repeat(" ", valueColumn)) {
			break
		}
		lines = append(lines, l)
	}
	return flat(strings.Join(lines, " "))
}

// signedReport has a signature that passes, of the author's own domain; change makes it another one.
func signedReport(change func(s *dkim.Signature, k *result.Outcome, d *dmarc.Result)) *verify.Report {
	yes := true
	s := &dkim.Signature{Domain: "example.org", Selector: "s1", Algorithm: "rsa-sha256", Header: "relaxed", Body: "relaxed", Signed: []string{"From", "To"},
		HashClaimed: "AAAA", HashComputed: "AAAA", BodyVerifies: true, HeaderVerifies: &yes, CanonLength: 100,
		KeyName: "s1._domainkey.example.org", KeyTTL: 300, Key: &dkim.Key{Type: "rsa", Bits: 2048}, Evaluated: true}
	d := &dmarc.Result{Author: "example.org", DKIM: []dmarc.Alignment{{Identifier: dmarc.Identifier{Domain: "example.org"}, Aligned: true}}}
	k := result.Outcome{Method: verify.MethodDKIM, Result: result.Pass, Detail: s}
	if change != nil {
		change(s, &k, d)
	}
	return &verify.Report{Checks: []result.Outcome{k, {Method: verify.MethodDMARC, Detail: d}}}
}

func TestText_says_of_each_signature(t *testing.T) {
	t.Parallel()
	no := false
	length := int64(54)
	type signed = func(s *dkim.Signature, k *result.Outcome, d *dmarc.Result)
	fails := func(s *dkim.Signature, k *result.Outcome) {
		k.Result, s.BodyVerifies, s.HashComputed = result.Fail, false, "BBBB"
	}
	for _, c := range []struct {
		name, label, want string
		change            signed
	}{
		{"nothing broken", "Broken:", "", nil},
		{"the body alone", "Broken:", "the body hash alone: the body is not the one that was signed, the header is",
			func(s *dkim.Signature, k *result.Outcome, _ *dmarc.Result) { fails(s, k) }},
		{"the header alone", "Broken:", "the signature of the header; the body is as it was signed",
			func(s *dkim.Signature, k *result.Outcome, _ *dmarc.Result) {
				k.Result, s.HeaderVerifies = result.Fail, &no
			}},
		{"the header alone, by its word", "Broken:", "the signature of the header; the body is as it was signed",
			func(s *dkim.Signature, k *result.Outcome, _ *dmarc.Result) {
				k.Result, s.HeaderVerifies = result.Fail, nil
			}},
		{"both", "Broken:", "the body hash and the signature of the header",
			func(s *dkim.Signature, k *result.Outcome, _ *dmarc.Result) { fails(s, k); s.HeaderVerifies = &no }},
		{"no key", "Broken:", "the body hash: the body is not the one that was signed",
			func(s *dkim.Signature, k *result.Outcome, _ *dmarc.Result) {
				fails(s, k)
				s.HeaderVerifies, s.Key = nil, nil
			}},
		{"no i=", "Identity:", "", nil},
		{"i=", "Identity:", "i=ann@example.org", func(s *dkim.Signature, _ *result.Outcome, _ *dmarc.Result) { s.Identity = "ann@example.org" }},
		{"no l=", "Signed body:", "", nil},
		{"l=", "Signed body:", "l=54 of 100 octets", func(s *dkim.Signature, _ *result.Outcome, _ *dmarc.Result) { s.Length = &length }},
		{"l= of a body that was not hashed", "Signed body:", "l=54",
			func(s *dkim.Signature, _ *result.Outcome, _ *dmarc.Result) {
				s.Length, s.HashComputed, s.CanonLength = &length, "", 0
			}},
		{"a key", "Key:", "s1._domainkey.example.org, TTL 300 k=rsa, 2048 bits", nil},
		{"a key with all there is", "Key:", "s1._domainkey.example.org, TTL 300 k=rsa, revoked, h=sha256, s=email:*, t=y:s, n=for https //example.org",
			func(s *dkim.Signature, _ *result.Outcome, _ *dmarc.Result) {
				s.Key = &dkim.Key{Type: "rsa", Revoked: true, Hashes: []string{"sha256"}, Services: []string{"email", "*"}, Flags: []string{"y", "s"}, Notes: "for https://example.org"}
			}},
		{"no key record", "Key:", "", func(s *dkim.Signature, _ *result.Outcome, _ *dmarc.Result) { s.Key = nil }},
		{"who verifies", "Verified by:", "every receiver that knows DKIM", nil},
		{"nobody verifies without a key", "Verified by:", "", func(s *dkim.Signature, _ *result.Outcome, _ *dmarc.Result) { s.Key.Bits = 0 }},
		{"it counts", "For DMARC:", "it counts: example.org aligns with the domain of From (example.org)", nil},
		{"it would count", "For DMARC:", "it would count if it passed: example.org aligns with the domain of From (example.org)",
			func(_ *dkim.Signature, k *result.Outcome, _ *dmarc.Result) { k.Result = result.Fail }},
		{"DMARC did not run", "For DMARC:", "", func(_ *dkim.Signature, _ *result.Outcome, d *dmarc.Result) { d.DKIM = nil }},
		{"beyond the bound", "For DMARC:", "", func(s *dkim.Signature, _ *result.Outcome, _ *dmarc.Result) { s.Evaluated = false }},
		{"over-signed", "Signed fields:", "From +from To +To +to +Cc (+ the message has no further field of that name: none can be added without breaking the signature)",
			func(s *dkim.Signature, _ *result.Outcome, _ *dmarc.Result) {
				s.Signed, s.OverSigned = []string{"From", "from", "To", "To", "to", "Cc"}, []string{"from", "To", "to", "Cc"}
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := value(textOf(t, signedReport(c.change)), c.label); got != c.want {
				t.Errorf("%s got %q, want %q", c.label, got, c.want)
			}
		})
	}
}

// An unproved address gets no words of the message by way of a signature.
func TestHostile_44_no_words_by_a_signature(t *testing.T) {
	t.Parallel()
	r := signedReport(func(s *dkim.Signature, _ *result.Outcome, _ *dmarc.Result) {
		s.Identity = "@mail.example.org"
		s.CanonHeader, s.CanonBody = []byte("subject:pills"), []byte("pills")
	})
	r.Session.MailFrom = "a@example.org"
	r.Findings = []result.Finding{
		result.Found(result.Error, "dkim-header-rewritten", "domain", result.Domain("example.org"), "selector", "s1", "field", "Subject", "was", "pills"),
		result.Found(result.Error, "dkim-subject-tagged", "domain", result.Domain("example.org"), "selector", "s1", "tag", "[pills]"),
		result.Found(result.Error, "dkim-body-changed-footer", "domain", result.Domain("example.org"), "selector", "s1", "lines", "1", "text", "pills"),
		result.Found(result.Error, "dkim-body-reencoded", "domain", result.Domain("example.org"), "selector", "s1", "was", result.Ours("iso-8859-1"), "is", result.Ours("utf-8")),
	}
	text, err := composer(t).Text(restored(t, r), policy.Decision{Class: policy.Open}, data(""))
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{text, string(asJSON(t, r, policy.Open))} {
		if strings.Contains(out, "pills") || !strings.Contains(flat(out), "The signature of example.org") || !strings.Contains(out, "iso-8859-1") {
			t.Errorf("want no word of the message, and the facts:\n%s", out)
		}
	}
	if r.Findings[0].Args.Get("was") != "pills" {
		t.Error("the caller's report was changed")
	}
}

// RFC 6376, 3.5: l= over the whole body passes, and the report says who refuses it all the same; over a part of it the
// report says who accepts that, and what of DMARC depends on it.
func TestLengthTag_in_the_report(t *testing.T) {
	t.Parallel()
	const dir, appended = incidents + "/14-dkim-l-tag-appended", "Click here to win: http://unsigned.example/"
	for _, c := range []struct {
		name, cut, spf, dkim, dmarc string
		verdict                     verify.VerdictWord
		says, not                   []string
	}{
		{"the whole body, without SPF", "\n" + appended + "\n", "v=spf1 ?all", "pass", "pass", verify.Authenticated,
			[]string{"Nothing follows the signed octets", "refuse every signature with l=", "Verified by: receivers that take l= where", "it counts: gable-homes.example aligns", "remove l= from the signer's settings"},
			[]string{"DMARC depends on it", "does not verify, because", "NOT AUTHENTICATED"}},
		{"a part of it, with SPF", "", "v=spf1 ip4:192.0.2.76 -all", "policy", "pass", verify.Authenticated,
			[]string{"RFC 6376, 3.5 and some receivers let such a signature pass; others (rspamd, go-msgauth) do not", "but DMARC passes without it", "remove l= from the signer's settings"},
			[]string{"Whether DMARC passes", "DMARC depends on it"}},
		{"a part of it, without SPF", "", "v=spf1 ?all", "policy", "fail", verify.NotProved,
			[]string{"RFC 6376, 3.5 and some receivers let such a signature pass", "Whether DMARC passes for gable-homes.example depends on the receiver", "so DMARC depends on it"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			changed := t.TempDir()
			for name, change := range map[string]func(string) string{
				"case.json":   func(s string) string { return s },
				"message.eml": func(s string) string { return strings.Replace(s, c.cut, "", 1) },
				"zone.txt":    func(s string) string { return strings.Replace(s, "v=spf1 ip4:192.0.2.76 -all", c.spf, 1) },
			} {
				s := change(strings.ReplaceAll(string(read(t, dir, name)), "\r\n", "\n"))
				if name == "message.eml" {
					s = strings.ReplaceAll(s, "\n", "\r\n")
				}
				if err := os.WriteFile(filepath.Join(changed, name), []byte(s), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			r := incident(t, changed)
			if d, m := r.Check(verify.MethodDKIM).Result, r.Check(verify.MethodDMARC).Result; string(d) != c.dkim || string(m) != c.dmarc || r.Verdict.Word != c.verdict {
				t.Errorf("dkim %s, dmarc %s, verdict %s; want %s, %s and %s", d, m, r.Verdict.Word, c.dkim, c.dmarc, c.verdict)
			}
			saysFindings(t, r, policy.Proved)
			text, err := composer(t).Text(r, policy.Decision{Class: policy.Proved}, mail.Data{})
			if err != nil {
				t.Fatal(err)
			}
			said := unfolded(text)
			for _, want := range c.says {
				if !strings.Contains(said, want) {
					t.Errorf("%q is missing in\n%s", want, text)
				}
			}
			for _, not := range c.not {
				if strings.Contains(said, not) {
					t.Errorf("%q stands in\n%s", not, text)
				}
			}
		})
	}
}
