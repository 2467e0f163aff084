package dkim

import (
	"context"
	"slices"
	"strings"
	"time"

	"checkauth/verify/result"
)

// explain looks for why signatures do not verify, and puts what it can prove in the place of what was
// only seen. No verdict changes.
func (c *check) explain(ctx context.Context, signatures []*signature) {
	ctx, cancel := halfOf(ctx)
	defer cancel()
	var failed, bodies []*signature
	for _, s := range signatures {
		c.headerVerdict(s)
		if s.Word != result.Pass && s.syntax == nil {
			failed = append(failed, s)
		}
	}
	if len(failed) == 0 {
		return
	}
	// Before the turn: the DNS may hang, and that must not keep others from their search.
	for _, s := range failed {
		c.whyKey(ctx, s)
	}
	cut := !c.searches.Take(ctx)
	if !cut {
		defer c.searches.Give()
	}
	for _, s := range failed {
		c.whyHeader(ctx, s, cut)
		if s.HashComputed != "" && !s.BodyVerifies && len(s.claimed) > 0 {
			bodies = append(bodies, s)
		}
	}
	c.whyBodies(ctx, bodies, cut)
	for _, s := range failed {
		c.whereChanged(s)
	}
}

// halfOf leaves what comes after the search, DMARC above all, half of the time that is left.
func halfOf(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(end)/2)
}

// headerVerdict tells whether the header is as it was signed, whatever became of the body.
func (c *check) headerVerdict(s *signature) {
	if s.HeaderVerifies != nil {
		return // the verdict needed it
	}
	if sum := c.headerSum(s); sum != nil && s.usable() {
		ok := s.key.verifies(sum, s.signed)
		s.HeaderVerifies = &ok
	}
}

// headerSum is the header's hash; nil where there is none: a key is looked at without a message as well.
func (c *check) headerSum(s *signature) []byte {
	if s.Index >= len(c.sums) {
		return nil
	}
	return c.sums[s.Index]
}

// usable: there is a public key that the signature could be of.
func (s *signature) usable() bool {
	return s.keyFault == nil && len(s.signed) > 0 && (s.key.rsa != nil && s.Algorithm == "rsa-sha256" || s.key.ed25519 != nil && s.Algorithm == "ed25519-sha256")
}

// replace puts findings in the place of one that said less; where that was not said they are added.
func (s *signature) replace(code result.Code, with ...result.Finding) {
	at := slices.IndexFunc(s.Findings, func(f result.Finding) bool { return f.Code == code })
	if at < 0 {
		s.Findings = append(s.Findings, with...)
		return
	}
	s.Findings = slices.Replace(s.Findings, at, at+1, with...)
}

func (s *signature) has(code result.Code) bool {
	return slices.ContainsFunc(s.Findings, func(f result.Finding) bool { return f.Code == code })
}

// maxCopies is how many values of z= are looked at for one name.
const maxCopies = 10

// copies are the fields that z= says were signed, by lower-case name: RFC 6376, 3.5. Nothing checks them
// but a hash that is then met.
func (s *signature) copies() map[string][]string {
	if s.copied != nil {
		return s.copied
	}
	s.copied = map[string][]string{}
	z, ok := s.tags.get("z")
	if !ok || s.syntax != nil {
		return s.copied
	}
	for field := range strings.SplitSeq(z.value, "|") {
		name, value, ok := strings.Cut(quotedPrintable(strings.Join(strings.Fields(field), "")), ":")
		name = strings.ToLower(strings.TrimSpace(name))
		if ok && len(s.copied) < maxNames && len(s.copied[name]) < maxCopies {
			s.copied[name] = append(s.copied[name], value)
		}
	}
	return s.copied
}
