package dns_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"checkauth/verify/dns"
)

// 65: many messages must not make us flood somebody's name servers.
func TestHostile_65(t *testing.T) {
	t.Parallel()
	clock := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	asked := map[string]int{}
	up := dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
		asked[q.Name]++
		a := dns.Answer{Question: q, NX: true}
		if q.Name == "there.example.org" {
			a = dns.Answer{Question: q, Records: []dns.Record{{Type: q.Type}}}
		}
		return a, nil
	})
	quota := &dns.Quotas{PerNetwork: 30, PerDomain: 40, PerTarget: 10, Now: func() time.Time { return clock }}
	ask := func(client, domain, name string, n int) (answered int) {
		r := quota.For(up, netip.MustParseAddr(client), domain)
		for i := range n {
			_, err := r.Resolve(t.Context(), dns.Ask(fmt.Sprintf(name, i), dns.A))
			var e *dns.Error
			switch {
			case err == nil:
				answered++
			case !errors.As(err, &e) || e.Kind != dns.Quota:
				t.Fatalf("got %v, want the bound", err)
			}
		}
		return answered
	}
	for _, c := range []struct {
		what, client, domain, name string
		n, want                    int
	}{
		{"names that do not exist, of one domain", "192.0.2.1", "a.example", "%d.victim.example", 20, 10},
		{"from another network too", "198.51.100.1", "b.example", "%d.victim.example", 20, 0},
		{"other names of that network, up to its bound", "192.0.2.200", "c.example", "there.example.org%.0d", 50, 20},
		{"one domain from many networks", "203.0.113.1", "d.example", "there.example.org%.0d", 30, 30},
		{"and again", "203.0.113.129", "d.example", "there.example.org%.0d", 1, 0},
		{"and from another network", "2001:db8::1", "D.example.", "there.example.org%.0d", 30, 10},
	} {
		if got := ask(c.client, c.domain, c.name, c.n); got != c.want {
			t.Errorf("%s: %d of %d were asked, want %d", c.what, got, c.n, c.want)
		}
	}
	clock = clock.Add(time.Minute)
	if got := ask("192.0.2.1", "a.example", "there.example.org%.0d", 5); got != 5 {
		t.Errorf("a minute later: %d of 5", got)
	}
}

// A minute that lies in the future was begun by a clock that has been set back since.
func TestQuotaAfterTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	clock := time.Date(2029, 11, 24, 12, 0, 0, 0, time.UTC)
	up := dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) { return dns.Answer{Question: q}, nil })
	quota := &dns.Quotas{PerNetwork: 1, PerDomain: 1, PerTarget: 1, Now: func() time.Time { return clock }}
	r := quota.For(up, netip.MustParseAddr("192.0.2.1"), "a.example")
	ask := func() *dns.QuotaError {
		_, err := r.Resolve(t.Context(), dns.Ask("a.example", dns.A))
		spent, _ := errors.AsType[*dns.QuotaError](err)
		return spent
	}
	if ask() != nil || ask() == nil {
		t.Fatal("want one question, then none")
	}
	clock = clock.AddDate(-3, 0, 0)
	if spent := ask(); spent != nil {
		t.Errorf("after the clock was set back: %v", spent)
	}
	if spent := ask(); spent == nil || !spent.Until.Equal(clock.Add(time.Minute)) || spent.Network != netip.MustParsePrefix("192.0.2.0/24") {
		t.Errorf("the second in the new minute: %+v, want it full until the minute's end", spent)
	}
}

// The operator's block lists say nearly always that there is nothing: that floods nobody.
func TestQuotaOfFreeZones(t *testing.T) {
	t.Parallel()
	up := dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
		return dns.Answer{Question: q, NX: true}, nil
	})
	quota := &dns.Quotas{PerNetwork: 100, PerDomain: 100, PerTarget: 2, Free: []string{"zen.list.example"}, Now: time.Now}
	r := quota.For(up, netip.MustParseAddr("192.0.2.1"), "a.example")
	for name, want := range map[string]int{"%d.zen.list.example": 10, "%d.other.example": 2} {
		answered := 0
		for i := range 10 {
			if _, err := r.Resolve(t.Context(), dns.Ask(fmt.Sprintf(name, i), dns.A)); err == nil {
				answered++
			}
		}
		if answered != want {
			t.Errorf("%s: %d of 10 were asked, want %d", name, answered, want)
		}
	}
}

// What every mail asks for is no flood of names: all customers of a large provider ask for the same.
func TestQuotaOfWhatEveryMailAsks(t *testing.T) {
	t.Parallel()
	q := &dns.Quotas{PerNetwork: 1000, PerDomain: 1000, PerTarget: 1, Now: time.Now}
	r := q.For(dns.ResolverFunc(func(context.Context, dns.Question) (dns.Answer, error) { return dns.Answer{}, nil }), netip.MustParseAddr("192.0.2.1"), "example.org")
	for _, ask := range []dns.Question{
		dns.Ask("_25._tcp.mx.big.example.com", dns.TLSA), dns.Ask("_dmarc.example.com", dns.TXT), dns.Ask("_mta-sts.example.com", dns.TXT),
		dns.Ask("_smtp._tls.example.com", dns.TXT), dns.Ask("default._bimi.example.com", dns.TXT), dns.Ask("random.example.com", dns.TXT),
	} {
		if _, err := r.Resolve(t.Context(), ask); err != nil {
			t.Errorf("%s: %v", ask, err)
		}
	}
	if _, err := r.Resolve(t.Context(), dns.Ask("other.example.com", dns.TXT)); err == nil {
		t.Error("a second name that does not exist was asked for")
	}
}
