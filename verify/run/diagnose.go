package run

import (
	"context"
	"net/netip"
	"strings"

	"checkauth/verify"
	"checkauth/verify/diagnose"
	"checkauth/verify/dkim"
	"checkauth/verify/dns"
	"checkauth/verify/panics"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

// Budgets of questions for causes that need several checks.
const (
	diagnosisBudget = 14
	authorityBudget = 16 // to find a zone's servers; they themselves are at most 8 a question
)

// diagnose looks for the causes that need several checks. It changes no result.
func (e *Evaluation) diagnose(ctx context.Context, r *verify.Report, m *verify.Message) (found []diagnose.Diagnosis) {
	defer panics.Recover(e.ev.panicked(e.env.ID, "diagnose"))
	if !e.ev.unseen(e.env.Client.Addr()).IsZero() || m.Unparsed != nil {
		return nil
	}
	view := e.memo.View(diagnosisBudget)
	defer func() { e.spare(view.Quota()) }()
	return diagnose.Run(ctx, e.doubts(r, m, view))
}

// doubts is what diagnose may ask.
func (e *Evaluation) doubts(r *verify.Report, m *verify.Message, view *dns.View) diagnose.Query {
	q := diagnose.Query{
		Report: r, Hops: m.Fields.Received(), Resolver: view,
		SPF: func(ctx context.Context, client netip.Addr) result.Word {
			return e.spfWith(ctx, view, client)
		},
		Again: func(ctx context.Context, q dns.Question, records []dns.Record) (result.Word, []result.Word) {
			over := dns.Over(view, e.ev.Now)
			over.Set(q.Name, q.Type, records...)
			if !strings.Contains(q.Name, "._domainkey.") {
				return e.spfWith(ctx, over, e.env.Client.Addr()), nil
			}
			digest := e.found[verify.MethodDKIM].digest
			if digest == nil {
				return "", nil
			}
			return "", dkim.Verifier{DNS: over, Now: e.ev.Now}.Words(ctx, digest)
		},
	}
	if e.ev.Authorities != nil {
		q.Servers = e.servers
	}
	return q
}

// servers asks the zones' own servers, on the sender's account. Where a quota of ours has refused one of these
// questions nothing is said of any server: silence would be ours.
func (e *Evaluation) servers(ctx context.Context, q dns.Question) (string, []dns.Statement) {
	view := e.memo.View(authorityBudget)
	zone, said := e.authorities().Of(ctx, view, q)
	e.spare(view.Quota())
	for _, s := range said {
		if s.Err != nil && dns.AsError(q, s.Err).Kind == dns.Quota {
			e.spare(s.Err)
			return "", nil
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = append(e.heard, statements{q, zone, said})
	return zone, said
}

// authorities are the Evaluator's, charged to who sent the message.
func (e *Evaluation) authorities() dns.Authorities {
	a := e.ev.Authorities
	out := dns.Authorities{Permit: a.Permit, Ask: func(ctx context.Context, server netip.Addr, q dns.Question) (dns.Answer, error) {
		there := dns.ResolverFunc(func(ctx context.Context, q dns.Question) (dns.Answer, error) { return a.Ask(ctx, server, q) })
		return e.ev.charged(e.env, there).Resolve(ctx, q)
	}}
	if a.Refer != nil {
		out.Refer = func(ctx context.Context, server netip.Addr, name string) (d dns.Delegation, err error) {
			there := dns.ResolverFunc(func(ctx context.Context, _ dns.Question) (dns.Answer, error) {
				d, err = a.Refer(ctx, server, name)
				return dns.Answer{Records: make([]dns.Record, len(d.Servers))}, err
			})
			_, err = e.ev.charged(e.env, there).Resolve(ctx, dns.Ask(name, dns.NS))
			return d, err
		}
	}
	return out
}

// spfWith is SPF of MAIL FROM with another resolver or client.
func (e *Evaluation) spfWith(ctx context.Context, r dns.Resolver, client netip.Addr) result.Word {
	q := spfQuery(e.env)
	q.IP = client
	return spf.Evaluator{DNS: r, Host: e.env.Host, Now: e.ev.Now}.Check(ctx, q).Word
}
