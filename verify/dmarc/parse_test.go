package dmarc_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"checkauth/verify/dmarc"
)

// show is a record in short.
func show(r dmarc.Record) string {
	return fmt.Sprintf("p=%s sp=%s np=%s adkim=%s aspf=%s psd=%s t=%t rua=%d ruf=%d",
		r.P, r.SP, r.NP, r.ADKIM, r.ASPF, r.PSD, r.Test, len(r.RUA), len(r.RUF))
}

func TestRFC9989_4_8_record_syntax(t *testing.T) {
	t.Parallel()
	const plain = "p=reject sp= np= adkim=r aspf=r psd=u t=false rua=0 ruf=0"
	for _, c := range []struct{ name, text, want string }{
		{"plain", "v=DMARC1; p=reject", plain},
		{"a semicolon at the end", "v=DMARC1;p=reject;", plain},
		{"blanks", "v = DMARC1\t;\tp\t \t=\treject\t; ", plain},
		{"upper case", "V=DMARC1; P=ReJect", plain},
		{"unusual order", "v=DMARC1; p=reject; adkim=s; sp=none", "p=reject sp=none np= adkim=s aspf=r psd=u t=false rua=0 ruf=0"},
		{"everything", "v=DMARC1; p=quarantine; sp=reject; np=none; adkim=S; aspf=s; psd=N; t=Y; rua=mailto:a@example.org, mailto:b@example.org!10m; ruf=mailto:c@example.org; fo=1:d:s",
			"p=quarantine sp=reject np=none adkim=s aspf=s psd=n t=true rua=2 ruf=1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, ok := dmarc.Parse(c.text)
			if got := show(r); !ok || got != c.want || len(r.Faults) > 0 || r.Fallback || r.Unusable {
				t.Errorf("%q: got %s, %t, faults %+v; want %s", c.text, got, ok, r.Faults, c.want)
			}
		})
	}
}

// RFC 9989, 4.7: what does not begin with the version is no record.
func TestRFC9989_4_7_version(t *testing.T) {
	t.Parallel()
	for text, meant := range map[string]bool{
		"":                         false,
		"v=":                       false,
		"v=spf1 -all":              false,
		"v=DMARC12; p=reject":      true,
		"v=DMARC2; p=reject":       true,
		"v=dmarc1; p=reject":       true,
		"v=DMARC1 p=reject":        true,
		" v=DMARC1; p=reject":      true,
		"p=reject; v=DMARC1":       true,
		"DMARC1; p=reject":         true,
		`"v=DMARC1; p=reject"`:     true,
		`v\=DMARC1\; p=reject`:     true,
		"v=\"DMARC1\"; p=reject":   true,
		"v =  DMARC 1; p = reject": true,
	} {
		r, ok := dmarc.Parse(text)
		if ok || dmarc.Meant(text) != meant || len(r.Faults) != 1 || r.Faults[0].Kind != dmarc.FaultSyntax {
			t.Errorf("%q: got %t, meant %t, %+v; want no record, meant %t", text, ok, dmarc.Meant(text), r.Faults, meant)
		}
	}
}

// Faults name the tag and its column; the tag falls back to its default.
func TestRFC9989_4_7_faults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text   string
		faults []string // kind tag column value
	}{
		{"v=DMARC1; p=none; adkim=x", []string{"syntax adkim 19 x"}},
		{"v=DMARC1; p=none; aspf=", []string{"syntax aspf 19 "}},
		{"v=DMARC1; p=none; psd=x; t=1", []string{"syntax psd 19 x", "syntax t 26 1"}},
		{"v=DMARC1; p=none; fo=0:1", []string{"syntax fo 19 0:1"}},
		{"v=DMARC1; p=none; fo=01", []string{"syntax fo 19 01"}},
		{"v=DMARC1; p=none; fo=", []string{"syntax fo 19 "}},
		{"v=DMARC1; p=none; rua=a@example.org", []string{"syntax rua 19 a@example.org"}},
		{"v=DMARC1; p=none; rua=mailto:a@example.org!", []string{"syntax rua 19 mailto:a@example.org!"}},
		{"v=DMARC1; p=none; rua=mailto:a@example.org!10p", []string{"syntax rua 19 mailto:a@example.org!10p"}},
		{"v=DMARC1; p=none; rua=mailto:a", []string{"syntax rua 19 mailto:a"}},
		{"v=DMARC1; p=none; rua=__mailto:a@example.org", []string{"syntax rua 19 __mailto:a@example.org"}},
		{"v=DMARC1; p=none; ruf=mailto:a@example.org,", []string{"syntax ruf 19 mailto:a@example.org,"}},
		{"v=DMARC1; p", []string{"syntax p 11 p", "syntax p 12 "}},
		{"v=DMARC1; p=none;; t=n", []string{"syntax ; 18 "}},
		{"v=DMARC1; p=none pct=50", []string{"syntax p 11 none pct=50"}},
		{"v=DMARC1; p=none, sp=none", []string{"syntax p 11 none, sp=none"}},
		{"v=DMARC1; p=none; p=reject", []string{"duplicate p 19 reject"}},
		{"v=DMARC1; v=DMARC1; p=none", []string{"duplicate v 11 DMARC1"}},
		{"v=DMARC1; sp=none; p=none", []string{"order p 20 none"}},
		{"v=DMARC1; p=none; xyz=foo", []string{"unknown xyz 19 foo"}},
		{"v=DMARC1; p=none; x-y=foo", []string{"syntax x-y=foo 19 x-y=foo"}},
		{"v=DMARC1; p=none; pct=50; rf=afrf; ri=x", []string{"historic pct 19 50", "historic rf 27 afrf", "historic ri 36 x"}},
		{"v=DMARC1", []string{"syntax p 9 "}},
		{"v=DMARC1; P=rejct", []string{"syntax p 11 rejct"}},
	} {
		r, ok := dmarc.Parse(c.text)
		var got []string
		for _, f := range r.Faults {
			got = append(got, fmt.Sprintf("%s %s %d %s", f.Kind, f.Tag, f.Column, f.Value))
		}
		if !ok || !slices.Equal(got, c.faults) {
			t.Errorf("%q: got %t, %q; want %q", c.text, ok, got, c.faults)
		}
	}
}

func TestRFC9989_4_7_the_first_of_two_counts(t *testing.T) {
	t.Parallel()
	if r, _ := dmarc.Parse("v=DMARC1; p=none; p=reject; sp=reject; sp=none"); r.P != "none" || r.SP != "reject" {
		t.Errorf("got %s, want the first of each", show(r))
	}
}

func TestParse_keeps_few_faults_of_many(t *testing.T) {
	t.Parallel()
	r, ok := dmarc.Parse("v=DMARC1; p=reject" + strings.Repeat(";"+strings.Repeat("x", 300), 200))
	if !ok || r.P != "reject" || len(r.Faults) != 20 || len(r.Faults[0].Value) > 60 {
		t.Errorf("got %s with %d faults", show(r), len(r.Faults))
	}
}
