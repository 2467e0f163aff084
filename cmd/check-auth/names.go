package main

import (
	netmail "net/mail"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	"checkauth/reply/policy"
	"checkauth/smtpd"
	"checkauth/verify/naming"
)

// tidy takes off what does no harm to take off; what it did is a warning at start. A name may be written with U-labels:
// SMTP and the DNS know it with A-labels (RFC 5890, 2.3.2.1).
func (s *settings) tidy() {
	for _, n := range []struct {
		key   string
		value *string
	}{{"hostname", &s.Hostname}, {"deliver.helo", &s.Deliver.Helo}} {
		if short, dotted := strings.CutSuffix(*n.value, "."); dotted && hostName(short) {
			s.warnings = append(s.warnings, s.fault(n.key, "%q: a name in SMTP has no last dot, it was taken off", *n.value))
			*n.value = short
		}
		if strings.ContainsFunc(*n.value, func(r rune) bool { return r >= utf8.RuneSelf }) {
			if name, ok := naming.Host(strings.TrimSuffix(*n.value, ".")); ok && hostName(name) {
				*n.value = name
			}
		}
	}
}

// hostName: RFC 5321, 4.1.2 and RFC 1123, 2.1: labels of letters, digits and hyphens.
func hostName(s string) bool {
	name, ok := naming.Host(s)
	return ok && strings.EqualFold(name, s) && !strings.Contains(s, "_")
}

// isAddress tells whether a name is an IP address, or would be read as one: RFC 1123, 2.1: the last label of a
// name is not all digits.
func isAddress(s string) bool {
	_, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return err == nil || strings.Trim(s[strings.LastIndexByte(s, '.')+1:], "0123456789") == ""
}

// checkNames tells every name of ours that is none.
func (s *settings) checkNames(bad func(key, format string, args ...any)) {
	if !hostName(s.Hostname) {
		bad("hostname", "%q: want this machine's name, of letters, digits, hyphens and dots, such as \"verifier.example.org\"", s.Hostname)
	}
	for _, d := range s.Domains {
		if name, ok := naming.Host(strings.TrimSuffix(d, ".")); !ok || isAddress(name) {
			bad("domains", "%q: want a domain, such as \"example.org\"", d)
		}
	}
	if h := s.Deliver.Helo; h != "" && !hostName(h) {
		bad("deliver.helo", "%q: want a host name, such as \"verifier.example.org\"", h)
	}
	if !hostName(s.Reply.Selector) {
		bad("reply.selector", "%q: want letters, digits and hyphens, such as \"check-auth\" (RFC 6376, 3.1)", s.Reply.Selector)
	}
	if _, err := s.publicAddresses(); err != nil {
		bad("public-addresses", "%w", err)
	}
	s.checkService(bad)
	s.checkOperator(bad)
}

// checkPublic: who takes mail from others needs a name that others can use, and a mailbox (RFC 5321, 4.5.1 and
// RFC 2142): replies that say HELO localhost, or come from such an address, are refused.
func (s *settings) checkPublic(all []endpoint, bad func(key, format string, args ...any)) {
	i := slices.IndexFunc(all, endpoint.public)
	if i < 0 {
		return
	}
	a := all[i]
	if s.Operator == "" {
		bad("operator", "%s %q is a public address: set operator to your own address, mail for postmaster and abuse goes there", a.key, a.text)
	}
	const wayOut = "set hostname to the name that the DNS has for this machine (its PTR record), such as \"verifier.example.org\""
	name := strings.ToLower(s.Hostname)
	switch {
	case !hostName(name): // said already
	case name == "localhost" || name == "localhost.localdomain" || strings.HasSuffix(name, ".localhost"):
		bad("hostname", "%q is what every machine calls itself, and %s %q is a public address: %s", s.Hostname, a.key, a.text, wayOut)
	case isAddress(name):
		bad("hostname", "%q is an address, and %s %q is a public one: %s", s.Hostname, a.key, a.text, wayOut)
	case !strings.Contains(name, "."):
		bad("hostname", "%q has one label, which nobody else can look up, and %s %q is a public address: %s", s.Hostname, a.key, a.text, wayOut)
	}
}

