package dane_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"net"
	"testing"
	"time"

	"checkauth/verify/dane"
)

// now is when the tests take place; certificates are valid for a day on both sides of it.
var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

const host = "mx.example.org"

// entity is a certificate with its key.
type entity struct {
	*x509.Certificate
	key crypto.Signer
}

// issue makes a certificate. It is its own issuer where by is nil; change may alter what will be in it.
func issue(t testing.TB, by *entity, name string, change func(*x509.Certificate)) *entity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return issueWith(t, by, name, key, change)
}

func issueWith(t testing.TB, by *entity, name string, key crypto.Signer, change func(*x509.Certificate)) *entity {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes([]byte(name)), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(24 * time.Hour),
	}
	if change != nil {
		change(template)
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.Certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &entity{c, key}
}

func authority(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
}

// server gives a certificate its names, of a server.
func server(names ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.DNSNames, c.KeyUsage = names, x509.KeyUsageDigitalSignature
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
}

func expired(c *x509.Certificate) { c.NotAfter = now.Add(-time.Hour) }

// all makes several changes one.
func all(changes ...func(*x509.Certificate)) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		for _, change := range changes {
			change(c)
		}
	}
}

// house is a root, an issuer under it, and a server under that.
type house struct{ root, issuer, leaf *entity }

func newHouse(t testing.TB) house {
	t.Helper()
	root := issue(t, nil, "root", authority)
	issuer := issue(t, root, "issuer", authority)
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return house{root, issuer, issueWith(t, issuer, "leaf", key, server(host))}
}

// fixedHouse is the same in every process, so that what a fuzz worker finds is found again.
func fixedHouse(t testing.TB) house {
	t.Helper()
	key := func(n byte) crypto.Signer {
		return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
	}
	root := issueWith(t, nil, "root", key(1), authority)
	issuer := issueWith(t, root, "issuer", key(2), authority)
	return house{root, issuer, issueWith(t, issuer, "leaf", key(3), server(host))}
}

func (h house) chain() []*entity { return []*entity{h.leaf, h.issuer, h.root} }

// shake makes a TLS connection with a server that shows these certificates.
func shake(t testing.TB, chain ...*entity) tls.ConnectionState {
	t.Helper()
	shown := tls.Certificate{PrivateKey: chain[0].key}
	for _, e := range chain {
		shown.Certificate = append(shown.Certificate, e.Raw)
	}
	near, far := net.Pipe()
	defer func() { _ = near.Close() }()
	done := make(chan error, 1)
	go func() {
		done <- tls.Server(far, &tls.Config{Certificates: []tls.Certificate{shown}, SessionTicketsDisabled: true}).Handshake()
		_ = far.Close()
	}()
	client := tls.Client(near, &tls.Config{ServerName: host, InsecureSkipVerify: true})
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return client.ConnectionState()
}

// tlsa is the record that names a certificate.
func tlsa(usage, selector, matching uint8, of *entity) dane.TLSA {
	data := of.Raw
	if selector == 1 {
		data = of.RawSubjectPublicKeyInfo
	}
	switch matching {
	case 1:
		sum := sha256.Sum256(data)
		data = sum[:]
	case 2:
		sum := sha512.Sum512(data)
		data = sum[:]
	}
	return dane.TLSA{Usage: usage, Selector: selector, Matching: matching, Data: data}
}

func text(t dane.TLSA) string {
	return fmt.Sprintf("%d %d %d %s", t.Usage, t.Selector, t.Matching, hex.EncodeToString(t.Data))
}

func records(list ...dane.TLSA) dane.Records { return dane.Records{Base: host, All: list} }

// wrong is the record with another value of the same length.
func wrong(t dane.TLSA) dane.TLSA {
	data := append([]byte{}, t.Data...)
	data[len(data)-1] ^= 1
	t.Data = data
	return t
}
