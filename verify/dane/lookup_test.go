package dane_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"checkauth/verify/dane"
	"checkauth/verify/dns"
	"checkauth/verify/dns/client"
	"checkauth/verify/dns/dnstest"
)

const (
	digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	signed = "\n;FAULT AD *.example.org ANY\n"
)

// asked makes the questions of a server one text.
func asked(s *dnstest.Server) string { return strings.Join(slices.Compact(s.Queries()), ", ") }

func TestRFC7672_2_2_2_which_questions_are_asked(t *testing.T) {
	t.Parallel()
	const tlsa = "_25._tcp.mx.example.org. TLSA 3 1 1 " + digest + "\n"
	for _, c := range []struct {
		name, zone, want string
		asked            string
	}{
		{"everything is validated", "mx.example.org. A 192.0.2.1\n" + tlsa + signed,
			"mx.example.org: 3 1 1", "mx.example.org A, _25._tcp.mx.example.org TLSA"},
		{"IPv6 alone", "mx.example.org. AAAA 2001:db8::1\n" + tlsa + signed,
			"mx.example.org: 3 1 1", "mx.example.org A, mx.example.org AAAA, _25._tcp.mx.example.org TLSA"},
		{"the addresses are not validated: no TLSA question", "mx.example.org. A 192.0.2.1\n" + tlsa + ";FAULT AD _25._tcp.mx.example.org TLSA\n",
			"", "mx.example.org A"},
		{"IPv6 alone, not validated", "mx.example.org. AAAA 2001:db8::1\n" + tlsa + ";FAULT AD _25._tcp.mx.example.org TLSA\n",
			"", "mx.example.org A, mx.example.org AAAA"},
		{"not validated, and its server fails at TLSA: not asked", "mx.example.org. A 192.0.2.1\n;FAULT SERVFAIL _25._tcp.mx.example.org TLSA\n",
			"", "mx.example.org A"},
		{"the TLSA set is not validated", "mx.example.org. A 192.0.2.1\n" + tlsa + ";FAULT AD mx.example.org ANY\n",
			"", "mx.example.org A, _25._tcp.mx.example.org TLSA"},
		{"no TLSA, NXDOMAIN", "mx.example.org. A 192.0.2.1\n" + signed,
			"", "mx.example.org A, _25._tcp.mx.example.org TLSA"},
		{"no TLSA, NODATA", "mx.example.org. A 192.0.2.1\n_25._tcp.mx.example.org. TXT x\n" + signed,
			"", "mx.example.org A, _25._tcp.mx.example.org TLSA"},
		{"no address", tlsa + signed,
			"", "mx.example.org A, mx.example.org AAAA"},
		{"IPv6 fails, IPv4 is there", "mx.example.org. A 192.0.2.1\n" + tlsa + ";FAULT SERVFAIL mx.example.org AAAA\n" + signed,
			"mx.example.org: 3 1 1", "mx.example.org A, _25._tcp.mx.example.org TLSA"},
		{"the TLSA name is an alias", "mx.example.org. A 192.0.2.1\n_25._tcp.mx.example.org. CNAME keys.example.org.\nkeys.example.org. TLSA 2 0 1 " + digest + signed,
			"mx.example.org: 2 0 1", "mx.example.org A, _25._tcp.mx.example.org TLSA"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := dnstest.New(t, c.zone)
			got, err := dane.Lookup(t.Context(), s.Client(t), "MX.example.org.", 25, true)
			check(t, got, err, c.want)
			if a := asked(s); a != c.asked {
				t.Errorf("asked %s, want %s", a, c.asked)
			}
		})
	}
}

