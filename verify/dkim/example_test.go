package dkim_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	msgauth "github.com/emersion/go-msgauth/dkim"

	"checkauth/verify/dkim"
	"checkauth/verify/dns"
	"checkauth/verify/mail"
)

// A message is signed, changed on the way, and verified: the result says which of the two proofs is broken, and who
// changed what.
func Example() {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	nothing := dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
		return dns.Answer{Question: q, NX: true}, nil
	})
	zone := dns.Over(nothing, time.Now)
	zone.Set("s1._domainkey.example.org", dns.TXT, dns.Record{Strings: []string{
		"v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))}})

	var signed bytes.Buffer
	raw := "From: ann@example.org\r\nSubject: hello\r\n\r\nGood morning\r\n"
	err := msgauth.Sign(&signed, strings.NewReader(raw), &msgauth.SignOptions{Domain: "example.org", Selector: "s1", Signer: key,
		HeaderCanonicalization: msgauth.CanonicalizationRelaxed, BodyCanonicalization: msgauth.CanonicalizationRelaxed, HeaderKeys: []string{"From", "Subject"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, message := range []string{signed.String(), strings.Replace(signed.String(), "Subject: hello", "Subject: [list] hello", 1)} {
		fields, body, err := mail.Split(mail.Data{At: strings.NewReader(message), Size: int64(len(message))}, mail.DefaultBounds())
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, s := range (dkim.Verifier{DNS: zone}).Check(context.Background(), fields, body).Signatures {
			fmt.Printf("d=%s s=%s: %s", s.Domain, s.Selector, s.Word)
			for _, f := range s.Findings {
				fmt.Print(", ", f.Code)
			}
			fmt.Println()
		}
	}
	// Output:
	// d=example.org s=s1: pass
	// d=example.org s=s1: fail, dkim-subject-tagged, dkim-changed-at-last-hop
}
