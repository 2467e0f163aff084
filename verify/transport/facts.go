package transport

import "checkauth/verify/result"

// Outcome is the result as a report has it. Nobody checks the name in a client's certificate.
func (r Result) Outcome(certificate string) result.Outcome {
	return result.Outcome{Result: r.Word, Reason: r.Reason, Findings: r.Findings, Facts: Certificate(certificate)}
}

// Certificate is the name in a client's certificate as a fact; none where there is none.
func Certificate(name string) []result.Fact {
	if name == "" {
		return nil
	}
	return []result.Fact{
		{Label: "Certificate:", Lines: []result.Line{result.LineOf(name, result.Ours(" (the client's own word)"))}, Only: result.OnText},
		{Code: "html-certificate", Lines: []result.Line{result.LineOf(name), result.LineOf(result.Because("html-own-word"))}, Only: result.OnPage},
	}
}
