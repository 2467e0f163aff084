package dkim

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"checkauth/verify/mail"
	"checkauth/verify/result"
	"checkauth/verify/share"
)

// What follows is for a protocol whose signatures are made as those of DKIM are and stand in other
// fields: ARC (RFC 8617, 4.1.2 and 4.1.3). Verifier.Check has no part in it.

// Foreign is a message with such signatures. One goroutine at a time may have it.
type Foreign struct {
	header  *header
	places  []int // of each field of the message in header.raw; -1 where the line is no field
	keys    keys
	now     time.Time
	turns   share.Turns
	bodies  map[bodyForm]bodyHash
	bodyErr error
}

// Foreign makes a message ready; keys are asked of v.DNS, each name once. Nothing is hashed yet.
func (v Verifier) Foreign(fields mail.Fields) *Foreign {
	m := &Foreign{header: newHeader(fields), now: v.now(), turns: v.Turns, keys: keys{dns: v.DNS, seen: map[string]keyAnswer{}}}
	n := 0
	for _, f := range fields {
		if f.Name == "" {
			m.places = append(m.places, -1)
			continue
		}
		m.places = append(m.places, n)
		n++
	}
	return m
}

// ForeignField is one such signature, taken apart and not yet judged.
type ForeignField struct{ s *signature }

// Outcome is what became of one signature: pass, fail, policy, temperror, permerror, as in Signature.
type Outcome struct {
	Word   result.Word
	Reason result.Reason
	Detail string // what cannot be used, in English and short; empty with pass and fail
	Cause  error  // set with temperror and permerror
}

// ReadForeign takes a field apart, whatever its name. i= is no identity there.
func ReadForeign(f mail.Field) ForeignField {
	s := readField(f)
	s.Identity = ""
	if s.syntax == nil {
		s.syntax = strictly(string(s.raw[s.colon:]))
	}
	return ForeignField{s}
}

// strictly: RFC 6376, 3.2: a name begins with a letter, and nothing but the end may follow the last
// semicolon. In DKIM-Signature we let both pass, as most do; who seals a chain is held to it.
func strictly(text string) error {
	specs := strings.Split(text, ";")
	for i, spec := range specs {
		name, _, _ := strings.Cut(spec, "=")
		name = trimFWS(name)
		switch {
		case name == "" && i == len(specs)-1 && trimFWS(spec) == "":
		case name == "":
			return errors.New("a semicolon too many")
		case !isTagName(name):
			return fmt.Errorf("%q is no name of a tag", clip(name))
		}
	}
	return nil
}

