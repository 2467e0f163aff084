package dmarc_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"checkauth/verify/dmarc"
	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// query is a message of a@author with what SPF and DKIM found: "spf pass example.org",
// "dkim fail example.org".
func query(author string, identifiers ...string) dmarc.Query {
	q := dmarc.Query{From: mail.From{Fields: 1, Raw: "a@" + author, Domain: author}}
	for _, s := range identifiers {
		w := strings.Fields(s)
		id := dmarc.Identifier{Domain: w[2], Word: result.Word(w[1])}
		if w[0] == "spf" {
			q.SPF = id
		} else {
			q.DKIM = append(q.DKIM, id)
		}
	}
	return q
}

func check(t *testing.T, zone string, q dmarc.Query) dmarc.Result {
	t.Helper()
	return dmarc.Evaluator{DNS: dnstest.Zone(t, zone)}.Check(t.Context(), q)
}

// codes lists the findings with their severity, but for what a stricter policy would do: nearly every
// message has that, and TestUnderReject.
func codes(r dmarc.Result) []string {
	out := []string{}
	for _, f := range r.Findings {
		if !strings.HasPrefix(string(f.Code), "dmarc-under-reject-") {
			out = append(out, string(f.Severity)+" "+string(f.Code))
		}
	}
	return out
}

func want(t *testing.T, r dmarc.Result, findings ...string) {
	t.Helper()
	slices.Sort(findings)
	got := codes(r)
	slices.Sort(got)
	if !slices.Equal(got, findings) {
		t.Errorf("findings: got %q, want %q", got, findings)
	}
}

// RFC 9989, 4.10: at most eight names, and the second has seven labels.
func TestRFC9989_4_10_tree_walk(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, author, zone, asked string }{
		{"one label", "org", "", "org"},
		{"three labels", "a.example.org", "", "a.example.org example.org org"},
		{"seven labels", "a.b.c.d.e.f.g", "", "a.b.c.d.e.f.g b.c.d.e.f.g c.d.e.f.g d.e.f.g e.f.g f.g g"},
		{"eight labels", "a.b.c.d.e.f.g.h", "", "a.b.c.d.e.f.g.h b.c.d.e.f.g.h c.d.e.f.g.h d.e.f.g.h e.f.g.h f.g.h g.h h"},
		{"nine labels", "a.b.c.d.e.f.g.h.i", "", "a.b.c.d.e.f.g.h.i c.d.e.f.g.h.i d.e.f.g.h.i e.f.g.h.i f.g.h.i g.h.i h.i i"},
		{"psd=n ends it", "a.example.org", `_dmarc.example.org. TXT "v=DMARC1; p=none; psd=n"`, "a.example.org example.org"},
		{"psd=y ends it", "a.example.org", `_dmarc.example.org. TXT "v=DMARC1; p=none; psd=y"`, "a.example.org example.org"},
		{"psd=n at the start ends it", "a.example.org", `_dmarc.a.example.org. TXT "v=DMARC1; p=none; psd=n"`, "a.example.org"},
		{"psd=u does not", "a.example.org", `_dmarc.a.example.org. TXT "v=DMARC1; p=none; psd=u"`, "a.example.org example.org org"},
		{"nor does a record without psd", "a.example.org", `_dmarc.example.org. TXT "v=DMARC1; p=none"`, "a.example.org example.org org"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := dnstest.New(t, c.zone)
			dmarc.Evaluator{DNS: s.Client(t)}.Check(t.Context(), query(c.author))
			var asked []string
			for _, q := range s.Queries() {
				name, found := strings.CutPrefix(strings.TrimSuffix(q, " TXT"), "_dmarc.")
				// Where nothing was found the doubled name is looked at as well.
				if found && name != c.author+"."+c.author {
					asked = append(asked, name)
				}
			}
			if got := strings.Join(asked, " "); got != c.asked {
				t.Errorf("got %s\nwant %s", got, c.asked)
			}
		})
	}
}

