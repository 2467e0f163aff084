package conformance

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"checkauth/verify/dmarc"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/mail"
	"checkauth/verify/result"
)

const (
	moxDMARC   = "https://github.com/mjl-/mox dmarc/parse_test.go"
	checkDMARC = "https://github.com/domainaware/checkdmarc tests"
)

// dmarcNotFollowed are records of which we say otherwise than the suite, and why. Both programs judge on
// purpose by other rules than RFC 9989: mox by RFC 7489, checkdmarc as an adviser.
var dmarcNotFollowed = map[string]string{
	"mox/v=DMARC1; p=none; p=reject":                                 "RFC 9989 is silent on a tag that stands there twice: the first counts, and that is said",
	"mox/v=DMARC1; p=none; p=none":                                   "as before",
	"mox/v=DMARC1; sp=reject; p=reject":                              "RFC 9989, 4.7: p may stand anywhere; that older receivers want it second is said",
	"mox/v=DMARC1; p=reject; sp=invalid; rua=mailto:mjl@mox.example": "it counts as p=none, and the tag that cannot be read is named",
	"mox/v=DMARC1; rua=mailto:mjl@mox.example":                       "it counts as p=none, and the missing p is named",
	"mox/V = DMARC1 ; P = reject ;\tSP=none; unknown \t=\t ignored-future-value \t ; adkim=s; aspf=s; rua=mailto:dmarc-feedback@example.com  ,\t\tmailto:tld-test@thirdparty.example.net!10m; RUF=mailto:auth-reports@example.com  ,\t\tmailto:tld-test@thirdparty.example.net!0G; RI = 123; FO = 0:1:d:s ; RF= afrf : other; Pct = 0": "it counts; the historic tags, the unknown one and fo=0:1 are named",
	"checkdmarc/v=DMARC1; p=reject; fo=0:1":                                                               "it counts; 0 and 1 exclude each other, which is said as of a syntax error",
	"checkdmarc/v=DMARC1; p=reject; p=none":                                                               "the first counts, and that is said",
	"checkdmarc/v=DMARC1; rua=mailto:dmarc@example.com":                                                   "it counts as p=none, and the missing p is named",
	"checkdmarc/v=DMARC1; p=none; rua=reports@dmarc.cyber.dhs.gov,mailto:dmarcreports@usdoj.gov":          "the policy stands; the address that is no URI is named (RFC 9989, 4.7)",
	"checkdmarc/v=DMARC1; p=none; rua=__mailto:reports@dmarc.cyber.dhs.gov,mailto:dmarcreports@usdoj.gov": "as before",
	"checkdmarc/v=DMARC1; p=reject; psd=x":                                                                "the tag falls back to its default and is named (RFC 9989, 4.7)",
	"checkdmarc/v=DMARC1; p=reject; t=x":                                                                  "as before",
	"checkdmarc/v=DMARC1; p=reject; fo=invalid_value":                                                     "as before",
	"checkdmarc/v=DMARC1; p=reject; fo=x":                                                                 "as before",
	"checkdmarc/v=DMARC1; p=foo; rua=mailto:dmarc@example.com":                                            "it counts as p=none, and the tag that cannot be read is named",
}

// TestDMARC_records: each record is evaluated as the one of example.org. A record that the suite calls invalid must have a
// finding beyond info and must not decide; one that it calls valid must decide and have none.
func TestDMARC_records(t *testing.T) {
	t.Parallel()
	if got, want := len(dmarcNotFollowed), 16; got != want {
		t.Errorf("%d verdicts are not followed, the README says %d", got, want)
	}
	used := map[string]bool{}
	for _, suite := range []struct {
		name, origin, valid string
		count               int
	}{{"mox", moxDMARC, "valid", 41}, {"checkdmarc", checkDMARC, "accepted", 41}} {
		lines := dmarcRecords(t, Suite(t, "dmarc/"+suite.name+"/records.tsv", suite.origin))
		if len(lines) != suite.count {
			t.Errorf("%s: %d records, want %d", suite.name, len(lines), suite.count)
		}
		for _, l := range lines {
			key := suite.name + "/" + l.text
			got, want := judgeDMARC(t, l.text), "invalid"
			if l.verdict == suite.valid {
				want = "valid"
			}
			_, listed := dmarcNotFollowed[key]
			used[key] = true
			switch {
			case got.word != want && !listed:
				t.Errorf("%s %q: got %s (%s, %v), want %s", suite.name, l.text, got.word, got.result.Word, got.codes, want)
			case got.word == want && listed:
				t.Errorf("%s %q is followed: take it off the list", suite.name, l.text)
			}
			if want == "invalid" && len(got.codes) == 0 {
				t.Errorf("%s %q: no finding", suite.name, l.text)
			}
		}
	}
	for key := range dmarcNotFollowed {
		if !used[key] {
			t.Errorf("%q is listed and not in the suite", key)
		}
	}
}

type dmarcJudgement struct {
	result dmarc.Result
	word   string // valid, invalid, or "doubtful": it decides, with a warning
	codes  []result.Code
}

func judgeDMARC(t *testing.T, text string) dmarcJudgement {
	t.Helper()
	var quoted strings.Builder
	for _, c := range []byte(text) {
		fmt.Fprintf(&quoted, `\%03d`, c)
	}
	zone := dnstest.Zone(t, "_dmarc.example.org. TXT \""+quoted.String()+"\"\n")
	q := dmarc.Query{From: mail.From{Fields: 1, Domain: "example.org"}}
	q.SPF = dmarc.Identifier{Domain: "example.org", Word: result.Pass}
	j := dmarcJudgement{result: dmarc.Evaluator{DNS: zone}.Check(t.Context(), q), word: "valid"}
	for _, f := range j.result.Findings {
		// The records' report addresses have no DNS here, and what p=reject would do is no mistake.
		if strings.HasPrefix(string(f.Code), "dmarc-rua-") || strings.HasPrefix(string(f.Code), "dmarc-under-reject-") {
			continue
		}
		j.codes = append(j.codes, f.Code)
		if f.Severity != result.Info {
			j.word = "doubtful"
		}
	}
	if j.result.Word != result.Pass {
		j.word = "invalid"
	}
	return j
}

type dmarcLine struct{ text, verdict string }

// dmarcRecords reads records.tsv: a JSON string, a verdict, a remark.
func dmarcRecords(t *testing.T, path string) (out []dmarcLine) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if line[0] == '#' {
			continue
		}
		w := strings.Split(strings.TrimRight(line, "\n"), "\t")
		l := dmarcLine{verdict: w[1]}
		if err := json.Unmarshal([]byte(w[0]), &l.text); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		out = append(out, l)
	}
	return out
}
