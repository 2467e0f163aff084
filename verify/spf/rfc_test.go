package spf_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"checkauth/verify/dns"
	"checkauth/verify/dns/client"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

const identities = `
example.org.       TXT "v=spf1 ip4:192.0.2.1 -all"
mail.example.org.  TXT "v=spf1 ip4:192.0.2.2 ?all"
`

func TestRFC7208_2_3_HELO_identity(t *testing.T) {
	t.Parallel()
	r := dnstest.Zone(t, identities)
	got := spf.Evaluator{DNS: r}.CheckHelo(t.Context(), query("192.0.2.2", "a@example.org"))
	if got.Word != result.Pass || got.Sender != "postmaster@mail.example.org" || got.Domain != "mail.example.org" || got.Findings != nil {
		t.Errorf("got %+v, want a pass of postmaster@mail.example.org without findings", got)
	}
}

func TestRFC7208_2_4_MAIL_FROM_identity(t *testing.T) {
	t.Parallel()
	r := dnstest.Zone(t, identities)
	for _, c := range []struct {
		name, from, sender string
		want               result.Word
	}{
		{"reverse-path", "a@Example.ORG", "a@Example.ORG", result.Fail},
		{"null reverse-path", "", "postmaster@mail.example.org", result.Pass},
		{"quoted local part with an at sign", `"a@b"@example.org`, `"a@b"@example.org`, result.Fail},
	} {
		got := evaluate(t, r, "192.0.2.2", c.from)
		if got.Word != c.want || got.Sender != c.sender {
			t.Errorf("%s: got %s for %s, want %s for %s", c.name, got.Word, got.Sender, c.want, c.sender)
		}
	}
}

func TestRFC7208_2_6_results(t *testing.T) {
	rows(t, `
pass.example.org.      TXT "v=spf1 ip4:192.0.2.1 -all"
fail.example.org.      TXT "v=spf1 -all"
softfail.example.org.  TXT "v=spf1 ~all"
neutral.example.org.   TXT "v=spf1 ?all"
error.example.org.     TXT "v=spf1 oops"
none.example.org.      A 192.0.2.9
;FAULT SERVFAIL gone.example.org TXT
`, []row{
		{"pass", "192.0.2.1", "a@pass.example.org", result.Pass, "spf-matches"},
		{"fail", "192.0.2.1", "a@fail.example.org", result.Fail, "spf-decided-by"},
		{"softfail", "192.0.2.1", "a@softfail.example.org", result.SoftFail, "spf-decided-by"},
		{"neutral", "192.0.2.1", "a@neutral.example.org", result.Neutral, "spf-decided-by"},
		{"none", "192.0.2.1", "a@none.example.org", result.None, "spf-no-record"},
		{"permerror", "192.0.2.1", "a@error.example.org", result.PermError, "spf-term-unknown"},
		{"temperror", "192.0.2.1", "a@gone.example.org", result.TempError, "dns-servfail"},
	})
}

func TestRFC7208_3_1_record_type(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, `
example.org. SPF "v=spf1 +all"
example.org. TXT "v=spf1 -all"
`)
	got := evaluate(t, s.Client(t), "192.0.2.1", "a@example.org")
	if got.Word != result.Fail || slices.Contains(s.Queries(), "example.org SPF") {
		t.Errorf("got %s with the questions %q, want fail by TXT alone", got.Word, s.Queries())
	}
}

func TestRFC7208_3_2_multiple_records(t *testing.T) {
	rows(t, `
two.example.org.    TXT "v=spf1 -all"
two.example.org.    TXT "v=spf1 +all"
other.example.org.  TXT "v=spf1 -all"
other.example.org.  TXT "v=spf10 +all"
other.example.org.  TXT "verification=v=spf1 +all"
inner.example.org.  TXT "v=spf1 include:two.example.org +all"
`, []row{
		{"two are permerror", "192.0.2.1", "a@two.example.org", result.PermError, "spf-several-records"},
		{"other texts do not count", "192.0.2.1", "a@other.example.org", result.Fail, ""},
		{"two at an include", "192.0.2.1", "a@inner.example.org", result.PermError, "spf-several-records"},
	})
}

func TestRFC7208_3_3_strings_are_joined(t *testing.T) {
	rows(t, `
example.org.  TXT "v=sp" "f1 ip4:192." "0.2.1 -al" "l"
`, []row{{"without a space", "192.0.2.1", "a@example.org", result.Pass, ""}, {"to the end", "192.0.2.2", "a@example.org", result.Fail, ""}})
}

