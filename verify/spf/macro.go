package spf

import (
	"strconv"
	"strings"
)

// macroString is a text with macros, read once: RFC 7208, 7.1.
type macroString []macro

// macro is one piece: a literal where letter is zero; where it is '%' what %%, %_ or %- stands for.
type macro struct {
	literal string
	letter  byte // lower case
	escape  bool // RFC 7208, 7.3: a letter in upper case is URL-escaped
	keep    int  // right-hand parts to keep, 0 for all
	reverse bool
	delims  string // "." where none are given
}

// stands for what three two-letter macros stand.
var stands = map[byte]string{'%': "%", '_': " ", '-': "%20"}

// parseMacros reads a macro-string; with anywhere also an explain-string, which has spaces, and the
// letters c, r and t (RFC 7208, 7.2: in explanations alone).
func parseMacros(s string, anywhere bool) (macroString, bool) {
	if !visible(s, anywhere) {
		return nil, false
	}
	out := make(macroString, 0, 1+strings.Count(s, "%"))
	for s != "" {
		at := strings.IndexByte(s, '%')
		if at < 0 {
			return append(out, macro{literal: s}), true
		}
		if at > 0 {
			out = append(out, macro{literal: s[:at]})
		}
		// RFC 7208, 7.1: a "%" that no "{", "%", "_" or "-" follows is a syntax error.
		s = s[at+1:]
		if s == "" {
			return nil, false
		}
		if text, ok := stands[s[0]]; ok {
			out = append(out, macro{literal: text, letter: '%'})
			s = s[1:]
			continue
		}
		end := strings.IndexByte(s, '}')
		if s[0] != '{' || end < 0 {
			return nil, false
		}
		m, ok := parseMacro(s[1:end], anywhere)
		if !ok {
			return nil, false
		}
		out, s = append(out, m), s[end+1:]
	}
	return out, true
}

// parseMacro reads what stands between the braces: a letter, digits, "r", delimiters.
func parseMacro(s string, anywhere bool) (macro, bool) {
	if s == "" {
		return macro{}, false
	}
	m := macro{letter: s[0] | 0x20, escape: 'A' <= s[0] && s[0] <= 'Z', delims: "."}
	letters := "slodipvh"
	if anywhere {
		letters += "crt"
	}
	if !alpha(s[0]) || strings.IndexByte(letters, m.letter) < 0 {
		return m, false
	}
	s = s[1:]
	digits := 0
	for digits < len(s) && digit(s[digits]) {
		digits++
	}
	if digits > 0 {
		// RFC 7208, 7.3: zero parts are a syntax error.
		if m.keep = parts(s[:digits]); m.keep == 0 {
			return m, false
		}
		s = s[digits:]
	}
	if s != "" && s[0]|0x20 == 'r' {
		m.reverse, s = true, s[1:]
	}
	for i := range len(s) {
		if strings.IndexByte(".-+,/_=", s[i]) < 0 {
			return m, false
		}
	}
	if s != "" {
		m.delims = s
	}
	return m, true
}

// parts reads how many are wanted; more than any value has are as good as all.
func parts(digits string) int {
	digits = strings.TrimLeft(digits, "0")
	if len(digits) > 6 {
		return 1 << 20
	}
	n, _ := strconv.Atoi(digits) // six digits, or none, which is zero
	return n
}

// apply gives the value of one macro, transformed. Its cost is that of what it gives, or nearly so: a
// record may have sixteen thousand macros, and a local part ten thousand octets.
func (m macro) apply(value string) string {
	if m.reverse {
		value = m.reversed(value)
	} else {
		value = m.rightmost(value)
	}
	if m.escape {
		return urlEscape(value)
	}
	return value
}

// rightmost keeps the right-hand parts and joins them by dots.
func (m macro) rightmost(v string) string {
	if m.keep > 0 {
		parts := 0
		for i := len(v) - 1; i >= 0; i-- {
			if m.splits(v[i]) {
				if parts++; parts == m.keep {
					v = v[i+1:]
					break
				}
			}
		}
	}
	if m.delims == "." {
		return v
	}
	b := []byte(v)
	for i, c := range b {
		if m.splits(c) {
			b[i] = '.'
		}
	}
	return string(b)
}

// reversed turns the order of the parts round, and keeps the right-hand ones of that: the first ones
// as they stood.
func (m macro) reversed(v string) string {
	if m.keep > 0 {
		parts := 0
		for i := range len(v) {
			if m.splits(v[i]) {
				if parts++; parts == m.keep {
					v = v[:i]
					break
				}
			}
		}
	}
	out := make([]byte, 0, len(v))
	end := len(v)
	for i := len(v) - 1; i >= 0; i-- {
		if m.splits(v[i]) {
			out = append(append(out, v[i+1:end]...), '.')
			end = i
		}
	}
	return string(append(out, v[:end]...))
}

func (m macro) splits(c byte) bool { return strings.IndexByte(m.delims, c) >= 0 }

// urlEscape: RFC 7208, 7.3: everything but the unreserved set of RFC 3986.
func urlEscape(s string) string {
	const digits = "0123456789ABCDEF"
	out := make([]byte, 0, len(s))
	for i := range len(s) {
		if c := s[i]; alpha(c) || digit(c) || c == '-' || c == '.' || c == '_' || c == '~' {
			out = append(out, c)
		} else {
			out = append(out, '%', digits[c>>4], digits[c&15])
		}
	}
	return string(out)
}

// maxName is the length of the longest domain name: RFC 1035, 2.3.4, without the final dot.
const maxName = 253

// name expands a domain-spec. It works from the right and ends where no name can be longer: what stands
// left of that would be cut anyway. ok is false where the macro can have no value (RFC 8616, 4).
func (s macroString) name(value func(letter byte) (string, bool)) (name string, ok bool) {
	var pieces []string
	total := 0
	for i := len(s) - 1; i >= 0; i-- {
		piece, ok := s[i].expand(value)
		if !ok {
			return "", false
		}
		if i == len(s)-1 {
			piece = strings.TrimSuffix(piece, ".")
		}
		pieces = append(pieces, piece)
		if total += len(piece); total > maxName {
			break
		}
	}
	var b strings.Builder
	for i := len(pieces) - 1; i >= 0; i-- {
		b.WriteString(pieces[i])
	}
	return shorten(b.String()), true
}

// shorten: RFC 7208, 7.3: where an expanded name is longer than 253 octets, labels are taken off its
// left side until it is not.
func shorten(name string) string {
	for len(name) > maxName {
		// What begins within the last 253 octets, behind a dot, can stay.
		dot := strings.IndexByte(name[len(name)-maxName-1:], '.')
		if dot < 0 {
			break
		}
		name = name[len(name)-maxName+dot:]
	}
	return name
}

// maxExplanation bounds what an explanation may become: it goes into one line of an SMTP answer, and
// 64 KiB of macros could make a gigabyte.
const maxExplanation = 1024

// text expands an explain-string, at most maxExplanation octets of it.
func (s macroString) text(value func(letter byte) (string, bool)) (string, bool) {
	var b strings.Builder
	for _, m := range s {
		piece, ok := m.expand(value)
		if !ok {
			return "", false
		}
		b.WriteString(piece)
		if b.Len() > maxExplanation {
			return b.String()[:maxExplanation], true
		}
	}
	return b.String(), true
}

func (m macro) expand(value func(letter byte) (string, bool)) (string, bool) {
	if m.letter == 0 || m.letter == '%' {
		return m.literal, true
	}
	v, ok := value(m.letter)
	if !ok {
		return "", false
	}
	return m.apply(v), true
}
