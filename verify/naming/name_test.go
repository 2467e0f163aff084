package naming

import (
	"net/netip"
	"strings"
	"testing"
)

func TestRFC5891_5_one_profile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want, host string }{ // "" where it is no name
		{"Example.ORG.", "example.org", ""},
		{"example.org", "example.org", "example.org"},
		{"B\u00fccher.example", "xn--bcher-kva.example", "xn--bcher-kva.example"},
		{"b\u00dccher.EXAMPLE", "xn--bcher-kva.example", "xn--bcher-kva.example"},
		{"b_\u00fccher.example", "xn--b_cher-4ya.example", "xn--b_cher-4ya.example"},
		{"b\u00fccher\u3002example", "xn--bcher-kva.example", "xn--bcher-kva.example"},
		{"example\uff0eorg", "example.org", "example.org"},
		{"example\uff61org\uff61", "example.org", "example.org"},
		{"example.org\u3002", "example.org", "example.org"},
		{"fa\u00df.example", "xn--fa-hia.example", "xn--fa-hia.example"}, // not transitional
		{"1\u2488example.org", "", ""},                                   // "1." in one character
		{"exam\u00adple.org", "", ""},                                    // soft hyphen
		{"exam\u200bple.org", "", ""},
		{"a\u3000b.example", "", ""}, // a space
		{"a\u00a0b.example", "", ""},
		{"\u00fc..example", "", ""},
		{"\xffexample", "", ""},
		{strings.Repeat("\u00fc", 64) + ".example", "", ""},
		{strings.Repeat("\u00fc", 1000000), "", ""},
		{"_dmarc.example.org", "_dmarc.example.org", "_dmarc.example.org"},
		{"a b.example", "a b.example", ""},
		{"-a.example", "-a.example", ""},
		{"a..example", "a..example", ""},
		{`"a".example`, `"a".example`, ""},
		{"", "", ""},
		{".", "", ""},
	} {
		got, ok := ASCII(c.in)
		if got != c.want || ok != (c.want != "" || strings.Trim(c.in, ".") == "") {
			t.Errorf("ASCII(%.40q): %q, %t, want %q", c.in, got, ok, c.want)
		}
		if got, ok := Host(c.in); got != c.host || ok != (c.host != "") {
			t.Errorf("Host(%.40q): %q, %t, want %q", c.in, got, ok, c.host)
		}
	}
}

// FuzzASCII: what comes out is ASCII, comes out again, and U-labels give a host name.
func FuzzASCII(f *testing.F) {
	for _, s := range []string{"B\u00fccher\u3002example.", "xn--bcher-kva", "a_b.c", "\u2488", "[192.0.2.1]", "\u0627\u200c.x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, ok := ASCII(s)
		if !ok {
			if a != "" || isASCII(s) {
				t.Fatalf("%q: %q is no name", s, a)
			}
			return
		}
		again, ok := ASCII(a)
		if !isASCII(a) || !ok || again != strings.TrimSuffix(a, ".") {
			t.Fatalf("%q: %q, then %q", s, a, again)
		}
		if h, ok := Host(a); !isASCII(s) && len(a) <= 253 && (!ok || h != a) {
			t.Fatalf("%q: %q is no host name", s, a)
		}
		Key(s)
		Organisation(s)
	})
}

func TestSameOrganisation(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"mx.example.org", "example.org.", true},
		{"mx.b\u00fccher.example", "xn--bcher-kva.EXAMPLE", true},
		{"a.example.co.uk", "b.other.co.uk", false},
		{"co.uk", "co.uk", false},
		{"a.github.io", "b.github.io", false},
		{"", "", false},
	} {
		if got := SameOrganisation(c.a, c.b); got != c.want {
			t.Errorf("%s, %s: %t", c.a, c.b, got)
		}
	}
	for _, c := range []struct {
		name, domain string
		want         bool
	}{{"a.example.org", "example.org", true}, {"example.org", "example.org", true}, {"badexample.org", "example.org", false}, {"org", "example.org", false}} {
		if got := Below(c.name, c.domain); got != c.want {
			t.Errorf("%s below %s: %t", c.name, c.domain, got)
		}
	}
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"192.0.2.77":            "192.0.2.0/24",
		"::ffff:192.0.2.77":     "192.0.2.0/24",
		"2001:db8:1:2ff:3::4%1": "2001:db8:1:2ff::/64 2001:db8:1:200::/56 2001:db8:1::/48",
	} {
		a := netip.MustParseAddr(in)
		var got []string
		for _, n := range Networks(a) {
			got = append(got, n.String())
		}
		if strings.Join(got, " ") != want || Network(a).String() != got[len(got)/2] {
			t.Errorf("%s: %s, %s", in, got, Network(a))
		}
	}
	if n := Networks(netip.Addr{}); len(n) != 1 || n[0].IsValid() {
		t.Errorf("no address: %v", n)
	}
}

// last is the highest address of a network.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

func TestRFC6890_2_special_networks(t *testing.T) {
	t.Parallel()
	for _, s := range special {
		for _, a := range []netip.Addr{s.net.Addr(), last(s.net), s.net.Addr().Next()} {
			if Special(a) == "" {
				t.Errorf("%s of %s is not special", a, s.net)
			}
		}
	}
	for _, a := range []string{"1.1.1.1", "::ffff:8.8.8.8", "2a00::1", "192.0.1.0"} {
		if use := Special(netip.MustParseAddr(a)); use != "" {
			t.Errorf("%s: %s", a, use)
		}
	}
	if Special(netip.Addr{}) == "" {
		t.Error("no address at all is taken for a public one")
	}
}
