package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// unguarded are the functions that start goroutines which do not begin with panics.Recover, and why they need not.
var unguarded = map[string]string{
	"verify/evaluate/evaluate.go start":     "runs guarded alone, which turns a panic into the check's temperror",
	"verify/evaluate/evaluate.go Finish":    "cancels a context",
	"verify/panics/panics.go Start":         "is the helper",
	"verify/spam/exchange.go exchange":      "sets a deadline",
	"verify/dns/client/exchange.go limit":   "sets a deadline",
	"verify/dns/dnstest/serve.go serve":     "a server of tests and of the demo, on loopback; it must not hide its faults",
	"verify/mtasts/fetch.go fetch":          "closes a connection",
	"smtpd/server.go Shutdown":              "ends contexts and deadlines; no client's octets",
	"reply/respond/respond.go finish":       "cancels a context",
	"reply/deliver/run.go finish":           "cancels a context",
	"reply/deliver/session.go speak":        "closes a connection",
	"reply/deliver/connectionpool.go reuse": "closes a connection",
	"reply/store/groupcommit.go newGroup":   "each job of its loop recovers by itself (writer.one, pgWriter.try); an end of the loop would be the end of the store",
	"reply/store/postgres.go tied":          "closes a connection",
	"reply/store/storetest/":                "tests of the stores",
}

// goroutine is a place where one is started.
type goroutine struct {
	where string // for people
	key   string // file and function
	runs  ast.Expr
}

// starts lists every go statement of a file, and every call of a method or function that starts a goroutine by its
// name: Go (sync.WaitGroup, errgroup.Group), TryGo, AfterFunc (time, context), AddCleanup, SetFinalizer.
func starts(files *token.FileSet, file string, f *ast.File) (out []goroutine) {
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		key := file + " "
		if ok {
			key += fn.Name.Name
		}
		ast.Inspect(d, func(n ast.Node) bool {
			g := goroutine{key: key}
			switch x := n.(type) {
			case *ast.GoStmt:
				g.runs = x.Call.Fun
			case *ast.CallExpr:
				s, ok := x.Fun.(*ast.SelectorExpr)
				if !ok || len(x.Args) == 0 || !slices.Contains([]string{"Go", "TryGo", "AfterFunc", "AddCleanup", "SetFinalizer"}, s.Sel.Name) {
					return true
				}
				g.runs = x.Args[len(x.Args)-1]
			default:
				return true
			}
			g.where = files.Position(n.Pos()).String()
			out = append(out, g)
			return true
		})
	}
	return out
}

// recovers: a body begins with defers, and one of them is panics.Recover; or it is a call of a function of the
// package that does.
func recovers(body *ast.BlockStmt, within map[string][]*ast.FuncDecl) bool {
	for _, s := range body.List {
		d, ok := s.(*ast.DeferStmt)
		if !ok {
			e, ok := s.(*ast.ExprStmt)
			if !ok || len(body.List) != 1 {
				return false
			}
			call, ok := e.X.(*ast.CallExpr)
			return ok && named(call.Fun, within)
		}
		if sel, ok := d.Call.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Recover" {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == "panics" {
				return true
			}
		}
	}
	return false
}

// named: all functions of the package with that name recover.
func named(e ast.Expr, within map[string][]*ast.FuncDecl) bool {
	name := ""
	switch x := e.(type) {
	case *ast.Ident:
		name = x.Name
	case *ast.SelectorExpr:
		name = x.Sel.Name
	}
	for _, f := range within[name] {
		if !recovers(f.Body, within) {
			return false
		}
	}
	return len(within[name]) > 0
}

func (g goroutine) guarded(within map[string][]*ast.FuncDecl) bool {
	if lit, ok := g.runs.(*ast.FuncLit); ok {
		return recovers(lit.Body, within)
	}
	return named(g.runs, within)
}

