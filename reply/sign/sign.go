// Package sign keeps the DKIM key that our replies are signed with, and signs them. The key is made at
// the first start; the record that the operator must publish is written beside it.
package sign

import (
	"cmp"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"checkauth/reply/folder"
)

// Open reads the key of a domain from dir, or makes it there: selector.key (PKCS#8 in PEM, mode 0600)
// and selector.dns (the record as a zone line). made tells that it is new.
func Open(dir, domain, selector string) (k *Key, made bool, err error) {
	k, err = Read(dir, domain, selector)
	if errors.Is(err, fs.ErrNotExist) {
		k, made = &Key{Domain: domain, Selector: selector}, true
		if err = k.create(keyFile(dir, selector)); err != nil {
			err = fmt.Errorf("DKIM key %s: %w", keyFile(dir, selector), err)
		}
	}
	if err != nil {
		return nil, false, err
	}
	// Written at every start: the domain may have changed in the configuration.
	if err := folder.WriteFile(recordFile(dir, selector), []byte(k.Record()+"\n"), 0o644); err != nil {
		return nil, false, fmt.Errorf("DKIM record beside the key: %w", err)
	}
	return k, made, nil
}

// Read reads the key of a domain from dir; where there is none it is fs.ErrNotExist.
func Read(dir, domain, selector string) (*Key, error) {
	k := &Key{Domain: domain, Selector: selector}
	file := keyFile(dir, selector)
	b, err := folder.ReadFile(file)
	if err == nil {
		err = folder.Sound(recordFile(dir, selector)) // which Open writes
	}
	if err == nil {
		k.signer, err = parse(b)
	}
	if err != nil {
		return nil, fmt.Errorf("DKIM key %s: %w", file, err)
	}
	return k, nil
}

func keyFile(dir, selector string) string    { return filepath.Join(dir, selector+".key") }
func recordFile(dir, selector string) string { return filepath.Join(dir, selector+".dns") }

func (k *Key) create(file string) error {
	made, err := Make(k.Domain, k.Selector, RSA, Bits)
	if err != nil {
		return err
	}
	k.signer = made.signer
	b, err := k.PEM()
	if err != nil {
		return err
	}
	return whole(file, b)
}

// whole writes a file, readable for us alone, under its name only when it is on the disk: half a key
// after a loss of power would stop every start from then on.
func whole(file string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+"-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// mend is what to do with a file that cannot be used.
const mend = "restore the file, or remove it to have a new key made"

func parse(b []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, errors.New("no PEM block in it: " + mend)
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return usable(key)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("not a private key in PKCS#8 or PKCS#1: %w: %s", err, mend)
	}
	return usable(key)
}

// usable tells at the start what would else be an error at every reply, or a signature that nobody
// takes. RFC 8301, 3.2: an RSA key has at least 1024 bits.
func usable(key any) (crypto.Signer, error) {
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if n := key.N.BitLen(); n < 1024 {
			return nil, fmt.Errorf("an RSA key of %d bits: want 2048: %s", n, mend)
		}
		return key, nil
	case ed25519.PrivateKey:
		return key, nil
	}
	return nil, fmt.Errorf("a key of type %T is none that DKIM signs with: want RSA or Ed25519: %s", key, mend)
}

// life of a signature: long enough for every retry, short enough that a reply is no use for replaying.
const life = 7 * 24 * time.Hour

// signed fields. Each stands once more than it occurs, so that none can be added afterwards (RFC 6376,
// 5.4.2).
var signed = []string{
	"From", "From", "To", "To", "Subject", "Subject", "Date", "Date", "Message-ID", "Message-ID",
	"Cc", "Reply-To", "In-Reply-To", "In-Reply-To", "References", "References",
	"MIME-Version", "MIME-Version", "Content-Type", "Content-Type", "Auto-Submitted", "Auto-Submitted",
}

// Sign puts a DKIM-Signature on top of a message with CRLF line ends.
func (k *Key) Sign(message []byte, now time.Time) ([]byte, error) {
	field, err := k.Signature(message, now)
	if err != nil {
		return nil, err
	}
	return slices.Concat(field, message), nil
}

// Signature is the DKIM-Signature field of a message with CRLF line ends, with its own CRLF: RSA or Ed25519 with
// SHA-256, relaxed/relaxed. It expires a week after now.
func (k *Key) Signature(message []byte, now time.Time) ([]byte, error) {
	s, err := dkim.NewSigner(&dkim.SignOptions{Domain: k.Domain, Selector: k.Selector, Signer: k.signer, HeaderKeys: signed, Expiration: now.Add(life),
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed})
	if err == nil {
		_, err = s.Write(message)
		err = cmp.Or(s.Close(), err) // the end says why it could take no more
	}
	if err != nil {
		return nil, fmt.Errorf("signing the reply with %s: %w", k.Name(), err)
	}
	return []byte(s.Signature()), nil
}
