package advise

import (
	"context"
	"slices"

	"checkauth/verify"
	"checkauth/verify/dmarc"
	"checkauth/verify/dns"
	"checkauth/verify/naming"
	"checkauth/verify/result"
	"checkauth/verify/standing"
)

// spfWords are what to do where no value can be given, or where none was proved: an action that mends the
// same finding by a record goes before it.
var spfWords = map[result.Code]func(a *adviser, f result.Finding) result.Reason{
	"spf-too-many-lookups": inSubdomains, "spf-later-lookups": inSubdomains,
	"spf-plus-all": listNetworks, "spf-include-passes-all": listNetworks,
	"spf-too-many-mx": func(_ *adviser, f result.Finding) result.Reason {
		return result.Because("action-spf-mx", "domain", result.Domain(f.Args.Get("domain")), "name", result.Domain(f.Args.Get("name")))
	},
	"spf-domain-invalid": func(_ *adviser, f result.Finding) result.Reason {
		return result.Because("action-spf-sender", "sender", f.Args.Text("sender"))
	},
}

func inSubdomains(_ *adviser, f result.Finding) result.Reason {
	return result.Because("action-spf-subdomains", "domain", result.Domain(f.Args.Get("domain")), "costly", f.Args.Text("costly"))
}

func listNetworks(_ *adviser, f result.Finding) result.Reason {
	return result.Because("action-spf-networks", "domain", result.Domain(f.Args.Get("domain")), "term", f.Args.Text("term"))
}

// spfInWords gives the actions without a value.
func (a *adviser) spfInWords(ctx context.Context) (out []candidate) {
	for _, f := range a.Report.Findings {
		domain := f.Args.Get("domain")
		if say := spfWords[f.Code]; say != nil && f.Severity != result.Info && (domain == "" || naming.SameOrganisation(domain, a.sender)) {
			out = append(out, host(a.spfWordsRank(f), say(a, f), f.Code))
		}
	}
	return append(out, a.question(ctx)...)
}

func (a *adviser) spfWordsRank(f result.Finding) rank {
	switch spfWork[f.Code] {
	case open:
		return policy
	case tidying:
		return hygiene
	}
	return a.failing()
}

// question asks whose server the client is, where nothing on the sender's side ties it to the domain: what
// the client says of itself would be said by a forger too.
func (a *adviser) question(ctx context.Context) []candidate {
	if a.Report.Session.MailFrom == "" || a.sender == "" || !a.client.IsValid() {
		return nil
	}
	var mends []result.Code
	none := false
	for _, f := range a.Report.Findings {
		if spfWork[f.Code] == unlisted && f.Severity != result.Info {
			mends = append(mends, f.Code)
			none = none || f.Code == "spf-none" || f.Code == "spf-none-on-subdomain"
		}
	}
	if len(mends) == 0 {
		return nil
	}
	if dns.IsLocal(a.sender) {
		return []candidate{host(a.failing(), result.Because("action-spf-sender", "sender", result.Said(a.sender, a.Report.Session.MailFrom)), mends...)}
	}
	if _, tied := a.link(ctx); tied && !a.refuted() && !slices.Contains(mends, "spf-ipv6-not-covered") {
		return a.aliased(ctx, mends) // else the record with the client in it was tried
	}
	c := host(a.failing(), a.asked(none), mends...)
	c.Why = a.refutedBy()
	if !a.refuted() {
		c.Why = result.Because("why-spf-ask", "ip", a.client, "domain", result.Domain(a.sender))
		c.Before = []result.Reason{result.Because("before-spf-list", "domain", result.Domain(a.sender))}
		if none {
			c.Before = append(c.Before, result.Because("before-spf-never", "domain", result.Domain(a.sender)))
		}
	}
	return []candidate{c}
}

// aliased: at a name that is a CNAME to somebody else's nothing can be published.
func (a *adviser) aliased(ctx context.Context, mends []result.Code) []candidate {
	target := a.alias(ctx, a.sender)
	if target == "" || naming.SameOrganisation(target, a.sender) {
		return nil
	}
	return []candidate{host(a.failing(), result.Because("action-spf-cname", "domain", result.Domain(a.sender), "target", result.Domain(target)), mends...)}
}

// asked: a refuted sender is told no term.
func (a *adviser) asked(none bool) result.Reason {
	ip := a.client.String()
	switch {
	case a.refuted():
		switch standing.RefutedBy(a.Report) {
		case standing.AuthorPolicy:
			return result.Because("action-spf-ask-refuted-dmarc", "ip", result.Ours(ip), "domain", result.Domain(a.sender), "author", result.Domain(a.author))
		case standing.OwnPolicy:
			return result.Because("action-spf-ask-refuted-dmarc", "ip", result.Ours(ip), "domain", result.Domain(a.sender), "author", result.Domain(a.sender))
		}
		return result.Because("action-spf-ask-refuted", "ip", result.Ours(ip), "domain", result.Domain(a.sender))
	case none:
		return result.Because("action-spf-ask-first", "ip", result.Ours(ip), "domain", result.Domain(a.sender), "record", result.Ours("v=spf1 "+literal(a.client)+" ~all"))
	}
	return result.Because("action-spf-ask", "ip", result.Ours(ip), "domain", result.Domain(a.sender), "term", result.Ours(literal(a.client)))
}

// refutedBy names the record that has a sender refuted.
func (a *adviser) refutedBy() result.Reason {
	ip := a.client.String()
	switch standing.RefutedBy(a.Report) {
	case standing.AuthorPolicy:
		d := result.Detail[dmarc.Result](a.Report.Check(verify.MethodDMARC))
		return result.Because("why-spf-ask-refuted-dmarc", "ip", result.Ours(ip), "domain", result.Domain(d.Author), "policy", d.Policy.Text(), "name", result.Domain("_dmarc."+d.PolicyName))
	case standing.OwnPolicy:
		s := a.Report.Sender
		return result.Because("why-spf-ask-refuted-own", "ip", result.Ours(ip), "domain", result.Domain(a.sender), "policy", dmarc.Policy(s.Policy).Text(), "name", result.Domain("_dmarc."+s.PolicyName))
	}
	args := a.Report.Check(verify.MethodSPF).Reason.Args
	return result.Because("why-spf-ask-refuted", "ip", result.Ours(ip), "domain", result.Domain(a.sender), "term", args.Text("term"), "at", args.Text("domain"))
}
