// Package dane tells which TLS a mail server has promised in the DNS, and whether a connection keeps the
// promise: DANE for SMTP (RFC 7672) by TLSA records (RFC 6698) and the rules of RFC 7671.
//
// It asks no MX records, opens no connection and decides no retry. An error of Lookup defers the mail, and
// so does one of Verify: neither ever permits to send in clear.
//
// Where we differ: RFC 7672, 2.2.1: a host of an MX set that is not validated is not asked about, which the
// RFC leaves to us: who can forge the MX set names a host of their own. RFC 7672, 3.2.3: a name in the
// subject's CN counts no more (RFC 9525, 2).
package dane

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"checkauth/verify/dns"
	"checkauth/verify/result"
)

// The bounds of what a stranger makes us look at.
const (
	maxRecords = 20 // of one set
	maxChain   = 10 // certificates that the server shows
)

// The values of RFC 6698, 7.2 to 7.4 (names of RFC 7218, 2) that mean something here.
const (
	usageTA uint8 = 2 // DANE-TA: a trust anchor, above the server's certificate
	usageEE uint8 = 3 // DANE-EE: the server's certificate itself

	selectorCert uint8 = 0
	selectorKey  uint8 = 1 // SubjectPublicKeyInfo

	matchFull   uint8 = 0
	matchSHA256 uint8 = 1
	matchSHA512 uint8 = 2
)

// TLSA is the data of one record: RFC 6698, 2.1.
type TLSA struct {
	Usage, Selector, Matching uint8
	Data                      []byte
}

// Records are what a host has promised. The zero value is no promise: DANE does not apply.
type Records struct {
	// Base is the name that the records hang on, the host's or where its CNAME leads. RFC 7672, 8.1: it is
	// what SNI has to say. Empty where there are no records.
	Base string
	// All are those that are looked at, also those that cannot be used; of one that cannot be read all
	// fields are zero.
	All []TLSA
}

// Present tells that validated records exist. RFC 7672, 2.2: then the mail goes over TLS or not at all,
// whether or not the records are usable.
func (r Records) Present() bool { return len(r.All) > 0 }

// Usable tells that the server must be authenticated by Verify. RFC 7672, 2.2: records of which none is
// usable ask for TLS, and not for a certificate.
func (r Records) Usable() bool { return len(r.usable()) > 0 }

// Impossible tells that the server must be authenticated and that no certificate can be: every usable record has, in
// the place of a digest, the digest of nothing (a command that read an empty file made it) or one octet again and
// again. Whether other records match only a connection can tell.
func (r Records) Impossible() bool {
	usable := r.usable()
	for _, t := range usable {
		if !t.placeholder() {
			return false
		}
	}
	return len(usable) > 0
}

func (t TLSA) placeholder() bool {
	ofNothing256, ofNothing512 := sha256.Sum256(nil), sha512.Sum512(nil)
	switch t.Matching {
	case matchSHA256:
		return bytes.Equal(t.Data, ofNothing256[:]) || bytes.Count(t.Data, t.Data[:1]) == len(t.Data)
	case matchSHA512:
		return bytes.Equal(t.Data, ofNothing512[:]) || bytes.Count(t.Data, t.Data[:1]) == len(t.Data)
	}
	return false
}

// String has the forms of the records without their data, such as "mx.example.org: 3 1 1, 2 0 1", for a log.
func (r Records) String() string { return result.Clean(r.Base) + ": " + forms(r.All) }

func forms(all []TLSA) string {
	out := make([]string, len(all))
	for i, t := range all {
		out[i] = fmt.Sprintf("%d %d %d", t.Usage, t.Selector, t.Matching)
	}
	return strings.Join(out, ", ")
}

// Read makes Records of a set, whether or not it was validated. One that cannot be read stays in it, because it was
// promised all the same. The report goes by it too: it must not praise what our own delivery does not use.
func Read(base string, set []dns.Record) Records {
	r := Records{Base: base}
	for _, rr := range set[:min(len(set), maxRecords)] {
		t, err := parse(rr.Data())
		if err != nil {
			t = TLSA{}
		}
		r.All = append(r.All, t)
	}
	return r
}

var errForm = errors.New("want three numbers to 255 and hexadecimal digits")

// parse reads a record as in a zone file: RFC 6698, 2.2.
func parse(data string) (TLSA, error) {
	words := strings.Fields(data)
	if len(words) < 4 {
		return TLSA{}, errForm
	}
	var numbers [3]uint8
	for i := range numbers {
		n, err := strconv.ParseUint(words[i], 10, 8)
		if err != nil {
			return TLSA{}, errForm
		}
		numbers[i] = uint8(n)
	}
	octets, err := hex.DecodeString(strings.Join(words[3:], ""))
	if err != nil {
		return TLSA{}, errForm
	}
	return TLSA{numbers[0], numbers[1], numbers[2], octets}, nil
}

// Usable tells whether a record can vouch for a mail server by itself; a stronger one of the set may put it aside
// (RFC 7671, 9).
func (t TLSA) Usable() bool { return t.usable() }

// usable: RFC 7672, 3.1: usages 2 and 3 of selectors 0 and 1. RFC 7672, 3.1.3: PKIX-TA and PKIX-EE are not
// for SMTP, where nobody agrees on the public CAs.
func (t TLSA) usable() bool {
	if t.Usage != usageTA && t.Usage != usageEE || t.Selector > selectorKey {
		return false
	}
	switch t.Matching {
	case matchSHA256:
		return len(t.Data) == sha256.Size
	case matchSHA512:
		return len(t.Data) == sha512.Size
	case matchFull:
		return sequence(t.Data)
	}
	return false
}

// sequence: a certificate and a public key are one SEQUENCE each, with nothing behind it (RFC 5280, 4.1).
// Its inside is not asked about: that we do not know an algorithm does not free the server of its promise.
func sequence(der []byte) bool {
	var v asn1.RawValue
	rest, err := asn1.Unmarshal(der, &v)
	return err == nil && len(rest) == 0 && v.Class == asn1.ClassUniversal && v.Tag == asn1.TagSequence && v.IsCompound
}

// usable are the records that count. RFC 7671, 9: among the digests of one usage and selector that is the
// strongest alone, so that who breaks the weak one has gained nothing; a full value is no digest and stays.
func (r Records) usable() []TLSA {
	type kind struct{ usage, selector uint8 }
	strongest := map[kind]uint8{}
	for _, t := range r.All {
		if t.usable() {
			k := kind{t.Usage, t.Selector}
			strongest[k] = max(strongest[k], t.Matching)
		}
	}
	var out []TLSA
	for _, t := range r.All {
		if t.usable() && (t.Matching == matchFull || t.Matching == strongest[kind{t.Usage, t.Selector}]) {
			out = append(out, t)
		}
	}
	return out
}

// matches compares a certificate, whatever the usage: RFC 6698, 2.1.2 to 2.1.4.
func (t TLSA) matches(c *x509.Certificate) bool {
	have := c.Raw
	if t.Selector == selectorKey {
		have = c.RawSubjectPublicKeyInfo
	}
	switch t.Matching {
	case matchSHA256:
		sum := sha256.Sum256(have)
		have = sum[:]
	case matchSHA512:
		sum := sha512.Sum512(have)
		have = sum[:]
	}
	return subtle.ConstantTimeCompare(have, t.Data) == 1
}