func TestRFC9989_4_10_names_too_long_for_the_DNS(t *testing.T) {
	t.Parallel()
	author := strings.Repeat("abcdefg.", 31) + "x.org" // 253 octets, so that _dmarc in front is too much
	r := check(t, `_dmarc.org. TXT "v=DMARC1; p=reject"`, query(author))
	if r.Word != result.Fail || r.PolicyName != "org" {
		t.Errorf("got %s of %q (%s), want fail of org", r.Word, r.PolicyName, r.Reason)
	}
}

// RFC 9989, 4.10.1: the author's own record, else the organisational domain's, else the suffix's.
func TestRFC9989_4_10_1_policy_discovery(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, author, zone, at, policy, tag string }{
		{"the author's own p", "a.example.org", `
_dmarc.a.example.org. TXT "v=DMARC1; p=none; sp=reject; np=reject"
_dmarc.example.org.   TXT "v=DMARC1; p=reject"`, "a.example.org", "none", "p"},
		{"sp of the domain above", "a.example.org", `
a.example.org.        A 192.0.2.1
_dmarc.example.org.   TXT "v=DMARC1; p=reject; sp=quarantine; np=none"`, "example.org", "quarantine", "sp"},
		{"no sp: p", "a.example.org", `
a.example.org.        A 192.0.2.1
_dmarc.example.org.   TXT "v=DMARC1; p=reject; np=none"`, "example.org", "reject", "p"},
		{"np where the author does not exist", "a.example.org", `
_dmarc.example.org.   TXT "v=DMARC1; p=reject; sp=quarantine; np=none"`, "example.org", "none", "np"},
		{"no np: sp", "a.example.org", `
_dmarc.example.org.   TXT "v=DMARC1; p=reject; sp=quarantine"`, "example.org", "quarantine", "sp"},
		{"no np, no sp: p", "a.example.org", `
_dmarc.example.org.   TXT "v=DMARC1; p=reject"`, "example.org", "reject", "p"},
		{"a name of another type exists", "a.example.org", `
a.example.org.        TXT "x"
_dmarc.example.org.   TXT "v=DMARC1; p=reject; np=none"`, "example.org", "reject", "p"},
		{"an empty non-terminal exists", "a.example.org", `
x.a.example.org.      TXT "x"
_dmarc.example.org.   TXT "v=DMARC1; p=reject; np=none"`, "example.org", "reject", "p"},
		{"a CNAME to nowhere exists", "a.example.org", `
a.example.org.        CNAME nowhere.example.net.
_dmarc.example.org.   TXT "v=DMARC1; p=reject; np=none"`, "example.org", "reject", "p"},
		{"a record in between is nobody's", "a.mail.example.org", `
a.mail.example.org.   A 192.0.2.1
_dmarc.mail.example.org. TXT "v=DMARC1; p=none"
_dmarc.example.org.   TXT "v=DMARC1; p=reject"`, "example.org", "reject", "p"},
		{"the public suffix's where the organisation has none", "a.mail.example.org", `
a.mail.example.org.   A 192.0.2.1
_dmarc.mail.example.org. TXT "v=DMARC1; p=none"
_dmarc.org.           TXT "v=DMARC1; p=reject; psd=y; sp=quarantine"`, "org", "quarantine", "sp"},
		{"not the public suffix's where it has one", "a.example.org", `
a.example.org.        A 192.0.2.1
_dmarc.example.org.   TXT "v=DMARC1; p=none"
_dmarc.org.           TXT "v=DMARC1; p=reject; psd=y"`, "example.org", "none", "p"},
		{"a record through a CNAME", "example.org", `
_dmarc.example.org.   CNAME dmarc.example.net.
dmarc.example.net.    TXT "v=DMARC1; p=reject"`, "example.org", "reject", "p"},
		{"strings are joined", "example.org", `
_dmarc.example.org.   TXT "v=DMARC1; p=rej" "ect"`, "example.org", "reject", "p"},
		{"other texts beside the record", "example.org", `
_dmarc.example.org.   TXT "v=spf1 -all"
_dmarc.example.org.   TXT "v=DMARC1; p=reject"`, "example.org", "reject", "p"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := check(t, c.zone, query(c.author))
			if r.Word != result.Fail || r.PolicyName != c.at || string(r.Policy) != c.policy || r.Tag != c.tag || r.Record == "" {
				t.Errorf("got %s, %s= %s of %q; want fail, %s= %s of %q", r.Word, r.Tag, r.Policy, r.PolicyName, c.tag, c.policy, c.at)
			}
		})
	}
}