func isTagName(s string) bool {
	for i, c := range []byte(s) {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != ""
}

// Tag is a tag's value without the white space around it.
func (f ForeignField) Tag(name string) (value string, ok bool) {
	t, ok := f.s.tags.get(name)
	return t.value, ok
}

// Syntax tells why the tag list cannot be read; nil where it can.
func (f ForeignField) Syntax() error { return f.s.syntax }

// Facts are what the field says of itself.
func (f ForeignField) Facts() Signature { return f.s.Signature }

// Relaxed is a field in its relaxed canonical form, with its CRLF (RFC 6376, 3.4.2).
func Relaxed(f mail.Field) []byte { return relaxedHeader(withCRLF(f.Raw)) }

// foreignForms is how many forms of the body are hashed; without l= there are two.
const foreignForms = 8

// HashBody reads the body once for all signatures that are to be verified with Message. Of those whose
// l= makes more forms than we hash, the first have precedence.
func (m *Foreign) HashBody(ctx context.Context, body mail.Data, signed []ForeignField) {
	var forms []bodyForm
	seen := map[bodyForm]bool{}
	for _, f := range signed {
		if form := f.s.bodyForm(); f.s.hashable() && !seen[form] && len(forms) < foreignForms {
			seen[form] = true
			forms = append(forms, form)
		}
	}
	m.turns.Do(ctx, func() { m.bodies, m.bodyErr = hashBodies(&ctxReader{ctx, body.Reader()}, forms) })
}

// The rules for a signature that is no DKIM-Signature: those without v= and i=. What its key must be comes
// after the field, so that nobody is asked for the key of one that cannot verify.
var (
	messageRules = []rule{readable, complete, wellFormed, fewNames, fromSigned, inOrder, notExpired, queryable}
	sealRules    = []rule{readable, sealComplete, sealWellFormed}
	foreignKeys  = []rule{hasKey, notSHA1, keyHash, keyType, keyService}
)

// sealComplete: RFC 8617, 4.1.3 takes these over from DKIM-Signature.
func sealComplete(s *signature, _ time.Time) *verdict {
	return s.lacks("a", "b", "d", "s")
}

func sealWellFormed(s *signature, _ time.Time) *verdict {
	switch t, ok := s.tags.broken(); {
	case ok:
		return s.bad(t.name, t.value)
	case !isName(s.Domain):
		return s.bad("d", s.Domain)
	case !isName(s.Selector) || s.KeyName == "":
		return s.bad("s", s.Selector)
	case len(s.signed) == 0:
		return s.bad("b", s.tags.value("b"))
	}
	if _, ok := instant(s.tags, "t"); !ok {
		return s.bad("t", s.tags.value("t"))
	}
	return nil
}

// Message verifies a signature of header and body; at is the field's place among those of the message.
// HashBody came before. Where l= leaves a part of the body unsigned it is policy, as in DKIM.
func (m *Foreign) Message(ctx context.Context, f ForeignField, at int) Outcome {
	s := f.s
	if o, bad := m.object(ctx, s, messageRules); bad {
		return o
	}
	h, hashed := m.bodies[s.bodyForm()]
	switch {
	case m.bodyErr != nil:
		return Outcome{Word: result.TempError, Reason: result.Because("dkim-body-not-read"), Cause: m.bodyErr}
	case !hashed:
		return Outcome{Word: result.Policy, Reason: result.Because("dkim-not-evaluated"), Detail: "its body hash was not computed"}
	}
	s.setBody(h)
	switch {
	case !s.BodyVerifies && s.Length != nil && *s.Length > s.CanonLength:
		return Outcome{Word: result.Fail, Reason: result.Because("dkim-body-shorter-than-l")}
	case !s.BodyVerifies:
		return Outcome{Word: result.Fail, Reason: result.Because("dkim-body-hash-differs")}
	case !s.key.verifies(m.headerSum(s, at), s.signed):
		return Outcome{Word: result.Fail, Reason: result.Because("dkim-header-hash-differs")}
	case s.Length != nil && *s.Length < s.CanonLength:
		n, all := fmt.Sprint(*s.Length), fmt.Sprint(s.CanonLength)
		return Outcome{Word: result.Policy, Reason: result.Because("dkim-body-partly-signed", "length", result.Ours(n), "body", all),
			Detail: "l= covers " + n + " of " + all + " octets of the body"}
	}
	return Outcome{Word: result.Pass}
}

func (m *Foreign) headerSum(s *signature, at int) []byte {
	own := *m.header
	own.signs, s.Index = []int{m.places[at]}, 0
	sum, _ := own.hash(s)
	return sum
}

// Seal verifies a signature of fields alone: above are those that it covers beside itself, in their
// relaxed form.
func (m *Foreign) Seal(ctx context.Context, f ForeignField, above []byte) Outcome {
	s := f.s
	if o, bad := m.object(ctx, s, sealRules); bad {
		return o
	}
	hasher := sha256.New()
	hasher.Write(above)
	hasher.Write(bytes.TrimSuffix(relaxedHeader(s.withoutSignature()), crlf))
	if !s.key.verifies(hasher.Sum(nil), s.signed) {
		return Outcome{Word: result.Fail, Reason: result.Because("dkim-header-hash-differs")}
	}
	return Outcome{Word: result.Pass}
}

// object gives the first objection of the rules, those of the field first.
func (m *Foreign) object(ctx context.Context, s *signature, ofField []rule) (Outcome, bool) {
	for _, r := range ofField {
		if v := r(s, m.now); v != nil {
			return v.outcome(), true
		}
	}
	s.lookUp(ctx, &m.keys)
	for _, r := range foreignKeys {
		if v := r(s, m.now); v != nil {
			return v.outcome(), true
		}
	}
	return Outcome{}, false
}

func (v *verdict) outcome() Outcome {
	o := Outcome{Word: v.word, Reason: v.reason, Cause: v.cause}
	switch {
	case v.cause != nil:
		o.Detail = v.cause.Error()
		for _, kind := range []error{ErrSignature, ErrKey, ErrNoKey} {
			o.Detail = strings.TrimPrefix(o.Detail, kind.Error()+": ")
		}
	case v.reason.Code == "dkim-key-over-8192":
		o.Detail = "RSA of " + v.reason.Args.Get("bits") + " bits"
	default:
		o.Detail = v.reason.Args.Get("count") + " names in h="
	}
	return o
}