func TestRFC7208_4_3_initial_processing(t *testing.T) {
	long := strings.Repeat("a", 64) + ".example.org"
	rows(t, "xn--mller-kva.example. TXT \"v=spf1 -all exp=%{d}.why.example\"\n", []row{
		{"label of 64 octets", "192.0.2.1", "a@" + long, result.None, "spf-domain-malformed"},
		{"name of 254 octets", "192.0.2.1", "a@" + strings.Repeat("abcdefg.", 31) + "abcdef", result.None, "spf-domain-malformed"},
		{"empty label", "192.0.2.1", "a@a..example.org", result.None, "spf-domain-malformed"},
		{"empty label at the end", "192.0.2.1", "a@xn--mller-kva.example..", result.None, "spf-domain-malformed"},
		{"the root at the end", "192.0.2.1", "a@xn--mller-kva.example.", result.Fail, ""},
		{"single label", "192.0.2.1", "a@localhost", result.None, "spf-domain-malformed"},
		{"address literal", "192.0.2.1", "a@[192.0.2.1]", result.None, "spf-domain-malformed"},
		{"bare address", "192.0.2.1", "a@192.0.2.1", result.None, "spf-domain-malformed"},
		{"no domain", "192.0.2.1", "a@", result.None, "spf-domain-empty"},
		{"controls", "192.0.2.1", "a@x\x00.example.org", result.None, "spf-domain-malformed"},
		{"no such name", "192.0.2.1", "a@nobody.example.org", result.None, "spf-domain-unknown"},
		{"U-labels become A-labels", "192.0.2.1", "a@Müller.example", result.Fail, ""},
		{"what is no U-label either", "192.0.2.1", "a@\xff.example", result.None, "spf-domain-malformed"},
	})
}

func TestRFC7208_4_3_no_local_part(t *testing.T) {
	t.Parallel()
	r := dnstest.Zone(t, `
example.org.      TXT "v=spf1 -all exp=why.example.org"
why.example.org.  TXT "%{l} of %{s}"
`)
	for _, from := range []string{"@example.org", "example.org"} {
		got := evaluate(t, r, "192.0.2.1", from)
		if want := "postmaster of postmaster@example.org"; got.Explanation != want {
			t.Errorf("%s: got %q, want %q", from, got.Explanation, want)
		}
	}
}

func TestRFC7208_4_4_record_lookup(t *testing.T) {
	rows(t, `
;FAULT SERVFAIL s.example.org TXT
;FAULT REFUSED r.example.org TXT
;FAULT TIMEOUT t.example.org TXT
;FAULT BOGUS b.example.org TXT
in.example.org. TXT "v=spf1 include:s.example.org +all"
`, []row{
		{"SERVFAIL", "192.0.2.1", "a@s.example.org", result.TempError, "dns-servfail"},
		{"REFUSED", "192.0.2.1", "a@r.example.org", result.TempError, "dns-refused"},
		{"silence", "192.0.2.1", "a@t.example.org", result.TempError, "dns-timeout"},
		{"DNSSEC", "192.0.2.1", "a@b.example.org", result.TempError, "dns-dnssec-bogus"},
		{"of an include", "192.0.2.1", "a@in.example.org", result.TempError, "dns-servfail"},
	})
}

func TestRFC7208_4_4_our_own_bound_of_questions(t *testing.T) {
	t.Parallel()
	r := dnstest.Zone(t, `example.org. TXT "v=spf1 a:a.example.org a:b.example.org -all"`)
	got := evaluate(t, dns.NewMemo(t.Context(), r).View(2), "192.0.2.1", "a@example.org")
	if e, ok := errors.AsType[*dns.Error](got.Cause); got.Word != result.TempError || !ok || e.Kind != dns.Budget {
		t.Errorf("got %s because of %v, want temperror by the budget", got.Word, got.Cause)
	}
}

func TestRFC7208_4_5_selecting_records(t *testing.T) {
	rows(t, `
bare.example.org.   TXT "v=spf1"
space.example.org.  TXT "v=spf1 "
case.example.org.   TXT "V=SpF1 -ALL"
tab.example.org.    TXT "v=spf1\009-all"
lead.example.org.   TXT " v=spf1 -all"
glued.example.org.  TXT "v=spf1" "-all"
`, []row{
		{"nothing behind it", "192.0.2.1", "a@bare.example.org", result.Neutral, "spf-no-match"},
		{"a space behind it", "192.0.2.1", "a@space.example.org", result.Neutral, "spf-no-match"},
		{"any case", "192.0.2.1", "a@case.example.org", result.Fail, ""},
		{"a tab is no space", "192.0.2.1", "a@tab.example.org", result.None, "spf-no-record"},
		{"it must come first", "192.0.2.1", "a@lead.example.org", result.None, "spf-no-record"},
		{"strings joined", "192.0.2.1", "a@glued.example.org", result.None, "spf-no-record"},
	})
}

