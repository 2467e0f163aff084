package result

// Fact is one row of a check's details, in the text part and on the page.
type Fact struct {
	Label string // of the text part, with its colon; "" continues the fact before
	Code  Code   // of the label on the page; "" continues the fact before
	Lines []Line // those that say nothing are left out, and a fact without any
	Copy  bool   // to be copied or compared, octet for octet
	Whole bool   // no line of it is broken
	Long  bool   // no line of it is cut in the text part
	Pre   bool   // the lines stand in the text part as they are, below the label
	Last  bool   // it stands behind the records of the DNS
	Only  Place  // where it is shown; "" is in both forms of a report
}

// Place is where a fact is shown.
type Place string

// The places beside both forms of a report.
const (
	OnText Place = "text"
	OnPage Place = "page"
	OnTool Place = "tool" // what a command of this program prints beside what the text part has
)

// Line is made of texts and sentences.
type Line []Piece

// Piece is a text, or where that has no value a sentence.
type Piece struct {
	Text Text
	Says Reason
}

// LineOf makes a line of reasons and of what TextOf takes.
func LineOf(parts ...any) Line {
	out := make(Line, len(parts))
	for i, p := range parts {
		if r, ok := p.(Reason); ok {
			out[i].Says = r
		} else {
			out[i].Text = TextOf(p)
		}
	}
	return out
}

// IsZero tells that there is nothing to say.
func (l Line) IsZero() bool {
	for _, p := range l {
		if p.Text.Value != "" || !p.Says.IsZero() {
			return false
		}
	}
	return true
}

// Tree is how the result of records that lead to records came about.
type Tree struct {
	Rows           []Row
	Lookups, Voids int    // in all (RFC 7208, 4.6.4: at most 10 and 2)
	Whole          *Whole // what it would need where nothing matches; nil where nobody knows
}

// Whole is that need, at least where Missed.
type Whole struct {
	Lookups, Voids int
	Missed         bool
	Costs          []Cost
}

// Cost is how many look-ups one term needs.
type Cost struct {
	Term    Text
	Lookups int
}

// Row is a record, or one of its terms, in their order.
type Row struct {
	Depth  int  // of the record, from 0
	Record Text // its name; no value: a term of it
	Term   Text
	State  Ours // what became of the term
	Code   Code // the same on the page
	Asked  bool // the counts say something
	// Lookups and Voids are running counts.
	Lookups, Voids int
	Why            Reason
	Found          []Text
	Decides        bool // the result is this term's
	Matched        bool // it matches the client
	Failed         bool // it decided by an error
	Skipped        bool // it was not looked at
}

// Table is one of the page.
type Table struct {
	Head []Code
	Rows [][]Cell
}

// Cell has a line or a result, and smaller lines below it.
type Cell struct {
	Line                     Line
	Word                     Word
	Small                    []Line
	Head, NoWrap, Bold, Copy bool
}
