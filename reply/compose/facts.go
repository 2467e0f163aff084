package compose

import (
	"fmt"
	"strings"

	"checkauth/verify/result"
)

// details are the lines of one check: Result, ID(s) verified, its own facts, the records.
func (c *Language) details(k result.Outcome) []string {
	out := []string{c.resultLine(k)}
	out = append(out, strings.TrimRight(field("ID(s) verified:", identities(k)), " "))
	for _, l := range c.Tree(k.Tree, k.Reason) {
		out = append(out, l.Text)
	}
	out = append(out, c.Facts(k.Facts, func(f result.Fact) bool { return !f.Last && onText(f) })...)
	if k.Beyond && len(k.Evidence) == 0 {
		return out
	}
	out = append(out, Records(k.Evidence)...)
	return append(out, c.Facts(k.Facts, func(f result.Fact) bool { return f.Last && onText(f) })...)
}

func onText(f result.Fact) bool { return f.Only == "" || f.Only == result.OnText }

func (c *Language) resultLine(k result.Outcome) string {
	value := string(k.Result) + c.inBrackets(k)
	if k.Unbroken {
		return field("Result:", value)
	}
	return wrapped("Result:", value)
}

func (c *Language) inBrackets(k result.Outcome) string {
	if k.Reason.IsZero() {
		return ""
	}
	return " (" + strings.TrimSuffix(c.reason(k.Reason), ".") + ")"
}

// identities: what a check verified, by the registered property; empty where it verified nothing.
func identities(k result.Outcome) string {
	for _, property := range []string{"smtp.mailfrom", "smtp.helo", "policy.iprev", "header.d", "header.from"} {
		if v, ok := k.Identities[property]; ok {
			return property + "=" + safe(v)
		}
	}
	return ""
}

// Facts are the lines of those that are wanted, as in the details of a check.
func (c *Language) Facts(all []result.Fact, wanted func(result.Fact) bool) (out []string) {
	for _, f := range all {
		if wanted(f) {
			out = append(out, c.factLines(f)...)
		}
	}
	return out
}

func (c *Language) factLines(f result.Fact) (out []string) {
	label := f.Label
	if f.Pre && label != "" {
		out = append(out, label)
	}
	for _, l := range f.Lines {
		if l.IsZero() {
			continue
		}
		text := c.lineText(l, f.Long)
		switch {
		case f.Pre:
			out = append(out, text)
		case f.Whole:
			out = append(out, field(label, text))
		default:
			out = append(out, wrapped(label, text))
		}
		label = ""
	}
	return out
}

// lineText is a line with each text in it made safe, and cut where it is not long by right.
func (c *Language) lineText(l result.Line, long bool) string {
	var b strings.Builder
	for _, p := range l {
		switch {
		case p.Text.Value == "":
			if !p.Says.IsZero() {
				b.WriteString(c.reason(p.Says))
			}
		case long:
			b.WriteString(unlink(result.Clean(p.Text.Value)))
		default:
			b.WriteString(safe(p.Text.Value))
		}
	}
	return b.String()
}

// TreeLine is one line of a tree as it is shown. Row is what it tells of; nil where it is a heading, a total, or the name of
// a record.
type TreeLine struct {
	Text string
	Row  *result.Row
}

// Tree shows how a result came about, a line a term, with the running counts. The reason that stands beside the result is
// not said again.
func (c *Language) Tree(t *result.Tree, said result.Reason) []TreeLine {
	if t == nil {
		return nil
	}
	out := []TreeLine{{Text: "Evaluation:"}, {Text: fmt.Sprintf("    %-46s %10s  %5s", "", "look-ups", "voids")}}
	for i := range t.Rows {
		r := &t.Rows[i]
		indent := strings.Repeat("    ", r.Depth+1)
		if r.Record.Value != "" || r.Term.Value == "" {
			out = append(out, TreeLine{Text: indent + safe(r.Record.Value) + ":"})
			continue
		}
		for _, l := range c.term(r, indent, said.String()) {
			out = append(out, TreeLine{l, r})
		}
	}
	out = append(out, TreeLine{Text: total("in all", t.Lookups, t.Voids)})
	return append(out, inAll(t.Whole)...)
}

// inAll shows what the tree needs where no term matches, and which terms need it.
func inAll(w *result.Whole) []TreeLine {
	if w == nil {
		return nil
	}
	label := "whole record, if nothing matches"
	if w.Missed {
		label += ", at least"
	}
	out := []TreeLine{{Text: total(label, w.Lookups, w.Voids)}}
	for _, c := range w.Costs {
		out = append(out, TreeLine{Text: fmt.Sprintf("%-50s %10d", "      "+safe(c.Term.Value), c.Lookups)})
	}
	return out
}

// total is a line of look-ups and voids, each with its limit (RFC 7208, 4.6.4), below the tree's.
func total(label string, lookups, voids int) string {
	return fmt.Sprintf("    %-46s %7d/10  %3d/2", label, lookups, voids)
}

// term is what is shown of one, the record that it leads to apart.
func (c *Language) term(t *result.Row, indent, said string) []string {
	head := fmt.Sprintf("%s  %s  %s", indent, safe(t.Term.Value), t.State)
	if !t.Asked {
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
	if len(t.Found) > 0 {
		below(unlink(result.Clean(result.Join(t.Found, ", ").Value)))
	}
	return out
}

// Records are answers of the DNS, as in the details of a check.
func Records(answers []result.Evidence) []string {
	out := []string{"DNS record(s):"}
	for _, e := range answers {
		out = append(out, records(e)...)
	}
	return out
}

// records writes one answer as lines of a zone file, with the CNAMEs on the way, whose TTL is not known.
func records(e result.Evidence) []string {
	name := inZone(e.Name) + "."
	var out []string
	for _, target := range e.Chain {
		target = inZone(target) + "."
		out = append(out, fmt.Sprintf("    %s IN CNAME %s", name, target))
		name = target
	}
	if len(e.Data) == 0 {
		why := e.Rcode
		if why == "NOERROR" || why == "NXDOMAIN" {
			why = "no records"
		}
		return append(out, fmt.Sprintf("    %s %s (%s)", name, e.Type, why))
	}
	for _, d := range e.Data {
		out = append(out, fmt.Sprintf("    %s %d IN %s %s", name, e.TTL, e.Type, inZone(d)))
	}
	return out
}

// inZone is text of a zone file, to be copied: a link in it is broken by an escape that a zone file may
// have (RFC 1035, 5.1).
func inZone(s string) string { return strings.ReplaceAll(result.Clean(s), "://", `\058//`) }

// set puts the sentence of a reason beside its code.
func (c *Language) set(r *result.Reason) {
	if !r.IsZero() {
		r.Text = c.reason(*r)
	}
}

// Fill sets the English sentences in a detail.
func (c *Language) Fill(detail any) {
	if s, ok := detail.(result.Speaker); ok {
		s.EachReason(c.set)
	}
}
