package sign_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"checkauth/reply/sign"
	"checkauth/verify/dns"
	"checkauth/verify/dns/client"
	"checkauth/verify/dns/dnstest"
)

func open(t *testing.T, dir string) (*sign.Key, bool) {
	t.Helper()
	k, made, err := sign.Open(dir, "verifier.example.org", "check-auth")
	if err != nil {
		t.Fatal(err)
	}
	return k, made
}

func TestTheKeyIsMadeOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, made := open(t, dir)
	if !made {
		t.Error("the first start made no key")
	}
	file := filepath.Join(dir, "check-auth.key")
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got mode %v, %v, want 0600", info.Mode(), err)
	}
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	second, made := open(t, dir)
	after, err := os.ReadFile(file)
	if made || err != nil || second.Text() != first.Text() || !bytes.Equal(before, after) {
		t.Errorf("the second start: made %t, %v, record %q, want %q", made, err, second.Text(), first.Text())
	}
	record, err := os.ReadFile(filepath.Join(dir, "check-auth.dns"))
	if err != nil || string(record) != first.Record()+"\n" {
		t.Errorf("beside it: %q, %v, want %q", record, err, first.Record())
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 2 {
		t.Errorf("the folder has %v, %v, want the key and its record", files, err)
	}
}

// pkcs8 is a key's file.
func pkcs8(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// short is a key of 512 bits, which package rsa makes no more.
func short(t *testing.T) []byte {
	t.Helper()
	one, e := big.NewInt(1), big.NewInt(65537)
	for {
		p, err := rand.Prime(rand.Reader, 256)
		if err != nil {
			t.Fatal(err)
		}
		q, err := rand.Prime(rand.Reader, 256)
		if err != nil {
			t.Fatal(err)
		}
		phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
		d := new(big.Int).ModInverse(e, phi)
		if d == nil || p.Cmp(q) == 0 {
			continue
		}
		key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537}, D: d, Primes: []*big.Int{p, q}}
		return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	}
}

func TestAFileThatIsNoKeyIsRefusedAndLeft(t *testing.T) {
	t.Parallel()
	whole := t.TempDir()
	open(t, whole)
	good, err := os.ReadFile(filepath.Join(whole, "check-auth.key"))
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "no PEM block"},
		{"not PEM", []byte("secret\n"), "no PEM block"},
		{"cut", good[:len(good)/2], "no PEM block"},
		{"another thing in PEM", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), "not a private key"},
		{"a key of another kind", pkcs8(t, curve), "*ecdsa.PrivateKey"},
		{"a short key", short(t), "512 bits"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, "check-auth.key")
			if err := os.WriteFile(file, c.file, 0o600); err != nil {
				t.Fatal(err)
			}
			_, _, err := sign.Open(dir, "verifier.example.org", "check-auth")
			if err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "restore the file") {
				t.Errorf("got %v, want the file, %q and the way out", err, c.want)
			}
			if after, err := os.ReadFile(file); err != nil || !bytes.Equal(after, c.file) {
				t.Errorf("the file was changed to %q, %v", after, err)
			}
		})
	}
}

func TestAFolderThatIsNotThere(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "gone")
	if _, _, err := sign.Open(dir, "verifier.example.org", "check-auth"); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v, want an error that names %s", err, dir)
	}
}

const mail = "From: check-auth <auth-results@verifier.example.org>\r\nTo: <a@example.org>\r\nSubject: Authentication Report: PASS\r\n" +
	"Date: Tue, 24 Nov 2026 12:00:00 +0000\r\nMessage-ID: <id@verifier.example.org>\r\nIn-Reply-To: <1@example.org>\r\n" +
	"References: <1@example.org>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nYour report.\r\n"

// patient: on a busy machine a late answer would be no fault of ours.
var patient = dnstest.WithClient(func(c *client.Config) { c.Timeout = 20 * time.Second })

