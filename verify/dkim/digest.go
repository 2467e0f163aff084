package dkim

import (
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"io"
	"math"
)

const (
	shownBody   = 2 << 10  // octets of the canonical body that are kept
	shownHeader = 16 << 10 // and of the canonical header
)

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
			r = &bodyReading{hashes: map[int64]*limited{}}
			r.canon = bodyCanon{relaxed: f.canon == relaxed, sink: r.take}
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
	if _, err := io.Copy(io.MultiWriter(writers...), body); err != nil {
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

// setBody puts what the body came to into the signature's facts.
func (s *signature) setBody(h bodyHash) {
	s.HashComputed = base64.StdEncoding.EncodeToString(h.sum)
	s.BodyVerifies = len(s.claimed) > 0 && string(s.claimed) == string(h.sum)
	s.CanonBody, s.CanonLength = h.head, h.length
}
