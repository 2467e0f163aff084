package compose

import (
	"strings"
	"unicode/utf8"
)

// width of the text part: RFC 5322, 2.1.1 wants at most 78.
const width = 78

// wrap breaks text at spaces into lines of at most n columns, each after the first behind an indent. A
// word that is longer than a line stays whole: a record must be copied as it is.
func wrap(text, indent string, n int) string {
	var b strings.Builder
	column := 0
	for i, word := range strings.Fields(text) {
		w := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case column+1+w > n:
			b.WriteString("\n" + indent)
			column = 0 // n is without the indent
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += w
	}
	return b.String()
}

// field is one line of a check's details: the value begins in column 17.
func field(label, value string) string {
	return label + strings.Repeat(" ", max(valueColumn-len(label), 0)) + value
}

// Field is for cmd: a label and a sentence, as in the details of a check.
func Field(label, text string) string { return wrapped(label, text) }

// Item is for cmd: a paragraph of a list behind its mark.
func Item(mark, text string) string {
	return mark + wrap(text, strings.Repeat(" ", len(mark)), width-len(mark))
}

// wrapped is a field whose value is a sentence.
func wrapped(label, text string) string {
	pad := strings.Repeat(" ", valueColumn)
	return strings.TrimRight(field(label, wrap(text, pad, width-valueColumn)), " ")
}

const valueColumn = 16

// quoted writes a stranger's text, each line behind "> ".
func quotedLine(s string) string { return "> " + s }

// defang makes what looks like a link no link.
func defang(s string) string {
	s = unlink(s)
	const www = "www"
	var b strings.Builder
	written := 0
	for at := 0; ; at++ {
		dot := strings.IndexByte(s[at:], '.')
		if dot < 0 {
			break
		}
		if at += dot; at >= len(www) && strings.EqualFold(s[at-len(www):at], www) {
			b.WriteString(s[written:at] + " ")
			written = at
		}
	}
	if written == 0 {
		return s
	}
	return b.String() + s[written:]
}

// unlink is for what has to be copied, where a host name must stay one: no link with a scheme lives.
func unlink(s string) string { return strings.ReplaceAll(s, "://", " //") }
