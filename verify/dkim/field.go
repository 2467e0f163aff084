package dkim

import (
	"bytes"
	"encoding/base64"
	"math"
	"strconv"
	"strings"
	"time"

	"checkauth/verify/dns"
	"checkauth/verify/mail"
	"checkauth/verify/naming"
)

// maxNames is how many names h= may have: each is looked for in the header.
const maxNames = 200

// signature is one field on its way to its verdict.
type signature struct {
	Signature
	raw      []byte // the field with CRLF at each line's end
	colon    int    // octets up to and with the colon
	tags     tags
	syntax   error  // why the tag list cannot be read
	claimed  []byte // bh=, decoded
	signed   []byte // b=, decoded
	key      publicKey
	keyFault *verdict // why there is no key

	copied map[string][]string // of copies; nil until they are asked for
}

// KeyName is the name at which the key of a DKIM-Signature field lies, for asking ahead; not ok where
// the field does not tell.
func KeyName(f mail.Field) (name string, ok bool) {
	if !f.Is(fieldName) {
		return "", false
	}
	s := readField(f)
	return s.KeyName, s.KeyName != ""
}

const fieldName = "DKIM-Signature"

// readField takes a field apart. It judges nothing: what is missing or cannot be read is left empty,
// and the rules find it there.
func readField(f mail.Field) *signature {
	s := &signature{raw: withCRLF(f.Raw)}
	s.colon = bytes.IndexByte(s.raw, ':') + 1
	s.tags, s.syntax = parseTags(string(s.raw[s.colon:]))
	s.Domain, s.Selector, s.Algorithm = s.tags.value("d"), s.tags.value("s"), s.tags.value("a")
	s.Identity = quotedPrintable(s.tags.value("i"))
	s.Header, s.Body = canonicalisations(s.tags)
	s.Signed = s.tags.list("h")
	s.Length, _ = length(s.tags)
	s.Time, _ = instant(s.tags, "t")
	s.Expires, _ = instant(s.tags, "x")
	s.HashClaimed = s.tags.value("bh")
	s.claimed, s.signed = octets(s.HashClaimed), octets(s.tags.value("b"))
	s.KeyName = keyName(s.Selector, s.Domain)
	return s
}

// octets decodes base64; nil where it is none. The decoder gives what stands before the fault as well,
// and that may be a whole signature.
func octets(text string) []byte {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	return b
}

// keyName: RFC 6376, 3.6.2.1; empty where no such name can exist.
func keyName(selector, domain string) string {
	selector, domain = aLabels(selector), aLabels(domain)
	if name := selector + "._domainkey." + domain; selector != "" && domain != "" && dns.Askable(name) {
		return name
	}
	return ""
}

// aLabels: RFC 8616, 4: labels beyond ASCII are asked for as A-labels. What IDNA forbids is no name: a
// space that is none to the eye would show another domain than the one whose key was used.
func aLabels(name string) string {
	a, _ := naming.ASCII(name)
	return a
}

// canonicalisations reads c=. RFC 6376, 3.5: simple/simple without it, and simple for the body where
// one word alone is given; an empty word is none.
func canonicalisations(ts tags) (header, body string) {
	if _, ok := ts.get("c"); !ok {
		return simple, simple
	}
	header, body, ok := strings.Cut(ts.value("c"), "/")
	if !ok {
		body = simple
	}
	return header, body
}

// length reads l=; nil without it. RFC 6376, 3.5: up to 76 digits, so what does not fit is as long as
// can be.
func length(ts tags) (*int64, bool) {
	if _, ok := ts.get("l"); !ok {
		return nil, true
	}
	v := ts.value("l")
	if !digits(v) || len(v) > 76 {
		return nil, false
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		n = math.MaxInt64
	}
	return &n, true
}

// lastSecond is the end of the year 9999, the last that RFC 3339 can write.
const lastSecond = 253402300799

// instant reads t= or x=; the zero time without it. RFC 6376, 3.5: what lies too far ahead is taken for
// the end of time.
func instant(ts tags, name string) (time.Time, bool) {
	if _, ok := ts.get(name); !ok {
		return time.Time{}, true
	}
	v := ts.value(name)
	if !digits(v) {
		return time.Time{}, false
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n > lastSecond {
		n = lastSecond
	}
	return time.Unix(n, 0).UTC(), true
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// algorithms that a= may name.
var algorithms = map[string]string{"rsa-sha256": "rsa", "ed25519-sha256": "ed25519", "rsa-sha1": "rsa"}

// withoutSignature is the field as it was hashed. RFC 6376, 3.7: the value of b= is deleted with the
// white space around it, and the field's last CRLF is not part of it.
func (s *signature) withoutSignature() []byte {
	b, ok := s.tags.get("b")
	if !ok {
		return bytes.TrimSuffix(s.raw, crlf)
	}
	out := append([]byte{}, s.raw[:s.colon+b.from]...)
	return bytes.TrimSuffix(append(out, s.raw[s.colon+b.to:]...), crlf)
}

// identityDomain is the domain of i=, which d= stands for where there is no i=.
func (s *signature) identityDomain() string {
	if i := strings.LastIndexByte(s.Identity, '@'); i >= 0 {
		return s.Identity[i+1:]
	}
	if s.Identity != "" {
		return ""
	}
	return s.Domain
}

// names counts how often h= has a name.
func (s *signature) names(name string) int {
	n := 0
	for _, h := range s.Signed {
		if strings.EqualFold(h, name) {
			n++
		}
	}
	return n
}
