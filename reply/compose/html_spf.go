package compose

import (
	"fmt"
	"strings"

	"checkauth/verify/result"
	"checkauth/verify/spf"
)

// branch is a row of SPF's tree: a record's name, or one of its terms.
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
	return level{depth == 1, depth == 2, depth == 3, depth == 4, depth == deepest}
}

// tree is SPF's on its way to rows.
type tree struct {
	*Voice
	spf  *spf.Result
	said string // the reason that stands beside the result: it is not said again
	tone tone   // of the result
	rows []branch
	more int // terms that are left out
}

// spfTree shows how the result came about.
func (c *Voice) spfTree(d *details, k result.Outcome) {
	s := result.Detail[spf.Result](k)
	if s.Root == nil {
		return
	}
	t := tree{Voice: c, spf: s, said: k.Reason.String(), tone: tones[k.Result]}
	t.record(s.Root, 0)
	d.Terms, d.MoreTerms = t.rows, t.more
	d.Facts = c.facts(prose("html-whole", c.whole(s.Whole)...), exact("html-explanation", s.Explanation))
}

func (t *tree) record(rec *spf.Record, depth int) {
	name := safe(rec.Domain)
	// What an include names need not be said again.
	if n := len(t.rows); n == 0 || n < longTree && !strings.HasSuffix(t.rows[n-1].Term, name) {
		t.rows = append(t.rows, branch{Level: levelOf(depth), Record: name})
	}
	for i := range rec.Terms {
		term := &rec.Terms[i]
		if len(t.rows) >= longTree && !t.decides(rec, term) && term.Outcome != spf.Failed {
			t.more++
		} else {
			t.rows = append(t.rows, t.term(rec, term, depth))
		}
		if term.Record != nil {
			t.record(term.Record, min(depth+1, deepest))
		}
	}
}

// decides: what matches in an included record only says what the include is.
func (t *tree) decides(rec *spf.Record, term *spf.Term) bool {
	return term.Outcome == spf.Match && term.Text == t.spf.Matched && rec.Domain == t.spf.MatchedIn
}

func (t *tree) term(rec *spf.Record, term *spf.Term, depth int) branch {
	b := branch{Level: levelOf(depth), Term: safe(term.Text), Word: t.outcome(term.Outcome), Lookups: term.Lookups, Voids: term.Voids}
	if t.decides(rec, term) {
		b.Word = toned(b.Word.Text, t.tone)
	}
	if term.Outcome == spf.NotReached || term.Outcome == spf.Modifier && term.Record == nil {
		return b
	}
	b.Asked = true
	if !term.Why.IsZero() && term.Why.String() != t.said {
		b.Notes = append(b.Notes, t.reason(term.Why))
	}
	if len(term.Found) > 0 && term.Record == nil {
		found := strings.Join(term.Found[:min(len(term.Found), manyFound)], ", ")
		if len(term.Found) > manyFound {
			found += ", ..."
		}
		b.Notes = append(b.Notes, safe(found))
	}
	return b
}

func (t *tree) outcome(o spf.Outcome) tinted {
	switch o {
	case spf.Match:
		return toned(t.sayPairs("html-match"), plain)
	case spf.NoMatch:
		return toned(t.sayPairs("html-no-match"), plain)
	case spf.NotReached:
		return toned(t.sayPairs("html-not-reached"), plain)
	case spf.Failed:
		return toned(t.sayPairs("html-error"), bad)
	}
	return toned(t.sayPairs("html-modifier"), plain)
}

// whole is what the tree needs where no term matches, and which terms need it.
func (c *Voice) whole(w *spf.Whole) []string {
	if w == nil {
		return nil
	}
	lookups, voids := fmt.Sprint(w.Lookups), fmt.Sprint(w.Voids)
	out := []string{c.sayPairs("html-whole-needs", "lookups", lookups, "voids", voids)}
	if w.Missed {
		out[0] = c.sayPairs("html-whole-needs-more", "lookups", lookups, "voids", voids)
	}
	for _, t := range w.Costs {
		out = append(out, fmt.Sprintf("%s: %d", t.Term, t.Lookups))
	}
	return out
}
