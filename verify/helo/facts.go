package helo

import "checkauth/verify/result"

// Outcome is the result as a report has it.
func (r *Result) Outcome(helo string) result.Outcome {
	return result.Outcome{Result: r.Word, Reason: r.Reason, Cause: result.CauseText(r.Cause), Findings: r.Findings, Detail: r,
		Identities: map[string]string{"smtp.helo": helo}}
}
