package dmarc

import (
	"slices"

	"checkauth/verify/naming"
	"checkauth/verify/result"
)

// Outcome is the result as a report has it.
func (r *Result) Outcome() result.Outcome {
	o := result.Outcome{
		Result: r.Word, Reason: r.Reason, Cause: result.CauseText(r.Cause), Findings: r.Findings, Detail: r,
		Identities: map[string]string{},
	}
	if r.Author != "" {
		o.Identities["header.from"] = r.Author
	}
	r.Describe(&o)
	return o
}

// Describe sets the policy that applies, and who aligns with the author.
func (r *Result) Describe(o *result.Outcome) {
	o.Facts, o.Table = nil, nil
	if r.Policy != "" {
		o.Properties = map[string]result.Text{"policy.dmarc": r.Policy.Text()}
		policy, tag := r.Policy.Text(), result.Said(r.PolicyName, r.Tag)
		text := result.LineOf(policy, result.Ours(" ("), tag, result.Ours("= of _dmarc."), result.Domain(r.PolicyName))
		page := result.LineOf(result.Because("html-policy-of", "policy", policy, "tag", tag, "name", result.Said(r.PolicyName, "_dmarc."+r.PolicyName)))
		if r.Testing {
			text = append(text, result.LineOf(result.Ours(", testing"))...)
			page = append(page, result.LineOf(result.Ours(", "), result.Because("html-testing"))...)
		}
		text = append(text, result.LineOf(result.Ours(")"))...)
		o.Facts = append(o.Facts, result.Fact{Label: "Policy:", Lines: []result.Line{text}, Whole: true, Only: result.OnText},
			result.Fact{Code: "html-policy", Lines: []result.Line{page}, Only: result.OnPage})
	}
	if r.Author != "" {
		o.Facts = append(o.Facts, result.Fact{Label: "Domain of From:", Lines: []result.Line{onText(r.Author, r.Org)}, Whole: true, Only: result.OnText},
			result.Fact{Code: "html-from-domain", Lines: []result.Line{onPage(r.Author, r.Org)}, Only: result.OnPage})
	}
	var rows [][]result.Cell
	row := func(label string, a Alignment) {
		o.Facts = append(o.Facts, result.Fact{Label: label + " domain:", Lines: []result.Line{a.text()}, Only: result.OnText})
		rows = append(rows, a.cells(label))
	}
	if r.SPF.Domain != "" {
		row("SPF", r.SPF)
	}
	for _, a := range r.DKIM {
		row("DKIM", a)
	}
	if len(rows) > 0 {
		o.Table = &result.Table{Head: []result.Code{"html-identifier", "html-domain", "html-result", "html-aligned"}, Rows: rows}
	}
}

// onText and onPage are a domain with the one under which alignment is looked at, where that is another one.
func onText(domain, org string) result.Line {
	if org == "" || org == domain {
		return result.LineOf(result.Domain(domain))
	}
	return result.LineOf(result.Domain(domain), result.Ours(" (organisational domain "), result.Domain(org), result.Ours(")"))
}

func onPage(domain, org string) result.Line {
	if org == "" || org == domain {
		return result.LineOf(result.Domain(domain))
	}
	return result.LineOf(result.Domain(domain), result.Ours(" ("), result.Because("html-org", "domain", result.Domain(org)), result.Ours(")"))
}

// notCompared: whether it aligns was no question, or had no answer.
var notCompared = []result.Code{"dmarc-align-no-record", "dmarc-align-no-author", "dmarc-align-unknown"}

func (a Alignment) compared() bool { return !slices.Contains(notCompared, a.Why.Code) }

