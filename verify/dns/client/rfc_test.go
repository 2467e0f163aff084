package client_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"checkauth/verify/dns"
	"checkauth/verify/dns/client"
	"checkauth/verify/dns/dnstest"
)

func answer(t *testing.T, r dns.Resolver, name string, kind dns.Type) dns.Answer {
	t.Helper()
	a, err := r.Resolve(t.Context(), dns.Ask(name, kind))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// RFC 1035, 3.2.4 and 3.3: each type is taken apart.
func TestRFC1035_3_3_types(t *testing.T) {
	t.Parallel()
	r := dnstest.Zone(t, `
example.org. 10 A 192.0.2.1
example.org. 10 A 192.0.2.2
example.org. AAAA 2001:db8::1
example.org. AAAA ::ffff:192.0.2.3
example.org. MX 10 MX1.Example.ORG.
example.org. NS ns1.example.org.
example.org. PTR host.example.org.
example.org. TXT "a" "b c"
example.org. SPF "v=spf1" " -all"
example.org. SOA ns1.example.org. hostmaster.example.org. 7 3600 900 1209600 60
null.example.org. MX 0 .
_25._tcp.example.org. TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
alias.example.org. CNAME example.org.
`)
	for _, c := range []struct {
		name string
		kind dns.Type
		want string
	}{
		{"example.org", dns.A, "192.0.2.1, 192.0.2.2"},
		{"example.org", dns.AAAA, "2001:db8::1, ::ffff:192.0.2.3"},
		{"example.org", dns.MX, "10 mx1.example.org."},
		{"null.example.org", dns.MX, "0 ."},
		{"example.org", dns.NS, "ns1.example.org."},
		{"example.org", dns.PTR, "host.example.org."},
		{"example.org", dns.TXT, `"a" "b c"`},
		{"example.org", dns.SPF, `"v=spf1" " -all"`},
		{"example.org", dns.SOA, "ns1.example.org. hostmaster.example.org. 7 3600 900 1209600 60"},
		{"_25._tcp.example.org", dns.TLSA, "3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
		{"alias.example.org", dns.CNAME, "example.org."},
	} {
		if got := resolve(t, r, c.name, c.kind); got != c.want {
			t.Errorf("%s %s: got %s, want %s", c.name, c.kind, got, c.want)
		}
	}
	if a := answer(t, r, "example.org", dns.A); a.Records[1].TTL != 10 || a.Records[0].Addr != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("A: got %+v, want TTL 10 and the addresses in order", a.Records)
	}
}

// RFC 1035, 3.3.14: the octets of a string may be any.
func TestRFC1035_3_3_14_octets_of_TXT(t *testing.T) {
	t.Parallel()
	var zone, every strings.Builder
	zone.WriteString(`every.example.org. TXT "`)
	for c := range 255 {
		fmt.Fprintf(&zone, `\%03d`, c+1)
		every.WriteByte(byte(c + 1))
	}
	zone.WriteString("\"\n" + `
quoted.example.org. TXT "v=DKIM1\; p=\"abc\\def\" \000\255"
empty.example.org.  TXT "" "x" ""
`)
	r := dnstest.Zone(t, zone.String())
	for _, c := range []struct {
		name string
		want []string
	}{
		{"every", []string{every.String()}},
		{"quoted", []string{"v=DKIM1; p=\"abc\\def\" \x00\xff"}},
		{"empty", []string{"", "x", ""}},
	} {
		if got := answer(t, r, c.name+".example.org", dns.TXT).Records[0].Strings; !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// RFC 7766, 5: an answer of 64 kB comes over TCP.
func TestRFC7766_5_64_kB_over_TCP(t *testing.T) {
	t.Parallel()
	one := strings.Repeat("x", 254) + " "
	r := dnstest.Zone(t, "big.example.org. TXT"+strings.Repeat(` "`+one+`"`, 255)+"\n")
	if got, want := answer(t, r, "big.example.org", dns.TXT).Texts()[0], strings.Repeat(one, 255); got != want {
		t.Errorf("got %d octets, want %d", len(got), len(want))
	}
}

// RFC 1035, 2.3.4: what cannot be put on the wire is not asked.
func TestRFC1035_2_3_4_names_that_cannot_be_asked(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, "")
	for _, name := range []string{
		"", ".", "a..example.org", ".example.org", strings.Repeat("a", 64) + ".example.org",
		strings.Repeat("abcdefg.", 31) + "abcdef", // 254 octets
	} {
		if got := resolve(t, s.Client(t, patient()), name, dns.TXT); got != "malformed" {
			t.Errorf("%q: got %s, want malformed", name, got)
		}
	}
	longest := strings.Repeat("abcdefg.", 31) + "abcde"
	if got := resolve(t, s.Client(t, patient()), longest, dns.TXT); got != "NXDOMAIN" {
		t.Errorf("253 octets: got %s, want NXDOMAIN", got)
	}
	if got := s.Queries(); len(got) != 1 {
		t.Errorf("asked %q, want the last name alone", got)
	}
}

// RFC 2181, 11: a label may hold any octets.
func TestRFC2181_11_octets_of_names(t *testing.T) {
	t.Parallel()
	r := dnstest.Zone(t, `
a\032b\"\;\\.example.org. TXT "odd"
\195\188.example.org.     TXT "eight bits"
ptr.example.org.          PTR A\255.Example.org.
dot.example.org.          PTR mail\.example.org.
mail.example.org.         A 192.0.2.1
to-dot.example.org.       CNAME mail\.example.org.
`)
	for _, c := range []struct {
		name string
		kind dns.Type
		want string
	}{
		{`a b";\.example.org`, dns.TXT, `"odd"`},
		{`A B";\.example.org`, dns.TXT, `"odd"`},
		{"\xc3\xbc.example.org", dns.TXT, `"eight bits"`},
		{"ptr.example.org", dns.PTR, `a\255.example.org.`},
	} {
		if got := resolve(t, r, c.name, c.kind); got != c.want {
			t.Errorf("%q: got %s, want %s", c.name, got, c.want)
		}
	}
	if got := answer(t, r, "dot.example.org", dns.PTR).Records[0].Target; got == "mail.example.org" {
		t.Errorf("a dot inside of a label makes the name %q of two labels", got)
	}
	if got := resolve(t, r, "to-dot.example.org", dns.A); got != "NXDOMAIN" {
		t.Errorf("CNAME to a label with a dot inside: got %s, want NXDOMAIN and not the address of mail.example.org", got)
	}
}

// RFC 2308, 2.1 and 2.2: no such name, and no such type at a name that exists.
func TestRFC2308_5_negative_answers(t *testing.T) {
	t.Parallel()
	r := dnstest.Zone(t, `
example.org.       120 SOA ns1.example.org. hostmaster.example.org. 1 3600 900 1209600 60
sub.example.org.   30  SOA ns1.example.org. hostmaster.example.org. 1 3600 900 1209600 60
a.example.org.         A 192.0.2.1
b.sub.example.org.     A 192.0.2.1
alias.example.org.     CNAME b.sub.example.org.
a.example.net.         A 192.0.2.1
`)
	for _, c := range []struct {
		name string
		nx   bool
		ttl  uint32
	}{
		{"no.example.org", true, 60},     // the minimum field
		{"a.example.org", false, 60},     //
		{"b.sub.example.org", false, 30}, // the record's own TTL
		{"alias.example.org", false, 30},
		{"a.example.net", false, 0}, // no SOA
		{"no.example.net", true, 0},
	} {
		a := answer(t, r, c.name, dns.TXT)
		if a.NX != c.nx || a.Negative != c.ttl || len(a.Records) != 0 {
			t.Errorf("%s: got NX %t, %d s, %v; want NX %t, %d s, no records", c.name, a.NX, a.Negative, a.Records, c.nx, c.ttl)
		}
	}
}

// RFC 6604, 3: the code belongs to the last name of the chain.
func TestRFC6604_3_chain_to_nowhere(t *testing.T) {
	t.Parallel()
	zone := `
a.example.org. CNAME b.example.org.
b.example.org. CNAME gone.example.net.
`
	for _, fault := range []string{"", ";FAULT NOCHASE *.example.org. ANY\n"} {
		a := answer(t, dnstest.Zone(t, zone+fault), "a.example.org", dns.TXT)
		e := a.Evidence()
		if want := []string{"b.example.org", "gone.example.net"}; !a.NX || !slices.Equal(e.Chain, want) {
			t.Errorf("%q: got NX %t, chain %q; want NX and %q", fault, a.NX, e.Chain, want)
		}
	}
}

// RFC 6840, 5.7 and RFC 4035, 3.2.3: AD is asked for and reported; a chain is validated where all of
// it is.
func TestRFC6840_5_7_AD(t *testing.T) {
	t.Parallel()
	r := dnstest.Zone(t, `
signed.example.org. TXT "x"
plain.example.org.  TXT "x"
alias.example.org.  CNAME plain.example.org.
;FAULT AD signed.example.org. TXT
;FAULT AD alias.example.org. TXT
;FAULT NOCHASE alias.example.org. TXT
`)
	for name, want := range map[string]bool{"signed": true, "plain": false, "alias": false} {
		if got := answer(t, r, name+".example.org", dns.TXT).AD; got != want {
			t.Errorf("%s: got AD %t, want %t", name, got, want)
		}
	}
}

// RFC 8914, 4: the codes that tell a broken DNSSEC or a broken delegation from a broken server.
func TestRFC8914_4_extended_errors(t *testing.T) {
	t.Parallel()
	kinds := map[int]dns.Kind{6: dns.Bogus, 7: dns.Bogus, 8: dns.Bogus, 9: dns.Bogus, 10: dns.Bogus, 22: dns.Lame, 23: dns.Lame}
	var zone strings.Builder
	for code := range 26 {
		fmt.Fprintf(&zone, ";FAULT EDE=%d n%d.example.org. TXT\n", code, code)
	}
	s := dnstest.New(t, zone.String())
	for code := range 26 {
		want := kinds[code]
		if want == "" {
			want = dns.ServFail
		}
		e := failing(t, s.Client(t), fmt.Sprintf("n%d.example.org", code))
		if e.Kind != want || !strings.HasPrefix(e.Detail, fmt.Sprintf("extended error %d (", code)) {
			t.Errorf("extended error %d: got %s, %q; want %s", code, e.Kind, e.Detail, want)
		}
	}
}

// RFC 8914, 3: an extended error may stand beside a right answer, and is kept.
func TestRFC8914_3_beside_an_answer(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, "example.org. TXT \"x\"\n;FAULT ADVICE=3 example.org TXT\n")
	a, err := s.Client(t).Resolve(t.Context(), dns.Ask("example.org", dns.TXT))
	if err != nil || len(a.Records) != 1 || !strings.HasPrefix(a.Evidence().Extended, "extended error 3 (") {
		t.Errorf("got %+v, %v", a, err)
	}
}

// RFC 4343, 3: names are compared without regard to case, whatever spelling the server gives back.
func TestRFC4343_3_case(t *testing.T) {
	t.Parallel()
	r := dnstest.Zone(t, "Alias.Example.ORG. CNAME Target.EXAMPLE.net.\ntarget.example.NET. TXT \"x\"\n")
	a := answer(t, r, "aLIAS.example.org", dns.TXT)
	if len(a.Records) != 1 || a.Records[0].Name != "target.example.net" || a.Chain[0].Target != "target.example.net" {
		t.Errorf("got %+v, want the record of target.example.net", a)
	}
}

func TestDefaults_are_two_tries_of_three_seconds(t *testing.T) {
	t.Parallel()
	if d := client.Defaults(); d.Tries != 2 || d.Timeout.Seconds() != 3 || d.TrustAD {
		t.Errorf("got %+v, want 2 tries of 3 s and no trust in AD", d)
	}
}
