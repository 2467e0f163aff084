package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A field that is called like a builtin makes a reader look twice.
func TestNoFieldIsNamedLikeABuiltin(t *testing.T) {
	t.Parallel()
	fields := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			s, ok := n.(*ast.StructType)
			if !ok {
				return true
			}
			for _, field := range s.Fields.List {
				for _, name := range field.Names {
					if fields++; types.Universe.Lookup(name.Name) != nil {
						t.Errorf("%s: the field %s is named like a builtin", set.Position(name.Pos()), name.Name)
					}
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if fields < 1000 {
		t.Errorf("%d fields: the search is broken", fields)
	}
}

// atext stands in one place, verify/mail/grammar.go, and so does whatever is made of it.
func TestOneGrammar(t *testing.T) {
	t.Parallel()
	var in []string
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(b), "!#$%&'*+-/=?^_`") {
			in = append(in, filepath.ToSlash(path))
		}
		return err
	})
	if err != nil || len(in) != 1 || in[0] != "../../verify/mail/grammar.go" {
		t.Errorf("atext stands in %q (%v), want verify/mail/grammar.go alone", in, err)
	}
}
