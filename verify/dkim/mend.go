package dkim

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
)

// Record is a key record as one would write it: RFC 6376, 3.6.1.
type Record struct {
	Type     string   // k=: rsa or ed25519
	Hashes   []string // h=; nil where there is none
	Services []string // s=; nil where there is none
	Flags    []string // t=; nil where there is none
	Notes    string   // n=, as it stands in the record; empty where there is none
	Key      string   // p=: base64 with its padding, without white space
}

// String is the text to publish.
func (r Record) String() string {
	text := "v=DKIM1; k=" + r.Type + "; "
	for _, t := range []struct{ name, value string }{
		{"h", strings.Join(r.Hashes, ":")}, {"s", strings.Join(r.Services, ":")}, {"t", strings.Join(r.Flags, ":")}, {"n", r.Notes},
	} {
		if t.value != "" {
			text += t.name + "=" + t.value + "; "
		}
	}
	return text + "p=" + r.Key
}

// Without is a key record's text without a tag, the rest as it stands there.
func Without(text, tag string) string {
	var kept []string
	for part := range strings.SplitSeq(text, ";") {
		part = strings.TrimSpace(part)
		if name, _, _ := strings.Cut(part, "="); part != "" && strings.TrimSpace(name) != tag {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, "; ")
}

// mendBound is how many octets of a text are looked at: an RSA key of 8192 bits takes about 1400.
const mendBound = 8192

// Mend reads a key record as it was meant: without what copying left in it, and with the separators that
// it lacks. The key is the one that stands there, octet for octet; where none can be made out, or it is a
// private one, ok is false. Whether it is the right key nobody can tell from the text.
func Mend(text string) (r Record, ok bool) {
	if len(text) > mendBound || isPrivate(text) || isPrivate(withoutMarks(text)) {
		return Record{}, false
	}
	for _, clean := range cleaners {
		if r, ok := meant(clean(text)); ok {
			return r, true
		}
	}
	return Record{}, false
}

// cleaners undo what copying makes of a text, the most careful first: what can be read as it stands is left
// alone.
var cleaners = []func(string) string{
	func(text string) string { return text },
	withoutMarks,
	func(text string) string { return semicolons.Replace(withoutMarks(text)) },
	withTagSigns,
}

// withTagSigns writes tags as they are written by rule: a small letter, an equals sign, a semicolon.
func withTagSigns(text string) string {
	return tagSigns.ReplaceAllStringFunc(semicolons.Replace(withoutMarks(text)), func(sign string) string {
		return ";" + strings.ToLower(strings.Trim(sign, ",|:;="+fws)) + "="
	})
}

// tagSigns find tags in capital letters, or with another sign before or behind their names.
var tagSigns = regexp.MustCompile(`(?i)(^|;|[,:|] )\s*([vkhstnp])\s*[=:]\s*`)

// escapes are what zone files, programs and web pages write for a character of their own.
var escapes = strings.NewReplacer(
	`\n`, " ", `\r`, " ", `\t`, " ", `\059`, ";", `\034`, "", `\032`, " ", `\;`, ";", `\"`, "", `\`, "",
	`"`, "", "“", "", "”", "", "„", "", "’", "", "‘", "", "'", "", "`", "",
	"&quot;", "", "&nbsp;", " ", "\u00a0", " ", "；", ";", "＝", "=",
)

// withoutMarks takes away escapes, quote marks, invisible characters and the lines of a PEM file.
func withoutMarks(text string) string {
	text = strings.Map(func(r rune) rune {
		if r != ' ' && withoutUnseen(r) < 0 {
			if strings.ContainsRune(fws, r) {
				return ' '
			}
			return -1
		}
		return r
	}, escapes.Replace(text))
	return pemLine.ReplaceAllString(text, "")
}

// pemLine: some panels take the hyphens or the spaces away.
var pemLine = regexp.MustCompile(`-*\s*(BEGIN|END)\s*(RSA)?\s*PUBLIC\s*KEY\s*-*`)

// meant reads a text tag by tag, and takes each tag that is as RFC 6376, 3.6.1 wants it. A text without any
// tag may be the key itself.
func meant(text string) (Record, bool) {
	r := Record{}
	kind, p := "", ""
	for spec := range strings.SplitSeq(text, ";") {
		name, value, ok := strings.Cut(spec, "=")
		value = trimFWS(value)
		switch name = trimFWS(name); {
		case !ok && name == "":
		case !ok || len(name) != 1:
			if p == "" {
				p = longestKey(spec)
			}
		case name == "p" && p != "" && keyText(value) != keyText(p):
			return Record{}, false // two keys: which is meant?
		case name == "p":
			p = value
		case name == "k":
			kind = strings.ToLower(withoutFWS(value))
		default:
			r.keep(name, value)
		}
	}
	r.Type, r.Key = readAs(kind, keyText(p))
	return r, r.Type != ""
}

// longestKey is a piece of a text that is long enough to be a key: nothing else of that length stands in a
// record without its tag.
func longestKey(text string) string {
	if key := keyText(text); len(key) >= 100 {
		return text
	}
	return ""
}

var (
	hyphenated = regexp.MustCompile(`^(\*|[A-Za-z][A-Za-z0-9-]*)$`) // RFC 6376, 3.6.1: an entry of h=, s= or t=
	noteText   = regexp.MustCompile(`^[!-:<>-~ ]+$`)                // RFC 6376, 2.11, and no further tag
)

// keep takes over a tag that says something.
func (r *Record) keep(name, value string) {
	entries := strings.Split(withoutFWS(value), ":")
	valid := !slices.ContainsFunc(entries, func(e string) bool { return !hyphenated.MatchString(e) })
	switch {
	case name == "n" && noteText.MatchString(value):
		r.Notes = value
	case !valid:
	case name == "h":
		r.Hashes = entries
	case name == "s":
		r.Services = entries
	case name == "t":
		r.Flags = entries
	}
}

// keyText is the base64 of a value, with the padding that it must have (RFC 2045, 6.8) and nothing else.
func keyText(value string) string {
	bare := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/' {
			return c
		}
		return -1
	}, value)
	return bare + strings.Repeat("=", (4-len(bare)%4)%4)
}

