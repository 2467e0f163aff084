// Package docstest keeps what the code says in a document: tables between two marks, and the tests that prove their rows.
package docstest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tables of the documents anew")

// Table stands in a document between <!-- Name --> and <!-- /Name -->.
type Table struct {
	Name string
	Head []string   // of the columns
	Rows [][]string // a cell a column
}

func (t Table) text() string {
	var b strings.Builder
	row := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	row(t.Head)
	b.WriteString(strings.Repeat("| --- ", len(t.Head)) + "|\n")
	for _, r := range t.Rows {
		row(r)
	}
	return b.String()
}

// Tables fails where the tables of a document are not what the code says; -update writes them. folder is the package's, for
// the words.
func Tables(t *testing.T, file, folder string, tables ...Table) {
	t.Helper()
	was, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	now := string(was)
	for _, table := range tables {
		begin, end := "<!-- "+table.Name+" -->\n", "<!-- /"+table.Name+" -->"
		before, rest, ok := strings.Cut(now, begin)
		_, after, closed := strings.Cut(rest, end)
		if !ok || !closed {
			t.Fatalf("%s has no place for %s", file, table.Name)
		}
		now = before + begin + table.text() + end + after
	}
	switch {
	case now == string(was):
	case *update:
		if err := os.WriteFile(file, []byte(now), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s is not what the code says; go test %s -run Docs -update rewrites it", file, folder)
	}
}

// Proved fails for each name of a test that is in none of the folders.
func Proved(t *testing.T, names []string, folders ...string) {
	t.Helper()
	var source strings.Builder
	for _, folder := range folders {
		files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
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
	for _, name := range names {
		if !strings.Contains(source.String(), "func "+name+"(t *testing.T)") {
			t.Errorf("%s proves a rule and is not there", name)
		}
	}
}
