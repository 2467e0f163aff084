package mail

import (
	"strings"

	"checkauth/verify/naming"
)

// ClaimsAuthserv tells whether a field is an Authentication-Results in the name of host. RFC 8601, 5:
// such a field that comes from outside is a forgery, or at best a leftover, and must not be believed.
// Comments, quotes and stray octets around the name do not hide it: a program less strict than RFC 8601,
// 2.2 may look past them.
func ClaimsAuthserv(f Field, host string) bool {
	if !f.Is("Authentication-Results") {
		return false
	}
	p := parser{s: strings.ToLower(f.Value())}
	if p.skip() != "" {
		return true // a comment without an end hides whatever follows: taken for the worst
	}
	v := p.s[p.i:]
	if strings.HasPrefix(v, `"`) {
		if w, fault := p.quotedString(); fault == "" {
			v = w.text
		}
	}
	v = strings.TrimLeftFunc(v, notHost)
	if i := strings.IndexFunc(v, notHost); i >= 0 {
		v = v[:i]
	}
	return hostForm(v) == hostForm(host)
}

// hostForm: RFC 5890, 2.3.2.4: U-labels name the same host as their A-labels.
func hostForm(s string) string {
	s = strings.ToLower(strings.TrimSuffix(s, "."))
	if a, ok := naming.Host(s); ok {
		return a
	}
	return s
}

// notHost: what no host name has; the value is in lower case.
func notHost(r rune) bool {
	return r < 0x80 && !(r == '.' || r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z')
}
