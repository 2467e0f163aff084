package dkim

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"
)

func TestRFC6376_3_6_1_mendedRecord(t *testing.T) {
	t.Parallel()
	right := rsaRecord(&rsaKey().PublicKey, "")
	p := strings.TrimPrefix(right, "v=DKIM1; k=rsa; p=")
	edRight := edRecord("")
	ed := strings.TrimPrefix(edRight, "v=DKIM1; k=ed25519; p=")
	wrapped, err := x509.MarshalPKIXPublicKey(edKey.Public())
	if err != nil {
		t.Fatal(err)
	}
	file := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(base64.StdEncoding.DecodeString(p))}))
	for _, c := range []struct{ name, text, want string }{
		{"as it should be", right, right},
		{"v= is not first", "k=rsa; p=" + p + "; v=DKIM1", right},
		{"no v= and no k=", "p=" + p, right},
		{"a semicolon is escaped", `v=DKIM1\; k=rsa\; p=` + p, right},
		{"a semicolon is escaped by its number", `v=DKIM1\059 k=rsa\059 p=` + p, right},
		{"quoted", `"v=DKIM1; k=rsa; p=` + p + `"`, right},
		{"quoted in parts", `"v=DKIM1; k=rsa; p=` + p[:100] + `" "` + p[100:] + `"`, right},
		{"quoted within quotes", `\"v=DKIM1; k=rsa; p=` + p[:100] + `\" \"` + p[100:] + `\"`, right},
		{"typographic quotes", "“v=DKIM1; k=rsa; p=" + p + "”", right},
		{"the lines of the PEM file", "v=DKIM1; k=rsa; p=" + file, right},
		{"the PEM file alone", file, right},
		{"the PEM file with line ends as a program writes them", "v=DKIM1; k=rsa; p=" + strings.ReplaceAll(file, "\n", `\n`), right},
		{"the key alone", p, right},
		{"no semicolons", "v=DKIM1 k=rsa p=" + p, right},
		{"no semicolon behind the key", "v=DKIM1; p=" + p + " t=s", "v=DKIM1; k=rsa; t=s; p=" + p},
		{"commas", "v=DKIM1, k=rsa, p=" + p, right},
		{"colons", "v:DKIM1; k:rsa; p:" + p, right},
		{"capital letters", "V=DKIM1; K=RSA; P=" + p, right},
		{"the type in capital letters", "v=DKIM1; k=RSA; p=" + p, right},
		{"the version in small letters", "v=dkim1; k=rsa; p=" + p, right},
		{"a web page's spaces", "v=DKIM1;\u00a0k=rsa;\u00a0p=" + p[:50] + "\u200b" + p[50:], right},
		{"padding that is not right", "v=DKIM1; k=rsa; p=" + p + "==", right},
		{"padding left out", strings.TrimRight(edRight, "="), edRight},
		{"an RSA key as Ed25519", "v=DKIM1; k=ed25519; p=" + p, right},
		{"an Ed25519 key as RSA by default", "v=DKIM1; p=" + ed, edRight},
		{"an Ed25519 key in its wrapping", "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(wrapped), edRight},
		{"what else is said stays", "v=DKIM1; h=sha256; k=rsa; n=a note; s=email; t=y:s; g=*; p=" + p,
			"v=DKIM1; k=rsa; h=sha256; s=email; t=y:s; n=a note; p=" + p},
		{"an empty list is left out", "v=DKIM1; t=; s=; p=" + p, right},
		{"the key twice", "p=" + p + "; p=" + p, right},
		{"two keys", "p=" + p + "; p=" + ed, ""},
		{"cut off", right[:255], ""},
		{"revoked", "v=DKIM1; p=", ""},
		{"no key", "v=DKIM1; k=rsa", ""},
		{"32 octets as RSA", "v=DKIM1; k=rsa; p=" + ed, ""},
		{"a private key", "v=DKIM1; p=" + base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PrivateKey(rsaKey())), ""},
		{"a private key, escaped", `v=DKIM1\; p=\"` + base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PrivateKey(rsaKey())), ""},
		{"the private half of Ed25519", "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(edKey), ""},
		{"SPF", "v=spf1 a mx -all", ""},
		{"nothing", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, ok := Mend(c.text)
			got := ""
			if ok {
				got = r.String()
			}
			if got != c.want {
				t.Errorf("%q:\n got %q\nwant %q", c.text, got, c.want)
			}
		})
	}
}

func TestRFC6376_3_6_2_2_keyInSeveralRecords(t *testing.T) {
	t.Parallel()
	right := rsaRecord(&rsaKey().PublicKey, "")
	for _, c := range []struct {
		name  string
		texts []string
		want  string
	}{
		{"in order", []string{right[:255], right[255:]}, right},
		{"the end first", []string{right[255:], right[:255]}, right},
		{"in three", []string{right[300:], right[:150], right[150:300]}, right},
		{"a piece is missing", []string{right[:150], right[300:]}, ""},
		{"one alone", []string{right}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := ""
			if r, ok := MendJoined(c.texts); ok {
				got = r.String()
			}
			if got != c.want {
				t.Errorf("%q:\n got %q\nwant %q", c.texts, got, c.want)
			}
		})
	}
}

// FuzzMend: what comes out is a key that is read by the rules, that very key stood there, and a text that
// was right means what it meant.
func FuzzMend(f *testing.F) {
	right := rsaRecord(&rsaKey().PublicKey, "t=s; ")
	for _, seed := range []string{
		right, edRecord(""), strings.ReplaceAll(right, ";", `\;`), `"` + right[:255] + `" "` + right[255:] + `"`, right[:255],
		"v=DKIM1 k=rsa p=" + right[30:], "-----BEGIN PUBLIC KEY-----\n" + right[30:], "k=ed25519; p=" + strings.Repeat("A", 44), "p=",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, ok := Mend(text)
		if !ok {
			return
		}
		k, pub, _ := readRecord("name", r.String())
		if k == nil || k.Bits == 0 || k.Type != r.Type {
			t.Fatalf("%q became %q, which does not read", text, r)
		}
		rest := text
		for _, c := range strings.TrimRight(r.Key, "=") {
			at := strings.IndexRune(rest, c)
			if at < 0 {
				t.Fatalf("%q became %q: that key did not stand there", text, r)
			}
			rest = rest[at+1:]
		}
		if was, before, fault := readRecord("name", text); fault == nil && was.Bits > 0 && !same(before, pub) {
			t.Fatalf("%q became %q: another key", text, r)
		}
		if again, ok := Mend(r.String()); !ok || again.String() != r.String() {
			t.Fatalf("%q became %q, and that %q", text, r, again)
		}
		if isPrivate(r.String()) {
			t.Fatalf("%q became %q: a private key", text, r)
		}
	})
}

func same(a, b publicKey) bool {
	if a.rsa != nil {
		return a.rsa.Equal(b.rsa)
	}
	return a.ed25519.Equal(ed25519.PublicKey(b.ed25519))
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}
