package dkim

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"strings"

	"checkauth/verify/mail"
)

// header is a message's fields, made ready for being picked by name. Lines that are no fields are left
// out: no h= can name them, and as a fold below another field they would change it.
type header struct {
	raw   [][]byte         // with CRLF at each line's end, from the top
	named map[string][]int // lower-case name to places in raw, from the bottom: RFC 6376, 5.4.2
	signs []int            // places of the DKIM-Signature fields, from the top
}

func newHeader(fs mail.Fields) *header {
	h := &header{named: map[string][]int{}}
	for _, f := range fs {
		if f.Name == "" {
			continue
		}
		if f.Is(fieldName) {
			h.signs = append(h.signs, len(h.raw))
		}
		name := strings.ToLower(f.Name)
		h.named[name] = append(h.named[name], len(h.raw))
		h.raw = append(h.raw, withCRLF(f.Raw))
	}
	for _, places := range h.named {
		slices.Reverse(places)
	}
	return h
}

func (h *header) count(name string) int { return len(h.named[strings.ToLower(name)]) }

// pick gives the fields that h= names and that are there.
func (h *header) pick(names []string, self int) [][]byte {
	var out [][]byte
	for _, f := range h.signedFields(names, self) {
		if f.raw != nil {
			out = append(out, f.raw)
		}
	}
	return out
}

// missing are the names of h= that take no field: RFC 6376, 5.4.2: none can be added without breaking
// the signature.
func (h *header) missing(names []string, self int) []string {
	var out []string
	for _, f := range h.signedFields(names, self) {
		if f.raw == nil {
			out = append(out, f.name)
		}
	}
	return out
}

// hash is the hash of the canonical header (RFC 6376, 3.7), and what of it is shown.
func (h *header) hash(s *signature) (sum, shown []byte) {
	hasher := sha256.New()
	take := func(p []byte) {
		hasher.Write(p)
		if room := shownHeader - len(shown); room > 0 {
			shown = append(shown, p[:min(room, len(p))]...)
		}
	}
	for _, raw := range h.pick(s.Signed, h.signs[s.Index]) {
		take(canonHeader(s.Header, raw))
	}
	// RFC 6376, 3.7: the field itself comes last, without b= and without its CRLF.
	own := s.withoutSignature()
	if s.Header == relaxed {
		own = bytes.TrimSuffix(relaxedHeader(own), crlf)
	}
	take(own)
	return hasher.Sum(nil), shown
}

// bareCR tells whether a field that is signed has a CR without its LF, where readings of RFC 6376
// differ.
func (h *header) bareCR(s *signature) bool {
	for _, raw := range append(h.pick(s.Signed, h.signs[s.Index]), s.raw) {
		if bytes.Count(raw, []byte("\r")) != bytes.Count(raw, crlf) {
			return true
		}
	}
	return false
}
