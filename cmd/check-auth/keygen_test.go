package main

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"checkauth/verify/dns/dnstest"
)

// What keygen prints is published as it stands, a signer of others signs with the file that it wrote, and
// the signature passes.
func TestKeygen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		args []string
		key  string
	}{
		{"RSA", nil, "k=rsa, 2048 bits"},
		{"RSA of 3072 bits", []string{"--bits=3072"}, "k=rsa, 3072 bits"},
		{"Ed25519", []string{"--type=ed25519"}, "k=ed25519, 256 bits"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "key.pem")
			got := play(t, t.Context(), "", append([]string{"keygen", "--selector=S1", "--domain=Example.org", "--out=" + file}, c.args...)...)
			if got.code != exitPass || got.err != "" || !strings.Contains(got.out, "Private key:    "+file+"\n") {
				t.Fatalf("exit %d, %s\n%s", got.code, got.err, got.out)
			}
			info, err := os.Stat(file)
			if err != nil || info.Mode() != 0o600 {
				t.Errorf("the file: %v, %v, want mode 0600", info, err)
			}
			line := regexp.MustCompile(`(?m)^s1\._domainkey\.example\.org\. .*$`).FindString(got.out)
			for _, part := range regexp.MustCompile(`"[^"]*"`).FindAllString(line, -1) {
				if len(part) > 255+2 {
					t.Errorf("a string of %d octets", len(part)-2)
				}
			}
			zone := dnstest.New(t, line+"\n")
			resolver := "--resolver=" + zone.Addr().String()
			published := play(t, t.Context(), "", "dkim", "key", resolver, "s1", "example.org")
			value := regexp.MustCompile(`(?m)^Value: +(.*)$`).FindStringSubmatch(got.out)
			if published.code != exitPass || !strings.Contains(published.out, c.key) || value == nil || !strings.Contains(published.out, "Record:         "+value[1]+"\n") {
				t.Errorf("exit %d, want the value %q:\n%s", published.code, value, published.out)
			}
			if verified := play(t, t.Context(), signedWith(t, file), "dkim", resolver); verified.code != exitPass {
				t.Errorf("the signature: exit %d\n%s", verified.code, verified.out)
			}
		})
	}
}

// signedWith is a message that go-msgauth signs with the key in a file.
func signedWith(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode(text)
	if block == nil || len(rest) > 0 {
		t.Fatalf("not one PEM block: %q", text)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := dkim.Sign(&out, strings.NewReader(annsMail), &dkim.SignOptions{Domain: "example.org", Selector: "s1", Signer: key.(crypto.Signer)}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestKeygenOverwritesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, link := filepath.Join(dir, "key.pem"), filepath.Join(dir, "link.pem")
	if err := os.WriteFile(file, []byte("in use"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), link); err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{file, link} {
		got := play(t, t.Context(), "", "keygen", "--type=ed25519", "--selector=s1", "--domain=example.org", "--out="+out)
		if got.code != exitUsage || got.out != "" || !strings.Contains(got.err, "is there already") {
			t.Errorf("exit %d, %s%s", got.code, got.out, got.err)
		}
	}
	b, err := os.ReadFile(file)
	if err != nil || string(b) != "in use" {
		t.Errorf("the file holds %q, %v", b, err)
	}
	if files, err := fs.Glob(os.DirFS(dir), "*"); err != nil || len(files) != 2 {
		t.Errorf("the folder has %v, %v", files, err)
	}
}

func TestKeygenBadInput(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		args []string
		say  string
	}{
		{"no selector", []string{"--selector=", "--domain=example.org"}, `selector ""`},
		{"nothing", nil, "--selector"},
		{"a path", []string{"--selector=../x", "--domain=example.org"}, `selector "../x"`},
		{"the whole name", []string{"--selector=s1._domainkey", "--domain=example.org"}, "give what stands in front"},
		{"an underscore", []string{"--selector=s_1", "--domain=example.org"}, "underscore"},
		{"an address", []string{"--selector=s1", "--domain=ann@example.org"}, "behind the @"},
		{"an address of the network", []string{"--selector=s1", "--domain=192.0.2.1"}, "is an IP address"},
		{"one label", []string{"--selector=s1", "--domain=localhost"}, "is no domain name"},
		{"a short key", []string{"--selector=s1", "--domain=example.org", "--bits=512"}, "1024 to 4096"},
		{"a long key", []string{"--selector=s1", "--domain=example.org", "--bits=8192"}, "1024 to 4096"},
		{"bits of an Ed25519 key", []string{"--selector=s1", "--domain=example.org", "--type=ed25519", "--bits=2048"}, "one size"},
		{"another type", []string{"--selector=s1", "--domain=example.org", "--type=dsa"}, "--type"},
		{"a folder that is not there", []string{"--selector=s1", "--domain=example.org", "--type=ed25519", "--out=/no/such/key.pem"}, "no such file or directory"},
	} {
		got := play(t, t.Context(), "", append([]string{"keygen"}, c.args...)...)
		if got.code != exitUsage || !strings.Contains(lastLine(got.err), c.say) {
			t.Errorf("%s: got exit %d, %q, want exit %d and %q", c.name, got.code, got.err, exitUsage, c.say)
		}
	}
}

func TestKeygenNamesTheFileAfterTheKey(t *testing.T) {
	t.Parallel()
	if got := (&keygenCmd{}).file("s1._domainkey.example.org."); got != "s1._domainkey.example.org.pem" {
		t.Errorf("got %q", got)
	}
}
