package dkim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// world serves the keys of the tests.
func world(t *testing.T) dns.Resolver {
	t.Helper()
	return dnstest.Zone(t, txt("rsa._domainkey.example.org", rsaRecord(&rsaKey().PublicKey, ""))+
		txt("weak._domainkey.example.org", rsaRecord(&weakOf().PublicKey, ""))+
		txt("ed._domainkey.example.org", edRecord("")))
}

// tagsWith replaces tags of plainTags, or adds them.
func tagsWith(changes ...string) string {
	specs := strings.Split(plainTags, "; ")
	for _, c := range changes {
		name, _, _ := strings.Cut(c, "=")
		i := slices.IndexFunc(specs, func(s string) bool { return strings.HasPrefix(s, name+"=") })
		switch {
		case i < 0:
			specs = append(specs, c)
		case c == name+"=-":
			specs = slices.Delete(specs, i, i+1)
		default:
			specs[i] = c
		}
	}
	return strings.Join(specs, "; ")
}

func TestRFC6376_3_4_all_canonicalisations(t *testing.T) {
	t.Parallel()
	v := Verifier{DNS: world(t)}
	for _, c := range []struct{ tag, header, body string }{
		{"c=simple/simple", simple, simple}, {"c=simple/relaxed", simple, relaxed},
		{"c=relaxed/simple", relaxed, simple}, {"c=relaxed/relaxed", relaxed, relaxed},
		{"c=relaxed", relaxed, simple}, {"c=simple", simple, simple}, {"c=-", simple, simple},
	} {
		for _, key := range []string{"a=rsa-sha256", "a=ed25519-sha256"} {
			tags := tagsWith(c.tag, key)
			if key != "a=rsa-sha256" {
				tags = tagsWith(c.tag, key, "s=ed")
			}
			s := checked(t, v, sign(tags, plainMessage)).Signatures[0]
			if s.Word != result.Pass || !s.BodyVerifies || s.HashComputed != s.HashClaimed || s.Header != c.header || s.Body != c.body {
				t.Errorf("%s: got %s (%s), %s/%s, computed %s, claimed %s", tags, s.Word, s.Reason, s.Header, s.Body, s.HashComputed, s.HashClaimed)
			}
		}
	}
}

func TestRFC6376_3_2_tag_list(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{"a=1; b=2", "a=1,b=2"},
		{"a=1;b=2;", "a=1,b=2"},
		{" a\r\n =\t1 ; b = 2 3 ;\r\n ", "a=1,b=2 3"},
		{"a=b=c==", "a=b=c=="},
		{"a=", "a="},
		{"", ""},
		{"a=1;;b=2", "a=1,b=2"},
		{"A=1; a=2", "A=1,a=2"},
		{"a=1; a=2", `a= stands there twice`},
		{"a=1; b", `"b" at octet 4 has no equals sign`},
		{"=1", "a tag without a name at octet 0"},
	} {
		ts, err := parseTags(c.text)
		var parts []string
		for _, tag := range ts {
			parts = append(parts, tag.name+"="+tag.value)
			if strings.TrimSpace(c.text[tag.from:tag.to]) != tag.value {
				t.Errorf("%q: %s= is said to stand at %d to %d", c.text, tag.name, tag.from, tag.to)
			}
		}
		got := strings.Join(parts, ",")
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%q: got %s, want %s", c.text, got, c.want)
		}
	}
}

