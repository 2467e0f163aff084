package diagnose

import (
	"context"
	"slices"
	"strings"

	"checkauth/verify"
	"checkauth/verify/dns"
	"checkauth/verify/result"
)

// heloNotPTR: the name in HELO is in order and leads to the client, and so does the one in the reverse
// zone, and they are two names. RFC 5321, 4.1.4 forbids to refuse mail for that; some count it.
func heloNotPTR(_ context.Context, q Query) (Diagnosis, bool) {
	h, ip := q.Report.Check(verify.MethodHelo), q.Report.Check(verify.MethodIPRev)
	if h.Result != result.Pass || ip.Result != result.Pass || h.Details.Helo == nil || ip.Details.IPRev == nil || !h.Details.Helo.Named() {
		return Diagnosis{}, false
	}
	name, names := dns.Canonical(q.Report.Session.Helo), ip.Details.IPRev.Names
	if slices.ContainsFunc(names, func(n string) bool { return dns.Canonical(n) == name }) {
		return Diagnosis{}, false
	}
	f := result.Found(result.Info, "helo-not-ptr", "helo", q.Report.Session.Helo, "names", strings.Join(names, ", "), "ip", q.Report.Session.ClientIP)
	f.Check = verify.MethodHelo
	return Diagnosis{Finding: f, Explains: func(result.Finding) bool { return false }}, true
}
