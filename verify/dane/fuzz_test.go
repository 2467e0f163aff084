package dane_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"strings"
	"testing"

	"checkauth/verify/dane"
	"checkauth/verify/dns"
)

// FuzzRecord: a record verifies where it names a certificate of the chain, and never otherwise, but for a
// whole anchor, of which name and key count alone; der is one more certificate that the server shows.
func FuzzRecord(f *testing.F) {
	h, other := fixedHouse(f), newHouse(f)
	for _, e := range h.chain() {
		for usage := range uint8(4) {
			for form := range uint8(6) {
				f.Add(text(tlsa(usage, form%2, form/2, e)), e.Raw)
				f.Add(text(wrong(tlsa(usage, form%2, form/2, e))), other.root.Raw)
			}
		}
	}
	for _, s := range []string{"", "3 1 1", "3 1 1 00", "2 0 0 3000", "2 1 0 3000", "3 1 0 30 00", "2 1 0 30803000", "255 255 255 ff"} {
		f.Add(s, []byte(nil))
	}
	f.Fuzz(func(t *testing.T, data string, der []byte) {
		chain := []*x509.Certificate{h.leaf.Certificate, h.issuer.Certificate}
		shown := []*entity{h.leaf, h.issuer}
		if c, err := x509.ParseCertificate(der); err == nil {
			chain, shown = append(chain, c), append(shown, &entity{Certificate: c})
		}
		r := static{dns.A: {{Type: dns.A}}, dns.TLSA: {{Type: dns.TLSA, Other: data}}}
		got, err := dane.Lookup(t.Context(), r, host, 25, true)
		if err != nil || !got.Present() {
			t.Fatalf("%q: got %s (%v), want it present", data, got, err)
		}
		bad := got.Verify(tls.ConnectionState{PeerCertificates: chain}, nil, now)
		named := names(got.All[0], shown)
		switch {
		case bad == nil && !named && (got.All[0].Usage == 3 || got.All[0].Matching != 0):
			t.Fatalf("%q verifies", data)
		case bad == nil && !got.Usable():
			t.Fatalf("%q verifies and is not usable", data)
		case bad != nil && strings.ContainsAny(bad.Error(), "\r\n\x1b\x00"):
			t.Fatalf("%q: %q", data, bad)
		}
		if usable := got.Usable(); usable && !strings.Contains(strings.ToLower(strings.Join(strings.Fields(data), "")), hex.EncodeToString(got.All[0].Data)) {
			t.Fatalf("%q was read as %s", data, text(got.All[0]))
		}
	})
}

// names tells, by making the record again, whether it is that of a certificate which may carry its usage.
func names(t dane.TLSA, shown []*entity) bool {
	if t.Usage == 3 {
		shown = shown[:1]
	}
	for _, e := range shown {
		if text(tlsa(t.Usage, t.Selector, t.Matching, e)) == text(t) {
			return true
		}
	}
	return false
}
