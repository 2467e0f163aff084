// Package diagnose names causes that no check can see by itself: it reads what the checks found, and the
// trace of the message. It changes no result; what the trace says is a claim of strangers and steers
// none.
package diagnose

import (
	"context"
	"net/netip"
	"slices"

	"checkauth/verify"
	"checkauth/verify/dmarc"
	"checkauth/verify/dns"
	"checkauth/verify/mail"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

// Query is a finished evaluation and what may be asked about it.
type Query struct {
	Report *verify.Report
	Hops   []mail.Hop // of the message, the latest first
	// SPF gives the word of the same MAIL FROM, had the mail come from that address.
	SPF func(ctx context.Context, client netip.Addr) result.Word
	// Resolver answers as it did in the evaluation.
	Resolver dns.Resolver
	// Servers asks the name servers of the zone, on behalf of several goroutines at once; nil where nobody is
	// to be asked.
	Servers func(ctx context.Context, q dns.Question) (zone string, said []dns.Statement)
	// Again evaluates SPF and the signatures, in order, with these records in place of a question's answer.
	Again func(ctx context.Context, q dns.Question, records []dns.Record) (spf result.Word, dkim []result.Word)
}

// Diagnosis is one cause, and the findings that it explains: they are not to be said beside it.
type Diagnosis struct {
	Finding  result.Finding
	Explains func(result.Finding) bool
}

// rules, each with one cause.
var rules = []func(context.Context, Query) (Diagnosis, bool){
	forwarded,
	mailingList,
	heloNotPTR,
	stale,
}

// Run gives all causes that are found.
func Run(ctx context.Context, q Query) []Diagnosis {
	var out []Diagnosis
	for _, rule := range rules {
		if d, ok := rule(ctx, q); ok {
			out = append(out, d)
		}
	}
	return out
}

// maxHops of the trace are tried: a forwarder may hand a mail through some hosts of its own.
const maxHops = 5

// forwarded: SPF does not pass, a signature of the author's own domain does, and the server from which
// the trace says that the mail came before is one that the record lets send. Then the client forwards,
// and the record is right as it is (RFC 7208, 10.3 and D).
func forwarded(ctx context.Context, q Query) (Diagnosis, bool) {
	check := q.Report.Check(verify.MethodSPF)
	d := result.Detail[spf.Result](check)
	signer := alignedSigner(q.Report)
	switch check.Result {
	case result.Fail, result.SoftFail, result.Neutral:
	default:
		return Diagnosis{}, false
	}
	if signer == "" || d == nil {
		return Diagnosis{}, false
	}
	client := q.Report.Session.ClientIP
	for _, h := range q.Hops[:min(len(q.Hops), maxHops)] {
		if !h.IP.IsValid() || h.IP.String() == client || q.SPF(ctx, h.IP) != result.Pass {
			continue
		}
		f := result.Found(result.Info, "spf-forwarded", "ip", result.Ours(client), "domain", result.Domain(d.Domain),
			"origin", h.IP, "signer", result.Domain(signer))
		f.Check = verify.MethodSPF
		return Diagnosis{
			Finding: f,
			Explains: func(f result.Finding) bool {
				return slices.Contains([]result.Code{"spf-sender-not-listed", "spf-sender-excluded", "spf-ipv6-not-covered"}, f.Code)
			},
		}, true
	}
	return Diagnosis{}, false
}

// alignedSigner is the domain of a signature that verifies and aligns with the author's domain; empty
// where there is none.
func alignedSigner(r *verify.Report) string {
	d := result.Detail[dmarc.Result](r.Check(verify.MethodDMARC))
	if d == nil {
		return ""
	}
	for _, a := range d.DKIM {
		if a.Aligned && a.Word == result.Pass {
			return a.Domain
		}
	}
	return ""
}
