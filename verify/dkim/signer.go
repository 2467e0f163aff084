package dkim

import (
	"bytes"
	"crypto/sha256"

	"checkauth/verify/mail"
)

// RelaxedBodyHash is what a signer with c=*/relaxed and SHA-256 puts into bh= (RFC 6376, 3.4.4 and 3.7).
func RelaxedBodyHash(body []byte) []byte {
	h := sha256.New()
	c := bodyCanon{relaxed: true, sink: func(p []byte) { h.Write(p) }, out: make([]byte, 0, canonBuffer)}
	_, _ = c.Write(body) // never fails
	c.Close()
	return h.Sum(nil)
}

// RelaxedHeaderHash is what a signer with c=relaxed/* and SHA-256 signs: that of the fields that names, its h=, takes
// (RFC 6376, 5.4.2), and of its own field, which ends with an empty b= (3.7).
func RelaxedHeaderHash(fs mail.Fields, names []string, own []byte) []byte {
	const unwritten = -1 // the own field is not among them yet
	h := sha256.New()
	for _, raw := range newHeader(fs).pick(names, unwritten) {
		h.Write(relaxedHeader(raw))
	}
	h.Write(bytes.TrimSuffix(relaxedHeader(own), crlf))
	return h.Sum(nil)
}
