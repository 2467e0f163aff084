package arc

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/result"
)

func TestRFC8617_5_2_none(t *testing.T) {
	t.Parallel()
	want(t, checked(t, ours(), plain), result.None, "arc-no-sets", "")
}

func TestRFC8617_5_2_pass(t *testing.T) {
	t.Parallel()
	zone := dnstest.Zone(t, txt("ed._domainkey.h1.example.org", edRecord())+txt("rsa._domainkey.h2.example.org", rsaRecord(&rsaKey().PublicKey)))
	r := checked(t, zone, chainOf(plain, hop{}, hop{selector: "rsa", canon: "simple/simple"}))
	want(t, r, result.Pass, `arc-chain-verifies count="2"`, "arc-present")
	in := r.Instances[1]
	if in.Seal.KeyName != "rsa._domainkey.h2.example.org" || in.Seal.Algorithm != "rsa-sha256" || in.CV != "pass" || in.Seal.Domain != "h2.example.org" {
		t.Errorf("got the facts %+v", in)
	}
	for n := range 5 {
		for _, selector := range []string{"ed", "rsa", "weak"} {
			hops := make([]hop, n+1)
			for i := range hops {
				hops[i].selector = selector
			}
			r := checked(t, ours(), chainOf(plain, hops...))
			want(t, r, result.Pass, fmt.Sprintf(`arc-chain-verifies count="%d"`, n+1), "arc-present")
			if r.OldestPass == nil || *r.OldestPass != 0 {
				t.Errorf("%d hops, none changed the mail: got oldest pass %v, want 0", n+1, r.OldestPass)
			}
		}
	}
}

func TestRFC8617_4_2_1_fifty(t *testing.T) {
	t.Parallel()
	one := hop{domain: "h1.example.org"}
	hops := make([]hop, 50)
	for i := range hops {
		hops[i] = one
	}
	m := chainOf(plain, hops...)
	want(t, checked(t, ours(), m), result.Pass, `arc-chain-verifies count="50"`, "arc-present")
	m = sealed(m, one.with(51))
	want(t, checked(t, ours(), m), result.Fail, `arc-over-50-sets count="51"`, "arc-fail-count")
}

func TestRFC8617_4_2_1_instances(t *testing.T) {
	t.Parallel()
	for text, i := range map[string]int{"1": 1, "01": 1, "9": 9, "50": 50, "51": 0, "0": 0, "00": 0, "001": 0, "": 0, "-1": 0, "+1": 0, "1 ": 0, "x": 0, "99": 0, "\u0661": 0} {
		if got := instance(text); got != i {
			t.Errorf("%q: got %d, want %d", text, got, i)
		}
	}
}

func TestRFC8617_4_1_1_results(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		value         string
		i             int
		host, results string
	}{
		{"i=1; mx.example.org; spf=pass", 1, "mx.example.org", "spf=pass"},
		{" i = 2 ;mx.example.org 1; none", 2, "mx.example.org", "none"},
		{"(a;) i(b)=(c)3(d(e));(f)mx.example.org(g)", 3, "mx.example.org", ""},
		{`i=4; "mx.example.org" ; spf=fail; dkim=none`, 4, "mx.example.org", "spf=fail; dkim=none"},
		{"i=5;", 5, "", ""},
		{"i=6; mx\x1b[2J\u202e.example.org; \xff", 6, `mx\x1b[2J\u202e.example.org`, "\ufffd"},
		{"mx.example.org; i=1; spf=pass", 0, "", ""},
		{"I=1; mx.example.org", 0, "", ""},
		{"i=1 mx.example.org", 0, "", ""},
		{"i=1x; mx.example.org", 0, "", ""},
		{"i=0; mx.example.org", 0, "", ""},
		{"i=1", 0, "", ""},
		{"(i=1; mx.example.org", 0, "", ""},
		{"", 0, "", ""},
	} {
		i, rest := claimed(c.value)
		host, results := authserv(rest)
		if i != c.i || host != c.host || results != c.results {
			t.Errorf("%q: got %d %q %q, want %d %q %q", c.value, i, host, results, c.i, c.host, c.results)
		}
	}
	r := checked(t, ours(), chainOf(plain, hop{claims: "mx.example.org; " + strings.Repeat("spf=pass ", 1000)}))
	if got := r.Instances[0]; got.Authserv != "mx.example.org" || len(got.Results) != shownClaims {
		t.Errorf("got %q and %d octets of results, want %d", got.Authserv, len(got.Results), shownClaims)
	}
}