func TestRFC9989_4_10_1_policy_missing_or_invalid(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, record string
		word         result.Word
		policy       string
	}{
		{"no p, with rua", "v=DMARC1; rua=mailto:d@example.org", result.Fail, "none"},
		{"no p, with an address that is no URI", "v=DMARC1; rua=d@example.org", result.PermError, ""},
		{"no p, one address of two is a URI", "v=DMARC1; rua=d@example.org,mailto:d@example.org", result.Fail, "none"},
		{"no p, with ruf alone", "v=DMARC1; ruf=mailto:d@example.org", result.PermError, ""},
		{"no p, no rua", "v=DMARC1; sp=reject", result.PermError, ""},
		{"the version alone", "v=DMARC1", result.PermError, ""},
		{"p mistyped, with rua", "v=DMARC1; p=rejct; rua=mailto:d@example.org", result.Fail, "none"},
		{"p mistyped", "v=DMARC1; p=rejct", result.PermError, ""},
		{"sp mistyped, with rua: p falls too", "v=DMARC1; p=reject; sp=x; rua=mailto:d@example.org", result.Fail, "none"},
		{"np mistyped", "v=DMARC1; p=reject; np=x", result.PermError, ""},
		{"another scheme is a URI too", "v=DMARC1; rua=https://example.org/d", result.Fail, "none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := check(t, `_dmarc.example.org. TXT "`+strings.ReplaceAll(c.record, ";", `\;`)+`"`, query("example.org"))
			if r.Word != c.word || string(r.Policy) != c.policy {
				t.Errorf("%q: got %s, policy %q (%s); want %s, %q", c.record, r.Word, r.Policy, r.Reason, c.word, c.policy)
			}
			if !slices.ContainsFunc(r.Findings, func(f result.Finding) bool { return f.Code == "dmarc-syntax" }) {
				t.Errorf("%q: got %q, want dmarc-syntax among them", c.record, codes(r))
			}
			if (r.Word == result.PermError) != errors.Is(r.Cause, dmarc.ErrRecord) {
				t.Errorf("%q: cause %v", c.record, r.Cause)
			}
		})
	}
}

// sp and np of a record do not survive where it counts as p=none.
func TestRFC9989_4_10_1_fallback_is_none_for_subdomains_too(t *testing.T) {
	t.Parallel()
	r := check(t, `_dmarc.example.org. TXT "v=DMARC1; sp=reject; np=reject; rua=mailto:d@example.org"`, query("a.example.org"))
	if r.Word != result.Fail || r.Policy != "none" || r.Tag != "p" {
		t.Errorf("got %s, %s= %s; want fail, p= none", r.Word, r.Tag, r.Policy)
	}
}

