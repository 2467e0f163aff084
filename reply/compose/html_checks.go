package compose

import (
	"fmt"
	"strings"

	"checkauth/templates"
	"checkauth/verify"
	"checkauth/verify/result"
)

// details are the facts of one check: a check without any stands in the summary alone.
type details struct {
	Name  string
	Word  tinted
	Why   string
	Facts []fact

	Terms     []branch // of a tree
	MoreTerms int      // of it that are left out
	Head      []string // of a table, as codes
	Rows      [][]cell
}

func (d details) any() bool { return len(d.Facts)+len(d.Terms)+len(d.Rows) > 0 }

func (c *Language) detailsOf(k result.Outcome, r *verify.Report) details {
	out := details{Name: strings.TrimSpace(c.checkName(k) + " " + subject(k, r)), Word: tint(k.Result), Why: c.inWords(k)}
	if t := k.Tree; t != nil {
		c.tree(&out, k)
		out.Facts = c.facts([]result.Fact{{Code: "html-whole", Lines: wholeLines(t.Whole)}})
	}
	out.Facts = append(out.Facts, c.facts(k.Facts)...)
	if t := k.Table; t != nil {
		out.Head = make([]string, len(t.Head))
		for i, code := range t.Head {
			out.Head[i] = string(code)
		}
		for _, row := range t.Rows {
			cells := make([]cell, len(row))
			for i := range row {
				cells[i] = c.cell(row[i])
			}
			out.Rows = append(out.Rows, cells)
		}
	}
	return out
}

// checkName is what people call a check, in their language where it has words for it.
func (c *Language) checkName(k result.Outcome) string {
	if code := "html-check" + "-" + k.Method; c.words.Has(templates.English, code) {
		return c.sayPairs(code)
	}
	return strings.Trim(safe(k.Label), `"`)
}

// subject tells one of several outcomes of a method from the others.
func subject(k result.Outcome, r *verify.Report) string {
	if k.Subject.Value == "" || len(r.All(k.Method)) < 2 {
		return ""
	}
	return safe(k.Subject.Value)
}

// facts puts those of the page into words.
func (c *Language) facts(all []result.Fact) []fact {
	var out []fact
	for _, f := range all {
		if f.Only != "" && f.Only != result.OnPage {
			continue
		}
		lines := c.pageLines(f.Lines)
		switch {
		case len(lines) == 0:
		case f.Code == "" && len(out) > 0:
			last := &out[len(out)-1]
			last.Lines = append(last.Lines, lines...)
		default:
			out = append(out, fact{c.sayPairs(string(f.Code)), lines, f.Copy})
		}
	}
	return out
}

// pageLines leaves out lines that say nothing.
func (c *Language) pageLines(all []result.Line) (out []string) {
	for _, l := range all {
		if !l.IsZero() {
			out = append(out, safe(c.lineText(l, true)))
		}
	}
	return out
}

// cell of a table.
type cell struct {
	Text                     string
	Word                     tinted
	Small                    []string
	Head, NoWrap, Bold, Copy bool
}

func (c *Language) cell(k result.Cell) cell {
	out := cell{Word: tint(k.Word), Small: c.pageLines(k.Small), Head: k.Head, NoWrap: k.NoWrap, Bold: k.Bold, Copy: k.Copy}
	if !k.Line.IsZero() {
		out.Text = safe(c.lineText(k.Line, true))
	}
	return out
}

// branch is a row of a tree: a record's name, or one of its terms.
type branch struct {
	Level   level
	Record  string // whose terms follow; empty: a term
	Term    string
	Word    tinted
	Asked   bool     // the counts say something
	Lookups int      // running count, of 10
	Voids   int      // of 2
	Notes   []string // why, and what was found
}

// Bounds of the tree as it is shown: what lies deeper stands at the deepest level, and beyond a number of rows
// only terms that decided something do.
const (
	deepest   = 5
	longTree  = 60
	manyFound = 6
)

// level of a row below the record itself. The layout indents each in its own way: what is put in never gets into an
// attribute.
type level struct{ One, Two, Three, Four, Five bool }

func levelOf(depth int) level {
	return level{depth == 1, depth == 2, depth == 3, depth == 4, depth >= deepest}
}

// tree shows how the result came about.
func (c *Language) tree(d *details, k result.Outcome) {
	for i := range k.Tree.Rows {
		r := &k.Tree.Rows[i]
		n := len(d.Terms)
		switch {
		case r.Record.Value != "" || r.Term.Value == "":
			// What an include names need not be said again.
			if name := safe(r.Record.Value); n == 0 || n < longTree && !strings.HasSuffix(d.Terms[n-1].Term, name) {
				d.Terms = append(d.Terms, branch{Level: levelOf(r.Depth), Record: name})
			}
		case n >= longTree && !r.Decides && !r.Failed:
			d.MoreTerms++
		default:
			d.Terms = append(d.Terms, c.branch(r, k))
		}
	}
}

func (c *Language) branch(r *result.Row, k result.Outcome) branch {
	t := plain
	switch {
	case r.Failed:
		t = bad
	case r.Decides:
		t = tones[k.Result]
	}
	b := branch{Level: levelOf(r.Depth), Term: safe(r.Term.Value), Word: toned(c.sayPairs(string(r.Code)), t), Lookups: r.Lookups, Voids: r.Voids, Asked: r.Asked}
	if !r.Asked {
		return b
	}
	if !r.Why.IsZero() && r.Why.String() != k.Reason.String() {
		b.Notes = append(b.Notes, c.reason(r.Why))
	}
	if len(r.Found) > 0 {
		found := result.Join(r.Found[:min(len(r.Found), manyFound)], ", ").Value
		if len(r.Found) > manyFound {
			found += ", ..."
		}
		b.Notes = append(b.Notes, safe(found))
	}
	return b
}

// wholeLines is what a tree needs where no term matches, and which terms need it.
func wholeLines(w *result.Whole) []result.Line {
	if w == nil {
		return nil
	}
	code := result.Code("html-whole-needs")
	if w.Missed {
		code = "html-whole-needs-more"
	}
	out := []result.Line{result.LineOf(result.Because(code, "lookups", w.Lookups, "voids", w.Voids))}
	for _, t := range w.Costs {
		out = append(out, result.LineOf(t.Term, result.Ours(fmt.Sprintf(": %d", t.Lookups))))
	}
	return out
}
