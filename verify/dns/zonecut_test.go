package dns_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"checkauth/verify/dns"
	"checkauth/verify/dns/client"
	"checkauth/verify/dns/dnstest"
)

// org is the zone above. Its server refers to those of example.org.
const cutZone = `
org.                SOA a.nic.org. h.nic.org. 1 1 1 1 900
org.                NS  gone.nic.org.
org.                NS  a.nic.org.
a.nic.org.          A   127.53.73.1
gone.nic.org.       A   127.53.73.9
example.org.        SOA ns1.example.org. h.example.org. 7 1 1 1 60
example.org.        NS  ns1.example.org.
example.org.        NS  ns.example.net.
ns1.example.org.    A   127.53.73.2
ns.example.net.     A   127.53.73.3
sub.example.org.    NS  ns.sub.example.org.
sub.example.org.    SOA ns.sub.example.org. h.example.org. 3 1 1 1 60
ns.sub.example.org. A   127.53.73.4
a.sub.example.org.  TXT "below"
alias.example.org.  CNAME example.net.
example.net.        NS  ns.example.net.
example.org.        TXT "x"
;AUTHFAULT gone.nic.org SERVFAIL
;AUTHREFER a.nic.org example.org
;AUTHREFER ns1.example.org sub.example.org
;AUTHREFER ns.example.net sub.example.org
`

func TestRFC1034_5_3_3_zone_of_a_name(t *testing.T) {
	t.Parallel()
	const broken = ";FAULT BOGUS *.example.org. ANY\n"
	for _, c := range []struct {
		name, faults, ask, zone, servers string
		walked                           bool
	}{
		{"the resolver tells", "", "example.org", "example.org", "ns1.example.org ns.example.net", false},
		{"of a name that does not exist", "", "no.such.example.org", "example.org", "ns1.example.org ns.example.net", false},
		{"the lowest cut", "", "a.sub.example.org", "sub.example.org", "ns.sub.example.org", false},
		{"a CNAME to another zone is no cut", "", "alias.example.org", "example.org", "ns1.example.org ns.example.net", false},
		{"DNSSEC is broken", broken, "example.org", "example.org", "ns1.example.org ns.example.net", true},
		{"two cuts down", broken, "a.sub.example.org", "sub.example.org", "ns.sub.example.org", true},
		{"no name there", broken, "no.such.example.org", "example.org", "ns1.example.org ns.example.net", true},
		{"the zone's servers do not answer", ";FAULT LAME *.example.org. ANY\n;AUTHFAULT ns1.example.org REFUSED\n;AUTHFAULT ns.example.net SERVFAIL\n", "a.example.org", "example.org", "ns1.example.org ns.example.net", true},
		{"a name alone is broken", ";FAULT SERVFAIL bad.example.org. ANY\n", "bad.example.org", "example.org", "ns1.example.org ns.example.net", false},
		{"the zone above answers for the one below", strings.ReplaceAll(broken, "*.", "") + ";FAULT BOGUS *.both.org. ANY\nboth.org. NS a.nic.org.\nboth.org. SOA a.nic.org. h.nic.org. 1 1 1 1 1\n", "x.both.org", "both.org", "a.nic.org", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := dnstest.New(t, cutZone+c.faults, dnstest.WithAuthoritative())
			z, err := client.Authorities(s.Addr().Port(), netip.Addr.IsLoopback).Zone(t.Context(), s.Client(t), c.ask)
			if got := strings.Join(z.Servers, " "); err != nil || z.Name != c.zone || got != c.servers || z.Walked != c.walked {
				t.Errorf("%s: got %q of %s, walked %t, %v; want %q of %s", c.ask, z.Name, got, z.Walked, err, c.zone, c.servers)
			}
		})
	}
}

// A zone that the resolver cannot see is asked all the same: at the glue, or at the addresses of servers
// that have their names elsewhere.
func TestRFC5452_6_glue_of_the_zone_itself(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, cutZone+";FAULT LAME *.example.org. ANY\n;FAULT NODATA ns.example.net. AAAA\n", dnstest.WithAuthoritative())
	_, said := client.Authorities(s.Addr().Port(), netip.Addr.IsLoopback).Of(t.Context(), s.Client(t), dns.Ask("example.org", dns.TXT))
	if len(said) != 2 {
		t.Fatalf("got %+v, want two servers", said)
	}
	for i, addr := range []string{"127.53.73.2", "127.53.73.3"} {
		if x := said[i]; x.Err != nil || x.Addr.String() != addr || x.Answer.Records[0].Text() != "x" || x.Serial != 7 {
			t.Errorf("got %+v", x)
		}
	}
	asked := strings.Join(s.Queries(), "\n")
	if !strings.Contains(asked, "ns.example.net A\n") {
		t.Errorf("the address of a server with a name elsewhere was taken from the referral:\n%s", asked)
	}
}

