package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"sync"
	"time"
)

// tlsConfig is the inbound side: TLS from 1.0 and with old cipher suites, for an old Exchange is just who
// needs a report (what is old is said there).
func (s *settings) tlsConfig(now func() time.Time, log *slog.Logger) (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS10}
	if s.TLS.Ask {
		cfg.ClientAuth = tls.RequestClientCert
	}
	for _, list := range [][]*tls.CipherSuite{tls.CipherSuites(), tls.InsecureCipherSuites()} {
		for _, suite := range list {
			cfg.CipherSuites = append(cfg.CipherSuites, suite.ID)
		}
	}
	if s.selfSigned() {
		cert, err := selfSigned(s.Hostname, now())
		cfg.Certificates = []tls.Certificate{cert}
		return cfg, err
	}
	p := &pair{certificate: s.TLS.Certificate, key: s.TLS.Key, now: now, log: log}
	if err := p.load(); err != nil {
		return nil, &exitError{exitConfig, fmt.Errorf("configuration: tls: %w", err)}
	}
	cfg.GetCertificate = p.get
	return cfg, nil
}

// pair is the certificate of two files. They are read again when they change, for certificates live for
// weeks and a server for months.
type pair struct {
	certificate, key string
	now              func() time.Time
	log              *slog.Logger

	mu     sync.Mutex
	cert   *tls.Certificate
	looked time.Time
	mtime  time.Time
}

// look is how often the files are looked at.
const look = time.Minute

func (p *pair) load() error {
	info, err := os.Stat(p.certificate)
	if err != nil {
		return err
	}
	cert, err := tls.LoadX509KeyPair(p.certificate, p.key)
	if err != nil {
		return fmt.Errorf("%s and %s: %w", p.certificate, p.key, err)
	}
	p.cert, p.mtime, p.looked = &cert, info.ModTime(), p.now()
	return nil
}

// get serves the last pair that could be read: a renewal that is half written is no reason to stop.
func (p *pair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now().Sub(p.looked) < look {
		return p.cert, nil
	}
	p.looked = p.now()
	if info, err := os.Stat(p.certificate); err == nil && info.ModTime().Equal(p.mtime) {
		return p.cert, nil
	}
	if err := p.load(); err != nil {
		p.log.Error("the certificate changed and cannot be read, the old one stays in use", "error", err)
	} else {
		p.log.Info("the certificate was read again", "file", p.certificate)
	}
	return p.cert, nil
}

// selfSigned makes a certificate that encrypts and proves nothing, as SMTP between servers is used to
// (RFC 7435, 1).
func selfSigned(host string, now time.Time) (tls.Certificate, error) {
	// RSA, for who speaks TLS 1.0 alone knows nothing else.
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("self-signed certificate: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("self-signed certificate: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("self-signed certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
