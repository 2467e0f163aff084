package run

import (
	"context"
	"errors"
	"strings"

	"checkauth/verify"
	"checkauth/verify/dmarc"
	"checkauth/verify/dns"
	"checkauth/verify/mail"
	"checkauth/verify/naming"
	"checkauth/verify/result"
)

// senderQuestions is what the envelope sender's domain may cost: the walk to its DMARC record, which is the author's
// nearly always, and its MX.
const senderQuestions = 11

// askSender learns what the domain of MAIL FROM says of mail in its name, beside the checks.
func (e *Evaluation) askSender() {
	domain := naming.Domain(e.env.MailFrom)
	if !dns.Askable(domain) || strings.HasPrefix(domain, "[") {
		return
	}
	e.sender.Undecided = true // until it is known
	e.ask(&e.early, "sender", senderQuestions, func(ctx context.Context, r dns.Resolver) {
		s := senderOf(ctx, r, domain)
		e.mu.Lock()
		defer e.mu.Unlock()
		e.sender = s
	})
}

// rank decides what proves the envelope sender: once, after the checks and before advice.
func (e *Evaluation) rank(r *verify.Report) {
	e.mu.Lock()
	r.Sender = e.sender
	e.mu.Unlock()
	if d := r.Check(verify.MethodSPF); d.Details.SPF != nil {
		r.Sender.Undecided = r.Sender.Undecided || undecided(d.Result, d.Details.SPF.Cause, false)
	}
	if d := r.Check(verify.MethodDMARC); d.Details.DMARC != nil {
		r.Sender.Undecided = r.Sender.Undecided || undecided(d.Result, d.Details.DMARC.Cause, true)
	}
	e.ev.Standing.Decide(r)
}

func senderOf(ctx context.Context, r dns.Resolver, domain string) verify.Sender {
	author := mail.From{Fields: 1, Domain: domain, Addresses: []mail.Address{{Local: "postmaster", Domain: domain}}}
	res := dmarc.Evaluator{DNS: r}.Check(ctx, dmarc.Query{From: author})
	s := verify.Sender{Policy: res.Policy, PolicyName: res.PolicyName, Undecided: undecided(res.Word, res.Cause, true)}
	if a, err := r.Resolve(ctx, dns.Ask(domain, dns.MX)); err == nil {
		for _, m := range a.Records {
			if host, ok := naming.ASCII(m.Target); ok && host != "" {
				s.MX = append(s.MX, host)
			}
		}
	}
	return s
}

// undecided tells whether a check ended in an error that says nothing of the domain: our own bound of questions for one
// message, and of a DMARC record's look-up every error but silence. A domain whose own servers are silent has only itself to
// blame, and its administrator is who needs the report.
func undecided(w result.Word, cause error, record bool) bool {
	if w != result.TempError {
		return false
	}
	var e *dns.Error
	switch {
	case !errors.As(cause, &e):
		return false
	case e.Kind == dns.Budget:
		return true
	}
	return record && e.Kind != dns.Timeout && e.Kind != dns.Lame && e.Kind != dns.Canceled
}
