package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"checkauth/verify/result"
)

// Bounds of RSA keys. RFC 8301, 3.2: shorter keys never verify, 1024 to 4096 bits must be taken; beyond
// 8192 a look at one message would cost too much. Keys under 2048 bits pass with a warning.
const (
	minBits  = 1024
	goodBits = 2048
	maxBits  = 8192
)

// publicKey is what verifies: one of the two is set where the key can be used.
type publicKey struct {
	rsa     *rsa.PublicKey
	ed25519 ed25519.PublicKey
}

// verifies: RFC 8017, 8.2.2 for RSA; RFC 8463, 3 signs the SHA-256 hash with Ed25519. What is outside
// of the bounds is never computed with.
func (k publicKey) verifies(sum, sig []byte) bool {
	switch {
	case k.rsa != nil && k.rsa.N.BitLen() >= minBits && k.rsa.N.BitLen() <= maxBits:
		return rsa.VerifyPKCS1v15(k.rsa, crypto.SHA256, sum, sig) == nil
	case k.ed25519 != nil:
		return len(sum) == sha256.Size && ed25519.Verify(k.ed25519, sum, sig)
	}
	return false
}

// readKey takes a key record apart (RFC 6376, 3.6.1 and 6.1.2). With a fault there is no public key;
// the Key then says as much as could be read, and is nil where that is nothing.
func readKey(name, text string) (*Key, publicKey, *verdict) {
	k, pub, fault := readRecord(name, text)
	if fault == nil || k != nil && (k.Revoked || k.Bits > 0) {
		return k, pub, fault
	}
	if f := mistake(name, text); f != nil {
		fault.reason, fault.findings = result.Because("dkim-key-unreadable", "name", result.Domain(name)), []result.Finding{*f}
	}
	return k, pub, fault
}

// readRecord reads a record and says what is wrong with it by the rules alone.
func readRecord(name, text string) (*Key, publicKey, *verdict) {
	ts, err := parseTags(text)
	if err != nil {
		return nil, publicKey{}, unreadableKey(name, err)
	}
	// RFC 6376, 3.6.1: a record with another version is discarded.
	if v, ok := ts.get("v"); ok && v.value != "DKIM1" {
		return nil, publicKey{}, unreadableKey(name, fmt.Errorf("v=%s is not v=DKIM1", clip(v.value)))
	}
	k := keyFacts(ts)
	p, ok := ts.get("p")
	switch {
	case !ok:
		return k, publicKey{}, permanent(result.Because("dkim-key-lacks-p", "name", result.Domain(name)),
			fmt.Errorf("%w: no p= in the record at %s", ErrKey, name),
			result.Found(result.Error, "dkim-key-no-p", "name", result.Domain(name)))
	case p.value == "":
		k.Revoked = true
		return k, publicKey{}, permanent(result.Because("dkim-key-is-revoked", "name", result.Domain(name)),
			fmt.Errorf("%w: the key at %s is revoked", ErrKey, name),
			result.Found(result.Error, "dkim-key-revoked", "name", result.Domain(name)))
	}
	pub, fault := readPublic(name, k, ts.value("p"))
	return k, pub, fault
}

func keyFacts(ts tags) *Key {
	k := &Key{Type: ts.value("k"), Hashes: ts.allowed("h"), Services: ts.allowed("s"), Flags: ts.list("t")}
	if k.Type == "" {
		k.Type = "rsa"
	}
	n, _ := ts.get("n")
	k.Notes = quotedPrintable(n.value)
	k.TestMode, k.StrictAUID = slices.Contains(k.Flags, "y"), slices.Contains(k.Flags, "s")
	return k
}

// readPublic reads p= as the key's type says.
func readPublic(name string, k *Key, p string) (publicKey, *verdict) {
	if k.Type != "rsa" && k.Type != "ed25519" {
		return publicKey{}, permanent(result.Because("dkim-key-type-unknown", "type", k.Type),
			fmt.Errorf("%w: key type %q at %s", ErrKey, clip(k.Type), name),
			result.Found(result.Error, "dkim-key-wrong-type", "name", result.Domain(name), "type", k.Type))
	}
	der, err := base64.StdEncoding.DecodeString(p)
	switch {
	case isTruncated(k.Type, p):
		return publicKey{}, permanent(result.Because("dkim-key-ends-early", "name", result.Domain(name)),
			fmt.Errorf("%w: the key at %s ends after %d characters", ErrKey, name, len(p)),
			result.Found(result.Error, "dkim-key-truncated", "name", result.Domain(name), "length", len(p)))
	case err != nil:
		return publicKey{}, unreadableKey(name, err)
	case k.Type == "ed25519":
		if err := isEd25519(der); err != nil {
			return publicKey{}, unreadableKey(name, err)
		}
		k.Bits = 256
		return publicKey{ed25519: der}, nil
	}
	pub, err := parseRSA(der)
	if err != nil {
		return publicKey{}, unreadableKey(name, err)
	}
	k.Bits = pub.N.BitLen()
	return publicKey{rsa: pub}, keySize(name, k.Bits)
}

