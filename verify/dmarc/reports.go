package dmarc

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"checkauth/verify/dns"
	"checkauth/verify/naming"
	"checkauth/verify/result"
)

// Report is one address of rua or ruf, and whether reports can arrive there.
type Report struct {
	Tag      string        `json:"tag"`              // rua or ruf
	Address  string        `json:"address"`          // as published, without a size limit
	Domain   string        `json:"domain"`           // of the mailbox, "" where it is no mailbox
	External bool          `json:"external"`         // of another organisation, which has to agree
	Name     string        `json:"name,omitempty"`   // where it says so
	Status   result.Reason `json:"status,omitzero"`  // own, authorised, unauthorised, unknown, not asked
	Mailbox  result.Reason `json:"mailbox,omitzero"` // whether the domain takes mail, where it was asked
}

// maxDestinations are the domains that are asked, maxReports the addresses that are listed.
const maxDestinations, maxReports = 4, 20

// lintReports: reports that cannot arrive are what nobody notices. All agreements are asked for first,
// then the mail servers, so that the bound takes the less important.
func (s *state) lintReports(ctx context.Context) {
	domains := s.listReports()
	s.expectReports(domains)
	agreed, takes := map[string]learnt{}, map[string]learnt{}
	for _, d := range domains {
		agreed[d] = s.agreement(ctx, d)
	}
	for _, d := range domains {
		takes[d] = s.mailServers(ctx, d)
	}
	for i := range s.res.Reports {
		r := &s.res.Reports[i]
		switch {
		case r.Domain == "":
			r.Status = result.Because("dmarc-report-no-mailbox")
		case !slices.Contains(domains, r.Domain):
			r.Status = result.Because("dmarc-report-not-asked")
		default:
			r.Status, r.Mailbox = agreed[r.Domain].Reason, takes[r.Domain].Reason
			s.lintAgreement(*r, agreed[r.Domain].evidence)
			s.lintMailbox(*r, takes[r.Domain].evidence)
		}
	}
}

// learnt is what one domain was asked for, with the answers that say so.
type learnt struct {
	result.Reason
	evidence []result.Evidence
}

// listReports fills Reports and gives the domains that are asked.
func (s *state) listReports() (domains []string) {
	add := func(tag string, uris []string) {
		for _, u := range uris {
			if len(s.res.Reports) == maxReports {
				return
			}
			r := Report{Tag: tag, Address: shown(u, 300), Domain: mailboxDomain(u)}
			r.External = r.Domain != "" && !s.own(r.Domain)
			if r.External {
				r.Name = s.source + "._report._dmarc." + r.Domain
			}
			if r.Domain != "" && !slices.Contains(domains, r.Domain) && len(domains) < maxDestinations {
				domains = append(domains, r.Domain)
			}
			s.res.Reports = append(s.res.Reports, r)
		}
	}
	add("rua", s.record.RUA)
	add("ruf", s.record.RUF)
	return domains
}

// mailboxDomain is the domain of a mailto: URI in the spelling of the DNS, "" where it has none. RFC
// 6068, 2: octets may stand there as %XX, and header fields behind a question mark.
func mailboxDomain(uri string) string {
	scheme, rest, _ := strings.Cut(uri, ":")
	if !strings.EqualFold(scheme, "mailto") {
		return ""
	}
	address, _, _ := strings.Cut(rest, "?")
	address, err := url.PathUnescape(address)
	if err != nil {
		return ""
	}
	name := identifierName(address[strings.LastIndexByte(address, '@')+1:])
	if strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
	}) {
		return "" // an address literal, or no name of a host
	}
	return name
}

// own: RFC 9990 wants agreement where the organisational domains differ. A name below ours is taken for
// ours without a walk of its own: it can only be of another organisation by a psd= in between.
func (s *state) own(domain string) bool {
	org := s.res.Org
	if n := s.seen[s.source]; n.record.PSD == "y" && s.source != s.author.start {
		org = s.source // a public suffix is an organisation by itself
	}
	if org == "" { // the walk failed above the record
		return naming.Registered(domain) == naming.Registered(s.source)
	}
	return naming.Below(domain, org)
}

func (s *state) expectReports(domains []string) {
	for _, d := range domains {
		for _, q := range []dns.Question{dns.Ask(s.source+"._report._dmarc."+d, dns.TXT), dns.Ask(d, dns.MX)} {
			if dns.Askable(q.Name) && (q.Type == dns.MX || !s.own(d)) {
				s.expect(q)
			}
		}
	}
}

