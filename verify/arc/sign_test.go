package arc

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

// The tests seal with a signer of their own: slow, by regular expressions, and so far from the code under
// test that both are not wrong in the same way.

var (
	rsaKey = sync.OnceValue(func() *rsa.PrivateKey { return stored("../dkim/testdata/rsa2048.pem") })
	weak   = sync.OnceValue(func() *rsa.PrivateKey { return stored("../dkim/testdata/rsa1024.pem") })
	edKey  = ed25519.NewKeyFromSeed([]byte("check-auth tests, 32 octets long"))
)

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

func rsaRecord(k *rsa.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(k)
	if err != nil {
		panic(err)
	}
	return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
}

func edRecord() string {
	return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(edKey.Public().(ed25519.PublicKey))
}

// txt is a line of a zone: the text in strings of 255.
func txt(name, text string) string {
	line := name + ". TXT"
	for len(text) > 255 {
		line, text = line+` "`+text[:255]+`"`, text[255:]
	}
	return line + ` "` + text + "\"\n"
}

// texts answers from a map.
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

// ours has a key for each of the hosts h1 to h9.example.org, and one for all below many.example.org.
func ours() dns.Resolver {
	z := texts{}
	for i := range 10 {
		z[fmt.Sprintf("rsa._domainkey.h%d.example.org", i)] = rsaRecord(&rsaKey().PublicKey)
		z[fmt.Sprintf("weak._domainkey.h%d.example.org", i)] = rsaRecord(&weak().PublicKey)
		z[fmt.Sprintf("ed._domainkey.h%d.example.org", i)] = edRecord()
	}
	return z
}

// hop is one set to be sealed; what is empty has a default.
type hop struct {
	i, domain, selector, cv, canon, h string
	message, seal                     string // further tags
	claims                            string
}

func (h hop) with(n int) hop {
	set := func(s *string, to string) {
		if *s == "" {
			*s = to
		}
	}
	set(&h.i, fmt.Sprint(n))
	set(&h.domain, fmt.Sprintf("h%d.example.org", n))
	set(&h.selector, "ed")
	set(&h.canon, "relaxed/relaxed")
	set(&h.h, "From:To:Subject:DKIM-Signature")
	set(&h.claims, fmt.Sprintf("mx%d.example.org; spf=pass smtp.mailfrom=example.org", n))
	if n == 1 {
		set(&h.cv, "none")
	}
	set(&h.cv, "pass")
	return h
}

func (h hop) algorithm() string {
	if h.selector == "ed" {
		return "ed25519-sha256"
	}
	return "rsa-sha256"
}

const plain = "From: Ann <ann@example.org>\r\nTo: bob@example.net\r\nSubject: A  test\r\n\r\nHello,\r\n\r\n this  is it. \r\n\r\n"

// chainOf seals a message for each hop, the oldest first.
func chainOf(message string, hops ...hop) string {
	for n, h := range hops {
		message = sealed(message, h.with(n+1))
	}
	return message
}

// sealed puts a set on top of the message.
func sealed(message string, h hop) string {
	head, body, _ := strings.Cut(message, "\r\n\r\n")
	head += "\r\n"
	headCanon, bodyCanon, _ := strings.Cut(h.canon, "/")
	bh := sha256.Sum256([]byte(refBody(bodyCanon, body)))
	aar := "ARC-Authentication-Results: i=" + h.i + "; " + h.claims + "\r\n"
	ams := "ARC-Message-Signature: i=" + h.i + "; a=" + h.algorithm() + "; d=" + h.domain + "; s=" + h.selector +
		"; c=" + h.canon + ";\r\n h=" + h.h + "; " + h.message + "bh=" + base64.StdEncoding.EncodeToString(bh[:]) + "; b="
	var signed strings.Builder
	for _, f := range refPick(head, h.h) {
		signed.WriteString(refHeader(headCanon, f))
	}
	signed.WriteString(strings.TrimSuffix(refHeader(headCanon, ams+"\r\n"), "\r\n"))
	ams += h.sign(signed.String()) + "\r\n"
	as := "ARC-Seal: i=" + h.i + "; a=" + h.algorithm() + "; d=" + h.domain + "; s=" + h.selector + "; cv=" + h.cv + "; " + h.seal + "b="
	covered := refSets(head) + refHeader("relaxed", aar) + refHeader("relaxed", ams) + strings.TrimSuffix(refHeader("relaxed", as+"\r\n"), "\r\n")
	return as + h.sign(covered) + "\r\n" + ams + aar + message
}