func TestRFC7208_4_6_syntax_errors_anywhere(t *testing.T) {
	rows(t, `
behind.example.org.  TXT "v=spf1 +all ip4:bogus"
inner.example.org.   TXT "v=spf1 include:behind.example.org +all"
after.example.org.   TXT "v=spf1 ip4:192.0.2.1 include:behind.example.org -all"
`, []row{
		{"behind a match", "192.0.2.1", "a@behind.example.org", result.PermError, "spf-term-bad-address"},
		{"in an include", "192.0.2.1", "a@inner.example.org", result.PermError, "spf-term-bad-address"},
		{"a record that is not reached", "192.0.2.1", "a@after.example.org", result.Pass, ""},
	})
}

func TestRFC7208_4_6_2_qualifiers(t *testing.T) {
	rows(t, `
q.example.org. TXT "v=spf1 ip4:192.0.2.1 +ip4:192.0.2.2 -ip4:192.0.2.3 ~ip4:192.0.2.4 ?ip4:192.0.2.5 -all"
`, []row{
		{"none is pass", "192.0.2.1", "a@q.example.org", result.Pass, ""},
		{"plus", "192.0.2.2", "a@q.example.org", result.Pass, ""},
		{"minus", "192.0.2.3", "a@q.example.org", result.Fail, ""},
		{"tilde", "192.0.2.4", "a@q.example.org", result.SoftFail, ""},
		{"question mark", "192.0.2.5", "a@q.example.org", result.Neutral, "spf-decided-by"},
	})
}

func TestRFC7208_4_6_3_modifiers_do_not_match(t *testing.T) {
	rows(t, `
m.example.org. TXT "v=spf1 exp=why.example.org unknown=all ip4:192.0.2.1 -all"
`, []row{{"their place means nothing", "192.0.2.1", "a@m.example.org", result.Pass, ""}})
}

// terms makes n terms of the form.
func terms(n int, form string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, " "+form, i)
	}
	return b.String()
}

func TestRFC7208_4_6_4_ten_terms(t *testing.T) {
	var found strings.Builder
	for i := range 12 {
		fmt.Fprintf(&found, "h%d.example.org. A 198.51.100.%d\n", i, i)
	}
	rows(t, found.String()+`
ten.example.org.     TXT "v=spf1`+terms(10, "a:h%d.example.org")+` ip4:192.0.2.1 -all"
eleven.example.org.  TXT "v=spf1`+terms(11, "a:h%d.example.org")+` ip4:192.0.2.1 -all"
match.example.org.   TXT "v=spf1 ip4:192.0.2.1`+terms(11, "a:h%d.example.org")+` -all"
nested.example.org.  TXT "v=spf1 include:five.example.org include:five.example.org ip4:192.0.2.1 -all"
over.example.org.    TXT "v=spf1 include:five.example.org redirect=five5.example.org"
five.example.org.    TXT "v=spf1`+terms(4, "a:h%d.example.org")+`"
five5.example.org.   TXT "v=spf1`+terms(5, "a:h%d.example.org")+`"
`, []row{
		{"ten", "192.0.2.1", "a@ten.example.org", result.Pass, ""},
		{"eleven", "192.0.2.1", "a@eleven.example.org", result.PermError, "spf-lookup-limit"},
		{"those behind a match do not count", "192.0.2.1", "a@match.example.org", result.Pass, ""},
		{"counted over includes", "192.0.2.1", "a@nested.example.org", result.Pass, ""},
		{"counted over redirect", "192.0.2.1", "a@over.example.org", result.PermError, "spf-lookup-limit"},
	})
}

func TestRFC7208_4_6_4_void_lookups(t *testing.T) {
	rows(t, `
two.example.org.    TXT "v=spf1 a:x.example.org exists:y.example.org ip4:192.0.2.1 -all"
three.example.org.  TXT "v=spf1 a:x.example.org mx:y.example.org exists:z.example.org ip4:192.0.2.1 -all"
inner.example.org.  TXT "v=spf1 a:x.example.org include:deep.example.org ip4:192.0.2.1 -all"
deep.example.org.   TXT "v=spf1 a:x.example.org a:z.example.org"
empty.example.org.  TXT "v=spf1 a:e.example.org a:e.example.org a:e.example.org -all"
e.example.org.      TXT "no address"
hosts.example.org.  TXT "v=spf1 mx ip4:192.0.2.1 -all"
hosts.example.org.  MX 1 a.hosts.example.org.
hosts.example.org.  MX 2 b.hosts.example.org.
hosts.example.org.  MX 3 c.hosts.example.org.
exp.example.org.    TXT "v=spf1 a:x.example.org a:y.example.org -all exp=z.example.org"
`, []row{
		{"two", "192.0.2.1", "a@two.example.org", result.Pass, ""},
		{"three", "192.0.2.1", "a@three.example.org", result.PermError, "spf-void-limit"},
		{"over an include", "192.0.2.1", "a@inner.example.org", result.PermError, "spf-void-limit"},
		{"an empty answer is void too", "192.0.2.1", "a@empty.example.org", result.PermError, "spf-void-limit"},
		{"the addresses of an mx's names are no terms", "192.0.2.1", "a@hosts.example.org", result.Pass, ""},
		{"exp does not count", "192.0.2.1", "a@exp.example.org", result.Fail, ""},
	})
}