// verified asks go-msgauth, with the key from a DNS server that serves the record as we print it.
func verified(t *testing.T, k *sign.Key, message []byte) error {
	t.Helper()
	r := dnstest.Zone(t, k.Record()+"\n", patient)
	got, err := dkim.VerifyWithOptions(bytes.NewReader(message), &dkim.VerifyOptions{
		LookupTXT: func(name string) ([]string, error) {
			a, err := r.Resolve(t.Context(), dns.Ask(name, dns.TXT))
			return a.Texts(), err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].Domain != "verifier.example.org" {
		t.Fatalf("got %+v, want one signature of ours", got)
	}
	return got[0].Err
}

func signed(t *testing.T, k *sign.Key) []byte {
	t.Helper()
	b, err := k.Sign([]byte(mail), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasSuffix(b, []byte(mail)) {
		t.Fatalf("the message was changed: %q", b)
	}
	return b
}

func TestRFC6376_3_6_1_record(t *testing.T) {
	t.Parallel()
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, kind string
		file       []byte
	}{
		{"made by us", "rsa", nil},
		{"RSA in PKCS#1", "rsa", pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(long)})},
		{"RSA in PKCS#8", "rsa", pkcs8(t, long)},
		{"RFC 8463, Ed25519", "ed25519", pkcs8(t, ed)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if c.file != nil {
				if err := os.WriteFile(filepath.Join(dir, "check-auth.key"), c.file, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			k, made := open(t, dir)
			if made != (c.file == nil) || k.Name() != "check-auth._domainkey.verifier.example.org." {
				t.Errorf("made %t, name %q", made, k.Name())
			}
			if !strings.HasPrefix(k.Text(), "v=DKIM1; k="+c.kind+"; p=") {
				t.Errorf("got %q", k.Text())
			}
			a, err := dnstest.Zone(t, k.Record()+"\n", patient).Resolve(t.Context(), dns.Ask(k.Name(), dns.TXT))
			if err != nil || len(a.Records) != 1 || a.Records[0].Text() != k.Text() {
				t.Fatalf("served: %+v, %v, want %q", a.Records, err, k.Text())
			}
			for _, s := range a.Records[0].Strings {
				if len(s) > 255 || s == "" {
					t.Errorf("a string of %d octets", len(s))
				}
			}
			if err := verified(t, k, signed(t, k)); err != nil {
				t.Errorf("the signature: %v", err)
			}
		})
	}
}

// tags of the signature on top.
func tags(t *testing.T, message []byte) map[string]string {
	t.Helper()
	value, ok := strings.CutPrefix(string(message), "DKIM-Signature:")
	if !ok {
		t.Fatalf("no signature on top of %.60q", message)
	}
	value = value[:strings.Index(value, "\r\nFrom:")]
	out := map[string]string{}
	for tag := range strings.SplitSeq(strings.NewReplacer("\r\n", "", " ", "", "\t", "").Replace(value), ";") {
		name, v, _ := strings.Cut(tag, "=")
		out[name] = v
	}
	return out
}

// A reply of ours is no use for sending it on to others: what could be changed or added breaks the
// signature, and that ends after a week.
func TestHostile_45(t *testing.T) {
	t.Parallel()
	k, _ := open(t, t.TempDir())
	message := signed(t, k)
	got := tags(t, message)
	if _, ok := got["l"]; ok {
		t.Errorf("l=%s: want none", got["l"])
	}
	from, err1 := strconv.ParseInt(got["t"], 10, 64)
	until, err2 := strconv.ParseInt(got["x"], 10, 64)
	if lives := time.Duration(until-from) * time.Second; err1 != nil || err2 != nil || lives > 7*24*time.Hour || lives < 24*time.Hour {
		t.Errorf("t=%s x=%s: it lives %s, want at most a week and longer than any retry", got["t"], got["x"], lives)
	}
	listed := map[string]int{}
	for name := range strings.SplitSeq(got["h"], ":") {
		listed[strings.ToLower(name)]++
	}
	for _, name := range []string{"From", "To", "Subject", "Date", "Message-ID", "Cc", "Reply-To", "In-Reply-To", "References",
		"MIME-Version", "Content-Type", "Auto-Submitted"} {
		occurs := strings.Count("\r\n"+mail, "\r\n"+name+":")
		if listed[strings.ToLower(name)] <= occurs {
			t.Errorf("%s: signed %d times, occurs %d times: want it signed once more", name, listed[strings.ToLower(name)], occurs)
		}
		for where, changed := range map[string]string{
			"on top":   name + ": <victim@example.net>\r\n" + string(message),
			"below":    strings.Replace(string(message), "\r\n\r\n", "\r\n"+name+": <victim@example.net>\r\n\r\n", 1),
			"in place": strings.Replace(string(message), "\r\n"+name+": ", "\r\n"+name+": x", 1),
		} {
			if changed != string(message) && verified(t, k, []byte(changed)) == nil {
				t.Errorf("%s added %s: the signature verifies", name, where)
			}
		}
	}
	if verified(t, k, append(bytes.Clone(message), "Buy this.\r\n"...)) == nil {
		t.Error("with text behind it the signature verifies")
	}
	if err := verified(t, k, message); err != nil {
		t.Errorf("unchanged: %v", err)
	}
}

// Each of many goroutines signs with the same key.
func TestSignAtOnce(t *testing.T) {
	t.Parallel()
	k, _ := open(t, t.TempDir())
	out := make(chan error)
	for range 8 {
		go func() {
			b, err := k.Sign([]byte(mail), time.Now())
			if err == nil && !bytes.HasSuffix(b, []byte(mail)) {
				err = fmt.Errorf("got %q", b)
			}
			out <- err
		}()
	}
	for range 8 {
		if err := <-out; err != nil {
			t.Error(err)
		}
	}
}

func TestMake(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind string
		bits int
		want string // of the record's value
		file string // kind of the private key
		err  string
	}{
		{sign.RSA, 1024, "v=DKIM1; k=rsa; p=MIG", "*rsa.PrivateKey", ""},
		{sign.RSA, sign.Bits, "v=DKIM1; k=rsa; p=MII", "*rsa.PrivateKey", ""},
		{sign.Ed25519, 0, "v=DKIM1; k=ed25519; p=", "ed25519.PrivateKey", ""},
		{sign.RSA, 512, "", "", "512"},
		{"dsa", 2048, "", "", `"dsa" is no kind of key`},
	} {
		k, err := sign.Make("example.org", "s1", c.kind, c.bits)
		if c.err != "" {
			if k != nil || err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s of %d bits: got %v, want an error with %q", c.kind, c.bits, err, c.err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := k.PEM()
		block, rest := pem.Decode(text)
		if err != nil || block == nil || len(rest) > 0 {
			t.Fatalf("%s: %q, %v", c.kind, text, err)
		}
		private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if got := fmt.Sprintf("%T", private); err != nil || got != c.file || !strings.HasPrefix(k.Text(), c.want) || k.Name() != "s1._domainkey.example.org." {
			t.Errorf("%s of %d bits: got %s, %v, record %s %s, want %s and %s", c.kind, c.bits, got, err, k.Name(), k.Text(), c.file, c.want)
		}
	}
}

// What has no header is no message, and no signature is made for it.
func TestSignature_of_no_message(t *testing.T) {
	t.Parallel()
	k, _ := open(t, t.TempDir())
	for _, s := range []string{"", "x"} {
		if got, err := k.Sign([]byte(s), time.Now()); err == nil {
			t.Errorf("%q: got %q, want an error", s, got)
		}
	}
}
