package dkim

import (
	"context"
	"time"

	"checkauth/verify/dns"
	"checkauth/verify/mail"
	"checkauth/verify/panics"
	"checkauth/verify/result"
	"checkauth/verify/share"
)

// signatureBound is how many signatures are verified where Verifier does not say.
const signatureBound = 10

// check is one judging of a message.
type check struct {
	*Digest
	now  time.Time
	keys keys

	diagnose dns.Resolver // nil: nobody is asked
	expect   func(dns.Question)
	searches share.Turns
	turns    share.Turns
}

// Check verifies the signatures of a message, from the top. Where there are no fields there are no
// signatures.
func (v Verifier) Check(ctx context.Context, fields mail.Fields, body mail.Data) Result {
	return v.Judge(ctx, v.Digest(ctx, fields, body))
}

// Judge verifies the signatures of a digest with the keys that v.DNS gives. How many are evaluated was
// settled with the digest. go-msgauth is asked about a signature where it was not before, or another
// answer has come in place of the key that it was asked with.
func (v Verifier) Judge(ctx context.Context, d *Digest) Result {
	return v.over(d).result(ctx)
}

// Words is Judge without the search for causes: the words alone, a signature each.
func (v Verifier) Words(ctx context.Context, d *Digest) []result.Word {
	out := make([]result.Word, 0, len(d.signatures))
	for _, s := range v.over(d).verdicts(ctx) {
		out = append(out, s.Word)
	}
	return out
}

func (v Verifier) begin(fields mail.Fields, body mail.Data, lib library) *check {
	return v.over(newDigest(fields, body, lib))
}

func (v Verifier) over(d *Digest) *check {
	c := &check{Digest: d, now: v.now(), keys: keys{dns: v.DNS, seen: map[string]keyAnswer{}}, diagnose: v.Diagnose, expect: v.Expect, searches: v.Searches, turns: v.Turns}
	if c.expect == nil {
		c.expect = func(dns.Question) {}
	}
	return c
}

func (c *check) result(ctx context.Context) Result {
	if len(c.signatures) == 0 {
		return Result{Findings: append(c.header.dkim2(), result.Found(result.Warning, "dkim-not-signed"))}
	}
	signatures := c.verdicts(ctx)
	evaluated := signatures[:c.evaluated]
	for _, s := range evaluated {
		s.Findings = append(s.Findings, c.remarks(s)...)
	}
	fault := c.safely(ctx, evaluated)
	return Result{Fault: fault, Signatures: plain(signatures), Findings: append(ofAll(len(signatures), evaluated), c.header.dkim2()...)}
}

// safely explains. A fault of the search must not cost the verdicts.
func (c *check) safely(ctx context.Context, evaluated []*signature) (fault *panics.Recovered) {
	defer panics.Recover(func(r *panics.Recovered) { fault = r })
	c.explain(ctx, evaluated)
	return nil
}

// verdicts gives each signature, in a copy of its own, its verdict.
func (c *check) verdicts(ctx context.Context) []*signature {
	signatures := make([]*signature, len(c.signatures))
	for i, s := range c.signatures {
		own := *s
		signatures[i] = &own
	}
	evaluated := signatures[:c.evaluated]
	for _, s := range evaluated {
		s.lookUp(ctx, &c.keys)
	}
	c.turns.Do(ctx, func() { // the keys are there
		for _, s := range evaluated {
			s.conclude(c.judge(ctx, s))
		}
	})
	for _, s := range signatures[c.evaluated:] {
		s.conclude(verdict{word: result.Neutral, reason: result.Because("dkim-not-evaluated")})
	}
	return signatures
}

func (v Verifier) now() time.Time {
	if v.Now == nil {
		return time.Now()
	}
	return v.Now()
}

func (v Verifier) bound() int {
	if v.Signatures <= 0 {
		return signatureBound
	}
	return v.Signatures
}

func (s *signature) conclude(v verdict) {
	s.Word, s.Reason, s.Cause, s.Findings = v.word, v.reason, v.cause, v.findings
}

func plain(signatures []*signature) []Signature {
	out := make([]Signature, len(signatures))
	for i, s := range signatures {
		out[i] = s.Signature
	}
	return out
}
