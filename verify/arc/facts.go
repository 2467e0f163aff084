package arc

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

// Describe has a row for each set of the chain, the oldest first: what one host sealed, and its claim. The texts are a
// stranger's, the names of hosts apart.
func (r *Result) Describe(o *result.Outcome) {
	o.Facts, o.Table = nil, nil
	var rows [][]result.Cell
	for _, i := range r.Instances {
		sealed := result.LineOf(result.Ours(fmt.Sprintf("i=%d cv=", i.Instance)), i.CV, result.Ours(", sealed by "), result.Domain(i.Seal.Domain))
		if i.Seal.Word != "" {
			sealed = append(sealed, result.LineOf(result.Ours(": "), i.Seal.Word)...)
		}
		text, page := []result.Line{sealed}, []result.Line(nil)
		if i.Results != "" {
			text = append(text, result.LineOf(result.Domain(i.Authserv), result.Ours(" claims: "), i.Results))
			page = append(page, result.LineOf(result.Because("html-claims", "host", result.Domain(i.Authserv), "results", i.Results)))
		}
		for _, p := range i.Problems {
			text, page = append(text, result.LineOf(p)), append(page, result.LineOf(p))
		}
		o.Facts = append(o.Facts, result.Fact{Label: "ARC set:", Lines: text, Only: result.OnText})
		rows = append(rows, []result.Cell{
			{Line: result.LineOf(result.Ours(fmt.Sprintf("i=%d cv=", i.Instance)), result.Cut(result.Clean(i.CV), 20)), Head: true},
			{Line: result.LineOf(result.Domain(i.Seal.Domain)), Small: page}, {Word: i.Seal.Word},
		})
	}
	if len(rows) > 0 {
		o.Table = &result.Table{Head: []result.Code{"html-set-of-arc", "html-sealed-by", "html-result"}, Rows: rows}
	}
}

// EachReason goes through what is wrong with the sets.
func (r *Result) EachReason(do func(*result.Reason)) {
	for i := range r.Instances {
		for j := range r.Instances[i].Problems {
			do(&r.Instances[i].Problems[j])
		}
	}
}
