package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	testName = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	citation = regexp.MustCompile(`RFC (\d+), ([0-9A-Z.]*[0-9])`)
)

// Each check keeps registers, testdata/rfcNNNN.txt: a line a rule, "5.5 the rule | TestName", or "not
// done: why". They name tests that exist, and have every section of that RFC that the package's sources
// cite.
func TestRegisters(t *testing.T) {
	t.Parallel()
	found := map[string][]string{} // register files by the package's folder
	err := filepath.WalkDir("../..", func(file string, d fs.DirEntry, err error) error {
		if err == nil && registerOf(file) != "" && filepath.Base(filepath.Dir(file)) == "testdata" {
			dir := filepath.Dir(filepath.Dir(file))
			found[dir] = append(found[dir], file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 15 {
		t.Fatalf("registers in %d packages: the search is broken", len(found))
	}
	for dir, files := range found {
		tests, sources := sourcesOf(t, dir)
		for _, file := range files {
			checkRegister(t, file, tests, sources)
		}
	}
}

// registerOf is the RFC's number, or empty where the file is no register.
func registerOf(file string) string {
	m := regexp.MustCompile(`^rfc(\d+)\.txt$`).FindStringSubmatch(filepath.Base(file))
	if m == nil {
		return ""
	}
	return m[1]
}

func checkRegister(t *testing.T, file string, tests map[string]bool, sources string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		rule, proof, _ := strings.Cut(line, " | ")
		section, _, _ := strings.Cut(rule, " ")
		sections[section] = true
		if why, ok := strings.CutPrefix(proof, "not done: "); !tests[proof] && (!ok || why == "") {
			t.Errorf("%s: %q names no test that exists and no cause", file, line)
		}
	}
	for _, m := range citation.FindAllStringSubmatch(sources, -1) {
		if m[1] == registerOf(file) && !sections[m[2]] {
			t.Errorf("%s: %s is cited, and not there", file, m[0])
		}
	}
}

// sourcesOf gives the names of the tests of a package, with those of the packages below it, and the text
// of its own sources.
func sourcesOf(t *testing.T, dir string) (tests map[string]bool, sources string) {
	t.Helper()
	tests = map[string]bool{}
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(file, ".go") {
			return err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if !strings.HasSuffix(file, "_test.go") {
			sources += string(text)
			return nil
		}
		for _, m := range testName.FindAllStringSubmatch(string(text), -1) {
			tests[m[1]] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests, sources
}