func (h hop) sign(text string) string {
	sum := sha256.Sum256([]byte(text))
	var b []byte
	switch h.selector {
	case "ed":
		b = ed25519.Sign(edKey, sum[:])
	default:
		k := rsaKey()
		if h.selector == "weak" {
			k = weak()
		}
		var err error
		if b, err = rsa.SignPKCS1v15(nil, k, crypto.SHA256, sum[:]); err != nil {
			panic(err)
		}
	}
	s := base64.StdEncoding.EncodeToString(b)
	return s[:40] + "\r\n\t" + s[40:]
}

var (
	anyWSP     = regexp.MustCompile(`[ \t]+`)
	wspEOL     = regexp.MustCompile(`[ \t]+(\r\n|$)`)
	foldEOL    = regexp.MustCompile(`\r\n`)
	unfolded   = regexp.MustCompile(`\r\n([^ \t])`)
	ofInstance = regexp.MustCompile(`^(ARC-[A-Za-z-]+):.*?\bi=(\d+)`)
)

func refBody(canon, body string) string {
	if canon == "relaxed" {
		body = wspEOL.ReplaceAllString(anyWSP.ReplaceAllString(body, " "), "$1")
	}
	for strings.HasSuffix(body, "\r\n") {
		body = strings.TrimSuffix(body, "\r\n")
	}
	if body == "" && canon == "relaxed" {
		return ""
	}
	return body + "\r\n"
}

func refHeader(canon, field string) string {
	if canon != "relaxed" {
		return field
	}
	name, value, _ := strings.Cut(field, ":")
	value = anyWSP.ReplaceAllString(foldEOL.ReplaceAllString(value, ""), " ")
	return strings.ToLower(strings.Trim(name, " \t")) + ":" + strings.Trim(value, " ") + "\r\n"
}

func refFields(head string) []string {
	return strings.Split(unfolded.ReplaceAllString(strings.TrimSuffix(head, "\r\n"), "\r\n\x00$1"), "\r\n\x00")
}

func refPick(head, names string) []string {
	fields := refFields(head)
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

// refSets are the sets of a header as the next seal covers them.
func refSets(head string) string {
	type entry struct {
		key  string
		text string
	}
	var out []entry
	for _, f := range refFields(head) {
		if m := ofInstance.FindStringSubmatch(f); m != nil {
			out = append(out, entry{fmt.Sprintf("%3s %s", m[2], m[1]), refHeader("relaxed", f+"\r\n")})
		}
	}
	// By instance, then by name, which is the order wanted.
	slices.SortStableFunc(out, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	var b strings.Builder
	for _, e := range out {
		b.WriteString(e.text)
	}
	return b.String()
}

func split(t testing.TB, message string) (mail.Fields, mail.Data) {
	t.Helper()
	bounds := mail.Bounds{Bytes: 64 << 20, Fields: 400000, Folds: 500}
	fields, body, err := mail.Split(mail.Data{At: strings.NewReader(message), Size: int64(len(message))}, bounds)
	if err != nil {
		t.Fatal(err)
	}
	return fields, body
}

func checked(t testing.TB, r dns.Resolver, message string) Result {
	t.Helper()
	fields, body := split(t, message)
	got := Evaluator{DNS: r}.Check(t.Context(), fields, body)
	sound(t, got)
	return got
}

// sound holds for every result.
func sound(t testing.TB, r Result) {
	t.Helper()
	switch {
	case r.Word != result.None && r.Word != result.Pass && r.Word != result.Fail && r.Word != result.TempError:
		t.Fatalf("the word %q", r.Word)
	case r.Reason.IsZero() || (r.Word == result.TempError) != (r.Cause != nil):
		t.Fatalf("half a verdict: %s (%s; %v)", r.Word, r.Reason, r.Cause)
	case len(r.Instances) > maxSets || r.Length < len(r.Instances):
		t.Fatalf("%d instances of %d", len(r.Instances), r.Length)
	case (r.Word == result.None) != (len(r.Findings) == 0):
		t.Fatalf("%s with findings %v", r.Word, r.Findings)
	}
	for _, f := range r.Findings {
		if f.Severity == result.Error {
			t.Fatalf("an error: %+v", f)
		}
	}
	if r.Word != result.Pass {
		return
	}
	for i, in := range r.Instances {
		if in.Seal.Word != result.Pass || i == r.Length-1 && in.Message.Word != result.Pass {
			t.Fatalf("a pass, and instance %d is %+v", in.Instance, in)
		}
	}
}

func codes(r Result) string {
	var out []string
	for _, f := range r.Findings {
		out = append(out, string(f.Code))
	}
	return strings.Join(out, " ")
}

// want compares the word, the reason and the codes of all findings.
func want(t *testing.T, r Result, word result.Word, reason, findings string) {
	t.Helper()
	if r.Word != word || r.Reason.String() != reason || codes(r) != findings {
		t.Errorf("got %s (%s; %v), %s; want %s (%s), %s", r.Word, r.Reason, r.Cause, codes(r), word, reason, findings)
	}
}
