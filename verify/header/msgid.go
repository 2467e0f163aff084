package header

import "strings"

// isMessageID: RFC 5322, 3.6.4: <left@right>, comments and white space around it alone. utf8: RFC 6532,
// 3.2 and 3.3: other letters may stand in it as well.
func isMessageID(value string, utf8 bool) bool {
	id, ok := uncomment(value)
	if !ok || len(id) < 2 || id[0] != '<' || id[len(id)-1] != '>' {
		return false
	}
	left, right, ok := strings.Cut(id[1:len(id)-1], "@")
	return ok && isDotAtom(left, utf8) && (isDotAtom(right, utf8) || isLiteral(right, utf8))
}

// isDotAtom: RFC 5322, 3.2.3: words of atext with single dots between.
func isDotAtom(s string, utf8 bool) bool {
	for word := range strings.SplitSeq(s, ".") {
		if word == "" {
			return false
		}
		for i := range len(word) {
			if !isAtext(word[i], utf8) {
				return false
			}
		}
	}
	return true
}

func isAtext(c byte, utf8 bool) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0 || utf8 && c >= 0x80
}

// isLiteral: RFC 5322, 3.6.4: brackets around visible characters that are no bracket or backslash.
func isLiteral(s string, utf8 bool) bool {
	if len(s) < 2 || s[0] != '[' || s[len(s)-1] != ']' {
		return false
	}
	for _, c := range []byte(s[1 : len(s)-1]) {
		if c == '[' || c == ']' || c == '\\' || c <= ' ' || c == 0x7f || c >= 0x80 && !utf8 {
			return false
		}
	}
	return true
}

// uncomment takes comments out (RFC 5322, 3.2.2) and leaves one space between words. ok is false where a
// comment does not end, or ends before it begins.
func uncomment(s string) (text string, ok bool) {
	var b strings.Builder
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && depth > 0:
			i++ // RFC 5322, 3.2.1: what follows is itself, be it a parenthesis
		case c == '(':
			depth++
			b.WriteByte(' ')
		case c == ')':
			depth--
			if depth < 0 {
				return "", false
			}
		case depth == 0:
			b.WriteByte(c)
		}
	}
	words := strings.FieldsFunc(b.String(), func(r rune) bool { return r == ' ' || r == '\t' })
	return strings.Join(words, " "), depth == 0
}
