package advise

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"checkauth/verify"
	"checkauth/verify/dmarc"
	"checkauth/verify/dns"
	"checkauth/verify/naming"
	"checkauth/verify/result"
)

// dmarcRules are the findings of DMARC's record that an action mends.
var dmarcRules = map[result.Code]func(*adviser, context.Context, result.Finding) []candidate{
	"dmarc-none":             (*adviser).firstPolicy,
	"dmarc-spf-record":       (*adviser).firstPolicy,
	"dmarc-multiple-records": (*adviser).onePolicy,
	"dmarc-wrong-name":       (*adviser).movedPolicy,
	"dmarc-strict-alignment": (*adviser).relaxedPolicy,
	"dmarc-syntax":           (*adviser).mendedPolicy,
}

func (a *adviser) dmarcRecord(ctx context.Context) (out []candidate) {
	if a.author == "" || dns.IsLocal(a.author) {
		return nil
	}
	for _, f := range a.Report.Findings {
		if rule := dmarcRules[f.Code]; rule != nil {
			out = append(out, rule(a, ctx, f)...)
		}
	}
	return out
}

// dmarcRank: a record without which DMARC fails comes before everything else that is mended.
func (a *adviser) dmarcRank() rank {
	if a.Report.Check(verify.MethodDMARC).Result == result.Fail {
		return decides
	}
	return policy
}

// isDMARC picks what was meant as a DMARC record.
func isDMARC(text string) bool { return dmarc.Meant(text) }

// postmaster takes reports: RFC 5321, 4.5.1: every domain that takes mail has that mailbox.
func postmaster(domain string) string { return "mailto:postmaster@" + domain }

// firstPolicy: the first record asks nobody to refuse anything; its reports show who sends. At the organisational
// domain it is for all names below, and there is a mailbox (RFC 9989, 4.10: the tree is walked up to it).
func (a *adviser) firstPolicy(ctx context.Context, f result.Finding) []candidate {
	domain := naming.Registered(a.author)
	value, why, mailbox := "v=DMARC1; p=none; rua="+postmaster(domain), result.Because("why-dmarc-first", "domain", result.Domain(domain)), result.Because("before-dmarc-mailbox")
	if a.nullMX(ctx, domain) {
		value, why, mailbox = "v=DMARC1; p=none", result.Because("why-dmarc-first-null", "domain", result.Domain(domain)), result.Because("before-dmarc-null", "domain", result.Domain(domain))
	}
	c := a.txt(ctx, a.dmarcRank(), "_dmarc."+domain, value, isDMARC, result.Because("action-dmarc-first", "domain", result.Domain(domain)), f.Code)
	c.Why, c.Before = why, []result.Reason{mailbox, a.steps()}
	return []candidate{c}
}

// nullMX: RFC 7505, 3: the domain takes no mail, not even a postmaster's.
func (a *adviser) nullMX(ctx context.Context, domain string) bool {
	return slices.ContainsFunc(a.find(ctx, domain, dns.MX), func(r dns.Record) bool { return r.Target == "" })
}

// steps from p=none to p=reject; what would break today is judged from this mail.
func (a *adviser) steps() result.Reason {
	if d := result.Detail[dmarc.Result](a.Report.Check(verify.MethodDMARC)); d != nil && d.UnderReject == dmarc.WouldReject {
		return result.Because("before-dmarc-steps-fails", "domain", result.Domain(a.author))
	}
	return result.Because("before-dmarc-steps", "domain", result.Domain(a.author))
}

// strictness orders policies, as far as they count.
func strictness(text string) int {
	r, ok := dmarc.Parse(text)
	if !ok || r.Fallback || r.Unusable {
		return 0
	}
	return slices.Index([]dmarc.Policy{dmarc.PolicyNone, dmarc.PolicyQuarantine, dmarc.PolicyReject}, r.P)
}

