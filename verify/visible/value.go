package visible

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"checkauth/verify/dns"
	"checkauth/verify/naming"
)

// Types are those whose values people publish and compare.
var Types = []dns.Type{dns.TXT, dns.CNAME, dns.A, dns.AAAA, dns.MX, dns.PTR, dns.NS}

// Question reads a name, or an IP address with the type PTR, and a type as people type them.
func Question(name, kind string) (q dns.Question, err error) {
	for _, t := range Types {
		if strings.EqualFold(kind, t.String()) {
			q.Type = t
		}
	}
	if q.Type == 0 {
		return q, fmt.Errorf("type %q: give one of TXT, CNAME, A, AAAA, MX, PTR, NS", kind)
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		if q.Type != dns.PTR {
			return q, fmt.Errorf("%q is an IP address, which has a PTR record alone: give a name, or the type PTR", name)
		}
		q.Name = dns.ReverseName(ip)
		return q, nil
	}
	ascii, ok := asciiName(name)
	if !ok {
		return q, fmt.Errorf("%q is no name: give one such as _dmarc.example.org", name)
	}
	q.Name = ascii
	return q, nil
}

// asciiName reads a name as people type it. A wildcard's asterisk may stand in front.
func asciiName(s string) (string, bool) {
	rest, star := strings.CutPrefix(s, "*.")
	name, ok := naming.Host(strings.TrimSuffix(rest, "."))
	if star {
		name = "*." + name
	}
	return name, ok && dns.Askable(name)
}

// plain is a record's data as it is compared: the joined text of a TXT record, names in their
// canonical form.
func plain(r dns.Record) string {
	switch r.Type {
	case dns.TXT:
		return r.Text()
	case dns.A, dns.AAAA:
		return r.Addr.String()
	case dns.MX:
		return strconv.Itoa(int(r.Pref)) + " " + r.Target
	}
	return r.Target
}

// Wanted reads a value as people type it, or as it stands in a zone file, into the form of plain.
func Wanted(t dns.Type, s string) (string, error) {
	if s == "" {
		return "", nil
	}
	switch t {
	case dns.TXT:
		if !strings.HasPrefix(s, `"`) {
			return s, nil
		}
		text, ok := unquoted(s)
		if !ok || text == "" {
			return "", fmt.Errorf("%q: the quotes are not in pairs: give the text without any", s)
		}
		return text, nil
	case dns.A, dns.AAAA:
		ip, err := netip.ParseAddr(s)
		if err != nil || ip.Is4() != (t == dns.A) || ip.Zone() != "" {
			return "", fmt.Errorf("%q: give an address as in an %s record", s, t)
		}
		return ip.String(), nil
	case dns.MX:
		pref, name, _ := strings.Cut(strings.Join(strings.Fields(s), " "), " ")
		n, err := strconv.ParseUint(pref, 10, 16)
		target, ok := asciiName(name)
		if name == "." { // RFC 7505, 3
			target, ok = "", true
		}
		if err != nil || !ok {
			return "", fmt.Errorf("%q: give preference and name, such as \"10 mx.example.org\"", s)
		}
		return strconv.FormatUint(n, 10) + " " + target, nil
	}
	name, ok := asciiName(s)
	if !ok {
		return "", fmt.Errorf("%q: give a name such as mx.example.org", s)
	}
	return name, nil
}

// unquoted joins the strings of a TXT record as they stand in a zone file: RFC 1035, 5.1.
func unquoted(s string) (string, bool) {
	var out strings.Builder
	open := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			open = !open
		case !open && (c == ' ' || c == '\t'):
		case !open:
			return "", false
		case c != '\\':
			out.WriteByte(c)
		default:
			octet, n := escaped(s[i+1:])
			if n == 0 {
				return "", false
			}
			out.WriteByte(octet)
			i += n
		}
	}
	return out.String(), !open
}

// escaped reads what stands behind a backslash: three digits, or the octet itself. n is how much of s it
// takes, 0 where it cannot be.
func escaped(s string) (octet byte, n int) {
	switch {
	case s == "":
		return 0, 0
	case s[0] < '0' || s[0] > '9':
		return s[0], 1
	case len(s) < 3:
		return 0, 0
	}
	v, err := strconv.ParseUint(s[:3], 10, 8)
	if err != nil {
		return 0, 0
	}
	return byte(v), 3
}
