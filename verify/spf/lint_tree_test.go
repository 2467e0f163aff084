package spf_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"checkauth/verify/dns/dnstest"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

// examined is a row of a table of findings about the whole tree. The client is 192.0.2.1 where ip is empty.
type examined struct {
	domain, ip string
	want       []string
}

func lintRows(t *testing.T, zone string, table []examined) {
	t.Helper()
	t.Parallel()
	r := dnstest.Zone(t, zone)
	for _, c := range table {
		t.Run(c.domain, func(t *testing.T) {
			t.Parallel()
			if c.ip == "" {
				c.ip = "192.0.2.1"
			}
			got := spf.Evaluator{DNS: r}.Examine(t.Context(), query(c.ip, "a@"+c.domain))
			if found := codes(got.Findings); !slices.Equal(found, c.want) {
				t.Errorf("%s (%s): got\n  %s\nwant\n  %s", got.Word, got.Reason, strings.Join(found, "\n  "), strings.Join(c.want, "\n  "))
			}
		})
	}
}

func TestRFC7208_4_6_4_lookups_of_what_was_not_reached(t *testing.T) {
	lintRows(t, `
late.example.        TXT "v=spf1 ip4:192.0.2.1 include:big.example mx include:small.example -all"
late.example.        MX 1 mx.example.
late.example.        A 192.0.2.9
mx.example.          A 192.0.2.9
big.example.         TXT "v=spf1 a:mx.example a:mx.example a:mx.example a:mx.example a:mx.example a:mx.example -all a:mx.example"
small.example.       TXT "v=spf1 include:big.example ~all"
flat.example.        TXT "v=spf1 ip4:192.0.2.1`+terms(11, "exists:%%{i}.x%d.example")+` -all"
ten.example.         TXT "v=spf1 ip4:192.0.2.1`+terms(10, "exists:%%{i}.x%d.example")+` -all"
to.example.          TXT "v=spf1 ip4:192.0.2.1 redirect=flat.example"
shut.example.        TXT "v=spf1 ip4:192.0.2.1 -all redirect=flat.example include:big.example"
loop.example.        TXT "v=spf1 ip4:192.0.2.1 include:loop2.example -all"
loop2.example.       TXT "v=spf1 include:loop3.example -all"
loop3.example.       TXT "v=spf1 include:loop2.example -all"
`, []examined{
		{"late.example", "", []string{`warning spf-later-lookups costly="include:small.example (8), include:big.example (7)" count="16" domain="late.example"`,
			`info spf-terms-after-all domain="big.example" terms="a:mx.example"`}},
		{"flat.example", "", []string{`warning spf-later-lookups-own count="11" domain="flat.example"`}},
		{"ten.example", "", nil},
		{"to.example", "", []string{`warning spf-later-lookups costly="redirect=flat.example (12)" count="12" domain="to.example"`}},
		{"shut.example", "", []string{`warning spf-redirect-ignored domain="shut.example" term="redirect=flat.example"`,
			`warning spf-terms-after-all domain="shut.example" terms="include:big.example"`}},
		{"loop.example", "", []string{`warning spf-later-loop chain="loop2.example > loop3.example > loop2.example" domain="loop.example"`}},
	})
}

func TestExamine_counts_the_whole_tree(t *testing.T) {
	t.Parallel()
	r := dnstest.Zone(t, `
example.org.   TXT "v=spf1 ip4:192.0.2.1 include:a.example.org mx:gone.example.org ?include:b.example.org ~all"
a.example.org. TXT "v=spf1 mx a include:b.example.org -all"
a.example.org. A   192.0.2.9
a.example.org. MX  1 a.example.org.
b.example.org. TXT "v=spf1 ip4:192.0.2.9 exists:%{i}.x.example.org -all"
`)
	got := spf.Evaluator{DNS: r}.Examine(t.Context(), query("192.0.2.1", "a@example.org"))
	want := "pass 0/0, in all 8/1 [{include:a.example.org 5} {?include:b.example.org 2}] false"
	if s := fmt.Sprintf("%s %d/%d, in all %d/%d %v %v", got.Word, got.Lookups, got.Voids, got.Whole.Lookups, got.Whole.Voids, got.Whole.Costs, got.Whole.Missed); s != want {
		t.Errorf("got %s, want %s", s, want)
	}
}

func TestRFC7208_4_6_4_voids_of_what_was_not_reached(t *testing.T) {
	lintRows(t, `
three.example.  TXT "v=spf1 ip4:192.0.2.1 a:x.example include:in.example -all"
in.example.     TXT "v=spf1 mx:y.example exists:z.example -all"
one.example.    TXT "v=spf1 ip4:192.0.2.1 include:one2.example a:x.%{d} -all"
one2.example.   TXT "v=spf1 a:x.example exists:%{l}.example -all"
six.example.    TXT "v=spf1 ip4:192.0.2.1 a:only6.example -all"
only6.example.  AAAA 2001:db8::1
sixes.example.  TXT "v=spf1 ip4:192.0.2.1 a:only6.example ?a:only6.example a:only6.example/24 -all"
`, []examined{
		{"three.example", "", []string{`warning spf-later-voids count="3" domain="three.example" names="x.example, y.example, z.example"`}},
		{"one.example", "", []string{`warning spf-dead-name domain="one.example" terms="a:x.%{d}"`, `info spf-dead-name domain="one2.example" terms="a:x.example"`}},
		{"six.example", "", nil},
		{"sixes.example", "", []string{`warning spf-later-voids-family count="3" domain="sixes.example" family="IPv4" names="only6.example"`,
			`warning spf-repeated-term domain="sixes.example" terms="?a:only6.example"`}},
	})
}

