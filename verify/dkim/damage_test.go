package dkim

import (
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"

	"checkauth/verify/result"
)

// The generator: a letter is signed, as it should be or with a signer's mistake, and damaged on its way.
// What is found must be what was done, or what is just as true of the bytes that came in.

// letter is a message in parts.
type letter struct {
	fields []string // from the top, with folds, without the last CRLF
	body   string
}

func (l letter) String() string { return strings.Join(l.fields, "\r\n") + "\r\n\r\n" + l.body }

func (l letter) at(name string) int {
	return slices.IndexFunc(l.fields, func(f string) bool {
		n, _, _ := strings.Cut(f, ":")
		return strings.EqualFold(n, name)
	})
}

// value is what stands behind the colon, white space and folds as they are; empty without the field.
func (l letter) value(name string) string {
	i := l.at(name)
	if i < 0 {
		return ""
	}
	_, v, _ := strings.Cut(l.fields[i], ":")
	return v
}

// set changes the value of a field, and tells whether it was another.
func (l *letter) set(name, value string) bool {
	i := l.at(name)
	if i < 0 || l.value(name) == value {
		return false
	}
	n, _, _ := strings.Cut(l.fields[i], ":")
	l.fields[i] = n + ":" + value
	return true
}

// add puts a field below all others.
func (l *letter) add(field string) bool {
	l.fields = append(l.fields, field)
	return true
}

// setBody changes the body, and tells whether it was another.
func (l *letter) setBody(body string) bool {
	changed := body != l.body
	l.body = body
	return changed
}

func (l letter) clone() letter {
	l.fields = slices.Clone(l.fields)
	return l
}

// signing is how a letter gets its signature.
type signing struct {
	claimed string // c=
	used    string // the same, but where the signer errs
	key     string // rsa or ed
	names   string // h=
	copies  bool   // z=
	between string // the tags of the field are joined by it
	// body makes of the canonical body what the signer hashes; length is its l=. Both are nil where the
	// signer does as it should.
	body   func(string) string
	length func(canonical string) int
}

const usualNames = "From:To:Cc:Subject:Date:Message-ID:MIME-Version:Content-Type:Content-Transfer-Encoding:Reply-To:References"

func signingWith(canon, key string) signing {
	return signing{claimed: canon, used: canon, key: key, names: usualNames, between: ";\r\n\t"}
}

// hashed is what a signature was made of.
type hashed struct{ header, body string }

// sign puts the signature on top of the letter.
func (s signing) sign(l letter) (letter, hashed) {
	headCanon, bodyCanon, _ := strings.Cut(s.used, "/")
	var h hashed
	h.body = refBody(bodyCanon, l.body)
	algorithm := map[string]string{"rsa": "rsa-sha256", "ed": "ed25519-sha256"}[s.key]
	tags := []string{"v=1; a=" + algorithm + "; c=" + s.claimed + "; d=example.org; s=" + s.key, "h=" + s.names}
	if s.length != nil {
		tags = append(tags, fmt.Sprintf("l=%d", s.length(h.body)))
	}
	if s.copies {
		tags = append(tags, "z="+s.copied(l))
	}
	if s.body != nil {
		h.body = s.body(h.body)
	}
	sum := sha256.Sum256([]byte(h.body))
	tags = append(tags, "bh="+base64.StdEncoding.EncodeToString(sum[:]), "b=")
	field := "DKIM-Signature: " + strings.Join(tags, s.between)
	h.header = l.signedHeader(headCanon, s.names, field)
	sum = sha256.Sum256([]byte(h.header))
	b := base64.StdEncoding.EncodeToString(signSum(map[string]string{"a": algorithm, "s": s.key}, sum[:]))
	l = l.clone()
	l.fields = slices.Insert(l.fields, 0, field+b[:40]+"\r\n\t"+b[40:])
	return l, h
}

// signedWell keeps what signWell makes: an RSA signature takes longer than all else in these tests.
var signedWell sync.Map

