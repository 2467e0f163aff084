// Package advise says what to do about a message that is not as it should be: the exact change, and the
// proof that it helps, which is an evaluation of the same message with the change in place. What does not
// help is not said.
//
// Advice must not become a weapon: who writes to us chooses HELO and the name of his address. So an
// action that names a further server as a sender needs a link from the side of the sender's domain (see
// link.go), it never names more than that server or a set that its owner publishes, and a sender who is
// refuted gets none.
package advise

import (
	"context"
	"net/netip"
	"slices"

	"checkauth/verify"
	"checkauth/verify/dmarc"
	"checkauth/verify/dns"
	"checkauth/verify/known"
	"checkauth/verify/naming"
	"checkauth/verify/result"
	"checkauth/verify/spf"
	"checkauth/verify/standing"
)

// Change is one set of records in place of what the DNS has.
type Change struct {
	Name    string
	Type    dns.Type
	Records []dns.Record // none: the name has no such record then
}

// Zone is who serves a name.
type Zone struct {
	Name    string
	Servers []string
}

// Query is a finished evaluation and what may be asked about it.
type Query struct {
	Report *verify.Report
	// Resolver answers as it did in the evaluation; the questions of the advice are on a budget of their own.
	Resolver dns.Resolver
	// Try evaluates the message again with the changes in place; every finding of the checks is in its report.
	Try func(context.Context, []Change) *verify.Report
	// Zone finds the zone of a name and its servers; nil, or an empty name, where that is not known.
	Zone func(context.Context, string) Zone
	// Atlas knows panels, providers and mail servers.
	Atlas *known.Atlas
}

// Most are the actions that are given, and the evaluations for their proofs.
const (
	Most  = 3
	Tries = 8
)

// longestValue: octets of a record that is advised. What a stranger has published at great length is not to
// fill the report.
const longestValue = 2048

// rank orders actions: what keeps mail out of the mailbox comes first.
type rank int

// The ranks.
const (
	outage  rank = iota // the message has no header, or the DNS no answer or an old one: all else waits for that
	decides             // SPF or DKIM, where DMARC does not pass for it
	breaks              // SPF or DKIM, though DMARC passes by the other
	path                // PTR and HELO
	policy              // DMARC's record
	hygiene             // what some receivers mind, or what will break
)

// candidate is an action that is yet to be proved.
type candidate struct {
	verify.Action
	rank    rank
	changes []Change // none with HOST and WAIT
	// authorises: it lets somebody send, or sign, in the name of the domain who could not before.
	authorises bool
	first      []result.Reason // what comes before all else that is to be thought of
	barred     bool            // nothing can stand where it would have to be
}

// adviser is one run.
type adviser struct {
	Query
	sender string     // domain of SPF: of MAIL FROM, or HELO's with the null reverse-path
	author string     // the one author domain; empty where there is none
	client netip.Addr // invalid where not known
	class  standing.Class
	tries  int
	links  []link // nil until asked for
}

// rules, each for one thing that may be mended. They give candidates; which of them are said is settled
// by rank and proof.
var rules = []func(*adviser, context.Context) []candidate{
	(*adviser).form,
	(*adviser).dnsFaults,
	(*adviser).spfRecord,
	(*adviser).keys,
	(*adviser).signing,
	(*adviser).dmarcRecord,
	(*adviser).hostNames,
}

// Run gives the actions, the most important first.
func Run(ctx context.Context, q Query) []verify.Action {
	a := newAdviser(q)
	var all []candidate
	for _, rule := range rules {
		all = append(all, rule(a, ctx)...)
	}
	slices.SortStableFunc(all, func(x, y candidate) int { return int(x.rank - y.rank) })
	return a.choose(ctx, all)
}

func newAdviser(q Query) *adviser {
	a := &adviser{Query: q, class: q.Report.Class}
	if d := result.Detail[spf.Result](q.Report.Check(verify.MethodSPF)); d != nil {
		a.sender = dns.Canonical(d.Domain)
	}
	if d := result.Detail[dmarc.Result](q.Report.Check(verify.MethodDMARC)); d != nil {
		a.author = d.Author
	}
	a.client, _ = netip.ParseAddr(q.Report.Session.ClientIP)
	a.client = a.client.Unmap()
	return a
}

// refuted: the sender's domain, or the author's, says that the mail is not its own, and the client has no name of the
// domain's own. Where it has one, the actions say how its record would list it: the answer in SMTP leaves that out.
func (a *adviser) refuted() bool {
	return a.class == standing.Refuted && !naming.SameOrganisation(a.Report.Sender.Host, a.sender)
}

// choose takes candidates in order: those that cannot be tried as they are, the others where they improve
// what those before them left.
func (a *adviser) choose(ctx context.Context, all []candidate) []verify.Action {
	out := []verify.Action{}
	now, placed := a.Report, []Change(nil) // the message with what was chosen so far
	with := 0
	for _, c := range all {
		if len(out) == Most {
			break
		}
		if c.barred || c.authorises && a.refuted() || len(c.Value) > longestValue || a.said(out, c) {
			continue
		}
		if len(c.changes) > 0 {
			next := a.try(ctx, append(slices.Clone(placed), c.changes...))
			if next == nil || !improves(now, next, c.For) {
				continue
			}
			c.Proof = proof(now, next, with)
			now, placed = next, append(placed, c.changes...)
			with++
		}
		a.finish(ctx, &c)
		out = append(out, c.Action)
	}
	return out
}

// said: an action for the same record was given, or one for all that this one mends.
func (a *adviser) said(out []verify.Action, c candidate) bool {
	return slices.ContainsFunc(out, func(o verify.Action) bool {
		if c.Name != "" && o.Name == c.Name && o.Type == c.Type {
			return true
		}
		if o.Type == verify.ActionHost && o.Code == c.Code {
			return true
		}
		return len(c.For) > 0 && !slices.ContainsFunc(c.For, func(code result.Code) bool { return !slices.Contains(o.For, code) })
	})
}

// try evaluates with changes, nil where no more evaluations are left.
func (a *adviser) try(ctx context.Context, changes []Change) *verify.Report {
	if a.tries == Tries || ctx.Err() != nil {
		return nil
	}
	a.tries++
	return a.Try(ctx, changes)
}
