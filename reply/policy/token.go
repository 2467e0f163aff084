package policy

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"checkauth/verify/naming"
)

// Purpose of a token: one made for another purpose does not count.
type Purpose string

// The purposes.
const (
	Again Purpose = "again" // a test from that address has class A's quota
	Never Purpose = "stop"  // no report goes to that address any more
)

// TokenLife is how long a token counts, in days.
const TokenLife = 30

// KeyLife: a key makes tokens for so many days, and is kept until the last of them is over.
const KeyLife = 30

// Keys are the secrets that tokens are made with, the newest first.
type Keys [][]byte

var letters = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// A token has two letters of its day and the first ten octets of its code: local parts do not keep case, so it
// is in base32.
const (
	dayLetters = 2
	days       = 1024 // that two letters tell apart
	macOctets  = 10
)

// Token says that an address is its bearer's to speak for: it went to that address and nowhere else. It is made
// of the address as Fold gives it, without anything that is stored.
func (k Keys) Token(p Purpose, address string, now time.Time) string {
	if len(k) == 0 {
		return ""
	}
	day := now.Unix() / 86400
	return dayText(day) + code(k[0], p, address, day)
}

// Valid tells whether a token was made for that purpose and address within the last 30 days.
func (k Keys) Valid(p Purpose, address, token string, now time.Time) bool {
	token = strings.ToLower(token)
	if len(token) != dayLetters+letters.EncodedLen(macOctets) {
		return false
	}
	today := now.Unix() / 86400
	for _, key := range k {
		// A day of the future: another node's clock is ahead.
		for age := int64(-1); age <= TokenLife; age++ {
			day := today - age
			if dayText(day) == token[:dayLetters] && hmac.Equal([]byte(code(key, p, address, day)), []byte(token[dayLetters:])) {
				return true
			}
		}
	}
	return false
}

func (k Keys) anyValid(p Purpose, address string, tokens []string, now time.Time) bool {
	return slices.ContainsFunc(tokens, func(t string) bool { return k.Valid(p, address, t, now) })
}

// dayText is a day in two letters.
func dayText(day int64) string {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], uint16(day%days)<<6)
	return letters.EncodeToString(b[:])[:dayLetters]
}

func code(key []byte, p Purpose, address string, day int64) string {
	h := hmac.New(sha256.New, key)
	fmt.Fprintf(h, "check-auth token 1\n%s\n%d\n%q\n", p, day, naming.Fold(address))
	return letters.EncodeToString(h.Sum(nil)[:macOctets])
}
