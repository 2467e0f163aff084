package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"checkauth/reply/sign"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/result"
)

// The keys that the messages below are signed with, made once.
var (
	annsKey    = sync.OnceValue(func() *sign.Key { return madeKey("example.org", "s1", sign.RSA) })
	annsEdKey  = sync.OnceValue(func() *sign.Key { return madeKey("example.org", "ed", sign.Ed25519) })
	serviceKey = sync.OnceValue(func() *sign.Key { return madeKey("service.example", "m1", sign.RSA) })
	brokenKey  = sync.OnceValue(func() *sign.Key { return madeKey("broken.example", "s1", sign.Ed25519) })
)

func madeKey(domain, selector, kind string) *sign.Key {
	k, err := sign.Make(domain, selector, kind, sign.Bits)
	if err != nil {
		panic(err)
	}
	return k
}

// dkimZone has the records of the keys, and keys with a mistake each.
func dkimZone() string {
	return annsKey().Record() + "\n" + annsEdKey().Record() + "\n" + serviceKey().Record() + `
_dmarc.example.org.          TXT "v=DMARC1; p=reject"
revoked._domainkey.example.org. TXT "v=DKIM1; p="
two._domainkey.example.org.  TXT "v=DKIM1; p="
two._domainkey.example.org.  TXT "v=DKIM1; k=rsa; p=AAAA"
ill._domainkey.example.org.  TXT "k=ed25519; v=DKIM1; t=y:x; x-note=1; n=for =C2=A7 tests; h=sha256; s=email; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
chat._domainkey.example.org. TXT "k=ed25519; s=chat; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
;FAULT SERVFAIL *.broken.example ANY
`
}

const annsMail = "From: Ann <ann@example.org>\r\nTo: bob@example.net\r\nSubject: A test\r\nDate: Tue, 24 Nov 2026 02:10:05 +0000\r\n\r\nHello,  you.\r\n"