// RFC 9989, 4.10.2: psd=n, else one below psd=y, else the fewest labels, else the start.
func TestRFC9989_4_10_2_organisational_domain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, author, zone, org string }{
		{"no record: the start", "a.mail.example.org", "", "a.mail.example.org"},
		{"the fewest labels", "a.mail.example.org", `
_dmarc.mail.example.org. TXT "v=DMARC1; p=none"
_dmarc.example.org. TXT "v=DMARC1; p=none"`, "example.org"},
		{"psd=n", "a.mail.example.org", `
_dmarc.mail.example.org. TXT "v=DMARC1; p=none; psd=n"
_dmarc.example.org. TXT "v=DMARC1; p=none"`, "mail.example.org"},
		{"psd=n at the start", "mail.example.org", `
_dmarc.mail.example.org. TXT "v=DMARC1; p=none; psd=n"
_dmarc.example.org. TXT "v=DMARC1; p=none"`, "mail.example.org"},
		{"one below psd=y", "a.mail.example.org", `_dmarc.org. TXT "v=DMARC1; p=none; psd=y"`, "example.org"},
		{"one below psd=y, though a longer name has a record", "a.mail.example.org", `
_dmarc.mail.example.org. TXT "v=DMARC1; p=none"
_dmarc.org. TXT "v=DMARC1; p=none; psd=y"`, "example.org"},
		{"psd=y at the start is not one below", "example.org", `_dmarc.example.org. TXT "v=DMARC1; p=none; psd=y"`, "example.org"},
		{"one below a suffix that the walk skipped to", "a.b.c.d.e.f.g.h.i", `_dmarc.c.d.e.f.g.h.i. TXT "v=DMARC1; p=none; psd=y"`, "b.c.d.e.f.g.h.i"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if r := check(t, c.zone, query(c.author)); r.Org != c.org {
				t.Errorf("%s: got %q, want %q", c.author, r.Org, c.org)
			}
		})
	}
}

// RFC 9989, 4.10: of several records at one name none counts, and the walk goes on.
func TestRFC9989_4_10_several_records(t *testing.T) {
	t.Parallel()
	two := `
_dmarc.a.example.org. TXT "v=DMARC1; p=none"
_dmarc.a.example.org. TXT "v=DMARC1; p=reject"
`
	r := check(t, two, query("a.example.org", "spf pass a.example.org"))
	if r.Word != result.None || r.Reason.Code != "dmarc-records-dropped" {
		t.Errorf("nothing above: got %s (%s), want none", r.Word, r.Reason)
	}
	want(t, r, "error dmarc-multiple-records")
	r = check(t, two+"a.example.org. A 192.0.2.1\n"+`_dmarc.example.org. TXT "v=DMARC1; p=quarantine; sp=reject"`, query("a.example.org", "spf pass a.example.org"))
	if r.Word != result.Pass || r.PolicyName != "example.org" || r.Tag != "sp" {
		t.Errorf("one above: got %s, %s= of %q; want pass, sp= of example.org", r.Word, r.Tag, r.PolicyName)
	}
	// RFC 7489, 6.6.3 ends at the two.
	want(t, r, "info dmarc-subdomain-policy", "warning dmarc-multiple-records", "info dmarc-old-view-differs")
}

// RFC 9989, 4.4: strict wants the same name, relaxed the same organisational domain.
func TestRFC9989_4_4_alignment(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, record, author, domain string
		aligned                      bool
		why                          result.Code
	}{
		{"the same name", "p=none", "example.org", "example.org", true, "dmarc-align-same"},
		{"the same name, strict", "p=none; adkim=s; aspf=s", "example.org", "EXAMPLE.org.", true, "dmarc-align-same"},
		{"a child", "p=none", "example.org", "a.b.example.org", true, "dmarc-align-relaxed"},
		{"a child, strict", "p=none; adkim=s; aspf=s", "example.org", "a.example.org", false, "dmarc-align-strict"},
		{"a parent", "p=none", "a.example.org", "example.org", true, "dmarc-align-relaxed"},
		{"a parent, strict", "p=none; adkim=s; aspf=s", "a.example.org", "example.org", false, "dmarc-align-strict"},
		{"a sibling", "p=none", "a.example.org", "b.example.org", true, "dmarc-align-relaxed"},
		{"the suffix is no label", "p=none", "example.org", "notexample.org", false, "dmarc-align-other"},
		{"another domain", "p=none", "example.org", "example.net", false, "dmarc-align-other"},
		{"the top-level domain", "p=none", "example.org", "org", false, "dmarc-align-other"},
		{"a NUL", "p=none", "example.org", "example.org\x00.example.net", false, "dmarc-align-other"},
		{"a quote", "p=none", "example.org", "example.org'a.example.net", false, "dmarc-align-other"},
		{"a child with a quote", "p=none", "example.org", "example.net'.example.org", true, "dmarc-align-relaxed"},
		{"an empty label", "p=none", "example.org", "a..example.org", false, "dmarc-align-no-name"},
		{"no name", "p=none", "example.org", "", false, "dmarc-align-nothing"},
		{"a U-label", "p=none", "xn--bcher-kva.example.org", "bücher.example.org", true, "dmarc-align-same"},
		{"one mapping for all", "p=none", "example.org", "ｅxample.org", true, "dmarc-align-same"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			zone := `_dmarc.example.org. TXT "v=DMARC1; ` + c.record + "\"\n"
			for _, method := range []string{"spf", "dkim"} {
				q := query(c.author)
				q.SPF = dmarc.Identifier{Domain: c.domain, Word: result.Pass}
				if method == "dkim" {
					q.SPF, q.DKIM = dmarc.Identifier{}, []dmarc.Identifier{q.SPF}
				}
				r := check(t, zone, q)
				got := r.SPF
				if method == "dkim" {
					got = r.DKIM[0]
				}
				if got.Aligned != c.aligned || got.Why.Code != c.why || (r.Word == result.Pass) != c.aligned {
					t.Errorf("%s %q: got %s, aligned %t (%s); want %t (%s)", method, c.domain, r.Word, got.Aligned, got.Why, c.aligned, c.why)
				}
			}
		})
	}
}

