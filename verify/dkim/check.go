package dkim

import (
	"context"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// signatureBound is how many signatures are verified where Verifier does not say.
const signatureBound = 10

// check is the verification of one message.
type check struct {
	now     time.Time
	header  *header
	body    mail.Data
	author  mail.From
	keys    keys
	library library

	bodies  map[bodyForm]bodyHash
	bodyErr error // why the body could not be read
}

// Check verifies the signatures of a message, from the top. Where there are no fields there are no
// signatures.
func (v Verifier) Check(ctx context.Context, fields mail.Fields, body mail.Data) Result {
	return v.begin(fields, body, dkim.VerifyWithOptions).run(ctx, fields, v.bound())
}

func (v Verifier) begin(fields mail.Fields, body mail.Data, lib library) *check {
	return &check{now: v.now(), header: newHeader(fields), body: body, author: mail.ParseFrom(fields), library: lib,
		keys: keys{dns: v.DNS, seen: map[string]keyAnswer{}}}
}

func (c *check) run(ctx context.Context, fields mail.Fields, bound int) Result {
	signatures := c.read(fields)
	if len(signatures) == 0 {
		return Result{Findings: []result.Finding{result.Found(result.Warning, "dkim-not-signed")}}
	}
	evaluated := signatures[:min(bound, len(signatures))]
	c.prepare(ctx, evaluated)
	for _, s := range evaluated {
		s.conclude(c.judge(ctx, s))
		s.Findings = append(s.Findings, c.remarks(s)...)
	}
	for _, s := range signatures[len(evaluated):] {
		s.conclude(verdict{word: result.Neutral, reason: result.Because("dkim-not-evaluated")})
	}
	return Result{Signatures: plain(signatures), Findings: ofAll(len(signatures), evaluated)}
}

// prepare gets all that the verdicts need: the keys and the body's hashes.
func (c *check) prepare(ctx context.Context, signatures []*signature) {
	for _, s := range signatures {
		s.Evaluated = true
		s.lookUp(ctx, &c.keys)
	}
	c.hash(ctx, signatures)
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

// read takes all signature fields apart.
func (c *check) read(fields mail.Fields) []*signature {
	var out []*signature
	for _, f := range fields.All(fieldName) {
		s := readField(f)
		s.Index = len(out)
		s.Strong = s.names("From") > c.header.count("From")
		out = append(out, s)
	}
	return out
}

// hash reads the body once for all signatures that can be computed, whatever the rules say of them: the
// report shows what was found.
func (c *check) hash(ctx context.Context, signatures []*signature) {
	var forms []bodyForm
	for _, s := range signatures {
		if s.hashable() {
			forms = append(forms, s.bodyForm())
		}
	}
	if c.bodies, c.bodyErr = hashBodies(&ctxReader{ctx, c.body.Reader()}, forms); c.bodyErr != nil {
		return
	}
	for _, s := range signatures {
		if s.hashable() {
			s.setBody(c.bodies[s.bodyForm()])
		}
	}
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
