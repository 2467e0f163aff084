package receivers

import (
	"slices"
	"testing"
	"time"

	"checkauth/verify"
	"checkauth/verify/dkim"
	"checkauth/verify/dmarc"
	"checkauth/verify/header"
	"checkauth/verify/helo"
	"checkauth/verify/mail"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

func record(terms ...string) *spf.Record {
	r := &spf.Record{}
	for _, t := range terms {
		r.Terms = append(r.Terms, spf.Term{Text: t})
	}
	return r
}

func TestSPFRecordIsReadForWhatItSaysOfEverybody(t *testing.T) {
	t.Parallel()
	behind := record("mx", "redirect=_spf.example.org")
	behind.Terms[1].Record = record("ip4:192.0.2.1", "~ALL")
	loop := record("redirect=example.org")
	loop.Terms[0].Record = loop
	for _, c := range []struct {
		name  string
		rec   *spf.Record
		all   result.Word
		never bool
	}{
		{"+all", record("mx", "+all"), result.Pass, false},
		{"all without a sign", record("all"), result.Pass, false},
		{"-all alone", record("-all"), result.Fail, true},
		{"-all behind a term", record("a", "-all"), result.Fail, false},
		{"?all", record("?all"), result.Neutral, false},
		{"no all", record("a", "allow=x", ""), "", false},
		{"behind a redirect", behind, result.SoftFail, false},
		{"a redirect to itself", loop, "", false},
		{"no record", nil, "", false},
	} {
		var f Facts
		f.learnSPF(result.Outcome{Method: verify.MethodSPF, Result: result.Fail, Detail: &spf.Result{Root: c.rec}})
		if f.SPFAll != Known(c.all) || f.SPFNever != Known(c.never) {
			t.Errorf("%s: got %+v, %+v, want %q, %t", c.name, f.SPFAll, f.SPFNever, c.all, c.never)
		}
	}
	var f Facts
	f.learnSPF(result.Outcome{Method: verify.MethodSPF, Result: result.TempError, Detail: &spf.Result{}})
	if !f.SPFAll.Failed || !f.SPFNever.Failed {
		t.Errorf("temperror: got %+v, %+v, want both failed", f.SPFAll, f.SPFNever)
	}
}

func TestSignaturesThatWereNotEvaluatedAreInDoubt(t *testing.T) {
	t.Parallel()
	r := &verify.Report{Checks: []result.Outcome{
		{Method: verify.MethodSPF, Result: result.None, Detail: &spf.Result{}},
		{Method: verify.MethodDMARC, Result: result.None, Detail: &dmarc.Result{Author: "mail.example.co.uk"}},
		{Method: verify.MethodDKIM, Result: result.Fail, Detail: &dkim.Signature{Domain: "Example.co.uk", Evaluated: true}},
		{Method: verify.MethodDKIM, Result: result.Policy, Detail: &dkim.Signature{Domain: "other.co.uk"}},
	}}
	f := FactsOf(r)
	if got := spfOrDKIM(f, nil); got != Undecided {
		t.Errorf("got %q, want %q", got, Undecided)
	}
	if s := f.DKIM.Value; !s[0].Aligned || s[1].Aligned {
		t.Errorf("alignment by the public suffix list: got %+v", s)
	}
	r.Checks = append(r.Checks, result.Outcome{Method: verify.MethodDKIM, Result: result.TempError})
	if f := FactsOf(r); !f.DKIM.Failed {
		t.Errorf("a check that panicked: got %+v", f.DKIM)
	}
}

func TestHeaderIsRead(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	const plain = "From: Ann <ann@example.org>\r\nDate: Fri, 1 May 2026 11:59:00 +0000\r\nMessage-ID: <1@example.org>\r\n"
	for _, c := range []struct {
		name, header string
		broken       []string // predicates that are not met
	}{
		{"as it should be", plain, nil},
		{"with a comment behind the id", "From: a@example.org\r\nDate: Fri, 1 May 2026 11:59:00 +0000\r\nMessage-ID: <1@example.org> (added by mail.example.org)\r\n", nil},
		{"two To", plain + "To: a@example.org\r\nTO: b@example.org\r\n", []string{"no-duplicate-fields"}},
		{"two From", plain + "From: b@example.net\r\n", []string{"no-duplicate-fields", "one-from"}},
		{"two authors", "From: a@example.org, b@example.org\r\nDate: Fri, 1 May 2026 11:59:00 +0000\r\nMessage-ID: <1@example.org>\r\n", []string{"one-from"}},
		{"no field but one", "Subject: x\r\n", []string{"date-in-range", "message-id", "one-from"}},
		{"a line that is no field", plain + "no field\r\n", []string{"header-well-formed"}},
		{"white space before the colon", plain + "Subject : x\r\n", []string{"header-well-formed"}},
		{"an id without a domain", "From: a@example.org\r\nDate: Fri, 1 May 2026 11:59:00 +0000\r\nMessage-ID: <1>\r\n", []string{"header-well-formed", "message-id"}},
		{"an id without brackets", "From: a@example.org\r\nDate: Fri, 1 May 2026 11:59:00 +0000\r\nMessage-ID: 1@example.org\r\n", []string{"header-well-formed", "message-id"}},
		{"a Date of tomorrow's tomorrow", "From: a@example.org\r\nDate: Sun, 3 May 2026 11:59:00 +0000\r\nMessage-ID: <1@example.org>\r\n", []string{"date-in-range"}},
		{"a clock that was never set", "From: a@example.org\r\nDate: Thu, 1 Jan 1970 00:00:01 +0000\r\nMessage-ID: <1@example.org>\r\n", []string{"date-in-range"}},
		{"a Date that cannot be read", "From: a@example.org\r\nDate: today\r\nMessage-ID: <1@example.org>\r\n", []string{"date-in-range", "header-well-formed"}},
		{"the receiver's own domain", "From: a@gmail.com\r\nDate: Fri, 1 May 2026 11:59:00 +0000\r\nMessage-ID: <1@example.org>\r\n", []string{"not-from-receiver-domain"}},
	} {
		f := headerFacts(t, c.header, now)
		f.DMARC = result.None
		var got []string
		for _, name := range []string{"date-in-range", "header-well-formed", "message-id", "no-duplicate-fields", "not-from-receiver-domain", "one-from"} {
			switch predicates[name](f, &builtinSet(t).receivers[0]) {
			case NotMet:
				got = append(got, name)
			case Undecided, NotSeen:
				t.Errorf("%s: %s is not known", c.name, name)
			}
		}
		if !slices.Equal(got, c.broken) {
			t.Errorf("%s: not met: %v, want %v", c.name, got, c.broken)
		}
	}
}

func headerFacts(t testing.TB, text string, now time.Time) Facts {
	t.Helper()
	fs, err := mail.Parse([]byte(text), mail.DefaultBounds())
	if err != nil {
		t.Skip(err)
	}
	checked := header.Check(fs, header.Facts{Received: now})
	return FactsOf(&verify.Report{Time: now, Message: verify.MessageFacts{Fields: fs}, Checks: []result.Outcome{
		{Method: verify.MethodDKIM, Result: result.None}, {Method: verify.MethodHeader, Result: checked.Word, Detail: &checked},
	}})
}

func TestUnsubscribeIsRead(t *testing.T) {
	t.Parallel()
	const (
		list = "List-Unsubscribe: <mailto:u@example.org>, <HTTPS://example.org/u>\r\n"
		post = "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
	)
	for _, c := range []struct {
		name, header     string
		signed           []string
		any, click, held bool
	}{
		{"both, signed", list + post, []string{"from", "list-unsubscribe", "List-Unsubscribe-Post"}, true, true, true},
		{"both, one signed", list + post, []string{"From", "List-Unsubscribe"}, true, true, false},
		{"by mail alone", "List-Unsubscribe: <mailto:u@example.org>\r\n" + post, nil, true, false, false},
		{"no click", list, nil, true, false, false},
		{"none", "Subject: x\r\n", nil, false, false, false},
	} {
		fs, err := mail.Parse([]byte(c.header), mail.DefaultBounds())
		if err != nil {
			t.Fatal(err)
		}
		f := FactsOf(&verify.Report{Message: verify.MessageFacts{Fields: fs}, Checks: []result.Outcome{
			{Method: verify.MethodDKIM, Result: result.Pass, Detail: &dkim.Signature{Domain: "example.org", Signed: c.signed, Evaluated: true}},
		}})
		if f.Unsubscribe != Known(c.any) || f.OneClick != Known(c.click) || f.UnsubscribeSigned != Known(c.held) {
			t.Errorf("%s: got %+v, %+v, %+v", c.name, f.Unsubscribe, f.OneClick, f.UnsubscribeSigned)
		}
	}
}

func TestSessionIsRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		helo, kind      string
		good, full, own bool
	}{
		{"mail.example.org", "name", true, true, true},
		{"localhost", "name", true, false, true},
		{"mail.lan", "name", true, false, true},
		{"[192.0.2.25]", "literal", true, false, true},
		{"?192.168.1.5?", "invalid", false, false, true},
		{"Verifier.Example.", "name", true, true, false},
		{"example.net", "name", true, true, false},
	} {
		f := FactsOf(&verify.Report{Host: "verifier.example", Session: verify.Session{Helo: c.helo, RcptTo: []string{"a@example.net"}},
			Checks: []result.Outcome{{Method: verify.MethodHelo, Detail: &helo.Result{Kind: c.kind}}}})
		if f.HeloGood != Known(c.good) || f.HeloFull != Known(c.full) || f.HeloOwn != Known(c.own) {
			t.Errorf("%q: got %+v, %+v, %+v", c.helo, f.HeloGood, f.HeloFull, f.HeloOwn)
		}
	}
	for word, want := range map[result.Word]Fact[bool]{
		result.Pass: Known(true), result.None: Known(false), result.NotRun: Failed[bool](), result.TempError: Failed[bool](),
	} {
		if f := FactsOf(&verify.Report{Checks: []result.Outcome{{Method: verify.MethodTLS, Result: word}}}); f.TLS != want {
			t.Errorf("TLS %s: got %+v, want %+v", word, f.TLS, want)
		}
	}
}

