package smtpd

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
	const file, begin, end = "../docs/abuse.md", "<!-- smtpd -->\n", "<!-- /smtpd -->"
	var source strings.Builder
	files, err := filepath.Glob("*_test.go")
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
	was, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(was), begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no place for what clients share", file)
	}
	var table strings.Builder
	table.WriteString("| key | at once | the client hears | of what | test |\n| --- | --- | --- | --- | --- |\n")
	for _, p := range pots {
		fmt.Fprintf(&table, "| `%s` | %d %s | %d %d.%d.%d | %s | `%s` |\n", p.key, p.size(Defaults()), p.unit,
			p.code, p.enhanced[0], p.enhanced[1], p.enhanced[2], p.why, p.test)
		if !strings.Contains(source.String(), "func "+p.test+"(t *testing.T)") {
			t.Errorf("%s proves a rule and is not there", p.test)
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
		t.Errorf("%s is not what the code says; go test ./smtpd -run Docs -update rewrites it", file)
	}
}