// isEd25519: RFC 8463, 4.2: the 32 octets themselves, not wrapped in ASN.1.
func isEd25519(der []byte) error {
	if len(der) == ed25519.PublicKeySize {
		return nil
	}
	if _, err := parseRSA(der); err == nil {
		return errors.New("p= has an RSA key under k=ed25519")
	}
	if wrapped, err := x509.ParsePKIXPublicKey(der); err == nil {
		if _, ok := wrapped.(ed25519.PublicKey); ok {
			return errors.New("p= has the key wrapped in ASN.1, and k=ed25519 wants its last 32 octets alone")
		}
	}
	return fmt.Errorf("an Ed25519 key has 32 octets, not %d", len(der))
}

// parseRSA: RFC 6376, erratum 3017: the key may be wrapped (SubjectPublicKeyInfo) or bare.
func parseRSA(der []byte) (*rsa.PublicKey, error) {
	if len(der) == ed25519.PublicKeySize {
		return nil, errors.New("p= has 32 octets, as an Ed25519 key without k=ed25519")
	}
	wrapped, err := x509.ParsePKIXPublicKey(der)
	pub, ok := wrapped.(*rsa.PublicKey)
	if err == nil && !ok {
		return nil, errors.New("p= has a key that is no RSA key, and no other k= is named")
	}
	if err != nil {
		bare, err2 := x509.ParsePKCS1PublicKey(der)
		if err2 != nil {
			return nil, err
		}
		pub = bare
	}
	// RFC 8017, 3.1: both are odd, and the exponent is at least 3. Nothing signs with such a key.
	if pub.E < 3 || pub.E%2 == 0 || pub.N.Bit(0) == 0 {
		return nil, errors.New("the numbers in p= are no RSA key")
	}
	return pub, nil
}

// keySize holds RFC 8301, 3.2 and our own upper bound. Too short is a permanent failure; too long is
// our choice, which RFC 8601, 2.7.1 calls policy.
func keySize(name string, bits int) *verdict {
	n := fmt.Sprint(bits)
	switch {
	case bits < minBits:
		return permanent(result.Because("dkim-key-under-1024", "bits", result.Ours(n)),
			fmt.Errorf("%w: RSA of %d bits at %s", ErrKey, bits, name),
			result.Found(result.Error, "dkim-key-too-short", "name", result.Domain(name), "bits", result.Ours(n)))
	case bits > maxBits:
		return &verdict{word: result.Policy, reason: result.Because("dkim-key-over-8192", "bits", result.Ours(n)),
			findings: []result.Finding{result.Found(result.Error, "dkim-key-too-long", "name", result.Domain(name), "bits", result.Ours(n))}}
	}
	return nil
}

func unreadableKey(name string, err error) *verdict {
	return permanent(result.Because("dkim-key-unreadable", "name", result.Domain(name)),
		fmt.Errorf("%w: record at %s: %w", ErrKey, name, err),
		result.Found(result.Error, "dkim-key-syntax", "name", result.Domain(name), "error", err.Error()))
}

// isTruncated tells whether p= is well-formed as far as it goes and then stops: panels cut at 255.
func isTruncated(kind, p string) bool {
	body := strings.TrimRight(p, "=")
	whole := body[:len(body)-len(body)%4]
	der, err := base64.RawStdEncoding.DecodeString(whole)
	if err != nil {
		return false
	}
	if len(body)%4 > 1 {
		if rest, err := base64.RawStdEncoding.DecodeString(body[len(whole):]); err == nil {
			der = append(der, rest...)
		}
	}
	if kind == "ed25519" {
		return len(der) < ed25519.PublicKeySize
	}
	return len(der) >= 2 && der[0] == 0x30 && len(der) < derLength(der)
}

// derLength is how many octets the outermost ASN.1 value says that it has, its head included.
func derLength(der []byte) int {
	n := int(der[1])
	if n < 0x80 {
		return n + 2
	}
	size := n & 0x7f
	if size > 3 || len(der) < 2+size {
		return 2 + size
	}
	n = 0
	for _, b := range der[2 : 2+size] {
		n = n<<8 | int(b)
	}
	return n + 2 + size
}
