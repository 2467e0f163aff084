// Package standing tells what proves the envelope sender of a message: the address that a reply would go
// to, and whose DNS an advice would change. From plays no part.
package standing

import (
	"slices"
	"strings"

	"checkauth/verify"
	"checkauth/verify/dkim"
	"checkauth/verify/dmarc"
	"checkauth/verify/known"
	"checkauth/verify/mail"
	"checkauth/verify/naming"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

// Class of an envelope sender.
type Class = verify.Class

// The classes of the abuse model.
const (
	Proved  Class = "A" // by SPF, an aligned signature or a forward-confirmed name
	Open    Class = "B" // neither proved nor refuted
	Refuted Class = "C"
)

// Rules are what is known of names.
type Rules struct {
	// Servers are domains of mail services that many share: a machine below one of them proves nothing of who uses it.
	Servers []string
	// Atlas knows the hosters below whose domains customers' machines have names; nil: none.
	Atlas *known.Atlas
}

// Decide sets the class of a report, from its checks and from what the sender's domain says (Report.Sender). It is called
// once, after the checks and before advice; all others read what it set.
func (rules Rules) Decide(r *verify.Report) {
	r.Sender.Host = rules.ownHost(r)
	switch {
	case provedBySPF(r), provedByDKIM(r), provedByName(r):
		r.Class = Proved
	case RefutedBy(r) != "":
		r.Class = Refuted
	default:
		r.Class = Open
	}
}

// Record is whose record refutes a sender that nothing proves.
type Record string

// The records, in the order in which they are looked at.
const (
	SPFRecord    Record = "spf"    // of the sender's domain
	AuthorPolicy Record = "dmarc"  // of the author's domain
	OwnPolicy    Record = "sender" // the DMARC record of the sender's domain, whoever the author is
)

// RefutedBy names the record that says that a mail was not the domain's, "" where none does.
func RefutedBy(r *verify.Report) Record {
	author := r.Check(verify.MethodDMARC)
	switch d := result.Detail[dmarc.Result](author); {
	case r.Check(verify.MethodSPF).Result == result.Fail:
		return SPFRecord
	case author.Result == result.Fail && d != nil && AsksFor(d.Policy):
		return AuthorPolicy
	case disowned(r):
		return OwnPolicy
	}
	return ""
}

// disowned: the DMARC record of the envelope sender's own domain asks for reject or quarantine, and no signature that
// aligns with it passes: mail of that domain would fail, whoever the author is.
func disowned(r *verify.Report) bool {
	return AsksFor(dmarc.Policy(r.Sender.Policy)) && len(signatures(r)) == 0 && !unsaid(r)
}

// unsaid: a fault of ours kept SPF or a signature from passing, perhaps. That refutes nobody.
func unsaid(r *verify.Report) bool {
	return slices.ContainsFunc(r.Checks, func(c result.Outcome) bool {
		return c.Reason.Code == verify.Panicked && (c.Method == verify.MethodSPF || c.Method == verify.MethodDKIM)
	})
}

// AsksFor tells whether a DMARC policy disowns what fails: RFC 9989, 4.7.
func AsksFor(policy dmarc.Policy) bool {
	return policy == dmarc.PolicyReject || policy == dmarc.PolicyQuarantine
}

// provedBySPF: a pass of MAIL FROM, but not by a term that lets half of the Internet pass.
func provedBySPF(r *verify.Report) bool {
	c := r.Check(verify.MethodSPF)
	d := result.Detail[spf.Result](c)
	return c.Result == result.Pass && d != nil && narrow(d, strings.Contains(r.Session.ClientIP, ":"))
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

// signatures are those that pass and speak for the envelope sender's domain: as its DMARC record has them align (RFC
// 9989, 4.4), or of its organisation where it has none.
func signatures(r *verify.Report) (out []*dkim.Signature) {
	domain := Domain(r)
	for _, c := range r.All(verify.MethodDKIM) {
		d := result.Detail[dkim.Signature](c)
		if c.Result != result.Pass || d == nil {
			continue
		}
		aligned := naming.SameOrganisation(d.Domain, domain)
		if r.Sender.PolicyName != "" {
			aligned = slices.Contains(r.Sender.Aligned, naming.Key(d.Domain))
		}
		if aligned {
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
					return strings.EqualFold(local, box.Local) && domain == naming.Key(box.Domain)
				}) {
					return true
				}
			}
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
