package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"time"
)

// tlsConfig is the inbound side: TLS from 1.0 and with old cipher suites, for an old Exchange is just who
// needs a report (what is old is said there).
func (s *settings) tlsConfig(now time.Time) (*tls.Config, error) {
	var cert tls.Certificate
	var err error
	if s.selfSigned() {
		cert, err = selfSigned(s.Hostname, now)
	} else if cert, err = tls.LoadX509KeyPair(s.TLS.Certificate, s.TLS.Key); err != nil {
		err = &exitError{exitConfig, fmt.Errorf("configuration: tls: %w", err)}
	}
	if err != nil {
		return nil, err
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS10}
	for _, list := range [][]*tls.CipherSuite{tls.CipherSuites(), tls.InsecureCipherSuites()} {
		for _, suite := range list {
			cfg.CipherSuites = append(cfg.CipherSuites, suite.ID)
		}
	}
	return cfg, nil
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
