package dnsbl

import "checkauth/verify/result"

// Outcome is the result as a report has it. It has no evidence: the names that are asked may hold the operator's key.
func (r *Result) Outcome() result.Outcome {
	return result.Outcome{Result: r.Word, Reason: r.Reason, Cause: result.CauseText(r.Cause), Findings: r.Findings, Detail: r,
		Evidence: []result.Evidence{}}
}