func TestRFC7208_4_7_default_result(t *testing.T) {
	rows(t, `d.example.org. TXT "v=spf1 ip4:192.0.2.1"`, []row{
		{"neutral where nothing matches", "192.0.2.2", "a@d.example.org", result.Neutral, "spf-no-match"}})
}

func TestRFC7208_4_8_target_names(t *testing.T) {
	long := strings.Repeat("a", 64)
	rows(t, `
dots.example.org.     TXT "v=spf1 a:mail...example.org -all"
label.example.org.    TXT "v=spf1 a:`+long+`.example.org -all"
include.example.org.  TXT "v=spf1 include:`+long+`.example.org +all"
dot.example.org.      TXT "v=spf1 a:host.example.org. -all"
local.example.org.    TXT "v=spf1 a:%{l} -all"
own.example.org.      TXT "v=spf1 a -all"
own.example.org.      A 192.0.2.1
host.example.org.     A 192.0.2.1
`, []row{
		{"empty labels do not match", "192.0.2.1", "a@dots.example.org", result.Fail, ""},
		{"a long label does not match", "192.0.2.1", "a@label.example.org", result.Fail, ""},
		{"include of such is permerror", "192.0.2.1", "a@include.example.org", result.PermError, "spf-target-without-record"},
		{"the final dot is left out", "192.0.2.1", "a@dot.example.org", result.Pass, ""},
		{"also that of a macro", "192.0.2.1", "host.example.org.@local.example.org", result.Pass, ""},
		{"two final dots do not match", "192.0.2.1", "host.example.org..@local.example.org", result.Fail, ""},
		{"none given means the domain", "192.0.2.1", "a@own.example.org", result.Pass, ""},
	})
}

func TestRFC7208_5_address_families(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, `
example.org.       TXT  "v=spf1 a mx exists:host.example.org -all"
example.org.       A    192.0.2.1
example.org.       AAAA 2001:db8::1
example.org.       MX   1 host.example.org.
host.example.org.  A    192.0.2.2
host.example.org.  AAAA 2001:db8::2
`)
	r := s.Client(t)
	for _, c := range []struct{ ip, network, asked, not string }{
		{"192.0.2.2", "a", "host.example.org A", "host.example.org AAAA"},
		{"::ffff:192.0.2.2", "mapped", "host.example.org A", "host.example.org AAAA"},
		{"2001:db8::2", "aaaa", "host.example.org AAAA", "example.org A"},
	} {
		before := len(s.Queries())
		got := evaluate(t, r, c.ip, "a@example.org")
		asked := s.Queries()[before:]
		if got.Word != result.Pass || !slices.Contains(asked, c.asked) || slices.Contains(asked, c.not) {
			t.Errorf("%s: got %s with the questions %q, want pass with %s and without %s", c.ip, got.Word, asked, c.asked, c.not)
		}
	}
}

func TestRFC7208_5_DNS_errors(t *testing.T) {
	rows(t, `
a.example.org.       TXT "v=spf1 a:x.example.org +all"
mx.example.org.      TXT "v=spf1 mx:x.example.org +all"
hosts.example.org.   TXT "v=spf1 mx:y.example.org +all"
y.example.org.       MX 1 x.example.org.
exists.example.org.  TXT "v=spf1 exists:x.example.org +all"
before.example.org.  TXT "v=spf1 ip4:192.0.2.1 a:x.example.org -all"
;FAULT SERVFAIL x.example.org ANY
`, []row{
		{"of a", "192.0.2.1", "a@a.example.org", result.TempError, "dns-servfail"},
		{"of mx", "192.0.2.1", "a@mx.example.org", result.TempError, "dns-servfail"},
		{"of an mx's name", "192.0.2.1", "a@hosts.example.org", result.TempError, "dns-servfail"},
		{"of exists", "192.0.2.1", "a@exists.example.org", result.TempError, "dns-servfail"},
		{"behind a match nothing is asked", "192.0.2.1", "a@before.example.org", result.Pass, ""},
	})
}