func check(t *testing.T, got dane.Records, err error, want string) {
	t.Helper()
	switch {
	case err != nil:
		t.Errorf("got %v, want %q", err, want)
	case want == "" && (got.Present() || got.Usable() || got.Base != ""):
		t.Errorf("got %s, want no records", got)
	case want != "" && (got.String() != want || !got.Present()):
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRFC7672_2_2_2_a_host_behind_a_CNAME(t *testing.T) {
	t.Parallel()
	const (
		chain = "mx.example.org. CNAME a.example.net.\na.example.net. CNAME b.example.net.\nb.example.net. A 192.0.2.1\n"
		here  = "_25._tcp.mx.example.org. TLSA 3 1 1 " + digest + "\n"
		there = "_25._tcp.b.example.net. TLSA 2 0 1 " + digest + "\n"
		both  = signed + ";FAULT AD *.example.net ANY\n"
		// What a validating resolver says where the chain leaves the signed zones.
		ours = ";FAULT AD mx.example.org CNAME\n;FAULT AD _25._tcp.mx.example.org TLSA\n"
	)
	for _, c := range []struct{ name, zone, want, asked string }{
		{"the target's come first", chain + here + there + both, "b.example.net: 2 0 1",
			"mx.example.org A, _25._tcp.b.example.net TLSA"},
		{"the target has none", chain + here + both, "mx.example.org: 3 1 1",
			"mx.example.org A, _25._tcp.b.example.net TLSA, _25._tcp.mx.example.org TLSA"},
		{"neither has any", chain + both, "",
			"mx.example.org A, _25._tcp.b.example.net TLSA, _25._tcp.mx.example.org TLSA"},
		{"the target's zone is not signed", chain + here + there + ours, "mx.example.org: 3 1 1",
			"mx.example.org A, mx.example.org CNAME, _25._tcp.mx.example.org TLSA"},
		{"nothing is signed", chain + here + there, "",
			"mx.example.org A, mx.example.org CNAME"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := dnstest.New(t, c.zone)
			got, err := dane.Lookup(t.Context(), s.Client(t), host, 25, true)
			check(t, got, err, c.want)
			if a := asked(s); a != c.asked {
				t.Errorf("asked %s, want %s", a, c.asked)
			}
		})
	}
}

func TestRFC7672_2_1_2_an_error_defers(t *testing.T) {
	t.Parallel()
	const (
		address = "mx.example.org. A 192.0.2.1\n" + signed
		tlsa    = " _25._tcp.mx.example.org TLSA\n"
		alias   = "mx.example.org. CNAME b.example.net.\nb.example.net. A 192.0.2.1\n;FAULT AD _25._tcp.mx.example.org TLSA\n"
	)
	for _, c := range []struct {
		name, zone string
		want       dns.Kind
	}{
		{"SERVFAIL at TLSA", address + ";FAULT SERVFAIL" + tlsa, dns.ServFail},
		{"no answer at TLSA", address + ";FAULT TIMEOUT" + tlsa, dns.Timeout},
		{"a broken DNSSEC at TLSA", address + ";FAULT BOGUS" + tlsa, dns.Bogus},
		{"no server for TLSA", address + ";FAULT LAME" + tlsa, dns.Lame},
		{"REFUSED at TLSA", address + ";FAULT REFUSED" + tlsa, dns.Refused},
		{"garbage at TLSA", address + ";FAULT ALLGARBAGE" + tlsa, dns.Malformed},
		{"SERVFAIL at A", address + ";FAULT SERVFAIL mx.example.org A\n", dns.ServFail},
		{"no answer at A", address + ";FAULT TIMEOUT mx.example.org A\n", dns.Timeout},
		{"SERVFAIL at AAAA, no A", ";FAULT SERVFAIL mx.example.org AAAA\nmx.example.org. TXT x" + signed, dns.ServFail},
		{"SERVFAIL at the CNAME", alias + ";FAULT SERVFAIL mx.example.org CNAME\n", dns.ServFail},
		{"SERVFAIL at the alias's target, though the host has records",
			"mx.example.org. CNAME b.example.org.\nb.example.org. A 192.0.2.1\n_25._tcp.mx.example.org. TLSA 3 1 1 " + digest + signed +
				";FAULT SERVFAIL _25._tcp.b.example.org TLSA\n", dns.ServFail},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := dane.Lookup(t.Context(), dnstest.Zone(t, c.zone), host, 25, true)
			e, ok := errors.AsType[*dns.Error](err)
			if !ok || e.Kind != c.want || got.Present() {
				t.Errorf("got %s and %v, want no records and %s", got, err, c.want)
			}
			if err != nil && !strings.Contains(err.Error(), `"mx.example.org"`) {
				t.Errorf("%v does not name the host", err)
			}
		})
	}
}

func TestRFC7672_2_1_2_the_end_of_the_context_defers(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	over := errors.New("the try is over")
	cancel(over)
	if _, err := dane.Lookup(ctx, dnstest.Zone(t, "mx.example.org. A 192.0.2.1"+signed), host, 25, true); !errors.Is(err, over) {
		t.Errorf("got %v, want %v", err, over)
	}
}

func TestRFC7672_2_2_1_hosts_that_are_not_asked_about(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, host string
		secure     bool
	}{
		{"of an MX set that is not validated", host, false},
		{"an address literal", "[192.0.2.1]", true},
		{"an IPv6 literal", "[IPv6:2001:db8::1]", true},
		{"an address in place of a name", "192.0.2.1", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := dnstest.New(t, "mx.example.org. A 192.0.2.1\n_25._tcp.mx.example.org. TLSA 3 1 1 "+digest+signed)
			got, err := dane.Lookup(t.Context(), s.Client(t), c.host, 25, c.secure)
			check(t, got, err, "")
			if a := asked(s); a != "" {
				t.Errorf("asked %s, want nothing", a)
			}
		})
	}
}

// RFC 7672, 2.1.3: the AD bit of a resolver elsewhere is anybody's; the client has to drop it.
func TestRFC7672_2_1_3_AD_of_a_resolver_that_is_not_trusted(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, "mx.example.org. A 192.0.2.1\n_25._tcp.mx.example.org. TLSA 3 1 1 "+digest+signed)
	far := s.Client(t)
	got, err := dane.Lookup(t.Context(), noAD{far}, host, 25, true)
	check(t, got, err, "")
	if a := asked(s); a != "mx.example.org A" {
		t.Errorf("asked %s, want the address alone", a)
	}
}

