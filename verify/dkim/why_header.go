package dkim

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"maps"
	"slices"
	"strings"

	"checkauth/verify/result"
)

const (
	headerSearch = 16 << 20 // octets hashed for the header of one signature
	maxVerify    = 500      // Ed25519 verifications a message; RSA needs one, which gives the signed hash back
	maxPairs     = 60       // alternatives that are tried two by two
)

// headerTarget tells whether a header's hash is the one that was signed.
type headerTarget struct {
	sum  []byte // of RSA: the hash itself
	key  ed25519.PublicKey
	sig  []byte
	left int // verifications of Ed25519
}

// over: not all that there was could be tried.
func (t *headerTarget) over() bool { return t.key != nil && t.left < 0 }

func (c *check) target(s *signature) (t headerTarget, ok bool) {
	if s.key.ed25519 != nil {
		return headerTarget{key: s.key.ed25519, sig: s.signed, left: maxVerify / max(c.evaluated, 1)}, true
	}
	sum, ok := s.key.signedHash(s.signed)
	return headerTarget{sum: sum}, ok
}

func (t *headerTarget) is(sum []byte) bool {
	if t.sum != nil {
		return bytes.Equal(sum, t.sum)
	}
	t.left--
	return t.left >= 0 && ed25519.Verify(t.key, sum, t.sig)
}

// headerSearcher looks for the header that was signed: the one that came in, changed back.
type headerSearcher struct {
	ctx    context.Context
	s      *signature
	target headerTarget
	left   int64
	cut    bool

	signed []signedField // as h= names them; the signature's own field is the last
	canon  string
	base   [][]byte // canonical
	met    bool
	found  []result.Finding
}

// signedField is one place in h=.
type signedField struct {
	name string // as h= has it
	raw  []byte // with its CRLF; nil where h= names a field that is not there
	at   int    // its place in the header, -1 without one
}

// whyHeader explains a signature that is not that of the header. cut: there is no time to.
func (c *check) whyHeader(ctx context.Context, s *signature, cut bool) {
	if s.HeaderVerifies == nil || *s.HeaderVerifies || s.mismatched() {
		return // where another key made it the header has nothing to tell
	}
	target, ok := c.target(s)
	if !ok {
		return
	}
	h := &headerSearcher{ctx: ctx, s: s, target: target, left: headerSearch, cut: cut, canon: s.Header, signed: c.header.signedFields(s.Signed, c.header.signs[s.Index])}
	h.signed = append(h.signed, signedField{name: fieldName, raw: s.withoutSignature(), at: c.header.signs[s.Index]})
	h.all(c)
	if h.met {
		s.replace("dkim-header-changed", h.found...)
		return
	}
	if s.Word == result.Fail || s.has("dkim-header-changed") {
		s.replace("dkim-header-changed", c.unexplained(s))
	}
	if !s.has("dkim-header-changed") && !s.has("dkim-header-or-key") {
		return
	}
	if h.over() {
		s.Findings = append(s.Findings, result.Found(result.Info, "dkim-header-not-searched", "domain", result.Domain(s.Domain), "selector", s.selector()))
		return
	}
	s.Findings = append(s.Findings, result.Found(result.Info, "dkim-header-excluded", "domain", result.Domain(s.Domain), "selector", s.selector()))
}

// unexplained: of RSA it is known that the key is the signer's.
func (c *check) unexplained(s *signature) result.Finding {
	if s.key.ed25519 != nil {
		return result.Found(result.Error, "dkim-header-or-key", "domain", result.Domain(s.Domain), "selector", s.selector(), "name", result.Domain(s.KeyName))
	}
	return result.Found(result.Error, "dkim-header-changed", "domain", result.Domain(s.Domain), "selector", s.selector())
}

// signedFields are the fields that h= names, in its order, as RFC 6376, 5.4.2 says: each name takes the
// next field from the bottom, and where none is left it stands for nothing.
func (h *header) signedFields(names []string, self int) []signedField {
	taken := map[string]int{}
	out := make([]signedField, 0, len(names)+1)
	for _, name := range names {
		key := strings.ToLower(name)
		places := h.named[key]
		// RFC 6376, 5.4: the field itself is always signed, so that its name in h= means others.
		if at := taken[key]; at < len(places) && places[at] == self {
			taken[key]++
		}
		f := signedField{name: name, at: -1}
		if at := taken[key]; at < len(places) {
			f.raw, f.at = h.raw[places[at]], places[at]
			taken[key]++
		}
		out = append(out, f)
	}
	return out
}

