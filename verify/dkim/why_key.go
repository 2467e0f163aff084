package dkim

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"checkauth/verify/dns"
	"checkauth/verify/result"
)

// Bounds of the search for a key. Names are asked one after the other, and each key that is found may
// take an RSA operation of up to 8192 bits.
const (
	selectorBound = 16 // other selectors, a signature
	recordBound   = 2  // key records that are looked at, a name
	triedBound    = 48 // keys that are computed with, a message
)

// UsualSelectors are those that panels, guides and providers use most, the likeliest first.
var UsualSelectors = []string{
	"default", "mail", "dkim", "selector1", "selector2", "google", "s1", "s2", "k1", "x",
	"key1", "smtp", "dkim1", "k2", "k3", "mx", "email",
}

// whyKey looks for the key that made a signature where the one that is published did not, or where none
// is. An RSA signature tells which key made it whatever became of the message since; an Ed25519 one does
// where the header is as it was signed. What is not proven so is never said to be the key.
func (c *check) whyKey(ctx context.Context, s *signature) {
	switch {
	case s.has("dkim-key-missing"):
		c.whyMissing(ctx, s)
	case s.has("dkim-key-multiple-records"):
		c.whichOfSeveral(s)
	case s.has("dkim-key-wrong-type") && s.keyFault == nil:
		if f := c.otherSelector(ctx, s, nil); f != nil {
			s.replace("dkim-key-wrong-type", *f)
		}
	case s.Word == result.Fail && s.mismatched():
		s.replace("dkim-header-changed", *c.otherSelector(ctx, s, mismatch(s)))
	case s.Word == result.Fail && s.key.ed25519 != nil && !s.key.verifies(c.headerSum(s), s.signed):
		if f := c.otherSelector(ctx, s, nil); f != nil {
			s.replace("dkim-header-changed", *f)
		}
	}
}

func mismatch(s *signature) *result.Finding {
	return found(result.Found(result.Error, "dkim-key-mismatch", "domain", result.Domain(s.Domain), "selector", s.selector(), "name", result.Domain(s.KeyName)))
}

// mismatched tells whether it is certain that the published key did not make the signature. Of Ed25519
// that is known where another key made it, and else not at all.
func (s *signature) mismatched() bool {
	if s.has("dkim-wrong-selector") {
		return true
	}
	if s.key.rsa == nil || s.keyFault != nil || len(s.signed) == 0 {
		return false
	}
	made, known := s.madeBy(s.key, nil)
	return known && !made
}

// madeBy tells whether a key made the signature, where that can be known. sum is the hash of the header as
// it is now.
func (s *signature) madeBy(k publicKey, sum []byte) (made, known bool) {
	kind := algorithms[s.Algorithm]
	switch {
	case k.rsa == nil && k.ed25519 == nil, kind == "":
		return false, false
	case (kind == "rsa") != (k.rsa != nil):
		return false, true
	case k.ed25519 != nil:
		made = sum != nil && k.verifies(sum, s.signed)
		return made, made
	case len(s.signed) != k.rsa.Size():
		return false, true // RFC 8017, 8.2.2: a signature is as long as its key
	case k.rsa.N.BitLen() < minBits || k.rsa.N.BitLen() > maxBits:
		return false, false
	}
	if _, ok := k.signedHash(s.signed); ok {
		return true, true
	}
	return false, !k.padded(s.signed)
}

// padded tells whether what a signature was made of begins as RFC 8017, 9.2 says, with whatever hash
// behind it: the key fits then, although the signature is not what a= says.
func (k publicKey) padded(sig []byte) bool {
	return strings.HasPrefix(string(opened(k.rsa, sig)), "\x00\x01"+strings.Repeat("\xff", 8))
}

// whyMissing: nothing is published at the name. Proof goes before likelihood: the key at a mistyped name
// that made the signature, one at another selector that did, and then one at a mistyped name of which
// nothing more can be known.
func (c *check) whyMissing(ctx context.Context, s *signature) {
	f, proven := c.mistyped(ctx, s)
	if !proven {
		f = c.otherSelector(ctx, s, f)
	}
	if f != nil {
		s.replace("dkim-key-missing", *f)
	}
}

// place is a name where a key may lie by mistake.
type place struct {
	name  string
	legal bool // a key may lie there by right, for other mail
}

// mistypedNames are what panels and people make of selector._domainkey.domain.
func mistypedNames(s *signature) []place {
	selector, domain := aLabels(s.Selector), aLabels(s.Domain)
	out := []place{
		{name: selector + ".domainkey." + domain},
		{name: selector + "._domainkey." + domain + "." + domain}, // the panel appends the zone
		{name: selector + "." + domain},
		{name: "_domainkey." + domain},
		{name: "_" + selector + "._domainkey." + domain},
		{name: selector + "_domainkey." + domain},
		{name: selector + "._domainkeys." + domain},
		{name: "_domainkey." + selector + "." + domain},
	}
	if _, parent, ok := strings.Cut(domain, "."); ok && strings.Contains(parent, ".") {
		out = append(out, place{selector + "._domainkey." + parent, true})
	}
	return out
}

