package advise_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"
)

var edKey = ed25519.NewKeyFromSeed([]byte("check-auth tests, 32 octets long"))

// keyText is the record of the key with which tests sign.
func keyText() string {
	return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(edKey.Public().(ed25519.PublicKey))
}

// keyLine publishes it at the selector s.
func keyLine(domain string) string { return "s._domainkey." + domain + `. TXT "` + keyText() + "\"\n" }

// signed is a message with a signature of a domain over From, To and Subject.
func signed(t testing.TB, domain, raw string) string {
	t.Helper()
	var out bytes.Buffer
	err := dkim.Sign(&out, strings.NewReader(raw), &dkim.SignOptions{Domain: domain, Selector: "s", Signer: crypto.Signer(edKey),
		HeaderKeys: []string{"From", "To", "Subject"}})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}