func TestPTRNamesAreReadWhereTheyLeadBack(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name             string
		word             result.Word
		severity         result.Severity
		generic, dynamic Fact[bool]
	}{
		{"chosen", result.Pass, "", Known(false), Known(false)},
		{"made of the address", result.Pass, result.Info, Known(true), Known(false)},
		{"of a line", result.Pass, result.Warning, Known(true), Known(true)},
		{"leads elsewhere", result.Fail, "", Fact[bool]{}, Fact[bool]{}},
		{"not told", result.TempError, "", Failed[bool](), Failed[bool]()},
	} {
		r := &verify.Report{Checks: []result.Outcome{{Method: verify.MethodIPRev, Result: c.word}}}
		if c.severity != "" {
			r.Findings = []result.Finding{{Code: "iprev-generic-name", Severity: c.severity}}
		}
		if f := FactsOf(r); f.Generic != c.generic || f.Dynamic != c.dynamic {
			t.Errorf("%s: got %+v, %+v", c.name, f.Generic, f.Dynamic)
		}
	}
}

func TestDomainsAreKnownByWhatTheChecksAsked(t *testing.T) {
	t.Parallel()
	ok := func(name, kind string, data ...string) result.Evidence {
		return result.Evidence{Name: name, Type: kind, Rcode: "NOERROR", Data: data}
	}
	bad := func(name, kind, rcode string) result.Evidence {
		return result.Evidence{Name: name, Type: kind, Rcode: rcode}
	}
	const d = "mail.example.org"
	for _, c := range []struct {
		name          string
		answers       []result.Evidence
		exists, takes Fact[bool]
	}{
		{"nothing asked", nil, Fact[bool]{}, Fact[bool]{}},
		{"a record of the name", []result.Evidence{ok(d, "TXT", "x")}, Known(true), Fact[bool]{}},
		{"no such record of the name", []result.Evidence{ok("Mail.example.org", "TXT")}, Known(true), Fact[bool]{}},
		{"a record below the name", []result.Evidence{ok("_dmarc."+d, "TXT", "x")}, Known(true), Fact[bool]{}},
		{"nothing below the name", []result.Evidence{bad("_dmarc."+d, "TXT", "NXDOMAIN")}, Fact[bool]{}, Fact[bool]{}},
		{"no such name", []result.Evidence{bad(d, "TXT", "NXDOMAIN")}, Known(false), Known(false)},
		{"no such name above", []result.Evidence{bad("example.org", "TXT", "NXDOMAIN")}, Known(false), Known(false)},
		{"a server that failed", []result.Evidence{bad(d, "TXT", "SERVFAIL")}, Failed[bool](), Fact[bool]{}},
		{"another name", []result.Evidence{bad("xmail.example.org", "TXT", "NXDOMAIN")}, Fact[bool]{}, Fact[bool]{}},
		{"MX", []result.Evidence{ok(d, "MX", "10 mx.example.org.")}, Known(true), Known(true)},
		{"null MX, with an address", []result.Evidence{ok(d, "A", "192.0.2.1"), ok(d, "MX", "0 .")}, Known(true), Known(false)},
		{"an address, the other family failed", []result.Evidence{ok(d, "A", "192.0.2.1"), bad(d, "AAAA", "TIMEOUT")}, Known(true), Known(true)},
		{"none of the three", []result.Evidence{ok(d, "A"), ok(d, "AAAA"), ok(d, "MX")}, Known(true), Known(false)},
		{"two of the three", []result.Evidence{ok(d, "A"), ok(d, "MX")}, Known(true), Fact[bool]{}},
	} {
		f := FactsOf(&verify.Report{Session: verify.Session{MailFrom: "a@" + d}, Checks: []result.Outcome{
			{Method: verify.MethodSPF, Result: result.None, Evidence: c.answers, Detail: &spf.Result{}},
			{Method: verify.MethodDMARC, Result: result.None, Detail: &dmarc.Result{Author: d}},
		}})
		if f.EnvelopeResolvable != c.exists || f.FromResolvable != c.exists || f.FromTakesMail != c.takes {
			t.Errorf("%s: got %+v, %+v, %+v", c.name, f.EnvelopeResolvable, f.FromResolvable, f.FromTakesMail)
		}
	}
}

