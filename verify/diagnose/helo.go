package diagnose

import (
	"context"
	"slices"

	"checkauth/verify"
	"checkauth/verify/dns"
	"checkauth/verify/helo"
	"checkauth/verify/iprev"
	"checkauth/verify/result"
)

// heloNotPTR: the name in HELO is in order and leads to the client, and so does the one in the reverse
// zone, and they are two names. RFC 5321, 4.1.4 forbids to refuse mail for that; some count it.
func heloNotPTR(_ context.Context, q Query) (Diagnosis, bool) {
	h, ip := q.Report.Check(verify.MethodHelo), q.Report.Check(verify.MethodIPRev)
	if h.Result != result.Pass || ip.Result != result.Pass || result.Detail[helo.Result](h) == nil || result.Detail[iprev.Result](ip) == nil || !result.Detail[helo.Result](h).Named() {
		return Diagnosis{}, false
	}
	name, names := dns.Canonical(q.Report.Session.Helo), result.Detail[iprev.Result](ip).Names
	if slices.ContainsFunc(names, func(n string) bool { return dns.Canonical(n) == name }) {
		return Diagnosis{}, false
	}
	f := result.Found(result.Info, "helo-not-ptr", "helo", result.Domain(q.Report.Session.Helo), "names", result.Join(result.Domains(names), ", "), "ip", result.Ours(q.Report.Session.ClientIP))
	f.Check = verify.MethodHelo
	return Diagnosis{Finding: f, Explains: func(result.Finding) bool { return false }}, true
}
