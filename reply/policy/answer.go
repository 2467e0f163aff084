package policy

import (
	"checkauth/verify"
	"checkauth/verify/dmarc"
	"checkauth/verify/naming"
	"checkauth/verify/result"
	"checkauth/verify/standing"
)

// verdict is the first line of what is refused.
func verdict(r *verify.Report) result.Reason {
	return result.Because("answer-verdict", "spf", r.Check(verify.MethodSPF).Result,
		"dkim", verify.BestDKIM(r), "dmarc", r.Check(verify.MethodDMARC).Result)
}

// refutedLines are class C's: each record that refutes the mail, and what to do where that is a mistake.
func refutedLines(in *input) (out []result.Reason) {
	r := in.r
	domain := naming.Domain(r.Session.MailFrom)
	if c := r.Check(verify.MethodSPF); c.Result == result.Fail {
		out = append(out, spfFails(c, r.Session.ClientIP, domain))
	}
	if c := r.Check(verify.MethodDMARC); c.Result == result.Fail && result.Detail[dmarc.Result](c) != nil {
		d := result.Detail[dmarc.Result](c)
		out = append(out, result.Because("answer-dmarc-fail", "domain", result.Domain(d.Author), "policy", d.Policy.Text(), "name", result.Domain(recordName(d.PolicyName))))
	}
	if standing.RefutedBy(r) == standing.OwnPolicy {
		out = append(out, result.Because("answer-disowned", "domain", result.Domain(domain), "policy", dmarc.Policy(r.Sender.Policy).Text(), "name", result.Domain(recordName(r.Sender.PolicyName))))
	}
	return append(out, result.Because("answer-refuted-mend", "ip", result.Ours(r.Session.ClientIP), "domain", result.Domain(domain)))
}

// spfFails names the term that says fail and whose record it stands in: with redirect= that is another domain's.
func spfFails(c result.Outcome, ip, domain string) result.Reason {
	term, at := c.Reason.Args.Get("term"), c.Reason.Args.Get("domain")
	if term == "" || at == "" {
		return result.Because("answer-spf-fail", "ip", result.Ours(ip), "domain", result.Domain(domain))
	}
	return result.Because("answer-spf-fail-by", "ip", result.Ours(ip), "domain", result.Domain(domain), "term", term, "at", result.Ours(at))
}

// recordName is where the DMARC record of a domain stands.
func recordName(domain string) string { return "_dmarc." + domain }

// refusalCode: RFC 7372, 3.2: 5.7.23 where SPF said fail; RFC 7372, 3.4: 5.7.26 where several checks did.
func refusalCode(r *verify.Report) [3]int {
	if r.Check(verify.MethodSPF).Result == result.Fail && r.Check(verify.MethodDMARC).Result != result.Fail {
		return [3]int{5, 7, 23}
	}
	return [3]int{5, 7, 26}
}

// longestRecord in octets: what is longer would be cut when it is put into words, and a record is whole or not
// there.
const longestRecord = 300

// todo is the first change of the DNS, where its record fits into a line. What authorises somebody is never
// among the actions for a refuted sender.
func todo(r *verify.Report) []result.Reason {
	for _, a := range r.Actions {
		if a.Zone == "" || len(a.Zone) > longestRecord {
			continue
		}
		return []result.Reason{{Code: a.Code, Args: a.Args}, result.Because("answer-publish", "zone", result.Domain(a.Zone))}
	}
	return nil
}

// silent says why nothing is mailed, and what the mail of an application is to be sent to.
func silent(u rule, in *input) result.Reason {
	switch {
	case !u.answer.automatic:
		return result.Because("answer-suppressed", "rule", result.Ours(u.name))
	case in.class == Open:
		v := verdict(in.r).Args
		return result.Because("answer-application-unproved", "rule", result.Ours(u.name), "address", result.Ours(in.c.Addresses.forApplications(in.form)),
			"spf", result.Ours(v.Get("spf")), "dkim", result.Ours(v.Get("dkim")), "dmarc", result.Ours(v.Get("dmarc")))
	}
	return result.Because("answer-application", "rule", result.Ours(u.name), "address", result.Ours(in.c.Addresses.forApplications(in.form)))
}

// bounces says that a program reads the report, and how a person gets one.
func (c Config) bounces(in *input) *result.Reason {
	said := result.Because("bounce-address", "to", result.Ours(in.to), "service", result.Ours(in.facts.Service))
	if author := c.Addresses.forAuthor(in.form); author != "" {
		said = result.Because("bounce-address-author", "to", result.Ours(in.to), "service", result.Ours(in.facts.Service), "address", result.Ours(author))
	}
	return &said
}