func TestRFC6376_2_11_quoted_printable(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"a=40b": "a@b", "a=4": "a=4", "=3D=3b": "=;", "a=XYb": "a=XYb", "=": "="} {
		if got := quotedPrintable(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// RFC 6376, 3.5 and 6.1.1: each tag of the field.
func TestRFC6376_3_5_tags(t *testing.T) {
	t.Parallel()
	v := Verifier{DNS: world(t), Now: func() time.Time { return time.Unix(1800000000, 0) }}
	for _, c := range []struct {
		name, tags string
		word       result.Word
		codes      []result.Code
	}{
		{"in order", plainTags, result.Pass, nil},
		{"no v=", tagsWith("v=-"), result.PermError, []result.Code{"dkim-signature-tag"}},
		{"v= of a draft", tagsWith("v=0.5"), result.PermError, []result.Code{"dkim-signature-tag"}},
		{"v= need not be first", strings.TrimPrefix(plainTags, "v=1; ") + "; v=1", result.Pass, nil},
		{"no a=", tagsWith("a=-"), result.PermError, []result.Code{"dkim-signature-tag-missing"}},
		{"no d=", tagsWith("d=-"), result.PermError, []result.Code{"dkim-signature-tag-missing"}},
		{"no s=", tagsWith("s=-"), result.PermError, []result.Code{"dkim-signature-tag-missing"}},
		{"no h=", tagsWith("h=-"), result.PermError, []result.Code{"dkim-signature-tag-missing"}},
		{"unknown a=", tagsWith("a=rsa-md5"), result.PermError, []result.Code{"dkim-signature-tag"}},
		{"unknown c=", tagsWith("c=relaxed/future"), result.PermError, []result.Code{"dkim-signature-tag"}},
		{"no c=", tagsWith("c=-"), result.Pass, nil},
		{"c= of the header alone", tagsWith("c=relaxed"), result.Pass, nil},
		{"empty c=", tagsWith("c="), result.PermError, []result.Code{"dkim-signature-tag"}},
		{"c= without the header's", tagsWith("c=/relaxed"), result.PermError, []result.Code{"dkim-signature-tag"}},
		{"c= without the body's", tagsWith("c=relaxed/"), result.PermError, []result.Code{"dkim-signature-tag"}},
		{"unknown q=", tagsWith("q=http"), result.PermError, []result.Code{"dkim-signature-tag"}},
		{"q= with one that is known", tagsWith("q=http:dns/txt"), result.Pass, nil},
		{"empty d=", tagsWith("d="), result.PermError, []result.Code{"dkim-signature-tag"}},
		{"d= that is no domain", tagsWith("d=example.org(.example.net"), result.PermError, []result.Code{"dkim-signature-tag"}},
		{"d= with a quote", tagsWith("d=a'b.example.org"), result.PermError, []result.Code{"dkim-signature-tag"}},
		{"d= with a space that is none to the eye", tagsWith("d=example.org\u00a0"), result.PermError, []result.Code{"dkim-signature-tag"}},
		{"d= that ends in a dot", tagsWith("d=example.org."), result.PermError, []result.Code{"dkim-signature-tag"}},
		{"d= with an empty label", tagsWith("d=a..example.org"), result.PermError, []result.Code{"dkim-signature-tag"}},
		{"s= that is no name", tagsWith("s=a/b"), result.PermError, []result.Code{"dkim-signature-tag"}},
		{"s= of 64 octets", tagsWith("s=" + strings.Repeat("a", 64)), result.PermError, []result.Code{"dkim-signature-tag"}},
		{"unknown tags are ignored", tagsWith("zz=top"), result.Pass, nil},
		{"a tag without equals sign", plainTags + "; oops", result.PermError, []result.Code{"dkim-signature-syntax"}},
		{"a tag twice", plainTags + "; d=example.net", result.PermError, []result.Code{"dkim-signature-syntax"}},
		{"folded", strings.ReplaceAll(plainTags, "; ", ";\r\n\t"), result.Pass, nil},
		{"From is not signed", tagsWith("h=To:Subject"), result.PermError, []result.Code{"dkim-from-not-signed"}},
		{"white space in h=", tagsWith("h=From : To :\r\n Subject"), result.Pass, nil},
		{"white space in a name of h=", tagsWith("h=From:To:Sub ject"), result.PermError, []result.Code{"dkim-signature-tag"}},
		{"a space of Unicode in a name of h=", tagsWith("h=From:To:Sub\u00a0ject"), result.PermError, []result.Code{"dkim-signature-tag"}},
		{"white space around a value", tagsWith("d= \texample.org\r\n "), result.Pass, nil},
		{"white space in d=", tagsWith("d=exam\r\n ple.org"), result.PermError, []result.Code{"dkim-signature-tag"}},
		{"white space in s=", tagsWith("s=r sa"), result.PermError, []result.Code{"dkim-signature-tag"}},
		{"white space in a=", tagsWith("a=rsa- sha256"), result.PermError, []result.Code{"dkim-signature-tag"}},
		{"white space in c=", tagsWith("c=relaxed /relaxed"), result.PermError, []result.Code{"dkim-signature-tag"}},
		{"white space in t=", tagsWith("t=17 00000000"), result.PermError, []result.Code{"dkim-signature-tag"}},
		{"white space in x=", tagsWith("x=41\r\n 02444800"), result.PermError, []result.Code{"dkim-signature-tag"}},
		{"white space in q=", tagsWith("q=dns /txt"), result.PermError, []result.Code{"dkim-signature-tag"}},
		{"white space in i=", tagsWith("i=ann@exam\r\n ple.org"), result.Pass, nil},
		{"an empty name in h=", tagsWith("h=From:To:"), result.Pass, nil},
		{"i= is d=", tagsWith("i=@example.org"), result.Pass, nil},
		{"i= is below d=", tagsWith("i=ann@mail.example.org"), result.Pass, nil},
		{"i= is above d=", tagsWith("i=@org"), result.PermError, []result.Code{"dkim-identity-mismatch"}},
		{"i= ends like d=", tagsWith("i=@notexample.org"), result.PermError, []result.Code{"dkim-identity-mismatch"}},
		{"i= is empty", tagsWith("i="), result.PermError, []result.Code{"dkim-signature-tag"}},
		{"i= without @", tagsWith("i=example.org"), result.PermError, []result.Code{"dkim-identity-mismatch"}},
		{"i= in another case", tagsWith("i=Ann@Mail.EXAMPLE.org"), result.Pass, nil},
		{"d= in another case", tagsWith("d=Example.ORG", "i=@example.org"), result.Pass, nil},
		{"i= is quoted-printable", tagsWith("i=ann=40example.org"), result.Pass, nil},
		{"l= is no number", tagsWith("l=ten"), result.PermError, []result.Code{"dkim-signature-tag"}},
		{"l= is negative", tagsWith("l=-1"), result.PermError, []result.Code{"dkim-signature-tag"}},
		{"t= is no number", tagsWith("t=1e9"), result.PermError, []result.Code{"dkim-signature-tag"}},
		{"x= is negative", tagsWith("x=-1"), result.PermError, []result.Code{"dkim-signature-tag"}},
		{"x= in the past", tagsWith("t=1700000000", "x=1799999999"), result.PermError, []result.Code{"dkim-expired"}},
		{"x= is now", tagsWith("x=1800000000"), result.Pass, nil},
		{"x= before t=", tagsWith("t=1799999999", "x=1799999998"), result.PermError, []result.Code{"dkim-x-before-t"}},
		{"x= is t=", tagsWith("t=1799999999", "x=1799999999"), result.PermError, []result.Code{"dkim-x-before-t"}},
		{"x= beyond all time", tagsWith("x=" + strings.Repeat("9", 12)), result.Pass, nil},
		{"x= beyond 64 bits", tagsWith("x=" + strings.Repeat("9", 20)), result.Pass, nil},
		{"t= beyond 64 bits", tagsWith("t=" + strings.Repeat("9", 20)), result.Pass, []result.Code{"dkim-signed-in-future"}},
		{"t= a little ahead", tagsWith("t=1800000200"), result.Pass, nil},
		{"t= far ahead", tagsWith("t=1800004000"), result.Pass, []result.Code{"dkim-signed-in-future"}},
		{"z= with b= in it", tagsWith("z=From:Bob=20b=20c|To:b=40x"), result.Pass, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			one(t, checked(t, v, sign(c.tags, plainMessage)), c.word, c.codes...)
		})
	}
}

// RFC 6376, 3.5: bh= and b= must be base64.
func TestRFC6376_3_5_hashes(t *testing.T) {
	t.Parallel()
	v := Verifier{DNS: world(t)}
	for _, c := range []struct {
		name, from, to string
		codes          []result.Code
	}{
		{"no bh=", " bh=", " nobh=", []result.Code{"dkim-signature-tag-missing"}},
		{"bh= is empty", " bh=", " bh=; old=", []result.Code{"dkim-signature-tag"}},
		{"bh= is no base64", " bh=", " bh=*", []result.Code{"dkim-signature-tag"}},
		{"no b=", "; b=", "; nob=", []result.Code{"dkim-signature-tag-missing"}},
		{"b= is empty", "; b=", "; b=; old=", []result.Code{"dkim-signature-tag"}},
		{"b= is no base64", "; b=", "; b=*", []result.Code{"dkim-signature-tag"}},
		{"bh= has more behind its end", "=; b=", "=*; b=", []result.Code{"dkim-signature-tag"}},
		{"b= has more behind its end", "\r\nFrom:", "*\r\nFrom:", []result.Code{"dkim-signature-tag"}},
	} {
		// With z=, where go-msgauth is not asked and would not notice for us.
		m := strings.Replace(sign(tagsWith("z=From:Bob=20b=20c"), plainMessage), c.from, c.to, 1)
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			one(t, checked(t, v, m), result.PermError, c.codes...)
		})
	}
}

