package dns_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"checkauth/verify/dns"
)

// That there is nothing where every test looks is asked once in five seconds, however many mails come.
func TestNegativesAreKeptForFiveSeconds(t *testing.T) {
	t.Parallel()
	clock := noon
	asked := map[dns.Question]int{}
	there := map[string]bool{"there.example": true}
	n := dns.NewNegatives(dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
		asked[q]++
		a := dns.Answer{Question: q, NX: !there[q.Name], Time: clock}
		if there[q.Name] {
			a.Records = []dns.Record{{Name: q.Name, Type: q.Type}}
		}
		if q.Name == "_dmarc.fails.example" {
			return dns.Answer{}, &dns.Error{Question: q, Kind: dns.ServFail}
		}
		return a, nil
	}), func() time.Time { return clock })
	all := map[dns.Question]bool{ // whether it is kept
		dns.Ask("_dmarc.victim.example", dns.TXT): true, dns.Ask("victim.example", dns.MX): true, dns.Ask("_mta-sts.victim.example", dns.TXT): true,
		dns.Ask("_smtp._tls.victim.example", dns.TXT): true, dns.Ask("s._domainkey.victim.example", dns.TXT): true, dns.Ask("1.2.0.192.in-addr.arpa", dns.PTR): true,
		dns.Ask("x.victim.example", dns.A): false, dns.Ask("there.example", dns.A): false, dns.Ask("_dmarc.fails.example", dns.TXT): false,
	}
	for range 100 {
		for q := range all {
			a, err := n.Resolve(t.Context(), q)
			if err == nil && (a.NX == there[q.Name] || a.Question != q) {
				t.Fatalf("%s: %+v", q, a)
			}
		}
		clock = clock.Add(100 * time.Millisecond)
	}
	for q, kept := range all {
		if want := map[bool]int{true: 2, false: 100}[kept]; asked[q] != want {
			t.Errorf("%s was asked %d times in ten seconds, want %d", q, asked[q], want)
		}
	}
	// It was published meanwhile, and the clock is set.
	q := dns.Ask("_dmarc.victim.example", dns.TXT)
	for _, shift := range []time.Duration{5 * time.Second, -time.Hour, time.Hour} {
		there[q.Name] = false
		clock = clock.Add(time.Minute)
		if _, err := n.Resolve(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		there[q.Name], clock = true, clock.Add(shift)
		if a, err := n.Resolve(t.Context(), q); err != nil || len(a.Records) != 1 {
			t.Errorf("after %s: %+v, %v, want the record", shift, a, err)
		}
	}
}

// However many domains strangers name, no more than so many are kept.
func TestNegativesAreBounded(t *testing.T) {
	t.Parallel()
	asked := 0
	n := dns.NewNegatives(dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
		asked++
		return dns.Answer{Question: q}, nil
	}), func() time.Time { return noon })
	for range 2 {
		for i := range 5000 {
			if _, err := n.Resolve(t.Context(), dns.Ask(fmt.Sprintf("_dmarc.d%d.example", i), dns.TXT)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if asked != 5000+5000-4096 {
		t.Errorf("%d were asked", asked)
	}
}
