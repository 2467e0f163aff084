package header

import (
	"cmp"
	"slices"
	"strings"

	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// once: RFC 5322, 3.6: these stand at most once in a message.
var once = []string{
	"Date", "From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Message-ID", "In-Reply-To", "References", "Subject",
}

// begin: RFC 5322, 2.1: a message begins with its header, which ends at the first empty line.
func (s *state) begin() {
	if len(s.fields) == 0 {
		s.broken(result.Because("header-begins-with-empty-line"))
		s.found(result.Found(result.Error, "header-empty-line-first"))
		return
	}
	if field, ok := s.fields.BOM(); ok {
		s.broken(result.Because("header-begins-with-bom"))
		s.found(result.Found(result.Error, "header-bom", "field", cmp.Or(result.Cut(field, maxName), "-")))
	}
}

// lost: the field is missing for what stands at the beginning, which has its own finding.
func (s *state) lost(name string) bool {
	field, ok := s.fields.BOM()
	return len(s.fields) == 0 || ok && strings.EqualFold(field, name)
}

// malformed: RFC 5322, 2.2: a line of the header is a field or the fold of one.
func (s *state) malformed() {
	if s.Malformed = len(s.fields.Malformed()); s.Malformed > 0 {
		s.broken(result.Because("header-has-malformed-lines", "count", s.Malformed))
	}
}

// from: RFC 5322, 3.6 and 3.6.2: one From that can be read. DMARC's check says what is wrong with it.
func (s *state) from() {
	s.FromCount = s.author.Fields
	switch s.author.Problem {
	case mail.NoFrom:
		s.broken(result.Because("header-lacks-field", "field", result.Ours("From")))
	case mail.BadFrom, mail.SpacedFrom:
		s.faulty("From")
		s.broken(result.Because("header-from-unreadable"))
	}
}

func (s *state) duplicates() {
	for _, name := range once {
		if name == "From" && s.FromCount > 1 || name != "From" && len(s.fields.All(name)) > 1 {
			s.Duplicates = append(s.Duplicates, name)
		}
	}
	if len(s.Duplicates) == 0 {
		return
	}
	s.broken(result.Because("header-repeats-fields", "fields", mail.FieldNames(s.Duplicates...)))
	others := slices.DeleteFunc(slices.Clone(s.Duplicates), func(n string) bool { return n == "From" })
	if len(others) > 0 {
		s.found(result.Found(result.Error, "header-duplicate", "fields", mail.FieldNames(others...)))
	}
}

// messageID: RFC 5322, 3.6.4: it should be there, and is one identifier in angle brackets.
func (s *state) messageID() {
	all := s.fields.All("Message-ID")
	if len(all) == 0 {
		s.MessageID = Missing
		s.broken(result.Because("header-lacks-field", "field", result.Ours("Message-ID")))
		if !s.lost("Message-ID") {
			s.found(result.Found(result.Error, "header-no-message-id"))
		}
		return
	}
	s.MessageID = OK
	for _, f := range all {
		if !isMessageID(f.Value(), s.facts.SMTPUTF8) {
			s.MessageID = Malformed
			s.faulty("Message-ID")
			s.broken(result.Because("header-message-id-unreadable"))
			s.found(result.Found(result.Warning, "header-message-id-malformed", "id", shown(f.Value())))
			return
		}
	}
}

// sender: RFC 5322, 3.6.2: where From has several authors, Sender tells who sent it.
func (s *state) sender() {
	if len(s.author.Addresses) > 1 && len(s.fields.All("Sender")) == 0 {
		s.broken(result.Because("header-lacks-field", "field", result.Ours("Sender")))
		s.found(result.Found(result.Warning, "header-no-sender", "count", len(s.author.Addresses)))
	}
}

// spaced: RFC 5322, 4.5: nobody may write white space in front of the colon any more. From has a finding
// of its own.
func (s *state) spaced() {
	var names list
	for _, f := range s.fields {
		if f.Name != "" && f.Spaced && !f.Is("From") {
			names.add(f.Name)
		}
	}
	if len(names) > 0 {
		s.faulty(names...)
		s.broken(result.Because("header-space-in-name"))
		s.found(result.Found(result.Warning, "header-space-before-colon", "fields", names.text()))
	}
}

// So many octets of a value and of a field's name are shown.
const maxShown, maxName = 200, 60

func shown(value string) string { return result.Cut(value, maxShown) }

// list is names of fields for a sentence, each of them once.
type list []string

func (l *list) add(name string) {
	if !slices.ContainsFunc(*l, func(n string) bool { return strings.EqualFold(n, name) }) {
		*l = append(*l, name)
	}
}

// String names six at most: a header may have a thousand fields.
func (l list) String() string {
	const most = 6
	short := make([]string, 0, most+1)
	for i, n := range l {
		if i == most {
			short = append(short, "...")
			break
		}
		short = append(short, result.Cut(n, maxName))
	}
	return strings.Join(short, ", ")
}

// text is the list with its provenance.
func (l list) text() result.Text { return result.Text{Value: l.String(), From: mail.FieldsFrom(l)} }
