package dmarc_test

import (
	"slices"
	"testing"

	"checkauth/verify/dmarc"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// finding gives the first one of a code.
func finding(r dmarc.Result, code result.Code) (result.Finding, bool) {
	i := slices.IndexFunc(r.Findings, func(f result.Finding) bool { return f.Code == code })
	if i < 0 {
		return result.Finding{}, false
	}
	return r.Findings[i], true
}

func TestNoRecord_tells_where_it_went(t *testing.T) {
	t.Parallel()
	const record = `TXT "v=DMARC1; p=reject"` + "\n"
	for _, c := range []struct {
		name, zone string
		reason     result.Code
		findings   []string
	}{
		{"nowhere", "", "dmarc-no-record", []string{"warning dmarc-none"}},
		{"at the apex", "example.org. " + record, "dmarc-no-record", []string{"error dmarc-wrong-name"}},
		{"without the underscore", "dmarc.example.org. " + record, "dmarc-no-record", []string{"error dmarc-wrong-name"}},
		{"the domain twice", "_dmarc.example.org.example.org. " + record, "dmarc-no-record", []string{"error dmarc-wrong-name"}},
		{"two wrong names", "dmarc.example.org. " + record + "example.org. " + record, "dmarc-no-record", []string{"error dmarc-wrong-name", "error dmarc-wrong-name"}},
		{"a wildcard of SPF", `*.example.org. TXT "v=spf1 -all"`, "dmarc-no-record", []string{"info dmarc-other-text", "warning dmarc-none"}},
		{"cannot be read", `_dmarc.example.org. TXT "v=DMARC1 p=reject"`, "dmarc-record-unreadable", []string{"error dmarc-syntax"}},
		{"two of them", "_dmarc.example.org. " + record + `_dmarc.example.org. TXT "v=DMARC1; p=none"`, "dmarc-records-dropped", []string{"error dmarc-multiple-records"}},
		{"what the top-level domain has is not said", `_dmarc.org. TXT "v=dmarc1"`, "dmarc-no-record", []string{"warning dmarc-none"}},
		{"an error at the wrong names changes nothing", `
;FAULT SERVFAIL example.org. TXT
;FAULT SERVFAIL dmarc.example.org. TXT
;FAULT REFUSED _dmarc.example.org.example.org. TXT
`, "dmarc-no-record", []string{"warning dmarc-none"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := check(t, c.zone, query("example.org", "spf pass example.org", "dkim pass a.example.org"))
			if r.Word != result.None || r.Reason.Code != c.reason || r.Cause != nil || r.Policy != "" || r.PolicyName != "" {
				t.Errorf("got %s (%s), %v, policy %q of %q; want none (%s)", r.Word, r.Reason, r.Cause, r.Policy, r.PolicyName, c.reason)
			}
			want(t, r, c.findings...)
			if f, ok := finding(r, "dmarc-wrong-name"); ok && (f.Args.Get("right") != "_dmarc.example.org" || len(f.Evidence) != 1) {
				t.Errorf("got %+v, want the right name and the answer", f)
			}
		})
	}
}

func TestNoRecord_asks_three_questions_more(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, "")
	dmarc.Evaluator{DNS: s.Client(t)}.Check(t.Context(), query("a.b.c.d.e.f.g.h.i.j", "spf pass x.a.b.c.d.e.f.g.h.i.j"))
	if got := len(s.Queries()); got != 8+3 {
		t.Errorf("%d questions: %q; want 11", got, s.Queries())
	}
}

func TestAlignment_findings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, tags  string
		identifiers []string
		findings    []string
	}{
		{"all is well", "", []string{"spf pass example.org", "dkim pass example.org"}, nil},
		{"a vendor's", "", []string{"spf pass example.net", "dkim pass example.net", "dkim pass example.net"}, []string{"error dkim-not-aligned", "error spf-not-aligned"}},
		{"DKIM saves it", "", []string{"spf pass example.net", "dkim pass example.org"}, []string{"info spf-not-aligned"}},
		{"a second signature of a vendor", "", []string{"dkim pass example.net", "dkim pass example.org"}, nil},
		{"SPF saves it", "", []string{"spf pass example.org", "dkim pass example.net"}, []string{"warning dkim-not-aligned"}},
		{"what fails is not named here", "", []string{"spf fail example.net", "dkim fail example.net"}, nil},
		{"strict", "; adkim=s; aspf=s", []string{"spf pass a.example.org", "dkim pass a.example.org"}, []string{"error dmarc-strict-alignment", "error dmarc-strict-alignment"}},
		{"strict for SPF alone", "; aspf=s", []string{"spf pass a.example.org", "dkim pass a.example.org"}, []string{"info dmarc-strict-alignment"}},
		{"strict, and relaxed would not help", "; adkim=s; aspf=s", []string{"spf pass example.net", "dkim pass example.net"}, []string{"error dkim-not-aligned", "error spf-not-aligned"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := check(t, `_dmarc.example.org. TXT "v=DMARC1; p=reject`+c.tags+`"`, query("example.org", c.identifiers...))
			want(t, r, c.findings...)
		})
	}
}

