package dkim

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"io"
	"math"

	"github.com/emersion/go-msgauth/dkim"

	"checkauth/verify/mail"
)

const (
	shownBody   = 2 << 10  // octets of the canonical body that are kept
	shownHeader = 16 << 10 // and of the canonical header
)

// Digest is what the signatures of a message come to before any key is known: they are taken apart, the
// body and the header are hashed. Judge may use it again and again, with other keys. It keeps what
// go-msgauth said, so that one goroutine at a time may have it; and it reads the body for go-msgauth, so
// that the body must be open still.
type Digest struct {
	header  *header
	body    mail.Data
	author  mail.From
	library library

	signatures []*signature // as read; a Judge works on copies
	evaluated  int          // so many from the top are within the bound
	sums       [][]byte     // of the header, of each evaluated signature; nil where there is none
	bodies     map[bodyForm]bodyHash
	bodyErr    error // why the body could not be read

	opinions map[int]kept // by index of the signature
}

// Digest reads the signatures of a message, from the top, and all that they cover.
func (v Verifier) Digest(ctx context.Context, fields mail.Fields, body mail.Data) *Digest {
	d := newDigest(fields, body, dkim.VerifyWithOptions)
	v.Turns.Do(ctx, func() { d.fill(ctx, fields, v.bound()) })
	return d
}

func newDigest(fields mail.Fields, body mail.Data, lib library) *Digest {
	return &Digest{header: newHeader(fields), body: body, author: mail.ParseFrom(fields), library: lib, opinions: map[int]kept{}}
}

func (d *Digest) fill(ctx context.Context, fields mail.Fields, bound int) {
	d.signatures = d.read(fields)
	d.evaluated = min(bound, len(d.signatures))
	evaluated := d.signatures[:d.evaluated]
	for _, s := range evaluated {
		s.Evaluated = true
		d.sums = append(d.sums, d.setHeader(s))
	}
	d.hash(ctx, evaluated)
}

// read takes all signature fields apart.
func (d *Digest) read(fields mail.Fields) []*signature {
	var out []*signature
	for _, f := range fields.All(fieldName) {
		s := readField(f)
		s.Index = len(out)
		s.Strong = s.names("From") > d.header.count("From")
		s.OverSigned = d.header.missing(s.Signed, d.header.signs[s.Index])
		out = append(out, s)
	}
	return out
}

// setHeader computes the header's hash, where it can be, and puts what was hashed into the facts.
func (d *Digest) setHeader(s *signature) []byte {
	if s.syntax != nil || !isCanon(s.Header) || len(s.Signed) > maxNames {
		return nil
	}
	sum, shown := d.header.hash(s)
	s.CanonHeader = shown
	return sum
}

// hash reads the body once for all signatures that can be computed, whatever the rules say of them: the
// report shows what was found.
func (d *Digest) hash(ctx context.Context, signatures []*signature) {
	var forms []bodyForm
	for _, s := range signatures {
		if s.hashable() {
			forms = append(forms, s.bodyForm())
		}
	}
	if d.bodies, d.bodyErr = hashBodies(&ctxReader{ctx, d.body.Reader()}, forms); d.bodyErr != nil {
		return
	}
	for _, s := range signatures {
		if s.hashable() {
			s.setBody(d.bodies[s.bodyForm()])
		}
	}
}

// bodyHash is what one canonical form of the body comes to.
type bodyHash struct {
	sum    []byte
	head   []byte
	length int64 // octets of the whole, whatever l= says
	bareCR bool
	run    int // line ends in a row, the most there are
}

// bodyForm is what tells body hashes apart: how, and how much (math.MaxInt64 without l=).
type bodyForm struct {
	canon string
	limit int64
}

func (s *signature) bodyForm() bodyForm {
	f := bodyForm{canon: s.Body, limit: math.MaxInt64}
	if s.Length != nil {
		f.limit = *s.Length
	}
	return f
}

// hashable tells whether the body hash of a signature can be computed here. RFC 8301, 3.1 leaves
// SHA-256 alone.
func (s *signature) hashable() bool {
	return isCanon(s.Header) && isCanon(s.Body) && (s.Algorithm == "rsa-sha256" || s.Algorithm == "ed25519-sha256")
}

func isCanon(c string) bool { return c == simple || c == relaxed }

// limited hashes no more than its first octets.
type limited struct {
	hash.Hash
	left int64
}

func (l *limited) write(p []byte) {
	if int64(len(p)) > l.left {
		p = p[:l.left]
	}
	l.left -= int64(len(p))
	l.Write(p) // a hash never fails
}

// bodyReading is one canonicalisation on its way, with a hash for each limit.
type bodyReading struct {
	canon  bodyCanon
	hashes map[int64]*limited
	head   []byte
	length int64
}

func (r *bodyReading) take(p []byte) {
	r.length += int64(len(p))
	if room := shownBody - len(r.head); room > 0 {
		r.head = append(r.head, p[:min(room, len(p))]...)
	}
	for _, h := range r.hashes {
		h.write(p)
	}
}

// hashBodies reads the body once for all forms that are wanted.
func hashBodies(body io.Reader, forms []bodyForm) (map[bodyForm]bodyHash, error) {
	readings := map[string]*bodyReading{}
	var writers []io.Writer
	for _, f := range forms {
		r := readings[f.canon]
		if r == nil {
			r = newBodyReading(f.canon)
			readings[f.canon] = r
			writers = append(writers, &r.canon)
		}
		if r.hashes[f.limit] == nil {
			r.hashes[f.limit] = &limited{Hash: sha256.New(), left: f.limit}
		}
	}
	if len(writers) == 0 {
		return nil, nil
	}
	if _, err := mail.Copy(io.MultiWriter(writers...), body); err != nil {
		return nil, err
	}
	for _, r := range readings {
		r.canon.Close()
	}
	out := map[bodyForm]bodyHash{}
	for _, f := range forms {
		r := readings[f.canon]
		out[f] = bodyHash{sum: r.hashes[f.limit].Sum(nil), head: r.head, length: r.length, bareCR: r.canon.bareCR, run: r.canon.run}
	}
	return out, nil
}

func newBodyReading(canon string) *bodyReading {
	r := &bodyReading{hashes: map[int64]*limited{}}
	r.canon = bodyCanon{relaxed: canon == relaxed, sink: r.take}
	return r
}

// setBody puts what the body came to into the signature's facts.
func (s *signature) setBody(h bodyHash) {
	s.HashComputed = base64.StdEncoding.EncodeToString(h.sum)
	s.BodyVerifies = len(s.claimed) > 0 && string(s.claimed) == string(h.sum)
	s.CanonBody, s.CanonLength = h.head, h.length
}
