package dkim

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"checkauth/verify/dns/dnstest"
	"checkauth/verify/result"
)

func TestRFC6376_3_6_1_a_key_by_itself(t *testing.T) {
	t.Parallel()
	ed := strings.TrimPrefix(edRecord(""), "v=DKIM1; ")
	zone := dnstest.Zone(t,
		txt("rsa._domainkey.example.org", rsaRecord(&rsaKey().PublicKey, ""))+
			txt("weak._domainkey.example.org", rsaRecord(&weakOf().PublicKey, ""))+
			txt("ed._domainkey.example.org", edRecord("h=sha256; s=email:tlsrpt; t=s; "))+
			txt("test._domainkey.example.org", edRecord("t=y; "))+
			txt("last._domainkey.example.org", ed+"; v=DKIM1")+
			txt("more._domainkey.example.org", edRecord("t=q:s; g=*; "))+
			txt("sha1._domainkey.example.org", edRecord("h=sha1; "))+
			txt("chat._domainkey.example.org", edRecord("s=chat; "))+
			txt("none._domainkey.example.org", edRecord("s=; "))+
			txt("revoked._domainkey.example.org", "v=DKIM1; p=")+
			txt("empty._domainkey.example.org", "v=DKIM1; k=rsa")+
			txt("cut._domainkey.example.org", rsaRecord(&rsaKey().PublicKey, "")[:255])+
			txt("two._domainkey.example.org", edRecord(""))+txt("two._domainkey.example.org", "v=DKIM1; p=")+
			";FAULT SERVFAIL down._domainkey.example.org ANY\n")
	for _, c := range []struct {
		selector, domain string
		word             result.Word
		reason           result.Code
		findings         []result.Code // the first ones; why there is no key is looked into further
		bits, strings    int
	}{
		{"rsa", "example.org", result.Pass, "dkim-key-usable", nil, 2048, 2},
		{"RSA", "Example.ORG", result.Pass, "dkim-key-usable", nil, 2048, 2},
		{"weak", "example.org", result.Pass, "dkim-key-usable", []result.Code{"dkim-key-weak"}, 1024, 1},
		{"ed", "example.org", result.Pass, "dkim-key-usable", nil, 256, 1},
		{"test", "example.org", result.Pass, "dkim-key-usable", []result.Code{"dkim-key-test-mode"}, 256, 1},
		{"last", "example.org", result.Pass, "dkim-key-usable", []result.Code{"dkim-key-v-not-first"}, 256, 1},
		{"more", "example.org", result.Pass, "dkim-key-usable", []result.Code{"dkim-key-unknown-tag", "dkim-key-unknown-flag"}, 256, 1},
		{"sha1", "example.org", result.PermError, "dkim-key-not-for-hash", []result.Code{"dkim-key-wrong-hash"}, 256, 1},
		{"chat", "example.org", result.PermError, "dkim-key-not-for-mail", []result.Code{"dkim-key-wrong-service"}, 256, 1},
		{"none", "example.org", result.PermError, "dkim-key-not-for-mail", []result.Code{"dkim-key-wrong-service"}, 256, 1},
		{"revoked", "example.org", result.PermError, "dkim-key-is-revoked", []result.Code{"dkim-key-revoked"}, 0, 1},
		{"empty", "example.org", result.PermError, "dkim-key-lacks-p", []result.Code{"dkim-key-no-p"}, 0, 1},
		{"cut", "example.org", result.PermError, "dkim-key-ends-early", []result.Code{"dkim-key-truncated"}, 0, 1},
		{"two", "example.org", result.PermError, "dkim-key-several-records", []result.Code{"dkim-key-multiple-records"}, 0, 0},
		{"gone", "example.org", result.PermError, "dkim-key-does-not-exist", []result.Code{"dkim-key-missing"}, 0, 0},
		{"down", "example.org", result.TempError, "dns-servfail", []result.Code{"dns-servfail"}, 0, 0},
		{"a b", "example.org", result.PermError, "dkim-key-without-name", nil, 0, 0},
		{"", "example.org", result.PermError, "dkim-key-without-name", nil, 0, 0},
		{"rsa", "exa\"mple.org", result.PermError, "dkim-key-without-name", nil, 0, 0},
		{strings.Repeat("a", 64), "example.org", result.PermError, "dkim-key-without-name", nil, 0, 0},
	} {
		t.Run(c.selector+" "+c.domain, func(t *testing.T) {
			t.Parallel()
			got := Verifier{DNS: zone}.Key(t.Context(), c.selector, c.domain)
			var codes []result.Code
			for _, f := range got.Findings {
				codes = append(codes, f.Code)
			}
			bits := 0
			if got.Key != nil {
				bits = got.Key.Bits
			}
			if got.Word != c.word || got.Reason.Code != c.reason || !slices.Equal(codes, c.findings) || bits != c.bits || len(got.Strings) != c.strings {
				t.Errorf("got %s (%s), %v, %d bits, %d strings, want %+v", got.Word, got.Reason, codes, bits, len(got.Strings), c)
			}
			if strings.Join(got.Strings, "") != got.Record || got.Strings == nil {
				t.Errorf("strings %q of the record %q", got.Strings, got.Record)
			}
			if asked := len(got.Evidence); asked != 1 && got.Name != "" || asked != 0 && got.Name == "" || got.Evidence == nil {
				t.Errorf("evidence %v at %q", got.Evidence, got.Name)
			}
			if temporary := c.word == result.TempError; got.Word != result.Pass && !temporary != (errors.Is(got.Cause, ErrKey) || errors.Is(got.Cause, ErrNoKey)) {
				t.Errorf("cause %v", got.Cause)
			}
		})
	}
}

