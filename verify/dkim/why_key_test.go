package dkim

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"

	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/result"
)

// strange is a key record of so many bits whose private half nobody has.
func strange(bits int) string {
	n := new(big.Int).SetBit(new(big.Int), bits-1, 1)
	return rsaRecord(&rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 65537}, "")
}

func pkcs8(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func oneLine(b *pem.Block) string {
	return strings.ReplaceAll(string(pem.EncodeToMemory(b)), "\n", "")
}

// Each mistake in a record has its name, the word stays that of a key that cannot be read, and go-msgauth
// does not read it either.
func TestKeyRecordMistakes(t *testing.T) {
	t.Parallel()
	record := rsaRecord(&rsaKey().PublicKey, "")
	p := record[strings.Index(record, "p=")+2:]
	der, err := base64.StdEncoding.DecodeString(p)
	if err != nil {
		t.Fatal(err)
	}
	padded := base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(&weakOf().PublicKey))
	bare := base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(&rsaKey().PublicKey))
	secret := x509.MarshalPKCS1PrivateKey(rsaKey())
	in := func(b []byte) string { return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(b) }
	for _, c := range []struct {
		name, record string
		code         result.Code // none: it can be read
	}{
		{"PEM lines in p=", "v=DKIM1; k=rsa; p=" + oneLine(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "dkim-key-pem"},
		{"PEM lines with spaces for line ends", "v=DKIM1; p=-----BEGIN RSA PUBLIC KEY----- " + bare + " -----END RSA PUBLIC KEY-----", "dkim-key-pem"},
		{"the PEM file alone", oneLine(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "dkim-key-pem"},
		{"a PEM line without its dashes", "v=DKIM1; p=BEGIN PUBLIC KEY" + p, "dkim-key-pem"},

		{"a private key of PKCS #1", in(secret), "dkim-key-private"},
		{"the same cut at 255", in(secret)[:255], "dkim-key-private"},
		{"a private key of PKCS #8", in(pkcs8(t, rsaKey())), "dkim-key-private"},
		{"a private key in PEM lines", "v=DKIM1; p=" + oneLine(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: secret}), "dkim-key-private"},
		{"the private PEM file alone", oneLine(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8(t, rsaKey())}), "dkim-key-private"},
		{"a private key behind backslashes", strings.ReplaceAll(in(secret), ";", `\;`), "dkim-key-private"},
		{"a private Ed25519 key of PKCS #8", strings.Replace(in(pkcs8(t, edKey)), "k=rsa", "k=ed25519", 1), "dkim-key-private"},
		{"seed and public key of Ed25519", strings.Replace(in(edKey), "k=rsa", "k=ed25519", 1), "dkim-key-private"},
		{"64 octets that are no Ed25519 key", strings.Replace(in(make([]byte, 64)), "k=rsa", "k=ed25519", 1), "dkim-key-syntax"},
		{"a bare public key is not private", "v=DKIM1; p=" + bare, ""},
		{"notes about a private key", strings.Replace(record, "p=", "n=the PRIVATE KEY is with Ann; p=", 1), ""},

		{"a no-break space", strings.Replace(record, "AAOCA", "AAO\u00a0CA", 1), "dkim-key-spaces"},
		{"the same in Latin-1", strings.Replace(record, "AAOCA", "AAO\xa0CA", 1), "dkim-key-spaces"},
		{"a zero-width space", strings.Replace(record, "p=", "p=\u200b", 1), "dkim-key-spaces"},
		{"a byte order mark in front of v= hides that tag alone", "\ufeff" + record, ""},
		{"a space in v=", strings.Replace(record, "DKIM1", "DKIM 1", 1), "dkim-key-spaces"},
		{"ordinary spaces in p= do no harm", strings.Replace(record, "AAOCA", "AA  OCA", 1), ""},

		{"no semicolon behind k=", strings.Replace(record, "rsa;", "rsa", 1), "dkim-key-semicolon"},
		{"no semicolon at all", strings.ReplaceAll(record, ";", ""), "dkim-key-semicolon"},
		{"one missing, and the key is cut off", strings.Replace(record, "rsa;", "rsa", 1)[:255], "dkim-key-no-p"},

		{"padding missing", "v=DKIM1; p=" + strings.TrimRight(padded, "="), "dkim-key-padding"},
		{"too much padding", "v=DKIM1; p=" + bare + "==", "dkim-key-padding"},
		{"padding missing of Ed25519", strings.TrimRight(edRecord(""), "="), "dkim-key-padding"},

		{"quote marks in notes, and cut off", strings.Replace(record, "p=", `n="ours"; p=`, 1)[:255], "dkim-key-truncated"},
		{"backslashes, and cut off", strings.ReplaceAll(record, ";", `\;`)[:255], "dkim-key-escaped"},
		{"typographic quote marks", "“" + record + "”", "dkim-key-escaped"},
		{"an Ed25519 key in ASN.1", "v=DKIM1; k=ed25519; p=MCowBQYDK2VwAyEA3SUqa9UbfciWkk7tlcJ9P1VD5pXAasg0JUn/OgjVbKE=", "dkim-key-syntax"},
		{"an RSA key under k=ed25519", strings.Replace(record, "k=rsa", "k=ed25519", 1), "dkim-key-syntax"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			const name = "rsa._domainkey.example.org"
			_, pub, fault := readKey(name, c.record)
			switch {
			case c.code == "" && fault != nil:
				t.Fatalf("%q: got %s (%s), want a key", c.record, fault.word, fault.reason)
			case c.code == "":
				return
			case fault == nil:
				t.Fatalf("%q: no fault, want %s", c.record, c.code)
			}
			f := fault.findings[0]
			if fault.word != result.PermError || f.Code != c.code || f.Args.Get("name") != name || f.Severity != result.Error {
				t.Errorf("%q: got %s (%s) and %+v, want permerror and %s", c.record, fault.word, fault.reason, f, c.code)
			}
			if pub.rsa != nil || pub.ed25519 != nil {
				t.Errorf("%q: there is a key beside the fault", c.record)
			}
			if err := alone(t, texts{name: c.record}, sign(plainTags, plainMessage)); err == nil {
				t.Errorf("%q: go-msgauth reads it", c.record)
			}
		})
	}
}