// without takes the n-th field of a name out of a message, from the top.
func without(message, name string, n int) string {
	head, body, _ := strings.Cut(message, "\r\n\r\n")
	var out []string
	for _, f := range refFields(head) {
		if strings.HasPrefix(f, name+":") {
			if n--; n < 0 {
				n = 1 << 30
				continue
			}
		}
		out = append(out, f)
	}
	return strings.Join(out, "\r\n") + "\r\n\r\n" + body
}

func TestRFC8617_5_2_structure(t *testing.T) {
	t.Parallel()
	two := chainOf(plain, hop{}, hop{})
	for _, c := range []struct{ name, message, reason, findings string }{
		{"no seal in the newest", without(two, "ARC-Seal", 0), `arc-field-is-missing field="ARC-Seal" instance="2"`, "arc-fail-missing"},
		{"no signature in the oldest", without(two, "ARC-Message-Signature", 1), `arc-field-is-missing field="ARC-Message-Signature" instance="1"`, "arc-fail-missing"},
		{"no results", without(two, "ARC-Authentication-Results", 0), `arc-field-is-missing field="ARC-Authentication-Results" instance="2"`, "arc-fail-missing"},
		{"a gap", chainOf(plain, hop{}, hop{i: "3"}), `arc-set-is-missing instance="2"`, "arc-fail-gap"},
		{"none but the third", chainOf(plain, hop{i: "3", cv: "pass"}), `arc-set-is-missing instance="1"`, "arc-fail-gap arc-fail-gap"},
		{"a set twice", chainOf(plain, hop{}, hop{i: "1", cv: "none"}), `arc-field-stands-twice field="ARC-Authentication-Results" instance="1"`,
			"arc-fail-duplicate arc-fail-duplicate arc-fail-duplicate"},
		{"a seal twice", "ARC-Seal: i=1; cv=none\r\n" + two, `arc-field-stands-twice field="ARC-Seal" instance="1"`, "arc-fail-duplicate"},
		{"i=0", chainOf(plain, hop{i: "0"}), `arc-instance-unreadable field="ARC-Authentication-Results"`, "arc-fail-instance arc-fail-instance arc-fail-instance"},
		{"i=51", chainOf(plain, hop{}, hop{i: "51"}), `arc-instance-unreadable field="ARC-Authentication-Results"`, "arc-fail-instance arc-fail-instance arc-fail-instance"},
		{"i= twice in a seal", "ARC-Seal: i=1; i=1; cv=none\r\n" + plain, `arc-field-is-missing field="ARC-Authentication-Results" instance="1"`, "arc-fail-missing arc-fail-missing"},
		{"results alone", "ARC-Authentication-Results: i=1; mx.example.org; spf=pass\r\n" + plain,
			`arc-field-is-missing field="ARC-Message-Signature" instance="1"`, "arc-fail-missing arc-fail-missing"},
		{"the fiftieth alone", chainOf(plain, hop{i: "50"}), `arc-set-is-missing instance="1"`, "arc-fail-gap arc-fail-gap arc-fail-gap arc-fail-gap arc-fail-gap"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			want(t, checked(t, nobody(t), c.message), result.Fail, c.reason, c.findings)
		})
	}
}

// nobody may be asked: the structure is wrong already.
func nobody(t *testing.T) dns.Resolver {
	return texts(nil).but(func(q dns.Question) { t.Errorf("asked for %s", q) })
}

