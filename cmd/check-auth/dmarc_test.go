package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"checkauth/verify/dmarc"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/result"
)

const dmarcZone = `
_dmarc.example.org.  TXT "v=DMARC1; p=reject; sp=quarantine; np=none; pct=50; aspf=s; rua=mailto:d@reports.example.net,mailto:o@example.org; ruf=mailto:f@other.example"
example.org.         MX  10 mx.example.org.
news.example.org.    A   192.0.2.2
example.org._report._dmarc.reports.example.net. TXT "v=DMARC1"
reports.example.net. A   192.0.2.3
other.example.       MX  0 .
_dmarc.ill.example.  TXT "v=DMARC1;  p=rejct"
_dmarc.two.example.  TXT "v=DMARC1; p=none"
_dmarc.two.example.  TXT "v=DMARC1; p=reject"
_dmarc.spf.example.  TXT "v=spf1 -all"
_dmarc.xn--bcher-kva.example. TXT "v=DMARC1; p=none; psd=n"
_dmarc.octets.example. TXT "v=DMARC1; p=none; \027[2J=\255; rua=mailto:\027@x"
;FAULT SERVFAIL *.broken.example ANY
`

func TestDMARC(t *testing.T) {
	t.Parallel()
	resolver := "--resolver=" + dnstest.New(t, dmarcZone).Addr().String()
	for _, c := range []struct {
		name string
		args []string
		code int
		say  []string
	}{
		{"one's own record", []string{"example.org"}, exitPass, []string{
			"Result:         pass (the record at _dmarc.example.org applies)\nDomain of From: example.org\n",
			"Walk:           _dmarc.example.org: a record, which applies\n                _dmarc.org: nothing\n",
			"Record:         v=DMARC1; p=reject; sp=quarantine;", "Tags:           v=DMARC1 (column 1)\n                p=reject (column 11)\n",
			"Policy:         reject (p= of _dmarc.example.org)\nAlignment:      SPF strict (aspf=s), DKIM relaxed (adkim=r)\n",
			"Reports:        rua=mailto:d@reports.example.net: agreed to at", "rua=mailto:o@example.org: of the same organisation; takes mail (MX)",
			"ruf=mailto:f@other.example: not agreed to:", " warning: Reports to mailto:f@other.example (ruf=) are not sent",
			"    example.org._report._dmarc.reports.example.net. 300 IN TXT \"v=DMARC1\"\n"}},
		{"a record from above", []string{"news.example.org"}, exitPass, []string{
			"news.example.org (organisational domain example.org)", "Policy:         quarantine (sp= of _dmarc.example.org)"}},
		{"a name that does not exist", []string{"ghost.example.org"}, exitPass, []string{
			"Policy:         none (np= of _dmarc.example.org)", "By RFC 7489:    quarantine (sp= of _dmarc.example.org)"}},
		{"an address", []string{"ann@news.example.org"}, exitPass, []string{"Domain of From: news.example.org"}},
		{"--from alone", []string{"--from=Ann <ann@news.example.org>"}, exitPass, []string{"Domain of From: news.example.org"}},
		{"--from and what passes", []string{"news.example.org", "--from=ann@example.org"}, exitPass, []string{
			"Domain of From: example.org\n", "SPF pass:       news.example.org (organisational domain example.org): not aligned", "DKIM pass:      news.example.org (organisational domain example.org): aligned",
			"Walk of other:  _dmarc.news.example.org: nothing"}},
		{"in letters", []string{"b\u00fccher.example."}, exitPass, []string{"psd=n, which ends the walk, which applies"}},
		{"no record", []string{"example.net"}, exitFail, []string{"Result:         none (no DMARC record for example.net)", "1. warning: "}},
		{"a mistake", []string{"ill.example"}, exitFail, []string{"Result:         permerror", "p=rejct (column 12)", "tag p at\n"}},
		{"two records", []string{"two.example"}, exitFail, []string{"several records, so that none counts"}},
		{"SPF where DMARC should be", []string{"spf.example"}, exitFail, []string{"a text that is no DMARC record", "The SPF record at"}},
		{"octets", []string{"octets.example"}, exitPass, []string{`\x1b[2J=`}},
		{"the DNS fails", []string{"broken.example"}, exitUnknown, []string{"Result:         temperror", "_dmarc.broken.example: no answer"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := play(t, t.Context(), "", append([]string{"dmarc", resolver}, c.args...)...)
			if got.code != c.code || got.err != "" {
				t.Errorf("got exit %d, want %d; stderr %q", got.code, c.code, got.err)
			}
			for _, want := range c.say {
				if !strings.Contains(inOneLine(got.out), inOneLine(want)) {
					t.Errorf("it does not say %q:\n%s", want, got.out)
				}
			}
			if strings.ContainsAny(got.out, "\x1b\x00\r") || !utf8.ValidString(got.out) {
				t.Errorf("a control character reached the terminal:\n%q", got.out)
			}
		})
	}
}