// A private key beside the public one is named as loudly.
func TestPrivateKeyAmongSeveralRecords(t *testing.T) {
	t.Parallel()
	const name = "rsa._domainkey.example.org"
	secret := "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(pkcs8(t, weakOf()))
	v := Verifier{DNS: dnstest.Zone(t, txt(name, strange(2048))+txt(name, secret))}
	onKeys(t, checked(t, v, sign(plainTags, plainMessage)), result.PermError, "dkim-key-private", "dkim-key-multiple-records")
}

// search verifies with a zone that is asked for the search as well.
func search(t testing.TB, zone, message string) Result {
	t.Helper()
	r := dnstest.Zone(t, zone)
	return checked(t, Verifier{DNS: r, Diagnose: r}, message)
}

// onKeys is one for what is said of keys alone.
func onKeys(t testing.TB, r Result, word result.Word, want ...result.Code) Signature {
	t.Helper()
	got := slices.DeleteFunc(codes(r), func(c result.Code) bool { return !aboutKeys(c) })
	if len(r.Signatures) != 1 || r.Signatures[0].Word != word || !slices.Equal(got, want) {
		t.Fatalf("got %s and %v, want %s and %v", words(r), codes(r), word, want)
	}
	return r.Signatures[0]
}

func aboutKeys(c result.Code) bool {
	return strings.HasPrefix(string(c), "dkim-key-") || c == "dkim-wrong-selector"
}

