package arc

import (
	"context"
	"strconv"

	"checkauth/verify/dkim"
	"checkauth/verify/dns"
	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// Check validates the chain: RFC 8617, 5.2.
func (e Evaluator) Check(ctx context.Context, fields mail.Fields, body mail.Data) Result {
	c := read(fields)
	if c.count == 0 {
		return Result{Word: result.None, Reason: result.Because("arc-no-sets"), Instances: []Instance{}}
	}
	v := &validation{chain: c, Result: c.facts()}
	if faults := c.structure(); len(faults) > 0 {
		v.fail(faults)
		return v.Result
	}
	v.Findings = append(v.Findings, result.Found(result.Info, "arc-present", "count", c.length))
	v.message = dkim.Verifier{DNS: &bounded{up: e.DNS}, Now: e.Now, Turns: e.Turns}.Foreign(fields)
	v.validate(ctx, body)
	return v.Result
}

// facts are the chain as it is written.
func (c *chain) facts() Result {
	r := Result{Length: c.length, Instances: make([]Instance, 0, c.length)}
	for i := 1; i <= c.length; i++ {
		s := &c.sets[i]
		in := Instance{Instance: i, CV: c.cv(i), Seal: s.signature(seal), Message: s.signature(message)}
		if f := s.fields[results]; f != nil {
			_, rest := claimed(f.raw.Value())
			in.Authserv, in.Results = authserv(rest)
		}
		r.Instances = append(r.Instances, in)
	}
	return r
}

func (s *set) signature(k int) Signature {
	if s.fields[k] == nil {
		return Signature{}
	}
	f := s.fields[k].signed.Facts()
	return Signature{Domain: f.Domain, Selector: f.Selector, Algorithm: f.Algorithm, KeyName: f.KeyName}
}

// fail puts faults into the result: all at their instances, the first as the reason, some as findings.
func (r *Result) fail(faults []fault) {
	r.Word, r.Reason = result.Fail, faults[0].reason
	for n, f := range faults {
		if n < shownFaults {
			r.Findings = append(r.Findings, f.finding)
		}
		r.at(f.instance, f.reason)
	}
}

func (r *Result) at(instance int, reason result.Reason) {
	if instance > 0 {
		in := &r.Instances[instance-1]
		in.Problems = append(in.Problems, reason)
	}
}

// validation is the part of RFC 8617, 5.2 that computes.
type validation struct {
	*chain
	Result
	message *dkim.Foreign
	faults  []fault       // the first is the reason
	unknown *dkim.Outcome // the first thing that could not be learnt
}

// validate: all seals are verified, also where the first fault decides already: the report tells which
// hosts' words came through whole.
func (v *validation) validate(ctx context.Context, body mail.Data) {
	v.message.HashBody(ctx, body, v.signed())
	v.newest(ctx)
	v.seals(ctx)
	if v.Instances[v.length-1].Message.Word == result.Pass {
		v.oldest(ctx)
	}
	switch {
	case len(v.faults) > 0:
		v.fail(v.faults)
	case v.unknown != nil:
		v.Word, v.Reason, v.Cause = result.TempError, v.unknown.Reason, v.unknown.Cause
		v.Findings = append(v.Findings, result.Finding{Severity: result.Warning, Code: v.Reason.Code, Args: v.Reason.Args})
	default:
		v.Word, v.Reason = result.Pass, result.Because("arc-chain-verifies", "count", v.length)
	}
}

// signed are the signatures of the message, the newest first.
func (v *validation) signed() (out []dkim.ForeignField) {
	for i := v.length; i >= 1; i-- {
		out = append(out, v.sets[i].fields[message].signed)
	}
	return out
}

// newest: RFC 8617, 5.2, step 4.
func (v *validation) newest(ctx context.Context) {
	i := v.length
	v.took(i, v.ofMessage(ctx, i), v.messageFault)
}

// ofMessage verifies the message signature of an instance and puts the word into the facts.
func (v *validation) ofMessage(ctx context.Context, i int) dkim.Outcome {
	f := v.sets[i].fields[message]
	o := v.message.Message(ctx, f.signed, f.at)
	// RFC 8617, 4.1.2: it must not cover a seal, which is made after it.
	if f.signs(names[seal]) {
		o = dkim.Outcome{Word: result.PermError, Reason: result.Because("arc-signs-seal"), Detail: "h= names " + names[seal]}
	}
	v.Instances[i-1].Message.Word = o.Word
	return o
}

// seals: RFC 8617, 5.2, step 6, from the newest. What each covers is made in the other direction.
func (v *validation) seals(ctx context.Context) {
	above := make([][]byte, v.length+1)
	var all []byte
	for i := 1; i <= v.length; i++ {
		// RFC 8617, 5.1.1: the sets in order, and in each the results, the message signature, the seal.
		all = append(all, dkim.Relaxed(v.sets[i].fields[results].raw)...)
		all = append(all, dkim.Relaxed(v.sets[i].fields[message].raw)...)
		above[i] = all
		all = append(all, dkim.Relaxed(v.sets[i].fields[seal].raw)...)
	}
	for i := v.length; i >= 1; i-- {
		o := v.ofSeal(ctx, i, above[i])
		v.Instances[i-1].Seal.Word = o.Word
		v.took(i, o, v.sealFault)
	}
}

func (v *validation) ofSeal(ctx context.Context, i int, above []byte) dkim.Outcome {
	f := v.sets[i].fields[seal].signed
	// RFC 8617, 4.1.3: h= fails the chain; what a seal covers is fixed.
	if _, ok := f.Tag("h"); ok {
		return dkim.Outcome{Word: result.PermError, Reason: result.Because("arc-seal-has-h"), Detail: "h= in it"}
	}
	return v.message.Seal(ctx, f, above)
}

// took takes what became of a signature that must pass.
func (v *validation) took(i int, o dkim.Outcome, say func(int, dkim.Outcome) fault) {
	switch o.Word {
	case result.Pass:
		return
	case result.TempError:
		if v.unknown == nil {
			v.unknown = &o
		}
		v.at(i, o.Reason)
	default:
		v.faults = append(v.faults, say(i, o))
		if !o.Reason.IsZero() && o.Word != result.Fail {
			v.at(i, o.Reason)
		}
	}
}

// oldest: RFC 8617, 5.2, step 5. It comes after the seals, whose keys must not be among those that are
// beyond the bound.
func (v *validation) oldest(ctx context.Context) {
	for i := v.length - 1; i >= 1; i-- {
		o := v.ofMessage(ctx, i)
		if o.Word == result.Pass {
			continue
		}
		v.at(i, o.Reason)
		if o.Word == result.TempError {
			return
		}
		oldest := i + 1
		v.OldestPass = &oldest
		if o.Word == result.Fail {
			v.Findings = append(v.Findings, result.Found(result.Info, "arc-broken-between",
				"host", result.Domain(v.sets[i].host()), "instance", i, "next", result.Domain(v.sets[i+1].host())))
		}
		return
	}
	v.OldestPass = new(int)
}

// bounded is a resolver that answers so many questions; the validation asks each name once.
type bounded struct {
	up    dns.Resolver
	asked int
}

// maxKeys of one chain. Most have one key an instance, and few have five instances.
const maxKeys = 10

// Resolve implements dns.Resolver, for one goroutine.
func (b *bounded) Resolve(ctx context.Context, q dns.Question) (dns.Answer, error) {
	if b.asked++; b.asked > maxKeys {
		return dns.Answer{}, &dns.Error{Question: q, Kind: dns.Budget, Detail: strconv.Itoa(maxKeys) + " keys of one chain"}
	}
	return b.up.Resolve(ctx, q)
}
