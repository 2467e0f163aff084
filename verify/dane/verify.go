package dane

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"checkauth/verify/result"
)

// Why a server is not the one that was promised.
var (
	ErrUnusable      = errors.New("no TLSA record that could be used")
	ErrNoCertificate = errors.New("the server showed no certificate")
	ErrNoMatch       = errors.New("no TLSA record matches what the server showed")
	ErrChain         = errors.New("the certificate does not lead to the trust anchor of a TLSA record")
	ErrExpired       = errors.New("a certificate on the way to the trust anchor of a TLSA record is not valid at this time")
	ErrName          = errors.New("the certificate is for another name")
)

// maxRSA bits of a key that a record brings, as crypto/tls permits in certificates: a larger one costs
// seconds a signature.
const maxRSA = 8192

// maxText octets of what x509 says go into an error.
const maxText = 200

// Verify tells whether the server is the one that the records promise: nil, or one of the errors above,
// wrapped. names are those that a certificate under a trust anchor may be for beside Base: RFC 7672, 3.2.2:
// the next hop's domain and, where that is an alias, validated, what it leads to. The handshake itself has to
// be made with InsecureSkipVerify and Base as ServerName.
func (r Records) Verify(cs tls.ConnectionState, names []string, now time.Time) error {
	if err := r.verify(cs, names, now); err != nil {
		return fmt.Errorf("DANE of %q: %w", r.Base, err)
	}
	return nil
}

func (r Records) verify(cs tls.ConnectionState, names []string, now time.Time) error {
	records, chain := r.usable(), cs.PeerCertificates[:min(len(cs.PeerCertificates), maxChain)]
	switch {
	case len(records) == 0:
		// Fails, so that who forgets to ask Usable sends nothing.
		return ErrUnusable
	case len(chain) == 0:
		return ErrNoCertificate
	}
	for _, t := range records {
		// RFC 7672, 3.1.1: the record alone binds name and time; those in the certificate mean nothing.
		if t.Usage == usageEE && t.matches(chain[0]) {
			return nil
		}
	}
	var anchors []*x509.Certificate
	for _, t := range records {
		if t.Usage == usageTA {
			anchors = append(anchors, t.anchors(chain)...)
		}
	}
	if len(anchors) == 0 {
		return fmt.Errorf("%w (%s)", ErrNoMatch, forms(records))
	}
	return anchored(chain, anchors, append([]string{r.Base}, names...), now)
}

// anchors are the certificates that a record makes trust anchors: RFC 7672, 3.1.2: those of the chain that
// it matches; RFC 7671, 5.2.2 and 5.2.3: a whole certificate or key in the record serves by itself, also where
// the server does not show it.
func (t TLSA) anchors(chain []*x509.Certificate) (out []*x509.Certificate) {
	for _, c := range chain {
		if t.matches(c) {
			out = append(out, authority(c))
		}
	}
	switch {
	case len(out) > 0 || t.Matching != matchFull:
	case t.Selector == selectorKey:
		out = signed(t.Data, chain)
	default:
		if c, err := x509.ParseCertificate(t.Data); err == nil && algorithm(c.PublicKey) != x509.UnknownPublicKeyAlgorithm {
			out = append(out, authority(c))
		}
	}
	return out
}

// authority makes a trust anchor of a certificate that does not say whether it is a CA's. RFC 5280, 6.1.1: an
// anchor is a name and a key, and the record said that it is one; x509 would not take it. One that says no
// stays what it is, and is an anchor of itself alone.
func authority(c *x509.Certificate) *x509.Certificate {
	if c.BasicConstraintsValid {
		return c
	}
	ca := *c
	ca.BasicConstraintsValid, ca.IsCA, ca.MaxPathLen = true, true, -1
	return &ca
}

// signed are the certificates of the chain under a bare key's signature. RFC 7671, 5.2.3: the key has no name
// or validity of its own; what it signed is as good an anchor.
func signed(spki []byte, chain []*x509.Certificate) (out []*x509.Certificate) {
	key, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return nil
	}
	// Version 1 has no extensions that could be missing.
	anchor := &x509.Certificate{Version: 1, PublicKey: key, PublicKeyAlgorithm: algorithm(key)}
	for _, c := range chain {
		if c.CheckSignatureFrom(anchor) == nil {
			out = append(out, c)
		}
	}
	return out
}

func algorithm(key any) x509.PublicKeyAlgorithm {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() <= maxRSA {
			return x509.RSA
		}
	case *ecdsa.PublicKey:
		return x509.ECDSA
	case ed25519.PublicKey:
		return x509.Ed25519
	}
	return x509.UnknownPublicKeyAlgorithm
}

// anchored checks the way from the server's certificate to an anchor, all times on it, and the name: RFC
// 7671, 5.2.
func anchored(chain, anchors []*x509.Certificate, names []string, now time.Time) error {
	options := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: now}
	for _, c := range anchors {
		options.Roots.AddCert(c)
	}
	for _, c := range chain[1:] {
		options.Intermediates.AddCert(c)
	}
	if _, err := chain[0].Verify(options); err != nil {
		return why(err)
	}
	for _, name := range names {
		// RFC 7672, 3.2.3: an asterisk may stand for the whole first label.
		if name != "" && chain[0].VerifyHostname(name) == nil {
			return nil
		}
	}
	return fmt.Errorf("%w: want %q", ErrName, names)
}

// why quotes what x509 says: there may be a stranger's names in it.
func why(err error) error {
	kind := ErrChain
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		kind = ErrExpired
	}
	return fmt.Errorf("%w: %q", kind, result.Cut(err.Error(), maxText))
}
