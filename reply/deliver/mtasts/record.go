package mtasts

import (
	"errors"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"checkauth/verify/dns"
)

// maxFields of a record are read; one with more is no record.
const maxFields = 50

// recordID reads the texts at _mta-sts and gives the id of the one record among them, or "".
//
// RFC 8461, 3.1: texts that do not begin with the version do not count; of several that do none is taken,
// nor is one that does not keep to its grammar.
func recordID(texts []string) string {
	id, n := "", 0
	for _, text := range texts {
		if rest, ok := version(text); ok {
			id = fieldsID(rest)
			n++
		}
	}
	if n != 1 {
		return ""
	}
	return id
}

// version gives what stands behind the version and its semicolon. RFC 8461, 3.1: the grammar has blanks
// before the semicolon, its prose has none (RFC 8461, erratum 6285); we take both.
func version(text string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(text, "v=STSv1")
	if !ok {
		return "", false
	}
	return strings.CutPrefix(strings.TrimLeft(rest, blanks), ";")
}

const blanks = " \t"

// fieldsID reads the fields behind the version; "" where one is malformed or no id is there. RFC 8461,
// 3.2: of fields with one name the first counts, in records too.
func fieldsID(rest string) string {
	parts := strings.Split(rest, ";")
	if n := len(parts); n > 1 && strings.Trim(parts[n-1], blanks) == "" {
		parts = parts[:n-1] // one semicolon may end the record
	}
	if len(parts) > maxFields {
		return ""
	}
	id := ""
	for _, part := range parts {
		name, value, ok := strings.Cut(strings.Trim(part, blanks), "=")
		if !ok || !isName(name) || !isExtension(value) {
			return ""
		}
		if name == "id" && id == "" {
			if id = value; !isID(id) {
				return ""
			}
		}
	}
	return id
}

// isName: RFC 8461, 3.1 and 3.2: a letter or digit, and at most 31 of letters, digits, "_", "-" and ".".
func isName(s string) bool {
	for i := range len(s) {
		if !alphanumeric(s[i]) && (i == 0 || strings.IndexByte("_-.", s[i]) < 0) {
			return false
		}
	}
	return s != "" && len(s) <= 32
}

// isExtension: RFC 8461, 3.1: visible ASCII without "=" and ";".
func isExtension(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '=' || c == ';' {
			return false
		}
	}
	return s != ""
}

// isID: RFC 8461, 3.1: 1 to 32 letters and digits.
func isID(s string) bool {
	for i := range len(s) {
		if !alphanumeric(s[i]) {
			return false
		}
	}
	return s != "" && len(s) <= 32
}

func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// labels turns U-labels into A-labels (RFC 5891, 5).
var labels = idna.New(idna.MapForLookup(), idna.BidiRule())

var errNoUTF8 = errors.New("a name that is no UTF-8")

// aLabels is a name in the one spelling that names are compared in: lower case, A-labels, no final dot.
func aLabels(name string) (string, error) {
	name = dns.Canonical(name)
	for i := range len(name) {
		switch {
		case name[i] <= '~':
		case !utf8.ValidString(name):
			return "", errNoUTF8 // the library would make other octets of it
		default:
			return labels.ToASCII(name)
		}
	}
	return name, nil
}

// isDomain: RFC 5321, 4.1.2: labels of letters, digits and hyphens, with no hyphen at either end.
func isDomain(s string) bool {
	if !dns.Askable(s) || strings.HasSuffix(s, ".") {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		for i := range len(label) {
			if !alphanumeric(label[i]) && (label[i] != '-' || i == 0 || i == len(label)-1) {
				return false
			}
		}
	}
	return true
}

// policyHost is where a domain's policy is served: RFC 8461, 3.2.
func policyHost(domain string) string { return "mta-sts." + domain }