func TestRFC7208_5_1_all(t *testing.T) {
	rows(t, `
all.example.org.       TXT "v=spf1 ~all ip4:192.0.2.1 -all"
redirect.example.org.  TXT "v=spf1 redirect=other.example.org ?all"
other.example.org.     TXT "v=spf1 -all"
`, []row{
		{"what stands behind is never tested", "192.0.2.1", "a@all.example.org", result.SoftFail, ""},
		{"redirect is ignored, wherever it stands", "192.0.2.1", "a@redirect.example.org", result.Neutral, ""},
	})
}

func TestRFC7208_5_2_include(t *testing.T) {
	rows(t, `
pass.i.example.      TXT "v=spf1 ip4:192.0.2.1 -all exp=why.i.example"
softfail.i.example.  TXT "v=spf1 ~all"
neutral.i.example.   TXT "v=spf1 ?all"
bad.i.example.       TXT "v=spf1 oops"
text.i.example.      TXT "no record"
;FAULT SERVFAIL temp.i.example TXT
fail.example.org.     TXT "v=spf1 include:pass.i.example ~all"
soft.example.org.     TXT "v=spf1 include:softfail.i.example -all"
neutral.example.org.  TXT "v=spf1 include:neutral.i.example -all"
temp.example.org.     TXT "v=spf1 include:temp.i.example -all"
bad.example.org.      TXT "v=spf1 include:bad.i.example -all"
none.example.org.     TXT "v=spf1 include:text.i.example -all"
nx.example.org.       TXT "v=spf1 include:nx.i.example -all"
minus.example.org.    TXT "v=spf1 -include:pass.i.example +all"
`, []row{
		{"pass matches", "192.0.2.1", "a@fail.example.org", result.Pass, "spf-matches"},
		{"fail does not", "192.0.2.2", "a@fail.example.org", result.SoftFail, ""},
		{"softfail does not", "192.0.2.1", "a@soft.example.org", result.Fail, ""},
		{"neutral does not", "192.0.2.1", "a@neutral.example.org", result.Fail, ""},
		{"temperror goes on", "192.0.2.1", "a@temp.example.org", result.TempError, "dns-servfail"},
		{"permerror goes on", "192.0.2.1", "a@bad.example.org", result.PermError, "spf-term-unknown"},
		{"none is permerror", "192.0.2.1", "a@none.example.org", result.PermError, "spf-target-without-record"},
		{"so is a name that does not exist", "192.0.2.1", "a@nx.example.org", result.PermError, "spf-target-without-record"},
		{"the qualifier is that of the include", "192.0.2.1", "a@minus.example.org", result.Fail, "spf-decided-by"},
	})
}

func TestRFC7208_5_3_a(t *testing.T) {
	rows(t, `
example.org.       TXT  "v=spf1 a/24//64 a:other.example.org -all"
example.org.       A    192.0.2.1
example.org.       AAAA 2001:db8:1::1
other.example.org. A    198.51.100.1
other.example.org. A    198.51.100.2
other.example.org. AAAA ::ffff:203.0.113.1
zero.example.org.  TXT  "v=spf1 a:nothing.example.org/0 -all"
`, []row{
		{"ip4 mask", "192.0.2.200", "a@example.org", result.Pass, ""},
		{"outside", "192.0.3.1", "a@example.org", result.Fail, ""},
		{"ip6 mask", "2001:db8:1::ffff", "a@example.org", result.Pass, ""},
		{"outside of it", "2001:db8:2::1", "a@example.org", result.Fail, ""},
		{"any address of the name", "198.51.100.2", "a@example.org", result.Pass, ""},
		{"a mapped AAAA is no A", "203.0.113.1", "a@example.org", result.Fail, ""},
		{"no address never matches", "192.0.2.1", "a@zero.example.org", result.Fail, ""},
	})
}

func TestRFC7208_5_4_mx(t *testing.T) {
	rows(t, `
example.org.        TXT "v=spf1 mx/24 -all"
example.org.        MX  10 mx1.example.org.
example.org.        MX  20 mx2.example.org.
mx1.example.org.    A   198.51.100.1
mx2.example.org.    A   192.0.2.1
null.example.org.   TXT "v=spf1 mx -all"
null.example.org.   MX  0 .
none.example.org.   TXT "v=spf1 mx -all"
none.example.org.   A   192.0.2.1
`, []row{
		{"any name's address, with its mask", "192.0.2.99", "a@example.org", result.Pass, ""},
		{"no match", "203.0.113.1", "a@example.org", result.Fail, ""},
		{"null MX", "192.0.2.1", "a@null.example.org", result.Fail, ""},
		{"no MX does not mean A", "192.0.2.1", "a@none.example.org", result.Fail, ""},
	})
}

