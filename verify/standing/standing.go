// Package standing tells what proves the envelope sender of a message: the address that a reply would go
// to, and whose DNS an advice would change. From plays no part.
package standing

import (
	"net/netip"
	"slices"
	"strings"

	"checkauth/verify"
	"checkauth/verify/dkim"
	"checkauth/verify/dns"
	"checkauth/verify/iprev"
	"checkauth/verify/mail"
	"checkauth/verify/naming"
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

// provedByDKIM: a signature of the domain proves one mailbox of it, the author's: other users of the domain could
// replay a mail of their own in its name. And it proves that mailbox only where it was written to us, else anybody
// who has a mail of it could.
func provedByDKIM(r *verify.Report) bool {
	from := mail.ParseFrom(r.Message.Fields)
	if from.Problem != "" || len(from.Addresses) != 1 || naming.Fold(from.Addresses[0].Local+"@"+from.Domain) != naming.Fold(r.Session.MailFrom) {
		return false
	}
	return slices.ContainsFunc(signatures(r), func(d *dkim.Signature) bool { return Addressed(r, d) })
}

// Signed tells whether a signature of the envelope sender's organisation passes, whichever mailbox it is of: by the
// rules of DMARC mail of that domain would pass.
func Signed(r *verify.Report) bool { return len(signatures(r)) > 0 }

// signatures are those of the envelope sender's organisation that pass.
func signatures(r *verify.Report) (out []*dkim.Signature) {
	domain := Domain(r)
	for _, c := range r.All(verify.MethodDKIM) {
		if d := c.Details.DKIM; c.Result == result.Pass && d != nil && naming.SameOrganisation(d.Domain, domain) {
			out = append(out, d)
		}
	}
	return out
}

// Addressed tells whether a signature covers a To or Cc that names the address that the message was sent to.
func Addressed(r *verify.Report, d *dkim.Signature) bool {
	for _, name := range []string{"To", "Cc"} {
		for _, f := range covered(r.Message.Fields.All(name), name, d.Signed) {
			for _, box := range mail.Mailboxes(f) {
				if slices.ContainsFunc(r.Session.RcptTo, func(to string) bool {
					local, domain := naming.Split(to)
					return strings.EqualFold(local, box.Local) && naming.Key(domain) == naming.Key(box.Domain)
				}) {
					return true
				}
			}
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
		// A provider has a name below its own domain for the line or the machine of each customer.
		if naming.SameOrganisation(name, domain) && !iprev.Generic(dns.Canonical(name), ip.Unmap()) && !numbered(name) {
			return true
		}
	}
	return false
}

// numbered: vps-4711, vmi123456 and their like are customers' machines by the hundred; mx1 and web07 are one's own.
func numbered(name string) bool {
	run := 0
	for _, c := range strings.TrimSuffix(dns.Canonical(name), naming.Organisation(name)) {
		if run++; c < '0' || c > '9' {
			run = 0
		}
		if run == 3 {
			return true
		}
	}
	return false
}

// covered are the fields of a name that a signature is over: RFC 6376, 5.4.2: the lowest, as many as h= names.
// Above them anybody may put one more.
func covered(fields mail.Fields, name string, signed []string) mail.Fields {
	n := 0
	for _, s := range signed {
		if strings.EqualFold(strings.TrimSpace(s), name) {
			n++
		}
	}
	return fields[max(len(fields)-n, 0):]
}

// Domain of MAIL FROM, in the spelling of naming.Key; empty with the null reverse-path.
func Domain(r *verify.Report) string { return naming.Domain(r.Session.MailFrom) }
