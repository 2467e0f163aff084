package deliver

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"strings"
	"testing"
	"time"
)

// oldServer is what a server of long ago has.
type oldServer struct {
	versions [2]uint16 // of TLS, the first and the last
	suites   []uint16
	bits     int  // of its RSA key; 0: ECDSA
	negative bool // the serial number of its certificate
}

// old servers, each of which insists on TLS.
var old = map[string]oldServer{
	"TLS 1.0 alone":                 {versions: [2]uint16{tls.VersionTLS10, tls.VersionTLS10}, bits: 2048},
	"TLS 1.1 alone":                 {versions: [2]uint16{tls.VersionTLS10, tls.VersionTLS11}, bits: 2048},
	"TLS 1.0, 3DES alone":           {versions: [2]uint16{tls.VersionTLS10, tls.VersionTLS10}, bits: 2048, suites: []uint16{tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA}},
	"TLS 1.2, RSA key exchange":     {versions: [2]uint16{tls.VersionTLS12, tls.VersionTLS12}, bits: 2048, suites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}},
	"TLS 1.2, RC4 alone":            {versions: [2]uint16{tls.VersionTLS12, tls.VersionTLS12}, bits: 2048, suites: []uint16{tls.TLS_RSA_WITH_RC4_128_SHA}},
	"a negative serial number":      {versions: [2]uint16{tls.VersionTLS12, tls.VersionTLS13}, negative: true},
	"an RSA key of 768 bits":        {versions: [2]uint16{tls.VersionTLS12, tls.VersionTLS12}, bits: 768},
	"768 bits and RSA key exchange": {versions: [2]uint16{tls.VersionTLS10, tls.VersionTLS10}, bits: 768, suites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}},
}

// stub is such a server.
func (o oldServer) stub(t *testing.T) *stub {
	t.Helper()
	return &stub{script: map[string][]string{"EHLO": {startTLS}}, wants: true, tls: &tls.Config{
		MinVersion: o.versions[0], MaxVersion: o.versions[1], CipherSuites: o.suites, Certificates: []tls.Certificate{o.certificate(t)},
	}}
}

func (o oldServer) certificate(t *testing.T) tls.Certificate {
	t.Helper()
	sheet := &x509.Certificate{SerialNumber: big.NewInt(0x4142434445), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"mx.example.org"}}
	out := tls.Certificate{}
	var der []byte
	if o.bits > 0 {
		key, err := rsa.GenerateKey(rand.Reader, o.bits)
		if err != nil {
			t.Fatal(err)
		}
		if der, err = x509.CreateCertificate(rand.Reader, sheet, sheet, key.Public(), key); err != nil {
			t.Fatal(err)
		}
		out.PrivateKey = key
	} else {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if der, err = x509.CreateCertificate(rand.Reader, sheet, sheet, key.Public(), key); err != nil {
			t.Fatal(err)
		}
		out.PrivateKey = key
	}
	if o.negative { // which breaks its own signature, that nobody looks at
		der = bytes.Replace(der, []byte{0x41, 0x42, 0x43, 0x44, 0x45}, []byte{0xc1, 0x42, 0x43, 0x44, 0x45}, 1)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	out.Certificate, out.Leaf = [][]byte{der}, leaf
	return out
}

// RFC 7435: old TLS is better than none, and than no delivery at all.
func TestRFC7435_3_old_servers_that_insist_on_TLS(t *testing.T) {
	t.Parallel()
	for name, o := range old {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := o.stub(t)
			what, err := tryStub(t, s, entry("one"))
			want(t, err, "taken", "")
			if !strings.HasPrefix(what.tls, "TLS 1.") || s.connections() != 1 {
				t.Errorf("got %q and %d connections", what.tls, s.connections())
			}
		})
	}
}

// What a domain promises by DANE is TLS 1.2 with a key that counts, also of a server that has nothing better.
func TestRFC8996_a_promise_is_not_kept_by_old_TLS(t *testing.T) {
	t.Parallel()
	for name, o := range old {
		if o.negative {
			continue // a form, not a weakness
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := o.stub(t)
			zone := oneHost + tlsa(3, "mx.example.org", s.tls.Certificates[0]) + validated
			checkWish(t, zone, s, nil, wish{fate: "temporary", reason: "4.7.5", tls: "no: TLS failed", one: "1 0"}, nil)
		})
	}
}

// A server that insists on TLS and fails at it: the reply waits, and its reason is what failed.
func TestTheCauseOfAFailedHandshakeIsKept(t *testing.T) {
	t.Parallel()
	ask := func() *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{certificate(t)}, ClientAuth: tls.RequireAnyClientCert}
	}
	for _, c := range []struct {
		name, verb, answer string
	}{
		{"as RFC 3207 has it", "MAIL", mustStartTLS},
		{"by its enhanced code", "RCPT", "550 5.7.10 no"},
		{"in words", "RCPT", "554 5.7.1 <recipient>: Session encryption is required"},
	} {
		s := &stub{script: map[string][]string{"EHLO": {startTLS}, c.verb: {c.answer}}, tls: ask()}
		what, err := tryStub(t, s, entry("one"))
		want(t, err, "temporary", "TLS failed: ")
		reason := reasonOf(err, "a@example.org")
		cause, rest, _ := strings.Cut(reason, "; in clear then: ")
		if !strings.Contains(cause, "certificate") || !strings.HasSuffix(rest, c.verb+": "+c.answer) {
			t.Errorf("%s: got the reason %q", c.name, reason)
		}
		if out := what.outcome(kindOf(err), reason, "a@example.org"); out.Kind != KindTLS || !strings.Contains(out.TLS, "no: ") || !strings.Contains(out.TLS, "certificate") {
			t.Errorf("%s: got the outcome %+v", c.name, out)
		}
	}
}
