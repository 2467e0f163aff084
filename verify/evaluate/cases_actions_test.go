package evaluate_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"checkauth/reply/compose"
	"checkauth/reply/policy"
	"checkauth/verify"
	"checkauth/verify/result"
)

// checkActions holds the actions of an incident against what is wanted of it: each with its proof, and
// reached again by a second evaluation of the changed zone; nothing touched or said that must not be.
func checkActions(t *testing.T, dir string, c incident, r *verify.Report) {
	t.Helper()
	said := sentences(t, r)
	for _, want := range c.Expect.Actions {
		i := slices.IndexFunc(said.Actions, want.matches)
		if i < 0 {
			t.Errorf("no action %s %s %v among\n%s", want.Name, want.Type, want.MustContain, listed(said.Actions))
			continue
		}
		a := said.Actions[i]
		if want.After == (wantedAction{}).After {
			continue
		}
		if a.Proof == nil || !want.reached(a.Proof.Words) {
			t.Errorf("%s: the proof is %+v, want %+v", a.Value, a.Proof, want.After)
		}
		_, again := evaluateCaseWith(t, dir, func(zone string) string { return applied(zone, a) })
		if got := verify.WordsOf(again); !want.reached(got) {
			t.Errorf("%s: with it in the zone %+v, want %+v", a.Value, got, want.After)
		}
	}
	for _, a := range said.Actions {
		if slices.Contains(c.Expect.MustNotTouch, a.Name) {
			t.Errorf("an action touches %s: %s", a.Name, a.Value)
		}
	}
	for _, pattern := range c.Expect.MustNotSay {
		re := regexp.MustCompile("(?i)" + pattern)
		b, err := json.Marshal(struct{ F, A any }{said.Findings, said.Actions})
		if err != nil {
			t.Fatal(err)
		}
		if m := re.Find(b); m != nil {
			t.Errorf("it says %q, which matches %q", m, pattern)
		}
	}
}

// sentences is the report with its words, as a program reads it.
func sentences(t *testing.T, r *verify.Report) *verify.Report {
	t.Helper()
	composer, err := compose.New(compose.Defaults(), nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := composer.JSON(r, policy.Proved)
	if err != nil {
		t.Fatal(err)
	}
	var out verify.Report
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return &out
}

func (w wantedAction) matches(a verify.Action) bool {
	if a.Name != w.Name || !slices.Contains(strings.Split(w.Type, "|"), a.Type) {
		return false
	}
	text := a.Value
	if a.Type != "TXT" {
		b, _ := json.Marshal(a)
		text = string(b)
	}
	text = strings.ToLower(text)
	has := func(any string) bool {
		return slices.ContainsFunc(strings.Split(any, "|"), func(s string) bool { return strings.Contains(text, strings.ToLower(s)) })
	}
	return !slices.ContainsFunc(w.MustContain, func(s string) bool { return !has(s) }) && !slices.ContainsFunc(w.MustNotContain, has)
}

func (w wantedAction) reached(got verify.Words) bool {
	for _, x := range [][2]result.Word{{w.After.SPF, got.SPF}, {w.After.DKIM, got.DKIM}, {w.After.DMARC, got.DMARC}} {
		if x[0] != "" && x[0] != x[1] {
			return false
		}
	}
	return true
}

func listed(actions []verify.Action) string {
	var b strings.Builder
	for _, a := range actions {
		j, _ := json.Marshal(a)
		b.Write(append(j, '\n'))
	}
	return b.String()
}

// applied is the zone text with the action's record in place of what it replaces.
func applied(zone string, a verify.Action) string {
	owner := strings.ToLower(a.Name) + "."
	var out []string
	for l := range strings.Lines(zone) {
		f := strings.Fields(l)
		fault := len(f) > 2 && f[0] == ";FAULT" && strings.ToLower(f[2]) == owner
		if fault || len(f) > 2 && strings.ToLower(f[0]) == owner && goes(l, a) {
			continue
		}
		out = append(out, strings.TrimRight(l, "\r\n"))
	}
	return strings.Join(append(out, a.Zone), "\n") + "\n"
}

// goes: the line of the zone is one that the action's record takes the place of.
func goes(l string, a verify.Action) bool {
	low := strings.ToLower(l)
	txt := strings.Contains(low, " txt ") || strings.Contains(low, "\ttxt")
	switch {
	case strings.Contains(a.Name, "._domainkey."):
		return txt || strings.Contains(low, "cname")
	case strings.HasPrefix(strings.ToLower(a.Value), "v=spf1"):
		return txt && strings.Contains(low, `"v=spf1`)
	case strings.HasPrefix(strings.ToLower(a.Value), "v=dmarc1"):
		return txt && strings.Contains(low, `"v=dmarc1`)
	}
	return a.Type == "PTR" && strings.Contains(low, "ptr")
}

// evaluateCaseWith is evaluateCase in a zone that was changed.
func evaluateCaseWith(t *testing.T, dir string, change func(string) string) (incident, *verify.Report) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "zone.txt"))
	if err != nil {
		t.Fatal(err)
	}
	return evaluateCaseIn(t, dir, change(string(b)))
}
