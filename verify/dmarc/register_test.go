package dmarc_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	test     = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	citation = regexp.MustCompile(`RFC (\d+), ([0-9.]*[0-9])`)
)

// The registers name tests that exist, and every section that the code cites.
func TestRegisters(t *testing.T) {
	t.Parallel()
	lists, rules := read(t, "testdata/rfc*.txt"), map[string]bool{}
	for file, text := range lists {
		rfc := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "rfc"), ".txt")
		for line := range strings.Lines(text) {
			section, _, _ := strings.Cut(line, " ")
			rules["RFC "+rfc+", "+section] = true
		}
	}
	tests := map[string]bool{}
	for file, text := range read(t, "*.go") {
		for _, m := range test.FindAllStringSubmatch(text, -1) {
			tests[m[1]] = true
		}
		for _, m := range citation.FindAllStringSubmatch(text, -1) {
			_, kept := lists["testdata/rfc"+m[1]+".txt"]
			if kept && !rules[m[0]] && !strings.HasSuffix(file, "_test.go") {
				t.Errorf("%s: %s is cited and not in its register", file, m[0])
			}
		}
	}
	for file, text := range lists {
		for line := range strings.Lines(text) {
			_, how, ok := strings.Cut(strings.TrimSpace(line), " | ")
			if line[0] != '#' && (!ok || !tests[how] && !strings.HasPrefix(how, "not done: ")) {
				t.Errorf("%s: %q names no test that exists and no cause", file, strings.TrimSpace(line))
			}
		}
	}
}

func read(t *testing.T, pattern string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no files (%v)", pattern, err)
	}
	out := map[string]string{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out[f] = string(b)
	}
	return out
}
