package dns_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/result"
)

// RFC 4343, 3: ASCII alone is folded; other octets stay.
func TestRFC4343_3_canonical_names(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"example.org": "example.org", "Example.ORG.": "example.org", ".": "", "": "", "aZ[@`{\xc3\x9c": "az[@`{\xc3\x9c",
		"a..": "a.",
	} {
		if got := dns.Canonical(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// RFC 1035, 2.3.4: labels of 63 octets, names of 255 with their lengths.
func TestRFC1035_2_3_4_askable(t *testing.T) {
	t.Parallel()
	label := strings.Repeat("a", 63)
	long := strings.Join([]string{label, label, label, strings.Repeat("a", 61)}, ".") // 253
	for name, want := range map[string]bool{
		"example.org": true, "example.org.": true, "a": true, "_dmarc.\x00 \xff": true, label: true, long: true, long + ".": true,
		"": false, ".": false, "..": false, "a..b": false, ".a": false, "a..": false, label + "a": false, long + "a": false,
	} {
		if got := dns.Askable(name); got != want {
			t.Errorf("%q: got %t, want %t", name, got, want)
		}
	}
}

// RFC 1035, 3.5 and RFC 3596, 2.5.
func TestRFC3596_2_5_reverse_names(t *testing.T) {
	t.Parallel()
	for ip, want := range map[string]string{
		"192.0.2.10":         "10.2.0.192.in-addr.arpa",
		"::ffff:192.0.2.10":  "10.2.0.192.in-addr.arpa",
		"2001:db8::567:89ab": "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
	} {
		if got := dns.ReverseName(netip.MustParseAddr(ip)); got != want {
			t.Errorf("%s: got %s, want %s", ip, got, want)
		}
	}
}

// RFC 3597, 5: a type without mnemonic is TYPE and its number.
func TestRFC3597_5_type_names(t *testing.T) {
	t.Parallel()
	for kind, want := range map[dns.Type]string{dns.TXT: "TXT", dns.AAAA: "AAAA", dns.SPF: "SPF", 65280: "TYPE65280", 0: "TYPE0"} {
		if got := kind.String(); got != want {
			t.Errorf("%d: got %s, want %s", uint16(kind), got, want)
		}
	}
}

// RFC 1035, 5.1: the data as a zone file has it.
func TestRFC1035_5_1_data(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		record dns.Record
		want   string
	}{
		{dns.Record{Type: dns.A, Addr: netip.MustParseAddr("192.0.2.1")}, "192.0.2.1"},
		{dns.Record{Type: dns.AAAA, Addr: netip.MustParseAddr("2001:db8::1")}, "2001:db8::1"},
		{dns.Record{Type: dns.CNAME, Target: "example.org"}, "example.org."},
		{dns.Record{Type: dns.PTR, Target: `a b\"$` + "\xff.example.org"}, `a\032b\\\"\$\255.example.org.`},
		{dns.Record{Type: dns.MX, Pref: 10, Target: "mx.example.org"}, "10 mx.example.org."},
		{dns.Record{Type: dns.MX}, "0 ."},
		{dns.Record{Type: dns.TXT, Strings: []string{"a b;", `"\`, "\x00\x1b\x7f\xe2\x80\xae", ""}}, `"a b;" "\"\\" "\000\027\127\226\128\174" ""`},
		{dns.Record{Type: dns.TLSA, Other: "3 1 1 00ff"}, "3 1 1 00ff"},
	} {
		if got := c.record.Data(); got != c.want {
			t.Errorf("%+v: got %s, want %s", c.record, got, c.want)
		}
	}
}

// RFC 7208, 3.3: the strings are joined without anything between them.
func TestRFC7208_3_3_texts(t *testing.T) {
	t.Parallel()
	a := dns.Answer{Records: []dns.Record{{Strings: []string{"v=spf1 ", "-all"}}, {Strings: []string{"v=spf1", "-all"}}, {}}}
	if got, want := a.Texts(), []string{"v=spf1 -all", "v=spf1-all", ""}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEvidence_of_an_answer(t *testing.T) {
	t.Parallel()
	r := dnstest.Zone(t, `
alias.example.org. CNAME next.example.org.
next.example.org.  CNAME key.example.net.
key.example.net.   60 TXT "p=" "x"
lost.example.org.  CNAME gone.example.net.
`)
	for _, c := range []struct {
		name, rcode string
		ttl         uint32
		data, chain []string
	}{
		{"alias.example.org", "NOERROR", 60, []string{`"p=" "x"`}, []string{"next.example.org", "key.example.net"}},
		{"key.example.net", "NOERROR", 60, []string{`"p=" "x"`}, nil},
		{"lost.example.org", "NXDOMAIN", 0, []string{}, []string{"gone.example.net"}},
		{"example.org", "NOERROR", 0, []string{}, nil},
	} {
		a, err := r.Resolve(t.Context(), dns.Ask(c.name, dns.TXT))
		if err != nil {
			t.Fatal(err)
		}
		e := a.Evidence()
		if e.Name != c.name || e.Type != "TXT" || e.Rcode != c.rcode || e.TTL != c.ttl ||
			!slices.Equal(e.Data, c.data) || e.Data == nil || !slices.Equal(e.Chain, c.chain) || e.Server != a.Server || e.Took != a.Took {
			t.Errorf("%s: got %+v, want %+v", c.name, e, c)
		}
	}
}

// RFC 2181, 5.2: where the TTLs of a set differ, the smallest counts.
func TestRFC2181_5_2_TTL_of_a_set(t *testing.T) {
	t.Parallel()
	for _, ttls := range [][]uint32{{60, 300}, {300, 60}} {
		a := dns.Answer{Records: []dns.Record{{TTL: ttls[0]}, {TTL: ttls[1]}}}
		if got := a.Evidence().TTL; got != 60 {
			t.Errorf("%d: got %d, want 60", ttls, got)
		}
	}
}

func TestErrors_are_told_apart_after_wrapping(t *testing.T) {
	t.Parallel()
	q := dns.Ask("Example.org", dns.TXT)
	for _, c := range []struct {
		kind    dns.Kind
		code    result.Code
		rcode   string
		timeout bool
	}{
		{dns.ServFail, "dns-servfail", "SERVFAIL", false},
		{dns.Bogus, "dns-dnssec-bogus", "SERVFAIL", false},
		{dns.Lame, "dns-lame-delegation", "SERVFAIL", false},
		{dns.Refused, "dns-refused", "REFUSED", false},
		{dns.Timeout, "dns-timeout", "TIMEOUT", true},
		{dns.Malformed, "dns-malformed", "MALFORMED", false},
		{dns.Chain, "dns-chain", "CHAIN", false},
		{dns.Unreachable, "dns-unreachable", "UNREACHABLE", false},
		{dns.Budget, "dns-budget", "BUDGET", false},
		{dns.Quota, "dns-quota", "QUOTA", false},
		{dns.Canceled, "dns-canceled", "CANCELED", true},
	} {
		t.Run(string(c.kind), func(t *testing.T) {
			t.Parallel()
			e := &dns.Error{Question: q, Kind: c.kind, Server: "192.0.2.53:53", Err: io.ErrUnexpectedEOF}
			if r, want := e.Reason(), result.Because(c.code, "name", "example.org", "type", "TXT"); r.String() != want.String() {
				t.Errorf("got reason %s, want %s", r, want)
			}
			if ev := e.Evidence(); ev.Rcode != c.rcode || ev.Name != "example.org" || ev.Type != "TXT" || ev.Data == nil {
				t.Errorf("got evidence %+v, want %s", ev, c.rcode)
			}
			// A library that knows only *net.DNSError must take it for temporary, and give it back whole.
			wrapped := errors.Join(errors.New("look-up of the key"), e.NetError())
			n, ok := errors.AsType[*net.DNSError](wrapped)
			if !ok || !n.IsTemporary || n.IsTimeout != c.timeout || n.IsNotFound {
				t.Errorf("as a net.DNSError: got %+v, want temporary, timeout %t", n, c.timeout)
			}
			if got := dns.AsError(q, wrapped); got != e || !errors.Is(wrapped, io.ErrUnexpectedEOF) {
				t.Errorf("after wrapping: got %v, want the same error", got)
			}
		})
	}
}

func TestError_text_quotes_what_strangers_said(t *testing.T) {
	t.Parallel()
	e := &dns.Error{
		Question: dns.Ask("a\x1b[2j.example.org", dns.A), Kind: dns.ServFail, Server: "192.0.2.53:53",
		Detail: "no\r\nBcc: x", Err: context.Canceled,
	}
	want := `DNS: "a\x1b[2j.example.org" A: servfail (server 192.0.2.53:53): "no\r\nBcc: x": context canceled`
	if got := e.Error(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAsError_of_a_stranger_names_the_question(t *testing.T) {
	t.Parallel()
	q := dns.Ask("example.org", dns.MX)
	if e := dns.AsError(q, io.EOF); e.Kind != dns.Unreachable || e.Question != q || !errors.Is(e, io.EOF) {
		t.Errorf("got %v, want unreachable for %s by EOF", e, q)
	}
}

// Canonical is a fixed point, and never makes a name askable that was not.
func FuzzCanonical(f *testing.F) {
	for _, s := range []string{"Example.org.", "..", "a\xc3\x9c", strings.Repeat("A.", 127)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		once := dns.Canonical(name)
		if dns.Askable(name) {
			if twice := dns.Canonical(once); twice != once || !dns.Askable(once) {
				t.Fatalf("%q becomes %q, then %q", name, once, twice)
			}
		}
		if len(once) > len(name) || !strings.EqualFold(once, strings.TrimSuffix(name, ".")) {
			t.Fatalf("%q becomes %q", name, once)
		}
	})
}

// 48, the other half: what our resolver knows of private addresses is not told.
func TestHostile_48_answers(t *testing.T) {
	t.Parallel()
	zone := dnstest.Zone(t, "x.example.org. A 10.1.2.3\nx.example.org. AAAA fd00::1\ny.example.org. A 100.64.0.1\nz.example.org. A 192.0.2.1\nl.example.org. A 127.0.0.1\n")
	for _, c := range []struct {
		name string
		kind dns.Type
		want string
	}{{"x", dns.A, dns.PrivateAddress}, {"x", dns.AAAA, dns.PrivateAddress}, {"y", dns.A, dns.PrivateAddress}, {"z", dns.A, "192.0.2.1"}, {"l", dns.A, "127.0.0.1"}} {
		a, err := zone.Resolve(t.Context(), dns.Ask(c.name+".example.org", c.kind))
		if err != nil {
			t.Fatal(err)
		}
		if got := a.Evidence().Data; len(got) != 1 || got[0] != c.want {
			t.Errorf("%s %s: got %q, want %q", c.name, c.kind, got, c.want)
		}
	}
}
