// Package templates has every sentence that a person reads (words/*.toml, keyed by code) and the
// layout of the report. It is embedded; an operator may override a file of it. It knows nothing of
// ours: arguments are plain text, made safe by the caller.
package templates

import (
	"embed"
	"errors"
	"fmt"
	html "html/template"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	text "text/template"

	"checkauth/verify/tomlfile"

	"golang.org/x/text/language"
)

//go:embed words/*.toml report.txt report.html
var embedded embed.FS

// English is the language that is always complete.
const English = "en"

// Words are the sentences of every language.
type Words struct {
	byLang map[string]map[string]string

	match    sync.Once
	matching language.Matcher
}

// Default gives the sentences that are embedded.
var Default = sync.OnceValues(func() (*Words, error) { return LoadWords(embedded) })

// LoadWords reads words/*.toml of a file system. The error names file and line.
func LoadWords(from fs.FS) (*Words, error) {
	w := &Words{byLang: map[string]map[string]string{}}
	if err := w.read(from, ""); err != nil {
		return nil, err
	}
	if len(w.byLang[English]) == 0 {
		return nil, errors.New("words/en.toml has no sentence: it must be there, other languages fall back to it")
	}
	return w, nil
}

// Override gives the embedded sentences with those of dir/words/*.toml in their place: single sentences of a
// language that there is, or a language more. A sentence for a code that is not known, or with an argument that
// the English one does not have, is refused with file and line, all of them at once.
func Override(dir string) (*Words, error) {
	w, err := Default()
	if err != nil || dir == "" {
		return w, err
	}
	own, err := fs.Glob(os.DirFS(dir), "words/*.toml")
	if err != nil || len(own) == 0 {
		return w, err
	}
	out := &Words{byLang: map[string]map[string]string{}}
	for lang, sentences := range w.byLang {
		out.byLang[lang] = maps.Clone(sentences)
	}
	return out, out.read(os.DirFS(dir), dir)
}

// read adds the files of a folder. Beside the embedded files nothing is known to check against.
func (w *Words) read(from fs.FS, dir string) error {
	files, err := fs.Glob(from, "words/*.toml")
	if err != nil {
		return err
	}
	var faults []error
	for _, f := range files {
		b, err := fs.ReadFile(from, f)
		if err != nil {
			return err
		}
		name := path.Join(dir, f)
		sentences := map[string]string{}
		file := tomlfile.File{Name: name, Body: b}
		if err := file.Decode(&sentences); err != nil {
			return err
		}
		lang := strings.TrimSuffix(path.Base(f), ".toml")
		if tag, err := language.Parse(lang); err != nil || tag.String() != lang {
			if err == nil {
				err = fmt.Errorf("%q is written %q", lang, tag)
			}
			return fmt.Errorf("%s: the file's name is no language (want one such as de.toml or pt-BR.toml): %w", name, err)
		}
		if dir != "" {
			faults = append(faults, w.faults(file, sentences)...)
		}
		if w.byLang[lang] == nil {
			w.byLang[lang] = map[string]string{}
		}
		maps.Copy(w.byLang[lang], sentences)
	}
	return errors.Join(faults...)
}

// faults of an operator's sentences, in the order of the file.
func (w *Words) faults(file tomlfile.File, sentences map[string]string) (out []error) {
	english := w.byLang[English]
	for _, p := range file.Places() {
		code := p.Key
		at := fmt.Sprintf("%s, line %d: %q", file.Name, p.Line, code)
		switch known, ok := english[code]; {
		case !ok:
			out = append(out, fmt.Errorf("%s: no such sentence: remove it, or see words/en.toml for its name", at))
		case strings.TrimSpace(sentences[code]) == "":
			out = append(out, fmt.Errorf("%s: the sentence is empty: write one, or remove the line", at))
		default:
			for _, a := range arguments(sentences[code]) {
				if has := arguments(known); !slices.Contains(has, a) {
					out = append(out, fmt.Errorf("%s: it has no argument {%s} (those that it has: %s)", at, a, strings.Join(has, ", ")))
				}
			}
		}
	}
	return out
}

