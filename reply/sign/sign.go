// Package sign keeps the DKIM key that our replies are signed with, and signs them. The key is made at
// the first start; the record that the operator must publish is written beside it.
package sign

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

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
// SHA-256, relaxed/relaxed. Each part of the message is read once, and none of it copied.
func (k *Key) Signature(message []byte, now time.Time) ([]byte, error) {
	field, err := k.signature(message, now)
	if err != nil {
		return nil, fmt.Errorf("signing the reply with %s: %w", k.Name(), err)
	}
	return field, nil
}

func (k *Key) signature(message []byte, now time.Time) ([]byte, error) {
	end := bytes.Index(message, []byte("\r\n\r\n"))
	if end < 0 {
		return nil, errors.New("it has no empty line behind its header")
	}
	header, body := message[:end+2], message[end+4:]
	algorithm, hash := "rsa-sha256", crypto.SHA256
	if _, ok := k.signer.Public().(ed25519.PublicKey); ok { // RFC 8463, 3: it signs the hash
		algorithm, hash = "ed25519-sha256", crypto.Hash(0)
	}
	bh := bodyHash(body)
	field := fmt.Appendf(nil, "DKIM-Signature: v=1; a=%s; c=relaxed/relaxed; d=%s; s=%s;\r\n\tt=%d; x=%d;\r\n\th=%s;\r\n\tbh=%s;\r\n\tb=",
		algorithm, k.Domain, k.Selector, now.Unix(), now.Add(life).Unix(), namesSigned, base64.StdEncoding.EncodeToString(bh[:]))
	h := sha256.New()
	h.Write(signedFields(header))
	// RFC 6376, 3.7: the field itself comes last, with an empty b= and without its CRLF.
	h.Write(bytes.TrimSuffix(relaxed(nil, field), []byte("\r\n")))
	b, err := k.signer.Sign(rand.Reader, h.Sum(nil), hash)
	if err != nil {
		return nil, err
	}
	text := base64.StdEncoding.EncodeToString(b)
	for len(text) > 0 {
		n := min(len(text), 72)
		field = append(append(field, "\r\n\t"...), text[:n]...)
		text = text[n:]
	}
	return append(field, "\r\n"...), nil
}

// namesSigned is the value of h=, folded.
var namesSigned = strings.Join(signed[:11], ":") + ":\r\n\t" + strings.Join(signed[11:], ":")

// signedFields are the fields of h= in the relaxed form. RFC 6376, 5.4.2: of several fields of a name the last one
// is taken first; a name with no field left stands for nothing.
func signedFields(header []byte) []byte {
	var fields [][]byte
	for rest := header; len(rest) > 0; {
		n := fieldEnd(rest)
		fields = append(fields, rest[:n])
		rest = rest[n:]
	}
	out := make([]byte, 0, len(header))
	for _, name := range signed {
		for i := len(fields) - 1; i >= 0; i-- {
			if f := fields[i]; f != nil && len(f) > len(name) && f[len(name)] == ':' && strings.EqualFold(string(f[:len(name)]), name) {
				out, fields[i] = relaxed(out, f), nil
				break
			}
		}
	}
	return out
}

// fieldEnd is where the first field of a header ends, with its folded lines.
func fieldEnd(b []byte) int {
	for at := 0; ; {
		n := bytes.Index(b[at:], []byte("\r\n"))
		if n < 0 {
			return len(b)
		}
		if at += n + 2; at == len(b) || b[at] != ' ' && b[at] != '\t' {
			return at
		}
	}
}

// relaxed appends a field in the form of RFC 6376, 3.4.2.
func relaxed(out, field []byte) []byte {
	name, value, _ := bytes.Cut(field, []byte(":"))
	out = append(append(out, bytes.ToLower(bytes.TrimRight(name, " \t"))...), ':')
	for i, word := range bytes.FieldsFunc(value, func(r rune) bool { return r == ' ' || r == '\t' || r == '\r' || r == '\n' }) {
		if i > 0 {
			out = append(out, ' ')
		}
		out = append(out, word...)
	}
	return append(out, "\r\n"...)
}

// bodyHash is that of a body in the relaxed form, RFC 6376, 3.4.4: blanks at the end of a line go, others become one
// space, empty lines at the end go. What has that form already is hashed where it stands.
func bodyHash(body []byte) (sum [sha256.Size]byte) {
	h := sha256.New()
	body = bytes.TrimRight(body, blanks+"\r\n")
	several, tab, last := finder{what: []byte("  ")}, finder{what: []byte("\t")}, finder{what: []byte(" \r")}
	for at := 0; at < len(body); {
		run := min(several.next(body, at), tab.next(body, at), last.next(body, at))
		for run > at && isBlank(body[run-1]) { // a space before a tab
			run--
		}
		h.Write(body[at:run])
		for at = run; at < len(body) && isBlank(body[at]); at++ {
		}
		if at > run && body[at] != '\r' && body[at] != '\n' {
			h.Write([]byte(" "))
		}
	}
	if len(body) > 0 {
		h.Write([]byte("\r\n"))
	}
	h.Sum(sum[:0])
	return sum
}

const blanks = " \t"

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// finder looks for the same thing again and again, and over no octet twice.
type finder struct {
	what  []byte
	found int // where it was found last; behind the end: it is not there any more
	began bool
}

// next is where it stands from there on, the end where it does not.
func (f *finder) next(in []byte, from int) int {
	if !f.began || f.found < from {
		f.began, f.found = true, len(in)
		if n := bytes.Index(in[from:], f.what); n >= 0 {
			f.found = from + n
		}
	}
	return f.found
}