// arg expects one finding of that code, with these arguments and the answer that shows it.
func arg(t testing.TB, s Signature, code result.Code, want ...any) {
	t.Helper()
	i := slices.IndexFunc(s.Findings, func(f result.Finding) bool { return f.Code == code })
	if i < 0 {
		t.Fatalf("no %s in %v", code, s.Findings)
	}
	f := s.Findings[i]
	if w := result.Found(f.Severity, code, want...); !f.Args.Equal(w.Args) {
		t.Errorf("%s: got %v, want %v", code, f.Args, w.Args)
	}
	if other := f.Args.Get("other") + f.Args.Get("name"); strings.Contains(string(code), "wrong-") &&
		(len(f.Evidence) != 1 || !strings.Contains(other, f.Evidence[0].Name)) {
		t.Errorf("%s: evidence %+v", code, f.Evidence)
	}
}

func TestKeyAtWrongName(t *testing.T) {
	t.Parallel()
	record := rsaRecord(&rsaKey().PublicKey, "")
	message := sign(tagsWith("s=sel", "d=mail.example.org"), plainMessage)
	changed := strings.Replace(message, "Hello", "Hullo", 1)
	ed := sign(tagsWith("s=sel", "d=mail.example.org", "a=ed25519-sha256"), plainMessage)
	edChanged := strings.Replace(ed, "A  test", "Another", 1)
	const right = "sel._domainkey.mail.example.org"
	for _, c := range []struct {
		name, zone, message, at string // at: empty where nothing is found
	}{
		{"without the underscore", txt("sel.domainkey.mail.example.org", record), message, "sel.domainkey.mail.example.org"},
		{"the domain twice", txt(right+".mail.example.org", record), message, right + ".mail.example.org"},
		{"without _domainkey", txt("sel.mail.example.org", record), message, "sel.mail.example.org"},
		{"beside other texts", txt("sel.mail.example.org", "v=spf1 -all") + txt("sel.mail.example.org", record), message, "sel.mail.example.org"},
		{"without the selector", txt("_domainkey.mail.example.org", record), message, "_domainkey.mail.example.org"},
		{"an underscore more", txt("_sel._domainkey.mail.example.org", record), message, "_sel._domainkey.mail.example.org"},
		{"a dot missing", txt("sel_domainkey.mail.example.org", record), message, "sel_domainkey.mail.example.org"},
		{"plural", txt("sel._domainkeys.mail.example.org", record), message, "sel._domainkeys.mail.example.org"},
		{"order", txt("_domainkey.sel.mail.example.org", record), message, "_domainkey.sel.mail.example.org"},
		{"in the domain above", txt("sel._domainkey.example.org", record), message, "sel._domainkey.example.org"},
		{"by a CNAME", "sel.domainkey.mail.example.org. CNAME k.example.net.\n" + txt("k.example.net", record), message, "sel.domainkey.mail.example.org"},
		{"the message was changed", txt("sel.domainkey.mail.example.org", record), changed, "sel.domainkey.mail.example.org"},
		{"Ed25519", txt("sel.domainkey.mail.example.org", edRecord("")), ed, "sel.domainkey.mail.example.org"},
		{"Ed25519 of which nothing more can be known", txt("sel.domainkey.mail.example.org", edRecord("")), edChanged, "sel.domainkey.mail.example.org"},
		{"a key that is cut off", txt("sel.domainkey.mail.example.org", record[:255]), message, "sel.domainkey.mail.example.org"},
		{"the key that made it goes before one that may have", txt("sel.domainkey.mail.example.org", record[:255]) + txt("_domainkey.mail.example.org", record), message, "_domainkey.mail.example.org"},

		{"another's key of the same size", txt("sel.domainkey.mail.example.org", strange(2048)), message, ""},
		{"another's key of another size", txt("sel.domainkey.mail.example.org", strange(1024)), message, ""},
		{"a key of another type", txt("sel.domainkey.mail.example.org", edRecord("")), message, ""},
		{"a key that is revoked", txt("sel.domainkey.mail.example.org", "v=DKIM1; p="), message, ""},
		{"a text that is no key", txt("_domainkey.mail.example.org", "o=-; p=none"), message, ""},
		{"a DMARC record", txt("sel.mail.example.org", "v=DMARC1; p=reject"), message, ""},
		{"in the domain above, and not proven", txt("sel._domainkey.example.org", edRecord("")), edChanged, ""},
		{"servers that fail", ";FAULT SERVFAIL *.mail.example.org. ANY\n;FAULT NXDOMAIN " + right + ". TXT", message, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if strings.HasPrefix(c.zone, ";") {
				// The evaluation itself got an answer.
				r := checked(t, Verifier{DNS: texts{}, Diagnose: dnstest.Zone(t, c.zone)}, c.message)
				onKeys(t, r, result.PermError, "dkim-key-missing")
				return
			}
			want := result.Code("dkim-key-missing")
			if c.at != "" {
				want = "dkim-key-wrong-name"
			}
			s := onKeys(t, search(t, c.zone, c.message), result.PermError, want)
			if c.at != "" {
				arg(t, s, want, "name", c.at, "right", right)
			}
		})
	}
}

