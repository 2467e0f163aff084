package iprev

import (
	"context"
	"net/netip"

	"checkauth/verify/dns"
	"checkauth/verify/result"
)

// maxNames: RFC 8601, 3: the number of names must be bounded; RFC 7208, 4.6.4: ten of them.
const maxNames = 10

// Check asks for the names of ip, then for the addresses of each name, one after the other in the
// server's order, so that the result never depends on which answer came first.
func (e Evaluator) Check(ctx context.Context, ip netip.Addr) Result {
	ip = ip.Unmap().WithZone("")
	r := Result{Names: []string{}, Confirmed: []string{}}
	q := dns.Ask(dns.ReverseName(ip), dns.PTR)
	a, err := e.DNS.Resolve(ctx, q)
	switch {
	case err != nil:
		r.failed(dns.AsError(q, err))
		return r
	case len(a.Records) == 0:
		// RFC 8601, 2.7.3: permerror is for an address without PTR data, be it NXDOMAIN or no records.
		r.Word, r.Reason = result.PermError, result.Because("iprev-no-name", "ip", ip)
		r.Findings = append(r.Findings, result.Found(result.Error, "iprev-no-ptr", "ip", ip))
		return r
	}
	r.Names = names(a.Records)
	r.conclude(ip, e.confirm(ctx, &r, ip))
	if n := len(a.Records); n > maxNames {
		r.Findings = append(r.Findings, result.Found(result.Info, "iprev-many-names", "ip", ip, "count", n))
	}
	return r
}

func names(records []dns.Record) []string {
	out := make([]string, 0, min(len(records), maxNames))
	for _, rec := range records[:min(len(records), maxNames)] {
		out = append(out, rec.Target)
	}
	return out
}

// confirm asks for the addresses of each name and gives the first error of the DNS.
func (e Evaluator) confirm(ctx context.Context, r *Result, ip netip.Addr) (first *dns.Error) {
	for _, name := range r.Names {
		if !dns.Askable(name) {
			continue
		}
		q := dns.Ask(name, family(ip))
		a, err := e.DNS.Resolve(ctx, q)
		if err != nil && first == nil {
			first = dns.AsError(q, err)
		}
		for _, rec := range a.Records {
			if rec.Addr == ip {
				r.Confirmed = append(r.Confirmed, name)
				break
			}
		}
	}
	return first
}

// family: RFC 8601, 3: A or AAAA; an address of the other family can never be the client's.
func family(ip netip.Addr) dns.Type {
	if ip.Is6() {
		return dns.AAAA
	}
	return dns.A
}

// conclude: RFC 8601, 2.7.3: one name that leads back is a pass, whatever became of the others; where a
// look-up failed and no other name leads back, the failed one might have.
func (r *Result) conclude(ip netip.Addr, failed *dns.Error) {
	switch {
	case len(r.Confirmed) > 0:
		r.Word, r.Reason = result.Pass, result.Because("iprev-matches", "host", result.Domain(r.Confirmed[0]))
		r.Findings = append(r.Findings, lint(r.Confirmed, ip)...)
	case failed != nil:
		r.failed(failed)
	default:
		list := result.Join(result.Domains(r.Names), ", ")
		r.Word, r.Reason = result.Fail, result.Because("iprev-names-disagree", "names", list, "ip", ip)
		r.Findings = append(r.Findings, result.Found(result.Error, "iprev-mismatch", "names", list, "ip", ip))
	}
}

func (r *Result) failed(err *dns.Error) {
	r.Word, r.Reason, r.Cause = result.TempError, err.Reason(), err
}
