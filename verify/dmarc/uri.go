package dmarc

import "strings"

// reportURI reads one address of rua or ruf. RFC 3986, 3: a scheme, a colon and something behind it, of
// the characters that a URI may have. The size limit of RFC 7489, 6.2 (!10m) is cut off: RFC 9989, 4.7
// has no use for it any more.
func reportURI(s string) (string, bool) {
	if i := strings.LastIndexByte(s, '!'); i >= 0 {
		if !sizeLimit(s[i+1:]) {
			return "", false
		}
		s = s[:i]
	}
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || rest == "" || !isScheme(scheme) || strings.ContainsFunc(rest, notURI) {
		return "", false
	}
	if strings.EqualFold(scheme, "mailto") {
		address, _, _ := strings.Cut(rest, "?")
		at := strings.LastIndexByte(address, '@')
		if at <= 0 || at == len(address)-1 {
			return "", false
		}
	}
	return s, true
}

func sizeLimit(s string) bool {
	digits := strings.TrimRight(strings.ToLower(s), "kmgt")
	if len(s)-len(digits) > 1 || digits == "" || len(digits) > 18 {
		return false
	}
	return strings.Trim(digits, "0123456789") == ""
}

func isScheme(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		letter := 'a' <= c && c <= 'z'
		if !letter && (i == 0 || strings.IndexByte("0123456789+-.", s[i]) < 0) {
			return false
		}
	}
	return s != ""
}

func notURI(r rune) bool {
	return r <= ' ' || r > '~' || strings.ContainsRune("\"<>\\^`{|}", r)
}