func TestRFC8617_5_2_chain_validation_status(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name             string
		hops             []hop
		reason, findings string
	}{
		{"pass in the first", []hop{{cv: "pass"}}, `arc-cv-not-expected cv="pass" instance="1" want="none"`, "arc-fail-cv"},
		{"none in the second", []hop{{}, {cv: "none"}}, `arc-cv-not-expected cv="none" instance="2" want="pass"`, "arc-fail-cv"},
		{"fail in the newest", []hop{{}, {cv: "fail"}}, `arc-sealed-as-failed instance="2"`, "arc-fail-sealed"},
		{"fail in the only one", []hop{{cv: "fail"}}, `arc-sealed-as-failed instance="1"`, "arc-fail-sealed"},
		{"fail in one that is not the newest", []hop{{cv: "fail"}, {}}, `arc-cv-not-expected cv="fail" instance="1" want="none"`, "arc-fail-cv"},
		{"another case", []hop{{cv: "None"}}, `arc-cv-not-expected cv="None" instance="1" want="none"`, "arc-fail-cv"},
		{"empty", []hop{{}, {cv: " "}}, `arc-cv-not-expected cv="" instance="2" want="pass"`, "arc-fail-cv"},
		{"another word", []hop{{}, {cv: "passed"}}, `arc-cv-not-expected cv="passed" instance="2" want="pass"`, "arc-fail-cv"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			want(t, checked(t, nobody(t), chainOf(plain, c.hops...)), result.Fail, c.reason, c.findings)
		})
	}
}

func TestRFC8617_5_2_message_signature(t *testing.T) {
	t.Parallel()
	two := chainOf(plain, hop{}, hop{})
	footer := "--\r\nlist footer\r\n"
	for _, c := range []struct{ name, message, reason, findings string }{
		{"the body changed after the newest", two + footer, `arc-body-differs instance="2"`, "arc-present arc-broken-after arc-fail-body"},
		{"a signed field changed after the newest", strings.Replace(two, "A  test", "[list] A test", 1), `arc-header-differs instance="2"`,
			"arc-present arc-broken-after arc-fail-header"},
		{"its results changed too", strings.Replace(two+footer, "mx1", "mx9", 1), `arc-body-differs instance="2"`,
			"arc-present arc-broken-after arc-fail-body arc-fail-seal arc-fail-seal"},
		{"no From in h=", chainOf(plain, hop{h: "To:Subject"}), `arc-signature-unusable instance="1"`, "arc-present arc-fail-signature-unusable"},
		{"ARC-Seal in h=", chainOf(plain, hop{h: "From:arc-seal"}), `arc-signature-unusable instance="1"`, "arc-present arc-fail-signature-unusable"},
		{"expired", chainOf(plain, hop{message: "t=1; x=2; "}), `arc-signature-unusable instance="1"`, "arc-present arc-fail-signature-unusable"},
		{"a part of the body", chainOf(plain, hop{message: "l=3; "}), `arc-body-differs instance="1"`, "arc-present arc-broken-after arc-fail-body"},
		{"two semicolons", chainOf(plain, hop{message: "; "}), `arc-signature-unusable instance="1"`, "arc-present arc-fail-signature-unusable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := checked(t, ours(), c.message)
			want(t, r, result.Fail, c.reason, c.findings)
			if r.OldestPass != nil {
				t.Errorf("an oldest pass %d of a chain that fails at its newest", *r.OldestPass)
			}
		})
	}
	for name, message := range map[string]string{
		"a version is ignored":       chainOf(plain, hop{message: "v=3; "}),
		"a field that is not signed": "X-Spam: no\r\n" + chainOf(plain, hop{}),
		"the one before is in h=":    chainOf(plain, hop{}, hop{h: "From:ARC-Message-Signature:ARC-Authentication-Results"}),
		"l= over all of it":          chainOf(plain, hop{canon: "simple/simple", message: fmt.Sprintf("l=%d; ", len(refBody("simple", body(plain))))}),
		"no body":                    chainOf("From: ann@example.org\r\n\r\n", hop{canon: "simple/simple"}, hop{}),
	} {
		if r := checked(t, ours(), message); r.Word != result.Pass {
			t.Errorf("%s: got %s (%s), %v; want pass", name, r.Word, r.Reason, r.Findings)
		}
	}
}

func body(message string) string {
	_, b, _ := strings.Cut(message, "\r\n\r\n")
	return b
}

