package dkim

import (
	"context"

	"github.com/emersion/go-msgauth/dkim"

	"checkauth/verify/result"
)

// judge gives one signature its verdict. A rule that objects decides: we may be stricter than
// go-msgauth, never laxer. What remains we compute ourselves, and where go-msgauth can answer we have it
// compute the same; the package comment says whose word then counts.
func (c *check) judge(ctx context.Context, s *signature) verdict {
	for _, rule := range rules {
		if v := rule(s, c.now); v != nil {
			return *v
		}
	}
	if c.bodyErr != nil {
		return verdict{word: result.TempError, reason: result.Because("dkim-body-not-read"), cause: c.bodyErr}
	}
	own := c.verify(s)
	if own.word == result.Policy || !c.answerable(s) {
		return own
	}
	return c.settle(s, own, c.ask(ctx, s))
}

// verify is our own verification: RFC 6376, 6.1.3, in its order, the body's hash first.
func (c *check) verify(s *signature) verdict {
	switch {
	case !s.BodyVerifies && s.Length != nil && *s.Length > s.CanonLength:
		// RFC 6376, 3.5: l= must not be larger than the body.
		return verdict{word: result.Fail, reason: result.Because("dkim-body-shorter-than-l"),
			findings: []result.Finding{result.Found(result.Error, "dkim-body-changed", "domain", result.Domain(s.Domain), "selector", s.selector())}}
	case !s.BodyVerifies:
		return verdict{word: result.Fail, reason: result.Because("dkim-body-hash-differs"),
			findings: []result.Finding{result.Found(result.Error, "dkim-body-changed", "domain", result.Domain(s.Domain), "selector", s.selector())}}
	case !c.headerVerifies(s):
		return verdict{word: result.Fail, reason: result.Because("dkim-header-hash-differs"),
			findings: []result.Finding{result.Found(result.Error, "dkim-header-changed", "domain", result.Domain(s.Domain), "selector", s.selector())}}
	case s.Length != nil && *s.Length != s.CanonLength:
		return verdict{word: result.Policy, reason: s.otherLength()}
	}
	return verdict{word: result.Pass, reason: c.passes(s)}
}

// otherLength is why a signature whose l= is not the body's length verifies and is not accepted all the same, which
// RFC 8601, 2.7.1 calls policy. RFC 6376, 8.2: anybody can append to such a message, and the whole is then shown as the
// signer's; 3.5: l= must not be larger than the body.
func (s *signature) otherLength() result.Reason {
	code := result.Code("dkim-body-partly-signed")
	if *s.Length > s.CanonLength {
		code = "dkim-l-beyond-body"
	}
	return result.Because(code, "length", *s.Length, "body", s.CanonLength)
}

// headerVerifies puts what it finds into the facts.
func (c *check) headerVerifies(s *signature) bool {
	ok := s.key.verifies(c.sums[s.Index], s.signed)
	s.HeaderVerifies = &ok
	return ok
}

// passes is the reason of a pass, in words that scripts know: whether d= and From are one domain, or
// one is below the other. Whether that aligns is DMARC's to say.
func (c *check) passes(s *signature) result.Reason {
	from := c.author
	if from.Domain != "" && (isUnder(from.Domain, s.Domain) || isUnder(s.Domain, from.Domain)) && len(from.Addresses) > 0 {
		return result.Because("dkim-matches-from", "address", from.Addresses[0].Local+"@"+from.Addresses[0].Domain)
	}
	return result.Because("dkim-matches-no-header")
}

// settle puts both opinions together. own is pass or fail.
func (c *check) settle(s *signature, own verdict, lib opinion) verdict {
	switch {
	case !lib.asked:
		return own
	case lib.recovered != nil:
		return verdict{word: result.TempError, reason: result.Because("dkim-verifier-panicked"), cause: panicError(lib.recovered)}
	case lib.err == nil:
		return verdict{word: result.Pass, reason: c.passes(s)}
	case own.word != result.Pass, isOverruled(lib.err):
		return own
	}
	return objection(lib.err)
}

// objection is go-msgauth's alone; we know of no message for which it comes to this.
func objection(err error) verdict {
	v := verdict{word: result.TempError, cause: err}
	switch {
	case dkim.IsPermFail(err):
		v.word = result.PermError
	case dkim.IsTempFail(err):
	case isOfSignature(err):
		v.word, v.cause = result.Fail, nil
	}
	v.reason = result.Because("dkim-verifier-objects", "error", err.Error())
	return v
}
