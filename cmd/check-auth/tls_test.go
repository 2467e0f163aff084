package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"
)

// writePair makes a certificate for host in dir, as certbot would.
func writePair(t *testing.T, dir, host string, at time.Time) {
	t.Helper()
	cert, err := selfSigned(host, at)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"fullchain.pem": {Type: "CERTIFICATE", Bytes: cert.Certificate[0]}, "privkey.pem": {Type: "PRIVATE KEY", Bytes: der},
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
}

// shelf is a folder with a certificate, a clock, and what the service says of the two.
type shelf struct {
	*certificate
	dir   string
	clock time.Time
	said  bytes.Buffer
}

func newShelf(t *testing.T, host string, fill func(t *testing.T, dir string, at time.Time)) *shelf {
	t.Helper()
	s := &shelf{dir: t.TempDir(), clock: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	fill(t, s.dir, s.clock)
	conf := settings{Hostname: host, TLS: tlsSettings{Certificate: filepath.Join(s.dir, "fullchain.pem"), Key: filepath.Join(s.dir, "privkey.pem")}}
	var err error
	s.certificate, err = conf.openCertificate(func() time.Time { return s.clock }, slog.New(slog.NewTextHandler(&s.said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// shown is the name in the certificate that a client sees.
func (s *shelf) shown(t *testing.T) string {
	t.Helper()
	c, err := s.get(nil)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(leaf.DNSNames, leaf.SerialNumber)
}

// hears gives what was said since the last time.
func (s *shelf) hears() string {
	defer s.said.Reset()
	return s.said.String()
}

// later lets time pass, minute by minute, as the service looks.
func (s *shelf) later(d time.Duration) {
	for end := s.clock.Add(d); s.clock.Before(end); {
		s.clock = s.clock.Add(lookEvery)
		s.look()
	}
}

func TestCertificateIsReadAgain(t *testing.T) {
	t.Parallel()
	s := newShelf(t, "a.example", func(t *testing.T, dir string, at time.Time) { writePair(t, dir, "a.example", at) })
	first := s.shown(t)
	if said := s.hears(); said != "" || !s.loaded {
		t.Errorf("a certificate that is in order: %s", said)
	}
	if err := os.WriteFile(s.files.Certificate, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.later(2 * time.Minute)
	if got := s.shown(t); got != first {
		t.Errorf("with a file half written: got %s, want the old one, %s", got, first)
	}
	if said := s.hears(); strings.Count(said, "level=ERROR") != 1 {
		t.Errorf("with a file half written: want one error:\n%s", said)
	}
	writePair(t, s.dir, "a.example", s.clock)
	s.later(time.Minute)
	if got := s.shown(t); got == first {
		t.Error("after the renewal the old one is still shown")
	}
	if said := s.hears(); !strings.Contains(said, "read again") || strings.Contains(said, "ERROR") {
		t.Errorf("after the renewal:\n%s", said)
	}
	first = s.shown(t)
	writePair(t, s.dir, "a.example", s.clock)
	s.Reload()
	if s.shown(t) == first || !strings.Contains(s.hears(), "read again") {
		t.Error("Reload did not read the files")
	}
}

// A certificate that is wrong is no reason not to start: what is wrong is said with the command that puts it right,
// at start and every hour until it is right.
func TestCertificateThatIsWrong(t *testing.T) {
	t.Parallel()
	pair := func(host string, age time.Duration) func(*testing.T, string, time.Time) {
		return func(t *testing.T, dir string, at time.Time) { writePair(t, dir, host, at.Add(-age)) }
	}
	swap := func(t *testing.T, dir, from, to string) {
		if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		fill func(t *testing.T, dir string, at time.Time)
		own  bool // the self-signed one is shown
		say  []string
	}{
		{"expired", pair("a.example", 11*365*24*time.Hour), false, []string{"it has expired on 2025-11-2", "certbot renew"}},
		{"not valid yet", pair("a.example", -48*time.Hour), false, []string{"timedatectl"}},
		{"another name's", pair("b.example", 0), false, []string{"b.example", "not for hostname a.example", "certbot certonly -d a.example"}},
		{"not there", func(*testing.T, string, time.Time) {}, true, []string{"no such file", "certbot certonly", "fullchain.pem"}},
		{"not PEM", func(t *testing.T, dir string, at time.Time) {
			pair("a.example", 0)(t, dir, at)
			if err := os.WriteFile(filepath.Join(dir, "privkey.pem"), []byte("dear diary"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, true, []string{"tls.key", "nothing in PEM"}},
		{"another certificate's key", func(t *testing.T, dir string, at time.Time) {
			pair("a.example", 0)(t, dir, at)
			swap(t, dir, "privkey.pem", "kept")
			pair("a.example", 0)(t, dir, at)
			swap(t, dir, "kept", "privkey.pem")
		}, true, []string{"not the key of the certificate"}},
		{"the two swapped", func(t *testing.T, dir string, at time.Time) {
			pair("a.example", 0)(t, dir, at)
			swap(t, dir, "privkey.pem", "kept")
			swap(t, dir, "fullchain.pem", "privkey.pem")
			swap(t, dir, "kept", "fullchain.pem")
		}, true, []string{"tls.certificate", "fullchain.pem", "privkey.pem"}},
		{"a bundle in place of the key", func(t *testing.T, dir string, at time.Time) {
			pair("a.example", 0)(t, dir, at)
			b, err := os.ReadFile(filepath.Join(dir, "fullchain.pem"))
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, "privkey.pem"), bytes.Repeat(b, 140), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}, true, []string{"tls.key", "CERTIFICATE", "wants the private key"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t, "a.example", c.fill)
			said := s.hears()
			for _, want := range append(c.say, "level=ERROR") {
				if !strings.Contains(said, want) {
					t.Errorf("at start it does not say %q:\n%s", want, said)
				}
			}
			if len(said) > 1000 {
				t.Errorf("%d octets for one fault:\n%.300s", len(said), said)
			}
			if s.loaded == c.own || s.shown(t) == "" {
				t.Errorf("shown is %s, want a self-signed one: %v", s.shown(t), c.own)
			}
			s.later(59 * time.Minute)
			if again := s.hears(); again != "" {
				t.Errorf("within the hour:\n%s", again)
			}
			s.later(2 * time.Minute)
			if again := s.hears(); strings.Count(again, "level=ERROR") != 1 {
				t.Errorf("after an hour:\n%s", again)
			}
			writePair(t, s.dir, "a.example", s.clock)
			s.later(time.Minute)
			if said := s.hears(); strings.Contains(said, "ERROR") || !strings.Contains(said, "in order again") || !s.loaded {
				t.Errorf("after it was put right:\n%s", said)
			}
		})
	}
}

// A certificate that expires while the service runs.
func TestCertificateExpires(t *testing.T) {
	t.Parallel()
	s := newShelf(t, "a.example", func(t *testing.T, dir string, at time.Time) {
		writePair(t, dir, "a.example", at.AddDate(-10, 0, 0).Add(time.Hour))
	})
	s.later(59 * time.Minute)
	if said := s.hears(); said != "" {
		t.Errorf("before its end:\n%s", said)
	}
	s.later(2 * time.Minute)
	if said := s.hears(); strings.Count(said, "has expired") != 1 {
		t.Errorf("at its end:\n%s", said)
	}
}

// certbot writes privkey2.pem anew: a default ACL is what lets the service read that, too.
func TestGrantsOutliveARenewal(t *testing.T) {
	t.Parallel()
	got := grants("/etc/letsencrypt/live/a.example/privkey.pem", "check-auth")
	want := "sudo setfacl -R -m u:check-auth:rX -m d:u:check-auth:rX /etc/letsencrypt/live /etc/letsencrypt/archive"
	if len(got) != 1 || got[0] != want {
		t.Errorf("got %q, want %q", got, want)
	}
	b, err := os.ReadFile(readme)
	if err != nil || !strings.Contains(string(b), want) {
		t.Errorf("the README does not have %q (%v)", want, err)
	}
	c := &certificate{user: "check-auth", host: "a.example"}
	fault := c.unreadable(&pairFault{"tls.key", "/etc/letsencrypt/live/a.example/privkey.pem", &fs.PathError{Op: "open", Path: "x", Err: fs.ErrPermission}})
	if !strings.Contains(fault.Error(), want) {
		t.Errorf("the fault of a file that may not be read does not name it: %v", fault)
	}
	dir := t.TempDir()
	got = grants(filepath.Join(dir, "key.pem"), "check-auth")
	if last := got[len(got)-1]; !strings.Contains(last, "d:u:check-auth:rX "+dir) {
		t.Errorf("another program's files: got %q", got)
	}
}

// The program itself, not its tests, has to have Go's settings for old servers.
func TestOldCertificatesAreRead(t *testing.T) {
	t.Parallel()
	built, ok := debug.ReadBuildInfo()
	if !ok {
		t.Fatal("no build information")
	}
	for _, s := range built.Settings {
		if s.Key != "DefaultGODEBUG" {
			continue
		}
		for _, want := range []string{"rsa1024min=0", "tlssha1=1", "x509negativeserial=1"} {
			if !slices.Contains(strings.Split(s.Value, ","), want) {
				t.Errorf("%s is not in force: %s", want, s.Value)
			}
		}
		return
	}
	t.Error("no DefaultGODEBUG")
}
