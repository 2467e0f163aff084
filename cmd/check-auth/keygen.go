package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"

	"checkauth/reply/compose"
	"checkauth/reply/sign"
	"checkauth/verify/result"
)

// keygenCmd is `check-auth keygen`.
type keygenCmd struct {
	Selector string `required:"" help:"Name of the key within the domain; a new key wants a new one." placeholder:"NAME"`
	Domain   string `required:"" help:"Domain that signs with the key: d= of its signatures." placeholder:"DOMAIN"`
	Type     string `default:"rsa" enum:"rsa,ed25519" help:"rsa, which every receiver reads, or ed25519, which few do."`
	Bits     *int   `help:"Bits of an RSA key, 1024 to 4096; 2048 where nothing is said." placeholder:"2048"`
	Out      string `help:"File for the private key, which must not be there yet. Default: SELECTOR._domainkey.DOMAIN.pem." placeholder:"FILE"`
}

// Run makes the key, writes its private half to the file, and says what to publish.
func (c *keygenCmd) Run(e env) error {
	selector, domain, err := keyNames(c.Selector, c.Domain)
	if err != nil {
		return err
	}
	// RFC 6376, 3.1 and 3.5 have no underscore there; verifiers that take the grammar at its word refuse it.
	if strings.Contains(selector+domain, "_") {
		return usage("selector %q of %q has an underscore, which signatures may not have there (RFC 6376, 3.5): take letters, digits and hyphens", c.Selector, c.Domain)
	}
	if _, err := netip.ParseAddr(domain); err == nil {
		return usage("domain %q is an IP address: give a name such as example.org", c.Domain)
	}
	bits, err := c.bits()
	if err != nil {
		return err
	}
	lines, err := newTerminal(e)
	if err != nil {
		return err
	}
	key, err := sign.Make(domain, selector, c.Type, bits)
	if err != nil {
		return fmt.Errorf("making a key: %w", err)
	}
	file, err := c.save(key)
	if err != nil {
		return err
	}
	_, err = e.out.Write([]byte(keygenText(&lines, key, c.Type, bits, file)))
	return err
}

// bits: RFC 8301, 3.2: verifiers take RSA keys of 1024 to 4096 bits.
func (c *keygenCmd) bits() (int, error) {
	switch {
	case c.Bits == nil:
		return sign.Bits, nil
	case c.Type != sign.RSA:
		return 0, usage("--bits is for RSA keys: an Ed25519 key has one size")
	case *c.Bits < 1024 || *c.Bits > 4096:
		return 0, usage("--bits %d: receivers take RSA keys of 1024 to 4096 bits (RFC 8301, 3.2), and 2048 are best", *c.Bits)
	}
	return *c.Bits, nil
}

// save writes the private key where no file is yet: what lies there may be the key that is in use.
func (c *keygenCmd) save(key *sign.Key) (string, error) {
	name := c.file(key.Name())
	private, err := key.PEM()
	if err != nil {
		return "", err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return "", usage("%q is there already and is not overwritten, as it may be a key in use: name another file with --out", name)
	}
	if err != nil {
		return "", usage("%q cannot be written (%w): name a file with --out", name, cause(err))
	}
	_, err = f.Write(private)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", errors.Join(fmt.Errorf("private key %q: %w", name, err), os.Remove(name))
	}
	return name, nil
}

// file is where the private key goes.
func (c *keygenCmd) file(name string) string {
	if c.Out != "" {
		return c.Out
	}
	return name + "pem" // the name ends with a dot
}

// keygenText is the record in both forms, and what is to be done with it.
func keygenText(s *terminal, key *sign.Key, kind string, bits int, file string) string {
	var b strings.Builder
	line := func(l string) { b.WriteString(l + "\n") }
	line(wholeLine("Private key:", file))
	line("\nAs a line of a zone file:")
	line(key.Record())
	line("\nIn the form of a web page:")
	line(wholeLine("Name:", strings.TrimSuffix(key.Name(), ".")))
	line(wholeLine("Type:", "TXT"))
	line(wholeLine("Value:", key.Text()))
	line("\nWhat to do next:")
	line(compose.Item("1. ", s.Say(result.Because("keygen-publish", "short", result.Ours(key.Selector+"._domainkey")))))
	line(compose.Item("2. ", s.Say(result.Because("keygen-look"))))
	line("   check-auth dkim key " + key.Selector + " " + key.Domain)
	line(compose.Item("3. ", s.Say(result.Because("keygen-sign", "selector", result.Ours(key.Selector), "domain", result.Domain(key.Domain)))))
	switch {
	case kind == sign.Ed25519:
		line(compose.Item("4. ", s.Say(result.Because("keygen-ed25519"))))
	case bits < sign.Bits:
		line(compose.Item("4. ", s.Say(result.Because("keygen-weak", "bits", bits))))
	}
	return b.String()
}