func TestRFC8617_5_2_oldest_pass(t *testing.T) {
	t.Parallel()
	footer := "--\r\nlist footer\r\n"
	for _, c := range []struct {
		name     string
		changed  int // before this hop sealed
		hops     int
		oldest   int
		findings string
	}{
		{"by the second of two", 2, 2, 2, "arc-broken-between arc-present"},
		{"by the second of five", 2, 5, 2, "arc-broken-between arc-present"},
		{"by the fifth of five", 5, 5, 5, "arc-broken-between arc-present"},
		{"before all", 1, 3, 0, "arc-present"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := plain
			for n := 1; n <= c.hops; n++ {
				if n == c.changed {
					m += footer
				}
				m = sealed(m, hop{}.with(n))
			}
			r := checked(t, ours(), m)
			if r.Word != result.Pass || r.OldestPass == nil || *r.OldestPass != c.oldest {
				t.Fatalf("got %s (%s), oldest pass %v; want pass, %d", r.Word, r.Reason, r.OldestPass, c.oldest)
			}
			if c.oldest == 0 {
				return
			}
			f := r.Findings[len(r.Findings)-1]
			before, by := fmt.Sprintf("mx%d.example.org", c.oldest-1), fmt.Sprintf("mx%d.example.org", c.oldest)
			if f.Code != "arc-broken-between" || f.Severity != result.Info || f.Args.Get("host") != before || f.Args.Get("next") != by {
				t.Errorf("got %+v, want a change between %s and %s", f, before, by)
			}
		})
	}
	// Two changed it: RFC 8617 stops at the newest of them.
	m := sealed(sealed(sealed(plain, hop{}.with(1))+footer, hop{}.with(2))+footer, hop{}.with(3))
	if r := checked(t, ours(), m); *r.OldestPass != 3 || r.Instances[0].Message.Word != "" {
		t.Errorf("got oldest pass %d and %+v, want 3, and nothing looked at beyond", *r.OldestPass, r.Instances[0])
	}
}

func TestRFC8617_5_2_seals(t *testing.T) {
	t.Parallel()
	five := chainOf(plain, hop{}, hop{}, hop{}, hop{}, hop{})
	for _, c := range []struct{ name, message, reason, findings string }{
		{"the results of the first were changed", strings.Replace(five, "i=1; mx1", "i=1; mx9", 1), `arc-seal-differs instance="5"`,
			"arc-present arc-fail-seal arc-fail-seal arc-fail-seal arc-fail-seal arc-fail-seal"},
		{"those of the newest", strings.Replace(five, "i=5; mx5", "i=5; mx9", 1), `arc-seal-differs instance="5"`, "arc-present arc-fail-seal"},
		{"those of the third", strings.Replace(five, "i=3; mx3", "i=3; mx9", 1), `arc-seal-differs instance="5"`,
			"arc-present arc-fail-seal arc-fail-seal arc-fail-seal"},
		{"h= in a seal", chainOf(plain, hop{seal: "h=From; "}), `arc-seal-unusable instance="1"`, "arc-present arc-fail-seal-unusable"},
		{"t= of a seal is no number", chainOf(plain, hop{seal: "t=x; "}), `arc-seal-unusable instance="1"`, "arc-present arc-fail-seal-unusable"},
		{"a tag twice", chainOf(plain, hop{seal: "x=1; x=2; "}), `arc-seal-unusable instance="1"`, "arc-present arc-fail-seal-unusable"},
		{"no equals sign", chainOf(plain, hop{seal: "x; "}), `arc-seal-unusable instance="1"`, "arc-present arc-fail-seal-unusable"},
		{"a name that is none", chainOf(plain, hop{seal: "1x=y; "}), `arc-seal-unusable instance="1"`, "arc-present arc-fail-seal-unusable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			want(t, checked(t, ours(), c.message), result.Fail, c.reason, c.findings)
		})
	}
}

// The order in which a seal covers fields is not that in which they stand.
func TestRFC8617_5_1_1_order(t *testing.T) {
	t.Parallel()
	head, rest, _ := strings.Cut(chainOf(plain, hop{}, hop{}), "From: Ann")
	fields := refFields(head)
	var mixed string
	for i := range fields {
		mixed += strings.TrimSuffix(fields[(i*5+3)%6], "\r\n") + "\r\n"
	}
	want(t, checked(t, ours(), mixed+"From: Ann"+rest), result.Pass, `arc-chain-verifies count="2"`, "arc-present")
	// White space and the case of names do not count.
	folded := strings.ReplaceAll(strings.ReplaceAll(mixed, "ARC-Seal: ", "arc-SEAL:\r\n\t "), "; cv", "  ;\tcv")
	want(t, checked(t, ours(), folded+"From: Ann"+rest), result.Fail, `arc-seal-differs instance="2"`, "arc-present arc-fail-seal arc-fail-seal")
	folded = strings.ReplaceAll(mixed, "ARC-Seal: i=", "arc-SEAL:\r\n\t  i=")
	want(t, checked(t, ours(), folded+"From: Ann"+rest), result.Pass, `arc-chain-verifies count="2"`, "arc-present")
}