func TestRFC7208_5_2_includes_that_were_not_reached(t *testing.T) {
	lintRows(t, `
gone.example.    TXT "v=spf1 ip4:192.0.2.1 include:nothing.example include:nobody.gone.example -all"
nothing.example. A   192.0.2.9
typo.example.    TXT "v=spf1 ip4:192.0.2.1 include:bad.example -all"
bad.example.     TXT "v=spf1 ip4:192.0.2.9 ipv4:192.0.2.9 -all"
twice.example.   TXT "v=spf1 ip4:192.0.2.1 include:two.example -all"
two.example.     TXT "v=spf1 -all"
two.example.     TXT "v=spf1 ?all"
fault.example.   TXT "v=spf1 ip4:192.0.2.1 include:sick.example -all"
now.example.     TXT "v=spf1 include:bad.example -all"
name.example.    TXT "v=spf1 ip4:192.0.2.1 include:..example redirect=%{p}.example"
open.example.    TXT "v=spf1 ip4:192.0.2.1 include:all.example -all"
all.example.     TXT "v=spf1 +all"
;FAULT SERVFAIL sick.example. TXT
`, []examined{
		{"gone.example", "", []string{
			`warning spf-later-no-record domain="gone.example" target="nothing.example" term="include:nothing.example"`,
			`warning spf-later-no-record domain="gone.example" target="nobody.gone.example" term="include:nobody.gone.example"`}},
		{"typo.example", "", []string{`warning spf-later-syntax bad="ipv4:192.0.2.9" column="22" domain="bad.example" in="typo.example" term="include:bad.example"`}},
		{"twice.example", "", []string{`warning spf-later-several-records count="2" domain="two.example" in="twice.example" term="include:two.example"`}},
		{"fault.example", "", []string{`info spf-later-unanswered domain="fault.example" target="sick.example" term="include:sick.example"`}},
		{"now.example", "", []string{`error spf-syntax column="22" domain="bad.example" term="ipv4:192.0.2.9"`,
			`info spf-syntax-near domain="bad.example" near="ip4:192.0.2.9" term="ipv4:192.0.2.9"`}},
		{"name.example", "", []string{`warning spf-later-no-record domain="name.example" target="..example" term="include:..example"`,
			`info spf-not-examined count="1" limit="10" names="redirect=%{p}.example"`}},
		{"open.example", "", []string{`error spf-include-passes-all domain="open.example" inner="+all" target="all.example" term="include:all.example"`,
			`info spf-plus-all domain="all.example" term="+all"`}},
	})
}

// At most ten questions more, and the reader is told that there would have been others.
func TestExamine_asks_ten_questions_more(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, `
example.org.    TXT "v=spf1 ip4:192.0.2.1`+terms(9, "include:i%d.example.org")+terms(9, "a:h%d.example.org")+` -all"
*.example.org.  TXT "v=spf1 -all"
*.example.org.  A   192.0.2.9
`)
	got := spf.Evaluator{DNS: s.Client(t)}.Examine(t.Context(), query("192.0.2.1", "a@example.org"))
	want := []string{`warning spf-later-lookups costly="include:i0.example.org (1), include:i1.example.org (1), include:i2.example.org (1)" count="18" domain="example.org"`,
		`info spf-not-examined count="8" limit="10" names="h1.example.org, h2.example.org, h3.example.org, h4.example.org, h5.example.org"`}
	if n := len(s.Queries()); n != 1+10 || !got.Whole.Missed || !slices.Equal(codes(got.Findings), want) {
		t.Errorf("%d questions, got\n%s", n, strings.Join(codes(got.Findings), "\n"))
	}
}

// A record of 64 KiB does not make the survey long, nor what it says.
func TestExamine_is_bounded(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"include:..x%d", "include:x%d.%%{l}.example", "a:x%d.example", "include:x%d.example", "redirect=x%d.example"} {
		text := "v=spf1 ip4:192.0.2.1" + terms(3000, form) + " -all"
		from := strings.Repeat("l", 10000) + "@example.org"
		got := spf.Evaluator{DNS: records(map[string]string{"example.org": text})}.Examine(t.Context(), query("192.0.2.1", from))
		if len(got.Findings) > 60 || got.Whole.Lookups > 2000 {
			t.Errorf("%s: %d findings, %d look-ups", form, len(got.Findings), got.Whole.Lookups)
		}
	}
}

// The lint of the tree changes nothing of what the evaluation found.
func FuzzExamine(f *testing.F) {
	for _, s := range seeds {
		f.Add(s, s)
	}
	f.Add("v=spf1 include:b.example include:b.example", "v=spf1 include:a.example include:c.example redirect=b.example")
	f.Add("\xef\xbb\xbfv=spf1 \xe2\x80\x93all", "\"v=spf1 \\all\"")
	f.Fuzz(func(t *testing.T, a, b string) {
		r := records(map[string]string{"a.example": a, "b.example": b})
		check := spf.Evaluator{DNS: r}.Check(t.Context(), query("192.0.2.1", "x@a.example"))
		got := spf.Evaluator{DNS: r}.Examine(t.Context(), query("192.0.2.1", "x@a.example"))
		if got.Word != check.Word || got.Reason.String() != check.Reason.String() || got.Lookups != check.Lookups || got.Voids != check.Voids {
			t.Fatalf("%q, %q: got %s (%s), Check says %s (%s)", a, b, got.Word, got.Reason, check.Word, check.Reason)
		}
		if got.Whole != nil && (got.Whole.Lookups < 0 || got.Whole.Lookups > 2000) {
			t.Fatalf("%q, %q: %d look-ups in all", a, b, got.Whole.Lookups)
		}
		for _, f := range got.Findings {
			if f.Severity == result.Error && f.Code == "" {
				t.Fatalf("%q: finding without code", a)
			}
		}
	})
}