// sources are the files of the product, by their folder.
func sources(t *testing.T, files *token.FileSet) map[string]map[string]*ast.File {
	t.Helper()
	out := map[string]map[string]*ast.File{}
	err := filepath.WalkDir("../..", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{"conformance", "tools", "testdata", ".git"}, d.Name()) {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(files, file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(filepath.ToSlash(file), "../../")
		if out[path.Dir(name)] == nil {
			out[path.Dir(name)] = map[string]*ast.File{}
		}
		out[path.Dir(name)][name] = f
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A panic in a goroutine that nobody recovers ends the process with every session in it.
func TestGoroutinesRecover(t *testing.T) {
	t.Parallel()
	files := token.NewFileSet()
	seen, used := 0, map[string]bool{}
	for _, dir := range sources(t, files) {
		within := map[string][]*ast.FuncDecl{}
		for _, f := range dir {
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
					within[fn.Name.Name] = append(within[fn.Name.Name], fn)
				}
			}
		}
		for name, f := range dir {
			for _, g := range starts(files, name, f) {
				seen++
				if g.guarded(within) {
					continue
				}
				key := g.key
				if _, ok := unguarded[path.Dir(name)+"/"]; ok {
					key = path.Dir(name) + "/"
				}
				used[key] = true
				if unguarded[key] == "" {
					t.Errorf("%s: a goroutine that does not begin with defer panics.Recover; begin it so, use panics.Group, or give the reason for %q in unguarded", g.where, key)
				}
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(unguarded)) {
		if !used[key] {
			t.Errorf("unguarded has %q, which starts no such goroutine", key)
		}
	}
	if seen < 30 {
		t.Errorf("%d goroutines seen: the search is broken", seen)
	}
}

// One helper recovers, so that nobody forgets the stack or swallows a fault unseen.
func TestOnlyPanicsRecovers(t *testing.T) {
	t.Parallel()
	files := token.NewFileSet()
	for dir, all := range sources(t, files) {
		for _, f := range all {
			ast.Inspect(f, func(n ast.Node) bool {
				if c, ok := n.(*ast.CallExpr); ok && dir != "verify/panics" {
					if id, ok := c.Fun.(*ast.Ident); ok && id.Name == "recover" {
						t.Errorf("%s calls recover: defer panics.Recover does", files.Position(n.Pos()))
					}
				}
				return true
			})
		}
	}
}

// The test of the test: what must be seen as unguarded, and what must not.
func TestGoroutinesRecover_sees(t *testing.T) {
	t.Parallel()
	const head = "package x\n"
	for src, guarded := range map[string]bool{
		`func a() { go func() { work() }() }`:                                                             false,
		`func a() { go work() }; func work() {}`:                                                          false,
		`func a() { go work() }`:                                                                          false, // of nobody knows where
		`func a() { wg.Go(func() { work() }) }`:                                                           false,
		`func a() { g.TryGo(func() error { return nil }) }`:                                               false,
		`func a() { time.AfterFunc(1, func() { work() }) }`:                                               false,
		`func a() { context.AfterFunc(ctx, cancel) }`:                                                     false,
		`var a = time.AfterFunc(1, func() { work() })`:                                                    false,
		`func a() { go func() { work(); defer panics.Recover(f) }() }`:                                    false,
		`func a() { go func() { defer func() { panics.Recover(f) }(); work() }() }`:                       false, // recovers nothing
		`func a() { go func() { defer panics.Recover(f); work() }() }`:                                    true,
		`func a() { go func() { defer close(c); defer panics.Recover(f); work() }() }`:                    true,
		`func a() { wg.Go(func() { x.work() }) }; func (x) work() { defer panics.Recover(f) }`:            true,
		`func a() { wg.Go(func() { x.work(); more() }) }; func (x) work() { defer panics.Recover(f) }`:    false,
		`func a() { go x.work() }; func (y) work() {}; func (x) work() { defer panics.Recover(f); go() }`: false,
	} {
		files := token.NewFileSet()
		f, err := parser.ParseFile(files, "x.go", head+strings.ReplaceAll(src, "go()", "b()"), parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		within := map[string][]*ast.FuncDecl{}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok {
				within[fn.Name.Name] = append(within[fn.Name.Name], fn)
			}
		}
		all := starts(files, "x.go", f)
		if len(all) != 1 || all[0].guarded(within) != guarded {
			t.Errorf("%s: %d places, want one that is guarded: %v", src, len(all), guarded)
		}
	}
}

// Go ends a program that panics with 2, which says here that the DNS gave no answer.
func TestAPanicOfACommandIsOurFault(t *testing.T) {
	t.Parallel()
	var out, errs strings.Builder
	code := run(t.Context(), []string{"config"}, env{in: strings.NewReader(""), out: &out, err: &errs, now: time.Now, getenv: func(string) string { panic("oops") }})
	if code != exitSoftware || !strings.Contains(errs.String(), "panic: oops: this is a fault of the program") {
		t.Errorf("got %d and %q, want %d and what happened", code, errs.String(), exitSoftware)
	}
}
