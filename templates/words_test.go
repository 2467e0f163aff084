package templates

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"checkauth/verify/known/knowntest"
)

// said is one place in the sources where a code is given with its arguments.
type said struct {
	where, code string
	severity    string // of a finding; empty for a reason
	args        []string
}

// codesInSources finds every result.Because, result.Found and similar call with a literal code.
func codesInSources(t *testing.T) []said {
	t.Helper()
	var out []said
	files := token.NewFileSet()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "conformance" || d.Name() == ".git") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := saying(n); ok {
				s.where = files.Position(n.Pos()).String()
				out = append(out, s)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// saying reads one call: the code is the first argument of Because, the second of Found.
func saying(n ast.Node) (s said, ok bool) {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return s, false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || len(call.Args) == 0 || call.Ellipsis.IsValid() {
		return s, false
	}
	first := map[string]int{"Because": 0, "Found": 1}
	i, ok := first[sel.Sel.Name]
	if !ok || i >= len(call.Args) {
		return s, false
	}
	if s.code, ok = literal(call.Args[i]); !ok {
		return s, false
	}
	if i == 1 {
		s.severity = severityOf(call.Args[0])
	}
	for j := i + 1; j < len(call.Args); j += 2 {
		if name, ok := literal(call.Args[j]); ok {
			s.args = append(s.args, name)
		}
	}
	return s, true
}

// severityOf is the constant's name; what is not a constant depends on the case.
func severityOf(e ast.Expr) string {
	if sel, ok := e.(*ast.SelectorExpr); ok && slices.Contains([]string{"Error", "Warning", "Info"}, sel.Sel.Name) {
		return strings.ToLower(sel.Sel.Name)
	}
	return "depends"
}

func literal(e ast.Expr) (string, bool) {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(l.Value)
	return s, err == nil
}

func TestEveryCodeHasItsSentence(t *testing.T) {
	t.Parallel()
	w, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	codes := codesInSources(t)
	if len(codes) < 50 {
		t.Fatalf("%d codes found in the sources: the search is broken", len(codes))
	}
	for _, s := range codes {
		if !w.Has(English, s.code) {
			t.Errorf("%s: code %q has no sentence in words/en.toml", s.where, s.code)
			continue
		}
		for _, name := range w.Arguments(English, s.code) {
			if !slices.Contains(s.args, name) {
				t.Errorf("%s: the sentence of %q wants {%s}, the code gives %v", s.where, s.code, name, s.args)
			}
		}
	}
}

func TestEveryLanguageHasEverySentence(t *testing.T) {
	t.Parallel()
	w, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	for lang := range w.byLang {
		for _, code := range w.Codes(English) {
			if Fixed(code) {
				if lang != English && w.Has(lang, code) {
					t.Errorf("%s has a sentence for %q, which is English in every language", lang, code)
				}
				continue
			}
			if !w.Has(lang, code) {
				t.Errorf("%s has no sentence for %q", lang, code)
			}
			if got, want := w.Arguments(lang, code), w.Arguments(English, code); !slices.Equal(got, want) {
				t.Errorf("%s, %q: arguments %v, English has %v", lang, code, got, want)
			}
		}
	}
}

// A brace that is left in a sentence was meant as an argument, and its name is not one.
func TestEverySentenceHasNoBraceButOfItsArguments(t *testing.T) {
	t.Parallel()
	w, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	for lang := range w.byLang {
		for _, code := range w.Codes(lang) {
			if s := w.Say(lang, code, nothing); strings.ContainsAny(s, "{}") {
				t.Errorf("%s, %q: a brace stays in %q", lang, code, s)
			}
		}
	}
}

// A finding is read by users of every mail server: where something is set stands in an action, for their own server, and
// a setting that is wrong there is wrong here.
func TestNoSentenceOfAFindingTellsOneProductsSettings(t *testing.T) {
	t.Parallel()
	w, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	for lang := range w.byLang {
		for _, code := range w.Codes(lang) {
			said := w.Say(lang, code, nothing)
			if why := knowntest.Refused(t, said); why != "" {
				t.Errorf("%s, %q: %q: %s", lang, code, said, why)
			}
			if strings.Contains(said, "(Postfix:") {
				t.Errorf("%s, %q: %q has Postfix's setting for everybody", lang, code, said)
			}
		}
	}
}

func TestSay(t *testing.T) {
	t.Parallel()
	w, err := LoadWords(fstest.MapFS{"words/en.toml": {Data: []byte(`
"plain" = "{name} has {n} records."
"macro" = "exists:%{i}._spf.example.org is {name}"
"brace" = "a { b {} {Name} {4}"
"digit" = "{ip4} and {ip_6}"
`)}})
	if err != nil {
		t.Fatal(err)
	}
	args := map[string]string{"name": "{n}", "n": "2", "ip4": "192.0.2.1", "ip_6": "::1"}
	for _, c := range []struct{ code, want string }{
		{"plain", "{n} has 2 records."}, // what is put in is not looked at again
		{"macro", "exists:%{i}._spf.example.org is {n}"},
		{"brace", "a { b {} {Name} {4}"},
		{"digit", "192.0.2.1 and ::1"},
		{"unknown-code", "unknown-code"},
	} {
		if got := w.Say("de", c.code, func(name string) string { return args[name] }); got != c.want {
			t.Errorf("%s: got %q, want %q", c.code, got, c.want)
		}
	}
}

func TestBrokenFilesAreRefusedWithTheirPlace(t *testing.T) {
	t.Parallel()
	_, err := LoadWords(fstest.MapFS{"words/en.toml": {Data: []byte("\"a\" = \"b\"\n\"c\" = 1\n")}})
	if err == nil || !strings.Contains(err.Error(), "words/en.toml") || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("words: got %v, want file and line", err)
	}
	if _, err := LoadWords(fstest.MapFS{}); err == nil {
		t.Error("no words at all: got no error")
	}
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "words", "de.toml"), "# mine\n\"nothing-to-mend\" = \"Nichts zu tun.\"\n\"nothing-to-bend\" = \"x\"\n\"answer-stored\" = \"{host}\"\n")
	_, err = Override(dir)
	for _, want := range []string{"words/de.toml, line 3: \"nothing-to-bend\": no such sentence", "words/de.toml, line 4: \"answer-stored\": it has no argument {host}"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("an operator's words: got %v, want %q", err, want)
		}
	}
	// RFC 3282 and HTML know a language by its tag: no other spelling of it may get there.
	for _, name := range []string{"deutsch-1", "pt_BR", "EN", "pt-br"} {
		dir := t.TempDir()
		writeFile(t, filepath.Join(dir, "words", name+".toml"), "")
		if _, err = Override(dir); err == nil || !strings.Contains(err.Error(), "words/"+name+".toml: the file's name is no language") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	writeFile(t, filepath.Join(dir, "report.html"), "ok\n{{range .Found}}\n")
	if _, err = Page(dir, nil); err == nil || !strings.Contains(err.Error(), "report.html:") {
		t.Errorf("page: got %v, want file and line", err)
	}
	writeFile(t, filepath.Join(dir, "report.txt"), "ok\n{{range .Found}}\n")
	_, err = Report(dir, nil)
	if err == nil || !strings.Contains(err.Error(), "report.txt:") {
		t.Errorf("layout: got %v, want file and line", err)
	}
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// A third language is one file, and one sentence of an operator's may take the place of ours.
func TestOverride(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "words", "de.toml"), "\"nothing-to-mend\" = \"Nichts zu tun.\"\n")
	writeFile(t, filepath.Join(dir, "words", "en.toml"), "\"nothing-to-mend\" = \"All is well.\"\n")
	w, err := Override(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ lang, code, want string }{
		{"de", "nothing-to-mend", "Nichts zu tun."},
		{"de", "also-noted", "Also noted:"},
		{"en", "nothing-to-mend", "All is well."},
		{"tr", "dkim-message-not-signed", "message not signed"},
	} {
		if got := w.Say(c.lang, c.code, nothing); got != c.want {
			t.Errorf("%s %s: got %q, want %q", c.lang, c.code, got, c.want)
		}
	}
	if plain, _ := Default(); plain.Has("de", "nothing-to-mend") {
		t.Error("the embedded words were changed")
	}
}

