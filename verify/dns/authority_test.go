package dns_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"checkauth/verify/dns"
	"checkauth/verify/dns/client"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/result"
)

// RFC 1982, 3.2: serials are compared on a circle.
func TestRFC1982_3_2_serials(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b uint32
		want bool
	}{
		{2, 1, true}, {1, 2, false}, {1, 1, false},
		{0, 4294967295, true}, {4294967295, 0, false},
		{2147483647, 0, true},
		{2147483648, 0, false}, // half a round: undefined
		{0, 2147483649, true},
	} {
		if got := dns.SerialNewer(c.a, c.b); got != c.want {
			t.Errorf("%d after %d: got %t, want %t", c.a, c.b, got, c.want)
		}
	}
}

func FuzzSerialNewer(f *testing.F) {
	f.Add(uint32(1), uint32(0))
	f.Add(uint32(0), uint32(1<<31))
	f.Fuzz(func(t *testing.T, a, b uint32) {
		if a-b == 1<<31 {
			return
		}
		if x, y := dns.SerialNewer(a, b), dns.SerialNewer(b, a); x == y && a != b || a == b && x {
			t.Fatalf("%d, %d: %t and %t", a, b, x, y)
		}
	})
}

const authorityZone = `
example.org.      SOA ns1.example.org. h.example.org. 8 1 1 1 60
example.org.      NS  ns1.example.org.
example.org.      NS  old.example.org.
example.org.      NS  lame.example.org.
example.org.      NS  noaa.example.org.
example.org.      NS  up.example.org.
example.org.      NS  silent.example.org.
example.org.      NS  private.example.org.
example.org.      NS  none.example.org.
ns1.example.org.  A   127.53.71.1
old.example.org.  A   10.0.0.7
old.example.org.  A   127.53.71.2
lame.example.org. A   127.53.71.3
noaa.example.org. A   127.53.71.4
up.example.org.   A   127.53.71.5
silent.example.org. A 127.53.71.6
private.example.org. A 10.0.0.8
.                 NS  root.example.
example.org.      TXT "new"
;AUTH old.example.org example.org. TXT "old"
;AUTH old.example.org example.org. SOA ns1.example.org. h.example.org. 4294967290 1 1 1 60
;AUTHFAULT lame.example.org REFUSED
;AUTHFAULT noaa.example.org NOAA
;AUTHREFER up.example.org .
;AUTHFAULT silent.example.org TIMEOUT
`

// Each server of the zone has its statement, whatever became of it.
func TestAuthorities_each_server_has_a_statement(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, authorityZone, dnstest.WithAuthoritative())
	a := client.Authorities(s.Addr().Port(), netip.Addr.IsLoopback)
	zone, said := a.Of(t.Context(), s.Client(t), dns.Ask("example.org", dns.TXT))
	var got []string
	for _, x := range said {
		line := x.Server + " " + x.Addr.String()
		switch {
		case x.Err == nil:
			line += fmt.Sprintf(" %q %d %t", x.Answer.Texts(), x.Serial, x.HasSerial)
		default:
			line += " " + x.Reason().String()
		}
		got = append(got, line)
	}
	want := []string{
		`ns1.example.org 127.53.71.1 ["new"] 8 true`,
		`old.example.org 127.53.71.2 ["old"] 4294967290 true`,
		`lame.example.org 127.53.71.3 server-lame answer="REFUSED"`,
		`noaa.example.org 127.53.71.4 server-no-authority`,
		`up.example.org 127.53.71.5 server-no-authority`,
		`silent.example.org 127.53.71.6 server-silent`,
		`private.example.org 10.0.0.8 server-not-to-ask`,
		`none.example.org invalid IP server-no-address`,
	}
	if zone != "example.org" || !slices.Equal(got, want) {
		t.Errorf("zone %q, got\n%s\nwant\n%s", zone, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for i, kind := range []error{nil, nil, dns.ErrLame, dns.ErrLame, dns.ErrLame, dns.ErrSilent, dns.ErrNotToAsk, dns.ErrNoAddress} {
		for _, other := range []error{dns.ErrLame, dns.ErrSilent, dns.ErrNotToAsk, dns.ErrNoAddress} {
			if errors.Is(said[i].Err, other) != (other == kind) {
				t.Errorf("%s: %v, want %v and nothing else", said[i].Server, said[i].Err, kind)
			}
		}
	}
	if !dns.SerialNewer(said[0].Serial, said[1].Serial) {
		t.Error("the old zone is not older")
	}
}

// RFC 2308, 5: what does not exist may be remembered for the smaller of the SOA's TTL and minimum.
func TestRFC2308_5_negative_TTL_of_a_server(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, authorityZone, dnstest.WithAuthoritative())
	a := client.Authorities(s.Addr().Port(), netip.Addr.IsLoopback)
	_, said := a.Of(t.Context(), s.Client(t), dns.Ask("no.such.example.org", dns.TXT))
	if len(said) == 0 || !said[0].Answer.NX || said[0].Answer.Negative != 60 {
		t.Errorf("got %+v", said)
	}
}

// At most eight servers are asked, however many a zone has.
func TestAuthorities_are_bounded(t *testing.T) {
	t.Parallel()
	var zone strings.Builder
	for i := range 30 {
		fmt.Fprintf(&zone, "example.org. NS ns%d.example.org.\nns%d.example.org. A 127.53.72.%d\n", i, i, i+1)
	}
	s := dnstest.New(t, zone.String()) // none of them runs
	a := client.Authorities(s.Addr().Port(), netip.Addr.IsLoopback)
	_, said := a.Of(t.Context(), s.Client(t), dns.Ask("example.org", dns.TXT))
	if len(said) != 8 {
		t.Fatalf("%d statements, want 8", len(said))
	}
	for _, x := range said {
		if x.Reason().Code != "server-unreachable" {
			t.Errorf("%s: %v (%s)", x.Server, x.Err, x.Reason())
		}
	}
}

// What the budget of the caller's View does not allow is not asked.
func TestAuthorities_keep_to_the_budget(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, authorityZone, dnstest.WithAuthoritative())
	a := client.Authorities(s.Addr().Port(), netip.Addr.IsLoopback)
	ctx, cancel := context.WithCancel(t.Context())
	memo := dns.NewMemo(ctx, s.Client(t))
	defer memo.Wait()
	defer cancel()
	if zone, said := a.Of(ctx, memo.View(1), dns.Ask("a.b.example.org", dns.TXT)); zone != "" || len(said) != 0 {
		t.Errorf("one question: got %q, %+v, want nothing", zone, said)
	}
	_, said := a.Of(ctx, memo.View(4), dns.Ask("a.b.example.org", dns.TXT))
	if len(said) != 8 || said[0].Err != nil || said[1].Reason().Code != result.Code("server-no-address") {
		t.Errorf("four questions: got %+v, want the first server's answer alone", said)
	}
}
