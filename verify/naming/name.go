// Package naming has the rules for domain names, e-mail addresses and IP networks that every other package goes by:
// one spelling of a name for DNS, counters, lists and comparison. It asks no DNS.
package naming

import (
	"cmp"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// lookup is the one IDNA profile: RFC 5891, 5, with the mapping of what people type (RFC 5895). The library's
// rules for ASCII are off, because many names have an underscore; ASCII checks the labels itself.
var lookup = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false), idna.StrictDomainName(false))

// dots: RFC 3490, 3.1: the full stops of other scripts that separate labels as "." does. Other characters that a
// mapping would turn into a dot, such as U+2488, are no part of a name.
var dots = strings.NewReplacer("\u3002", ".", "\uff0e", ".", "\uff61", ".")

// ASCII gives a domain name in the one spelling of this program: A-labels (RFC 5890, 2.3.2.1), ASCII letters in
// lower case (RFC 4343, 3), no final dot. ok is false where the name has U-labels that IDNA does not allow; then
// there is no such name in the DNS. A name of ASCII alone may have any octets: whether it can be asked for is
// dns.Askable's question.
func ASCII(s string) (a string, ok bool) {
	if isASCII(s) {
		return strings.TrimSuffix(lower(s), "."), true
	}
	// Four octets of UTF-8 make at least one of an A-label. Without a bound the mapping of a megabyte takes its time.
	if len(s) > 4*254 || !utf8.ValidString(s) || strings.ContainsFunc(s, ignorable) {
		return "", false
	}
	s = strings.TrimSuffix(dots.Replace(s), ".")
	a, err := lookup.ToASCII(s)
	if err != nil || strings.Count(a, ".") != strings.Count(s, ".") {
		return "", false
	}
	a = lower(a)
	for label := range strings.SplitSeq(a, ".") {
		if !hostLabel(label) {
			return "", false
		}
	}
	return a, true
}

// Host is ASCII for a host name: RFC 5321, 2.3.5, and the underscore, which many have. ok is false for all that
// RFC 5322 lets stand in a dot-atom beyond that, such as quotes and parentheses: a program that prints them without
// care shows another domain than was checked.
func Host(s string) (host string, ok bool) {
	if strings.HasSuffix(s, ".") {
		return "", false
	}
	a, ok := ASCII(s)
	if !ok || len(a) > 253 {
		return "", false
	}
	for label := range strings.SplitSeq(a, ".") {
		if !hostLabel(label) {
			return "", false
		}
	}
	return a, true
}

// Key is the form of a domain for counters, lists and comparison: ASCII, an address literal in one form. What is
// neither stays as it is, in lower case, and counts for itself.
func Key(domain string) string {
	if a, ok := Literal(domain); ok {
		return "[" + Plain(a).String() + "]"
	}
	if a, ok := ASCII(domain); ok {
		return a
	}
	return strings.TrimSuffix(strings.ToLower(dots.Replace(domain)), ".")
}

// Literal reads an address literal, [192.0.2.1] or [IPv6:2001:db8::1] (RFC 5321, 4.1.3), without regard to the tag and
// to whether it is closed: it is for comparison.
func Literal(s string) (a netip.Addr, ok bool) {
	inner, ok := strings.CutPrefix(s, "[")
	if !ok {
		return a, false
	}
	inner = strings.TrimSuffix(inner, "]")
	if len(inner) > 5 && strings.EqualFold(inner[:5], "IPv6:") {
		inner = inner[5:]
	}
	a, err := netip.ParseAddr(inner)
	return a, err == nil
}

// Organisation is the organisational domain by the public suffix list, so that no DNS is asked; "" where the name
// is a public suffix itself, or no name.
func Organisation(domain string) string {
	a, ok := ASCII(domain)
	if !ok {
		return ""
	}
	org, err := publicsuffix.EffectiveTLDPlusOne(a)
	if err != nil {
		return ""
	}
	return org
}

// Registered is the organisational domain, or the name as it is where it has none: what an owner is counted by.
func Registered(domain string) string { return cmp.Or(Organisation(domain), domain) }

// SameOrganisation tells whether two names are in one organisation.
func SameOrganisation(a, b string) bool {
	org := Organisation(a)
	return org != "" && org == Organisation(b)
}

// Below tells whether a name is the domain or stands below it. Both are in the spelling of ASCII.
func Below(name, domain string) bool {
	return name == domain || len(name) > len(domain) && name[len(name)-len(domain)-1] == '.' && strings.HasSuffix(name, domain)
}

// lower: ASCII letters alone, because the octets of a name of the DNS may be any.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// ignorable characters show nothing. RFC 5892, 2.3: no label has them; the mapping takes them away without a word.
// The two joiners, of which Persian and others have need, are for the rules of IDNA on their context.
func ignorable(r rune) bool {
	const nonJoiner, joiner = '\u200c', '\u200d'
	return r != nonJoiner && r != joiner && unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

func hostLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
