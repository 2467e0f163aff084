package spam

import (
	"fmt"

	"checkauth/verify/result"
)

// Outcome is the result as a report has it.
func (r *Result) Outcome() result.Outcome {
	o := result.Outcome{Result: r.Word, Reason: r.Reason, Cause: result.CauseText(r.Cause), Findings: r.Findings, Detail: r}
	r.Describe(&o)
	return o
}

// Describe has the table that SpamAssassin prints. What a rule says may quote the message.
func (r *Result) Describe(o *result.Outcome) {
	o.Facts, o.Table = nil, nil
	if len(r.Rules) == 0 {
		return
	}
	lines := []result.Line{
		result.LineOf(result.Ours(" pts rule name              description")),
		result.LineOf(result.Ours("---- ---------------------- --------------------------------------------------")),
	}
	o.Table = &result.Table{Head: []result.Code{"html-points", "html-rule"}}
	for _, rule := range r.Rules {
		lines = append(lines, result.LineOf(fmt.Sprintf("%4.1f %-22s %s", rule.Points, result.Clean(rule.Name), result.Clean(rule.Text))))
		o.Table.Rows = append(o.Table.Rows, []result.Cell{
			{Line: result.LineOf(result.Ours(fmt.Sprintf("%.1f", rule.Points)))},
			{Line: result.LineOf(rule.Name), Small: []result.Line{result.LineOf(rule.Text)}, Head: true, Copy: true},
		})
	}
	o.Facts = []result.Fact{{Lines: lines, Pre: true, Only: result.OnText}}
}
