package dkim

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"

	"checkauth/verify/result"
)

// mistakes are how a key record that cannot be read came to be so, what matters most first. Each gets the
// text as published and tells whether that is it.
var mistakes = []func(name, text string) *result.Finding{
	privateKey,
	pemLines,
	strayMarks,
	unseenSpaces,
	noSemicolon,
	noPadding,
}

// mistake names the one that explains why a record cannot be read; nil where none does.
func mistake(name, text string) *result.Finding {
	for _, m := range mistakes {
		if f := m(name, text); f != nil {
			return f
		}
	}
	return nil
}

// privateKey: the other half was published. Whoever has it signs as the domain.
func privateKey(name, text string) *result.Finding {
	if !isPrivate(text) {
		return nil
	}
	return found(result.Found(result.Error, "dkim-key-private", "name", result.Domain(name)))
}

func isPrivate(text string) bool {
	if strings.Contains(withoutFWS(text), "PRIVATEKEY-----") {
		return true
	}
	ts, _ := parseTags(text)
	der := base64Part(ts.value("p"))
	return isPrivateDER(der) || isPrivateEd25519(der)
}

// isPrivateDER looks at how the octets begin, so that a key that is cut off is known as well: after a
// SEQUENCE's head a private key has its version, 0 or 1, and a public one has none (RFC 8017, A.1.2; RFC
// 5958, 2; RFC 5915, 3).
func isPrivateDER(der []byte) bool {
	if len(der) < 2 || der[0] != 0x30 {
		return false
	}
	head := 2
	if der[1] >= 0x80 {
		head += int(der[1] & 0x7f)
	}
	if len(der) < head+4 {
		return false
	}
	rest := der[head:]
	if !bytes.HasPrefix(rest, []byte{2, 1, 0}) && !bytes.HasPrefix(rest, []byte{2, 1, 1}) {
		return false
	}
	// The modulus, the algorithm, or the octets of an elliptic curve's key.
	return rest[3] == 0x02 || rest[3] == 0x30 || rest[3] == 0x04
}

// isPrivateEd25519: libraries keep the seed with the public key behind it (RFC 8032, 5.1.5).
func isPrivateEd25519(b []byte) bool {
	return len(b) == ed25519.PrivateKeySize && bytes.Equal(ed25519.NewKeyFromSeed(b[:ed25519.SeedSize]), b)
}

// base64Part decodes as much of a text as is base64, PEM lines and stray marks taken away.
func base64Part(p string) []byte {
	for strings.HasPrefix(p, "-----") {
		_, rest, _ := strings.Cut(p[5:], "-----")
		p = rest
	}
	p = strings.NewReplacer(`"`, "", `\`, "").Replace(p)
	n := strings.IndexFunc(p, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '+' && r != '/'
	})
	if n >= 0 {
		p = p[:n]
	}
	if len(p)%4 == 1 {
		p = p[:len(p)-1]
	}
	b, _ := base64.RawStdEncoding.DecodeString(p) // what stands before a fault is enough
	return b
}

// pemLines: the first and last line of the key's file came into the record.
func pemLines(name, text string) *result.Finding {
	ts, _ := parseTags(text)
	if !strings.Contains(withoutFWS(text), "PUBLICKEY-----") && !strings.HasPrefix(ts.value("p"), "BEGINPUBLICKEY") {
		return nil
	}
	return found(result.Found(result.Error, "dkim-key-pem", "name", result.Domain(name)))
}

// strayMarks: quote marks and backslashes come from copying a zone file's form into a panel that wants
// the text alone. In n=, which nobody reads, they do no harm.
func strayMarks(name, text string) *result.Finding {
	if !strings.ContainsAny(readBy(text), "\"\\“”") {
		return nil
	}
	return found(result.Found(result.Error, "dkim-key-escaped", "name", result.Domain(name)))
}

// readBy is what of a record verifiers read: all but n=.
func readBy(text string) string {
	ts, err := parseTags(text)
	n, ok := ts.get("n")
	if err != nil || !ok {
		return text
	}
	return text[:n.from] + text[n.to:]
}

// unseenSpaces: a web page's spaces, which are no white space of RFC 6376, 2.8.
func unseenSpaces(name, text string) *result.Finding {
	if !reads(strings.Map(withoutUnseen, text)) {
		return nil
	}
	return found(result.Found(result.Error, "dkim-key-spaces", "name", result.Domain(name)))
}

func withoutUnseen(r rune) rune {
	if r >= 0x80 && !unicode.IsGraphic(r) || unicode.IsSpace(r) || r == utf8.RuneError {
		return -1
	}
	return r
}

// semicolons puts one before what can only be the next tag.
var semicolons = strings.NewReplacer(" v=", ";v=", " k=", ";k=", " h=", ";h=", " s=", ";s=", " t=", ";t=", " n=", ";n=", " p=", ";p=")

// noSemicolon: the tags stand in a row with nothing but spaces between them.
func noSemicolon(name, text string) *result.Finding {
	if !reads(semicolons.Replace(text)) {
		return nil
	}
	return found(result.Found(result.Error, "dkim-key-semicolon", "name", result.Domain(name)))
}

// noPadding: RFC 6376, 2.10 leaves it open whether base64 may go without its equals signs at the end;
// go-msgauth and most others want as many as RFC 2045, 6.8 says.
func noPadding(name, text string) *result.Finding {
	ts, _ := parseTags(text)
	p := ts.value("p")
	bare := strings.TrimRight(p, "=")
	whole := bare + strings.Repeat("=", (4-len(bare)%4)%4)
	if whole == p || !reads("k="+keyFacts(ts).Type+"; p="+whole) {
		return nil
	}
	return found(result.Found(result.Error, "dkim-key-padding", "name", result.Domain(name), "length", len(p)))
}

// reads tells whether a text would be a key.
func reads(text string) bool {
	k, _, _ := readRecord("", text)
	return k != nil && k.Bits > 0
}
