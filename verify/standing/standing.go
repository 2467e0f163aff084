// Package standing tells what proves the envelope sender of a message: the address that a reply would go
// to, and whose DNS an advice would change. From plays no part.
package standing

import (
	"net/netip"
	"strings"

	"golang.org/x/net/publicsuffix"

	"checkauth/verify"
	"checkauth/verify/dns"
	"checkauth/verify/iprev"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

// Class of an envelope sender.
type Class string

// The classes of the abuse model.
const (
	Proved  Class = "A" // by SPF, an aligned signature or a forward-confirmed name
	Open    Class = "B" // neither proved nor refuted
	Refuted Class = "C"
)

// Of gives the class of a report's envelope sender.
func Of(r *verify.Report) Class {
	if provedBySPF(r) || provedByDKIM(r) || provedByName(r) {
		return Proved
	}
	dmarc := r.Check(verify.MethodDMARC)
	if r.Check(verify.MethodSPF).Result == result.Fail {
		return Refuted
	}
	if d := dmarc.Details.DMARC; dmarc.Result == result.Fail && d != nil && (d.Policy == "reject" || d.Policy == "quarantine") {
		return Refuted
	}
	return Open
}

// provedBySPF: a pass of MAIL FROM, but not by a term that lets half of the Internet pass.
func provedBySPF(r *verify.Report) bool {
	c := r.Check(verify.MethodSPF)
	return c.Result == result.Pass && c.Details.SPF != nil && narrow(c.Details.SPF, strings.Contains(r.Session.ClientIP, ":"))
}

// narrow: a /16 or /32 of IPv6 is the widest that proves a sender.
func narrow(s *spf.Result, v6 bool) bool {
	widest := 16
	if v6 {
		widest = 32
	}
	return s.Network >= widest
}

func provedByDKIM(r *verify.Report) bool {
	domain := Domain(r)
	for _, c := range r.All(verify.MethodDKIM) {
		if c.Result == result.Pass && c.Details.DKIM != nil && SameOrganisation(c.Details.DKIM.Domain, domain) {
			return true
		}
	}
	return false
}

func provedByName(r *verify.Report) bool {
	c := r.Check(verify.MethodIPRev)
	if c.Result != result.Pass || c.Details.IPRev == nil {
		return false
	}
	domain := Domain(r)
	ip, _ := netip.ParseAddr(r.Session.ClientIP)
	for _, name := range c.Details.IPRev.Confirmed {
		// An access provider has a name below its own domain for the line of each customer.
		if SameOrganisation(name, domain) && !iprev.Generic(dns.Canonical(name), ip.Unmap()) {
			return true
		}
	}
	return false
}

// Organisation is the organisational domain by the public suffix list, so that no DNS is asked; empty where
// there is none.
func Organisation(domain string) string {
	org, err := publicsuffix.EffectiveTLDPlusOne(dns.Canonical(domain))
	if err != nil {
		return ""
	}
	return org
}

// SameOrganisation tells whether two names are in one organisation.
func SameOrganisation(a, b string) bool {
	org := Organisation(a)
	return org != "" && org == Organisation(b)
}

// Domain of MAIL FROM, canonical; empty with the null reverse-path.
func Domain(r *verify.Report) string {
	at := strings.LastIndexByte(r.Session.MailFrom, '@')
	if at < 0 {
		return ""
	}
	return dns.Canonical(r.Session.MailFrom[at+1:])
}