// signedBy puts a signature on top of a message, now an hour ago.
func signedBy(t *testing.T, message string, k *sign.Key) string {
	t.Helper()
	b, err := k.Sign([]byte(message), time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestDKIM(t *testing.T) {
	t.Parallel()
	resolver := "--resolver=" + dnstest.New(t, dkimZone()).Addr().String()
	signed := signedBy(t, annsMail, annsKey())
	for _, c := range []struct {
		name, stdin string
		args        []string
		code        int
		say         []string
	}{
		{"pass", signed, nil, exitPass, []string{
			"From:           Ann <ann@example.org>", "Signature 1 of 1\nResult:         pass (matches From: ann@example.org)",
			"d=example.org s=s1 a=rsa-sha256 c=relaxed/relaxed", "Signed fields:  From +From To +To Subject +Subject",
			"(equal)", "Key:            s1._domainkey.example.org, TTL 3600\n                k=rsa, 2048 bits", "Key record:     v=DKIM1; k=rsa; p=MII"}},
		{"a dash for standard input", signed, []string{"-"}, exitPass, []string{"Result:         pass"}},
		{"LF line ends", strings.ReplaceAll(signed, "\r\n", "\n"), nil, exitPass, []string{"Result:         pass"}},
		{"flags in front of the file", signed, []string{"--canon", "-"}, exitPass, []string{
			"Canonicalized Headers:\n    from:Ann'20'<ann@example.org>'0D''0A'\n", "Canonicalized Body:\n    Hello,'20'you.'0D''0A'\n"}},
		{"the sub-command by its name", signed, []string{"file", "-"}, exitPass, []string{"Result:         pass"}},
		{"the body changed", signed + "-- \r\nfooter\r\n", nil, exitFail, []string{"Result:         fail", "(differs)", "Broken:         ", "1. error: "}},
		{"the header changed", strings.Replace(signed, "Subject: A test", "Subject: [list] A test", 1), nil, exitFail, []string{"Result:         fail", "(equal)", "Broken:         "}},
		{"not signed", annsMail, nil, exitFail, []string{"Result:         none (message not signed)", "1. warning: The message carries no DKIM-Signature"}},
		{"the DNS fails", signedBy(t, annsMail, brokenKey()), nil, exitUnknown, []string{"Result:         temperror"}},
		{"one of two passes", signedBy(t, signed, brokenKey()), nil, exitPass, []string{"Signature 1 of 2\nResult:         temperror", "Signature 2 of 2\nResult:         pass"}},
		{"Ed25519 alone", signedBy(t, annsMail, annsEdKey()), nil, exitPass, []string{"k=ed25519, 256 bits", "\nThe message\n1. warning: Only an Ed25519 signature verifies"}},
		{"no empty line at the end", "From: a@example.org\r\n", nil, exitFail, []string{"Result:         none"}},
		{"octets", "From: \x1b[2J\xff\r\nDKIM-Signature: v=1; a=\x1b; d=\x9b; s=\x00; i=\x1b@\xff; l=9; h=\xe2\x80\xae:From; bh=\x1b\r\n\r\n\x1b\r\n", []string{"--canon"}, exitFail,
			[]string{"Result:         permerror", `\x1b`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := play(t, t.Context(), c.stdin, append([]string{"dkim", resolver}, c.args...)...)
			if got.code != c.code || got.err != "" {
				t.Errorf("got exit %d, want %d; stderr %q", got.code, c.code, got.err)
			}
			for _, want := range c.say {
				if !strings.Contains(got.out, want) {
					t.Errorf("it does not say %q:\n%s", want, got.out)
				}
			}
			if strings.ContainsAny(got.out, "\x1b\x00\r") || !utf8.ValidString(got.out) {
				t.Errorf("a control character reached the terminal:\n%q", got.out)
			}
		})
	}
}

// dkimPrinted is what programs read of a message.
type dkimPrinted struct {
	Signatures []struct {
		Result     result.Word
		Reason     result.Reason
		Findings   []result.Finding
		D          string
		BH         string `json:"bh"`
		Computed   string `json:"bh_computed"`
		Broken     result.Reason
		OverSigned []string      `json:"oversigned"`
		VerifiedBy result.Reason `json:"verified_by"`
		ForDMARC   result.Reason `json:"for_dmarc"`
		Alignment  struct{ Aligned bool }
		Key        struct {
			Type string
			Bits int
		}
	}
	Findings []result.Finding
}

func printedJSON(t *testing.T, got ended) (out dkimPrinted) {
	t.Helper()
	if err := json.Unmarshal([]byte(got.out), &out); err != nil {
		t.Fatalf("%v\n%s%s", err, got.out, got.err)
	}
	if strings.ContainsFunc(got.out, func(r rune) bool { return r > '~' }) {
		t.Error("the JSON is not ASCII")
	}
	return out
}

// Each fact that the text has in words is a code in the JSON.
func TestDKIMJSON(t *testing.T) {
	t.Parallel()
	zone := filepath.Join(t.TempDir(), "zone.txt")
	if err := os.WriteFile(zone, []byte(dkimZone()), 0o600); err != nil {
		t.Fatal(err)
	}
	signed := signedBy(t, annsMail, annsKey())
	withoutRecord := strings.ReplaceAll(annsMail, "ann@example.org", "ann@mail.service.example")
	for _, c := range []struct {
		name, message       string
		result              result.Word
		broken, by, dmarc   result.Code
		aligned, overSigned bool
	}{
		{"one's own", signed, result.Pass, "", "dkim-readers-rsa", "dkim-counts", true, true},
		{"one's own that fails", signed + "more\r\n", result.Fail, "dkim-broken-body", "dkim-readers-rsa", "dkim-would-count", true, true},
		{"Ed25519", signedBy(t, annsMail, annsEdKey()), result.Pass, "", "dkim-readers-ed25519", "dkim-counts", true, true},
		{"a mailing service's", signedBy(t, annsMail, serviceKey()), result.Pass, "", "dkim-readers-rsa", "dkim-of-another", false, true},
		{"no DMARC record, one's own", signedBy(t, withoutRecord, serviceKey()), result.Pass, "", "dkim-readers-rsa", "dkim-own-no-record", false, true},
		{"no DMARC record, another's", signedBy(t, withoutRecord, annsKey()), result.Pass, "", "dkim-readers-rsa", "dkim-of-another-no-record", false, true},
		{"no author", signedBy(t, "From: \r\n\r\n\u00fc\r\n", annsKey()), result.Pass, "", "dkim-readers-rsa", "dmarc-align-no-author", false, true},
		{"rsa-sha1", strings.Replace(signed, "a=rsa-sha256", "a=rsa-sha1", 1), result.PermError, "", "dkim-readers-sha1", "dkim-would-count", true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := printedJSON(t, play(t, t.Context(), c.message, "dkim", "--json", "--zone="+zone))
			if len(got.Signatures) != 1 || got.Findings == nil {
				t.Fatalf("got %+v, want one signature", got)
			}
			s := got.Signatures[0]
			if s.Result != c.result || s.VerifiedBy.Code != c.by || s.ForDMARC.Code != c.dmarc || s.Alignment.Aligned != c.aligned || len(s.OverSigned) > 0 != c.overSigned {
				t.Errorf("got %+v, want %+v", s, c)
			}
			// Whether the header holds beside a broken body is said as well, where it is known.
			if c.broken == "" && !s.Broken.IsZero() || !strings.HasPrefix(string(s.Broken.Code), string(c.broken)) {
				t.Errorf("broken: got %s, want %s", s.Broken, c.broken)
			}
			if s.Findings == nil || s.Reason.Text == "" || s.ForDMARC.Text == "" || s.VerifiedBy.Text == "" || s.BH == "" {
				t.Errorf("a sentence or a fact is missing: %+v", s)
			}
		})
	}
}

func TestDKIMBadInput(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, stdin string
		args        []string
		say         string
	}{
		{"a file that is not there", "", []string{"/no/such\x1bfile.eml"}, "no such file"},
		{"nothing", "", nil, `"-" is empty`},
		{"a header that is too large", "X: " + strings.Repeat("a", 200<<10) + "\n\n", nil, "header too large"},
		{"a zone that is not there", annsMail, []string{"--zone=/no/such/file"}, "no such file"},
		{"a resolver that is none", annsMail, []string{"--resolver=x"}, `--resolver "x"`},
		{"two sources of the DNS", annsMail, []string{"--resolver=127.0.0.1", "--zone=x"}, "--zone"},
		{"two files", annsMail, []string{"a.eml", "b.eml"}, "b.eml"},
		{"a key without its domain", "", []string{"key", "s1"}, "<domain>"},
		{"a selector with the whole name", "", []string{"key", "s1._domainkey.example.org", "example.org"}, "_domainkey in it"},
		{"a domain with the whole name", "", []string{"key", "s1", "s1._domainkey.example.org"}, "_domainkey in it"},
		{"an address", "", []string{"key", "s1", "ann@example.org"}, "is an address"},
		{"a selector that is none", "", []string{"key", "\x1b", "example.org"}, `selector "\x1b"`},
		{"a domain that is none", "", []string{"key", "s1", "exa mple.org"}, `"exa mple.org" is no domain name`},
		{"a name that is too long", "", []string{"key", strings.Repeat("a.", 120) + "b", "example.org"}, "over 253 octets"},
	} {
		got := play(t, t.Context(), c.stdin, append([]string{"dkim"}, c.args...)...)
		if got.code != exitUsage || !strings.Contains(lastLine(got.err), c.say) || strings.ContainsAny(got.err, "\x1b") {
			t.Errorf("%s: got exit %d, %q, want exit %d and %q", c.name, got.code, got.err, exitUsage, c.say)
		}
	}
}

