package spf_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The register names a test for each rule, and has each section that the sources cite.
func TestRegisterOfRFC7208(t *testing.T) {
	t.Parallel()
	register, err := os.ReadFile("testdata/rfc7208.txt")
	if err != nil {
		t.Fatal(err)
	}
	tests, sources := sourceTexts(t)
	sections := map[string]bool{}
	for line := range strings.Lines(string(register)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		rule, test, ok := strings.Cut(line, " | ")
		section, _, _ := strings.Cut(rule, " ")
		sections[section] = true
		switch {
		case !ok:
			t.Errorf("%q: want a test or \"not done: why\"", line)
		case strings.HasPrefix(test, "not done: "):
		case !strings.Contains(tests, "func "+test+"("):
			t.Errorf("%q: there is no test of that name", line)
		}
	}
	for _, m := range regexp.MustCompile(`RFC 7208, ([0-9]+(?:\.[0-9]+)*)`).FindAllStringSubmatch(sources, -1) {
		if !sections[m[1]] {
			t.Errorf("RFC 7208, %s is cited, but not in the register", m[1])
		}
	}
}

func sourceTexts(t *testing.T) (tests, sources string) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, "_test.go") {
			tests += string(text)
		} else {
			sources += string(text)
		}
	}
	return tests, sources
}
