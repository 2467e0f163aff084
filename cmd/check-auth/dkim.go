package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"checkauth/verify"
	"checkauth/verify/dkim"
	"checkauth/verify/dmarc"
	"checkauth/verify/dns"
	"checkauth/verify/mail"
	"checkauth/verify/naming"
	"checkauth/verify/result"
)

// dkimCmd is `check-auth dkim`, with what its two ways have in common.
type dkimCmd struct {
	File dkimFileCmd `cmd:"" default:"withargs" help:"Verify the signatures of a saved message, or of one on standard input, and show why they fail. The word file may be left out: check-auth dkim message.eml. With --canon the header and the body are printed as they were signed."`
	Key  dkimKeyCmd  `cmd:"" help:"Look at a published key for what is wrong with it: check-auth dkim key SELECTOR DOMAIN."`

	Resolver string `help:"Ask this DNS resolver instead of the system's." placeholder:"HOST:PORT" xor:"dns"`
	Zone     string `help:"Take the DNS from this zone file and ask nobody." placeholder:"FILE" xor:"dns"`
	JSON     bool   `help:"Print JSON."`
}

// dkimFileCmd is `check-auth dkim message.eml`.
type dkimFileCmd struct {
	Canon   bool   `help:"Print also the header and the body as they were signed."`
	Message string `arg:"" optional:"" default:"-" help:"File with the message, or - for standard input."`
}

// dkimKeyCmd is `check-auth dkim key`.
type dkimKeyCmd struct {
	Selector string `arg:"" help:"Selector: s= of the signature."`
	Domain   string `arg:"" help:"Domain that signs: d= of the signature."`
}

const (
	dkimTime      = 30 * time.Second // of a message with all of its keys
	dkimQuestions = 10               // a key for each signature that is verified
	dkimDiagnosis = 24               // and why there is none that fits
)

// Run verifies the message; exit 0 where a signature passes, 2 where the DNS did not tell, else 1.
func (c *dkimFileCmd) Run(ctx context.Context, e env, shared *dkimCmd) error {
	raw, err := read(c.Message, e.in)
	if err != nil {
		return err
	}
	m := newMessage(verify.Envelope{Time: e.now()}, raw)
	if m.Unparsed != nil {
		return usage("message %q cannot be verified, for its header cannot be read: %w", c.Message, m.Unparsed)
	}
	lines, err := newTerminal(e)
	if err != nil {
		return err
	}
	ask, err := shared.open(ctx, e)
	if err != nil {
		return err
	}
	defer ask.done()
	for i, f := range m.Fields.All("DKIM-Signature") {
		if name, ok := dkim.KeyName(f); ok && i < dkimQuestions {
			ask.memo.Prefetch(dns.Ask(name, dns.TXT))
		}
	}
	show := dkimShow{terminal: lines, fields: m.Fields, canon: c.Canon}
	show.res = ask.verifier.Check(ask.ctx, m.Fields, m.Body)
	show.dmarc = ask.alignment(m.Fields, show.res.Signatures)
	for i := range show.res.Signatures {
		s := &show.res.Signatures[i]
		s.Counts = show.dmarc.Counts(s.Index, s.Word, s.Partly())
	}
	if err := write(e, &show, shared.JSON); err != nil {
		return err
	}
	return dkimExit(show.res.Signatures)
}

// Run looks at the key; exit 0 where signatures with it can verify, 2 where the DNS did not tell, else 1.
func (c *dkimKeyCmd) Run(ctx context.Context, e env, shared *dkimCmd) error {
	selector, domain, err := keyNames(c.Selector, c.Domain)
	if err != nil {
		return err
	}
	lines, err := newTerminal(e)
	if err != nil {
		return err
	}
	ask, err := shared.open(ctx, e)
	if err != nil {
		return err
	}
	defer ask.done()
	show := keyShow{lines, ask.verifier.Key(ask.ctx, selector, domain)}
	if err := write(e, &show, shared.JSON); err != nil {
		return err
	}
	return exitFor(show.key.Word)
}

// dkimExit: one signature that passes is enough for a receiver.
func dkimExit(signatures []dkim.Signature) error {
	best := result.None
	for _, s := range signatures {
		if s.Word == result.Pass || s.Word == result.TempError && best != result.Pass {
			best = s.Word
		}
	}
	return exitFor(best)
}

// dkimAsk is what the two ways ask with.
type dkimAsk struct {
	ctx      context.Context
	memo     *dns.Memo
	verifier dkim.Verifier
	done     func()
}

func (c *dkimCmd) open(ctx context.Context, e env) (*dkimAsk, error) {
	up, closed, err := (&verifyCmd{Resolver: c.Resolver, Zone: c.Zone}).resolver()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, dkimTime, errors.New("the "+dkimTime.String()+" for one message are over"))
	memo := dns.NewMemo(ctx, up)
	return &dkimAsk{
		ctx: ctx, memo: memo,
		verifier: dkim.Verifier{DNS: memo.View(dkimQuestions), Diagnose: memo.View(dkimDiagnosis), Expect: memo.Prefetch, Now: e.now},
		done: func() {
			cancel()
			memo.Wait()
			closed()
		},
	}, nil
}

const (
	alignQuestions = 32 // two walks up a name, and more
	alignDiagnosis = 4
)

// alignment is what DMARC says of the signatures. SPF is left out: a saved message does not tell where it
// came from.
func (a *dkimAsk) alignment(fields mail.Fields, signatures []dkim.Signature) dmarc.Result {
	if len(signatures) == 0 {
		return dmarc.Result{}
	}
	q := dmarc.Query{From: mail.ParseFrom(fields), SPF: dmarc.Identifier{Word: result.None}}
	for _, s := range signatures {
		q.DKIM = append(q.DKIM, dmarc.Identifier{Domain: s.Domain, Selector: s.Selector, Word: s.Word})
	}
	return dmarc.Evaluator{DNS: a.memo.View(alignQuestions), Diagnose: a.memo.View(alignDiagnosis)}.Check(a.ctx, q)
}

// keyNames reads selector and domain as people type them.
func keyNames(selector, domain string) (s, d string, err error) {
	d, ok := naming.Host(strings.TrimSuffix(domain, "."))
	switch {
	case strings.Contains(domain, "@"):
		return "", "", usage("domain %q is an address: give what stands behind the @", domain)
	case strings.Contains(domain, "_domainkey"):
		return "", "", usage("domain %q has _domainkey in it: give the domain alone, such as example.org, and the selector by itself", domain)
	case !ok || !strings.Contains(d, "."):
		return "", "", usage("domain %q is no domain name: give one such as example.org", domain)
	}
	s, ok = naming.Host(selector)
	switch {
	case strings.Contains(selector, "_domainkey"):
		return "", "", usage("selector %q has _domainkey in it: give what stands in front of that, such as s1", selector)
	case !ok:
		return "", "", usage("selector %q is none: give letters, digits and hyphens, such as s1 (RFC 6376, 3.1)", selector)
	}
	if name := s + "._domainkey." + d; !dns.Askable(name) {
		return "", "", usage("%q has over 253 octets, as no DNS name has: choose a shorter selector", name)
	}
	return s, d, nil
}