// A referral is believed where it leads down to the name, and nowhere else.
func TestRFC1034_4_2_1_referrals_go_down(t *testing.T) {
	t.Parallel()
	up := dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
		switch q {
		case dns.Ask("org", dns.NS):
			return dns.Answer{Question: q, Records: []dns.Record{{Name: "org", Type: dns.NS, Target: "a.nic.example"}}}, nil
		case dns.Ask("a.nic.example", dns.A):
			return dns.Answer{Question: q, Records: []dns.Record{{Type: dns.A, Addr: netip.MustParseAddr("192.0.2.1")}}}, nil
		}
		return dns.Answer{}, &dns.Error{Question: q, Kind: dns.ServFail}
	})
	servers := []string{"ns.example.net"}
	for _, c := range []struct {
		name string
		says dns.Delegation
		want string
	}{
		{"down", dns.Delegation{Zone: "example.org", Servers: servers}, "example.org"},
		{"up", dns.Delegation{Zone: "", Servers: servers}, ""},
		{"to itself", dns.Delegation{Zone: "org", Servers: servers}, ""},
		{"aside", dns.Delegation{Zone: "example.net", Servers: servers}, ""},
		{"to a neighbour", dns.Delegation{Zone: "other.org", Servers: servers}, ""},
		{"by text and not by label", dns.Delegation{Zone: "ample.org", Servers: servers}, ""},
	} {
		asked := 0
		a := dns.Authorities{Permit: func(netip.Addr) bool { return true }, Refer: func(_ context.Context, server netip.Addr, name string) (dns.Delegation, error) {
			if asked++; asked > 1 || server.String() != "192.0.2.1" || name != "www.example.org" {
				return dns.Delegation{}, errors.New("no")
			}
			return c.says, nil
		}}
		z, err := a.Zone(t.Context(), up, "www.example.org")
		if z.Name != c.want || errors.Is(err, dns.ErrNoZone) != (c.want == "") {
			t.Errorf("%s: got %+v, %v, want %q", c.name, z, err, c.want)
		}
	}
}

// Delegations that never end are followed for a while.
func TestZone_walk_ends(t *testing.T) {
	t.Parallel()
	name := strings.Repeat("a.", 40) + "org"
	up := dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
		if q == dns.Ask("org", dns.NS) {
			return dns.Answer{Records: []dns.Record{{Target: "ns.example.net"}}}, nil
		}
		if q.Type == dns.A {
			return dns.Answer{Records: []dns.Record{{Addr: netip.MustParseAddr("192.0.2.1")}}}, nil
		}
		return dns.Answer{}, &dns.Error{Question: q, Kind: dns.ServFail}
	})
	asked := 0
	a := dns.Authorities{Permit: func(netip.Addr) bool { return true }, Refer: func(context.Context, netip.Addr, string) (dns.Delegation, error) {
		asked++
		return dns.Delegation{Zone: strings.Repeat("a.", asked) + "org", Servers: []string{"ns.example.net"}}, nil
	}}
	if z, err := a.Zone(t.Context(), up, name); err != nil || asked != 8 {
		t.Errorf("%+v, %v after %d questions, want 8", z, err, asked)
	}
}

func TestZone_is_not_found(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, zone string
		ask        string
		top        bool
		want       string
	}{
		{"nobody tells", ";FAULT SERVFAIL *.org. ANY\n", "example.org", true, ""},
		{"nobody above tells", cutZone + ";FAULT LAME *.example.org. ANY\n;AUTHFAULT a.nic.org REFUSED\n", "example.org", true, ""},
		{"a domain that nobody has registered", cutZone, "nothing.org", false, ""},
		{"the same, and the registry may be asked", cutZone, "nothing.org", true, "org"},
		{"no name has servers", "example.org. A 192.0.2.1\n", "example.org", true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := dnstest.New(t, c.zone, dnstest.WithAuthoritative())
			a := client.Authorities(s.Addr().Port(), netip.Addr.IsLoopback)
			a.Top = c.top
			z, err := a.Zone(t.Context(), s.Client(t), c.ask)
			if z.Name != c.want || errors.Is(err, dns.ErrNoZone) != (c.want == "") {
				t.Errorf("got %+v, %v, want %q", z, err, c.want)
			}
		})
	}
}

// RFC 2308, 5: a resolver that is asked for a name that is not there yet remembers that it is not.
func TestRFC2308_5_resolver_does_not_hear_the_name(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ ask, zone string }{
		{"new.example.org", "example.org"}, {"example.org", "example.org"}, {"a.new.example.org", "example.org"}, {"sub.example.org", "sub.example.org"},
	} {
		t.Run(c.ask, func(t *testing.T) {
			t.Parallel()
			s := dnstest.New(t, cutZone, dnstest.WithAuthoritative())
			a := client.Authorities(s.Addr().Port(), netip.Addr.IsLoopback)
			a.Unseen = true
			z, err := a.Zone(t.Context(), s.Client(t), c.ask)
			if err != nil || z.Name != c.zone {
				t.Errorf("got %+v, %v, want %s", z, err, c.zone)
			}
			for _, q := range s.Queries() {
				if q == c.ask+" NS" {
					t.Errorf("the resolver was asked for %s", q)
				}
			}
		})
	}
}
