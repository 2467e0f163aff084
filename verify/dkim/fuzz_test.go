package dkim

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"checkauth/verify/mail"
	"checkauth/verify/result"
)

func FuzzSignatureField(f *testing.F) {
	signed := sign(plainTags, "")
	f.Add(signed)
	f.Add("DKIM-Signature: v=1; a=rsa-sha1; d=a; s=b; h=from:to; l=99999; t=1; x=9999999999999; i=a=40b; bh=; b=\r\n")
	f.Add("dkim-signature :;=;b=\n c")
	f.Fuzz(func(t *testing.T, text string) {
		fields, err := mail.Parse([]byte(text), mail.DefaultBounds())
		if err != nil {
			t.Skip()
		}
		for _, field := range fields.All(fieldName) {
			s := readField(field)
			if name, ok := KeyName(field); ok != (name != "") || name != s.KeyName {
				t.Fatalf("%q: key name %q, %t, and %q", field.Raw, name, ok, s.KeyName)
			}
			if _, err := json.Marshal(s.Signature); err != nil {
				t.Fatalf("%q: no JSON: %v", field.Raw, err)
			}
			own := s.withoutSignature()
			if bytes.HasSuffix(own, crlf) && !bytes.HasSuffix(s.raw, []byte("\r\n\r\n")) {
				t.Fatalf("%q: hashed with its last CRLF: %q", field.Raw, own)
			}
			if b, ok := s.tags.get("b"); ok && s.syntax == nil {
				again, err := parseTags(string(own[s.colon:]))
				if err != nil || again.value("b") != "" {
					t.Fatalf("%q: b= is %q after %q was taken out (%v)", field.Raw, again.value("b"), b.value, err)
				}
				for _, tag := range s.tags {
					if got, _ := again.get(tag.name); tag.name != "b" && got.value != tag.value {
						t.Fatalf("%q: %s= is %q without b=, was %q", field.Raw, tag.name, got.value, tag.value)
					}
				}
			}
			for _, r := range rules[:10] { // those of the field
				_ = r(s, s.Time)
			}
		}
	})
}

func FuzzKeyRecord(f *testing.F) {
	f.Add(rsaRecord(&rsaKey().PublicKey, "h=sha256; s=email; t=y:s; n=x=20y; "))
	f.Add(edRecord(""))
	f.Add("v=DKIM1; k=ed25519; p=AAAA")
	f.Add(`v=DKIM1\; p=MIIB`)
	f.Add("p=MIGJAoGBALVI635dLK4cJJAH3Lx6upo3X/Lm1tQz3mezcWTA3BUBnyIsdnRf57aD5BtNmhPrYYDlWlzw3UgnKisIxktkk5+iMQMlFtAS10JB8L3YadXNJY+JBcbeSi5TgJe4WFzNgW95FWDAuSTRXSWZfA/8xjflbTLDx0euFZOM7C4T0GwLAgMBAAE=")
	f.Fuzz(func(t *testing.T, text string) {
		k, pub, fault := readKey("s._domainkey.example.org", text)
		usable := pub.rsa != nil || pub.ed25519 != nil
		switch {
		case fault == nil && (k == nil || !usable || k.Revoked):
			t.Fatalf("%q: no fault, and no key: %+v", text, k)
		case fault != nil && (fault.word != result.PermError && fault.word != result.Policy || fault.reason.IsZero() || len(fault.findings) != 1):
			t.Fatalf("%q: half a fault: %+v", text, fault)
		case (fault != nil && fault.word == result.PermError) != (fault != nil && fault.cause != nil):
			t.Fatalf("%q: permerror without its cause: %+v", text, fault)
		}
		if pub.rsa != nil && (k.Bits < minBits || k.Bits > maxBits) && (fault == nil || pub.verifies(make([]byte, 32), make([]byte, k.Bits/8))) {
			t.Fatalf("%q: a key of %d bits is computed with", text, k.Bits)
		}
		if k != nil {
			if _, err := json.Marshal(k); err != nil {
				t.Fatalf("%q: no JSON: %v", text, err)
			}
		}
	})
}