func TestPrivateKeyAtWrongName(t *testing.T) {
	t.Parallel()
	secret := "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PrivateKey(weakOf()))
	r := search(t, txt("sel.domainkey.example.org", secret), sign(tagsWith("s=sel"), plainMessage))
	onKeys(t, r, result.PermError, "dkim-key-wrong-name", "dkim-key-private")
}

func TestKeyAtOtherSelector(t *testing.T) {
	t.Parallel()
	record := rsaRecord(&rsaKey().PublicKey, "")
	message := sign(tagsWith("s=s7"), plainMessage)
	ed := sign(tagsWith("s=s7", "a=ed25519-sha256"), plainMessage)
	const own, other = "s7._domainkey.example.org", "default._domainkey.example.org"
	for _, c := range []struct {
		name, zone, message string
		word                result.Word
		codes               []result.Code
		at                  string
	}{
		{"nothing at its own", txt(other, record), message, result.PermError, []result.Code{"dkim-wrong-selector"}, other},
		{"the selector before", txt("s6._domainkey.example.org", record), message, result.PermError, []result.Code{"dkim-wrong-selector"}, "s6._domainkey.example.org"},
		{"the selector after", txt("s8._domainkey.example.org", record), message, result.PermError, []result.Code{"dkim-wrong-selector"}, "s8._domainkey.example.org"},
		{"an old key still signs", txt(own, strange(2048)) + txt(other, record), message, result.Fail, []result.Code{"dkim-wrong-selector"}, other},
		{"of another size", txt(own, strange(1024)) + txt(other, record), message, result.Fail, []result.Code{"dkim-wrong-selector", "dkim-key-weak"}, other},
		{"a key of another type at its own", txt(own, edRecord("")) + txt(other, record), message, result.PermError, []result.Code{"dkim-wrong-selector"}, other},
		{"Ed25519", txt(other, edRecord("")), ed, result.PermError, []result.Code{"dkim-wrong-selector"}, other},
		{"Ed25519 under another's key", txt(own, otherEd) + txt(other, edRecord("")), ed, result.Fail, []result.Code{"dkim-wrong-selector"}, other},
		{"the header was changed", txt(other, record), strings.Replace(message, "A  test", "Another", 1), result.PermError, []result.Code{"dkim-wrong-selector"}, other},
		{"proof goes before a likely name", txt(other, record) + txt("s7.domainkey.example.org", record[:255]), message, result.PermError, []result.Code{"dkim-wrong-selector"}, other},
		{"and not before a proven one", txt(other, record) + txt("s7.domainkey.example.org", record), message, result.PermError, []result.Code{"dkim-key-wrong-name"}, ""},

		{"another's key", txt(other, strange(2048)), message, result.PermError, []result.Code{"dkim-key-missing"}, ""},
		{"no key anywhere", "", message, result.PermError, []result.Code{"dkim-key-missing"}, ""},
		{"Ed25519 and a changed header prove nothing", txt(other, edRecord("")), strings.Replace(ed, "A  test", "Another", 1),
			result.PermError, []result.Code{"dkim-key-missing"}, ""},
		{"a type that nobody can have signed with", txt(own, edRecord("")) + txt(other, strange(2048)), message, result.PermError, []result.Code{"dkim-key-wrong-type"}, ""},
		{"a CNAME that leads nowhere is that", own + ". CNAME gone.example.net.\n" + txt(other, record), message, result.PermError, []result.Code{"dkim-key-cname-dangling"}, ""},
		{"the key is right and the body is not", txt(own, record), strings.Replace(message, "Hello", "Hullo", 1), result.Fail, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := onKeys(t, search(t, c.zone, c.message), c.word, c.codes...)
			if c.at != "" {
				arg(t, s, "dkim-wrong-selector", "domain", "example.org", "selector", "s7", "name", own, "other", c.at)
			}
		})
	}
}

