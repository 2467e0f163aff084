package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"os"
	"path/filepath"
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

func TestCertificateIsReadAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	clock := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	s := settings{TLS: tlsSettings{Certificate: filepath.Join(dir, "fullchain.pem"), Key: filepath.Join(dir, "privkey.pem")}}
	open := func() (*tls.Config, error) {
		return s.tlsConfig(func() time.Time { return clock }, slog.New(slog.DiscardHandler))
	}
	if _, err := open(); err == nil {
		t.Error("files that are not there: no error")
	}
	writePair(t, dir, "old.example", clock)
	cfg, err := open()
	if err != nil {
		t.Fatal(err)
	}
	name := func() string {
		c, err := cfg.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(c.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return leaf.Subject.CommonName
	}
	if got := name(); got != "old.example" {
		t.Errorf("got the certificate of %s", got)
	}
	if err := os.WriteFile(s.TLS.Certificate, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(2 * look)
	if got := name(); got != "old.example" {
		t.Errorf("with a file half written: got the certificate of %s, want the old one", got)
	}
	writePair(t, dir, "new.example", clock)
	clock = clock.Add(2 * look)
	if got := name(); got != "new.example" {
		t.Errorf("after the renewal: got the certificate of %s", got)
	}
}
