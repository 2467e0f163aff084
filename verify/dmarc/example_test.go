package dmarc_test

import (
	"context"
	"fmt"
	"time"

	"checkauth/verify/dmarc"
	"checkauth/verify/dns"
	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// DMARC is told what SPF and the signatures came to, and asks the DNS for the policy (RFC 9989).
func Example() {
	nothing := dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
		return dns.Answer{Question: q, NX: true}, nil
	})
	zone := dns.Over(nothing, time.Now)
	zone.Set("_dmarc.example.org", dns.TXT, dns.Record{Strings: []string{"v=DMARC1; p=reject"}})

	fields, err := mail.Parse([]byte("From: Ann <ann@news.example.org>\r\n"), mail.DefaultBounds())
	if err != nil {
		fmt.Println(err)
		return
	}
	r := dmarc.Evaluator{DNS: zone}.Check(context.Background(), dmarc.Query{
		From: mail.ParseFrom(fields),
		SPF:  dmarc.Identifier{Domain: "bounces.example.net", Word: result.Pass},
		DKIM: []dmarc.Identifier{{Domain: "example.org", Word: result.Pass}},
	})
	fmt.Println(r.Word, "policy", r.Policy, "of", r.PolicyName)
	fmt.Println("SPF aligns:", r.SPF.Aligned, "DKIM aligns:", r.DKIM[0].Aligned)
	// Output:
	// pass policy reject of example.org
	// SPF aligns: false DKIM aligns: true
}
