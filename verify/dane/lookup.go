package dane

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"checkauth/verify/dns"
)

// ErrLookup is in every error of Lookup.
var ErrLookup = errors.New("DANE")

// Lookup asks what a mail server has promised. secureMX: the answer that named the host was validated, the
// MX set, or for a domain without one the answer that says so; of any other host nothing is asked.
//
// RFC 7672, 2.1.2: the error means that the mail waits. What went wrong (SERVFAIL, a timeout, a broken
// DNSSEC) is just what somebody would bring about who wants it sent in clear. It wraps the *dns.Error.
func Lookup(ctx context.Context, r dns.Resolver, host string, port int, secureMX bool) (Records, error) {
	host = dns.Canonical(host)
	if !secureMX || literal(host) {
		return Records{}, nil
	}
	found, err := lookup(ctx, r, host, "_"+strconv.Itoa(port)+"._tcp.")
	if err != nil {
		return Records{}, fmt.Errorf("%w of %q: %w", ErrLookup, host, err)
	}
	return found, nil
}

// literal: an address has no TLSA records.
func literal(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || strings.HasPrefix(host, "[")
}

// lookup takes the records of the first base that has any. RFC 7672, 2.2: a set that is not validated is
// none, whatever it says.
func lookup(ctx context.Context, r dns.Resolver, host, prefix string) (Records, error) {
	all, err := bases(ctx, r, host)
	if err != nil {
		return Records{}, err
	}
	for _, base := range all {
		q := dns.Ask(prefix+base, dns.TLSA)
		if !dns.Askable(q.Name) {
			continue // too long to exist
		}
		a, err := r.Resolve(ctx, q)
		if err != nil {
			return Records{}, err
		}
		if a.AD && len(a.Records) > 0 {
			return Read(base, a.Records), nil
		}
	}
	return Records{}, nil
}

// bases are the names that TLSA records may hang on, the first choice first. RFC 7672, 2.2.2: none where
// the host's addresses are not validated: no signed TLSA set can be in such a zone, and its servers are those
// that fail at the question.
func bases(ctx context.Context, r dns.Resolver, host string) ([]string, error) {
	a, err := addresses(ctx, r, host)
	switch {
	case err != nil:
		return nil, err
	case len(a.Records) == 0:
		return nil, nil // nobody to speak to
	case len(a.Chain) == 0 && a.AD:
		return []string{host}, nil
	case len(a.Chain) == 0:
		return nil, nil
	case a.AD:
		// RFC 7672, 2.2.2: validated to its end, the CNAME's target comes first: who runs it has the key.
		return []string{a.Chain[len(a.Chain)-1].Target, host}, nil
	}
	// RFC 7672, 2.1.3: where AD is missing, the chain may have left the signed zones on its way; the host's
	// own zone, which may hold TLSA records, is asked about alone.
	link, err := r.Resolve(ctx, dns.Ask(host, dns.CNAME))
	if err != nil || !link.AD || len(link.Records) == 0 {
		return nil, err
	}
	return []string{host}, nil
}

// addresses asks for IPv4, and for IPv6 where there is none: both are in one zone, so that one answer tells
// of the other, and a server that fails at AAAA alone holds up nobody's mail.
func addresses(ctx context.Context, r dns.Resolver, host string) (dns.Answer, error) {
	a, err := r.Resolve(ctx, dns.Ask(host, dns.A))
	if err == nil && len(a.Records) == 0 {
		a, err = r.Resolve(ctx, dns.Ask(host, dns.AAAA))
	}
	return a, err
}