func TestAHeaderThatCannotBeReadIsNotHeldAgainstAnybody(t *testing.T) {
	t.Parallel()
	f := FactsOf(&verify.Report{Checks: []result.Outcome{
		{Method: verify.MethodDKIM, Result: result.NotRun}, {Method: verify.MethodDMARC, Result: result.NotRun},
	}})
	for _, name := range []string{"one-from", "no-duplicate-fields", "header-well-formed", "message-id", "date-in-range", "dkim-pass", "dmarc-pass"} {
		if got := predicates[name](f, nil); got != Undecided {
			t.Errorf("%s: got %q, want %q", name, got, Undecided)
		}
	}
}

// No header makes a receiver take what the checks refute, and none makes the reading fail.
func FuzzFactsOf(f *testing.F) {
	f.Add("From: a@example.org\r\nDate: Fri, 1 May 2026 11:59:00 +0000\r\n")
	f.Add("From: a@gmail.com\r\nFrom: b\r\nMessage-ID: <>\r\nList-Unsubscribe: <https://\r\nARC-Seal: i=1\r\n")
	f.Add(" fold\r\nX\x00:\r\nDate: \r\n")
	set, err := Load()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, header string) {
		facts := headerFacts(t, header, time.Unix(1777636800, 0))
		facts.SPF, facts.DMARC, facts.Policy = result.Fail, result.Fail, "reject"
		for _, v := range set.Judge(facts) {
			if v.ID != "tonline" && v.Verdict != Reject {
				t.Fatalf("%s: %s", v.ID, v.Verdict)
			}
		}
	})
}
