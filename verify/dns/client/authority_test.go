package client

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	mdns "github.com/miekg/dns"

	"checkauth/verify/dns"
)

// sections is a response with records in its sections.
func sections(t testing.TB, aa bool, answer, authority, additional []string) *mdns.Msg {
	t.Helper()
	m := new(mdns.Msg).SetQuestion("www.example.org.", mdns.TypeNS)
	m.Response, m.Authoritative = true, aa
	for _, s := range []struct {
		to    *[]mdns.RR
		lines []string
	}{{&m.Answer, answer}, {&m.Ns, authority}, {&m.Extra, additional}} {
		for _, line := range s.lines {
			rr, err := mdns.NewRR(line)
			if err != nil {
				t.Fatal(err)
			}
			*s.to = append(*s.to, rr)
		}
	}
	packed, err := m.Pack() // over the wire, where records get their length
	if err == nil {
		err = m.Unpack(packed)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var (
	referralNS = []string{"Example.org. NS Ns1.example.org.", "example.org. NS ns.example.net.", "example.org. NS ns1.example.org."}
	soaRecord  = []string{"example.org. SOA a. b. 1 2 3 4 5"}
)

func TestRFC1034_4_3_2_referral(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                          string
		aa                            bool
		answer, authority, additional []string
		want                          string // empty: lame
	}{
		{"a referral with glue", false, nil, referralNS, []string{"ns1.example.org. A 192.0.2.1", "ns1.example.org. AAAA 2001:db8::1", "NS1.example.org. A 192.0.2.1"},
			"example.org [ns1.example.org ns.example.net] map[ns1.example.org:[192.0.2.1 2001:db8::1]] false"},
		{"glue of a name elsewhere", false, nil, referralNS, []string{"ns.example.net. A 192.0.2.6"}, "example.org [ns1.example.org ns.example.net] map[] false"},
		{"glue of a name that is no server", false, nil, referralNS, []string{"mx.example.org. A 192.0.2.6"}, "example.org [ns1.example.org ns.example.net] map[] false"},
		{"glue of another class", false, nil, referralNS, []string{"ns1.example.org. CH A 192.0.2.6"}, "example.org [ns1.example.org ns.example.net] map[] false"},
		{"records of another zone among them", false, nil, append([]string{"example.net. NS evil.example."}, append(referralNS, "org. NS evil.example.")...), nil,
			"example.org [ns1.example.org ns.example.net] map[] false"},
		{"upward", false, nil, []string{". NS a.root.example."}, nil, " [a.root.example] map[] false"},
		{"the name's own servers, with authority", true, []string{"www.example.org. NS ns.www.example.org."}, nil, []string{"ns.www.example.org. A 192.0.2.2"},
			"www.example.org [ns.www.example.org] map[ns.www.example.org:[192.0.2.2]] true"},
		{"nothing there, with authority", true, nil, soaRecord, nil, "example.org [] map[] true"},
		{"a CNAME, with authority", true, []string{"www.example.org. CNAME a.example.net."}, nil, nil, " [] map[] true"},
		{"NS of the zone beside a negative answer", true, nil, referralNS, nil, " [] map[] true"},
		{"nothing", false, nil, nil, nil, ""},
		{"a SOA without authority", false, nil, soaRecord, nil, ""},
		{"a referral for another name", false, nil, []string{"example.net. NS ns.example.net."}, nil, ""},
		{"by text and not by label", false, nil, []string{"ample.org. NS ns.example.net."}, nil, ""},
		{"a server without a name", false, nil, []string{"example.org. NS ."}, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d, err := delegation(sections(t, c.aa, c.answer, c.authority, c.additional), "www.example.org")
			if c.want == "" {
				if err == nil || err.Kind != dns.Lame {
					t.Fatalf("got %+v, %v, want lame", d, err)
				}
				return
			}
			if got := fmt.Sprint(d.Zone, " ", d.Servers, " ", d.Glue, " ", d.Authoritative); err != nil || got != c.want {
				t.Errorf("got %s, %v; want %s", got, err, c.want)
			}
		})
	}
}

// FuzzDelegation reads bytes as what a server says of the servers of a name.
func FuzzDelegation(f *testing.F) {
	for _, m := range []*mdns.Msg{
		sections(f, false, nil, referralNS, []string{"ns1.example.org. A 192.0.2.1", "ns.example.net. AAAA 2001:db8::1"}),
		sections(f, true, []string{"www.example.org. NS ns.www.example.org."}, nil, nil),
		sections(f, true, nil, soaRecord, nil),
		sections(f, false, nil, []string{". NS .", `example.org. NS a\.b.example.org.`}, []string{`a\.b.example.org. A 192.0.2.1`}),
	} {
		packed, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packed)
	}
	c := testClient(f, nil)
	f.Fuzz(func(t *testing.T, packed []byte) {
		const name = "www.example.org"
		query := c.query(dns.Ask(name, dns.NS), false)
		if len(packed) > 65535 || len(packed) < 2 {
			return
		}
		query.Id = binary.BigEndian.Uint16(packed)
		m, err := match(query, packed)
		if err != nil || verdict(m) != nil {
			return
		}
		d, e := delegation(m, name)
		if e != nil {
			checkError(t, e)
			return
		}
		checkDelegation(t, d, name)
	})
}

func checkDelegation(t *testing.T, d dns.Delegation, name string) {
	t.Helper()
	switch {
	case !within(name, d.Zone):
		t.Fatalf("%q is not over %q", d.Zone, name)
	case !d.Authoritative && len(d.Servers) == 0:
		t.Fatal("a referral to nobody")
	case len(d.Servers) > maxDelegated:
		t.Fatalf("%d servers", len(d.Servers))
	}
	for i, s := range d.Servers {
		if !dns.Askable(s) || s != dns.Canonical(s) || slices.Contains(d.Servers[:i], s) {
			t.Fatalf("server %q of %q", s, d.Servers)
		}
	}
	for owner, addrs := range d.Glue {
		if !within(owner, d.Zone) || !slices.Contains(d.Servers, owner) || len(addrs) == 0 || len(addrs) > maxDelegated {
			t.Fatalf("glue %v of %q in %+v", addrs, owner, d)
		}
		for _, a := range addrs {
			if !a.IsValid() {
				t.Fatalf("glue of %q: %s", owner, a)
			}
		}
	}
}
