package result

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean makes a stranger's text fit for a terminal, a header field or a log: what prints stays, all
// else (controls of C0 and C1, line and paragraph separators, bidirectional controls, zero-width
// characters, bytes that are no UTF-8) is written as Go would write it in a quoted string. A backslash
// stays, so the text is to be read, not to be decoded.
func Clean(s string) string {
	if isClean(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b.WriteString(`\x` + hex(s[i]))
		case printable(r):
			b.WriteRune(r)
		case r < utf8.RuneSelf:
			b.WriteString(`\x` + hex(byte(r)))
		default:
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		}
		i += n
	}
	return b.String()
}

// ASCII is Clean for places that take no UTF-8 (an SMTP answer): everything beyond visible ASCII and
// the space is escaped.
func ASCII(s string) string {
	s = Clean(s)
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			q := strconv.QuoteToASCII(s)
			q = q[1 : len(q)-1]
			q = strings.ReplaceAll(q, `\"`, `"`)
			return strings.ReplaceAll(q, `\\`, `\`)
		}
	}
	return s
}

// Cut shortens s to at most n bytes, on a rune's edge, and says so with three dots.
func Cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	n = max(n-3, 0)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..."
}

func hex(c byte) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[c>>4], digits[c&15]})
}

// printable: unicode.IsPrint leaves out all of category C (controls, format characters such as U+202E)
// and every space but U+0020. Combining marks print, but a thousand on one letter do not: the callers
// bound the length.
func printable(r rune) bool { return unicode.IsPrint(r) }

func isClean(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// Lines is Clean for an output of several lines: a line feed stays one. What is written at the end, whatever it is
// made of, goes through it.
func Lines(s string) string {
	if tidy(s) {
		return s
	}
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = Clean(lines[i])
	}
	return strings.Join(lines, "\n")
}

// tidy: Lines would change nothing.
func tidy(s string) bool {
	for i, r := range s {
		if r != '\n' && !printable(r) || r == utf8.RuneError && !strings.HasPrefix(s[i:], "\ufffd") {
			return false
		}
	}
	return true
}
