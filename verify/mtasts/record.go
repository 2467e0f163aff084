package mtasts

import (
	"strings"

	"checkauth/verify/dns"
)

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

// version gives what stands behind the version, which a semicolon ends. RFC 8461, 3.1: the grammar has blanks
// before the semicolon, its prose has none (RFC 8461, erratum 6285); we take both.
func version(text string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(text, "v=STSv1")
	if !ok {
		return "", false
	}
	return rest, strings.HasPrefix(strings.TrimLeft(rest, blanks), ";")
}

const blanks = " \t"

// fieldsID reads the fields behind the version; "" where one is malformed or no id is there. RFC 8461,
// 3.2: of fields with one name the first counts, in records too.
func fieldsID(rest string) string {
	fields, ok := Fields(rest, false)
	if !ok {
		return ""
	}
	id := ""
	for _, f := range fields {
		if !IsFieldValue(f.Value) {
			return ""
		}
		if f.Name == "id" && id == "" {
			if id = f.Value; !IsID(id) {
				return ""
			}
		}
	}
	return id
}

func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
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
