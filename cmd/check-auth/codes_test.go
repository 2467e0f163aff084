package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The answers of SMTP are made in two places: commands are refused in smtpd, and the final dot is answered by reply/policy. What
// reads the codes of other servers (reply/deliver), what plays a server (the demo) and the published codes of receivers are
// none of ours.
func TestReplyCodesAreMadeInTwoPlaces(t *testing.T) {
	t.Parallel()
	may := func(file string) bool {
		for _, prefix := range []string{"smtpd/", "reply/policy/", "reply/deliver/", "cmd/check-auth/demo.go", "cmd/check-auth/stories.go"} {
			if strings.HasPrefix(file, prefix) {
				return true
			}
		}
		return false
	}
	made := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		file := filepath.ToSlash(strings.TrimPrefix(path, "../../"))
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasPrefix(file, "tools/") || strings.HasPrefix(file, "verify/conformance/") {
			return err
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if l, ok := n.(*ast.CompositeLit); ok && isAnswer(l) {
				if made++; !may(file) {
					t.Errorf("%s: a reply code is made here", set.Position(l.Pos()))
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if made < 10 {
		t.Errorf("%d places make reply codes: the search is broken", made)
	}
}

// isAnswer: an enhanced code, or a struct with a code of three digits that SMTP has.
func isAnswer(l *ast.CompositeLit) bool {
	if a, ok := l.Type.(*ast.ArrayType); ok {
		size, _ := a.Len.(*ast.BasicLit)
		elem, _ := a.Elt.(*ast.Ident)
		return size != nil && size.Value == "3" && elem != nil && elem.Name == "int"
	}
	for _, e := range l.Elts {
		kv, ok := e.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		key, _ := kv.Key.(*ast.Ident)
		value, _ := kv.Value.(*ast.BasicLit)
		if key == nil || value == nil || !strings.EqualFold(key.Name, "code") || value.Kind != token.INT {
			continue
		}
		if n, err := strconv.Atoi(value.Value); err == nil && n >= 200 && n < 600 {
			return true
		}
	}
	return false
}