func TestRFC7208_5_5_ptr(t *testing.T) {
	rows(t, `
example.org.             TXT  "v=spf1 ptr -all"
1.2.0.192.in-addr.arpa.  PTR  notexample.org.
notexample.org.          A    192.0.2.1
2.2.0.192.in-addr.arpa.  PTR  bad.example.org.
2.2.0.192.in-addr.arpa.  PTR  Mail.Example.org.
mail.example.org.        A    192.0.2.2
;FAULT SERVFAIL bad.example.org A
;FAULT SERVFAIL 3.2.0.192.in-addr.arpa PTR
4.2.0.192.in-addr.arpa.  PTR  mail.example.org.
5.2.0.192.in-addr.arpa.  PTR  example.org.
example.org.             A    192.0.2.5
named.example.org.       TXT  "v=spf1 ptr:example.org -all"
`, []row{
		{"the suffix is no label", "192.0.2.1", "a@example.org", result.Fail, ""},
		{"name under the domain, another fails", "192.0.2.2", "a@example.org", result.Pass, ""},
		{"a DNS error means no match", "192.0.2.3", "a@example.org", result.Fail, ""},
		{"the name must have the address", "192.0.2.4", "a@example.org", result.Fail, ""},
		{"the domain itself", "192.0.2.5", "a@example.org", result.Pass, ""},
		{"a named target", "192.0.2.2", "a@named.example.org", result.Pass, ""},
	})
}

func TestRFC7208_5_6_ip4_and_ip6(t *testing.T) {
	rows(t, `
example.org.  TXT "v=spf1 ip4:192.0.2.0/25 ip4:198.51.100.1 ip6:2001:db8::/33 ip6:::ffff:203.0.113.1 -all"
zero.example.org.  TXT "v=spf1 ip6:::/0 -all"
`, []row{
		{"in the network", "192.0.2.127", "a@example.org", result.Pass, ""},
		{"outside", "192.0.2.128", "a@example.org", result.Fail, ""},
		{"no mask is the whole", "198.51.100.1", "a@example.org", result.Pass, ""},
		{"ip6", "2001:db8:7fff::1", "a@example.org", result.Pass, ""},
		{"outside ip6", "2001:db8:8000::1", "a@example.org", result.Fail, ""},
		{"an IPv4 client is not matched by ip6", "203.0.113.1", "a@example.org", result.Fail, ""},
		{"not even by all of it", "::ffff:192.0.2.1", "a@zero.example.org", result.Fail, ""},
	})
}

func TestRFC7208_5_7_exists(t *testing.T) {
	rows(t, `
example.org.             TXT  "v=spf1 exists:%{i}.list.example.org -all"
192.0.2.1.list.example.org.  A 127.0.0.2
192.0.2.2.list.example.org.  AAAA ::1
six.example.org.         TXT  "v=spf1 exists:192.0.2.1.list.example.org -all"
`, []row{
		{"any A", "192.0.2.1", "a@example.org", result.Pass, ""},
		{"AAAA is not looked at", "192.0.2.2", "a@example.org", result.Fail, ""},
		{"A for an IPv6 client too", "2001:db8::1", "a@six.example.org", result.Pass, ""},
	})
}

func TestRFC7208_6_modifiers(t *testing.T) {
	rows(t, `
twice.example.org.    TXT "v=spf1 redirect=x.example.org redirect=x.example.org"
exps.example.org.     TXT "v=spf1 exp=x.example.org -all EXP=x.example.org"
unknown.example.org.  TXT "v=spf1 x-y_z.1=%{c}/a:b x-y_z.1=again ip4:192.0.2.1 -all"
macro.example.org.    TXT "v=spf1 x=%a -all"
`, []row{
		{"redirect twice", "192.0.2.1", "a@twice.example.org", result.PermError, "spf-term-repeated"},
		{"exp twice", "192.0.2.1", "a@exps.example.org", result.PermError, "spf-term-repeated"},
		{"unknown ones are ignored", "192.0.2.1", "a@unknown.example.org", result.Pass, ""},
		{"their macros must be right", "192.0.2.1", "a@macro.example.org", result.PermError, "spf-term-bad-macro"},
	})
}

func TestRFC7208_6_1_redirect(t *testing.T) {
	rows(t, `
example.org.       TXT "v=spf1 redirect=other.example.org ip4:192.0.2.1"
other.example.org. TXT "v=spf1 a ~all"
other.example.org. A 192.0.2.2
none.example.org.  TXT "v=spf1 redirect=text.example.org"
text.example.org.  TXT "x"
long.example.org.  TXT "v=spf1 redirect=`+strings.Repeat("a", 64)+`.example.org"
`, []row{
		{"after all mechanisms", "192.0.2.1", "a@example.org", result.Pass, ""},
		{"the domain is the other one", "192.0.2.2", "a@example.org", result.Pass, ""},
		{"its result counts", "192.0.2.3", "a@example.org", result.SoftFail, ""},
		{"no record there", "192.0.2.3", "a@none.example.org", result.PermError, "spf-target-without-record"},
		{"no name at all", "192.0.2.3", "a@long.example.org", result.PermError, "spf-target-without-record"},
	})
}

