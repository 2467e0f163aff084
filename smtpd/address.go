package smtpd

import (
	"errors"
	"strings"
	"unicode/utf8"

	"checkauth/verify/mail"
	"checkauth/verify/naming"
	"checkauth/verify/result"
)

// address is a path of RFC 5321, 4.1.2 taken apart. go-smtp's own parser gives quoted local parts
// unquoted and takes a@b@c, so that nobody can tell afterwards what the client wrote.
type address struct {
	local  string // unquoted
	domain string // as written, without a last dot; empty in <postmaster>
}

// String writes the address with its local part quoted where it must be.
func (a address) String() string {
	switch {
	case a == address{}:
		return ""
	case a.domain == "":
		return quoted(a.local)
	}
	return quoted(a.local) + "@" + a.domain
}

// same tells whether two addresses are one mailbox of ours: local parts match without regard to case, and a domain is
// the same in A-labels and in U-labels (RFC 5890, 2.3.2.4).
func (a address) same(b address) bool {
	return strings.EqualFold(a.local, b.local) && asciiDomain(a.domain) == asciiDomain(b.domain)
}

func asciiDomain(s string) string {
	if a, ok := naming.Host(s); ok {
		return a
	}
	return strings.ToLower(s)
}

// literal tells whether the domain is an address in brackets.
func (a address) literal() bool { return strings.HasPrefix(a.domain, "[") }

// ascii tells whether RFC 5321 alone knows such an address.
func (a address) ascii() bool {
	return !strings.ContainsFunc(a.local+a.domain, func(r rune) bool { return r >= utf8.RuneSelf })
}

var (
	errPath    = errors.New("the path is malformed")
	errLocal   = errors.New("the local part is malformed")
	errDomain  = errors.New("the domain is malformed")
	errTooLong = errors.New("the path is too long")
)

// maxPath in octets. RFC 5321, 4.5.3.1.3 asks for 256; addresses of bounces are longer at times.
const maxPath = 1000

// parsePath reads a path at the start of s and gives what follows it. The path may stand without its
// angle brackets, and white space before it is skipped, for people type it so. Where the address itself
// is wrong rest is what follows all the same.
func parsePath(s string) (a address, rest string, err error) {
	s = strings.TrimLeft(s, " ")
	inner, rest, err := cutPath(s)
	if err != nil || inner == "" {
		return address{}, rest, err
	}
	if len(inner) > maxPath {
		return address{}, rest, errTooLong
	}
	inner, err = withoutRoute(inner)
	if err != nil {
		return address{}, rest, err
	}
	a.local, inner, err = cutLocal(inner)
	if err != nil {
		return address{}, rest, err
	}
	if inner == "" {
		return a, rest, nil
	}
	a.domain = strings.TrimSuffix(inner[1:], ".")
	if inner[0] != '@' || !isDomain(a.domain) {
		return address{}, rest, errDomain
	}
	return a, rest, nil
}

// cutPath finds the end of the path: angle brackets within a quoted string do not count.
func cutPath(s string) (inner, rest string, err error) {
	bracket := strings.HasPrefix(s, "<")
	if bracket {
		s = s[1:]
	}
	inQuotes := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && inQuotes:
			i++
		case c == '"':
			inQuotes = !inQuotes
		case c == '>' && bracket && !inQuotes:
			if rest = s[i+1:]; rest != "" && rest[0] != ' ' {
				return "", rest, errPath
			}
			return s[:i], rest, nil
		case c == ' ' && !bracket && !inQuotes:
			return s[:i], s[i:], nil
		}
	}
	if bracket || inQuotes || s == "" {
		return "", "", errPath
	}
	return s, "", nil
}

// withoutRoute: RFC 5321, appendix C: a source route is taken and ignored.
func withoutRoute(s string) (string, error) {
	if !strings.HasPrefix(s, "@") {
		return s, nil
	}
	route, path, ok := strings.Cut(s, ":")
	if !ok {
		return "", errPath
	}
	for hop := range strings.SplitSeq(route, ",") {
		if !strings.HasPrefix(hop, "@") || !isDomain(hop[1:]) {
			return "", errPath
		}
	}
	return path, nil
}

// cutLocal reads the local part and takes its quotes off.
func cutLocal(s string) (local, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		i := strings.IndexByte(s, '@')
		if i < 0 {
			i = len(s)
		}
		if i == 0 || !isAtoms(s[:i]) {
			return "", "", errLocal
		}
		return s[:i], s[i:], nil
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			if local = b.String(); local == "" || local != result.Clean(local) {
				return "", "", errLocal
			}
			return local, s[i+1:], nil
		case c == '\\':
			if i++; i == len(s) {
				return "", "", errLocal
			}
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", errLocal
}

// isAtoms: atext and dots, in any order: some providers gave out addresses such as a..b@ and .a@, and
// they are quoted when we write them. RFC 6531, 3.3 adds UTF-8.
func isAtoms(s string) bool {
	for _, r := range s {
		if r == '.' || r >= utf8.RuneSelf || mail.Atext(byte(r), false) {
			continue
		}
		return false
	}
	return s == result.Clean(s)
}

// isDomain: labels of letters, digits, hyphens and underscores, UTF-8 too, or an address literal.
func isDomain(s string) bool {
	if s == "" || len(s) > 255 || s != result.Clean(s) {
		return false
	}
	if s[0] == '[' {
		return len(s) > 2 && s[len(s)-1] == ']' && !strings.ContainsAny(s[1:len(s)-1], `[]<>@"\ `)
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || !utf8Name(label) {
			return false
		}
		if len(label) > 63 && !strings.ContainsFunc(label, func(r rune) bool { return r >= utf8.RuneSelf }) {
			return false
		}
	}
	return true
}

func utf8Name(label string) bool {
	return !strings.ContainsFunc(label, func(r rune) bool {
		return r < utf8.RuneSelf && !isName(string(r)) && r != '_'
	})
}

// quoted writes a local part. RFC 5321, 4.1.2: a Quoted-string where it is no Dot-string.
func quoted(local string) string {
	dotted := local != "" && isAtoms(local) && local[0] != '.' && local[len(local)-1] != '.' && !strings.Contains(local, "..")
	if dotted {
		return local
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(local) + `"`
}
