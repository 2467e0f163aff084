package evaluate

import (
	"context"
	"net/netip"
	"strings"
	"sync"

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
			if e.digest == nil {
				return "", nil
			}
			return "", dkim.Verifier{DNS: over, Now: e.ev.Now, Turns: e.ev.Turns}.Words(ctx, e.digest)
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
	var refused refusal
	zone, said := e.authorities(&refused).Of(ctx, view, q)
	e.spare(view.Quota())
	if err := refused.first(); err != nil {
		e.spare(err)
		return "", nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = append(e.heard, statements{q, zone, said})
	return zone, said
}

// refusal keeps the quota that refused one of several questions.
type refusal struct {
	mu  sync.Mutex
	err error
}

func (r *refusal) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

func (r *refusal) first() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// authorities are the Evaluator's, charged to who sent the message.
func (e *Evaluation) authorities(refused *refusal) dns.Authorities {
	out := *e.ev.Authorities
	if e.account != nil {
		out.Charge = func(server netip.Addr, q dns.Question) error {
			err := e.account.Direct(server, q)
			if err != nil {
				refused.note(err)
			}
			return err
		}
	}
	return out
}

// spfWith is SPF of MAIL FROM with another resolver or client.
func (e *Evaluation) spfWith(ctx context.Context, r dns.Resolver, client netip.Addr) result.Word {
	q := spfQuery(e.env)
	q.IP = client
	return spf.Evaluator{DNS: r, Expanded: e.expanded, Host: e.env.Host, Now: e.ev.Now}.Check(ctx, q).Word
}
