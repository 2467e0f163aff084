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
	"sync/atomic"
	"syscall"
	"time"
)

// tlsConfig is the inbound side: TLS from 1.0 and with old cipher suites, for an old Exchange is just who
// needs a report (what is old is said there).
func (s *settings) tlsConfig(c *certificate) *tls.Config {
	cfg := &tls.Config{MinVersion: tls.VersionTLS10, GetCertificate: c.get}
	if s.TLS.Ask {
		cfg.ClientAuth = tls.RequestClientCert
	}
	for _, list := range [][]*tls.CipherSuite{tls.CipherSuites(), tls.InsecureCipherSuites()} {
		for _, suite := range list {
			cfg.CipherSuites = append(cfg.CipherSuites, suite.ID)
		}
	}
	return cfg
}

// certificate is what STARTTLS shows: the pair of two files, or, where there is none that can be used, one made
// here. A certificate that is wrong is no reason not to take mail, for nearly no sender looks at it; the log says
// what is to be done, until it is done.
type certificate struct {
	files tlsSettings // without names: the one made here is meant to be used
	host  string
	user  string // whom the files must let read them
	now   func() time.Time
	log   *slog.Logger

	used atomic.Pointer[tls.Certificate] // what clients see

	mu     sync.Mutex
	loaded bool      // used is the files' own
	seen   [2]stamp  // of the files, when they were read last
	fault  error     // what is wrong with the files or the certificate in them
	told   string    // the fault that was logged last
	toldAt time.Time // when
}

// The times of a certificate: how often the files are looked at, and how often what is wrong is said.
const (
	lookEvery = time.Minute
	sayEvery  = time.Hour
)

// stamp tells whether a file is another one than before.
type stamp struct {
	changed time.Time
	size    int64
	inode   uint64
}

func stampOf(file string) (s stamp) {
	info, err := os.Stat(file)
	if err != nil {
		return stamp{}
	}
	s.changed, s.size = info.ModTime(), info.Size()
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode = sys.Ino
	}
	return s
}

// certificate is that of the settings, with nothing read yet.
func (s *settings) certificate(now func() time.Time, log *slog.Logger) *certificate {
	return &certificate{files: s.TLS, host: s.Hostname, user: userName(), now: now, log: log}
}

// openCertificate reads the files, and makes a certificate where that fails. The error is of making one; what is
// wrong with the files is logged.
func (s *settings) openCertificate(now func() time.Time, log *slog.Logger) (*certificate, error) {
	c := s.certificate(now, log)
	if c.files.Certificate == "" {
		log.Warn("no certificate is configured: STARTTLS is offered with a self-signed one, made just now")
	} else {
		c.read()
		c.say()
	}
	if c.loaded {
		return c, nil
	}
	made, err := selfSigned(s.Hostname, now())
	if err != nil {
		return nil, err
	}
	c.used.Store(&made)
	return c, nil
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.used.Load(), nil }

// Reload reads the files now, whether they have changed or not, and says what it found.
func (c *certificate) Reload() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.files.Certificate == "" {
		return
	}
	c.toldAt = time.Time{}
	if c.read() {
		c.taken()
	}
	c.say()
}

// look reads the files if they have changed or are not in order. A renewal that is half written leaves what is in
// use there.
func (c *certificate) look() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.files.Certificate == "" {
		return
	}
	before, had := c.seen, c.loaded
	switch {
	case c.fault == nil && c.stamps() == c.seen:
		c.fault = c.wrong(c.used.Load().Leaf) // time goes on
	case c.read() && (!had || c.seen != before):
		c.taken()
	}
	c.say()
}

func (c *certificate) taken() {
	c.log.Info("the certificate was read again", "file", c.files.Certificate, "until", c.used.Load().Leaf.NotAfter)
}

func (c *certificate) stamps() [2]stamp {
	return [2]stamp{stampOf(c.files.Certificate), stampOf(c.files.Key)}
}

// read takes what is in the files, where it can be used. A certificate that has expired, or is of another name,
// is still what its owner wants to be shown.
func (c *certificate) read() bool {
	c.seen = c.stamps() // before: a change while they are read is seen the next time
	pair, err := readPair(c.files)
	if err != nil {
		c.fault = c.unreadable(err)
		return false
	}
	c.used.Store(&pair)
	c.loaded, c.fault = true, c.wrong(pair.Leaf)
	return true
}

// say logs what is wrong: at once where it is new, then every hour.
func (c *certificate) say() {
	now := c.now()
	switch {
	case c.fault == nil:
		if c.told != "" {
			c.log.Info("the certificate is in order again", "file", c.files.Certificate)
		}
		c.told = ""
		return
	case c.fault.Error() == c.told && now.Sub(c.toldAt) < sayEvery && !now.Before(c.toldAt):
		return
	}
	c.told, c.toldAt = c.fault.Error(), now
	uses := "a self-signed certificate"
	if c.loaded {
		uses = "the certificate that was read last, until " + c.used.Load().Leaf.NotAfter.UTC().Format(time.DateOnly)
	}
	c.log.Error("the configured certificate is not in order", "reason", c.fault, "shown", uses)
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