// A key is as good by itself as in the verdict on a signature.
func TestKey_agrees_with_the_verdict_on_a_signature(t *testing.T) {
	t.Parallel()
	for _, tags := range []string{"", "h=sha256; ", "h=sha1; ", "s=email; ", "s=chat; ", "s=; ", "h=; ", "t=y; ", "k=rsa; ", "n=x; x; "} {
		zone := texts{"rsa._domainkey.example.org": "v=DKIM1; " + tags + strings.TrimPrefix(rsaRecord(&rsaKey().PublicKey, ""), "v=DKIM1; k=rsa; ")}
		key := Verifier{DNS: zone}.Key(t.Context(), "rsa", "example.org")
		signed := checked(t, Verifier{DNS: zone}, sign(plainTags, plainMessage)).Signatures
		if len(signed) != 1 || signed[0].Word != key.Word || key.Word != result.Pass && signed[0].Reason.Code != key.Reason.Code {
			t.Errorf("%q: the key %s (%s), the signature %+v", tags, key.Word, key.Reason, signed)
		}
	}
}

// Where nothing lies at the right name, the names next to it are asked for, without a signature too.
func TestKey_at_a_wrong_name(t *testing.T) {
	t.Parallel()
	zone := dnstest.Zone(t, txt("s1.domainkey.example.org", edRecord("")))
	for _, c := range []struct {
		name string
		v    Verifier
		want result.Code
	}{
		{"nobody is asked", Verifier{DNS: zone}, "dkim-key-missing"},
		{"the zone is asked", Verifier{DNS: zone, Diagnose: zone}, "dkim-key-wrong-name"},
	} {
		got := c.v.Key(t.Context(), "s1", "example.org")
		if len(got.Findings) != 1 || got.Findings[0].Code != c.want || got.Word != result.PermError || len(got.Evidence) != 1 {
			t.Errorf("%s: got %s, %v, want %s", c.name, got.Word, got.Findings, c.want)
		}
	}
}

// Whatever a record holds, it passes where a signature with its key can, and not else.
func FuzzKeyReport(f *testing.F) {
	f.Add(rsaRecord(&rsaKey().PublicKey, "h=sha256; s=email; t=y:s; n=x=20y; "))
	f.Add(edRecord("g=*; t=q; "))
	f.Add("p=AAAA; v=DKIM1; k=ed25519; ;=;")
	f.Fuzz(func(t *testing.T, text string) {
		zone := texts{"s1._domainkey.example.org": text}
		got := Verifier{DNS: zone, Diagnose: zone}.Key(t.Context(), "s1", "example.org")
		_, pub, fault := readKey(got.Name, text)
		usable := got.Key != nil && got.Key.Bits >= 256 && fault == nil && (pub.rsa != nil || pub.ed25519 != nil)
		if got.Word == result.Pass && !usable || got.Reason.IsZero() || got.Record != text {
			t.Fatalf("%q: got %+v", text, got)
		}
		if got.Word != result.Pass && len(got.Findings) == 0 {
			t.Fatalf("%q: %s without a finding", text, got.Word)
		}
		if _, err := json.Marshal(got); err != nil {
			t.Fatalf("%q: no JSON: %v", text, err)
		}
	})
}
