package evaluate

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"checkauth/verify"
	"checkauth/verify/advise"
	"checkauth/verify/dkim"
	"checkauth/verify/dns"
	"checkauth/verify/panics"
	"checkauth/verify/receivers"
	"checkauth/verify/result"
)

// Budgets of questions for advice. The proofs walk the same records again, which costs nothing upstream
// but what a change leads to.
const (
	adviceBudget = 60
	proofBudget  = 160
)

// adviceLimit: the client waits; what is not proved by then is not said.
func adviceLimit(c Config) time.Duration { return min(8*time.Second, c.Evaluation/4) }

// advise adds what is to be done. A fault of it must not cost the report.
func (e *Evaluation) advise(ctx context.Context, r *verify.Report, m *verify.Message) {
	defer panics.Recover(e.ev.panicked(e.env.ID, "advise"))
	if e.ev.Atlas == nil || !e.ev.unseen(e.env.Client.Addr()).IsZero() || m.Unparsed != nil {
		return
	}
	ctx, cancel := context.WithTimeoutCause(ctx, adviceLimit(e.ev.Config), errors.New("the time for advice is over"))
	defer cancel()
	facts, proofs := e.memo.View(adviceBudget), e.memo.View(proofBudget)
	defer func() {
		e.spare(facts.Quota())
		e.spare(proofs.Quota())
	}()
	r.Actions = advise.Run(ctx, advise.Query{
		Report: r, Resolver: facts, Atlas: e.ev.Atlas,
		Try: func(ctx context.Context, changes []advise.Change) *verify.Report {
			return e.reevaluate(ctx, m, proofs, changes)
		},
		Zone: func(ctx context.Context, name string) advise.Zone {
			z, err := dns.Authorities{}.Zone(ctx, facts, name)
			if err != nil {
				return advise.Zone{}
			}
			return advise.Zone{Name: z.Name, Servers: z.Servers}
		},
	})
}

// again evaluates the message with changes in the DNS. What they cannot change is taken over: the digest
// of the signatures, and the checks that only inform.
func (e *Evaluation) reevaluate(ctx context.Context, m *verify.Message, asked dns.Resolver, changes []advise.Change) *verify.Report {
	over := dns.Over(asked, e.ev.Now)
	for _, c := range changes {
		over.Set(c.Name, c.Type, c.Records...)
	}
	next := &Evaluation{ev: e.ev, env: e.env, found: maps.Clone(e.found), diagnoses: e.diagnoses, digest: e.digest}
	in := input{env: e.env, msg: m, diagnose: over, expect: func(dns.Question) {}, expanded: e.expanded, keep: func(*dkim.Digest) {}}
	for c := range e.ev.at(early) {
		next.found[c.method] = c.complete(c.run(ctx, e.ev, over, in))
	}
	if slices.ContainsFunc(changes, func(c advise.Change) bool { return strings.Contains(c.Name, "._domainkey.") }) {
		next.found[verify.MethodDKIM] = e.rejudged(ctx, over)
	}
	in.spf, in.dkim = next.found[verify.MethodSPF], next.found[verify.MethodDKIM]
	for c := range e.ev.at(last) {
		next.found[c.method] = c.complete(c.run(ctx, e.ev, over, in))
	}
	r := next.report(m)
	next.conclude(r)
	return r
}

// rejudged is the DKIM check with the words that other keys give. The causes of those that pass now are
// gone.
func (e *Evaluation) rejudged(ctx context.Context, r dns.Resolver) []result.Outcome {
	now := slices.Clone(e.found[verify.MethodDKIM])
	if e.digest == nil {
		return now
	}
	words := dkim.Verifier{DNS: r, Now: e.ev.Now, Signatures: e.ev.Config.Signatures, Turns: e.ev.Turns}.Words(ctx, e.digest)
	for i := range min(len(words), len(now)) {
		if k := &now[i]; k.Result != words[i] {
			k.Result, k.Reason, k.Cause = words[i], result.Reason{}, ""
		}
	}
	for i := range now {
		now[i].Findings = slices.DeleteFunc(slices.Clone(now[i].Findings), func(f result.Finding) bool {
			return slices.ContainsFunc(now, func(o result.Outcome) bool { return mended(o, f) })
		})
	}
	return now
}

// mended: the finding is of a signature that passes.
func mended(c result.Outcome, f result.Finding) bool {
	d := result.Detail[dkim.Signature](c)
	return c.Result == result.Pass && d != nil && slices.ContainsFunc(d.Findings, func(x result.Finding) bool {
		return x.Code == f.Code && x.Args.Equal(f.Args)
	})
}

// conclude adds what needs all checks: the causes that were seen across them, and the receivers.
func (e *Evaluation) conclude(r *verify.Report) {
	for _, d := range e.diagnoses {
		r.Findings = slices.DeleteFunc(r.Findings, d.Explains)
		r.Findings = append(r.Findings, d.Finding)
	}
	if rules := e.ev.Receivers; rules != nil {
		r.Receivers = brief(rules.Judge(receivers.FactsOf(r)))
	}
	sortFindings(r)
}
