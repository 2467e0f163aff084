package evaluate

import (
	"context"
	"strings"
	"testing"
	"time"

	"checkauth/reply/compose"
	"checkauth/reply/policy"
	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// moon is a check that nothing of the program knows.
type moon struct {
	Phase string        `json:"phase"`
	Why   result.Reason `json:"why"`
}

func (m *moon) EachReason(do func(*result.Reason)) { do(&m.Why) }

func checkMoon(_ context.Context, _ Evaluator, _ dns.Resolver, in input) []result.Outcome {
	d := &moon{Phase: "waxing", Why: result.Because("arc-no-sets")}
	return []result.Outcome{{
		Result: result.Fail, Reason: result.Because("spf-no-record", "domain", result.Domain("example.org")), Detail: d,
		Findings: []result.Finding{result.Found(result.Info, "spf-version", "domain", result.Domain("example.org"), "text", in.msg.Fields.Value("Subject"))},
		Facts: []result.Fact{
			{Label: "Phase:", Code: "html-domain", Lines: []result.Line{result.LineOf(result.Ours(d.Phase), result.Ours(", seen by "), in.env.Helo)}},
			{Label: "Craters:", Code: "html-mx", Lines: []result.Line{result.LineOf(in.msg.Fields.Value("Subject"))}},
		},
		Table: &result.Table{Head: []result.Code{"html-domain"}, Rows: [][]result.Cell{{{Line: result.LineOf(result.Ours("Mare Imbrium"))}}}},
	}}
}

// A check is one package and one line in the list: it stands in the text, on the page and in the JSON, and an unproved sender
// is shown nothing of it that is a stranger's, though nobody else knows the check.
func TestACheckIsOnePackageAndOneLine(t *testing.T) {
	t.Parallel()
	ev := Evaluator{Config: Defaults(), DNS: dnstest.Zone(t, zone), Now: time.Now,
		more: []check{{method: "moon", label: "Moon", stage: beside, beyond: true, run: checkMoon}}}
	c, err := compose.New(compose.Defaults(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, class := range []policy.Class{policy.Proved, policy.Open} {
		m := message(t, "192.0.2.1", strings.Replace(plain, "Subject: ", "Subject: craterwords ", 1))
		m.Envelope.Helo = "hellowords.example"
		r := ev.Evaluate(t.Context(), m)
		d := policy.Decision{Class: class}
		text, err := c.Text(r, d, mail.Data{})
		if err != nil {
			t.Fatal(err)
		}
		page, err := c.HTML(r, d)
		if err != nil {
			t.Fatal(err)
		}
		object, err := c.JSON(r, class)
		if err != nil {
			t.Fatal(err)
		}
		for form, want := range map[string][]string{
			text:           {"Moon check:         fail", "Moon check details:", "Result:         fail (example.org has no SPF record)", "Phase:          waxing, seen by ", "Craters:        "},
			page:           {"<th scope=row nowrap>Moon</th>", "waxing, seen by ", "<td>Mare Imbrium</td>"},
			string(object): {`"method":"moon","result":"fail"`, `"check":"moon"`},
		} {
			for _, w := range want {
				if !strings.Contains(form, w) {
					t.Errorf("class %s: %q is not in\n%.3000s", class, w, form)
				}
			}
			// The proved sender sees his own words, and the other one no stranger's.
			for _, words := range []string{"craterwords", "hellowords"} {
				if got, want := strings.Contains(form, words), class == policy.Proved; got != want {
					t.Errorf("class %s: %s: %t, want %t", class, words, got, want)
				}
			}
		}
		if got, want := strings.Contains(string(object), `"details":{"phase":"waxing","why":{"code":"arc-no-sets","text":`), class == policy.Proved; got != want {
			t.Errorf("class %s: details in the JSON: %t, want %t", class, got, want)
		}
	}
}