// An organisational domain of its own below the author's: RFC 9989, 4.10.2.
func TestRFC9989_4_4_organisations_within_one(t *testing.T) {
	t.Parallel()
	zone := `
_dmarc.bank.example.       TXT "v=DMARC1; p=reject; psd=y"
_dmarc.giant.bank.example. TXT "v=DMARC1; p=reject"
_dmarc.example.org.        TXT "v=DMARC1; p=reject"
_dmarc.own.example.org.    TXT "v=DMARC1; p=reject; psd=n"
`
	for _, c := range []struct {
		author, domain string
		want           result.Word
	}{
		{"giant.bank.example", "mega.bank.example", result.Fail},
		{"giant.bank.example", "bank.example", result.Fail},
		{"giant.bank.example", "a.giant.bank.example", result.Pass},
		{"example.org", "own.example.org", result.Fail},
		{"example.org", "a.own.example.org", result.Fail},
		{"a.own.example.org", "b.own.example.org", result.Pass},
		{"a.own.example.org", "example.org", result.Fail},
	} {
		if r := check(t, zone, query(c.author, "dkim pass "+c.domain)); r.Word != c.want {
			t.Errorf("%s signed by %s: got %s (%s), want %s", c.author, c.domain, r.Word, r.DKIM[0].Why, c.want)
		}
	}
}

// RFC 9989, 4.2 and 11.5: without one author domain nothing passes.
func TestRFC9989_4_2_author_domain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, header, finding string
		reason                result.Code
	}{
		{"none", "To: a@example.org", "error from-missing", "from-is-missing"},
		{"several fields", "From: a@example.org\r\nFrom: a@example.org", "error from-several-fields", "from-is-several"},
		{"malformed", "From: <a@example.org", "error from-malformed", "from-has-open-angle"},
		{"a route", "From: <@example.net:a@example.org>", "error from-malformed", "from-has-route"},
		{"several domains", "From: a@example.org, b@example.net", "error from-several-domains", "from-has-several-domains"},
		{"a group", "From: <b@example.net>:<a@example.org>", "error from-group", "from-is-group"},
		{"a space", "From : a@example.org", "error from-space-before-colon", "from-is-spaced"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fs, err := mail.Parse([]byte(c.header+"\r\n"), mail.DefaultBounds())
			if err != nil {
				t.Fatal(err)
			}
			q := query("", "spf pass example.org", "dkim pass example.org", "dkim pass example.net")
			q.From = mail.ParseFrom(fs)
			r := check(t, `_dmarc.example.org. TXT "v=DMARC1; p=reject"`, q)
			if r.Word != result.PermError || r.Reason.Code != c.reason || r.Author != "" || !errors.Is(r.Cause, dmarc.ErrNoAuthor) {
				t.Errorf("got %s (%s) for %q, %v; want permerror (%s)", r.Word, r.Reason, r.Author, r.Cause, c.reason)
			}
			want(t, r, c.finding)
			if len(r.DKIM) != 2 || r.DKIM[0].Aligned || r.DKIM[0].Why.Code != "dmarc-align-no-author" {
				t.Errorf("table: got %+v", r.DKIM)
			}
		})
	}
}

