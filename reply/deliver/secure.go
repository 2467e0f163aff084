package deliver

import (
	"context"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"checkauth/verify/dane"
	"checkauth/verify/mtasts"
)

// errPromise: the mail waits, for in clear it would go to whoever stands between.
var errPromise = errors.New("4.7.5 TLS as promised is a must, and the server does not give it")

// security is what a connection has to keep. The zero one takes what it gets: RFC 7435.
type security struct {
	mandatory bool
	by        string                          // who says so, for the outcome
	name      string                          // for SNI; empty: the host's
	verify    func(tls.ConnectionState) error // nil: the certificate is not looked at
	missed    func(why error)                 // hears what would have failed, were the policy enforced; may be nil
}

// config is TLS as a connection needs it. Where nobody promised TLS the message would go in clear without it, so the
// oldest version and the weakest suite are better than none: a server that insists on TLS and knows no other gets its
// mail, and no certificate is looked at. What is taken here is what our own server takes. Where TLS was promised,
// it is TLS 1.2 and a key of 1024 bits at least (RFC 8996).
func (s security) config(sni string) *tls.Config {
	c := &tls.Config{ServerName: sni, InsecureSkipVerify: true, VerifyConnection: s.verify}
	if s.mandatory {
		c.MinVersion, c.VerifyConnection = tls.VersionTLS12, s.strict
		return c
	}
	c.MinVersion = tls.VersionTLS10
	for _, list := range [][]*tls.CipherSuite{tls.CipherSuites(), tls.InsecureCipherSuites()} {
		for _, suite := range list {
			c.CipherSuites = append(c.CipherSuites, suite.ID)
		}
	}
	return c
}

// minBits of an RSA key that can prove who a server is.
const minBits = 1024

// strict is verify for a promise: GODEBUG's rsa1024min lets shorter keys through for the others' sake.
func (s security) strict(cs tls.ConnectionState) error {
	if len(cs.PeerCertificates) > 0 {
		if key, ok := cs.PeerCertificates[0].PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < minBits {
			return fmt.Errorf("an RSA key of %d bits: want %d", key.N.BitLen(), minBits)
		}
	}
	if s.verify == nil {
		return nil
	}
	return s.verify(cs)
}

// policy is what the domain promises by MTA-STS. RFC 8461, 5: where the policy cannot be fetched and none is
// remembered, there is none. An error defers.
func (d *Deliverer) policy(ctx context.Context, domain string) (mtasts.Policy, error) {
	if d.sts == nil || strings.HasPrefix(domain, "[") {
		return mtasts.Policy{}, nil
	}
	p, err := d.sts.Policy(ctx, domain)
	fetch, known := errors.AsType[*mtasts.FetchError](err)
	switch {
	case err != nil && !known:
		return mtasts.Policy{}, err
	case known && !fetch.Remembered:
		d.cfg.Log.InfoContext(ctx, "MTA-STS policy not fetched", "domain", domain, "error", fetch)
	}
	return p, nil
}

// security tells what a host has to keep. RFC 8461, 2: DANE goes first, and MTA-STS does not make up for it;
// where DANE leaves open who the server is, MTA-STS may say it. An error defers: what was promised could not be
// learnt, or the host is not one of those that were promised.
func (d *Deliverer) security(ctx context.Context, domain string, h host, p mtasts.Policy) (security, error) {
	s, err := d.byDANE(ctx, h)
	if err != nil || s.verify != nil {
		return s, err
	}
	switch p.Mode {
	case mtasts.Enforce:
		if !p.Allows(h.name) {
			return security{}, fmt.Errorf("%w (MTA-STS): %s is not in the policy", errPromise, server{host: h.name})
		}
		return security{mandatory: true, by: "MTA-STS", verify: d.webPKI(h.name)}, nil
	case mtasts.Testing:
		return d.watched(ctx, s, domain, h, p), nil
	}
	return s, nil
}

// watched: RFC 8461, 5: in testing mode nothing is held up; the log has what would have failed.
func (d *Deliverer) watched(ctx context.Context, s security, domain string, h host, p mtasts.Policy) security {
	s.missed = func(why error) {
		d.cfg.Log.InfoContext(ctx, "MTA-STS in testing mode, not enforced", "domain", domain, "host", server{host: h.name}.String(), "error", why)
	}
	if !p.Allows(h.name) {
		s.missed(errors.New("the host is not in the policy"))
	}
	trusted := d.webPKI(h.name)
	s.verify = func(cs tls.ConnectionState) error {
		if err := trusted(cs); err != nil {
			s.missed(cleaned(err))
		}
		return nil
	}
	return s
}

// byDANE: RFC 7672, 2.2: records that cannot be used still promise TLS. RFC 7672, 3.2.2: the certificate may be
// for the next hop's domain, too.
func (d *Deliverer) byDANE(ctx context.Context, h host) (security, error) {
	if !d.cfg.DANE || len(h.addrs) > 0 {
		return security{}, nil
	}
	records, err := dane.Lookup(ctx, d.dns, h.name, d.cfg.Port, h.secure)
	switch {
	case err != nil:
		return security{}, fmt.Errorf("4.7.5 %s: %w", server{host: h.name}, err)
	case !records.Present():
		return security{}, nil
	case !records.Usable():
		return security{mandatory: true, by: "DANE, no usable record", name: records.Base}, nil
	}
	// RFC 7672, 8.1: a server that has several certificates shows the one of the records' name.
	return security{mandatory: true, by: "DANE", name: records.Base, verify: func(cs tls.ConnectionState) error {
		return records.Verify(cs, h.domains, d.cfg.Now())
	}}, nil
}

// webPKI wants a certificate for the name that the system's authorities vouch for: RFC 8461, 4.2.
func (d *Deliverer) webPKI(name string) func(tls.ConnectionState) error {
	return func(cs tls.ConnectionState) error {
		if len(cs.PeerCertificates) == 0 {
			return errors.New("no certificate")
		}
		chain := x509.NewCertPool()
		for _, c := range cs.PeerCertificates[1:] {
			chain.AddCert(c)
		}
		_, err := cs.PeerCertificates[0].Verify(x509.VerifyOptions{DNSName: name, Roots: d.cfg.Roots, Intermediates: chain, CurrentTime: d.cfg.Now()})
		return err
	}
}
