package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
)

// random64 is so many octets in base64.
func random64(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never fails
	return base64.StdEncoding.EncodeToString(b)
}

// asking is the header of a mail that has as many questions asked as it can: ten signatures and ten ARC sets, each with a
// selector of its own below a domain.
func asking(from, domain string) string {
	var b strings.Builder
	for i := 10; i > 0; i-- {
		fmt.Fprintf(&b, "ARC-Seal: i=%d; a=rsa-sha256; cv=%s; d=%s; s=%s; t=1700000000; b=%s\r\n", i, map[bool]string{true: "none", false: "pass"}[i == 1], domain, word(12), random64(128))
		fmt.Fprintf(&b, "ARC-Message-Signature: i=%d; a=rsa-sha256; c=relaxed/relaxed; d=%s; s=%s; h=from:to; bh=%s; b=%s\r\n", i, domain, word(12), random64(32), random64(128))
		fmt.Fprintf(&b, "ARC-Authentication-Results: i=%d; mx.example; spf=none\r\n", i)
	}
	for range 10 {
		fmt.Fprintf(&b, "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=%s; s=%s; h=from:to; bh=%s; b=%s\r\n", domain, word(12), random64(32), random64(128))
	}
	fmt.Fprintf(&b, "From: <%s>\r\nTo: <%s>\r\nSubject: test\r\n", from, service)
	return b.String()
}

// signer has a key whose public half is published.
type signer struct {
	key              *rsa.PrivateKey
	domain, selector string
}

func (b *bench) signer(domain string) (signer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return signer{}, err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return signer{}, err
	}
	s := signer{key, domain, word(8)}
	text := "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
	b.names.zone("%s._domainkey.%s. TXT %q %q", s.selector, domain, text[:200], text[200:])
	return s, nil
}

// signs makes a DKIM-Signature of simple/simple over From alone and a body (RFC 6376, 3.7).
func (s signer) signs(from, body string) (string, error) {
	bh := sha256.Sum256([]byte(body))
	field := fmt.Sprintf("DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d=%s; s=%s; h=from; bh=%s; b=",
		s.domain, s.selector, base64.StdEncoding.EncodeToString(bh[:]))
	sum := sha256.Sum256([]byte("From: <" + from + ">\r\n" + field))
	sig, err := rsa.SignPKCS1v15(nil, s.key, crypto.SHA256, sum[:])
	if err != nil {
		return "", err
	}
	return field + base64.StdEncoding.EncodeToString(sig) + "\r\n", nil
}
