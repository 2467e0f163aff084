package helo

import (
	"net/netip"
	"slices"
	"strings"

	"checkauth/verify/dns"
	"checkauth/verify/result"
)

// The kinds of Result.Kind.
const (
	kindName    = "name"
	kindLiteral = "literal"
	kindInvalid = "invalid"
)

// argument is what the client said, taken apart.
type argument struct {
	kind string
	name string        // canonical, of a name
	addr netip.Addr    // of a literal
	why  result.Reason // what is wrong with an invalid one
	// quoted: the private address that stands where it should not, in question marks.
	quoted netip.Addr
}

// parse reads the argument of HELO or EHLO, any bytes: RFC 5321, 4.1.1.1: a domain or an address
// literal.
func parse(s string) argument {
	if strings.HasPrefix(s, "[") {
		return parseLiteral(s)
	}
	if why := faultOf(s); !why.IsZero() {
		return argument{kind: kindInvalid, why: why, quoted: quotedPrivate(s)}
	}
	return argument{kind: kindName, name: dns.Canonical(s)}
}

// faultOf tells what keeps s from being a domain of RFC 5321, 4.1.2; the zero Reason where nothing does.
func faultOf(s string) result.Reason {
	switch {
	case s == "":
		return result.Because("helo-empty")
	case strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return result.Because("helo-control-character")
	case strings.ContainsFunc(s, func(r rune) bool { return r > 0x7f }):
		// RFC 5321, 2.3.5: letters of ASCII alone; RFC 6531, 3.7.1 wants A-labels here even with SMTPUTF8.
		return result.Because("helo-not-ascii")
	case isAddress(s):
		return result.Because("helo-bare-address")
	case isAddress(inMarks(s)):
		return result.Because("helo-marked-address")
	case len(s) > 253 || longLabel(s):
		return result.Because("helo-too-long")
	case strings.Contains(s, "_") && isDomain(strings.ReplaceAll(s, "_", "x")):
		return result.Because("helo-underscore")
	case !isDomain(s):
		return result.Because("helo-syntax")
	}
	return result.Reason{}
}

func isAddress(s string) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && a.Zone() == ""
}

// inMarks takes the question marks off that qmail writes in place of brackets; "" where there are none.
func inMarks(s string) string {
	if len(s) < 2 || s[0] != '?' || s[len(s)-1] != '?' {
		return ""
	}
	return s[1 : len(s)-1]
}

func quotedPrivate(s string) netip.Addr {
	if a, err := netip.ParseAddr(inMarks(s)); err == nil && (a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast()) {
		return a
	}
	return netip.Addr{}
}

// longLabel: RFC 1035, 2.3.4.
func longLabel(s string) bool {
	return slices.ContainsFunc(strings.Split(s, "."), func(label string) bool { return len(label) > 63 })
}

// isDomain: RFC 5321, 4.1.2: labels of letters, digits and inner hyphens, without a final dot. RFC 1123,
// 2.1: the last one is not all digits, so that 192.0.2.300 is no name.
func isDomain(s string) bool {
	labels := strings.Split(s, ".")
	for _, label := range labels {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' || strings.Trim(label, ldh) != "" {
			return false
		}
	}
	return strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

const ldh = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"

// parseLiteral: RFC 5321, 4.1.3: [192.0.2.1] or [IPv6:2001:db8::1]; IPv6 is the one tag that was ever
// registered.
func parseLiteral(s string) argument {
	bad := argument{kind: kindInvalid, why: result.Because("helo-literal-syntax")}
	inner, closed := strings.CutSuffix(s[1:], "]")
	if !closed {
		return bad
	}
	if len(inner) > len(tag6) && strings.EqualFold(inner[:len(tag6)], tag6) {
		a, err := netip.ParseAddr(inner[len(tag6):])
		if err != nil || !a.Is6() || a.Zone() != "" {
			return bad
		}
		return argument{kind: kindLiteral, addr: a.Unmap()}
	}
	a, err := netip.ParseAddr(withoutZeros(inner))
	if err != nil || !a.Is4() {
		return bad
	}
	return argument{kind: kindLiteral, addr: a}
}

const tag6 = "IPv6:"

// withoutZeros: RFC 5321, 4.1.3: a number is one to three digits, so 010 is ten; netip refuses that.
func withoutZeros(s string) string {
	parts := strings.Split(s, ".")
	for i, p := range parts {
		if len(p) > 3 {
			return ""
		}
		if short := strings.TrimLeft(p, "0"); p != "" {
			parts[i] = short
			if short == "" {
				parts[i] = "0"
			}
		}
	}
	return strings.Join(parts, ".")
}
