package header

import (
	"strings"
	"unicode/utf8"

	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// maxLine: RFC 5322, 2.1.1: a line has at most 998 octets without its CR LF.
const maxLine = 998

// seen is what the octets of a header are, counted in one pass, with the names of the fields where.
type seen struct {
	size, eight, controls, nul, bareCR, bareLF, longest int

	eightIn, notUTF8In, controlIn, bareCRIn, bareLFIn, blankIn list
	longestIn                                                  string
}

// scan counts. Lines that are no fields count by their size alone: they have their own finding.
func scan(fields mail.Fields) seen {
	var s seen
	for _, f := range fields {
		s.size += len(f.Raw)
		if f.Name == "" {
			continue
		}
		s.octets(f)
		first := true
		for line := range strings.Lines(string(f.Raw)) {
			s.line(f.Name, line, first)
			first = false
		}
	}
	return s
}

func (s *seen) octets(f mail.Field) {
	eight, controls := s.eight, s.controls
	for _, c := range f.Raw {
		switch {
		case c >= 0x80:
			s.eight++
		case c == 0:
			s.nul++
			s.controls++
		case c == 0x7f || c < ' ' && c != '\t' && c != '\r' && c != '\n':
			s.controls++
		}
	}
	if s.eight > eight {
		s.eightIn.add(f.Name)
		if !utf8.Valid(f.Raw) {
			s.notUTF8In.add(f.Name)
		}
	}
	if s.controls > controls {
		s.controlIn.add(f.Name)
	}
}

func (s *seen) line(name, line string, first bool) {
	text, ends := strings.CutSuffix(line, "\n")
	if ends {
		var whole bool
		if text, whole = strings.CutSuffix(text, "\r"); !whole {
			s.bareLF++
			s.bareLFIn.add(name)
		}
	}
	if n := strings.Count(text, "\r"); n > 0 {
		s.bareCR += n
		s.bareCRIn.add(name)
	}
	if !first && strings.Trim(text, " \t") == "" {
		s.blankIn.add(name)
	}
	if len(text) > s.longest {
		s.longest, s.longestIn = len(text), name
	}
}

// octets: RFC 5322, 2.2: a header is US-ASCII without controls. RFC 6532, 3.1 and 3.2: with SMTPUTF8 it
// may have UTF-8.
func (s *state) octets() {
	s.Octets8Bit, s.Controls, s.Size = s.seen.eight, s.seen.controls, s.seen.size
	switch {
	case len(s.seen.notUTF8In) > 0 && s.facts.SMTPUTF8:
		s.faulty(s.seen.notUTF8In...)
		s.broken(result.Because("header-has-no-utf8"))
		s.found(result.Found(result.Error, "header-not-utf8", "fields", s.seen.notUTF8In.text()))
	case s.seen.eight > 0 && !s.facts.SMTPUTF8:
		s.faulty(s.seen.eightIn...)
		s.broken(result.Because("header-has-8bit"))
		s.found(result.Found(result.Error, "header-8bit", "fields", s.seen.eightIn.text()))
	}
	if s.Controls == 0 {
		return
	}
	s.faulty(s.seen.controlIn...)
	s.broken(result.Because("header-has-controls", "count", s.Controls))
	if s.Controls > s.seen.nul || !s.facts.NUL {
		s.found(result.Found(result.Warning, "header-control", "fields", s.seen.controlIn.text(), "count", s.Controls))
	}
}

// lineEnds: RFC 5322, 2.2: CR and LF stand together or not at all.
func (s *state) lineEnds() {
	s.BareCR, s.BareLF = s.seen.bareCR, s.seen.bareLF
	s.faulty(s.seen.bareCRIn...)
	s.faulty(s.seen.bareLFIn...)
	if s.BareCR > 0 {
		s.broken(result.Because("header-has-bare-cr", "count", s.BareCR))
		if !s.facts.BareCR {
			s.found(result.Found(result.Warning, "header-bare-cr", "fields", s.seen.bareCRIn.text(), "count", s.BareCR))
		}
	}
	if s.BareLF > 0 {
		s.broken(result.Because("header-has-bare-lf", "count", s.BareLF))
		if !s.facts.BareLF {
			s.found(result.Found(result.Warning, "header-bare-lf", "fields", s.seen.bareLFIn.text(), "count", s.BareLF))
		}
	}
}

func (s *state) lines() {
	s.LongestLine = s.seen.longest
	if s.LongestLine > maxLine {
		s.broken(result.Because("header-has-long-line", "count", s.LongestLine))
		if !s.facts.LongLine {
			s.found(result.Found(result.Warning, "header-long-line", "field", list{s.seen.longestIn}.text(), "count", s.LongestLine))
		}
	}
	// RFC 5322, 3.2.2: a fold has more than white space; a program may take it for the header's end.
	if len(s.seen.blankIn) > 0 {
		s.faulty(s.seen.blankIn...)
		s.broken(result.Because("header-has-blank-fold"))
		s.found(result.Found(result.Warning, "header-blank-fold", "fields", s.seen.blankIn.text()))
	}
}
