package dmarc_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"checkauth/verify/dmarc"
	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/result"
)

// statuses lists the addresses of rua and ruf with what is said of them.
func statuses(r dmarc.Result) string {
	var out []string
	for _, p := range r.Reports {
		code := func(r result.Reason) string { return strings.TrimPrefix(string(r.Code), "dmarc-report-") }
		out = append(out, strings.TrimSuffix(p.Tag+" "+code(p.Status)+" "+code(p.Mailbox), " "))
	}
	return strings.Join(out, ", ")
}

// RFC 9990, on verifying external destinations.
func TestRFC9990_external_destinations(t *testing.T) {
	t.Parallel()
	const mx = "example.net. MX 10 mx.example.net.\nexample.org. MX 10 mx.example.org.\n"
	for _, c := range []struct {
		name, author, tags, zone string
		status                   string
		findings                 []string
	}{
		{"one's own", "example.org", "rua=mailto:d@example.org", "", "rua own has-mx", nil},
		{"below one's own", "example.org", "rua=mailto:d@x.example.org", "x.example.org. A 192.0.2.1", "rua own has-address", nil},
		{"another's, agreed", "example.org", "rua=mailto:d@example.net", `example.org._report._dmarc.example.net. TXT "v=DMARC1"`, "rua authorised has-mx", nil},
		{"by a wildcard", "example.org", "rua=mailto:d@example.net", `*._report._dmarc.example.net. TXT "v=DMARC1;"`, "rua authorised has-mx", nil},
		{"with other tags, beside others", "example.org", "ruf=mailto:d@example.net", `example.org._report._dmarc.example.net. TXT "x"
example.org._report._dmarc.example.net. TXT "v=DMARC1; rua=mailto:e@example.net"
example.org._report._dmarc.example.net. TXT "v=DMARC1"`, "ruf authorised has-mx", nil},
		{"not agreed", "example.org", "rua=mailto:d@example.net", "", "rua unauthorised has-mx", []string{"warning dmarc-rua-unauthorised"}},
		{"a text that is no record", "example.org", "rua=mailto:d@example.net", `example.org._report._dmarc.example.net. TXT "v=dmarc1"`, "rua unauthorised has-mx", []string{"warning dmarc-rua-unauthorised"}},
		{"rua and ruf", "example.org", "rua=mailto:d@example.net; ruf=mailto:d@example.net", "", "rua unauthorised has-mx, ruf unauthorised has-mx",
			[]string{"warning dmarc-rua-unauthorised", "warning dmarc-rua-unauthorised"}},
		{"for the organisation's record", "a.example.org", "rua=mailto:d@example.net", `a.example.org. A 192.0.2.1
example.org._report._dmarc.example.net. TXT "v=DMARC1"`, "rua authorised has-mx", nil},
		{"the DNS fails", "example.org", "rua=mailto:d@example.net", ";FAULT SERVFAIL example.org._report._dmarc.example.net. TXT", "rua unknown has-mx", []string{"info dmarc-rua-undecided"}},
		{"an https address", "example.org", "rua=https://example.net/d", "", "rua no-mailbox", nil},
		{"an escaped address", "example.org", "rua=mailto:a%2Cb@example%2Enet?subject=x@y", `example.org._report._dmarc.example.net. TXT "v=DMARC1"`, "rua authorised has-mx", nil},
		{"an escape that is none", "example.org", "rua=mailto:a%zz@example.net", "", "rua no-mailbox", nil},
		{"a name that is too long", "example.org", "rua=mailto:d@" + strings.Repeat("abcdefg.", 29) + "net", "", "rua unauthorised no-mx", []string{"warning dmarc-rua-no-mx"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			zone := mx + c.zone + "\n" + `_dmarc.example.org. TXT "v=DMARC1; p=reject; ` + c.tags + `"`
			r := check(t, zone, query(c.author, "dkim pass "+c.author))
			if got := statuses(r); got != c.status {
				t.Errorf("got %q, want %q", got, c.status)
			}
			findings := slices.DeleteFunc(codes(r), func(code string) bool { return !strings.Contains(code, "dmarc-rua-") })
			slices.Sort(findings)
			slices.Sort(c.findings)
			if !slices.Equal(findings, c.findings) {
				t.Errorf("findings: got %q, want %q", findings, c.findings)
			}
			for _, f := range r.Findings {
				if strings.HasPrefix(string(f.Code), "dmarc-rua-") && len(f.Evidence) == 0 && !strings.HasSuffix(c.name, "too long") {
					t.Errorf("%s: no evidence", f.Code)
				}
			}
		})
	}
}