// noAD is a client whose resolver is not trusted.
type noAD struct{ *client.Client }

func (r noAD) Resolve(ctx context.Context, q dns.Question) (dns.Answer, error) {
	a, err := r.Client.Resolve(ctx, q)
	a.AD = false
	return a, err
}

func TestRFC7672_2_2_3_the_port_is_in_the_name(t *testing.T) {
	t.Parallel()
	r := dnstest.Zone(t, "mx.example.org. A 192.0.2.1\n_587._tcp.mx.example.org. TLSA 3 1 1 "+digest+signed)
	got, err := dane.Lookup(t.Context(), r, host, 587, true)
	check(t, got, err, "mx.example.org: 3 1 1")
	got, err = dane.Lookup(t.Context(), r, host, 25, true)
	check(t, got, err, "")
}

// A name that has no room for the prefix has no records.
func TestRFC1035_2_3_4_a_name_without_room(t *testing.T) {
	t.Parallel()
	label := strings.Repeat("a", 61) + "."
	long := strings.Repeat(label, 3) + strings.Repeat("b", 48) + ".example.org" // 246 octets
	s := dnstest.New(t, long+". A 192.0.2.1"+signed)
	got, err := dane.Lookup(t.Context(), s.Client(t), long, 25, true)
	check(t, got, err, "")
	if a := asked(s); a != long+" A" {
		t.Errorf("asked %s, want the address alone", a)
	}
}

func TestRFC6698_2_1_records_of_a_zone(t *testing.T) {
	t.Parallel()
	d512 := digest + digest
	for _, c := range []struct {
		name, data string
		usable     bool
	}{
		{"3 1 1", "3 1 1 " + digest, true},
		{"3 0 2", "3 0 2 " + d512, true},
		{"2 1 1 in pieces", "2 1 1 " + digest[:32] + " " + digest[32:], true},
		{"capitals", "2 0 1 " + strings.ToUpper(digest), true},
		{"a whole key, by its frame", "3 1 0 3000", true},
		{"PKIX-TA", "0 0 1 " + digest, false},
		{"PKIX-EE", "1 1 1 " + digest, false},
		{"usage 4", "4 1 1 " + digest, false},
		{"PrivCert", "255 1 1 " + digest, false},
		{"selector 2", "3 2 1 " + digest, false},
		{"matching type 3", "3 1 3 " + digest, false},
		{"SHA-256 too short", "3 1 1 " + digest[2:], false},
		{"SHA-256 too long", "3 1 1 " + digest + "00", false},
		{"SHA-512 of SHA-256's length", "3 1 2 " + digest, false},
		{"a whole certificate that is none", "2 0 0 00", false},
		{"a whole certificate with something behind", "2 0 0 300000", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := dnstest.Zone(t, "mx.example.org. A 192.0.2.1\n_25._tcp.mx.example.org. TLSA "+c.data+signed)
			got, err := dane.Lookup(t.Context(), r, host, 25, true)
			if err != nil || !got.Present() || got.Usable() != c.usable {
				t.Errorf("%s: got %s (%v), usable %t; want it present, usable %t", c.data, got, err, got.Usable(), c.usable)
			}
		})
	}
}

// static answers from a table, with what no zone text can hold.
type static map[dns.Type][]dns.Record

func (s static) Resolve(_ context.Context, q dns.Question) (dns.Answer, error) {
	return dns.Answer{Question: q, Records: s[q.Type], AD: true}, nil
}

// A record that cannot be read was promised all the same: TLS, and no certificate.
func TestRFC7672_2_2_records_that_cannot_be_read(t *testing.T) {
	t.Parallel()
	for _, data := range []string{"", "3", "0 0 0 ", "3 1 1", "3 1 1 x", "3 1 1 0", "256 1 1 00", "-1 1 1 00", "+3 1 1 00", "a b c d"} {
		r := static{dns.A: {{Type: dns.A}}, dns.TLSA: {{Type: dns.TLSA, Other: data}}}
		got, err := dane.Lookup(t.Context(), r, host, 25, true)
		if err != nil || !got.Present() || got.Usable() {
			t.Errorf("%q: got %s (%v), want it present and not usable", data, got, err)
		}
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	set := make([]dns.Record, 1000)
	for i := range set {
		set[i] = dns.Record{Type: dns.TLSA, Other: "3 1 1 " + digest}
	}
	got, err := dane.Lookup(t.Context(), static{dns.A: {{Type: dns.A}}, dns.TLSA: set}, host, 25, true)
	if err != nil || len(got.All) != 20 {
		t.Errorf("got %d records (%v), want 20", len(got.All), err)
	}
}
