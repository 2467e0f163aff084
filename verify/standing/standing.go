// Package standing tells what proves the envelope sender of a message: the address that a reply would go
// to, and whose DNS an advice would change. From plays no part.
package standing

import (
	"net/netip"
	"slices"
	"strings"

	"checkauth/verify"
	"checkauth/verify/dkim"
	"checkauth/verify/iprev"
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

// Rules are what the operator knows.
type Rules struct {
	// Servers are names of mail services that many share: a machine below one of them proves nothing of who uses it.
	Servers []string
}

// Decide sets the class of a report's envelope sender, from its checks and what its domain says (Report.Sender).
func (rules Rules) Decide(r *verify.Report) {
	r.Class = rules.of(r)
	switch r.Sender.Advised = r.Class; {
	case confirmed(r):
		r.Sender.Advised = Proved
	case r.Sender.Disowns:
		r.Sender.Advised = Open
	}
}

// confirmed: a forward-confirmed name of the client is of the sender's organisation, and of no customer's machine or line.
func confirmed(r *verify.Report) bool {
	c := r.Check(verify.MethodIPRev)
	if c.Result != result.Pass || c.Details.IPRev == nil {
		return false
	}
	domain := Domain(r)
	ip, _ := netip.ParseAddr(r.Session.ClientIP)
	return slices.ContainsFunc(c.Details.IPRev.Confirmed, func(name string) bool {
		host := naming.Key(name)
		return naming.SameOrganisation(host, domain) && !iprev.Generic(host, naming.Plain(ip)) && !numbered(host, naming.Organisation(host))
	})
}

func (rules Rules) of(r *verify.Report) Class {
	if provedBySPF(r) || provedByDKIM(r) || rules.provedByName(r) {
		return Proved
	}
	dmarc := r.Check(verify.MethodDMARC)
	if r.Check(verify.MethodSPF).Result == result.Fail {
		return Refuted
	}
	if d := dmarc.Details.DMARC; dmarc.Result == result.Fail && d != nil && AsksFor(d.Policy) {
		return Refuted
	}
	// By the rules of DMARC mail of the envelope sender's domain would fail, whoever the author is.
	if AsksFor(r.Sender.Policy) && len(signatures(r)) == 0 {
		r.Sender.Disowns = true
		return Refuted
	}
	return Open
}

// AsksFor tells whether a DMARC policy disowns what fails: RFC 9989, 4.7.
func AsksFor(policy string) bool { return policy == "reject" || policy == "quarantine" }

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

// provedByName: a forward-confirmed name of the client is no word of the domain, so that it proves nobody whom the domain's
// own records disown. A provider has names below its own domain for the line or the machine of each customer; only three
// are the domain's own: its name itself, one of its mail servers, and a name that the server also says in HELO.
func (rules Rules) provedByName(r *verify.Report) bool {
	c := r.Check(verify.MethodIPRev)
	if c.Result != result.Pass || c.Details.IPRev == nil || r.Check(verify.MethodSPF).Result == result.Fail || AsksFor(r.Sender.Policy) || r.Sender.Undecided {
		return false
	}
	domain := Domain(r)
	if naming.Organisation(domain) == "" {
		return false
	}
	ip, _ := netip.ParseAddr(r.Session.ClientIP)
	return slices.ContainsFunc(c.Details.IPRev.Confirmed, func(confirmed string) bool {
		host := naming.Key(confirmed)
		switch {
		case host == domain, slices.Contains(r.Sender.MX, host):
			return true
		case host != naming.Key(r.Session.Helo) || !naming.Below(host, domain):
			return false
		}
		return !iprev.Rented(host, naming.Plain(ip)) && !numbered(host, domain) && !rules.shared(host)
	})
}

// shared: the operator's list or ours has a domain that the name stands below.
func (rules Rules) shared(host string) bool {
	below := func(d string) bool { return naming.Below(host, d) }
	return slices.ContainsFunc(rules.Servers, below) || slices.ContainsFunc(hosters, below)
}

// hosters let machines and lines whose names stand below these domains, as their customers' reverse names show.
var hosters = []string{
	"1blu.de", "aruba.it", "a2hosting.com", "amazonaws.com", "azure.com", "bluehost.com", "choopa.net", "clodo.ru", "cloudapp.net", "contabo.net",
	"contaboserver.net", "datacamp.co.uk", "digitalocean.com", "dreamhost.com", "first-root.com", "gandi.net", "godaddy.com", "googleusercontent.com",
	"hetzner.com", "hetzner.de", "hostgator.com", "hosteurope.de", "hostinger.com", "hostwindsdns.com", "infomaniak.ch", "inmotionhosting.com",
	"ionos.com", "kasserver.com", "kundenserver.de", "leaseweb.com", "linode.com", "linodeusercontent.com", "members.linode.com", "netcup.de",
	"netcup.net", "online.net", "onlinehome-server.com", "onlinehome-server.info", "oraclecloud.com", "oraclevcn.com", "ovh.ca", "ovh.com", "ovh.net",
	"ovh.us", "plesk.page", "poneytelecom.eu", "quickpacket.com", "racknerd.com", "rackspace.com", "scaleway.com", "secureserver.net", "server4you.de",
	"serverprofi24.de", "siteground.com", "strato.de", "strato-hosting.eu", "stratoserver.net", "time4vps.cloud", "timeweb.ru", "transip.nl",
	"transip.net", "ultrasrv.de", "unifiedlayer.com", "upcloud.com", "upcloud.host", "vultr.com", "vultrusercontent.com", "webhostbox.net", "your-server.de",
}

// numbered: vps-4711, vmi123456, host-12ab and their like are customers' machines by the hundred; mx1 and web07 are
// one's own. So is any label with a number of three digits or of hexadecimal digits that somebody drew.
func numbered(host, domain string) bool {
	for label := range strings.SplitSeq(strings.TrimSuffix(host, domain), ".") {
		digits, run := 0, 0
		for _, c := range label {
			if c < '0' || c > '9' {
				run = 0
				continue
			}
			digits++
			if run++; run == 3 {
				return true
			}
		}
		if digits >= 2 && serial(label) {
			return true
		}
	}
	return false
}

// serial: a part of the label between hyphens has digits and hexadecimal letters mixed, at least four in all, such as 12ab.
func serial(label string) bool {
	return slices.ContainsFunc(strings.Split(label, "-"), func(part string) bool {
		return len(part) >= 4 && strings.Trim(part, "0123456789abcdef") == "" && strings.ContainsAny(part, "0123456789") && strings.ContainsAny(part, "abcdef")
	})
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
