package dkim

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// Outcomes are the signatures as a report has them; one of none where the message is not signed. The findings of the
// message as a whole stand with the first.
func (r *Result) Outcomes() []result.Outcome {
	if len(r.Signatures) == 0 {
		return []result.Outcome{{Result: result.None, Reason: result.Because("dkim-message-not-signed"), Unbroken: true, Findings: r.Findings}}
	}
	out := make([]result.Outcome, len(r.Signatures))
	for i := range r.Signatures {
		s := &r.Signatures[i]
		out[i] = s.outcome()
		if i == 0 {
			out[i].Findings = slices.Concat(r.Findings, s.Findings)
		}
	}
	return out
}

// Partly tells that the signature covers a part of the body, as the reason of its result.
func (s *Signature) Partly() bool { return s.Reason.Code == "dkim-body-partly-signed" }

// looked are the reasons that scripts look for.
var looked = []result.Code{"dkim-matches-from", "dkim-matches-no-header", "dkim-key-does-not-exist", "dkim-message-not-signed"}

func (s *Signature) outcome() result.Outcome {
	o := result.Outcome{
		Result: s.Word, Reason: s.Reason, Cause: result.CauseText(s.Cause), Findings: s.Findings, Detail: s, Identities: map[string]string{},
	}
	if s.Word == result.Pass {
		o.Identities["header.d"] = s.Domain
	}
	s.Describe(&o)
	return o
}

// Describe has what the field of a signature says, and how far it holds. What it says is a stranger's, and so is the message.
func (s *Signature) Describe(o *result.Outcome) {
	if s.Word == "" { // it was read from JSON
		s.Word, s.Reason = o.Result, o.Reason
	}
	o.Subject, o.Unbroken = result.Domain(s.Domain), slices.Contains(looked, s.Reason.Code)
	o.Properties = map[string]result.Text{"header.d": result.Domain(s.Domain), "header.s": s.selector()}
	expires := result.Because("html-expires", "date", result.Date(s.Expires))
	if s.Expires.IsZero() {
		expires = result.Reason{}
	}
	o.Facts = []result.Fact{
		{Label: "Signature:", Code: "html-signature", Copy: true, Lines: []result.Line{result.LineOf(result.Ours("d="), result.Domain(s.Domain), result.Ours(" s="), s.selector(),
			result.Ours(" a="), algorithm(s.Algorithm), result.Ours(" c="), form(s.Header), result.Ours("/"), form(s.Body))}},
		{Lines: []result.Line{result.LineOf(result.Ours("signed " + when(s.Time) + ", " + expiry(s.Expires)))}, Only: result.OnText},
		{Code: "html-signed", Lines: []result.Line{result.LineOf(dated(s.Time)), result.LineOf(expires)}, Only: result.OnPage},
		s.fields(),
	}
	if s.Identity != "" {
		o.Facts = append(o.Facts, result.Fact{Label: "Identity:", Code: "html-identity", Copy: true, Lines: []result.Line{result.LineOf(result.Ours("i="), s.Identity)}})
	}
	o.Facts = append(o.Facts, s.hashes()...)
	if broken := s.Broken(); !broken.IsZero() {
		o.Facts = append(o.Facts, result.Fact{Label: "Broken:", Code: "html-broken", Lines: []result.Line{result.LineOf(broken)}})
	}
	o.Facts = append(o.Facts, s.keyFacts()...)
	if !s.Counts.IsZero() {
		where := result.Place("")
		if !s.Evaluated {
			where = result.OnTool
		}
		o.Facts = append(o.Facts, result.Fact{Label: "For DMARC:", Code: "html-for-dmarc", Lines: []result.Line{result.LineOf(s.Counts)}, Only: where})
	}
	if s.Evaluated {
		o.Facts = append(o.Facts, s.canonical()...)
	}
	if s.Key != nil && s.Key.Bits > 0 {
		o.Facts = append(o.Facts, result.Fact{Label: "Public key used for verification: ", Whole: true, Last: true, Only: result.OnText,
			Lines: []result.Line{result.LineOf(result.Said(s.Domain, s.KeyName), result.Ours(fmt.Sprintf(" (%d bits)", s.Key.Bits)))}})
	}
}