// fixed are sentences that stay English in every language: programs read them in the text part.
var fixed = []string{
	"dkim-message-not-signed", "dkim-matches-from", "dkim-matches-no-header", "dkim-key-does-not-exist", "iprev-matches",
	"dkim-body-hash-differs", "dkim-header-hash-differs", "dkim-body-shorter-than-l", "dkim-verifier-objects",
}

// Fixed tells whether a sentence is English in every language: programs read it, or SMTP carries it, which is
// ASCII.
func Fixed(code string) bool {
	return strings.HasPrefix(code, "answer-") || slices.Contains(fixed, code)
}

// Languages that there are sentences of, English first.
func (w *Words) Languages() []string {
	out := slices.Sorted(maps.Keys(w.byLang))
	return append([]string{English}, slices.DeleteFunc(out, func(l string) bool { return l == English })...)
}

// Has tells whether there is a sentence for the code in that very language.
func (w *Words) Has(lang, code string) bool { _, ok := w.byLang[lang][code]; return ok }

// Codes lists the codes of a language, sorted.
func (w *Words) Codes(lang string) []string {
	var out []string
	for c := range w.byLang[lang] {
		out = append(out, c)
	}
	slices.Sort(out)
	return out
}

// Arguments lists the names of the arguments that a sentence uses, sorted, each once.
func (w *Words) Arguments(lang, code string) []string { return arguments(w.byLang[lang][code]) }

func arguments(sentence string) []string {
	var out []string
	expand(sentence, func(name string) string {
		out = append(out, name)
		return ""
	})
	slices.Sort(out)
	return slices.Compact(out)
}

// Say puts a code into words: {name} stands for an argument. A language without the sentence falls back
// to English; a code without any is shown as it is, so that nothing is lost.
func (w *Words) Say(lang, code string, arg func(name string) string) string {
	s, ok := w.byLang[lang][code]
	if !ok || Fixed(code) {
		s, ok = w.byLang[English][code]
	}
	if !ok {
		return code
	}
	return expand(s, arg)
}

// expand replaces each {name}: a lower-case letter, then more of them, digits and underscores. Braces
// around anything else stand for themselves (SPF's macros are written so). What is put in is not looked
// at again.
func expand(s string, value func(name string) string) string {
	if !strings.Contains(s, "{") {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + len(s)/2)
	for {
		before, rest, found := strings.Cut(s, "{")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, after, closed := strings.Cut(rest, "}")
		if closed && isName(name) && !strings.HasSuffix(before, "%") {
			b.WriteString(value(name))
			s = after
			continue
		}
		b.WriteByte('{')
		s = rest
	}
}

func isName(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyz"
	return s != "" && strings.ContainsRune(letters, rune(s[0])) && strings.Trim(s, letters+"0123456789_") == ""
}

// Report is the layout of the text part: the embedded one, or dir/report.txt where there is one. A
// broken file is refused with its name and line.
func Report(dir string, funcs text.FuncMap) (*text.Template, error) {
	name, b, err := read(dir, "report.txt")
	if err != nil {
		return nil, err
	}
	t, err := text.New(name).Option("missingkey=error").Funcs(funcs).Parse(string(b))
	if err != nil {
		return nil, broken(err)
	}
	return t, nil
}

// Page is the layout of the HTML part, in the same way from report.html. It escapes what is put in.
func Page(dir string, funcs html.FuncMap) (*html.Template, error) {
	name, b, err := read(dir, "report.html")
	if err != nil {
		return nil, err
	}
	t, err := html.New(name).Option("missingkey=error").Funcs(funcs).Parse(string(b))
	if err != nil {
		return nil, broken(err)
	}
	return t, nil
}

func broken(err error) error {
	return fmt.Errorf("template: %w (mend it, or remove it to use the built-in one)", err)
}

func read(dir, file string) (name string, b []byte, err error) {
	if dir != "" {
		name = path.Join(dir, file)
		b, err = os.ReadFile(name)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return name, b, err
		}
	}
	b, err = embedded.ReadFile(file)
	return file, b, err
}
