package dkim

import (
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"checkauth/verify/dns/dnstest"
	"checkauth/verify/mail"
	"checkauth/verify/result"
)

func TestHostile_66(t *testing.T) {
	t.Parallel()
	// What has more never comes here: go-msgauth is quadratic in the lines of a field.
	m := "Subject: x\r\n" + strings.Repeat(" y\r\n", 160000) + plainMessage
	if _, _, err := mail.Split(mail.Data{At: strings.NewReader(m), Size: int64(len(m))}, mail.DefaultBounds()); err == nil {
		t.Error("160,000 continuation lines are within the bounds")
	}
	// As many as the bounds let through, ten times.
	m = strings.Repeat("X-A: x\r\n"+strings.Repeat(" y\r\n", 499), 55) + plainMessage
	for range 10 {
		m = sign(tagsWith("h=From"+strings.Repeat(":X-A", 60)), m)
	}
	if got := words(checked(t, Verifier{DNS: ourKeys()}, m)); got != strings.TrimSpace(strings.Repeat("pass ", 10)) {
		t.Errorf("got %s, want ten passes", got)
	}
}

func TestHostile_67(t *testing.T) {
	t.Parallel()
	server := dnstest.New(t, txt("rsa._domainkey.example.org", rsaRecord(&rsaKey().PublicKey, "")))
	v := Verifier{DNS: server.Client(t)}
	var message strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&message, "DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=s%d; h=From; bh=AA==; b=AA==\r\n", i)
	}
	message.WriteString("\r\n")
	r := checked(t, v, message.String())
	if len(r.Signatures) != 1000 {
		t.Fatalf("got %d signatures, want all 1000 listed", len(r.Signatures))
	}
	for i, s := range r.Signatures {
		if s.Evaluated != (i < 10) || s.Selector != fmt.Sprintf("s%d", i) {
			t.Errorf("signature %d (%s): evaluated %t", i, s.Selector, s.Evaluated)
		}
		if i >= 10 && (s.Word != result.Neutral || s.Reason.Code != "dkim-not-evaluated" || s.Cause != nil) {
			t.Errorf("signature %d: got %s (%s), want neutral (not evaluated)", i, s.Word, s.Reason)
		}
	}
	if n := len(server.Queries()); n != 10 {
		t.Errorf("%d key look-ups, want 10", n)
	}
	if got := r.Findings; len(got) != 1 || got[0].Code != "dkim-too-many-signatures" {
		t.Errorf("findings of the message: %v", got)
	}
	v.Signatures = 3
	if r := checked(t, v, message.String()); r.Signatures[2].Evaluated == false || r.Signatures[3].Evaluated {
		t.Error("the bound of the configuration is not kept")
	}
}

func TestHostile_68(t *testing.T) {
	t.Parallel()
	number := func(bits int, odd uint) *big.Int {
		n := new(big.Int).SetBit(new(big.Int), bits-1, 1)
		return n.SetBit(n, 0, odd)
	}
	of := func(bits, e int) string { return rsaRecord(&rsa.PublicKey{N: number(bits, 1), E: e}, "") }
	for _, c := range []struct {
		name, record string
		word         result.Word
		code         result.Code
	}{
		{"512 bits", of(512, 65537), result.PermError, "dkim-key-too-short"},
		{"1023 bits", of(1023, 65537), result.PermError, "dkim-key-too-short"},
		{"1024 bits", of(1024, 65537), result.Fail, "dkim-key-mismatch"},
		{"16384 bits", of(16384, 65537), result.Policy, "dkim-key-too-long"},
		{"65536 bits", of(65536, 65537), result.Policy, "dkim-key-too-long"},
		{"e is 1", of(2048, 1), result.PermError, "dkim-key-syntax"},
		{"e is even", of(2048, 4), result.PermError, "dkim-key-syntax"},
		{"e is 2^31-1", of(2048, 1<<31-1), result.Fail, "dkim-key-mismatch"},
		{"n is even", rsaRecord(&rsa.PublicKey{N: number(2048, 0), E: 65537}, ""), result.PermError, "dkim-key-syntax"},
		{"garbage", "v=DKIM1; p=" + base64.StdEncoding.EncodeToString([]byte("\x30\x03garbage that is long enough")), result.PermError, "dkim-key-syntax"},
		{"garbage of 11 kB", "v=DKIM1; p=" + strings.Repeat("AAAA", 2800), result.PermError, "dkim-key-syntax"},
		{"11 kB without p=", "v=DKIM1; n=" + strings.Repeat("x", 11<<10), result.PermError, "dkim-key-no-p"},
		{"11 kB of semicolons", strings.Repeat(";", 11<<10), result.PermError, "dkim-key-no-p"},
		{"a length beyond all octets", "v=DKIM1; p=" + base64.StdEncoding.EncodeToString([]byte("\x30\x84\xff\xff\xff\xff")), result.PermError, "dkim-key-syntax"},
		{"p= is empty", "v=DKIM1; p=", result.PermError, "dkim-key-revoked"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := checked(t, Verifier{DNS: texts{"rsa._domainkey.example.org": c.record}}, sign(plainTags, plainMessage)).Signatures[0]
			if s.Word != c.word || len(s.Findings) == 0 || s.Findings[0].Code != c.code {
				t.Errorf("got %s (%s) and %v, want %s and %s", s.Word, s.Reason, s.Findings, c.word, c.code)
			}
		})
	}
}