// agreement asks whether a domain agreed to take the reports: RFC 9990, on verifying external
// destinations: a record at that name, of whatever tags.
func (s *state) agreement(ctx context.Context, domain string) learnt {
	if s.own(domain) {
		return learnt{Reason: result.Because("dmarc-report-own")}
	}
	q := dns.Ask(s.source+"._report._dmarc."+domain, dns.TXT)
	if !dns.Askable(q.Name) {
		return learnt{Reason: result.Because("dmarc-report-unauthorised", "name", result.Domain(q.Name))}
	}
	a, err := s.why(ctx, q)
	evidence := []result.Evidence{a.Evidence()}
	switch {
	case err != nil && err.Kind.NotAsked():
		return learnt{Reason: result.Because("dmarc-report-not-asked")}
	case err != nil:
		return learnt{result.Because("dmarc-report-unknown", "name", result.Domain(q.Name)), []result.Evidence{err.Evidence()}}
	case slices.ContainsFunc(a.Texts(), func(text string) bool { _, ok := Parse(text); return ok }):
		return learnt{result.Because("dmarc-report-authorised", "name", result.Domain(q.Name)), evidence}
	}
	return learnt{result.Because("dmarc-report-unauthorised", "name", result.Domain(q.Name)), evidence}
}

// mailServers asks whether a domain takes mail: RFC 5321, 5.1: its MX records, else its addresses. A
// failure leaves it open.
func (s *state) mailServers(ctx context.Context, domain string) learnt {
	a, err := s.why(ctx, dns.Ask(domain, dns.MX))
	evidence := []result.Evidence{a.Evidence()}
	switch {
	case err != nil:
		return learnt{}
	case len(a.Records) == 1 && a.Records[0].Target == "": // RFC 7505, 3
		return learnt{result.Because("dmarc-report-null-mx"), evidence}
	case len(a.Records) > 0:
		return learnt{result.Because("dmarc-report-has-mx"), evidence}
	case a.NX:
		return learnt{result.Because("dmarc-report-no-mx"), evidence}
	}
	for _, t := range []dns.Type{dns.A, dns.AAAA} {
		a, err := s.why(ctx, dns.Ask(domain, t))
		if err != nil {
			return learnt{}
		}
		evidence = append(evidence, a.Evidence())
		if len(a.Records) > 0 {
			return learnt{result.Because("dmarc-report-has-address"), evidence}
		}
	}
	return learnt{result.Because("dmarc-report-no-mx"), evidence}
}

// foundReport: who gets a report of a mail that fails may be the domain's owner, or one whom a forger
// named; the owner's report addresses are then not what matters first.
func (s *state) foundReport(f result.Finding, evidence []result.Evidence) {
	if f.Evidence = evidence; s.res.Word == result.Fail {
		f.Severity = result.Info
	}
	s.found(f)
}

// lintAgreement says that the domain of an address did not agree.
func (s *state) lintAgreement(r Report, evidence []result.Evidence) {
	var f result.Finding
	switch r.Status.Code {
	case "dmarc-report-unauthorised":
		if r.Mailbox.Code == "dmarc-report-no-mx" {
			return // a domain that takes no mail has nothing to agree to
		}
		f = result.Found(result.Warning, "dmarc-rua-unauthorised", "address", result.Said(s.res.PolicyName, r.Address), "tag", result.Said(r.Domain, r.Tag), "name", result.Domain(r.Name), "domain", result.Domain(r.Domain))
	case "dmarc-report-unknown":
		f = result.Found(result.Info, "dmarc-rua-undecided", "address", result.Said(s.res.PolicyName, r.Address), "tag", result.Said(r.Name, r.Tag), "name", result.Domain(r.Name))
	default:
		return
	}
	s.foundReport(f, evidence)
}

// lintMailbox says that an address takes no mail.
func (s *state) lintMailbox(r Report, evidence []result.Evidence) {
	var f result.Finding
	switch r.Mailbox.Code {
	case "dmarc-report-no-mx":
		f = result.Found(result.Warning, "dmarc-rua-no-mx", "address", result.Said(s.res.PolicyName, r.Address), "tag", result.Said(r.Domain, r.Tag), "domain", result.Domain(r.Domain))
	case "dmarc-report-null-mx":
		f = result.Found(result.Warning, "dmarc-rua-null-mx", "address", result.Said(s.res.PolicyName, r.Address), "tag", result.Said(r.Domain, r.Tag), "domain", result.Domain(r.Domain))
	default:
		return
	}
	s.foundReport(f, evidence)
}