const otherEd = "v=DKIM1; k=ed25519; p=3SUqa9UbfciWkk7tlcJ9P1VD5pXAasg0JUn/OgjVbKE="

// A selector that another signature of the message names costs no question.
func TestKeyAtSelectorOfOtherSignature(t *testing.T) {
	t.Parallel()
	zone := dnstest.Zone(t, txt("odd2024._domainkey.example.org", rsaRecord(&rsaKey().PublicKey, "")))
	message := sign(tagsWith("s=odd2024"), sign(tagsWith("s=none"), plainMessage))
	r := checked(t, Verifier{DNS: zone}, message)
	if words(r) != "pass permerror" {
		t.Fatalf("got %s", words(r))
	}
	arg(t, r.Signatures[1], "dkim-wrong-selector", "domain", "example.org", "selector", "none",
		"name", "none._domainkey.example.org", "other", "odd2024._domainkey.example.org")
}

// What no key of the domain made is said so, and the text of b= needs no hash of the header for it.
func TestKeyMismatch(t *testing.T) {
	t.Parallel()
	const own = "rsa._domainkey.example.org"
	message := sign(plainTags, plainMessage)
	for _, c := range []struct {
		name, record, message string
		want                  bool
	}{
		{"another key", strange(2048), message, true},
		{"a longer one", strange(4096), message, true},
		{"a changed header as well", strange(2048), strings.Replace(message, "A  test", "Another", 1), true},
		{"a changed body as well", strange(2048), strings.Replace(message, "Hello", "Hullo", 1), true},
		{"the right key and a changed header", rsaRecord(&rsaKey().PublicKey, ""), strings.Replace(message, "A  test", "Another", 1), false},
		{"Ed25519, of which nothing can be known", otherEd, sign(tagsWith("a=ed25519-sha256"), plainMessage), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, diagnose := range []dns.Resolver{nil, texts{}} {
				r := checked(t, Verifier{DNS: texts{own: c.record}, Diagnose: diagnose}, c.message)
				if r.Signatures[0].Word != result.Fail || slices.Contains(codes(r), "dkim-key-mismatch") != c.want {
					t.Fatalf("got %s and %v, want a mismatch: %t", words(r), codes(r), c.want)
				}
				if c.want {
					arg(t, r.Signatures[0], "dkim-key-mismatch", "domain", "example.org", "selector", "rsa", "name", own)
				}
			}
		})
	}
}

func TestKeyInUseAmongSeveral(t *testing.T) {
	t.Parallel()
	const own = "rsa._domainkey.example.org"
	record := rsaRecord(&rsaKey().PublicKey, "")
	message := sign(plainTags, plainMessage)
	s := onKeys(t, search(t, txt(own, strange(2048))+txt(own, record), message), result.PermError, "dkim-key-multiple-records", "dkim-key-in-use")
	p := strings.TrimRight(record, "=")
	arg(t, s, "dkim-key-in-use", "name", own, "ends", p[len(p)-16:])
	onKeys(t, search(t, txt(own, strange(2048))+txt(own, strange(4096)), message), result.PermError, "dkim-key-multiple-records")
	onKeys(t, search(t, txt(own, rsaRecord(&rsaKey().PublicKey, "t=s; "))+txt(own, record), message), result.PermError, "dkim-key-multiple-records")
}

