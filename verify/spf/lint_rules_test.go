package spf_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/spf"
)

// records answers TXT questions from texts, each as one string; no other name exists.
func records(texts map[string]string) dns.Resolver {
	none := dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
		return dns.Answer{Question: q, NX: true}, nil
	})
	over := dns.Over(none, func() time.Time { return time.Unix(0, 0) })
	for name, text := range texts {
		over.Set(name, dns.TXT, dns.Record{Strings: []string{text}})
	}
	return over
}

// own gives the findings about one record, without that about the sender.
func own(t *testing.T, text string) []string {
	t.Helper()
	got := spf.Evaluator{DNS: records(map[string]string{"example.org": text})}.Examine(t.Context(), query("192.0.2.1", "a@example.org"))
	return slices.DeleteFunc(codes(got.Findings), func(s string) bool {
		return strings.Contains(s, "spf-sender-not-listed") || strings.Contains(s, "spf-sender-excluded")
	})
}

func checkOwn(t *testing.T, table []struct{ text, want string }) {
	t.Helper()
	t.Parallel()
	for _, c := range table {
		var want []string
		if c.want != "" {
			want = strings.Split(c.want, "\n")
		}
		if got := own(t, c.text); !slices.Equal(got, want) {
			t.Errorf("%.200q: got\n  %s\nwant\n  %s", c.text, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
		}
	}
}

func TestRFC7208_2_6_2_neutral_at_the_end(t *testing.T) {
	checkOwn(t, []struct{ text, want string }{
		{"v=spf1 ip4:192.0.2.1 ?all", `warning spf-neutral-all domain="example.org"`},
		{"v=spf1 ?ip4:192.0.2.1 ~all", ""},
	})
}

func TestRFC7208_4_7_no_all(t *testing.T) {
	checkOwn(t, []struct{ text, want string }{
		{"v=spf1 ip4:192.0.2.1", `warning spf-no-all domain="example.org"`},
		{"v=spf1", `warning spf-no-all domain="example.org"`},
		{"v=spf1 -all", ""},
	})
}

func TestLint_repeated_terms(t *testing.T) {
	checkOwn(t, []struct{ text, want string }{
		{"v=spf1 ip4:192.0.2.1 ip4:192.0.2.1 -all", `info spf-repeated-term domain="example.org" terms="ip4:192.0.2.1"`},
		{"v=spf1 ip4:192.0.2.1 ip4:192.0.2.1/24 +ip4:192.0.2.1/32 -all", `info spf-repeated-term domain="example.org" terms="+ip4:192.0.2.1/32"`},
		{"v=spf1 ip4:192.0.2.1 exists:%{i}.example exists:%{I}.example -all", ""},
		{"v=spf1 ip4:192.0.2.1 exists:%{i}.example ?exists:%{i}.example. -all", `warning spf-repeated-term domain="example.org" terms="?exists:%{i}.example."`},
	})
}

func TestRFC7208_12_version_in_capital_letters(t *testing.T) {
	checkOwn(t, []struct{ text, want string }{
		{"V=SPF1 ip4:192.0.2.1 -all", `warning spf-version-case domain="example.org" start="V=SPF1"`},
	})
}

func TestRFC7208_3_4_length(t *testing.T) {
	ips := func(n int) string { return "v=spf1 ip4:192.0.2.1" + terms(n, "ip4:198.51.100.1%02d") + " -all" }
	checkOwn(t, []struct{ text, want string }{
		{ips(12), ""}, // 253 octets
		{ips(13), `warning spf-long-string count="2" domain="example.org" octets="272"`},
		{ips(22), `warning spf-long-string count="2" domain="example.org" octets="443"
info spf-long-answer all="454" domain="example.org" octets="443"`},
		{ips(63), `warning spf-long-string count="5" domain="example.org" octets="1222"
warning spf-long-answer all="1233" domain="example.org" octets="1222"`},
	})
}

func TestLint_characters_that_no_record_has(t *testing.T) {
	checkOwn(t, []struct{ text, want string }{
		{`"v=spf1 ip4:192.0.2.1 -all"`, `error spf-stray-quotes domain="example.org" near="v=spf1 ip4:192.0.2.1 -all" record="\"v=spf1 ip4:192.0.2.1 -all\""`},
		{`v=spf1 ip4:192.0.2.1 -all"`, `error spf-stray-quotes domain="example.org" near="v=spf1 ip4:192.0.2.1 -all" record="v=spf1 ip4:192.0.2.1 -all\""`},
		{`v=spf1 ip4:192.0.2.1\ -all`, `error spf-stray-quotes domain="example.org" near="v=spf1 ip4:192.0.2.1 -all" record="v=spf1 ip4:192.0.2.1\\ -all"`},
		{"v=spf1 ip4:192.0.2.1 \u2013all", `error spf-typographic-character characters="U+2013" domain="example.org" near="v=spf1 ip4:192.0.2.1 -all"`},
		{"\u201cv=spf1 ip4:192.0.2.1 -all\u201d", `error spf-typographic-character characters="U+201C, U+201D" domain="example.org" near="v=spf1 ip4:192.0.2.1 -all"`},
		{"\ufeffv=spf1\u00a0ip4:192.0.2.1 -all", `error spf-typographic-character characters="U+FEFF, U+00A0" domain="example.org" near="v=spf1 ip4:192.0.2.1 -all"`},
		{"v=spf1 ip4:192.0.2.1 \x96all", `error spf-typographic-character characters="octet 96" domain="example.org" near="v=spf1 ip4:192.0.2.1 -all"`},
		{`v=spf1 ip4:192.0.2.1 moo="x\y" -all`, ""}, // a macro-string may have them
		{`a note: "v=spf1 -all"`, `error spf-none domain="example.org"`},
	})
}

func TestLint_near_misses(t *testing.T) {
	lintRows(t, `
$TTL 60
net.example.    TXT "v=spf1 ip4:192.0.2.64/26 -all"
in.example.     TXT "v=spf1 include:net.example ?all"
host.example.   TXT "v=spf1 ip4:192.0.2.10 -all"
slip.example.   TXT "v=spf1 ip4:192.9.2.129 -all"
far.example.    TXT "v=spf1 ip4:192.0.2.0/26 -ip4:192.0.2.130 ip4:10.0.0.0/7 -all"
six.example.    TXT "v=spf1 ip6:2001:db8:0:0::/64 ~all"
four.example.   TXT "v=spf1 ip4:192.0.2.64/26 ~all"
`, []examined{
		{"net.example", "192.0.2.129", []string{`error spf-sender-not-listed domain="net.example" ip="192.0.2.129" result="fail"`,
			`info spf-near-miss domain="net.example" ip="192.0.2.129" term="ip4:192.0.2.64/26"`}},
		{"in.example", "192.0.2.1", []string{`warning spf-sender-not-listed domain="in.example" ip="192.0.2.1" result="neutral"`, `warning spf-neutral-all domain="in.example"`,
			`info spf-near-miss domain="net.example" ip="192.0.2.1" term="ip4:192.0.2.64/26"`}},
		{"host.example", "192.0.2.129", []string{`error spf-sender-not-listed domain="host.example" ip="192.0.2.129" result="fail"`,
			`info spf-near-miss domain="host.example" ip="192.0.2.129" term="ip4:192.0.2.10"`}},
		{"slip.example", "192.0.2.129", []string{`error spf-sender-not-listed domain="slip.example" ip="192.0.2.129" result="fail"`,
			`info spf-near-miss domain="slip.example" ip="192.0.2.129" term="ip4:192.9.2.129"`}},
		{"far.example", "192.0.2.129", []string{`error spf-sender-not-listed domain="far.example" ip="192.0.2.129" result="fail"`,
			`warning spf-private-address domain="far.example" terms="ip4:10.0.0.0/7"`}},
		{"six.example", "2001:db8:0:1::5", []string{`error spf-sender-not-listed domain="six.example" ip="2001:db8:0:1::5" result="softfail"`,
			`info spf-near-miss domain="six.example" ip="2001:db8:0:1::5" term="ip6:2001:db8:0:0::/64"`}},
		{"four.example", "2001:db8:0:1::5", []string{`error spf-sender-not-listed domain="four.example" ip="2001:db8:0:1::5" result="softfail"`,
			`info spf-ipv4-only domain="four.example" ip="2001:db8:0:1::5"`}},
	})
}

func TestLint_record_at_www(t *testing.T) {
	t.Parallel()
	r := dnstest.Zone(t, "example.org. A 192.0.2.9\nwww.example.org. TXT \"v=spf1 -all\"\n")
	got := codes(spf.Evaluator{DNS: r}.Examine(t.Context(), query("192.0.2.1", "a@example.org")).Findings)
	if want := []string{`error spf-wrong-name domain="example.org" name="www.example.org"`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLint_single_records(t *testing.T) {
	lintRows(t, `
listed.example.   TXT "v=spf1 ip4:192.0.2.7 -all"
both.example.           TXT "v=spf1 redirect=listed.example -all"
ptr.example.            TXT "v=spf1 ptr -all"
plus.example.           TXT "v=spf1 mx +all"
wide.example.           TXT "v=spf1 ip4:0.0.0.0/1 ip4:128.0.0.0/1 -all"
private.example.        TXT "v=spf1 ip4:192.168.1.5 ip6:fd00::/8 ip4:192.0.2.1 -all"
after.example.          TXT "v=spf1 ip4:192.0.2.1 -all mx"
equals.example.         TXT "v=spf1 ip4=192.0.2.1 ip4:192.0.2.1 -all"
inptr.example.          TXT "v=spf1 include:ptr.example ip4:192.0.2.1 -all"
`, []examined{
		{"both.example", "", []string{`error spf-sender-not-listed domain="both.example" ip="192.0.2.1" result="fail"`,
			`warning spf-redirect-ignored domain="both.example" term="redirect=listed.example"`}},
		{"ptr.example", "", []string{`error spf-sender-not-listed domain="ptr.example" ip="192.0.2.1" result="fail"`, `warning spf-ptr-mechanism domain="ptr.example" term="ptr"`}},
		{"plus.example", "", []string{`error spf-plus-all domain="plus.example" term="+all"`, `warning spf-dead-name domain="plus.example" terms="mx"`}},
		{"wide.example", "", []string{`error spf-plus-all domain="wide.example" term="ip4:0.0.0.0/1 ip4:128.0.0.0/1"`}},
		{"private.example", "", []string{`warning spf-private-address domain="private.example" terms="ip4:192.168.1.5 ip6:fd00::/8"`}},
		{"after.example", "", []string{`warning spf-terms-after-all domain="after.example" terms="mx"`}},
		{"equals.example", "", []string{`warning spf-equals-sign domain="equals.example" near="ip4:192.0.2.1" term="ip4=192.0.2.1"`}},
		{"inptr.example", "", []string{`info spf-ptr-mechanism domain="ptr.example" term="ptr"`}},
	})
}