func TestRecord_findings(t *testing.T) {
	t.Parallel()
	for record, findings := range map[string][]string{
		"v=DMARC1; p=reject":                               nil,
		"v=DMARC1; p=reject; pct=50":                       {"info dmarc-historic-tag"},
		"v=DMARC1; p=reject; x=1":                          {"info dmarc-unknown-tag"},
		"v=DMARC1; p=reject; p=none":                       {"warning dmarc-duplicate-tag"},
		"v=DMARC1; sp=none; p=reject":                      {"info dmarc-p-not-second"},
		"v=DMARC1; p=reject; adkim=x":                      {"warning dmarc-syntax"},
		"v=DMARC1; p=rejct; rua=mailto:d@example.org":      {"warning dmarc-syntax"},
		"v=DMARC1; p=rejct":                                {"error dmarc-syntax"},
		"v=DMARC1; p=reject; t=y; aspf=r; fo=1; x=1; pct=": {"info dmarc-historic-tag", "info dmarc-testing", "info dmarc-unknown-tag", "info dmarc-old-view-differs"},
	} {
		r := check(t, "example.org. MX 10 mx.example.org.\n"+`_dmarc.example.org. TXT "`+record+`"`, query("example.org", "spf pass example.org"))
		t.Log(record)
		want(t, r, findings...)
		if f, ok := finding(r, "dmarc-syntax"); ok && (f.Args.Get("column") == "" || f.Args.Get("tag") == "" || f.Args.Get("name") != "_dmarc.example.org") {
			t.Errorf("%s: got %+v, want name, tag and column", record, f)
		}
	}
}

func TestSubdomain_policy_finding(t *testing.T) {
	t.Parallel()
	zone := `
a.example.org. A 192.0.2.1
_dmarc.example.org. TXT "v=DMARC1; p=none; sp=reject; np=none"
`
	want(t, check(t, zone, query("a.example.org")), "warning dmarc-subdomain-policy")
	want(t, check(t, zone, query("a.example.org", "spf pass a.example.org")), "info dmarc-subdomain-policy")
	want(t, check(t, zone, query("ghost.example.org")), "info dmarc-subdomain-policy", "info dmarc-old-view-differs")
	want(t, check(t, zone, query("example.org")))
}

func TestTempError_finding_has_its_evidence(t *testing.T) {
	t.Parallel()
	r := check(t, ";FAULT BOGUS _dmarc.example.org. TXT", query("example.org"))
	want(t, r, "error dns-dnssec-bogus")
	if f := r.Findings[0]; len(f.Evidence) != 1 || f.Args.Get("name") != "_dmarc.example.org" || r.Reason.Code != f.Code {
		t.Errorf("got %+v with reason %s", f, r.Reason)
	}
}

// RFC 9989, 11.8: psd=n in one's own record keeps strangers out.
func TestRFC9989_11_8_suffix_without_psd(t *testing.T) {
	t.Parallel()
	suffix := `_dmarc.co.uk. TXT "v=DMARC1; p=reject"` + "\n"
	r := check(t, suffix, query("a.co.uk", "dkim pass b.co.uk"))
	if r.Word != result.Pass || r.Org != "co.uk" {
		t.Errorf("got %s in %q, want a pass in co.uk", r.Word, r.Org)
	}
	want(t, r, "warning dmarc-suffix-without-psd", "info dmarc-old-view-differs")
	r = check(t, suffix+`_dmarc.a.co.uk. TXT "v=DMARC1; p=reject; psd=n"`, query("a.co.uk", "dkim fail b.co.uk"))
	want(t, r)
}

// Two From fields, one of them put there after signing: whoever signed, no domain is the author's.
func TestHostile_70_two_From_fields(t *testing.T) {
	t.Parallel()
	for _, header := range []string{
		"From: a@example.org\r\nFrom: b@example.net\r\n", "From: b@example.net\r\nSubject: x\r\nFrom: a@example.org\r\n",
	} {
		hostileFrom(t, header, "from-several-fields")
	}
}

// VU#517845: some read the first address, some the second.
func TestHostile_72_group_syntax(t *testing.T) {
	t.Parallel()
	hostileFrom(t, "From: <a@example.net>:<b@example.org>\r\n", "from-group")
}

func hostileFrom(t *testing.T, header string, code result.Code) {
	t.Helper()
	fs, err := mail.Parse([]byte(header), mail.DefaultBounds())
	if err != nil {
		t.Fatal(err)
	}
	q := query("", "spf pass example.net", "dkim pass example.org", "dkim pass example.net")
	q.From = mail.ParseFrom(fs)
	r := check(t, `_dmarc.example.org. TXT "v=DMARC1; p=reject"`, q)
	if _, ok := finding(r, code); !ok || r.Word != result.PermError || r.Author != "" {
		t.Errorf("%q: got %s for %q with %q, want permerror with %s", header, r.Word, r.Author, codes(r), code)
	}
}