// signWell signs without a mistake, and holds that the result verifies.
func (s signing) signWell(t testing.TB, o specimen) (letter, hashed) {
	t.Helper()
	type made struct {
		letter
		hashed
		Signature
	}
	id := fmt.Sprint(o.name, "|", s.claimed, s.key, s.names, s.copies, s.between)
	once, _ := signedWell.LoadOrStore(id, sync.OnceValue(func() made {
		l, h := s.sign(o.letter)
		return made{l, h, checked(t, Verifier{DNS: ourKeys()}, l.String()).Signatures[0]}
	}))
	m := once.(func() made)()
	if m.Word != result.Pass {
		t.Fatalf("%s, c=%s, %s: undamaged it is %s (%s)\n%s", o.name, s.claimed, s.key, m.Word, m.Reason, m.letter)
	}
	return m.clone(), m.hashed
}

// signedHeader: RFC 6376, 3.7; own is the signature's field with an empty b=.
func (l letter) signedHeader(canon, names, own string) string {
	var b strings.Builder
	others := slices.DeleteFunc(slices.Clone(l.fields), func(f string) bool { return strings.HasPrefix(f, "DKIM-Signature:") })
	for _, f := range refPick(strings.Join(others, "\r\n")+"\r\n", names) {
		b.WriteString(refHeader(canon, f))
	}
	b.WriteString(strings.TrimSuffix(refHeader(canon, own+"\r\n"), "\r\n"))
	return b.String()
}

// copied is the value of z= (RFC 6376, 3.5). With simple all of a field's octets are there, as OpenDKIM
// writes it; with relaxed the space behind the colon is not, as in the RFC's example.
func (s signing) copied(l letter) string {
	var out []string
	for _, f := range l.fields {
		name, value, _ := strings.Cut(f, ":")
		if strings.HasPrefix(s.claimed, relaxed) {
			value = strings.TrimLeft(value, " ")
		}
		var b strings.Builder
		for _, c := range []byte(value) {
			if c <= ' ' || c >= 0x7f || strings.IndexByte(";=|", c) >= 0 {
				fmt.Fprintf(&b, "=%02X", c)
			} else {
				b.WriteByte(c)
			}
		}
		out = append(out, name+":"+b.String())
	}
	return strings.Join(out, "|\r\n\t ")
}

// intact tells by the reference whether a signature still verifies.
func (h hashed) intact(s signing, l letter) bool {
	headCanon, bodyCanon, _ := strings.Cut(s.claimed, "/")
	body := refBody(bodyCanon, l.body)
	own := l.fields[l.at(fieldName)]
	if s.length != nil {
		body = body[:min(len(body), s.length(refBody(bodyCanon, l.body)))]
	}
	return body == h.body && l.signedHeader(headCanon, s.names, own[:strings.LastIndex(own, "b=")+2]) == h.header
}

// damage is one mistake of a signer's, or one change on the way.
type damage struct {
	name   string
	set    func(*signing)      // how the signature is made, all being well
	fault  func(*signing)      // the signer's mistake
	change func(*letter) bool  // on the way; it tells whether there was something to change
	zone   func(texts)         // what is wrong in the DNS
	fits   func(specimen) bool // nil: wherever change has something to change
	want   []result.Code       // one of them must be found
	also   []result.Code       // they are true as well, or may be
	says   map[string]string   // arguments of the finding
	// unsure: in this letter the change cannot be taken back without guessing, so that it may also be left
	// unexplained.
	unsure func(specimen) bool
}

func (d damage) wanted(o specimen) []result.Code {
	if d.unsure == nil || !d.unsure(o) {
		return d.want
	}
	return append(slices.Clone(d.want), "dkim-body-changed", "dkim-header-changed", "dkim-header-or-key")
}

// trial is a letter with its signature and what was done to it.
type trial struct {
	of      specimen
	how     signing
	sent    letter
	hashed  hashed
	zone    texts
	damages []damage
}