// RFC 6376, 3.5: what the field says is in the facts.
func TestRFC6376_3_5_facts(t *testing.T) {
	t.Parallel()
	v := Verifier{DNS: world(t)}
	s := checked(t, v, sign(tagsWith("t=1700000000", "x=4102444800", "i=ann=40example.org", "h=from : From:To:subject"), plainMessage)).Signatures[0]
	got := fmt.Sprint(s.Domain, s.Selector, s.Algorithm, s.Identity, s.Signed, s.Length, s.Time.Unix(), s.Expires.Unix(), s.KeyName, s.KeyTTL, s.Strong, s.Key.Type, s.Key.Bits, s.Evaluated)
	want := fmt.Sprint("example.org", "rsa", "rsa-sha256", "ann@example.org", []string{"from", "From", "To", "subject"}, (*int64)(nil),
		1700000000, 4102444800, "rsa._domainkey.example.org", 300, true, "rsa", 2048, true)
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if string(s.CanonBody) != "Hello,\r\n\r\n this is it.\r\n" || s.CanonLength != int64(len(s.CanonBody)) {
		t.Errorf("canonical body of %d octets: %q", s.CanonLength, s.CanonBody)
	}
	head := "from:Ann <ann@example.org>\r\nto:bob@example.net\r\nsubject:A test\r\ndkim-signature:v=1; "
	if !strings.HasPrefix(string(s.CanonHeader), head) || !strings.HasSuffix(string(s.CanonHeader), "; b=") {
		t.Errorf("canonical header: %q", s.CanonHeader)
	}
	if s.KeyRecord != rsaRecord(&rsaKey().PublicKey, "") {
		t.Errorf("key record: %q", s.KeyRecord)
	}
}