func TestDKIMHelp(t *testing.T) {
	t.Parallel()
	got := play(t, t.Context(), "", "dkim", "--help")
	for _, want := range []string{"--json", "--canon", "--zone", "dkim message.eml", "dkim key SELECTOR DOMAIN"} {
		if !strings.Contains(strings.Join(strings.Fields(got.out), " "), want) {
			t.Errorf("the help does not say %q:\n%s", want, got.out)
		}
	}
}

func TestDKIMKey(t *testing.T) {
	t.Parallel()
	resolver := "--resolver=" + dnstest.New(t, dkimZone()).Addr().String()
	for _, c := range []struct {
		name, selector, domain string
		code                   int
		say                    []string
	}{
		{"RSA", "s1", "example.org", exitPass, []string{
			"Result:         pass", "Key:            s1._domainkey.example.org, TTL 3600\n                k=rsa, 2048 bits\n",
			"Record:         v=DKIM1; k=rsa; p=MII", " octets, strings: 2\n", "DNS record(s):\n    s1._domainkey.example.org. 3600 IN TXT \"v=DKIM1;", "Nothing was found"}},
		{"as people type it", "S1", "Example.ORG.", exitPass, []string{"s1._domainkey.example.org, TTL 3600"}},
		{"Ed25519", "ed", "example.org", exitPass, []string{"k=ed25519, 256 bits", " octets, strings: 1\n"}},
		{"small mistakes", "ill", "example.org", exitPass, []string{"k=ed25519, 256 bits, h=sha256, s=email, t=y:x, n=for § tests", "3. "}},
		{"not for mail", "chat", "example.org", exitFail, []string{"Result:         permerror (key is for chat, not for mail)", "1. error: "}},
		{"no record", "gone", "example.org", exitFail, []string{"permerror (key \"gone._domainkey.example.org\" doesn't exist)", "gone._domainkey.example.org. TXT (no records)", "1. error: "}},
		{"revoked", "revoked", "example.org", exitFail, []string{"k=rsa, revoked", "1. error: "}},
		{"two records", "two", "example.org", exitFail, []string{"(2 records at", "IN TXT \"v=DKIM1; p=\"\n", "IN TXT \"v=DKIM1; k=rsa; p=AAAA\"\n"}},
		{"the DNS fails", "s1", "broken.example", exitUnknown, []string{"Result:         temperror", "s1._domainkey.broken.example. TXT (SERVFAIL)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := play(t, t.Context(), "", "dkim", "key", resolver, c.selector, c.domain)
			if got.code != c.code || got.err != "" {
				t.Errorf("got exit %d, want %d; stderr %q", got.code, c.code, got.err)
			}
			for _, want := range c.say {
				if !strings.Contains(got.out, want) {
					t.Errorf("it does not say %q:\n%s", want, got.out)
				}
			}
			asJSON := play(t, t.Context(), "", "dkim", "--json", resolver, "key", c.selector, c.domain)
			var printed struct {
				Result   result.Word
				Reason   result.Reason
				Findings []result.Finding
				Name     string
				Strings  []string
				Record   string
				Evidence []result.Evidence
			}
			if err := json.Unmarshal([]byte(asJSON.out), &printed); err != nil || asJSON.code != c.code {
				t.Fatalf("exit %d, %v\n%s%s", asJSON.code, err, asJSON.out, asJSON.err)
			}
			if printed.Reason.Text == "" || printed.Name == "" || printed.Findings == nil || len(printed.Evidence) != 1 || strings.Join(printed.Strings, "") != printed.Record {
				t.Errorf("got %+v", printed)
			}
		})
	}
}