// inOneLine undoes the breaking of lines.
func inOneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func TestDMARCJSON(t *testing.T) {
	t.Parallel()
	zone := filepath.Join(t.TempDir(), "zone.txt")
	if err := os.WriteFile(zone, []byte(dmarcZone), 0o600); err != nil {
		t.Fatal(err)
	}
	got := play(t, t.Context(), "", "dmarc", "--json", "--zone="+zone, "example.net", "--from=ann@ghost.example.org")
	var r struct {
		Result     result.Word
		Reason     result.Reason
		Findings   []result.Finding
		Domain     string
		PolicyName string `json:"policy_name"`
		Policy     string
		Tags       []dmarc.Tag
		Walks      []dmarc.Walk
		Reports    []dmarc.Report
		RFC7489    *dmarc.View
		DKIM       *dmarc.Alignment
		Evidence   []result.Evidence
	}
	if err := json.Unmarshal([]byte(got.out), &r); err != nil {
		t.Fatalf("%v\n%s%s", err, got.out, got.err)
	}
	if got.code != exitPass || r.Result != result.Pass || r.Domain != "ghost.example.org" || r.PolicyName != "example.org" || r.Policy != "none" || len(r.Tags) != 8 ||
		len(r.Walks) != 1 || len(r.Walks[0].Asked) != 3 || len(r.Reports) != 3 || r.RFC7489 == nil || r.DKIM == nil || r.DKIM.Aligned || len(r.Evidence) < 6 {
		t.Errorf("exit %d, %+v", got.code, r)
	}
	said := []result.Reason{r.Reason, r.DKIM.Why}
	for _, p := range r.Reports {
		said = append(said, p.Status, p.Mailbox)
	}
	for _, f := range r.Findings {
		said = append(said, result.Reason{Code: f.Code, Text: f.Text})
	}
	for _, s := range said {
		if s.Text == "" || s.Text == string(s.Code) {
			t.Errorf("%q has no sentence", s.Code)
		}
	}
	if strings.ContainsFunc(got.out, func(r rune) bool { return r > '~' }) {
		t.Error("the JSON is not ASCII")
	}
}

func TestDMARCBadInput(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		args []string
		say  string
	}{
		{"nothing", nil, "no domain is named"},
		{"no domain name", []string{"exa mple.org"}, `"exa mple.org" is no domain name`},
		{"an empty label", []string{"a..example.org"}, "is no domain name"},
		{"octets", []string{"\x1b[2J"}, `domain "\x1b[2J" is no domain name`},
		{"the whole name", []string{"_dmarc.example.org"}, "has _dmarc in front"},
		{"no address", []string{"--from=example.org"}, `--from "example.org" is not one address`},
		{"two addresses", []string{"--from=a@example.org, b@example.net"}, "is not one address"},
		{"a group", []string{"--from=x: a@example.org;"}, "is not one address"},
		{"two lines", []string{"--from=a@example.org\r\nFrom: b@example.net"}, "is not one address"},
		{"a zone that is not there", []string{"example.org", "--zone=/no/such/file"}, "no such file"},
		{"two sources of the DNS", []string{"example.org", "--resolver=127.0.0.1", "--zone=x"}, "--zone"},
	} {
		got := play(t, t.Context(), "", append([]string{"dmarc"}, c.args...)...)
		if got.code != exitUsage || !strings.Contains(lastLine(got.err), c.say) || strings.ContainsAny(got.err, "\x1b\r") {
			t.Errorf("%s: got exit %d, %q, want exit %d and %q", c.name, got.code, got.err, exitUsage, c.say)
		}
	}
}