func TestRFC6376_3_6_2_1_key_name(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ field, want string }{
		{"DKIM-Signature: d=example.org; s=a.b\r\n", "a.b._domainkey.example.org"},
		{"dkim-signature : d = exam\r\n ple.org; s=a\r\n", "a._domainkey.example.org"},
		{"DKIM-Signature: d=b\u00fccher.example; s=a\r\n", "a._domainkey.xn--bcher-kva.example"}, // RFC 8616, 4
		{"DKIM-Signature: d=example.org\u00a0; s=a\r\n", ""},
		{"DKIM-Signature: d=example.org\r\n", ""},
		{"DKIM-Signature: d=a..b; s=a\r\n", ""},
		{"X-Signature: d=example.org; s=a\r\n", ""},
		{"DKIM-Signature: \r\n", ""},
	} {
		fields, err := mail.Parse([]byte(c.field), mail.DefaultBounds())
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := KeyName(fields[0]); got != c.want || ok != (c.want != "") {
			t.Errorf("%q: got %q (%t), want %q", c.field, got, ok, c.want)
		}
	}
}

// RFC 6376, 3.6.1 and 6.1.2: each kind of key record.
func TestRFC6376_3_6_1_key_records(t *testing.T) {
	t.Parallel()
	record := rsaRecord(&rsaKey().PublicKey, "")
	with := func(tags string) string { return rsaRecord(&rsaKey().PublicKey, tags) }
	p := record[strings.Index(record, "p="):]
	for i, c := range []struct {
		name, record string
		word         result.Word
		codes        []result.Code
	}{
		{"in order", record, result.Pass, nil},
		{"p= alone", p, result.Pass, nil},
		{"white space in p=", strings.Replace(record, "AAOCA", "AAO \t CA", 1), result.Pass, nil},
		{"unknown tags are ignored", with("g=*; x=y; "), result.Pass, nil},
		{"another version", strings.Replace(record, "DKIM1", "DKIM2", 1), result.PermError, []result.Code{"dkim-key-syntax"}},
		{"another kind of record", "v=spf1 -all", result.PermError, []result.Code{"dkim-key-syntax"}},
		{"a sentence", "hello world", result.PermError, []result.Code{"dkim-key-syntax"}},
		{"no p=", "v=DKIM1; k=rsa", result.PermError, []result.Code{"dkim-key-no-p"}},
		{"an empty text", "", result.PermError, []result.Code{"dkim-key-no-p"}},
		{"p= is empty", "v=DKIM1; p=", result.PermError, []result.Code{"dkim-key-revoked"}},
		{"p= is no base64", "v=DKIM1; p=M*A=", result.PermError, []result.Code{"dkim-key-syntax"}},
		{"p= is no key", "v=DKIM1; p=aGVsbG8=", result.PermError, []result.Code{"dkim-key-syntax"}},
		{"p= is an Ed25519 key", strings.Replace(edRecord(""), "k=ed25519", "k=rsa", 1), result.PermError, []result.Code{"dkim-key-syntax"}},
		{"cut at 255", record[:255], result.PermError, []result.Code{"dkim-key-truncated"}},
		{"cut at a whole group", record[:len("v=DKIM1; k=rsa; p=")+200], result.PermError, []result.Code{"dkim-key-truncated"}},
		{"backslashes", strings.ReplaceAll(record, ";", `\;`), result.PermError, []result.Code{"dkim-key-escaped"}},
		{"quote marks around it", `"` + record + `"`, result.PermError, []result.Code{"dkim-key-escaped"}},
		{"quote marks inside", strings.Replace(record, "p=MII", `p=MI" "I`, 1), result.PermError, []result.Code{"dkim-key-escaped"}},
		{"a backslash in k=", strings.Replace(record, "k=rsa;", `k=rsa\;`, 1), result.PermError, []result.Code{"dkim-key-escaped"}},
		{"unknown k=", strings.Replace(record, "k=rsa", "k=dsa", 1), result.PermError, []result.Code{"dkim-key-wrong-type"}},
		{"h= has the hash", with("h=sha1:sha256; "), result.Pass, nil},
		{"h= is without the hash", with("h=sha1; "), result.PermError, []result.Code{"dkim-key-wrong-hash"}},
		{"h= is empty", with("h=; "), result.PermError, []result.Code{"dkim-key-wrong-hash"}},
		{"s= is empty", with("s=; "), result.PermError, []result.Code{"dkim-key-wrong-service"}},
		{"s= is for all", with("s=*; "), result.Pass, nil},
		{"s= is for mail", with("s=web : email; "), result.Pass, nil},
		{"s= is for something else", with("s=tlsrpt; "), result.PermError, []result.Code{"dkim-key-wrong-service"}},
		{"t=y", with("t=y; "), result.Pass, []result.Code{"dkim-key-test-mode"}},
		{"t=y and a missing key", "v=DKIM1; t=y; p=", result.PermError, []result.Code{"dkim-key-revoked", "dkim-key-test-mode"}},
		{"t=s, i= is d=", with("t=s; "), result.Pass, nil},
		{"notes", with("n=made =3D by hand; "), result.Pass, nil},
		{"a tag twice", with("k=rsa; "), result.PermError, []result.Code{"dkim-key-syntax"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := Verifier{DNS: dnstest.Zone(t, txt("rsa._domainkey.example.org", c.record))}
			s := one(t, checked(t, v, sign(tagsWith(fmt.Sprintf("n%d=x", i)), plainMessage)), c.word, c.codes...)
			if s.KeyRecord != c.record {
				t.Errorf("record %q is said to be %q", c.record, s.KeyRecord)
			}
		})
	}
}

