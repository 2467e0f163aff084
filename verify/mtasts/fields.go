package mtasts

import "strings"

// Field is name=value between two semicolons.
type Field struct{ Name, Value string }

// maxFields of a record are read; one with more is no policy.
const maxFields = 50

// Fields takes apart what stands behind a version: RFC 8461, 3.1: semicolons with blanks around them; one
// may end the record. RFC 8460, 3 has the same; BIMI has blanks around "=" as well.
func Fields(rest string, blanks bool) (out []Field, ok bool) {
	rest = strings.TrimLeft(rest, " \t")
	if !strings.HasPrefix(rest, ";") {
		return nil, false
	}
	parts := strings.Split(rest[1:], ";")
	if len(parts) > maxFields {
		return nil, false
	}
	for i, part := range parts {
		part = strings.Trim(part, " \t")
		if part == "" && i == len(parts)-1 && i > 0 {
			break
		}
		name, value, ok := strings.Cut(part, "=")
		if blanks {
			name, value = strings.TrimRight(name, " \t"), strings.TrimLeft(value, " \t")
		}
		if !ok || !IsFieldName(name) {
			return nil, false
		}
		out = append(out, Field{name, value})
	}
	return out, true
}

// IsFieldName: RFC 8461, 3.1: a letter or digit and at most 31 of letters, digits, "_", "-" and ".".
func IsFieldName(s string) bool {
	for i := range len(s) {
		if !alphanumeric(s[i]) && (i == 0 || strings.IndexByte("_-.", s[i]) < 0) {
			return false
		}
	}
	return s != "" && len(s) <= 32
}

// IsFieldValue: RFC 8461, 3.1: visible ASCII without "=" and ";".
func IsFieldValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '=' || c == ';' {
			return false
		}
	}
	return s != ""
}

// IsID: RFC 8461, 3.1: 1 to 32 letters and digits.
func IsID(s string) bool {
	for i := range len(s) {
		if !alphanumeric(s[i]) {
			return false
		}
	}
	return s != "" && len(s) <= 32
}
