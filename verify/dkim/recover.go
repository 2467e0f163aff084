package dkim

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
)

// digestInfo stands before the hash in what RSASSA-PKCS1-v1_5 signs with SHA-256: RFC 8017, 9.2, note 1.
var digestInfo = []byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}

// signedHash gives back the hash that an RSA signature was made of. Only the owner of the key's private
// half can have made what decodes so, whatever became of the message since; ok is false where this key
// did not make the signature, and for keys that are not RSA or out of bounds.
func (k publicKey) signedHash(sig []byte) (sum []byte, ok bool) {
	if k.rsa == nil || k.rsa.N.BitLen() < minBits || k.rsa.N.BitLen() > maxBits || len(sig) != k.rsa.Size() {
		return nil, false
	}
	encoded := opened(k.rsa, sig)
	// RFC 8017, 9.2: 00 01 FF .. FF 00, DigestInfo, hash.
	head, sum := encoded[:len(encoded)-sha256.Size], encoded[len(encoded)-sha256.Size:]
	head, ok = bytes.CutSuffix(head, digestInfo)
	if !ok || len(head) < 11 || head[0] != 0 || head[1] != 1 || head[len(head)-1] != 0 {
		return nil, false
	}
	for _, b := range head[2 : len(head)-1] {
		if b != 0xff {
			return nil, false
		}
	}
	return sum, true
}

// opened is RSAVP1 of RFC 8017, 5.2.2.
func opened(pub *rsa.PublicKey, sig []byte) []byte {
	m := new(big.Int).SetBytes(sig)
	if m.Cmp(pub.N) >= 0 {
		return make([]byte, pub.Size())
	}
	return m.Exp(m, big.NewInt(int64(pub.E)), pub.N).FillBytes(make([]byte, pub.Size()))
}