// selector is the domain's own word where it has a key there; else the signature alone says it.
func (s *Signature) selector() result.Text {
	if s.Key == nil {
		return result.TextOf(s.Selector)
	}
	return result.Said(s.Domain, s.Selector)
}

// algorithm and form are ours where they are words of the RFCs.
func algorithm(a string) any {
	if slices.Contains([]string{"rsa-sha256", "rsa-sha1", "ed25519-sha256"}, a) {
		return result.Ours(a)
	}
	return a
}

func form(c string) any {
	if c == "simple" || c == "relaxed" {
		return result.Ours(c)
	}
	return c
}

func dated(t time.Time) result.Ours {
	if t.IsZero() {
		return ""
	}
	return result.Date(t)
}

func when(t time.Time) string {
	if t.IsZero() {
		return "at a time not given"
	}
	return string(result.Date(t))
}

func expiry(t time.Time) string {
	if t.IsZero() {
		return "no expiry"
	}
	return "expires " + string(result.Date(t))
}

// fields are the names in h=, with a plus sign where the message has no field left for one. The fields are taken in the
// order of h=, so that of equal names it is the last.
func (s *Signature) fields() result.Fact {
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
	out := result.Fact{Label: "Signed fields:", Code: "html-fields", Lines: []result.Line{result.LineOf(result.Text{Value: strings.Join(names, " "), From: mail.FieldsFrom(s.Signed)})}, Long: true}
	if len(s.OverSigned) > 0 {
		out.Lines = append(out.Lines, result.LineOf(result.Because("dkim-over-signed")))
	}
	return out
}

// hashes has the body's two hashes one below the other.
func (s *Signature) hashes() (out []result.Fact) {
	if s.HashClaimed != "" {
		text, page := result.Ours("(differs)"), result.Because("html-differs")
		if s.BodyVerifies {
			text, page = "(equal)", result.Because("html-equal")
		}
		// An equal hash is what we have computed ourselves; any other may spell something.
		claimed := result.TextOf(s.HashClaimed)
		if s.BodyVerifies {
			claimed.From = result.Ourselves
		}
		row := func(parts ...any) result.Line { return result.LineOf(parts...) }
		out = append(out,
			result.Fact{Label: "Body hash:", Whole: true, Only: result.OnText, Lines: []result.Line{
				row(result.Ours("in the signature  "), claimed), row(result.Ours("computed          "), result.Ours(s.HashComputed)), row(result.Ours("                  "), text)}},
			result.Fact{Code: "html-hash-signed", Lines: []result.Line{row(claimed)}, Copy: true, Only: result.OnPage},
			result.Fact{Code: "html-hash-computed", Lines: []result.Line{row(result.Ours(s.HashComputed))}, Copy: true, Only: result.OnPage},
			result.Fact{Code: "html-hash-compared", Lines: []result.Line{row(page)}, Only: result.OnPage})
	}
	if s.Length != nil {
		signed := fmt.Sprintf("l=%d", *s.Length)
		if s.HashComputed != "" {
			signed = fmt.Sprintf("l=%d of %d octets", *s.Length, s.CanonLength)
		}
		out = append(out, result.Fact{Label: "Signed body:", Code: "html-signed-body", Lines: []result.Line{result.LineOf(result.Ours(signed))}})
	}
	return out
}

// keyFacts of the key that was used; where there is none the result and the records say so, and nobody verifies anything.
func (s *Signature) keyFacts() []result.Fact {
	out := KeyFacts(s.Domain, s.KeyName, s.KeyTTL, s.Key)
	if s.KeyRecord != "" {
		out = append(out, result.Fact{Label: "Key record:", Lines: []result.Line{result.LineOf(result.Said(s.Domain, s.KeyRecord))}, Whole: true, Long: true, Only: result.OnTool})
	}
	if s.Key != nil && s.Key.Bits > 0 {
		out = append(out, VerifiedBy(s.Readers()))
	}
	return out
}

