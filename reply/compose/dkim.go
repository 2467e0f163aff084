package compose

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"checkauth/reply/policy"
	"checkauth/verify"
	"checkauth/verify/dkim"
	"checkauth/verify/dmarc"
	"checkauth/verify/result"
)

// Signature is one signature of a message, with what DMARC made of them all.
type Signature struct {
	*dkim.Signature
	DMARC *dmarc.Result // nil where that check did not run
}

// signature is that of a DKIM check. A report that was read has word and reason there alone.
func signature(k result.Outcome, r *verify.Report) Signature {
	s := *result.Detail[dkim.Signature](k)
	s.Word, s.Reason = k.Result, k.Reason
	return Signature{&s, result.Detail[dmarc.Result](r.Check(verify.MethodDMARC))}
}

func (c *Voice) dkimDetails(s Signature, class policy.Class) []string {
	out := c.DKIM(s)
	// Where there is no key, the result and the records say so, and nobody verifies anything.
	if s.Key != nil {
		out = append(out, Key(s.KeyName, s.KeyTTL, s.Key)...)
		if s.Key.Bits > 0 {
			out = append(out, c.VerifiedBy(s.Readers()))
		}
	}
	if s.Evaluated {
		out = append(out, c.ForDMARC(s)...)
	}
	if class == policy.Proved && s.Evaluated {
		out = append(out, Canonical(s.Signature)...)
	}
	return out
}

// DKIM is what the field of one signature says, and how far it holds.
func (c *Voice) DKIM(s Signature) []string {
	out := []string{
		wrapped("Signature:", fmt.Sprintf("d=%s s=%s a=%s c=%s/%s", safe(s.Domain), safe(s.Selector), safe(s.Algorithm), safe(s.Header), safe(s.Body))),
		wrapped("", "signed "+when(s.Time, "at a time not given")+", "+expiry(s.Expires)),
		wrapped("Signed fields:", unlink(result.Clean(marked(s.Signature)))),
	}
	if len(s.OverSigned) > 0 {
		out = append(out, wrapped("", c.sayPairs("dkim-over-signed")))
	}
	if s.Identity != "" {
		out = append(out, wrapped("Identity:", "i="+safe(s.Identity)))
	}
	out = append(out, bodyHash(s.Signature)...)
	if s.Length != nil {
		out = append(out, field("Signed body:", signedBody(*s.Length, s.Signature)))
	}
	if broken := s.Broken(); !broken.IsZero() {
		out = append(out, wrapped("Broken:", c.reason(broken)))
	}
	return out
}

// marked are the names in h=, with a plus sign where the message has no field left for one. The fields
// are taken in the order of h=, so that of equal names it is the last.
func marked(s *dkim.Signature) string {
	over := map[string]int{}
	for _, name := range s.OverSigned {
		over[strings.ToLower(name)]++
	}
	names := slices.Clone(s.Signed)
	for i, name := range slices.Backward(names) {
		if key := strings.ToLower(name); over[key] > 0 {
			over[key]--
			names[i] = "+" + name
		}
	}
	return strings.Join(names, " ")
}

// bodyHash has the body's two hashes side by side.
func bodyHash(s *dkim.Signature) []string {
	if s.HashClaimed == "" {
		return nil
	}
	equal := "(differs)"
	if s.BodyVerifies {
		equal = "(equal)"
	}
	return []string{
		field("Body hash:", "in the signature  "+safe(s.HashClaimed)),
		field("", "computed          "+s.HashComputed),
		field("", "                  "+equal),
	}
}

func signedBody(length int64, s *dkim.Signature) string {
	if s.HashComputed == "" {
		return fmt.Sprintf("l=%d", length)
	}
	return fmt.Sprintf("l=%d of %d octets", length, s.CanonLength)
}

// Broken says which of the two proofs of a signature fails; zero where none does, as far as is known.
func (s Signature) Broken() result.Reason {
	header := s.Word == result.Fail && s.BodyVerifies
	if s.HeaderVerifies != nil {
		header = !*s.HeaderVerifies
	}
	switch body := s.HashComputed != "" && s.HashClaimed != "" && !s.BodyVerifies; {
	case body && header:
		return result.Because("dkim-broken-both")
	case body && s.HeaderVerifies != nil:
		return result.Because("dkim-broken-body-alone")
	case body:
		return result.Because("dkim-broken-body")
	case header:
		return result.Because("dkim-broken-header")
	}
	return result.Reason{}
}

// Key is the facts of a key record; its name alone where there is none.
func Key(name string, ttl uint32, k *dkim.Key) []string {
	switch {
	case name == "":
		return nil
	case k == nil:
		return []string{wrapped("Key:", safe(name))}
	}
	facts := []string{"k=" + k.Type}
	switch {
	case k.Revoked:
		facts = append(facts, "revoked")
	case k.Bits > 0:
		facts = append(facts, fmt.Sprintf("%d bits", k.Bits))
	}
	for _, list := range []struct {
		tag    string
		values []string
	}{{"h", k.Hashes}, {"s", k.Services}, {"t", k.Flags}} {
		if list.values != nil {
			facts = append(facts, list.tag+"="+strings.Join(list.values, ":"))
		}
	}
	if k.Notes != "" {
		facts = append(facts, "n="+k.Notes)
	}
	return []string{
		wrapped("Key:", fmt.Sprintf("%s, TTL %d", safe(name), ttl)),
		wrapped("", safe(strings.Join(facts, ", "))),
	}
}

// VerifiedBy is the line that says who can verify a signature.
func (c *Voice) VerifiedBy(readers result.Reason) string {
	return wrapped("Verified by:", c.reason(readers))
}

