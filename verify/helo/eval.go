package helo

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"checkauth/verify/dns"
	"checkauth/verify/naming"
	"checkauth/verify/result"
)

// Check looks at the name and asks for its addresses: two questions at most.
func (e Evaluator) Check(ctx context.Context, q Query) Result {
	q.IP = q.IP.Unmap().WithZone("")
	if q.Unseen.IsZero() && !known(q.IP) {
		q.Unseen = result.Because("client-address-private", "ip", q.IP)
	}
	a := parse(q.Helo)
	r := Result{Kind: a.kind, Addresses: []string{}}
	switch {
	case a.kind == kindInvalid:
		r.fail(a.why, result.Found(result.Warning, "helo-invalid", "helo", result.Domain(q.Helo)))
		if a.quoted.IsValid() {
			r.Findings = append(r.Findings, result.Found(result.Info, "helo-private-in-marks", "helo", result.Domain(q.Helo), "address", a.quoted))
		}
	case a.kind == kindLiteral:
		r.literal(a.addr, q)
	// RFC 5321, 2.3.5: no local aliases and nicknames.
	case !strings.Contains(a.name, "."):
		r.fail(result.Because("helo-single-label"), result.Found(result.Warning, "helo-not-fqdn", "helo", result.Domain(q.Helo)))
	case dns.IsLocal(a.name):
		r.fail(result.Because("helo-private-name"), result.Found(result.Warning, "helo-not-public", "helo", result.Domain(q.Helo)))
	default:
		e.resolve(ctx, &r, a.name, q)
	}
	return r
}

func (r *Result) fail(why result.Reason, f result.Finding) {
	r.Word, r.Reason = result.Fail, why
	r.Findings = append(r.Findings, f)
}

// literal: RFC 5321, 4.1.4: a host without a name gives its address, which is then the client's.
func (r *Result) literal(addr netip.Addr, q Query) {
	r.Matches = addr == q.IP
	switch {
	case r.Matches:
		r.Word, r.Reason = result.Pass, result.Because("helo-literal-matches")
		r.Findings = append(r.Findings, result.Found(result.Warning, "helo-literal", "helo", result.Domain(q.Helo)))
	case !q.Unseen.IsZero():
		r.Word, r.Reason = result.NotRun, q.Unseen
	default:
		r.fail(result.Because("helo-other-literal", "ip", q.IP),
			result.Found(result.Warning, "helo-literal-other", "helo", result.Domain(q.Helo), "ip", q.IP))
	}
}

// known tells whether ip is how the Internet sees the client: a private address is that of a NAT or a
// proxy in front of us, with which nothing can be compared.
func known(ip netip.Addr) bool {
	return ip.IsValid() && !naming.Private(ip) && !ip.IsUnspecified()
}

// resolve: RFC 5321, 2.3.5: the name must resolve to an address.
func (e Evaluator) resolve(ctx context.Context, r *Result, name string, q Query) {
	addrs, nx, err := e.addresses(ctx, name, q.IP)
	switch {
	case err != nil:
		r.Word, r.Reason, r.Cause = result.TempError, err.Reason(), err
		return
	case len(addrs) == 0 && nx:
		r.fail(result.Because("helo-no-such-name"), result.Found(result.Warning, "helo-unresolvable", "helo", result.Domain(q.Helo)))
		return
	case len(addrs) == 0:
		r.fail(result.Because("helo-no-address"), result.Found(result.Warning, "helo-unresolvable", "helo", result.Domain(q.Helo)))
		return
	}
	r.Matches = slices.Contains(addrs, q.IP)
	for _, a := range addrs[:min(len(addrs), maxAddresses)] {
		r.Addresses = append(r.Addresses, dns.Record{Type: dns.A, Addr: a}.Shown())
	}
	r.compare(q)
}

// maxAddresses of a Result; all of them are compared.
const maxAddresses = 20

// compare: RFC 5321, 4.1.4: that the name has other addresses is no cause to refuse the mail, so it is
// a pass. Receivers score it all the same.
func (r *Result) compare(q Query) {
	r.Word = result.Pass
	switch {
	case r.Matches:
		r.Reason = result.Because("helo-matches")
	case !q.Unseen.IsZero():
		r.Reason = result.Because("helo-resolves")
	default:
		r.Reason = result.Because("helo-resolves-elsewhere")
		r.Findings = append(r.Findings, result.Found(result.Info, "helo-other-address",
			"helo", result.Domain(q.Helo), "addresses", result.Ours(strings.Join(r.Addresses, ", ")), "ip", q.IP))
	}
}

// addresses asks for those of the client's family and, where there are none, for those of the other. A
// name that does not exist is not asked for twice.
func (e Evaluator) addresses(ctx context.Context, name string, ip netip.Addr) (out []netip.Addr, nx bool, failed *dns.Error) {
	families := []dns.Type{dns.A, dns.AAAA}
	if ip.Is6() {
		families = []dns.Type{dns.AAAA, dns.A}
	}
	for _, family := range families {
		q := dns.Ask(name, family)
		a, err := e.DNS.Resolve(ctx, q)
		if err != nil {
			return nil, false, dns.AsError(q, err)
		}
		for _, rec := range a.Records {
			out = append(out, rec.Addr)
		}
		if len(out) > 0 || a.NX {
			return out, a.NX, nil
		}
	}
	return nil, false, nil
}
