package sign

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
)

// Key is a signing key with the names that it is published under.
type Key struct {
	Domain   string
	Selector string
	signer   crypto.Signer
}

// The kinds of keys that DKIM has: RFC 6376, 3.3 and RFC 8463.
const (
	RSA     = "rsa"
	Ed25519 = "ed25519"
)

// Bits of an RSA key: RFC 8301, 3.2 wants 2048.
const Bits = 2048

// Make makes a new key. bits are those of an RSA key.
func Make(domain, selector, kind string, bits int) (*Key, error) {
	k := &Key{Domain: domain, Selector: selector}
	var err error
	switch kind {
	case RSA:
		k.signer, err = rsa.GenerateKey(rand.Reader, bits)
	case Ed25519:
		_, k.signer, err = ed25519.GenerateKey(rand.Reader)
	default:
		err = fmt.Errorf("%q is no kind of key that DKIM has: want %s or %s", kind, RSA, Ed25519)
	}
	if err != nil {
		return nil, err
	}
	return k, nil
}

// PEM is the private key: PKCS#8, which all signers read.
func (k *Key) PEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.signer)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// Name is where the record is published, with its final dot.
func (k *Key) Name() string { return k.Selector + "._domainkey." + k.Domain + "." }

// Text is the record's value: RFC 6376, 3.6.1.
func (k *Key) Text() string {
	der, err := x509.MarshalPKIXPublicKey(k.signer.Public())
	if err != nil {
		return ""
	}
	kind := RSA
	if _, ok := k.signer.Public().(*rsa.PublicKey); !ok {
		kind = Ed25519
		// RFC 8463, 4: the 32 octets themselves, not the structure around them.
		der = der[len(der)-32:]
	}
	return "v=DKIM1; k=" + kind + "; p=" + base64.StdEncoding.EncodeToString(der)
}

// Record is the whole as a line of a zone file, in strings of at most 255 octets (RFC 1035, 3.3.14).
func (k *Key) Record() string {
	var parts []string
	for t := k.Text(); t != ""; {
		n := min(len(t), 255)
		parts = append(parts, `"`+t[:n]+`"`)
		t = t[n:]
	}
	return k.Name() + " 3600 IN TXT " + strings.Join(parts, " ")
}
