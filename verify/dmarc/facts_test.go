package dmarc

import (
	"testing"

	"checkauth/verify/result"
)

// Whose signature it is, where it is not the author's: RFC 9989, 4.4.
func TestResult_counts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		domain    string
		why, want result.Code
	}{
		{"mailer.example", "dmarc-align-other", "dkim-of-another"},
		{"a.example.org", "dmarc-align-strict", "dkim-not-strict"},
		{"a.example.org", "dmarc-align-no-record", "dkim-own-no-record"},
		{"ORG", "dmarc-align-no-record", "dkim-own-no-record"},
		{"notexample.org", "dmarc-align-no-record", "dkim-of-another-no-record"},
		{"example.org", "dmarc-align-unknown", "dmarc-align-unknown"},
	} {
		row := Alignment{Identifier: Identifier{Domain: c.domain}, Why: result.Because(c.why)}
		r := Result{Author: "example.org", DKIM: []Alignment{row}}
		if got := r.Counts(0, result.Pass, false); got.Code != c.want {
			t.Errorf("%s, %s: got %s, want %s", c.domain, c.why, got.Code, c.want)
		}
	}
}

// Each signature has its own row.
func TestResult_row_is_by_index(t *testing.T) {
	t.Parallel()
	d := &Result{DKIM: []Alignment{{Org: "a"}, {Org: "b"}}}
	for index, want := range map[int]string{-1: "", 0: "a", 1: "b", 2: ""} {
		row, ok := d.Row(index)
		if row.Org != want || ok != (want != "") {
			t.Errorf("signature %d: got %q, %t, want %q", index, row.Org, ok, want)
		}
	}
}
