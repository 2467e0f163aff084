package client

import (
	"fmt"
	"strings"

	"checkauth/verify/dns"
)

// unescape undoes \DDD and \X (RFC 1035, 5.1), in which miekg/dns gives strings.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for len(s) > 0 {
		var c byte
		c, _, s = octet(s)
		out = append(out, c)
	}
	return string(out)
}

// octet takes one octet from an escaped text and tells whether it was escaped.
func octet(s string) (c byte, escaped bool, rest string) {
	if s[0] != '\\' || len(s) == 1 {
		return s[0], false, s[1:]
	}
	if len(s) >= 4 && digit(s[1]) && digit(s[2]) && digit(s[3]) {
		// At most 255: miekg/dns wrote it from an octet.
		return (s[1]-'0')*100 + (s[2]-'0')*10 + s[3] - '0', true, s[4:]
	}
	return s[1], true, s[2:]
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// fromWire makes the canonical form of dns.Canonical of a name as miekg/dns gives it: octets as they
// are. A dot inside of a label stays \046: unescaped, it would make two labels of one, and somebody
// else's name of it.
func fromWire(name string) string {
	name = strings.TrimSuffix(name, ".")
	if strings.IndexByte(name, '\\') < 0 {
		return dns.Canonical(name)
	}
	out := make([]byte, 0, len(name))
	for len(name) > 0 {
		c, escaped, rest := octet(name)
		if c == '.' && escaped {
			out = append(out, `\046`...)
		} else {
			out = append(out, c)
		}
		name = rest
	}
	// Not Canonical, which would take a final dot for the root.
	return lower(out)
}

func lower(b []byte) string {
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// toWire escapes a canonical name for miekg/dns and makes it absolute.
func toWire(name string) string {
	var b strings.Builder
	b.Grow(len(name) + 1)
	for i := range len(name) {
		switch c := name[i]; {
		case c <= ' ' || c > '~':
			fmt.Fprintf(&b, `\%03d`, c)
		case strings.IndexByte(`"();@$\'`, c) >= 0:
			b.WriteByte('\\')
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('.')
	return b.String()
}

// within: by label, so that notexample.org is not within example.org. The root holds every name.
func within(name, zone string) bool {
	return zone == "" || name == zone || strings.HasSuffix(name, "."+zone)
}
