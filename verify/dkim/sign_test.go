package dkim

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"checkauth/verify/dns"
	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// The tests sign with a signer of their own: slow, by regular expressions, and so far from the code
// under test that both are not wrong in the same way.

var (
	rsaKey = sync.OnceValue(func() *rsa.PrivateKey { return stored("testdata/rsa2048.pem") })
	weakOf = sync.OnceValue(func() *rsa.PrivateKey { return stored("testdata/rsa1024.pem") })
	edKey  = ed25519.NewKeyFromSeed([]byte("check-auth tests, 32 octets long"))
)

// stored reads a key that was made for the tests alone. One made anew each time would give the fuzz
// targets other seeds in each process.
func stored(file string) *rsa.PrivateKey {
	b, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	block, _ := pem.Decode(b)
	k, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		panic(err)
	}
	return k
}

// rsaRecord is the key record of an RSA key; tags such as "t=y; " stand in front of p=.
func rsaRecord(k *rsa.PublicKey, tags string) string {
	der, err := x509.MarshalPKIXPublicKey(k)
	if err != nil {
		panic(err)
	}
	return "v=DKIM1; k=rsa; " + tags + "p=" + base64.StdEncoding.EncodeToString(der)
}

func edRecord(tags string) string {
	return "v=DKIM1; k=ed25519; " + tags + "p=" + base64.StdEncoding.EncodeToString(edKey.Public().(ed25519.PublicKey))
}

