package dmarc

import (
	"context"
	"strings"

	"checkauth/verify/dns"
)

// maxWalk is how many names are asked for one domain: RFC 9989, 4.10.
const maxWalk = 8

// walk is the DNS tree walk of one domain.
type walk struct {
	start string
	nodes []node     // where a record counts, the longest name first
	empty []node     // where records are that do not count
	err   *dns.Error // of the query that ended the walk, else nil
	steps []Step     // each name that was asked
}

// Walk is the DNS tree walk of one domain, for the reader.
type Walk struct {
	Start string `json:"start"`
	Asked []Step `json:"asked"` // in order, at most eight
	Org   string `json:"org"`   // organisational domain; "" where the DNS failed
}

// Step is one name of a walk.
type Step struct {
	Name  string   `json:"name"` // with _dmarc
	Found Found    `json:"found"`
	PSD   string   `json:"psd,omitempty"`   // y or n: it ended the walk
	Texts []string `json:"texts,omitempty"` // all that lies there; of a Lookup alone
}

// Found is what a walk met at a name.
type Found string

// What a walk can meet.
const (
	FoundRecord  Found = "record"
	FoundSeveral Found = "several" // records, so that none counts
	FoundOther   Found = "other"   // texts that are no record
	FoundNothing Found = "nothing"
	FoundError   Found = "error" // the DNS failed
)

func (n node) step() Step {
	st := Step{Name: "_dmarc." + n.name, Found: FoundNothing}
	switch {
	case n.record.Text != "":
		st.Found = FoundRecord
		if n.record.PSD != "u" {
			st.PSD = n.record.PSD
		}
	case n.dropped > 0:
		st.Found = FoundSeveral
	case len(n.texts) > 0:
		st.Found = FoundOther
	}
	return st
}

func (s *state) shownWalks() []Walk {
	var out []Walk
	for _, w := range s.walked {
		shown := Walk{Start: w.start, Asked: w.steps}
		if w.err == nil {
			shown.Org = w.org()
		}
		out = append(out, shown)
	}
	return out
}

// node is what one name has.
type node struct {
	name   string // without _dmarc
	record Record // the one that counts
	texts  []string
	// dropped: as many records that begin with v=DMARC1. RFC 9989, 4.10: of more than one at one name
	// none counts.
	dropped int
}

// walkFrom walks from a domain up to the top. A name at which DNS fails ends it.
func (s *state) walkFrom(ctx context.Context, start string) *walk {
	if w := s.walks[start]; w != nil {
		return w
	}
	w := &walk{start: start}
	s.walks[start] = w
	s.walked = append(s.walked, w)
	for _, name := range names(start) {
		n, err := s.node(ctx, name)
		if err != nil {
			w.err = err
			w.steps = append(w.steps, Step{Name: "_dmarc." + name, Found: FoundError})
			return w
		}
		w.steps = append(w.steps, n.step())
		if n.record.Text == "" {
			if len(n.texts) > 0 {
				w.empty = append(w.empty, n)
			}
			continue
		}
		w.nodes = append(w.nodes, n)
		// RFC 9989, 4.10: psd=n and psd=y end the walk, u does not.
		if n.record.PSD != "u" {
			return w
		}
	}
	return w
}

// names lists what a walk asks, the longest first. RFC 9989, 4.10: the second name has at most seven
// labels, so that there are at most eight queries.
func names(start string) []string {
	out := []string{start}
	labels := strings.Split(start, ".")
	rest := labels[1:]
	if len(labels) >= maxWalk {
		rest = labels[len(labels)-maxWalk+1:]
	}
	for ; len(rest) > 0; rest = rest[1:] {
		out = append(out, strings.Join(rest, "."))
	}
	return out
}

// node asks one name. A name too long to be asked has nothing.
func (s *state) node(ctx context.Context, name string) (node, *dns.Error) {
	if n, ok := s.seen[name]; ok {
		return n, nil
	}
	q := dns.Ask("_dmarc."+name, dns.TXT)
	if !dns.Askable(q.Name) {
		return node{name: name}, nil
	}
	a, err := s.dns.Resolve(ctx, q)
	if err != nil {
		return node{}, dns.AsError(q, err)
	}
	n := read(name, a.Texts())
	s.seen[name] = n
	return n, nil
}

// read takes the record that counts out of the texts at a name.
func read(name string, texts []string) node {
	n := node{name: name, texts: texts}
	for _, text := range n.texts {
		r, ok := Parse(text)
		if !ok {
			continue
		}
		n.record = r
		n.dropped++
	}
	if n.dropped > 1 {
		n.record = Record{}
	} else {
		n.dropped = 0
	}
	return n
}

// at gives the record that counts at a name.
func (w *walk) at(name string) (node, bool) {
	for _, n := range w.nodes {
		if n.name == name {
			return n, true
		}
	}
	return node{}, false
}

// org is the organisational domain by RFC 9989, 4.10.2; only for a walk without error.
func (w *walk) org() string {
	for _, n := range w.nodes {
		switch {
		case n.record.PSD == "n":
			return n.name
		case n.record.PSD == "y" && n.name != w.start:
			return oneBelow(n.name, w.start)
		}
	}
	if len(w.nodes) > 0 {
		return w.nodes[len(w.nodes)-1].name
	}
	return w.start
}

// oneBelow is the name one label below a suffix of start.
func oneBelow(suffix, start string) string {
	labels := strings.Split(strings.TrimSuffix(start, "."+suffix), ".")
	return labels[len(labels)-1] + "." + suffix
}

// applies finds the record of the walk's start: RFC 9989, 4.10.1. inherited is false where it is the
// start's own. err: a query failed before that could be told.
func (w *walk) applies() (n node, inherited, ok bool, err *dns.Error) {
	if n, ok := w.at(w.start); ok {
		return n, false, true, nil
	}
	if w.err != nil {
		return node{}, false, false, w.err
	}
	if n, ok := w.at(w.org()); ok {
		return n, true, true, nil
	}
	// Else the public suffix's, which is where the walk ended. A record in between is nobody's: RFC
	// 9989, 4.10.1.
	if len(w.nodes) > 0 {
		if n := w.nodes[len(w.nodes)-1]; n.record.PSD == "y" {
			return n, true, true, nil
		}
	}
	return node{}, false, false, nil
}