// counting notes what is asked.
type counting struct {
	dns.Resolver
	asked []string
}

func (c *counting) Resolve(ctx context.Context, q dns.Question) (dns.Answer, error) {
	c.asked = append(c.asked, q.Name)
	return c.Resolver.Resolve(ctx, q)
}

// The search asks 24 questions a message at most, each once, and tells of each before.
func TestQuestionsOfTheSearchAreBounded(t *testing.T) {
	t.Parallel()
	message := plainMessage
	for i := range 10 {
		message = sign(tagsWith(fmt.Sprintf("d=d%d.example.org", i/2), fmt.Sprintf("s=s%d", i)), message)
	}
	diagnose := &counting{Resolver: texts{}}
	told := map[string]bool{}
	v := Verifier{DNS: texts{}, Diagnose: diagnose, Expect: func(q dns.Question) {
		if told[q.Name] {
			t.Errorf("told of %s twice", q)
		}
		told[q.Name] = true
	}}
	checked(t, v, message)
	if len(diagnose.asked) != furtherBound || len(told) != furtherBound {
		t.Errorf("asked %d questions and told of %d, want %d", len(diagnose.asked), len(told), furtherBound)
	}
	for i, name := range diagnose.asked {
		if !told[name] || slices.Contains(diagnose.asked[:i], name) {
			t.Errorf("%s was not told of, or asked twice", name)
		}
	}
}

// One signature's own search stays within what a mail may cost.
func TestQuestionsOfOneSignature(t *testing.T) {
	t.Parallel()
	diagnose := &counting{Resolver: texts{}}
	onKeys(t, checked(t, Verifier{DNS: texts{}, Diagnose: diagnose}, sign(tagsWith("s=mail"), plainMessage)), result.PermError, "dkim-key-missing")
	if len(diagnose.asked) < 20 || len(diagnose.asked) > furtherBound {
		t.Errorf("asked %q", diagnose.asked)
	}
}

// many answers every question with the same large keys.
type many struct{ record string }

func (m many) Resolve(_ context.Context, q dns.Question) (dns.Answer, error) {
	a := dns.Answer{Question: q}
	for range 40 {
		a.Records = append(a.Records, dns.Record{Name: q.Name, Type: dns.TXT, Strings: []string{m.record}})
	}
	return a, nil
}

func TestKeysOfTheSearchAreBounded(t *testing.T) {
	t.Parallel()
	message := plainMessage
	for i := range 10 {
		message = sign(tagsWith(fmt.Sprintf("s=none%d", i)), message)
	}
	fields, body := split(t, message)
	c := Verifier{DNS: texts{}, Diagnose: many{strange(2048)}}.begin(fields, body, nil)
	for i, f := range fields.All(fieldName) {
		s := readField(f)
		s.Index = i
		s.lookUp(t.Context(), &c.keys)
		s.conclude(*s.keyFault)
		c.whyKey(t.Context(), s)
		if s.Word != result.PermError || len(s.Findings) != 1 || s.Findings[0].Code != "dkim-key-missing" {
			t.Errorf("got %s and %v", s.Word, s.Findings)
		}
	}
	if c.keys.tried != triedBound {
		t.Errorf("%d keys were computed with, want %d", c.keys.tried, triedBound)
	}
}