// txt is a line of a zone: the text in strings of 255.
func txt(name, text string) string {
	var parts []string
	for len(text) > 255 {
		parts, text = append(parts, text[:255]), text[255:]
	}
	quoted := ""
	for _, p := range append(parts, text) {
		quoted += ` "` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\t", `\009`).Replace(p) + `"`
	}
	return name + ". TXT" + quoted + "\n"
}

// texts answers from a map, for the fuzz targets.
type texts map[string]string

func (z texts) Resolve(_ context.Context, q dns.Question) (dns.Answer, error) {
	a := dns.Answer{Question: q}
	text, ok := z[q.Name]
	a.NX = !ok
	if ok {
		a.Records = []dns.Record{{Name: q.Name, Type: dns.TXT, TTL: 300, Strings: []string{text}}}
	}
	return a, nil
}

const plainTags = "v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=rsa; h=From:To:Subject"

const plainMessage = "From: Ann <ann@example.org>\r\nTo: bob@example.net\r\nSubject: A  test\r\n\r\nHello,\r\n\r\n this  is it. \r\n\r\n"

// sign puts a DKIM-Signature of these tags on top of the message; bh= and b= are added. The key follows
// from a=; s=weak is the one of 1024 bits.
func sign(tags, message string) string {
	head, body, found := strings.Cut(message, "\r\n\r\n")
	if found {
		head += "\r\n"
	}
	ts := reference(tags)
	headCanon, bodyCanon, _ := strings.Cut(ts["c"]+"/", "/")
	canonical := refBody(strings.TrimSuffix(bodyCanon, "/"), body)
	if l, ok := ts["l"]; ok {
		var n int
		if _, err := fmt.Sscan(l, &n); err == nil && n >= 0 && n < len(canonical) {
			canonical = canonical[:n]
		}
	}
	bh := sha256.Sum256([]byte(canonical))
	field := "DKIM-Signature: " + tags + ";\r\n bh=" + base64.StdEncoding.EncodeToString(bh[:]) + "; b="
	var signed strings.Builder
	for _, f := range refPick(head, ts["h"]) {
		signed.WriteString(refHeader(headCanon, f))
	}
	signed.WriteString(strings.TrimSuffix(refHeader(headCanon, field+"\r\n"), "\r\n"))
	sum := sha256.Sum256([]byte(signed.String()))
	b := base64.StdEncoding.EncodeToString(signSum(ts, sum[:]))
	return field + b[:40] + "\r\n\t" + b[40:] + "\r\n" + message
}

func signSum(ts map[string]string, sum []byte) []byte {
	if strings.HasPrefix(ts["a"], "ed25519") {
		return ed25519.Sign(edKey, sum)
	}
	k := rsaKey()
	if ts["s"] == "weak" {
		k = weakOf()
	}
	b, err := rsa.SignPKCS1v15(nil, k, crypto.SHA256, sum)
	if err != nil {
		panic(err)
	}
	return b
}

var (
	anyWSP   = regexp.MustCompile(`[ \t]+`)
	wspEOL   = regexp.MustCompile(`[ \t]+(\r\n|$)`)
	anyEOL   = regexp.MustCompile(`\r?\n`)
	foldEOL  = regexp.MustCompile(`\r\n`)
	unfolded = regexp.MustCompile(`\r\n([^ \t])`)
)

func reference(list string) map[string]string {
	out := map[string]string{}
	for spec := range strings.SplitSeq(list, ";") {
		name, value, _ := strings.Cut(spec, "=")
		out[strings.TrimSpace(name)] = strings.Join(strings.Fields(value), "")
	}
	return out
}

func refBody(canon, body string) string {
	body = anyEOL.ReplaceAllString(body, "\r\n")
	if canon == relaxed {
		body = wspEOL.ReplaceAllString(anyWSP.ReplaceAllString(body, " "), "$1")
	}
	for strings.HasSuffix(body, "\r\n") {
		body = strings.TrimSuffix(body, "\r\n")
	}
	if body == "" && canon == relaxed {
		return ""
	}
	return body + "\r\n"
}

func refHeader(canon, field string) string {
	if canon != relaxed {
		return field
	}
	name, value, _ := strings.Cut(field, ":")
	value = anyWSP.ReplaceAllString(foldEOL.ReplaceAllString(value, ""), " ")
	return strings.ToLower(strings.Trim(name, " \t")) + ":" + strings.Trim(value, " ") + "\r\n"
}

func refPick(head, names string) []string {
	fields := strings.Split(unfolded.ReplaceAllString(strings.TrimSuffix(head, "\r\n"), "\r\n\x00$1"), "\r\n\x00")
	var out []string
	for name := range strings.SplitSeq(names, ":") {
		for i := len(fields) - 1; i >= 0; i-- {
			if n, _, ok := strings.Cut(fields[i], ":"); ok && strings.EqualFold(strings.TrimSpace(n), name) {
				out = append(out, fields[i]+"\r\n")
				fields[i] = ""
				break
			}
		}
	}
	return out
}

// checked verifies a message.
func checked(t testing.TB, v Verifier, message string) Result {
	t.Helper()
	fields, body := split(t, message)
	return v.Check(t.Context(), fields, body)
}

func split(t testing.TB, message string) (mail.Fields, mail.Data) {
	t.Helper()
	fields, body, err := mail.Split(mail.Data{At: strings.NewReader(message), Size: int64(len(message))}, mail.DefaultBounds())
	if err != nil {
		t.Fatal(err)
	}
	return fields, body
}

// codes lists all findings of a message, the message's own first, without what only stands beside a cause.
func codes(r Result) []result.Code {
	out := []result.Code{}
	for _, f := range r.Findings {
		out = append(out, f.Code)
	}
	for _, s := range r.Signatures {
		for _, f := range s.Findings {
			if !slices.Contains(besides, f.Code) {
				out = append(out, f.Code)
			}
		}
	}
	return out
}

// besides tell what was excluded and where the change was made.
var besides = []result.Code{"dkim-body-excluded", "dkim-body-not-searched", "dkim-header-excluded",
	"dkim-changed-at-last-hop", "dkim-changed-by-hop", "dkim-changed-by-hops", "dkim-verified-before"}

// one expects a message with one signature, and compares its word and all findings.
func one(t testing.TB, r Result, word result.Word, want ...result.Code) Signature {
	t.Helper()
	if len(r.Signatures) != 1 {
		t.Fatalf("got %d signatures, want one", len(r.Signatures))
	}
	s := r.Signatures[0]
	if s.Word != word || fmt.Sprint(codes(r)) != fmt.Sprint(want) {
		t.Errorf("got %s (%s; %v) and %v, want %s and %v", s.Word, s.Reason, s.Cause, codes(r), word, want)
	}
	if (s.Word == result.TempError || s.Word == result.PermError) != (s.Cause != nil) {
		t.Errorf("%s has the cause %v", s.Word, s.Cause)
	}
	return s
}

// refSums are the hashes of body and header by the reference.
func refSums(fields mail.Fields, body string, s Signature, own string) [2][]byte {
	var head, signed strings.Builder
	n := 0
	for _, f := range fields {
		if f.Is(fieldName) {
			if n++; n == s.Index+1 {
				continue
			}
		}
		if f.Name != "" {
			head.Write(withCRLF(f.Raw))
		}
	}
	for _, f := range refPick(head.String(), strings.Join(s.Signed, ":")) {
		signed.WriteString(refHeader(s.Header, f))
	}
	signed.WriteString(strings.TrimSuffix(refHeader(s.Header, own+"\r\n"), "\r\n"))
	b, h := sha256.Sum256([]byte(refBody(s.Body, body))), sha256.Sum256([]byte(signed.String()))
	return [2][]byte{b[:], h[:]}
}

// everywhere answers each question with one record.
type everywhere string

func (e everywhere) Resolve(_ context.Context, q dns.Question) (dns.Answer, error) {
	return dns.Answer{Question: q, Records: []dns.Record{{Name: q.Name, Type: dns.TXT, TTL: 300, Strings: []string{string(e)}}}}, nil
}
