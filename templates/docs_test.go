package templates

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/codes.md")

// TestDocsListEveryFinding keeps docs/codes.md what the sources say.
func TestDocsListEveryFinding(t *testing.T) {
	t.Parallel()
	w, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	const file = "../docs/codes.md"
	want := findingsPage(w, codesInSources(t))
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil || string(got) != want {
		t.Errorf("docs/codes.md is not what the sources say (%v): go test ./templates -run Docs -update", err)
	}
}

func findingsPage(w *Words, all []said) string {
	severities := map[string][]string{}
	checks := map[string]string{}
	for _, s := range all {
		if s.severity == "" {
			continue // a reason, or an answer
		}
		if !slices.Contains(severities[s.code], s.severity) {
			severities[s.code] = append(severities[s.code], s.severity)
		}
		checks[s.code] = filepath.Base(filepath.Dir(s.where))
	}
	var b strings.Builder
	b.WriteString("# Codes of findings\n\n" +
		"Each finding in `report.json` and in the output of `--json` has a `code`, which names the cause. Codes are\n" +
		"never renamed and never reused; new ones are added. Words in braces are its `args`. The severity is `error`\n" +
		"where mail is refused or put into junk for it, `warning` where some receivers mind or where it will break,\n" +
		"`info` where it is only good to know.\n\n" +
		"This page is made from the sources: `go test ./templates -run Docs -update`.\n")
	last := ""
	codes := slices.SortedFunc(maps.Keys(checks), func(x, y string) int {
		return strings.Compare(checks[x]+" "+x, checks[y]+" "+y)
	})
	for _, code := range codes {
		if checks[code] != last {
			last = checks[code]
			fmt.Fprintf(&b, "\n## %s\n\n| code | severity | what it says |\n|---|---|---|\n", last)
		}
		slices.Sort(severities[code])
		sentence := w.byLang[English]["finding-"+code]
		if sentence == "" {
			sentence = w.byLang[English][code]
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", code, strings.Join(severities[code], ", "), strings.ReplaceAll(sentence, "|", `\|`))
	}
	return b.String()
}