func TestRFC3282_3_the_language_that_is_asked_for(t *testing.T) {
	t.Parallel()
	w, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		wishes []string
		want   string
	}{
		{nil, "en"},
		{[]string{"tr"}, "tr"},
		{[]string{"tr-TR"}, "tr"},
		{[]string{"TR"}, "tr"},
		{[]string{"de-DE, tr;q=0.5, en;q=0.3"}, "tr"},
		{[]string{"en-GB, tr;q=0.9"}, "en"},
		{[]string{"tr;q=0, en"}, "en"},
		{[]string{"port25", "k7qz3fwnk7qz3fwnab", "tr"}, "tr"},
		{[]string{"de", "tr-TR,tr;q=0.9"}, "tr"},
		{[]string{"de"}, "en"},
		{[]string{"*"}, "en"},
		{[]string{"az"}, "en"},
		{[]string{"\x1b[2J", strings.Repeat("tr-", 10000)}, "en"},
	} {
		if got, _ := w.Choose(c.wishes...); got != c.want {
			t.Errorf("%q: got %s, want %s", c.wishes, got, c.want)
		}
	}
}

// FuzzChoose: whatever is asked for, it is a language that there is.
func FuzzChoose(f *testing.F) {
	f.Add("tr-TR, en;q=0.5")
	f.Add("x-klingon;q=1.7, *, tr_TR@latin")
	f.Fuzz(func(t *testing.T, wish string) {
		w, err := Default()
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := w.Choose(wish); !slices.Contains(w.Languages(), got) {
			t.Fatalf("%q: got %q", wish, got)
		}
	})
}

// nothing: no argument is known.
func nothing(string) string { return "" }