func (a Alignment) text() result.Line {
	out := append(onText(a.Domain, a.Org), result.LineOf(result.Ours(": "), a.Word, result.Ours(", "))...)
	switch {
	case !a.compared():
		return append(out, result.LineOf(a.Why)...)
	case a.Aligned:
		out = append(out, result.LineOf(result.Ours("aligned"))...)
	default:
		out = append(out, result.LineOf(result.Ours("not aligned"))...)
	}
	if !a.Why.IsZero() {
		out = append(out, result.LineOf(result.Ours(" ("), a.Why, result.Ours(")"))...)
	}
	return out
}

func (a Alignment) cells(label string) []result.Cell {
	aligned := result.LineOf(result.Because("html-no"))
	switch {
	case !a.compared():
		aligned = nil
	case a.Aligned:
		aligned = result.LineOf(result.Because("html-yes"))
	}
	return []result.Cell{
		{Line: result.LineOf(result.Ours(label)), Head: true, NoWrap: true}, {Line: onPage(a.Domain, a.Org), Small: []result.Line{result.LineOf(a.Why)}},
		{Word: a.Word, NoWrap: true}, {Line: aligned, NoWrap: true, Bold: true},
	}
}

// EachReason goes through the reasons of the table and of the reports.
func (r *Result) EachReason(do func(*result.Reason)) {
	do(&r.SPF.Why)
	for i := range r.DKIM {
		do(&r.DKIM[i].Why)
	}
	for i := range r.Reports {
		do(&r.Reports[i].Status)
		do(&r.Reports[i].Mailbox)
	}
}

// Row is that of a signature, by its index; not ok where it has none.
func (r *Result) Row(signature int) (a Alignment, ok bool) {
	if r == nil || signature < 0 || signature >= len(r.DKIM) {
		return Alignment{}, false
	}
	return r.DKIM[signature], true
}

// Counts says whether a signature counts for DMARC, or whose else it is; zero where DMARC was not asked. partly: it covers
// a part of the body.
func (r *Result) Counts(signature int, word result.Word, partly bool) result.Reason {
	a, ok := r.Row(signature)
	if !ok {
		return result.Reason{}
	}
	say := func(code result.Code) result.Reason {
		return result.Because(code, "domain", result.Domain(a.Domain), "author", result.Domain(r.Author))
	}
	switch {
	case a.Aligned && partly:
		return say(r.partCounts())
	case a.Aligned && word == result.Pass:
		return say("dkim-counts")
	case a.Aligned:
		return say("dkim-would-count")
	}
	switch a.Why.Code {
	case "dmarc-align-other":
		return say("dkim-of-another")
	case "dmarc-align-strict":
		return say("dkim-not-strict")
	case "dmarc-align-no-record":
		if related(naming.Key(a.Domain), naming.Key(r.Author)) {
			return say("dkim-own-no-record")
		}
		return say("dkim-of-another-no-record")
	}
	return a.Why
}

// partCounts says what hangs on a signature that aligns and covers a part of the body: some receivers let it pass.
func (r *Result) partCounts() result.Code {
	others := append([]Alignment{r.SPF}, r.DKIM...)
	switch {
	case slices.ContainsFunc(others, func(a Alignment) bool { return a.Aligned && a.Word == result.Pass }):
		return "dkim-part-not-needed"
	case r.SPF.Domain == "", slices.ContainsFunc(others, func(a Alignment) bool { return untold[a.Word] }):
		return "dkim-part-would-count" // what else passes is not known
	}
	return "dkim-part-decides"
}

// untold are the words that leave it open whether something passes; "" is that of a check that was not made.
var untold = map[result.Word]bool{"": true, result.NotRun: true, result.TempError: true}

// related: one is the other or lies below it.
func related(a, b string) bool { return naming.Below(a, b) || naming.Below(b, a) }

// Signers are the domains that sign and do not align: what the finding dkim-not-aligned is about.
type Signers []string

// Text is ours where the policy is one of RFC 9989, 4.7, else a stranger's.
func (p Policy) Text() result.Text {
	if slices.Contains(policies, string(p)) {
		return result.TextOf(result.Ours(p))
	}
	return result.TextOf(string(p))
}