// RFC 9989, 5.3.6: what passes suffices; an error that a pass may hide behind leaves it open.
func TestRFC9989_5_3_6_result(t *testing.T) {
	t.Parallel()
	zone := `
_dmarc.example.org. TXT "v=DMARC1; p=reject"
_dmarc.broken.example.org. TXT "x"
;FAULT SERVFAIL _dmarc.broken.example.org. TXT
`
	for _, c := range []struct {
		name        string
		identifiers []string
		want        result.Word
		reason      result.Code
	}{
		{"nothing", nil, result.Fail, "dmarc-fail-nothing-passes"},
		{"SPF", []string{"spf pass example.org"}, result.Pass, "dmarc-pass-spf"},
		{"DKIM", []string{"dkim pass example.org"}, result.Pass, "dmarc-pass-dkim"},
		{"both", []string{"spf pass example.org", "dkim pass example.org"}, result.Pass, "dmarc-pass-dkim"},
		{"one signature of many", []string{"spf fail example.org", "dkim fail example.org", "dkim pass example.net", "dkim pass a.example.org"}, result.Pass, "dmarc-pass-dkim"},
		{"what aligns fails, what passes does not align", []string{"spf pass example.net", "dkim fail example.org"}, result.Fail, "dmarc-fail-not-aligned"},
		{"softfail is no pass", []string{"spf softfail example.org"}, result.Fail, "dmarc-fail-nothing-passes"},
		{"neutral is no pass", []string{"spf neutral example.org", "dkim neutral example.org"}, result.Fail, "dmarc-fail-nothing-passes"},
		{"policy is no pass", []string{"dkim policy example.org"}, result.Fail, "dmarc-fail-nothing-passes"},
		{"permerror is no pass", []string{"spf permerror example.org", "dkim permerror example.org"}, result.Fail, "dmarc-fail-nothing-passes"},
		{"temperror of one that aligns", []string{"spf temperror example.org", "dkim fail example.org"}, result.TempError, "dmarc-identifier-temperror"},
		{"temperror beside a pass", []string{"spf temperror example.org", "dkim pass example.org"}, result.Pass, "dmarc-pass-dkim"},
		{"temperror of one that does not align", []string{"dkim temperror example.net"}, result.Fail, "dmarc-fail-nothing-passes"},
		{"a check that did not run", []string{"spf not-run example.org"}, result.Fail, "dmarc-fail-nothing-passes"},
		{"the walk of one that passes fails", []string{"dkim pass broken.example.org"}, result.TempError, "dns-servfail"},
		{"the walk of one that fails fails", []string{"dkim fail broken.example.org"}, result.Fail, "dmarc-fail-nothing-passes"},
		{"the walk of one fails, another passes", []string{"dkim pass broken.example.org", "spf pass example.org"}, result.Pass, "dmarc-pass-spf"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := check(t, zone, query("example.org", c.identifiers...))
			if r.Word != c.want || r.Reason.Code != c.reason || (r.Cause != nil) != (c.want == result.TempError) {
				t.Errorf("%q: got %s (%s), cause %v; want %s (%s)", c.identifiers, r.Word, r.Reason, r.Cause, c.want, c.reason)
			}
		})
	}
}