// The search changes no verdict.
func TestSearchChangesNoVerdict(t *testing.T) {
	t.Parallel()
	record := rsaRecord(&rsaKey().PublicKey, "")
	for _, tags := range []string{plainTags, tagsWith("s=none"), tagsWith("a=ed25519-sha256"), tagsWith("a=rsa-sha1", "s=none"),
		tagsWith("s=weak"), tagsWith("d=sub.example.org"), tagsWith("x=1"), tagsWith("l=3")} {
		message := strings.Replace(sign(tags, plainMessage), "bob@", "rob@", 1)
		keys := texts{"rsa._domainkey.example.org": record, "weak._domainkey.example.org": strange(2048)}
		with := checked(t, Verifier{DNS: keys, Diagnose: everywhere(record)}, message).Signatures[0]
		without := checked(t, Verifier{DNS: keys}, message).Signatures[0]
		if with.Word != without.Word || with.Reason.String() != without.Reason.String() {
			t.Errorf("%s: got %s (%s) with the search, and %s (%s)", tags, with.Word, with.Reason, without.Word, without.Reason)
		}
	}
}

// The incident of the wrong selector.
func TestIncidentWrongSelector(t *testing.T) {
	t.Parallel()
	const dir = "../testdata/cases/10-dkim-wrong-selector/"
	zone, err := os.ReadFile(dir + "zone.txt")
	if err != nil {
		t.Fatal(err)
	}
	message, err := os.ReadFile(dir + "message.eml")
	if err != nil {
		t.Fatal(err)
	}
	s := onKeys(t, search(t, string(zone), string(message)), result.PermError, "dkim-wrong-selector")
	arg(t, s, "dkim-wrong-selector", "domain", "cedar-legal.example", "selector", "mail",
		"name", "mail._domainkey.cedar-legal.example", "other", "default._domainkey.cedar-legal.example")
}

// A key is claimed only where the signature proves it, whatever is published anywhere.
func FuzzWhyKey(f *testing.F) {
	record := rsaRecord(&rsaKey().PublicKey, "")
	f.Add(plainTags, record, strange(2048))
	f.Add(tagsWith("s=s1"), "", record)
	f.Add(tagsWith("s=a.b", "d=x.example.org"), "v=DKIM1; p=MII", edRecord(""))
	f.Add(tagsWith("a=ed25519-sha256", "s=\u00fc"), otherEd, edRecord("t=s; "))
	f.Add(tagsWith("a=rsa-sha1", "s=9"), "v=DKIM1; p=-----BEGIN PRIVATE KEY-----", record)
	f.Fuzz(func(t *testing.T, tags, own, elsewhere string) {
		if strings.ContainsAny(tags, "\r\n") {
			t.Skip()
		}
		message := sign(tags, plainMessage)
		keys := texts{}
		fields, body := split(t, message)
		for _, s := range fields.All(fieldName) {
			if name, ok := KeyName(s); ok && own != "" {
				keys[dns.Canonical(name)] = own
			}
		}
		with := Verifier{DNS: keys, Diagnose: everywhere(elsewhere)}.Check(t.Context(), fields, body)
		without := Verifier{DNS: keys}.Check(t.Context(), fields, body)
		for i, s := range with.Signatures {
			if s.Word != without.Signatures[i].Word || s.Reason.String() != without.Signatures[i].Reason.String() {
				t.Fatalf("%s becomes %s by the search", without.Signatures[i].Word, s.Word)
			}
			if claims := slices.ContainsFunc(s.Findings, func(x result.Finding) bool { return x.Code == "dkim-wrong-selector" }); claims && !ours(elsewhere) {
				t.Fatalf("%q is said to be the key", elsewhere)
			}
		}
		if _, err := json.Marshal(with); err != nil {
			t.Fatal(err)
		}
	})
}

// ours tells whether a record has one of the keys that the tests sign with.
func ours(record string) bool {
	_, pub, _ := readKey("x", record)
	return pub.rsa != nil && (pub.rsa.Equal(&rsaKey().PublicKey) || pub.rsa.Equal(&weakOf().PublicKey)) ||
		pub.ed25519 != nil && pub.ed25519.Equal(edKey.Public())
}