// attempt signs and damages a letter; not ok where a damage has nothing to change.
func attempt(t testing.TB, o specimen, how signing, ds ...damage) (trial, bool) {
	t.Helper()
	out := trial{of: o, how: how, zone: ourKeys(), damages: ds}
	for _, d := range ds {
		if d.fits != nil && !d.fits(o) {
			return out, false
		}
		if d.set != nil {
			d.set(&out.how)
		}
	}
	out.sent, out.hashed = out.how.signWell(t, o)
	erring := false
	for _, d := range ds {
		if d.fault != nil {
			d.fault(&out.how)
			erring = true
		}
	}
	if erring {
		out.sent, out.hashed = out.how.sign(o.letter)
	}
	for _, d := range ds {
		if d.change != nil && !d.change(&out.sent) {
			return out, false
		}
		if d.zone != nil {
			d.zone(out.zone)
		}
	}
	return out, true
}

// isNone tells that nothing was damaged that is signed, such as white space under relaxed, or the key of
// another selector; then it passes.
func (tr trial) isNone(s Signature) bool {
	return s.Word == result.Pass && tr.hashed.intact(tr.how, tr.sent)
}

func (tr trial) check(t testing.TB) Signature {
	t.Helper()
	r := checked(t, Verifier{DNS: tr.zone, Diagnose: tr.zone}, tr.sent.String())
	if len(r.Signatures) != 1 {
		t.Fatalf("%s: %d signatures", tr, len(r.Signatures))
	}
	return r.Signatures[0]
}

func (tr trial) String() string {
	var names []string
	for _, d := range tr.damages {
		names = append(names, d.name)
	}
	return fmt.Sprintf("%s, c=%s, %s, %s", tr.of.name, tr.how.claimed, tr.how.key, strings.Join(names, " + "))
}

// trueCodes are those that may be claimed of this trial.
func (tr trial) trueCodes() []result.Code {
	var out []result.Code
	for _, d := range tr.damages {
		out = append(append(out, d.wanted(tr.of)...), d.also...)
	}
	if tr.how.copies { // z= tells of every field that was changed
		out = append(out, "dkim-header-rewritten")
	}
	return out
}

var bodyCauses = []result.Code{"dkim-body-changed-footer", "dkim-body-changed-banner", "dkim-body-part-added",
	"dkim-body-reencoded", "dkim-body-whitespace", "dkim-body-line-ends", "dkim-body-cr-added", "dkim-body-rewrapped", "dkim-body-tabs",
	"dkim-body-dots", "dkim-body-from-escaped", "dkim-body-boundary", "dkim-wrong-canonicalization", "dkim-l-tag-wrong",
	"dkim-empty-body"}

var headerCauses = []result.Code{"dkim-header-added", "dkim-header-other-instance", "dkim-subject-tagged",
	"dkim-header-refolded", "dkim-header-recoded", "dkim-header-requoted", "dkim-header-case", "dkim-header-rewritten",
	"dkim-signature-field-changed"}

var keyCauses = []result.Code{"dkim-key-mismatch", "dkim-wrong-selector", "dkim-key-wrong-name", "dkim-key-missing",
	"dkim-key-private", "dkim-key-pem"}

// certainCodes are the causes that are claimed only where they are proved.
var certainCodes = slices.Concat(bodyCauses, headerCauses, keyCauses)

// certainOf lists the certain ones among findings.
func certainOf(s Signature) []result.Code {
	var out []result.Code
	for _, f := range s.Findings {
		if slices.Contains(certainCodes, f.Code) {
			out = append(out, f.Code)
		}
	}
	return out
}

func hasCode(s Signature, wanted []result.Code) bool {
	return slices.ContainsFunc(s.Findings, func(f result.Finding) bool { return slices.Contains(wanted, f.Code) })
}

// otherKey is the public half of a key that nobody has: an odd number below which our signatures are.
func otherKey() *rsa.PublicKey {
	b := slices.Repeat([]byte{0xff, 0xf1}, 128)
	return &rsa.PublicKey{N: new(big.Int).SetBytes(b), E: 65537}
}