// RFC 9990: where the organisational domain of the record's name is that name, one above it is another
// organisation's.
func TestRFC9990_the_name_above_is_another(t *testing.T) {
	t.Parallel()
	zone := `_dmarc.a.example.org. TXT "v=DMARC1; p=reject; psd=n; rua=mailto:d@example.org"
example.org. MX 10 mx.example.org.`
	if got := statuses(check(t, zone, query("a.example.org"))); got != "rua unauthorised has-mx" {
		t.Errorf("got %q", got)
	}
	// A public suffix's record is the suffix's own.
	zone = `_dmarc.org. TXT "v=DMARC1; p=reject; psd=y; rua=mailto:d@example.org"
example.org. MX 10 mx.example.org.`
	if got := statuses(check(t, zone, query("example.org"))); got != "rua own has-mx" {
		t.Errorf("suffix: got %q", got)
	}
	// Where the walk fails above the record, the registered domain is what there is to go by.
	zone = `_dmarc.a.example.org. TXT "v=DMARC1; p=reject; rua=mailto:d@example.org,mailto:d@example.net"
;FAULT SERVFAIL _dmarc.example.org. TXT
example.org. MX 10 mx.example.org.
example.net. MX 10 mx.example.net.`
	if got := statuses(check(t, zone, query("a.example.org"))); got != "rua own has-mx, rua unauthorised has-mx" {
		t.Errorf("walk fails: got %q", got)
	}
}

// RFC 5321, 5.1 and RFC 7505, 3: a mailbox whose domain takes no mail.
func TestReports_mailbox(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, zone, status, finding string }{
		{"MX", "d.example.org. MX 10 mx.example.org.", "rua own has-mx", ""},
		{"an address", "d.example.org. AAAA 2001:db8::1", "rua own has-address", ""},
		{"nothing", "", "rua own no-mx", "warning dmarc-rua-no-mx"},
		{"a text", "d.example.org. TXT x", "rua own no-mx", "warning dmarc-rua-no-mx"},
		{"null MX", "d.example.org. MX 0 .\nd.example.org. A 192.0.2.1", "rua own null-mx", "warning dmarc-rua-null-mx"},
		{"null MX beside another", "d.example.org. MX 0 .\nd.example.org. MX 1 a.example.org.", "rua own has-mx", ""},
		{"the DNS fails", ";FAULT SERVFAIL d.example.org. MX", "rua own", ""},
		{"the DNS fails for the address", "d.example.org. TXT x\n;FAULT SERVFAIL d.example.org. A", "rua own", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := check(t, c.zone+"\n"+`_dmarc.example.org. TXT "v=DMARC1; p=reject; rua=mailto:d@d.example.org!10m"`, query("example.org", "dkim pass example.org"))
			if got := statuses(r); got != c.status || strings.Join(codes(r), ", ") != c.finding {
				t.Errorf("got %q with %q, want %q with %q", got, codes(r), c.status, c.finding)
			}
		})
	}
}

// counting remembers the distinct questions.
func counting(up dns.Resolver, into map[dns.Question]bool) dns.Resolver {
	return dns.ResolverFunc(func(ctx context.Context, q dns.Question) (dns.Answer, error) {
		into[q] = true
		return up.Resolve(ctx, q)
	})
}

