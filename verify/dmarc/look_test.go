package dmarc_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"checkauth/verify/dmarc"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/result"
)

func look(t *testing.T, zone, domain, other string) dmarc.Lookup {
	t.Helper()
	return dmarc.Evaluator{DNS: dnstest.Zone(t, zone)}.Look(t.Context(), domain, other)
}

// walked writes walks in short: "a.example.org: nothing, record; org example.org".
func walked(ws []dmarc.Walk) string {
	var out []string
	for _, w := range ws {
		var steps []string
		for _, s := range w.Asked {
			steps = append(steps, strings.TrimSuffix(string(s.Found)+" "+s.PSD, " "))
		}
		out = append(out, fmt.Sprintf("%s: %s; org %s", w.Start, strings.Join(steps, ", "), w.Org))
	}
	return strings.Join(out, " | ")
}

// RFC 9989, 4.10: each name that was asked, and what was there.
func TestRFC9989_4_10_walks_are_shown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, zone, identifier, want string }{
		{"nothing", "", "", "a.example.org: nothing, nothing, nothing; org a.example.org"},
		{"a record above", `_dmarc.example.org. TXT "v=DMARC1; p=none"`, "", "a.example.org: nothing, record, nothing; org example.org"},
		{"psd", `_dmarc.example.org. TXT "v=DMARC1; p=none; psd=n"`, "", "a.example.org: nothing, record n; org example.org"},
		{"several", "_dmarc.example.org. TXT \"v=DMARC1; p=none\"\n_dmarc.example.org. TXT \"v=DMARC1; p=reject\"", "", "a.example.org: nothing, several, nothing; org a.example.org"},
		{"another text", `_dmarc.example.org. TXT "x"`, "", "a.example.org: nothing, other, nothing; org a.example.org"},
		{"an error", ";FAULT SERVFAIL _dmarc.example.org. TXT", "", "a.example.org: nothing, error; org "},
		{"a second walk", `_dmarc.example.org. TXT "v=DMARC1; p=none"`, "dkim pass b.example.org",
			"a.example.org: nothing, record, nothing; org example.org | b.example.org: nothing, record, nothing; org example.org"},
		{"none for what cannot align", `_dmarc.example.org. TXT "v=DMARC1; p=none"`, "dkim pass example.net", "a.example.org: nothing, record, nothing; org example.org"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ids := slices.DeleteFunc([]string{c.identifier}, func(s string) bool { return s == "" })
			r := check(t, c.zone, query("a.example.org", ids...))
			if got := walked(r.Walks); got != c.want {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
			for _, w := range r.Walks {
				if w.Asked[0].Name != "_dmarc."+w.Start || w.Asked[0].Texts != nil {
					t.Errorf("got %+v, want the name and no texts in a message's result", w.Asked[0])
				}
			}
		})
	}
}

func TestLook(t *testing.T) {
	t.Parallel()
	const record = `_dmarc.example.org. TXT "v=DMARC1; p=reject; sp=quarantine; np=none"` + "\n"
	for _, c := range []struct {
		name, zone, domain, want string // word, reason, policy and tag
		at, org                  string
		findings                 []string
	}{
		{"one's own", record, "example.org", "pass dmarc-record-applies reject p", "example.org", "example.org", nil},
		{"from above", record + "a.example.org. A 192.0.2.1", "a.example.org", "pass dmarc-record-applies quarantine sp", "example.org", "example.org", []string{"info dmarc-subdomain-policy"}},
		{"a name that does not exist", record, "a.example.org", "pass dmarc-record-applies none np", "example.org", "example.org",
			[]string{"info dmarc-old-view-differs", "info dmarc-subdomain-policy"}},
		{"none", "", "example.org", "none dmarc-no-record  ", "", "example.org", []string{"warning dmarc-none"}},
		{"at the wrong name", `example.org. TXT "v=DMARC1; p=none"`, "example.org", "none dmarc-no-record  ", "", "example.org", []string{"error dmarc-wrong-name"}},
		{"cannot be used", `_dmarc.example.org. TXT "v=DMARC1; p=x"`, "example.org", "permerror dmarc-record-unusable  ", "", "example.org", []string{"error dmarc-syntax"}},
		{"the DNS fails", ";FAULT SERVFAIL _dmarc.example.org. TXT", "example.org", "temperror dns-servfail  ", "", "", []string{"error dns-servfail"}},
		{"the DNS fails above", record + ";FAULT SERVFAIL _dmarc.org. TXT", "example.org", "pass dmarc-record-applies reject p", "example.org", "", []string{"warning dns-servfail"}},
		{"whether it exists is not known", record + ";FAULT SERVFAIL a.example.org. A", "a.example.org", "temperror dns-servfail  ", "example.org", "example.org", []string{"error dns-servfail"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := look(t, c.zone, c.domain, "")
			got := fmt.Sprintf("%s %s %s %s", l.Word, l.Reason.Code, l.Policy, l.Tag)
			if got != c.want || l.PolicyName != c.at || l.Org != c.org || l.SPF != nil || l.DKIM != nil || l.Domain != c.domain {
				t.Errorf("got %s of %q in %q; want %s of %q in %q", got, l.PolicyName, l.Org, c.want, c.at, c.org)
			}
			want(t, dmarc.Result{Findings: l.Findings}, c.findings...)
			if (l.Cause != nil) != (l.Word == result.TempError || l.Word == result.PermError) {
				t.Errorf("%s with cause %v", l.Word, l.Cause)
			}
		})
	}
}

func TestLook_shows_record_and_texts(t *testing.T) {
	t.Parallel()
	l := look(t, "_dmarc.example.org. TXT \"v=DMARC1;  p=rejct; x\"\n_dmarc.example.org. TXT \"other\"", "example.org", "")
	if l.Record != "v=DMARC1;  p=rejct; x" || !slices.Equal(l.Tags, []dmarc.Tag{{"v", "DMARC1", 1}, {"p", "rejct", 12}, {"x", "", 21}}) {
		t.Errorf("got %q, %v", l.Record, l.Tags)
	}
	if texts := l.Walks[0].Asked[0].Texts; len(texts) != 2 {
		t.Errorf("got %q, want both texts", texts)
	}
	var many strings.Builder
	for i := range 100 {
		fmt.Fprintf(&many, "x%d=%d;", i, i)
	}
	if n := len(dmarc.Tags(many.String())); n != 40 {
		t.Errorf("%d tags, want 40", n)
	}
}

// How what passes for another domain would count.
func TestLook_alignment(t *testing.T) {
	t.Parallel()
	const zone = `_dmarc.example.org. TXT "v=DMARC1; p=none; aspf=s"`
	for _, c := range []struct {
		other     string
		spf, dkim bool
	}{
		{"example.org", true, true}, {"a.example.org", false, true}, {"example.net", false, false},
	} {
		l := look(t, zone, "example.org", c.other)
		if l.SPF == nil || l.DKIM == nil || l.SPF.Aligned != c.spf || l.DKIM.Aligned != c.dkim || l.DKIM.Why.IsZero() {
			t.Errorf("%s: got %+v, %+v; want %t, %t", c.other, l.SPF, l.DKIM, c.spf, c.dkim)
		}
	}
	if l := look(t, "", "example.org", "example.org"); l.SPF == nil || l.SPF.Aligned || l.SPF.Why.Code != "dmarc-align-no-record" {
		t.Errorf("no record: got %+v", l.SPF)
	}
}
