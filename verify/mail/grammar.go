package mail

import "strings"

// Atext: RFC 5322, 3.2.3. utf8: or an octet of a letter beyond ASCII (RFC 6532, 3.2).
func Atext(c byte, utf8 bool) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0 || utf8 && c >= 0x80
}

// DotAtom: RFC 5322, 3.2.3: words of atext with single dots between.
func DotAtom(s string, utf8 bool) bool {
	for i := range len(s) {
		if s[i] != '.' && !Atext(s[i], utf8) {
			return false
		}
	}
	return s != "" && s[0] != '.' && s[len(s)-1] != '.' && !strings.Contains(s, "..")
}

// CutMessageID reads the msg-id that s begins with: RFC 5322, 3.6.4, without the obsolete forms. rest is what stands
// behind it.
func CutMessageID(s string, utf8 bool) (rest string, ok bool) {
	s, opened := strings.CutPrefix(s, "<")
	left, s, at := strings.Cut(s, "@")
	if !opened || !at || !DotAtom(left, utf8) {
		return "", false
	}
	if literal, inside := strings.CutPrefix(s, "["); inside {
		text, rest, closed := strings.Cut(literal, "]>")
		return rest, closed && dtext(text, utf8)
	}
	right, rest, closed := strings.Cut(s, ">")
	return rest, closed && DotAtom(right, utf8)
}

// dtext: RFC 5322, 3.4.1: visible characters that are no bracket or backslash.
func dtext(s string, utf8 bool) bool {
	for _, c := range []byte(s) {
		if c == '[' || c == ']' || c == '\\' || c <= ' ' || c == 0x7f || c >= 0x80 && !utf8 {
			return false
		}
	}
	return true
}

// SkipCFWS leaves out white space and comments in front: RFC 5322, 3.2.2. A comment without an end is text.
func SkipCFWS(s string) string {
	for {
		s = strings.TrimLeft(s, " \t\r\n")
		n := comment(s)
		if n == 0 {
			return s
		}
		s = s[n:]
	}
}

// comment is the length of the comment that s begins with, 0 where it begins with none. Comments nest, so depth is
// counted, not recursed.
func comment(s string) int {
	if !strings.HasPrefix(s, "(") {
		return 0
	}
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\': // RFC 5322, 3.2.1: what follows is itself, be it a parenthesis
			i++
		case '(':
			depth++
		case ')':
			depth--
		}
		if depth == 0 {
			return i + 1
		}
	}
	return 0
}

// Uncomment takes comments out and leaves one space between words: RFC 5322, 3.2.2. ok is false where a comment does not end,
// or ends before it begins.
func Uncomment(s string) (text string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '(':
			n := comment(s[i:])
			if n == 0 {
				return "", false
			}
			i += n - 1
			b.WriteByte(' ')
		case ')':
			return "", false
		default:
			b.WriteByte(s[i])
		}
	}
	words := strings.FieldsFunc(b.String(), func(r rune) bool { return r == ' ' || r == '\t' })
	return strings.Join(words, " "), true
}
