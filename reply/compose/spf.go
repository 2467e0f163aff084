package compose

import (
	"fmt"
	"strings"

	"checkauth/verify/result"
	"checkauth/verify/spf"
)

// Line is one line of an evaluation as it is shown. Term is what it tells of; nil where it is the name of
// a record, or a total.
type Line struct {
	Text string
	Term *spf.Term
}

// SPF shows how the result came about: the tree, a line a term, with the running counts. The reason that
// stands beside the result is not said again.
func (c *Voice) SPF(s *spf.Result, said result.Reason) []Line {
	if s.Root == nil {
		return nil
	}
	out := []Line{{Text: "Evaluation:"}, {Text: fmt.Sprintf("    %-46s %10s  %5s", "", "look-ups", "voids")}}
	out = append(out, c.tree(s.Root, "    ", said.String())...)
	out = append(out, Line{Text: total("in all", s.Lookups, s.Voids)})
	return append(out, inAll(s.Whole)...)
}

// inAll shows what the tree needs where no term matches, and which terms need it.
func inAll(w *spf.Whole) []Line {
	if w == nil {
		return nil
	}
	label := "whole record, if nothing matches"
	if w.Missed {
		label += ", at least"
	}
	out := []Line{{Text: total(label, w.Lookups, w.Voids)}}
	for _, c := range w.Costs {
		out = append(out, Line{Text: fmt.Sprintf("%-50s %10d", "      "+safe(c.Term), c.Lookups)})
	}
	return out
}

// total is a line of look-ups and voids, each with its limit (RFC 7208, 4.6.4), below the tree's.
func total(label string, lookups, voids int) string {
	return fmt.Sprintf("    %-46s %7d/10  %3d/2", label, lookups, voids)
}

// spfDetails are the lines of an SPF check that no other check has.
func (c *Voice) spfDetails(s *spf.Result, said result.Reason) []string {
	var out []string
	for _, l := range c.SPF(s, said) {
		out = append(out, l.Text)
	}
	if s.Root != nil && s.Explanation != "" {
		out = append(out, Explanation(s))
	}
	return out
}

// Explanation is the stranger's text that goes with a fail.
func Explanation(s *spf.Result) string {
	return wrapped("Explanation:", "\""+safe(s.Explanation)+"\"")
}

func (c *Voice) tree(rec *spf.Record, indent, said string) []Line {
	out := []Line{{Text: indent + safe(rec.Domain) + ":"}}
	for i := range rec.Terms {
		t := &rec.Terms[i]
		for _, l := range c.term(t, indent, said) {
			out = append(out, Line{l, t})
		}
		if t.Record != nil {
			out = append(out, c.tree(t.Record, indent+"    ", said)...)
		}
	}
	return out
}

// term is what is shown of one, the record that it leads to apart.
func (c *Voice) term(t *spf.Term, indent, said string) []string {
	head := fmt.Sprintf("%s  %s  %s", indent, safe(t.Text), t.Outcome)
	if t.Outcome == spf.NotReached || t.Outcome == spf.Modifier && t.Record == nil {
		return []string{head}
	}
	var out []string
	if len(head) > 50 {
		out = append(out, head)
		head = ""
	}
	out = append(out, fmt.Sprintf("%-50s %10d  %5d", head, t.Lookups, t.Voids))
	below := func(s string) {
		out = append(out, indent+"      "+wrap(s, indent+"      ", width-len(indent)-6))
	}
	if !t.Why.IsZero() && t.Why.String() != said {
		below(c.reason(t.Why))
	}
	if len(t.Found) > 0 && t.Record == nil {
		below(unlink(result.Clean(strings.Join(t.Found, ", "))))
	}
	return out
}

// FillSPF sets the English sentence wherever a result has a code.
func (c *Voice) FillSPF(s *spf.Result) {
	c.set(&s.Reason)
	for i := range s.Findings {
		s.Findings[i].Text = c.finding(s.Findings[i])
	}
	eachTerm(s.Root, c.set)
}

// set puts the sentence of a reason beside its code.
func (c *Voice) set(r *result.Reason) {
	if !r.IsZero() {
		r.Text = c.reason(*r)
	}
}

func eachTerm(rec *spf.Record, do func(*result.Reason)) {
	if rec == nil {
		return
	}
	for i := range rec.Terms {
		do(&rec.Terms[i].Why)
		eachTerm(rec.Terms[i].Record, do)
	}
}
