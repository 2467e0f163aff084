package receivers

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func builtinSet(t *testing.T) *Set {
	t.Helper()
	s, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const good = `
[[source]]
id = "page"
title = "A page"
[[receiver]]
id = "post"
name = "Post"
hints = ["postmaster.example.org"]
[[rule]]
id = "post-spf"
receiver = "post"
scope = "all"
strength = "required"
needs = ["spf-pass"]
unless_met = "reject"
code = "550 5.7.1"
source = "page"
requirement = "SPF passes"
`

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	change := func(old, with string) string { return strings.Replace(good, old, with, 1) }
	for _, c := range []struct {
		name, file string
		want       []string
	}{
		{"an unknown predicate", change("spf-pass", "spf-pas"), []string{"own.toml, line 14", `unknown predicate "spf-pas"`, `did you mean "spf-pass"?`}},
		{"a predicate that is like none", change("spf-pass", "weather"), []string{"line 14", "want one of", "aligned-dkim"}},
		{"an unknown receiver", change(`receiver = "post"`, `receiver = "gmial"`), []string{"line 11", `unknown receiver "gmial"`, `did you mean "gmail"?`}},
		{"an unknown source", change(`source = "page"`, `source = "pages"`), []string{"line 17", `unknown source "pages"`, `did you mean "page"?`}},
		{"an unknown verdict", change(`"reject"`, `"rejekt"`), []string{"line 15", `unknown verdict "rejekt"`, `did you mean "reject"?`}},
		{"an unknown scope", change(`"all"`, `"al"`), []string{"line 12", `unknown scope "al"`, `did you mean "all"?`}},
		{"an unknown strength", change(`"required"`, `"must"`), []string{"line 13", `unknown strength "must"`, "want one of required"}},
		{"a domain's policy that refuses", change(`"required"`, `"domain-policy"`), []string{"line 13", "domain-policy goes with junk alone", "write required or observed"}},
		{"no predicate", change(`["spf-pass"]`, `[]`), []string{"line 14", "needs no predicate"}},
		{"no verdict", change(`unless_met = "reject"`, ``), []string{"line 9", `unknown verdict ""`}},
		{"no requirement", change(`requirement = "SPF passes"`, ``), []string{"line 10", "no requirement"}},
		{"an id that cannot be part of a code", change(`"post-spf"`, `"Post SPF"`), []string{"line 10", "lower-case letters"}},
		{"a receiver without a name", change(`name = "Post"`, ``), []string{"line 6", `receiver "post"`}},
		{"a source without a title", change(`title = "A page"`, ``), []string{"line 3", "id and a title"}},
		{"a rule twice", good + good[strings.Index(good, "[[rule]]"):], []string{"line 20", `rule "post-spf" stands here a second time`, "line 10"}},
		{"a receiver twice", good + "[[receiver]]\nid = \"post\"\nname = \"P\"\n", []string{`receiver "post" stands here a second time`, "line 6"}},
		{"a source twice", good + "[[source]]\nid = \"page\"\ntitle = \"P\"\n", []string{`source "page" stands here a second time`, "line 3"}},
		{"an unknown key", change("unless_met", "unless_me"), []string{"line 15", `unknown key "rule.unless_me"`, `did you mean "unless_met"?`}},
		{"an unknown table", change("[[source]]", "[[sources]]"), []string{"line", "unknown key", `did you mean "source"?`}},
		{"a wrong type", change(`["spf-pass"]`, `"spf-pass"`), []string{"own.toml, line 14", "column"}},
		{"no TOML", "[[rule", []string{"own.toml, line 1"}},
		{"all faults at once", change("spf-pass", "spf-pas") + "[[receiver]]\nid = \"\"\n", []string{`"spf-pas"`, `receiver ""`}},
		{"an inline array, whose lines are not known", "source = [{id = \"x\", title = \"\"}]\n", []string{"own.toml: a source needs"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := load([]text{{name: "receivers.toml", body: builtin, builtin: true}, {name: "own.toml", body: c.file}})
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q in it", err, want)
				}
			}
		})
	}
}

func TestLoadTakesAnOperatorsFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, second := filepath.Join(dir, "a.toml"), filepath.Join(dir, "b.toml")
	write(t, first, good)
	write(t, second, `
[[rule]]
id = "gmail-tls"
receiver = "gmail"
scope = "all"
strength = "required"
needs = ["tls"]
unless_met = "reject"
code = "550 5.7.29"
source = "page"
requirement = "TLS, as we were told"
`)
	s, err := Load(first, second)
	if err != nil {
		t.Fatal(err)
	}
	f := allWell()
	f.TLS = Known(false)
	f.SPF = "fail"
	got := s.Judge(f)
	if v := of(t, got, "gmail"); v.Verdict != Reject || v.Code != "550 5.7.29" {
		t.Errorf("replaced rule: got %s %s, want reject 550 5.7.29", v.Verdict, v.Code)
	}
	v := of(t, got, "post")
	if v.Verdict != Reject || v.Rules[0].Requirement.Text != "SPF passes" || v.Hint.Text != "postmaster.example.org" || v.Rules[0].Source != "A page" {
		t.Errorf("added receiver: got %+v", v)
	}
	if was, is := len(builtinSet(t).rules), len(s.rules); is != was+1 {
		t.Errorf("got %d rules, want one more than %d: a replaced rule keeps its place", is, was)
	}
	if slices.Contains(s.Codes(), "rule-post-spf") || slices.Contains(s.Codes(), "receiver-hint-post") {
		t.Error("an operator's own sentences are no codes")
	}
	if _, err := Load(filepath.Join(dir, "none.toml")); err == nil || !strings.Contains(err.Error(), "none.toml") {
		t.Errorf("missing file: got %v", err)
	}
}

func write(t *testing.T, name, body string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestBuiltinIsWhole(t *testing.T) {
	t.Parallel()
	s := builtinSet(t)
	used, sources, judged := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for i := range s.rules {
		ru := &s.rules[i]
		sources[ru.Source], judged[ru.Receiver] = true, true
		for _, name := range ru.Needs {
			used[name] = true
		}
		if ru.UnlessMet == Defer && ru.DeferCode == "" {
			t.Errorf("%s: defers with no code", ru.ID)
		}
		if ru.Requirement != "" {
			t.Errorf("%s: its sentence stands with the words, not here", ru.ID)
		}
	}
	for _, name := range Predicates() {
		// The two are for operators: the rules here tell the policies apart, and ask for a name over IPv6 alone.
		if !used[name] && name != "dmarc-pass-or-no-policy" && name != "ptr" {
			t.Errorf("predicate %q is used by no rule", name)
		}
	}
	for id := range s.sources {
		if !sources[id] {
			t.Errorf("source %q is used by no rule", id)
		}
	}
	for i := range s.receivers {
		if !judged[s.receivers[i].ID] {
			t.Errorf("receiver %q has no rule", s.receivers[i].ID)
		}
	}
	codes := s.Codes()
	if n := len(slices.Compact(slices.Sorted(slices.Values(codes)))); n != len(codes) || n < 80 {
		t.Errorf("%d codes, %d of them different", len(codes), n)
	}
}

// Whatever an operator writes is taken or refused, and what is taken judges.
func FuzzLoad(f *testing.F) {
	f.Add(good)
	f.Add("rule = [{id = \"a\"}]")
	f.Add("[rule]\nid = 1")
	f.Add("receiver.id = 1\n[[rule.needs]]\nx = 1")
	f.Fuzz(func(t *testing.T, body string) {
		s, err := load([]text{{name: "receivers.toml", body: good, builtin: true}, {name: "own.toml", body: body}})
		if err != nil {
			return
		}
		for _, v := range s.Judge(allWell()) {
			if _, ok := worse[v.Verdict]; !ok && v.Verdict != Unknown {
				t.Fatalf("%s: verdict %q", v.ID, v.Verdict)
			}
		}
	})
}
