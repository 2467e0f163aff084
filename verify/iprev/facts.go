package iprev

import (
	"net/netip"

	"checkauth/verify/result"
)

// Outcome is the result as a report has it. One sentence of it is read by scripts.
func (r *Result) Outcome(client netip.Addr) result.Outcome {
	o := result.Outcome{
		Result: r.Word, Reason: r.Reason, Cause: result.CauseText(r.Cause), Findings: r.Findings, Detail: r,
		Identities: map[string]string{"policy.iprev": client.String()},
	}
	r.Describe(&o)
	return o
}

// Describe has no facts: the records say all.
func (r *Result) Describe(o *result.Outcome) { o.Unbroken = o.Reason.Code == "iprev-matches" }