// canonical makes one field canonical; the signature's own has no CRLF.
func (h *headerSearcher) canonical(i int, raw []byte) []byte {
	if raw == nil {
		return nil
	}
	if i == len(h.signed)-1 {
		if h.canon == relaxed {
			return bytes.TrimSuffix(relaxedHeader(raw), crlf)
		}
		return raw
	}
	return canonHeader(h.canon, raw)
}

// change is a field's other form.
type change struct {
	field int
	raw   []byte // nil: not there
	canon []byte
	cause cause
}

// all tries one change, then the same change on all fields, then two.
func (h *headerSearcher) all(c *check) {
	h.recanon()
	h.otherCanon()
	var changes []change
	for _, make := range fieldChanges {
		for i, f := range h.signed {
			for _, ch := range make(c, h.s, f, i == len(h.signed)-1) {
				ch.field = i
				ch.canon = h.canonical(i, ch.raw)
				if bytes.Equal(ch.canon, h.base[i]) {
					continue
				}
				if h.try(ch) {
					return
				}
				if len(changes) < maxPairs {
					changes = append(changes, ch)
				}
			}
			if h.over() {
				return
			}
		}
	}
	h.everywhere(c)
	h.pairs(changes)
}

func (h *headerSearcher) recanon() {
	h.base = make([][]byte, len(h.signed))
	for i, f := range h.signed {
		h.base[i] = h.canonical(i, f.raw)
	}
}

func (h *headerSearcher) over() bool { return h.cut || h.target.over() || h.ctx.Err() != nil }

// try hashes the header with changes in it.
func (h *headerSearcher) try(changes ...change) bool {
	if h.met || h.over() {
		return h.met
	}
	sum := sha256.New()
	for i, canon := range h.base {
		for _, ch := range changes {
			if ch.field == i {
				canon = ch.canon
			}
		}
		if h.left -= int64(len(canon)); h.left < 0 {
			h.cut = true
			return false
		}
		sum.Write(canon)
	}
	if !h.target.is(sum.Sum(nil)) {
		return false
	}
	h.met = true
	for _, ch := range changes {
		h.say(ch.cause(h.s))
	}
	return true
}

// say leaves out what is said already.
func (h *headerSearcher) say(f result.Finding) {
	for _, g := range h.found {
		if g.Code == f.Code && g.Args.Equal(f.Args) {
			return
		}
	}
	h.found = append(h.found, f)
}

// otherCanon: the signer hashed the header otherwise than c= says.
func (h *headerSearcher) otherCanon() {
	if h.met || h.over() {
		return
	}
	claimed := h.canon
	if h.canon = relaxed; claimed == relaxed {
		h.canon = simple
	}
	h.recanon()
	used := h.canon
	if h.try() {
		h.say(result.Found(result.Error, "dkim-wrong-canonicalization", "domain", result.Domain(h.s.Domain), "selector", h.s.selector(), "claimed", result.Ours(claimed), "used", result.Ours(used)))
	}
	h.canon = claimed
	h.recanon()
}

// everywhere makes the same change to every field that it changes, as a program does that writes the
// whole header anew.
func (h *headerSearcher) everywhere(c *check) {
	for _, make := range fieldChanges {
		if h.over() {
			return
		}
		byKind := map[int][]change{}
		for i, f := range h.signed {
			for kind, ch := range make(c, h.s, f, i == len(h.signed)-1) {
				ch.field, ch.canon = i, h.canonical(i, ch.raw)
				if !bytes.Equal(ch.canon, h.base[i]) {
					byKind[kind] = append(byKind[kind], ch)
				}
			}
		}
		for _, kind := range slices.Sorted(maps.Keys(byKind)) {
			if len(byKind[kind]) > 1 && h.try(byKind[kind]...) {
				return
			}
		}
	}
}

// pairs tries two changes of two fields.
func (h *headerSearcher) pairs(changes []change) {
	for i, x := range changes {
		for _, y := range changes[i+1:] {
			if x.field != y.field && h.try(x, y) {
				return
			}
		}
	}
}