// wrappedPrefix is how many characters of base64 stand before an Ed25519 key that is wrapped in ASN.1: 12
// octets (RFC 8410, 4 and 10.1), so that what follows is the base64 of the key itself.
const wrappedPrefix = 16

// readAs tells of which type a key is, and writes it as that type wants it; both are empty where it is
// none. The octets tell the type: what k= says counts where they are only 32.
func readAs(kind, key string) (as, p string) {
	der, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		return "", ""
	}
	if pub, err := parseRSA(der); err == nil {
		if n := pub.N.BitLen(); n > maxBits {
			return "", ""
		}
		return "rsa", key
	}
	if len(der) == ed25519.PublicKeySize && (kind == "ed25519" || kind == "") {
		return "ed25519", key
	}
	if wrapped, err := x509.ParsePKIXPublicKey(der); err == nil && len(der) == 12+ed25519.PublicKeySize {
		if _, ok := wrapped.(ed25519.PublicKey); ok {
			return "ed25519", key[wrappedPrefix:]
		}
	}
	return "", ""
}

// MendJoined reads a key that was cut into several records, in whatever order the DNS gives them: the one
// with the tags comes first.
func MendJoined(texts []string) (Record, bool) {
	at := slices.IndexFunc(texts, func(t string) bool { return strings.Contains(t, "p=") })
	if at < 0 || len(texts) < 2 || len(texts) > 4 {
		return Record{}, false
	}
	rest := slices.Delete(slices.Clone(texts), at, at+1)
	for _, order := range orders(rest) {
		if r, ok := Mend(texts[at] + strings.Join(order, "")); ok {
			return r, true
		}
	}
	return Record{}, false
}

// orders are all orders of a few texts.
func orders(texts []string) [][]string {
	if len(texts) < 2 {
		return [][]string{texts}
	}
	var out [][]string
	for i := range texts {
		for _, tail := range orders(slices.Delete(slices.Clone(texts), i, i+1)) {
			out = append(out, append([]string{texts[i]}, tail...))
		}
	}
	return out
}
