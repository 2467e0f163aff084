package dns_test

import (
	"context"
	"fmt"
	"time"

	"checkauth/verify/dns"
)

// A Memo asks each question of a message once, however many checks ask it; a View has a bound of its own, and keeps what it
// was told.
func ExampleMemo() {
	asked := 0
	up := dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
		asked++
		return dns.Answer{Question: q, Records: []dns.Record{{Strings: []string{"v=spf1 -all"}}}}, nil
	})
	memo := dns.NewMemo(context.Background(), up)
	defer memo.Wait()
	for range 3 {
		answer, err := memo.View(10).Resolve(context.Background(), dns.Ask("Example.org.", dns.TXT))
		fmt.Println(answer.Texts(), err)
	}
	fmt.Println("questions:", asked)
	// Output:
	// [v=spf1 -all] <nil>
	// [v=spf1 -all] <nil>
	// [v=spf1 -all] <nil>
	// questions: 1
}

// An Overlay has records in the place of those that are published: so is a change tried before it is made.
func ExampleOver() {
	published := dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
		return dns.Answer{Question: q, Records: []dns.Record{{Strings: []string{"v=spf1 -all"}}}}, nil
	})
	over := dns.Over(published, time.Now)
	over.Set("example.org", dns.TXT, dns.Record{Strings: []string{"v=spf1 mx -all"}})
	for _, name := range []string{"example.org", "example.net"} {
		answer, _ := over.Resolve(context.Background(), dns.Ask(name, dns.TXT))
		fmt.Println(name, answer.Texts())
	}
	// Output:
	// example.org [v=spf1 mx -all]
	// example.net [v=spf1 -all]
}