func TestRFC6376_3_6_1_t_s(t *testing.T) {
	t.Parallel()
	v := Verifier{DNS: dnstest.Zone(t, txt("rsa._domainkey.example.org", rsaRecord(&rsaKey().PublicKey, "t=s; ")))}
	for identity, want := range map[string]result.Word{
		"@example.org": result.Pass, "ann@EXAMPLE.org": result.Pass, "@mail.example.org": result.PermError,
	} {
		s := checked(t, v, sign(tagsWith("i="+identity), plainMessage)).Signatures[0]
		if s.Word != want || !s.Key.StrictAUID {
			t.Errorf("i=%s: got %s (%s), want %s", identity, s.Word, s.Reason, want)
		}
	}
}

// RFC 6376, 6.1.2: the look-up of the key.
func TestRFC6376_6_1_2_look_up(t *testing.T) {
	t.Parallel()
	record := rsaRecord(&rsaKey().PublicKey, "")
	const name = "rsa._domainkey.example.org"
	for _, c := range []struct {
		name, zone string
		word       result.Word
		codes      []result.Code
		reason     string
	}{
		{"no such name", "", result.PermError, []result.Code{"dkim-key-missing"}, `dkim-key-does-not-exist name="` + name + `"`},
		{"no such type", name + ". A 192.0.2.1", result.PermError, []result.Code{"dkim-key-missing"}, `dkim-key-does-not-exist name="` + name + `"`},
		{"two records", txt(name, record) + txt(name, "v=DKIM1; p="), result.PermError, []result.Code{"dkim-key-multiple-records", "dkim-key-in-use"},
			`dkim-key-several-records count="2" name="` + name + `"`},
		{"CNAME to a key", name + ". CNAME k.example.net.\n" + txt("k.example.net", record), result.Pass, nil, `dkim-matches-from address="ann@example.org"`},
		{"CNAME to nothing", name + ". CNAME k.example.net.", result.PermError, []result.Code{"dkim-key-cname-dangling"}, `dkim-key-does-not-exist name="` + name + `"`},
		{"CNAME to a name without TXT", name + ". CNAME k.example.net.\nk.example.net. A 192.0.2.1", result.PermError,
			[]result.Code{"dkim-key-missing"}, `dkim-key-does-not-exist name="` + name + `"`},
		{"SERVFAIL", ";FAULT SERVFAIL " + name + ". TXT", result.TempError, []result.Code{"dns-servfail"}, `dns-servfail name="` + name + `" type="TXT"`},
		{"silence", ";FAULT TIMEOUT " + name + ". TXT", result.TempError, []result.Code{"dns-timeout"}, `dns-timeout name="` + name + `" type="TXT"`},
		{"broken DNSSEC", txt(name, record) + ";FAULT BOGUS " + name + ". TXT", result.TempError, []result.Code{"dns-dnssec-bogus"},
			`dns-dnssec-bogus name="` + name + `" type="TXT"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := Verifier{DNS: dnstest.Zone(t, c.zone)}
			s := one(t, checked(t, v, sign(plainTags, plainMessage)), c.word, c.codes...)
			if s.Reason.String() != c.reason {
				t.Errorf("reason: got %s, want %s", s.Reason, c.reason)
			}
			if !s.BodyVerifies {
				t.Error("the body's hash needs no key")
			}
			if _, isDNS := errors.AsType[*dns.Error](s.Cause); isDNS != (c.word == result.TempError) {
				t.Errorf("cause: %v", s.Cause)
			}
		})
	}
}

// RFC 6376, 3.6.2.2: the strings of a record are joined without anything between.
func TestRFC6376_3_6_2_2_strings(t *testing.T) {
	t.Parallel()
	record := rsaRecord(&rsaKey().PublicKey, "")
	v := Verifier{DNS: dnstest.Zone(t, fmt.Sprintf("rsa._domainkey.example.org. TXT %q %q %q\n", record[:10], record[10:100], record[100:]))}
	one(t, checked(t, v, sign(plainTags, plainMessage)), result.Pass)
}
