package spf_test

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"checkauth/verify/dns"
	"checkauth/verify/spf"
)

// Any dns.Resolver does: verify/dns/client asks servers. This one has two records of its own.
func Example() {
	nothing := dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
		return dns.Answer{Question: q, NX: true}, nil
	})
	zone := dns.Over(nothing, time.Now)
	zone.Set("example.org", dns.TXT, dns.Record{Strings: []string{"v=spf1 include:_spf.example.net -all"}})
	zone.Set("_spf.example.net", dns.TXT, dns.Record{Strings: []string{"v=spf1 ip4:192.0.2.0/24 ~all"}})

	evaluator := spf.Evaluator{DNS: zone}
	for _, client := range []string{"192.0.2.1", "198.51.100.7"} {
		r := evaluator.Check(context.Background(), spf.Query{IP: netip.MustParseAddr(client), Helo: "mail.example.org", MailFrom: "ann@example.org"})
		fmt.Printf("%s: %s by %q in the record of %s, %d of 10 look-ups\n", client, r.Word, r.Matched, r.MatchedIn, r.Lookups)
	}
	// Output:
	// 192.0.2.1: pass by "ip4:192.0.2.0/24" in the record of _spf.example.net, 1 of 10 look-ups
	// 198.51.100.7: fail by "-all" in the record of example.org, 1 of 10 look-ups
}

// A record is taken apart whole, with what is wrong in it.
func ExampleParse() {
	p, err := spf.Parse("v=spf1 mx ip4:192.0.2.300 ~all")
	fmt.Println(err)
	for _, t := range p.Terms {
		fmt.Println(t.Text, t.Name, t.Err != nil)
	}
	// Output:
	// SPF record of "", byte 10: "ip4:192.0.2.300": not an address of this family
	// mx mx false
	// ip4:192.0.2.300 ip4 true
	// ~all all false
}