// Readers says who can verify this signature. What an algorithm and a key leave to all l= does not.
func (s Signature) Readers() result.Reason {
	out := Readers(s.Algorithm, s.Key)
	switch {
	case out.Code != "dkim-readers-rsa" || s.Length == nil || s.HashComputed == "":
		return out
	case s.CanonLength > *s.Length:
		return result.Because("dkim-readers-l-part")
	}
	return result.Because("dkim-readers-l")
}

// Readers says who can verify a signature of that algorithm, with that key where there is one.
func Readers(algorithm string, k *dkim.Key) result.Reason {
	switch {
	case algorithm == "ed25519-sha256":
		return result.Because("dkim-readers-ed25519")
	case algorithm == "rsa-sha1":
		return result.Because("dkim-readers-sha1")
	case algorithm != "rsa-sha256":
		return result.Because("dkim-readers-none", "algorithm", algorithm)
	case k != nil && k.Bits > 4096:
		return result.Because("dkim-readers-long-key", "bits", fmt.Sprint(k.Bits))
	case k != nil && k.Bits > 0 && k.Bits < 1024:
		return result.Because("dkim-readers-short-key", "bits", fmt.Sprint(k.Bits))
	}
	return result.Because("dkim-readers-rsa")
}

// Alignment is the row of a signature in the table of DMARC; not ok where it has none.
func (s Signature) Alignment() (row dmarc.Alignment, ok bool) {
	if s.DMARC == nil || s.Index < 0 || s.Index >= len(s.DMARC.DKIM) {
		return dmarc.Alignment{}, false
	}
	return s.DMARC.DKIM[s.Index], true
}

// ForDMARC is the line that says what a signature counts for; none where DMARC was not asked.
func (c *Voice) ForDMARC(s Signature) []string {
	why := s.Counts()
	if why.IsZero() {
		return nil
	}
	return []string{wrapped("For DMARC:", c.reason(why))}
}

// Counts says whether a signature counts for DMARC, or whose else it is; zero where DMARC was not asked.
func (s Signature) Counts() result.Reason {
	a, ok := s.Alignment()
	if !ok {
		return result.Reason{}
	}
	author := s.DMARC.Author
	switch {
	case a.Aligned && s.Reason.Code == "dkim-body-partly-signed":
		return result.Because(s.partCounts(), "domain", a.Domain, "author", author)
	case a.Aligned && s.Word == result.Pass:
		return result.Because("dkim-counts", "domain", a.Domain, "author", author)
	case a.Aligned:
		return result.Because("dkim-would-count", "domain", a.Domain, "author", author)
	}
	switch a.Why.Code {
	case "dmarc-align-other":
		return result.Because("dkim-of-another", "domain", a.Domain, "author", author)
	case "dmarc-align-strict":
		return result.Because("dkim-not-strict", "domain", a.Domain, "author", author)
	case "dmarc-align-no-record":
		if related(a.Domain, author) {
			return result.Because("dkim-own-no-record", "domain", a.Domain, "author", author)
		}
		return result.Because("dkim-of-another-no-record", "domain", a.Domain, "author", author)
	}
	return a.Why
}

// partCounts says what hangs on a signature that aligns and covers a part of the body: some receivers let it pass.
func (s Signature) partCounts() result.Code {
	others := append([]dmarc.Alignment{s.DMARC.SPF}, s.DMARC.DKIM...)
	switch {
	case slices.ContainsFunc(others, func(a dmarc.Alignment) bool { return a.Aligned && a.Word == result.Pass }):
		return "dkim-part-not-needed"
	case s.DMARC.SPF.Domain == "", slices.ContainsFunc(others, func(a dmarc.Alignment) bool { return untold[a.Word] }):
		return "dkim-part-would-count" // what else passes is not known
	}
	return "dkim-part-decides"
}

// untold are the words that leave it open whether something passes; "" is that of a check that was not made.
var untold = map[result.Word]bool{"": true, result.NotRun: true, result.TempError: true}

// related: one is the other or lies below it.
func related(a, b string) bool {
	a, b = "."+strings.ToLower(a), "."+strings.ToLower(b)
	return strings.HasSuffix(a, b) || strings.HasSuffix(b, a)
}

// Canonical is what was hashed, as far as it is kept.
func Canonical(s *dkim.Signature) []string {
	out := append([]string{"Canonicalized Headers:"}, visible(s.CanonHeader)...)
	out = append(out, "Canonicalized Body:")
	out = append(out, visible(s.CanonBody)...)
	if n := s.CanonLength - int64(len(s.CanonBody)); n > 0 {
		out = append(out, fmt.Sprintf("    [%d octets more]", n))
	}
	return out
}

func when(t time.Time, none string) string {
	if t.IsZero() {
		return none
	}
	return date(t)
}

func expiry(t time.Time) string {
	if t.IsZero() {
		return "no expiry"
	}
	return "expires " + date(t)
}

// visible writes octets as Port25 did: what is outside visible ASCII as quoted hex, a line each CRLF. The
// colon of a link is written so too, so that the link is dead and the octets can still be told.
func visible(b []byte) []string {
	const digits = "0123456789ABCDEF"
	var out []string
	line := append(make([]byte, 0, 256), "    "...)
	for i, c := range b {
		if c <= ' ' || c >= 0x7f || c == ':' && bytes.HasPrefix(b[i:], []byte("://")) {
			line = append(line, '\'', digits[c>>4], digits[c&15], '\'')
		} else {
			line = append(line, c)
		}
		if c == '\n' || i == len(b)-1 {
			out = append(out, string(line))
			line = line[:4]
		}
	}
	return out
}