func TestRFC7208_6_2_exp(t *testing.T) {
	t.Parallel()
	r := dnstest.Zone(t, `
ok.example.org.        TXT "v=spf1 -all exp=why.example.org"
why.example.org.       TXT "See http://%{d}/why?s=%{S}" "&ip=%{c}"
soft.example.org.      TXT "v=spf1 ~all exp=why.example.org"
two.example.org.       TXT "v=spf1 -all exp=twowhy.example.org"
twowhy.example.org.    TXT "one"
twowhy.example.org.    TXT "two"
none.example.org.      TXT "v=spf1 -all exp=nowhy.example.org"
bad.example.org.       TXT "v=spf1 -all exp=badwhy.example.org"
badwhy.example.org.    TXT "%{x}"
utf8.example.org.      TXT "v=spf1 -all exp=utf8why.example.org"
utf8why.example.org.   TXT "caf\195\169"
include.example.org.   TXT "v=spf1 include:ok.example.org -all"
redirect.example.org.  TXT "v=spf1 redirect=ok.example.org exp=twowhy.example.org"
fault.example.org.     TXT "v=spf1 -all exp=faultwhy.example.org"
;FAULT SERVFAIL faultwhy.example.org TXT
`)
	for _, c := range []struct{ name, want string }{
		{"ok", "See http://ok.example.org/why?s=a%40ok.example.org&ip=192.0.2.1"},
		{"soft", ""}, {"two", ""}, {"none", ""}, {"bad", ""}, {"utf8", ""}, {"include", ""}, {"fault", ""},
		{"redirect", "See http://ok.example.org/why?s=a%40redirect.example.org&ip=192.0.2.1"},
	} {
		if got := evaluate(t, r, "192.0.2.1", "a@"+c.name+".example.org"); got.Explanation != c.want {
			t.Errorf("%s: got %s %q, want %q", c.name, got.Word, got.Explanation, c.want)
		}
	}
	// A local part that would break the line of the answer leaves none.
	if got := evaluate(t, r, "192.0.2.1", "a\r\n250 ok\x1b@ok.example.org"); strings.ContainsAny(got.Explanation, "\r\n\x1b") {
		t.Errorf("controls: got %q", got.Explanation)
	}
}

// The examples of RFC 7208, 7.4.
func TestRFC7208_7_macros(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ ip, macro, want string }{
		{"192.0.2.3", "%{s}", "strong-bad@email.example.com"},
		{"192.0.2.3", "%{o}", "email.example.com"},
		{"192.0.2.3", "%{d}", "email.example.com"},
		{"192.0.2.3", "%{d4}", "email.example.com"},
		{"192.0.2.3", "%{d2}", "example.com"},
		{"192.0.2.3", "%{d1}", "com"},
		{"192.0.2.3", "%{dr}", "com.example.email"},
		{"192.0.2.3", "%{d2r}", "example.email"},
		{"192.0.2.3", "%{l}", "strong-bad"},
		{"192.0.2.3", "%{l-}", "strong.bad"},
		{"192.0.2.3", "%{lr}", "strong-bad"},
		{"192.0.2.3", "%{lr-}", "bad.strong"},
		{"192.0.2.3", "%{l1r-}", "strong"},
		{"192.0.2.3", "%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"},
		{"192.0.2.3", "%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"},
		{"192.0.2.3", "%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"},
		{"2001:db8::cb01", "%{ir}.%{v}._spf.%{d2}", "1.0.B.C.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.ip6._spf.example.com"},
		{"2001:db8::cb01", "%{c}", "2001:db8::cb01"},
		{"192.0.2.3", "%%%_%-", "% %20"},
		{"192.0.2.3", "%{S}", "strong-bad%40email.example.com"},
		{"192.0.2.3", "%{h} %{r} %{t}", "mail.example.org mx.example.net 1700000000"},
		{"192.0.2.3", "%{p}", "unknown"},
		{"192.0.2.3", "%{d999999999999r}", "com.example.email"},
		{"192.0.2.3", "%{DR1}", "invalid"},
		{"192.0.2.3", "%{D1R}", "email"},
		{"192.0.2.3", "%{d0}", "invalid"},
	} {
		zone := dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
			a := dns.Answer{Question: q}
			switch q.Name {
			case "email.example.com":
				a.Records = []dns.Record{{Type: dns.TXT, Strings: []string{"v=spf1 -all exp=why.example.com"}}}
			case "why.example.com":
				a.Records = []dns.Record{{Type: dns.TXT, Strings: []string{c.macro}}}
			}
			return a, nil
		})
		e := spf.Evaluator{DNS: zone, Host: "mx.example.net", Now: func() time.Time { return time.Unix(1700000000, 0) }}
		got := e.Check(t.Context(), query(c.ip, "strong-bad@email.example.com")).Explanation
		if got == "" {
			got = "invalid"
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.macro, got, c.want)
		}
	}
}

