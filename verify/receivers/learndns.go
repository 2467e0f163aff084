package receivers

import (
	"slices"
	"strings"

	"checkauth/verify"
	"checkauth/verify/dns"
	"checkauth/verify/naming"
	"checkauth/verify/result"
)

// learnDNS finds among the answers that the checks had whether the sender's domains exist. What none of
// them happened to ask is not looked at; nothing is asked here.
func (f *Facts) learnDNS(r *verify.Report) {
	var all []result.Evidence
	for _, c := range r.Checks {
		all = append(all, c.Evidence...)
	}
	switch domain := naming.Domain(r.Session.MailFrom); {
	case r.Session.MailFrom == "" && r.Check(verify.MethodSPF).Method != "":
		f.EnvelopeResolvable = Known(true) // a bounce has no domain to look up
	case domain != "":
		f.EnvelopeResolvable = exists(all, domain)
	}
	if f.Author.Value != "" {
		f.FromResolvable = exists(all, f.Author.Value)
		f.FromTakesMail = takesMail(all, f.Author.Value)
	}
}

// exists: RFC 8020, 2: NXDOMAIN is of all types and of all names below.
func exists(all []result.Evidence, domain string) Fact[bool] {
	var out Fact[bool]
	for _, e := range all {
		name := dns.Canonical(e.Name)
		under, over := strings.HasSuffix(name, "."+domain), strings.HasSuffix(domain, "."+name)
		switch {
		case e.Rcode == "NOERROR" && (name == domain || under && len(e.Data) > 0):
			return Known(true)
		case e.Rcode == "NXDOMAIN" && len(e.Chain) == 0 && (name == domain || over && name != ""):
			out = Known(false)
		case name == domain && e.Rcode != "NXDOMAIN" && !out.Known:
			out = Failed[bool]()
		}
	}
	return out
}

// takesMail: RFC 5321, 5.1: MX, or else an address; RFC 7505, 3: a null MX takes none.
func takesMail(all []result.Evidence, domain string) Fact[bool] {
	if there := exists(all, domain); there.Known && !there.Value {
		return there
	}
	var asked []string
	var out Fact[bool]
	for _, e := range all {
		if dns.Canonical(e.Name) != domain || !slices.Contains([]string{"MX", "A", "AAAA"}, e.Type) {
			continue
		}
		switch {
		case e.Rcode != "NOERROR" && e.Rcode != "NXDOMAIN":
			if !out.Known {
				out = Failed[bool]()
			}
		case e.Type == "MX" && len(e.Data) == 1 && nullMX(e.Data[0]):
			return Known(false)
		case len(e.Data) > 0:
			out = Known(true)
		default:
			asked = append(asked, e.Type)
		}
	}
	slices.Sort(asked)
	if out == (Fact[bool]{}) && len(slices.Compact(asked)) == 3 {
		return Known(false)
	}
	return out
}

func nullMX(data string) bool {
	words := strings.Fields(data)
	return len(words) == 2 && words[1] == "."
}
