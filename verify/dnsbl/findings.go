package dnsbl

import (
	"strings"

	"checkauth/verify/result"
)

// findings says each listing, and once for each list what is wrong with the list.
func (r *Result) findings() {
	var refused, unanswered, wrong []string
	for _, x := range r.Entries {
		switch x.State {
		case Listed:
			r.Findings = append(r.Findings, listed(x)...)
		case Refused:
			refused = add(refused, x.List)
		case Unanswered:
			unanswered = add(unanswered, x.List)
		case Wrong:
			wrong = add(wrong, x.List)
		}
	}
	if len(refused) > 0 {
		r.Findings = append(r.Findings, result.Found(result.Info, "dnsbl-refused", "lists", result.Ours(strings.Join(refused, ", "))))
	}
	if len(wrong) > 0 {
		r.Findings = append(r.Findings, result.Found(result.Info, "dnsbl-wrong-answer", "lists", result.Ours(strings.Join(wrong, ", "))))
	}
	if len(unanswered) > 0 {
		r.Findings = append(r.Findings, result.Found(result.Info, "dnsbl-unanswered", "lists", result.Ours(strings.Join(unanswered, ", "))))
	}
}

func listed(x Entry) []result.Finding {
	severity := result.Warning
	if x.wide {
		severity = result.Error
	}
	answer := strings.Join(x.Answers, ", ")
	if len(x.Meanings) > 0 {
		answer += ": " + strings.Join(x.Meanings, ", ")
	}
	var out []result.Finding
	switch {
	case x.Kind == Allow:
		out = append(out, result.Found(result.Info, "dnsbl-allow-listed", "list", result.Ours(x.List), "subject", result.Domain(x.Subject), "answer", result.Ours(answer)))
	case x.policy:
		out = append(out, result.Found(severity, "dnsbl-policy-listed", "list", result.Ours(x.List), "subject", result.Domain(x.Subject), "answer", result.Ours(answer), "url", result.Ours(x.URL)))
	case x.URL != "":
		out = append(out, result.Found(severity, "dnsbl-listed", "list", result.Ours(x.List), "subject", result.Domain(x.Subject), "answer", result.Ours(answer), "url", result.Ours(x.URL)))
	default:
		out = append(out, result.Found(severity, "dnsbl-listed-untold", "list", result.Ours(x.List), "subject", result.Domain(x.Subject), "answer", result.Ours(answer)))
	}
	if x.Text != "" {
		out = append(out, result.Found(result.Info, "dnsbl-says", "list", result.Ours(x.List), "subject", result.Domain(x.Subject), "text", x.Text))
	}
	return out
}
