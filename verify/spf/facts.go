package spf

import (
	"strings"

	"checkauth/verify/result"
)

// Outcome is the result as a report has it; property is the identity that was checked (RFC 8601, 2.7.2).
func (r *Result) Outcome(property, identity string) result.Outcome {
	o := result.Outcome{
		Result: r.Word, Reason: r.Reason, Cause: result.CauseText(r.Cause), Findings: r.Findings, Detail: r,
		Identities: map[string]string{property: identity},
	}
	r.Describe(&o)
	return o
}

// Describe sets how the result came about.
func (r *Result) Describe(o *result.Outcome) {
	if r.Root == nil {
		return
	}
	t := &result.Tree{Rows: r.rows(nil, r.Root, 0), Lookups: r.Lookups, Voids: r.Voids}
	if w := r.Whole; w != nil {
		t.Whole = &result.Whole{Lookups: w.Lookups, Voids: w.Voids, Missed: w.Missed}
		for _, c := range w.Costs {
			t.Whole.Costs = append(t.Whole.Costs, result.Cost{Term: result.Said(r.Root.Domain, c.Term), Lookups: c.Lookups})
		}
	}
	o.Tree = t
	if r.Explanation != "" { // with macros of the client and the sender expanded: a stranger's
		o.Facts = []result.Fact{
			{Label: "Explanation:", Lines: []result.Line{result.LineOf(result.Ours(`"`), r.Explanation, result.Ours(`"`))}, Only: result.OnText},
			{Code: "html-explanation", Lines: []result.Line{result.LineOf(r.Explanation)}, Copy: true, Only: result.OnPage},
		}
	}
}

// pageOutcomes are the outcomes of terms as the page has them.
var pageOutcomes = map[Outcome]result.Code{
	Match: "html-match", NoMatch: "html-no-match", NotReached: "html-not-reached", Failed: "html-error", Modifier: "html-modifier",
}

// rows adds a record and what it leads to.
func (r *Result) rows(out []result.Row, rec *Record, depth int) []result.Row {
	out = append(out, result.Row{Depth: depth, Record: result.Domain(rec.Domain)})
	for i := range rec.Terms {
		t := &rec.Terms[i]
		row := result.Row{
			Depth: depth, Term: result.Said(rec.Domain, t.Text), State: result.Ours(t.Outcome), Code: pageOutcomes[t.Outcome], Failed: t.Outcome == Failed, Matched: t.Outcome == Match, Skipped: t.Outcome == NotReached,
			Asked: t.Outcome != NotReached && (t.Outcome != Modifier || t.Record != nil), Lookups: t.Lookups, Voids: t.Voids, Why: t.Why,
			// What matches in an included record only says what the include is.
			Decides: t.Outcome == Match && t.Text == r.Matched && rec.Domain == r.MatchedIn,
		}
		if t.Record == nil {
			for _, f := range t.Found {
				row.Found = append(row.Found, found(f))
			}
		}
		if out = append(out, row); t.Record != nil {
			out = r.rows(out, t.Record, depth+1)
		}
	}
	return out
}

// found is an address, or a name with or without addresses: a name may be shown to who knows it.
func found(s string) result.Text {
	name, rest, _ := strings.Cut(s, " ")
	if strings.Trim(name, "0123456789abcdef:./") == "" {
		return result.TextOf(result.Ours(s))
	}
	if strings.Trim(rest, "0123456789abcdef:./ (),") == "" {
		return result.Text{Value: s, From: result.Of(name)}
	}
	return result.TextOf(s)
}

// EachReason goes through the reasons of the terms.
func (r *Result) EachReason(do func(*result.Reason)) { r.Root.eachReason(do) }

func (rec *Record) eachReason(do func(*result.Reason)) {
	if rec == nil {
		return
	}
	for i := range rec.Terms {
		do(&rec.Terms[i].Why)
		rec.Terms[i].Record.eachReason(do)
	}
}

// chain is a list of domains that lead to each other.
func chain(names []string) result.Text {
	out := result.Join(result.Domains(names), " > ")
	out.Value = result.Cut(out.Value, 4*maxQuoted)
	return out
}