func TestRFC8617_4_1_keys(t *testing.T) {
	t.Parallel()
	one := chainOf(plain, hop{selector: "rsa"})
	name := "rsa._domainkey.h1.example.org"
	both := "arc-present arc-fail-signature-unusable arc-fail-seal-unusable"
	for _, c := range []struct{ name, zone, problem string }{
		{"none", "", "dkim-key-does-not-exist"},
		{"revoked", txt(name, "v=DKIM1; p="), "dkim-key-is-revoked"},
		{"two records", txt(name, rsaRecord(&rsaKey().PublicKey)) + txt(name, edRecord()), "dkim-key-several-records"},
		{"another type", txt(name, edRecord()), "dkim-key-of-other-type"},
		{"for another hash", txt(name, strings.Replace(rsaRecord(&rsaKey().PublicKey), "k=rsa;", "k=rsa; h=sha1;", 1)), "dkim-key-not-for-hash"},
		{"not for mail", txt(name, strings.Replace(rsaRecord(&rsaKey().PublicKey), "k=rsa;", "k=rsa; s=tlsrpt;", 1)), "dkim-key-not-for-mail"},
		{"no base64", txt(name, "v=DKIM1; p=?"), "dkim-key-unreadable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := checked(t, dnstest.Zone(t, "example.org. TXT x\n"+c.zone), one)
			want(t, r, result.Fail, `arc-signature-unusable instance="1"`, both)
			if p := r.Instances[0].Problems; len(p) != 4 || string(p[0].Code) != c.problem {
				t.Errorf("got the problems %v, want %s first", p, c.problem)
			}
			if f := r.Findings[2]; f.Args.Get("error") == "" || strings.Contains(f.Args.Get("error"), "cannot be used") {
				t.Errorf("got %q for what is wrong", f.Args)
			}
		})
	}
	// The strict flag is about i=, which is no identity here.
	strict := txt(name, strings.Replace(rsaRecord(&rsaKey().PublicKey), "k=rsa;", "k=rsa; t=s;", 1))
	want(t, checked(t, dnstest.Zone(t, strict), one), result.Pass, `arc-chain-verifies count="1"`, "arc-present")
}

// RFC 8617, 5.2.1 has fail here.
func TestRFC8617_5_2_1_DNS_fails(t *testing.T) {
	t.Parallel()
	zone := dnstest.Zone(t, txt("ed._domainkey.h2.example.org", edRecord())+";FAULT SERVFAIL ed._domainkey.h1.example.org. TXT\n")
	two := chainOf(plain, hop{}, hop{})
	r := checked(t, zone, two)
	want(t, r, result.TempError, `dns-servfail name="ed._domainkey.h1.example.org" type="TXT"`, "arc-present dns-servfail")
	if e, ok := errors.AsType[*dns.Error](r.Cause); !ok || e.Kind != dns.ServFail || r.OldestPass != nil {
		t.Errorf("got the cause %v, oldest pass %v; want SERVFAIL and nil", r.Cause, r.OldestPass)
	}
	// What is known to be wrong decides before what is not known.
	want(t, checked(t, zone, two+"x\r\n"), result.Fail, `arc-body-differs instance="2"`, "arc-present arc-broken-after arc-fail-body")
	want(t, checked(t, zone, strings.Replace(two, "mx2", "mx9", 1)), result.Fail, `arc-seal-differs instance="2"`, "arc-present arc-fail-seal")
}

// A body that cannot be read says nothing of the chain.
func TestRFC8617_5_2_body_not_read(t *testing.T) {
	t.Parallel()
	m := chainOf(plain, hop{})
	fields, body := split(t, m)
	body.Size += 10
	body.At = broken{}
	r := Evaluator{DNS: ours()}.Check(t.Context(), fields, body)
	want(t, r, result.TempError, "dkim-body-not-read", "arc-present dkim-body-not-read")
	if !errors.Is(r.Cause, errBroken) {
		t.Errorf("got the cause %v", r.Cause)
	}
}

var errBroken = errors.New("the disk is gone")

type broken struct{}

func (broken) ReadAt([]byte, int64) (int, error) { return 0, errBroken }