// A pass is never given but where go-msgauth alone, or the reference of the tests, gives it too.
func FuzzVerdict(f *testing.F) {
	record := rsaRecord(&rsaKey().PublicKey, "")
	f.Add(sign(plainTags, plainMessage), record)
	f.Add(sign(tagsWith("c=simple/simple", "l=3"), plainMessage), record)
	f.Add(sign(tagsWith("a=ed25519-sha256", "h=From:From:DKIM-Signature"), sign(plainTags, plainMessage)), edRecord("t=s; "))
	f.Add("DKIM-Signature: v=1\r\n"+sign(tagsWith("z=b=20"), "From: a@example.org\r\nfold?\r\n"), record)
	f.Add(wire(exampleRFC8463), keyRFC8463)
	f.Fuzz(func(t *testing.T, message, record string) {
		fields, body, err := mail.Split(mail.Data{At: strings.NewReader(message), Size: int64(len(message))}, mail.DefaultBounds())
		if err != nil {
			t.Skip()
		}
		v := Verifier{DNS: everywhere(record)}
		r := v.Check(t.Context(), fields, body)
		signs := fields.All(fieldName)
		if len(r.Signatures) != len(signs) || (len(signs) == 0) != (len(r.Findings) == 1 && r.Findings[0].Code == "dkim-not-signed") {
			t.Fatalf("%d results for %d signatures", len(r.Signatures), len(signs))
		}
		if _, err := json.Marshal(r); err != nil {
			t.Fatalf("no JSON: %v", err)
		}
		for _, s := range r.Signatures {
			if s.Reason.IsZero() || (s.Word == result.TempError || s.Word == result.PermError) != (s.Cause != nil) {
				t.Fatalf("half a verdict: %s (%s; %v)", s.Word, s.Reason, s.Cause)
			}
			if s.Word == result.Pass && (s.Length != nil && *s.Length != s.CanonLength || !s.BodyVerifies || !s.Evaluated) {
				t.Fatalf("a pass of %+v", s)
			}
			if s.Word == result.Pass && !libraryPasses(fields, body, s.Index, record) && !byReference(fields, body, s, record) {
				t.Fatalf("signature %d passes, and neither go-msgauth nor the reference passes it", s.Index)
			}
		}
		if len(signs) <= v.bound() {
			agree(t, v, fields, body)
		}
	})
}

// libraryPasses asks go-msgauth without our code.
func libraryPasses(fields mail.Fields, body mail.Data, index int, record string) bool {
	var head strings.Builder
	signs := fields.All(fieldName)
	head.Write(withCRLF(signs[index].Raw))
	n := 0
	for _, f := range fields {
		own := f.Is(fieldName) && n == index
		if f.Is(fieldName) {
			n++
		}
		if !own && f.Name != "" {
			head.Write(withCRLF(f.Raw))
		}
	}
	b := make([]byte, body.Size)
	if _, err := body.Reader().Read(b); err != nil && body.Size > 0 {
		return false
	}
	vs, err := dkim.VerifyWithOptions(strings.NewReader(head.String()+"\r\n"+string(b)), &dkim.VerifyOptions{MaxVerifications: 1,
		LookupTXT: func(string) ([]string, error) {
			if record == "" {
				return nil, &net.DNSError{IsNotFound: true}
			}
			return []string{record}, nil
		}})
	return len(vs) == 1 && vs[0].Err == nil && (err == nil || errors.Is(err, dkim.ErrTooManySignatures))
}

// byReference verifies with the canonicalisation of the tests.
func byReference(fields mail.Fields, body mail.Data, s Signature, record string) bool {
	b := make([]byte, body.Size)
	if _, err := body.Reader().Read(b); err != nil && body.Size > 0 {
		return false
	}
	_, key, fault := readKey(s.KeyName, record)
	field := readField(fields.All(fieldName)[s.Index])
	sums := refSums(fields, string(b), s, string(field.withoutSignature()))
	return fault == nil && base64.StdEncoding.EncodeToString(sums[0]) == s.HashClaimed && key.verifies(sums[1], field.signed)
}
