package respond

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"checkauth/reply/deliver"
	"checkauth/reply/policy"
	"checkauth/reply/store"
	"checkauth/verify"
	"checkauth/verify/mtasts"
	"checkauth/verify/naming"
	"checkauth/verify/result"
)

// policyTime is how long a client waits for an MTA-STS policy at its final dot.
const policyTime = 3 * time.Second

// foresee says what is known to keep a reply from arriving, and what became of the one before: both stand in the report
// as findings, and the first in the answer at the final dot, for that is all that the sender hears where no reply comes.
// The reply is stored and tried all the same: it may be fixed within its day.
func (t *Transaction) foresee(ctx context.Context, report *verify.Report, to string) (line result.Reason, err error) {
	domain := naming.Domain(to)
	// Only the domain of who is proved makes us fetch something. What is remembered counts while the domain announces it.
	proved := report.Class == policy.Proved
	p := t.r.promised(ctx, domain, proved)
	if !proved && !announces(report, domain, p.ID) {
		p = mtasts.Policy{}
	}
	if f, said := obstacle(domain, t.to.hosts(to), p); f.Code != "" {
		report.Findings = append(report.Findings, f)
		line = said
	}
	u, err := t.r.Store.Undelivered(ctx, naming.Fold(to))
	if err != nil || u.Kind == "" {
		return line, err
	}
	report.Findings = append(report.Findings, undelivered(u, domain, t.r.Destination == nil))
	return line, nil
}

func (r *Responder) promised(ctx context.Context, domain string, fetch bool) mtasts.Policy {
	if r.Promised == nil || domain == "" {
		return mtasts.Policy{}
	}
	ctx, cancel := context.WithTimeout(ctx, policyTime)
	defer cancel()
	return r.Promised(ctx, domain, fetch)
}

// announces tells whether the domain's record, as the report's checks found it, has this policy's id (RFC 8461, 3.1).
func announces(report *verify.Report, domain, id string) bool {
	ascii, ok := naming.Host(domain)
	return ok && id != "" && slices.ContainsFunc(report.Check(verify.MethodInbound).Evidence, func(e result.Evidence) bool {
		return e.Name == "_mta-sts."+ascii && slices.ContainsFunc(e.Data, func(record string) bool {
			_, rest, found := strings.Cut(record, "id="+id)
			return found && (rest == "" || strings.ContainsAny(rest[:1], "; \""))
		})
	})
}

// obstacle is there where no host may be given the reply. RFC 8461, 2: DANE goes before MTA-STS.
func obstacle(domain string, hosts []deliver.Place, p mtasts.Policy) (f result.Finding, line result.Reason) {
	if len(hosts) == 0 {
		return f, line
	}
	var names, unnamed []string
	for _, h := range hosts {
		names = append(names, h.Host)
		switch {
		case h.Impossible:
		case !h.DANE && p.Mode == mtasts.Enforce && !p.Allows(h.Host):
			unnamed = append(unnamed, h.Host)
		default:
			return f, line
		}
	}
	shown := result.Said(domain, firstNames(unnamed))
	if len(unnamed) == 0 {
		shown = result.Said(domain, firstNames(names))
		return result.Found(result.Warning, "reply-dane", "domain", result.Domain(domain), "hosts", shown), result.Because("answer-dane", "hosts", shown)
	}
	return result.Found(result.Warning, "reply-mta-sts", "domain", result.Domain(domain), "hosts", shown, "patterns", result.Said(domain, firstNames(p.MX))),
		result.Because("answer-mta-sts", "domain", result.Domain(domain), "hosts", shown)
}

// few are the first names of a list that strangers make.
func firstNames(names []string) string {
	const shown, longest = 3, 60
	var out []string
	for _, n := range names[:min(len(names), shown)] {
		out = append(out, result.Cut(result.Clean(n), longest))
	}
	if len(names) > shown {
		out = append(out, "...")
	}
	return strings.Join(out, ", ")
}

// undelivered is the finding about a reply that did not arrive. It has no word of a server's: the report may go to a
// mailbox whose owner has proved nothing.
func undelivered(u store.Undelivered, domain string, byRelay bool) result.Finding {
	date, tries := u.Created.UTC().Format("2006-01-02 15:04 UTC"), fmt.Sprint(u.Tries)
	if byRelay && !slices.Contains([]string{deliver.KindRecipient, deliver.KindContent, deliver.KindNeeds}, u.Kind) {
		return result.Found(result.Warning, "reply-undelivered-relay", "date", result.Ours(date), "tries", result.Ours(tries))
	}
	switch u.Kind {
	case deliver.KindPromise:
		return result.Found(result.Warning, "reply-undelivered-promise", "date", result.Ours(date), "tries", result.Ours(tries), "domain", result.Domain(domain))
	case deliver.KindTLS:
		return result.Found(result.Warning, "reply-undelivered-tls", "date", result.Ours(date), "tries", result.Ours(tries), "domain", result.Domain(domain))
	case deliver.KindOurs:
		return result.Found(result.Warning, "reply-undelivered-ours", "date", result.Ours(date), "tries", result.Ours(tries))
	case deliver.KindRecipient:
		return result.Found(result.Warning, "reply-undelivered-recipient", "date", result.Ours(date), "tries", result.Ours(tries), "domain", result.Domain(domain))
	case deliver.KindContent:
		return result.Found(result.Warning, "reply-undelivered-content", "date", result.Ours(date), "tries", result.Ours(tries), "domain", result.Domain(domain))
	case deliver.KindLater:
		return result.Found(result.Warning, "reply-undelivered-later", "date", result.Ours(date), "tries", result.Ours(tries), "domain", result.Domain(domain))
	case deliver.KindNeeds:
		return result.Found(result.Warning, "reply-undelivered-needs", "date", result.Ours(date), "tries", result.Ours(tries), "domain", result.Domain(domain))
	case deliver.KindNowhere:
		return result.Found(result.Warning, "reply-undelivered-nowhere", "date", result.Ours(date), "tries", result.Ours(tries), "domain", result.Domain(domain))
	case deliver.KindDNS:
		return result.Found(result.Warning, "reply-undelivered-dns", "date", result.Ours(date), "tries", result.Ours(tries), "domain", result.Domain(domain))
	}
	return result.Found(result.Warning, "reply-undelivered-reach", "date", result.Ours(date), "tries", result.Ours(tries), "domain", result.Domain(domain))
}
