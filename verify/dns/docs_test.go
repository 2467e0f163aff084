package dns

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of docs/abuse.md anew")

// The table of docs/abuse.md is the code's, and the test that proves each row is there.
func TestDocs(t *testing.T) {
	t.Parallel()
	const file, begin, end = "../../docs/abuse.md", "<!-- dns -->\n", "<!-- /dns -->"
	var source strings.Builder
	for _, of := range []string{"*_test.go", "../run/*_test.go"} {
		files, err := filepath.Glob(of)
		for _, f := range files {
			b, failed := os.ReadFile(f)
			if err = failed; err != nil {
				break
			}
			source.Write(b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	was, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(was), begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no place for the quotas", file)
	}
	var table strings.Builder
	table.WriteString("| key | a minute | of what | test |\n| --- | --- | --- | --- |\n")
	for _, b := range bounds {
		fmt.Fprintf(&table, "| `%s` | %d %s | %s | `%s` |\n", b.bound.Key(), b.limit(DefaultQuotas()), b.what, b.why, b.test)
		if !strings.Contains(source.String(), "func "+b.test+"(t *testing.T)") {
			t.Errorf("%s proves a rule and is not there", b.test)
		}
	}
	now := before + begin + table.String() + end + after
	switch {
	case now == string(was):
	case *update:
		if err := os.WriteFile(file, []byte(now), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s is not what the code says; go test ./verify/dns -run Docs -update rewrites it", file)
	}
}