// onePolicy: RFC 9989, 4.10: of two records none counts. The strictest that this mail passes stays, with
// the address for reports of the others where it has none.
func (a *adviser) onePolicy(ctx context.Context, f result.Finding) (out []candidate) {
	name := f.Args.Get("name")
	var texts []string
	rua := ""
	for _, r := range a.find(ctx, name, dns.TXT) {
		if rec, ok := dmarc.Parse(r.Text()); ok {
			texts = append(texts, r.Text())
			rua = cmp.Or(rua, strings.Join(rec.RUA, ","))
		}
	}
	slices.SortStableFunc(texts, func(x, y string) int { return strictness(y) - strictness(x) })
	for _, text := range texts[:min(len(texts), 2)] {
		if rec, _ := dmarc.Parse(text); len(rec.RUA) == 0 && rua != "" {
			text = dmarc.With(text, "rua", rua)
		}
		c := a.txt(ctx, policy, name, text, isDMARC, result.Because("action-dmarc-one", "name", result.Domain(name)), f.Code)
		c.Why = result.Because("why-dmarc-one", "name", result.Domain(name))
		if strictness(text) > 0 {
			c.Before = []result.Reason{result.Because("before-dmarc-obeyed", "domain", result.Domain(a.author))}
		}
		out = append(out, c)
	}
	return out
}

// movedPolicy publishes the record where it is looked for, as it stands at the wrong name.
func (a *adviser) movedPolicy(ctx context.Context, f result.Finding) (out []candidate) {
	name, right := f.Args.Get("name"), f.Args.Get("right")
	for _, r := range a.find(ctx, name, dns.TXT) {
		if _, ok := dmarc.Parse(r.Text()); !ok {
			continue
		}
		c := a.txt(ctx, policy, right, r.Text(), isDMARC, result.Because("action-dmarc-move", "right", result.Domain(right)), f.Code)
		c.Why = result.Because("why-dmarc-move", "name", result.Domain(name), "right", result.Domain(right))
		c.Before = []result.Reason{result.Because("before-delete-wrong-name", "name", result.Domain(name))}
		if strictness(r.Text()) > 0 {
			c.Before = append(c.Before, result.Because("before-dmarc-obeyed", "domain", result.Domain(a.author)))
		}
		return append(out, c)
	}
	return nil
}

// relaxedPolicy leaves out the mode that keeps the author's own mail from aligning.
func (a *adviser) relaxedPolicy(ctx context.Context, f result.Finding) []candidate {
	check := a.Report.Check(verify.MethodDMARC)
	d := result.Detail[dmarc.Result](check)
	if d == nil || d.Record == "" || check.Result == result.Pass {
		return nil
	}
	name := "_dmarc." + d.PolicyName
	var tags []string
	for _, g := range a.Report.Findings {
		if g.Code == f.Code {
			tags = append(tags, g.Args.Get("tag"))
		}
	}
	c := a.txt(ctx, a.dmarcRank(), name, dmarc.Without(d.Record, tags...), isDMARC,
		result.Because("action-dmarc-relaxed", "name", result.Domain(name), "tags", result.Ours(strings.Join(tags, ", "))), f.Code)
	c.Why = result.Because("why-dmarc-relaxed", "domain", result.Domain(f.Args.Get("domain")), "author", result.Domain(a.author))
	c.authorises = true
	return []candidate{c}
}

// mendedPolicy writes a record as it was probably meant.
func (a *adviser) mendedPolicy(ctx context.Context, f result.Finding) []candidate {
	name := f.Args.Get("name")
	for _, r := range a.find(ctx, name, dns.TXT) {
		text := r.Text()
		mended, ok := dmarc.Mend(text)
		if !dmarc.Meant(text) || !ok || mended == text {
			continue
		}
		c := a.txt(ctx, a.dmarcRank(), name, mended, isDMARC, result.Because("action-dmarc-mend", "name", result.Domain(name)), f.Code)
		c.Why = result.Because("why-dmarc-mend", "tag", f.Args.Text("tag"), "value", f.Args.Text("value"), "want", f.Args.Text("want"))
		if strictness(mended) > strictness(text) {
			c.Before = []result.Reason{result.Because("before-dmarc-obeyed", "domain", result.Domain(a.author))}
		}
		return []candidate{c}
	}
	return nil
}