func TestHostile_69(t *testing.T) {
	t.Parallel()
	v := Verifier{DNS: ourKeys()}
	m := sign(tagsWith("l=0"), plainMessage) + "<html>Pay here</html>\r\n"
	s := one(t, checked(t, v, m), result.Policy, "dkim-l-tag-appended")
	if s.Reason.Code != "dkim-body-partly-signed" || !s.BodyVerifies {
		t.Errorf("got %s, body verifies: %t; want the body length tag as the reason", s.Reason, s.BodyVerifies)
	}
	// A verifier has panicked over this one.
	short := strings.Replace(sign(plainTags, "From: ann@example.org\r\n\r\n"+strings.Repeat("x", 52)+"\r\n"), "; h=", "; l=99999; h=", 1)
	if s := checked(t, v, short).Signatures[0]; s.Word != result.Fail {
		t.Errorf("l=99999 over 54 octets, added later: got %s (%s), want fail", s.Word, s.Reason)
	}
}

func TestHostile_70(t *testing.T) {
	t.Parallel()
	v := Verifier{DNS: ourKeys()}
	two := "From: evil@example.net\r\n" + plainMessage
	for _, c := range []struct {
		name, message string
		word          result.Word
		codes         []result.Code
	}{
		{"put on top of the signature", "From: evil@example.net\r\n" + sign(plainTags, plainMessage), result.Pass, []result.Code{"dkim-second-from"}},
		{"there before signing, one signed", sign(plainTags, two), result.Pass, []result.Code{"dkim-second-from"}},
		{"there before signing, both signed", sign(tagsWith("h=From:From"), two), result.Pass, nil}, // DMARC's From parser names it
		{"put on top, signed as absent", "From: evil@example.net\r\n" + sign(tagsWith("h=From:From"), plainMessage), result.Fail, []result.Code{"dkim-header-added"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if s := one(t, checked(t, v, c.message), c.word, c.codes...); s.Reason.Code == "dkim-matches-from" {
				t.Error("a message of two From fields must not be said to match From")
			}
		})
	}
}

