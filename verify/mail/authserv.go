package mail

import "strings"

// ClaimsAuthserv tells whether a field is an Authentication-Results in the name of host. RFC 8601, 5:
// such a field that comes from outside is a forgery, or at best a leftover, and must not be believed.
// Comments and quotes around the name do not hide it.
func ClaimsAuthserv(f Field, host string) bool {
	if !f.Is("Authentication-Results") {
		return false
	}
	v := strings.ToLower(f.Value())
	for strings.HasPrefix(v, "(") {
		_, rest, closed := strings.Cut(v, ")")
		if !closed {
			return true // a comment without an end hides whatever follows: taken for the worst
		}
		v = strings.TrimLeft(rest, " \t")
	}
	v = strings.TrimPrefix(v, `"`)
	if i := strings.IndexAny(v, "; \t(\""); i >= 0 {
		v = v[:i]
	}
	return strings.TrimSuffix(v, ".") == strings.ToLower(strings.TrimSuffix(host, "."))
}
