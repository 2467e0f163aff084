package mail

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// lookup: RFC 5891, 5, with the mapping of case that people type (RFC 5895).
var lookup = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false), idna.StrictDomainName(false))

// ASCIIDomain turns a domain as it is written in an address into A-labels in lower case. ok is false
// where it is no host name: RFC 5321, 2.3.5, and the underscore, which many have. Quotes, parentheses and
// whatever else RFC 5322 lets stand in a dot-atom are refused: a program that prints them without care
// shows another domain than was checked.
func ASCIIDomain(s string) (domain string, ok bool) {
	// Four octets of UTF-8 make at least one of an A-label.
	if s == "" || len(s) > 4*253 {
		return "", false
	}
	if !isASCII(s) {
		// RFC 5892, 2.3: no label has them. The mapping takes them away without a word.
		if strings.ContainsFunc(s, ignorable) {
			return "", false
		}
		a, err := lookup.ToASCII(s)
		// The mapping makes dots of other scripts' full stops and of characters such as U+2488.
		if err != nil || !utf8.ValidString(s) || strings.Count(a, ".") != strings.Count(s, ".") {
			return "", false
		}
		s = a
	}
	s = strings.ToLower(s)
	if len(s) > 253 {
		return "", false
	}
	for label := range strings.SplitSeq(s, ".") {
		if !hostLabel(label) {
			return "", false
		}
	}
	return s, true
}

// ignorable characters show nothing. The two joiners, of which Persian and others have need, are for the
// rules of IDNA on their context.
func ignorable(r rune) bool {
	const nonJoiner, joiner = '\u200c', '\u200d'
	return r != nonJoiner && r != joiner && unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

func hostLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