// VerifiedBy is the fact that says who can verify a signature.
func VerifiedBy(readers result.Reason) result.Fact {
	return result.Fact{Label: "Verified by:", Code: "html-verified-by", Lines: []result.Line{result.LineOf(readers)}}
}

// KeyFacts are those of a key record of a domain; where there is none only a tool shows its name.
func KeyFacts(domain, name string, ttl uint32, k *Key) []result.Fact {
	switch {
	case name == "":
		return nil
	case k == nil:
		return []result.Fact{{Label: "Key:", Lines: []result.Line{result.LineOf(result.Said(domain, name))}, Only: result.OnTool}}
	}
	tags := []string{"k=" + k.Type}
	switch {
	case k.Revoked:
		tags = append(tags, "revoked")
	case k.Bits > 0:
		tags = append(tags, fmt.Sprintf("%d bits", k.Bits))
	}
	for _, list := range []struct {
		tag    string
		values []string
	}{{"h", k.Hashes}, {"s", k.Services}, {"t", k.Flags}} {
		if list.values != nil {
			tags = append(tags, list.tag+"="+strings.Join(list.values, ":"))
		}
	}
	if k.Notes != "" {
		tags = append(tags, "n="+k.Notes)
	}
	said := result.Said(domain, strings.Join(tags, ", "))
	owner := result.Said(domain, name)
	return []result.Fact{
		{Label: "Key:", Lines: []result.Line{result.LineOf(owner, result.Ours(", TTL "), ttl), result.LineOf(said)}, Only: result.OnText},
		{Code: "html-key", Lines: []result.Line{result.LineOf(owner)}, Copy: true, Only: result.OnPage},
		{Lines: []result.Line{result.LineOf(result.Ours("TTL "), ttl, result.Ours(", "), said)}, Only: result.OnPage},
	}
}

// Broken says which of the two proofs of a signature fails; zero where none does, as far as is known.
func (s *Signature) Broken() result.Reason {
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

// Readers says who can verify this signature. What an algorithm and a key leave to all l= does not.
func (s *Signature) Readers() result.Reason {
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
func Readers(algorithm string, k *Key) result.Reason {
	switch {
	case algorithm == "ed25519-sha256":
		return result.Because("dkim-readers-ed25519")
	case algorithm == "rsa-sha1":
		return result.Because("dkim-readers-sha1")
	case algorithm != "rsa-sha256":
		return result.Because("dkim-readers-none", "algorithm", algorithm)
	case k != nil && k.Bits > 4096:
		return result.Because("dkim-readers-long-key", "bits", k.Bits)
	case k != nil && k.Bits > 0 && k.Bits < 1024:
		return result.Because("dkim-readers-short-key", "bits", k.Bits)
	}
	return result.Because("dkim-readers-rsa")
}

// canonical is what was hashed, as far as it is kept.
func (s *Signature) canonical() []result.Fact {
	body := quoted(s.CanonBody)
	if n := s.CanonLength - int64(len(s.CanonBody)); n > 0 {
		body = append(body, result.LineOf(result.Ours(fmt.Sprintf("    [%d octets more]", n))))
	}
	return []result.Fact{
		{Label: "Canonicalized Headers:", Lines: quoted(s.CanonHeader), Pre: true, Only: result.OnText},
		{Label: "Canonicalized Body:", Lines: body, Pre: true, Only: result.OnText},
	}
}

// quoted writes octets as Port25 did: what is outside visible ASCII as quoted hex, a line each CRLF. The colon of a link is
// written so too, so that the link is dead and the octets can still be told.
func quoted(b []byte) (out []result.Line) {
	const digits = "0123456789ABCDEF"
	line := append(make([]byte, 0, 256), "    "...)
	for i, c := range b {
		if c <= ' ' || c >= 0x7f || c == ':' && bytes.HasPrefix(b[i:], []byte("://")) {
			line = append(line, '\'', digits[c>>4], digits[c&15], '\'')
		} else {
			line = append(line, c)
		}
		if c == '\n' || i == len(b)-1 {
			out = append(out, result.LineOf(string(line)))
			line = line[:4]
		}
	}
	return out
}