// mistyped looks for the key at the names that are next to the right one.
func (c *check) mistyped(ctx context.Context, s *signature) (likely *result.Finding, proven bool) {
	places := mistypedNames(s)
	names := make([]string, len(places))
	for i, p := range places {
		names[i] = p.name
	}
	c.announce(names)
	for _, p := range places {
		at, made := c.keyAt(ctx, s, p.name)
		if at == nil || !made && (p.legal || likely != nil) {
			continue
		}
		f := found(result.Found(result.Error, "dkim-key-wrong-name", "name", result.Domain(p.name), "right", s.KeyName))
		f.Evidence = []result.Evidence{at.Evidence()}
		if made {
			return f, true
		}
		likely = f
	}
	return likely, false
}

// otherSelector looks for the key that made the signature at the other selectors of its domain.
func (c *check) otherSelector(ctx context.Context, s *signature, otherwise *result.Finding) *result.Finding {
	names := c.selectorNames(s)
	c.announce(names)
	for _, name := range names {
		at, made := c.keyAt(ctx, s, name)
		if !made {
			continue
		}
		f := found(result.Found(result.Error, "dkim-wrong-selector", "domain", result.Domain(s.Domain), "selector", s.selector(),
			"name", result.Domain(s.KeyName), "other", result.Domain(name)))
		f.Evidence = []result.Evidence{at.Evidence()}
		return f
	}
	return otherwise
}

// selectorNames are the names of other selectors: those that signatures of this message have, which cost
// no question, those with the next numbers, and the usual ones.
func (c *check) selectorNames(s *signature) []string {
	below := "._domainkey." + dns.Canonical(aLabels(s.Domain))
	own := dns.Canonical(s.KeyName)
	var out []string
	for name := range c.keys.seen {
		if strings.HasSuffix(name, below) && name != own {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	free := len(out)
	for _, selector := range append(numbered(dns.Canonical(aLabels(s.Selector))), UsualSelectors...) {
		name := selector + below
		if name != own && !slices.Contains(out, name) && len(out) < free+selectorBound {
			out = append(out, name)
		}
	}
	return out
}

// numbered are the selectors after and before one that ends in a short number: keys are changed in turn.
func numbered(selector string) []string {
	base := strings.TrimRight(selector, "0123456789")
	n, err := strconv.Atoi(selector[len(base):])
	if err != nil || len(selector)-len(base) > 3 || selector[len(base)] == '0' {
		return nil
	}
	out := []string{base + strconv.Itoa(n+1)}
	if n > 1 {
		out = append(out, base+strconv.Itoa(n-1))
	}
	return out
}

// announce tells of the questions that follow.
func (c *check) announce(names []string) {
	if c.diagnose == nil {
		return
	}
	room := furtherBound - len(c.keys.further)
	for _, name := range names {
		if _, ok := c.keys.known(name); ok || !dns.Askable(name) || room <= 0 {
			continue
		}
		room--
		c.expect(dns.Ask(name, dns.TXT))
	}
}

// keyAt looks for a key at a name: the answer that has one, and whether the signature was made with it.
// Keys that certainly did not make it are left out.
func (c *check) keyAt(ctx context.Context, s *signature, name string) (at *dns.Answer, made bool) {
	if !dns.Askable(name) {
		return nil, false
	}
	answer, ok := c.keys.elsewhere(ctx, c.diagnose, name)
	if !ok {
		return nil, false
	}
	records := 0
	for _, text := range answer.Texts() {
		if records == recordBound || !isKeyRecord(text) {
			continue
		}
		records++
		if f := privateKey(name, text); f != nil && !s.has(f.Code) {
			s.Findings = append(s.Findings, *f)
		}
		switch made, known := c.made(s, name, text); {
		case made:
			return &answer, true
		case !known:
			at = &answer
		}
	}
	return at, false
}

// isKeyRecord: other texts lie at such names as well.
func isKeyRecord(text string) bool {
	ts, _ := parseTags(text)
	return ts.value("p") != "" && (strings.HasPrefix(strings.TrimLeft(text, fws+`"`), "v=DKIM1") || reads(text))
}

// made tells whether the signature was made with the key of a record.
func (c *check) made(s *signature, name, text string) (made, known bool) {
	if c.keys.tried >= triedBound {
		return false, true // nothing is said of it
	}
	c.keys.tried++
	_, pub, _ := readKey(name, text)
	var sum []byte
	if pub.ed25519 != nil {
		sum = c.headerSum(s)
	}
	return s.madeBy(pub, sum)
}

// whichOfSeveral tells which record's key is the one in use.
func (c *check) whichOfSeveral(s *signature) {
	a, _ := c.keys.known(s.KeyName)
	var ends []string
	for _, text := range a.answer.Texts() {
		if made, _ := c.made(s, s.KeyName, text); made {
			ts, _ := parseTags(text)
			p := strings.TrimRight(ts.value("p"), "=")
			ends = append(ends, p[max(0, len(p)-16):])
		}
	}
	if len(ends) == 1 {
		s.Findings = append(s.Findings, result.Found(result.Info, "dkim-key-in-use", "name", result.Domain(s.KeyName), "ends", ends[0]))
	}
}
