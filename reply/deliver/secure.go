package deliver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"checkauth/reply/deliver/dane"
	"checkauth/reply/deliver/mtasts"
)

// errPromise: TLS was promised and is not there. The mail waits: in clear it would go to whoever stands between.
var errPromise = errors.New("4.7.5 the domain promises TLS that this server does not keep")

// security is what a connection has to keep. The zero one takes what it gets: RFC 7435.
type security struct {
	mandatory bool
	by        string                          // who says so, for the log
	verify    func(tls.ConnectionState) error // nil: the certificate is not looked at
}

// policy is what the domain promises by MTA-STS. RFC 8461, 5: where the policy cannot be fetched and none is
// remembered, there is none.
func (d *Deliverer) policy(ctx context.Context, domain string) mtasts.Policy {
	if d.sts == nil || strings.HasPrefix(domain, "[") {
		return mtasts.Policy{}
	}
	p, err := d.sts.Policy(ctx, domain)
	if err != nil && ctx.Err() == nil {
		d.cfg.Log.InfoContext(ctx, "MTA-STS policy not fetched", "domain", domain, "error", err)
	}
	return p
}

// security tells what a host has to keep. RFC 8461, 2: DANE goes first, and MTA-STS does not make up for it.
// An error defers: what was promised could not be learnt.
func (d *Deliverer) security(ctx context.Context, domain string, h host, p mtasts.Policy) (security, error) {
	if d.cfg.DANE && len(h.addrs) == 0 {
		records, err := dane.Lookup(ctx, d.dns, h.name, d.cfg.Port, h.secure)
		if err != nil {
			return security{}, fmt.Errorf("4.7.5 TLSA of %s: %w", server{host: h.name}, err)
		}
		if records.Present() {
			return d.byDANE(records, domain, h), nil
		}
	}
	if p.Mode != mtasts.Enforce && p.Mode != mtasts.Testing {
		return security{}, nil
	}
	allowed := p.Allows(h.name)
	if p.Mode == mtasts.Testing {
		if !allowed {
			d.cfg.Log.InfoContext(ctx, "MTA-STS in testing mode: the host is not in the policy", "domain", domain, "host", server{host: h.name}.String())
		}
		return security{}, nil
	}
	if !allowed {
		return security{}, fmt.Errorf("%w: MTA-STS: %s is not in the policy", errPromise, server{host: h.name})
	}
	return security{mandatory: true, by: "MTA-STS", verify: d.webPKI(h.name)}, nil
}

// byDANE: RFC 7672, 2.2: records that cannot be used still promise TLS.
func (d *Deliverer) byDANE(records dane.Records, domain string, h host) security {
	s := security{mandatory: true, by: "DANE"}
	if !records.Usable() {
		s.by = "DANE, no usable record"
		return s
	}
	s.verify = func(cs tls.ConnectionState) error {
		return records.Verify(cs, []string{h.name, domain}, d.cfg.Now())
	}
	return s
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
