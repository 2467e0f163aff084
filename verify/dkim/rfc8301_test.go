package dkim

import (
	"crypto/rsa"
	"math/big"
	"strings"
	"testing"

	"checkauth/verify/dns/dnstest"
	"checkauth/verify/result"
)

// RFC 8301, 3.2: sizes of RSA keys.
func TestRFC8301_3_2_RSA_sizes(t *testing.T) {
	t.Parallel()
	of := func(bits uint, e int) string {
		n := new(big.Int).SetBit(new(big.Int), int(bits)-1, 1)
		return rsaRecord(&rsa.PublicKey{N: n.SetBit(n, 0, 1), E: e}, "")
	}
	for _, c := range []struct {
		name, record string
		word         result.Word
		codes        []result.Code
		bits         int
	}{
		{"512 bits", of(512, 65537), result.PermError, []result.Code{"dkim-key-too-short"}, 512},
		{"1023 bits", of(1023, 65537), result.PermError, []result.Code{"dkim-key-too-short"}, 1023},
		{"1024 bits", of(1024, 65537), result.Fail, []result.Code{"dkim-key-mismatch", "dkim-key-weak"}, 1024},
		{"2048 bits", of(2048, 65537), result.Fail, []result.Code{"dkim-key-mismatch"}, 2048},
		{"8192 bits", of(8192, 3), result.Fail, []result.Code{"dkim-key-mismatch"}, 8192},
		{"8193 bits", of(8193, 3), result.Policy, []result.Code{"dkim-key-too-long"}, 8193},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := Verifier{DNS: dnstest.Zone(t, txt("rsa._domainkey.example.org", c.record))}
			if s := one(t, checked(t, v, sign(plainTags, plainMessage)), c.word, c.codes...); s.Key == nil || s.Key.Bits != c.bits {
				t.Errorf("key: got %+v, want %d bits", s.Key, c.bits)
			}
		})
	}
	one(t, checked(t, Verifier{DNS: world(t)}, sign(tagsWith("s=weak"), plainMessage)), result.Pass, "dkim-key-weak")
}

func TestRFC8301_3_1_SHA1(t *testing.T) {
	t.Parallel()
	v := Verifier{DNS: world(t)}
	one(t, checked(t, v, sign(tagsWith("a=rsa-sha1"), plainMessage)), result.PermError, "dkim-sha1")
	one(t, checked(t, v, sign(tagsWith("a=rsa-sha1", "s=none"), plainMessage)), result.PermError, "dkim-key-missing", "dkim-sha1")
}

func TestRFC8463_4_2_keys(t *testing.T) {
	t.Parallel()
	record := edRecord("")
	for _, c := range []struct {
		name, record, tags string
		word               result.Word
		codes              []result.Code
	}{
		{"32 octets", record, tagsWith("a=ed25519-sha256"), result.Pass, []result.Code{"dkim-ed25519-only"}},
		{"in ASN.1", "v=DKIM1; k=ed25519; p=MCowBQYDK2VwAyEA3SUqa9UbfciWkk7tlcJ9P1VD5pXAasg0JUn/OgjVbKE=", tagsWith("a=ed25519-sha256"),
			result.PermError, []result.Code{"dkim-key-syntax"}},
		{"cut off", record[:len(record)-8], tagsWith("a=ed25519-sha256"), result.PermError, []result.Code{"dkim-key-truncated"}},
		{"without k=", strings.Replace(record, "k=ed25519; ", "", 1), tagsWith("a=ed25519-sha256"), result.PermError, []result.Code{"dkim-key-syntax"}},
		{"an RSA key", rsaRecord(&rsaKey().PublicKey, ""), tagsWith("a=ed25519-sha256"), result.PermError, []result.Code{"dkim-key-wrong-type"}},
		{"under rsa-sha256", record, plainTags, result.PermError, []result.Code{"dkim-key-wrong-type"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := Verifier{DNS: dnstest.Zone(t, txt("rsa._domainkey.example.org", c.record))}
			one(t, checked(t, v, sign(c.tags, plainMessage)), c.word, c.codes...)
		})
	}
	both := sign(plainTags, sign(tagsWith("a=ed25519-sha256", "s=ed"), plainMessage))
	if r := checked(t, Verifier{DNS: world(t)}, both); words(r) != "pass pass" || len(codes(r)) != 0 {
		t.Errorf("RSA and Ed25519: got %s and %v, want two passes and no finding", words(r), codes(r))
	}
}