func TestRFC9989_5_3_6_checks_that_could_not_run(t *testing.T) {
	t.Parallel()
	zone := `_dmarc.example.org. TXT "v=DMARC1; p=reject"`
	for _, id := range []dmarc.Identifier{
		{Domain: "example.org", Word: result.NotRun}, {Word: result.NotRun}, {Word: result.TempError},
	} {
		q := query("example.org")
		q.SPF = id
		if r := check(t, zone, q); r.Word != result.TempError || !errors.Is(r.Cause, dmarc.ErrIdentifier) {
			t.Errorf("%+v: got %s (%s), want temperror", id, r.Word, r.Reason)
		}
	}
}

// RFC 9989, 4.10: a name at which the DNS fails is not a name without a record.
func TestRFC9989_4_10_DNS_errors(t *testing.T) {
	t.Parallel()
	const record = `
_dmarc.a.example.org. TXT "v=DMARC1; p=reject"
`
	for _, c := range []struct {
		name, zone  string
		identifiers []string
		want        result.Word
	}{
		{"at the author", ";FAULT SERVFAIL _dmarc.a.example.org. TXT", []string{"dkim pass a.example.org"}, result.TempError},
		{"above, and the author has none", ";FAULT SERVFAIL _dmarc.example.org. TXT", []string{"dkim pass a.example.org"}, result.TempError},
		{"at the top, and nobody has one", ";FAULT SERVFAIL _dmarc.org. TXT", nil, result.TempError},
		{"above a record: the same name needs no walk", record + ";FAULT SERVFAIL _dmarc.example.org. TXT", []string{"dkim pass a.example.org"}, result.Pass},
		{"above a record: another name needs it", record + ";FAULT SERVFAIL _dmarc.example.org. TXT", []string{"dkim pass b.example.org"}, result.TempError},
		{"above a record: not below another top", record + ";FAULT SERVFAIL _dmarc.example.org. TXT", []string{"dkim pass example.net"}, result.Fail},
		{"above a record: nothing passes", record + ";FAULT SERVFAIL _dmarc.example.org. TXT", []string{"dkim fail b.example.org"}, result.Fail},
		{"strict needs no walk", `
_dmarc.a.example.org. TXT "v=DMARC1; p=reject; adkim=s"
;FAULT SERVFAIL _dmarc.example.org. TXT`, []string{"dkim pass b.example.org"}, result.Fail},
		{"whether the author exists, and it matters", `
_dmarc.example.org. TXT "v=DMARC1; p=reject; np=none"
;FAULT SERVFAIL a.example.org. A`, nil, result.TempError},
		{"whether the author exists, and it does not matter", `
_dmarc.example.org. TXT "v=DMARC1; p=reject; np=reject"
;FAULT SERVFAIL a.example.org. A`, nil, result.Fail},
		{"whether the author exists, and it passes", `
_dmarc.example.org. TXT "v=DMARC1; p=reject; np=none"
;FAULT SERVFAIL a.example.org. A`, []string{"dkim pass example.org"}, result.Pass},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := check(t, c.zone, query("a.example.org", c.identifiers...))
			if r.Word != c.want {
				t.Fatalf("got %s (%s), want %s", r.Word, r.Reason, c.want)
			}
			e, ok := errors.AsType[*dns.Error](r.Cause)
			if ok != (c.want == result.TempError) || ok && e.Kind != dns.ServFail {
				t.Errorf("cause: got %v", r.Cause)
			}
		})
	}
}

// RFC 9989, 4.7: t=y asks for one level less.
func TestRFC9989_4_7_testing(t *testing.T) {
	t.Parallel()
	for policy, asked := range map[string]string{"reject": "quarantine", "quarantine": "none", "none": "none"} {
		r := check(t, `_dmarc.example.org. TXT "v=DMARC1; p=`+policy+`; t=y"`, query("example.org"))
		if string(r.Policy) != asked || !r.Testing || r.Word != result.Fail {
			t.Errorf("p=%s: got %s, policy %s, testing %t; want fail, %s", policy, r.Word, r.Policy, r.Testing, asked)
		}
		findings := []string{"info dmarc-testing"}
		if policy != asked {
			findings = append(findings, "info dmarc-old-view-differs") // which does not know t
		}
		want(t, r, findings...)
	}
}
