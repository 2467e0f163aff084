package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"checkauth/reply/folder"

	"golang.org/x/sys/unix"
)

// What can be wrong with the two files, beside not being readable.
var (
	errNoPEM    = errors.New("it has nothing in PEM (-----BEGIN ...)")
	errNotThat  = errors.New("it is another kind of file")
	errMismatch = errors.New("it is not the key of the certificate")
	errSecret   = errors.New("it is encrypted, and nobody is there to type the passphrase")
)

// pairFault is what is wrong with one of the two files.
type pairFault struct {
	key, file string // tls.certificate or tls.key, and what it names
	err       error
}

func (f *pairFault) Error() string { return fmt.Sprintf("%s %q: %v", f.key, f.file, cause(f.err)) }
func (f *pairFault) Unwrap() error { return f.err }

// readPair reads the certificate chain and its key.
func readPair(files tlsSettings) (pair tls.Certificate, err error) {
	var parts [2][]byte
	for i, f := range []struct{ key, file, block string }{
		{"tls.certificate", files.Certificate, "CERTIFICATE"}, {"tls.key", files.Key, "PRIVATE KEY"},
	} {
		b, err := folder.ReadRegular(f.file)
		if err == nil {
			err = holds(b, f.block)
		}
		if err != nil {
			return pair, &pairFault{f.key, f.file, err}
		}
		parts[i] = b
	}
	if pair, err = tls.X509KeyPair(parts[0], parts[1]); err != nil {
		text := err.Error()
		if strings.Contains(text, "private key") && strings.Contains(text, "match") {
			err = errMismatch
		}
		return pair, &pairFault{"tls.key", files.Key, err}
	}
	if pair.Leaf == nil { // where GODEBUG leaves it out
		pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0])
	}
	return pair, err
}

// holds looks for a kind of PEM block. crypto/tls would name every other one that it found, of which a bundle of
// certificates has more than a hundred.
func holds(b []byte, kind string) error {
	other := ""
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
			return errSecret
		}
		if strings.HasSuffix(block.Type, kind) {
			return nil
		}
		if other == "" {
			other = block.Type
		}
	}
	if other == "" {
		return errNoPEM
	}
	return fmt.Errorf("%w: it has a %q in it, want a %q", errNotThat, other, kind)
}

// unreadable says what is to be done about files that cannot be used.
func (c *certificate) unreadable(err error) error {
	f, ok := errors.AsType[*pairFault](err)
	if !ok {
		return err
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: let the service read it: %s", err, strings.Join(grants(f.file, c.user), " && "))
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: name the file that there is, or get a certificate: sudo certbot certonly --standalone -d %s (the shipped unit hides /home and /root from the service)", err, c.host)
	case errors.Is(err, errNotThat) && f.key == "tls.certificate":
		return fmt.Errorf("%w: tls.certificate wants the chain (certbot: fullchain.pem) and tls.key the key (privkey.pem)", err)
	case errors.Is(err, errNotThat):
		return fmt.Errorf("%w: tls.key wants the private key (certbot: privkey.pem)", err)
	case errors.Is(err, errMismatch):
		return fmt.Errorf("%w in %q: name two files that were made together (certbot: of the same folder)", err, c.files.Certificate)
	case errors.Is(err, errSecret):
		return fmt.Errorf("%w: name one without it: openssl pkey -in %s -out FILE", err, f.file)
	}
	return fmt.Errorf("%w: restore the file, or have the certificate made anew", err)
}

// wrong says what a client that looks would find wrong with a certificate.
func (c *certificate) wrong(leaf *x509.Certificate) error {
	now := c.now()
	fault := func(format string, args ...any) error {
		return &pairFault{"tls.certificate", c.files.Certificate, fmt.Errorf(format, args...)}
	}
	switch {
	case now.After(leaf.NotAfter):
		return fault("it has expired on %s: renew it: %s", leaf.NotAfter.UTC().Format(time.DateOnly), c.renew("sudo certbot renew"))
	case now.Before(leaf.NotBefore):
		return fault("it is valid only from %s on: look at this machine's clock (timedatectl)", leaf.NotBefore.UTC().Format(time.DateTime+" UTC"))
	}
	if err := leaf.VerifyHostname(c.host); err != nil {
		names := leaf.DNSNames
		if len(names) > 5 {
			names = append(names[:5:5], "...")
		}
		return fault("it is for %q, not for hostname %s: have it made for that name: %s", names, c.host, c.renew("sudo certbot certonly -d "+c.host))
	}
	return nil
}

// renew is certbot's command where the file is certbot's.
func (c *certificate) renew(command string) string {
	if live, _ := certbot(c.files.Certificate); live == "" {
		return "with what has made it, such as " + command
	}
	return command
}

// certbot has its links in one folder and the files in another, each with a folder a certificate. Both are empty
// where a file is not certbot's.
func certbot(file string) (live, archive string) {
	live = filepath.Dir(filepath.Dir(file))
	if filepath.Base(live) != "live" {
		return "", ""
	}
	return live, filepath.Join(filepath.Dir(live), "archive")
}

// grants are the commands that let a user read a file and those that take its place at a renewal, which inherit
// what the folder has as its default.
func grants(file, name string) []string {
	const acl = "sudo setfacl -R -m u:%[1]s:rX -m d:u:%[1]s:rX %[2]s"
	if live, archive := certbot(file); live != "" {
		return []string{fmt.Sprintf(acl, name, live+" "+archive)}
	}
	var out []string
	folders := []string{filepath.Dir(file)}
	if real, err := filepath.EvalSymlinks(file); err == nil && filepath.Dir(real) != folders[0] {
		folders = append(folders, filepath.Dir(real))
	}
	for _, dir := range folders {
		// Beyond the first that is closed nothing can be seen.
		for _, above := range ancestors(dir) {
			if unix.Faccessat(unix.AT_FDCWD, above, unix.X_OK, unix.AT_EACCESS) != nil {
				out = append(out, fmt.Sprintf("sudo setfacl -m u:%s:x %s", name, above))
			}
		}
		out = append(out, fmt.Sprintf(acl, name, dir))
	}
	return out
}

// ancestors are the folders that a folder lies in, from the root on.
func ancestors(dir string) (out []string) {
	for dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
		out = append([]string{dir}, out...)
	}
	return out
}

// userName is who we are, as setfacl takes it.
func userName() string {
	u, err := user.Current()
	if err != nil {
		return fmt.Sprint(os.Geteuid())
	}
	return u.Username
}