func TestRFC7208_7_2_receiving_host_unknown(t *testing.T) {
	t.Parallel()
	r := dnstest.Zone(t, "example.org. TXT \"v=spf1 -all exp=why.example.org\"\nwhy.example.org. TXT \"%{r} %{h}\"\n")
	if got := evaluate(t, r, "192.0.2.1", "a@example.org").Explanation; got != "unknown mail.example.org" {
		t.Errorf("got %q, want \"unknown mail.example.org\"", got)
	}
}

func TestRFC7208_7_3_validated_name(t *testing.T) {
	t.Parallel()
	r := dnstest.Zone(t, `
example.org.             TXT "v=spf1 -all exp=why.example.org"
why.example.org.         TXT "%{p}"
1.2.0.192.in-addr.arpa.  PTR other.example.
1.2.0.192.in-addr.arpa.  PTR mail.example.org.
1.2.0.192.in-addr.arpa.  PTR example.org.
2.2.0.192.in-addr.arpa.  PTR other.example.
2.2.0.192.in-addr.arpa.  PTR mail.example.org.
3.2.0.192.in-addr.arpa.  PTR other.example.
4.2.0.192.in-addr.arpa.  PTR liar.example.org.
example.org.             A 192.0.2.1
mail.example.org.        A 192.0.2.1
mail.example.org.        A 192.0.2.2
other.example.           A 192.0.2.1
other.example.           A 192.0.2.2
other.example.           A 192.0.2.3
;FAULT SERVFAIL 5.2.0.192.in-addr.arpa PTR
`)
	for _, c := range []struct{ ip, want string }{
		{"192.0.2.1", "example.org"}, {"192.0.2.2", "mail.example.org"}, {"192.0.2.3", "other.example"},
		{"192.0.2.4", "unknown"}, {"192.0.2.5", "unknown"},
	} {
		if got := evaluate(t, r, c.ip, "a@example.org").Explanation; got != c.want {
			t.Errorf("%s: got %q, want %q", c.ip, got, c.want)
		}
	}
}

func TestRFC7208_7_3_names_are_cut_from_the_left(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, `example.org. TXT "v=spf1 exists:%{l}.%{l}.example.net -all"`)
	local := strings.Repeat("abcdefghi.", 20) + "end"
	got := evaluate(t, s.Client(t), "192.0.2.1", local+"@example.org")
	target := got.Root.Terms[0].Target
	if len(target) > 253 || len(target) < 243 || !strings.HasPrefix(target, "abcdefghi.") || !strings.HasSuffix(target, ".end.example.net") {
		t.Errorf("got %q of %d octets, want at most 253 from a label's start", target, len(target))
	}
	if q := s.Queries(); q[len(q)-1] != target+" A" {
		t.Errorf("asked %q, want %q", q[len(q)-1], target+" A")
	}
}

func TestRFC8616_4_local_part_beyond_ASCII(t *testing.T) {
	rows(t, `
example.org.   TXT "v=spf1 exists:%{l}.users.example.org include:%{l}.example.org -all"
redirect.example.org. TXT "v=spf1 redirect=%{l}.example.org"
*.users.example.org. A 127.0.0.2
`, []row{
		{"terms with it do not match", "192.0.2.1", "jürgen@example.org", result.Fail, ""},
		{"redirect to it is permerror", "192.0.2.1", "jürgen@redirect.example.org", result.PermError, ""},
	})
}

func TestRFC7208_11_1_time_is_over(t *testing.T) {
	t.Parallel()
	r := dnstest.Zone(t, ";FAULT TIMEOUT example.org TXT\n", dnstest.WithClient(func(c *client.Config) { c.Tries, c.Timeout = 1, time.Minute }))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	got := spf.Evaluator{DNS: r}.Check(ctx, spf.Query{IP: netip.MustParseAddr("192.0.2.1"), MailFrom: "a@example.org"})
	if e, ok := errors.AsType[*dns.Error](got.Cause); got.Word != result.TempError || !ok || e.Kind != dns.Canceled {
		t.Errorf("got %s because of %v, want temperror by the context's end", got.Word, got.Cause)
	}
}
