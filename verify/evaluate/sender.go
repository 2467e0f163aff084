package evaluate

import (
	"context"
	"errors"
	"slices"
	"strings"

	"checkauth/verify"
	"checkauth/verify/dkim"
	"checkauth/verify/dmarc"
	"checkauth/verify/dns"
	"checkauth/verify/mail"
	"checkauth/verify/naming"
	"checkauth/verify/panics"
	"checkauth/verify/result"
	"checkauth/verify/spf"
	"checkauth/verify/standing"
)

// Questions that the envelope sender's domain may cost: the walk to its DMARC record with the question whether the
// domain exists, which the author's domain needs too and nearly always is; and its MX.
const (
	senderQuestions = 10
	mxQuestions     = 1
)

// sender is what the domain of MAIL FROM says; known once asked.
type sender struct {
	domain string // "" where there is none to ask about
	said   verify.Sender
	policy dmarc.Result
}

// askSender learns what the domain of MAIL FROM says of mail in its name, beside the checks.
func (e *Evaluation) askSender() {
	domain := naming.Domain(e.env.MailFrom)
	if !dns.Askable(domain) || strings.HasPrefix(domain, "[") {
		return
	}
	e.sender.domain = domain
	e.sender.policy.Word = result.TempError // until it is known
	e.ask(&e.early, "sender's policy", senderQuestions, func(ctx context.Context, r dns.Resolver) {
		p := ownPolicy(ctx, r, domain, nil)
		e.mu.Lock()
		defer e.mu.Unlock()
		e.sender.policy = p
	})
	e.ask(&e.early, "sender's mail servers", mxQuestions, func(ctx context.Context, r dns.Resolver) {
		mx := exchangers(ctx, r, domain)
		e.mu.Lock()
		defer e.mu.Unlock()
		e.sender.said.MX = mx
	})
}

// ownPolicy is what DMARC says of a mail whose author is at the domain, and that has these signatures.
func ownPolicy(ctx context.Context, r dns.Resolver, domain string, signed []dmarc.Identifier) dmarc.Result {
	author := mail.From{Fields: 1, Domain: domain, Addresses: []mail.Address{{Local: "postmaster", Domain: domain}}}
	nobody := dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
		return dns.Answer{}, &dns.Error{Question: q, Kind: dns.Budget} // findings are made of it, and thrown away
	})
	return dmarc.Evaluator{DNS: r, Diagnose: nobody}.Check(ctx, dmarc.Query{From: author, DKIM: signed})
}

func exchangers(ctx context.Context, r dns.Resolver, domain string) (out []string) {
	a, err := r.Resolve(ctx, dns.Ask(domain, dns.MX))
	if err != nil {
		return nil
	}
	for _, m := range a.Records {
		if host, ok := naming.ASCII(m.Target); ok && host != "" {
			out = append(out, host)
		}
	}
	return out
}

// rank decides what proves the envelope sender: once, after the checks and before advice.
func (e *Evaluation) rank(ctx context.Context, r *verify.Report) {
	e.mu.Lock()
	s := e.sender
	e.mu.Unlock()
	r.Sender = s.said
	r.Sender.Known = s.domain != "" && s.policy.Word != result.TempError
	r.Sender.Policy, r.Sender.PolicyName = string(s.policy.Policy), s.policy.PolicyName
	r.Sender.Aligned = e.aligned(ctx, s, r)
	r.Sender.Undecided = undecided(s, r)
	standing.Rules{Servers: e.ev.Servers, Atlas: e.ev.Atlas}.Decide(r)
}

// aligned are the d= of signatures that pass and align with the sender's domain by the DMARC record that applies to it.
func (e *Evaluation) aligned(ctx context.Context, s sender, r *verify.Report) (out []string) {
	var signed []dmarc.Identifier
	for _, c := range r.All(verify.MethodDKIM) {
		if d := result.Detail[dkim.Signature](c); d != nil && c.Result == result.Pass {
			signed = append(signed, dmarc.Identifier{Domain: d.Domain, Word: c.Result})
		}
	}
	if s.policy.PolicyName == "" || len(signed) == 0 {
		return nil
	}
	defer panics.Recover(e.ev.panicked(e.env.ID, "sender's signatures"))
	view := e.memo.View(dmarc.Questions)
	defer func() { e.blame(view.Quota()) }()
	for _, row := range ownPolicy(ctx, view, s.domain, signed).DKIM {
		if row.Aligned {
			out = append(out, naming.Key(row.Domain))
		}
	}
	return out
}

// undecided tells whether a fault that says nothing of the domain leaves its word unknown, so that what looks open may
// be refuted.
func undecided(s sender, r *verify.Report) bool {
	from, author := r.Check(verify.MethodSPF), r.Check(verify.MethodDMARC)
	if from.Result == result.TempError && ours(from) {
		return true
	}
	silent := silentServers(s.domain, from)
	if s.domain != "" && s.policy.Word == result.TempError && !silent(s.policy.Cause) {
		return true
	}
	switch d := result.Detail[dmarc.Result](author); {
	case author.Result != result.TempError:
		return false
	case d == nil:
		return true // its own fault
	case errors.Is(d.Cause, dmarc.ErrIdentifier):
		return slices.ContainsFunc(r.All(verify.MethodDKIM), func(c result.Outcome) bool {
			return c.Result == result.TempError && ours(c)
		})
	default:
		return !silent(d.Cause)
	}
}

// ours: the check ended at our own bound of questions for one message, or at a fault of the program.
func ours(c result.Outcome) bool {
	var cause error
	switch d := c.Detail.(type) {
	case *spf.Result:
		cause = d.Cause
	case *dkim.Signature:
		cause = d.Cause
	default:
		return true
	}
	e, ok := errors.AsType[*dns.Error](cause)
	return ok && e.Kind == dns.Budget
}

// silentServers tells errors that are nothing but the silence of all servers of the sender's domain, which does not say
// either where its SPF record is asked for: a domain whose servers are down has itself to blame, and its administrator
// is who needs the report. Where they answer one question and not the other, somebody may have seen to that.
func silentServers(domain string, from result.Outcome) func(error) bool {
	silence := func(err error) (dns.Question, bool) {
		e, ok := errors.AsType[*dns.Error](err)
		if !ok {
			return dns.Question{}, false
		}
		return e.Question, e.Kind == dns.Timeout || e.Kind == dns.Lame || e.Kind == dns.Canceled
	}
	all := false
	if d := result.Detail[spf.Result](from); d != nil && from.Result == result.TempError {
		q, ok := silence(d.Cause)
		all = ok && q == dns.Ask(domain, dns.TXT)
	}
	return func(err error) bool {
		q, ok := silence(err)
		return all && ok && naming.SameOrganisation(q.Name, domain)
	}
}