// Whatever the record names, no more than Diagnosis is asked about it, and of a destination beyond the
// fourth nothing.
func TestAsks_no_more_than_its_budgets(t *testing.T) {
	t.Parallel()
	var uris []string
	for i := range 30 {
		uris = append(uris, fmt.Sprintf("mailto:d@d%d.example.net", i))
	}
	const deep = "a.b.c.d.e.f.example.org"
	record := `"v=DMARC1; p=reject; np=none; rua=` + strings.Join(uris[:9], ",") + `" ",` + strings.Join(uris[9:], ",") + `"`
	for _, c := range []struct{ name, zone string }{
		{"agreed to by nobody, no MX", "_dmarc.example.org. TXT " + record},
		{"no MX but a name", "_dmarc.example.org. TXT " + record + "\nd0.example.net. TXT x\nd1.example.net. TXT x\nd2.example.net. TXT x\nd3.example.net. TXT x"},
		{"psd=n below the registered domain", "_dmarc.c.d.e.f.example.org. TXT " + strings.Replace(record, "p=reject", "p=reject; psd=n", 1)},
		{"nothing", ""},
		{"an SPF record", "_dmarc." + deep + `. TXT "v=spf1 -all"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			asked, why, expected := map[dns.Question]bool{}, map[dns.Question]bool{}, 0
			zone := dnstest.Zone(t, c.zone)
			r := dmarc.Evaluator{DNS: counting(zone, asked), Diagnose: counting(zone, why), Expect: func(dns.Question) { expected++ }}.Check(t.Context(),
				query(deep, "spf pass bounce.mail.example.org", "dkim pass a.b.c.d.example.org", "dkim pass s.b.c.d.e.f.example.org"))
			if len(asked) > dmarc.Questions || len(why) > dmarc.Diagnosis || expected > dmarc.Diagnosis {
				t.Errorf("%d, %d questions, %d expected: %v %v", len(asked), len(why), expected, asked, why)
			}
			if c.name == "agreed to by nobody, no MX" && (len(r.Reports) != 20 || strings.Count(statuses(r), "not-asked") != 16) {
				t.Errorf("%d addresses: %s", len(r.Reports), statuses(r))
			}
		})
	}
}

// Within the budget a pass is found however many names are asked about in vain.
func TestBudget_never_costs_a_pass(t *testing.T) {
	t.Parallel()
	ids := []string{"spf fail x.y.z.u.v.w.example.org"}
	for i := range 9 {
		ids = append(ids, fmt.Sprintf("dkim fail a%d.b%d.c%d.d%d.e%d.example.org", i, i, i, i, i))
	}
	ids = append(ids, "dkim pass a.b.c.d.example.org")
	memo := dns.NewMemo(t.Context(), dnstest.Zone(t, `_dmarc.example.org. TXT "v=DMARC1; p=reject"`))
	r := dmarc.Evaluator{DNS: memo.View(dmarc.Questions)}.Check(t.Context(), query("a.b.c.d.e.f.example.org", ids...))
	if r.Word != result.Pass {
		t.Errorf("got %s (%s), want pass", r.Word, r.Reason)
	}
}

// What is told ahead is what is asked.
func TestExpect(t *testing.T) {
	t.Parallel()
	why, told := map[dns.Question]bool{}, []dns.Question{}
	zone := dnstest.Zone(t, `_dmarc.example.org. TXT "v=DMARC1; p=reject; rua=mailto:d@example.net,mailto:d@example.org"`)
	dmarc.Evaluator{DNS: zone, Diagnose: counting(zone, why), Expect: func(q dns.Question) { told = append(told, q) }}.Check(t.Context(), query("example.org"))
	for _, q := range told {
		if !why[q] {
			t.Errorf("%s was told and not asked: %v", q, why)
		}
	}
	if len(told) != 3 {
		t.Errorf("told %q, want three", told)
	}
}

func TestSPF_where_DMARC_should_be(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, zone string
		findings   []string
	}{
		{"at the name itself", `_dmarc.example.org. TXT "v=spf1 -all"`, []string{"warning dmarc-spf-record"}},
		{"in capitals", `_dmarc.example.org. TXT "V=SPF1 mx"`, []string{"warning dmarc-spf-record"}},
		{"a wildcard's", `*.example.org. TXT "v=spf1 -all"`, []string{"info dmarc-other-text", "warning dmarc-none"}},
		{"another version", `_dmarc.example.org. TXT "v=spf10 -all"`, []string{"info dmarc-other-text", "warning dmarc-none"}},
		{"beside a record", "_dmarc.example.org. TXT \"v=spf1 -all\"\n_dmarc.example.org. TXT \"v=DMARC1; p=reject\"", nil},
		{"it is not known whether it is a wildcard's", `_dmarc.example.org. TXT "v=spf1 -all"
;FAULT SERVFAIL _any.example.org. TXT`, []string{"info dmarc-other-text", "warning dmarc-none"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			want(t, check(t, c.zone, query("example.org", "spf pass example.org")), c.findings...)
		})
	}
}

// Where the mail fails, its domain may be a victim's: the addresses of its reports are not what matters.
func TestReports_of_a_mail_that_fails(t *testing.T) {
	t.Parallel()
	r := check(t, `_dmarc.example.org. TXT "v=DMARC1; p=reject; rua=mailto:d@d.example.org"`, query("example.org"))
	if got := strings.Join(codes(r), ", "); got != "info dmarc-rua-no-mx" {
		t.Errorf("got %q, want it as information", got)
	}
}