// checkService: each of our addresses must be taken for what it is.
func (s *settings) checkService(bad func(key, format string, args ...any)) {
	usable := true
	for _, p := range []struct{ key, value, want string }{
		{"reply.service", s.Reply.Service, "check-auth"}, {"reply.from", s.Reply.From, "auth-results"},
	} {
		if !localPart(p.value) {
			usable = false
			bad(p.key, "%q: want what stands before the @ of an address, of letters, digits, hyphens, dots and underscores, such as %q", p.value, p.want)
		}
	}
	a := s.addresses()
	if !usable || len(a.Domains) == 0 {
		return
	}
	// Only as a local part: the two other forms of address, where they are taken, begin with service too.
	a.Author, a.Named = true, true
	for _, local := range []string{"postmaster", "abuse"} {
		if role, _ := a.Role(local, a.Domains[0]); role == policy.Service {
			bad("reply.service", "%q: mail for %s is for the operator (RFC 5321, 4.5.1; RFC 2142, 4): choose another name, such as \"check-auth\"", s.Reply.Service, local)
		}
	}
	if role, _ := a.Role(s.Reply.From, a.Domains[0]); role == policy.Service {
		bad("reply.from", "%q@ is one of the addresses that tests are sent to, with reply.service = %q: an answer to a reply would be a test: choose another name, such as \"auth-results\"",
			s.Reply.From, s.Reply.Service)
	}
}

// localPart is a Dot-string (RFC 5321, 4.1.2) of characters that no form of an address of ours gives a meaning to,
// and short enough for a token behind it.
func localPart(s string) bool {
	if s == "" || len(s) > 32 || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	return strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789-._") == ""
}

// checkOperator: what cannot be delivered to is found out here, not when the first mail for postmaster is lost.
func (s *settings) checkOperator(bad func(key, format string, args ...any)) {
	if s.Operator == "" {
		return
	}
	_, domain, err := smtpd.Mailbox(s.Operator)
	if literal, ok := strings.CutPrefix(domain, "["); ok && err == nil {
		s.checkOperatorLiteral(strings.TrimSuffix(literal, "]"), bad)
		return
	}
	name, ok := naming.Host(domain)
	switch {
	case err != nil || !ok || isAddress(name):
		bad("operator", "%q: want %s", s.Operator, wantOperator(s.Operator))
	case slices.ContainsFunc(append([]string{s.Hostname}, s.Domains...), func(d string) bool { return sameDomain(d, name) }):
		bad("operator", "%q is an address of this service: what is passed on to it would come back here: want a mailbox on another server, such as \"you@example.org\"", s.Operator)
	}
}

func sameDomain(a, b string) bool {
	a, ok := naming.Host(strings.TrimSuffix(a, "."))
	return ok && a == b
}

// checkOperatorLiteral: RFC 5321, 4.1.3.
func (s *settings) checkOperatorLiteral(text string, bad func(key, format string, args ...any)) {
	if len(text) > 5 && strings.EqualFold(text[:5], "IPv6:") {
		text = text[5:]
	}
	at, err := netip.ParseAddr(text)
	if err != nil || at.Zone() != "" {
		bad("operator", "%q: want %s", s.Operator, wantOperator(s.Operator))
		return
	}
	if at = naming.Plain(at); at.IsLoopback() || at.IsUnspecified() || s.ours().has(at) {
		bad("operator", "%q is an address of this machine: what is passed on to it would come back here: want a mailbox on another server, such as \"you@example.org\"", s.Operator)
	}
}

// wantOperator is the address that was probably meant.
func wantOperator(text string) string {
	found, err := netmail.ParseAddressList(text)
	switch {
	case err == nil && len(found) > 1:
		return "one address, such as \"" + found[0].Address + "\""
	case err == nil && len(found) == 1 && found[0].Address != text:
		return "the address alone: \"" + found[0].Address + "\""
	}
	return "your address, such as \"you@example.org\""
}
