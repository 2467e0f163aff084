package header

import "checkauth/verify/result"

// Outcome is the result as a report has it: all that is to be said are findings.
func (r *Result) Outcome() result.Outcome {
	return result.Outcome{Result: r.Word, Reason: r.Reason, Findings: r.Findings, Detail: r}
}
