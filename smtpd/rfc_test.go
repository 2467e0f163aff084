package smtpd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each line of testdata/rfc5321.txt names a rule and the test that shows it, or why it is not done.
func TestRFC5321ListNamesTestsThatExist(t *testing.T) {
	t.Parallel()
	var source strings.Builder
	for _, pattern := range []string{"*_test.go", "front/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			source.Write(b)
		}
	}
	list, err := os.ReadFile("testdata/rfc5321.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(list)) {
		rule, proof, ok := strings.Cut(strings.TrimSpace(line), " | ")
		if why, found := strings.CutPrefix(proof, "not done: "); found && why != "" {
			continue
		}
		if !ok || !strings.Contains(source.String(), "func "+proof+"(") {
			t.Errorf("%s: there is no test %q", rule, proof)
		}
	}
}