// Parts beyond number and depth, in bodies that were changed, so that the search for the change meets
// them too.
func TestHostile_73_74(t *testing.T) {
	t.Parallel()
	var nested, letters strings.Builder
	for i := range 4000 {
		fmt.Fprintf(&nested, "--%d\r\nContent-Type: multipart/mixed; boundary=%d\r\n\r\n", i, i+1)
	}
	letters.WriteString("--0\r\n")
	for range 1000 {
		letters.WriteString("Content-Type: message/rfc822\r\n\r\n")
	}
	long := strings.Repeat("x", 200)
	for _, c := range []struct{ name, boundary, body string }{
		{"multipart 4000 deep", "0", nested.String()},
		{"message/rfc822 1000 deep", "0", letters.String()},
		{"as many parts as a rewritten body holds", "0", strings.Repeat("--0\r\n", smallBody/5-10)},
		{"500,000 parts", "0", strings.Repeat("--0\r\n", 500000)},
		{"parts with an encoding", "0", strings.Repeat("--0\r\nContent-Transfer-Encoding: base64\r\n\r\nYQ==\r\n", 2000)},
		{"a part header of 1 MB", "0", "--0\r\n" + strings.Repeat("X: y\r\n", 170000)},
		{"a part header of 9 MB", "0", "--0\r\nX: " + strings.Repeat("y", 9<<20)},
		{"a delimiter of an inner multipart that has ended", "A", "--A\r\nContent-Type: multipart/alternative; boundary=B\r\n\r\n--B\r\nContent-Type: text/plain\r\n\r\nx\r\n--B--\r\n--A\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nhello\r\n--B\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n" + strings.Repeat(strings.Repeat("QUJD", 19)+"\r\n", 20)},
		{"lines that could all be one", "A", strings.Repeat("\r\n", 61) + strings.Repeat(strings.Repeat("x", 72)+"\r\n", 5000)},
		{"a part header of one field, folded", "0", "--0\r\nContent-Type: text/plain;\r\n" + strings.Repeat(" a=b;\r\n", 100000)},
		{"a boundary that is too long", long, strings.Repeat("--"+long+"\r\n\r\nx\r\n", 1000)},
		{"a boundary that begins another", "a", "--a\r\nContent-Type: multipart/mixed; boundary=ab\r\n\r\n" + strings.Repeat("--ab\r\n--a\r\n", 3000)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := "From: ann@example.org\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"" + c.boundary + "\"\r\n\r\n"
			signed := sign(tagsWith("h=From:Content-Type"), m+"another body\r\n")
			m = signed[:len(signed)-len("another body\r\n")] + c.body
			s := checked(t, Verifier{DNS: ourKeys()}, m).Signatures[0]
			if s.Word != result.Fail || s.Reason.Code != "dkim-body-hash-differs" {
				t.Errorf("got %s (%s), want fail", s.Word, s.Reason)
			}
		})
	}
}

// The costs that a header within its bounds can cause: 200 names over 1000 fields, ten times.
func TestManyNamesOverManyFields(t *testing.T) {
	t.Parallel()
	var fields strings.Builder
	for range 980 {
		fields.WriteString("X-A: " + strings.Repeat("y ", 20) + "\r\n")
	}
	m := fields.String() + "From: ann@example.org\r\n\r\nHi\r\n"
	tags := tagsWith("h=From" + strings.Repeat(":X-A", 199))
	for range 10 {
		m = sign(tags, m)
	}
	r := checked(t, Verifier{DNS: ourKeys()}, m)
	if got := words(r); got != strings.TrimSpace(strings.Repeat("pass ", 10)) {
		t.Errorf("got %s, want ten passes", got)
	}
	if n := len(r.Signatures[0].CanonHeader); n > shownHeader {
		t.Errorf("%d octets of the canonical header are kept, want at most %d", n, shownHeader)
	}
}

// What no bound has cut before: names and fields by the thousand cost no more than being counted.
func TestNamesAndFieldsBeyondTheBounds(t *testing.T) {
	t.Parallel()
	names := strings.Repeat(":X-A:X-B", 2000)
	for _, h := range []string{"From" + names, names[1:] + ":From"} {
		m := strings.Repeat("X-A: y\r\nX-B: z\r\n", 2000) + "From: ann@example.org\r\n\r\nHi\r\n"
		m = strings.Repeat("DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=rsa; h="+h+"; bh=AAAA; b=AAAA\r\n", 10) + m
		fields, body, err := mail.Split(mail.Data{At: strings.NewReader(m), Size: int64(len(m))}, mail.Bounds{Bytes: 1 << 20, Fields: 5000, Folds: 10})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range (Verifier{DNS: ourKeys()}).Check(t.Context(), fields, body).Signatures {
			if s.Word != result.Policy || s.Reason.Code != "dkim-too-many-names" || len(s.CanonHeader) > 0 {
				t.Fatalf("got %s (%s), %d octets of canonical header; want policy and none", s.Word, s.Reason, len(s.CanonHeader))
			}
		}
	}
}

func TestFoldsThatAreMany(t *testing.T) {
	t.Parallel()
	m := sign(plainTags, "Subject: "+strings.Repeat("x\r\n ", 499)+"\r\nFrom: ann@example.org\r\n\r\nHi\r\n")
	one(t, checked(t, Verifier{DNS: ourKeys()}, m), result.Pass)
}

// The verdict does not depend on how the body is held.
func TestBodyIsReadFromItsPlace(t *testing.T) {
	t.Parallel()
	m := sign(plainTags, plainMessage)
	fields, body := split(t, m)
	body = mail.Data{At: strings.NewReader("front" + m), Off: body.Off + 5, Size: body.Size}
	one(t, Verifier{DNS: ourKeys()}.Check(t.Context(), fields, body), result.Pass)
}
