// Package templates has every sentence that a person reads (words/*.toml, keyed by code) and the
// layout of the report. It is embedded; an operator may override a file of it. It knows no package of
// ours: arguments are plain text, made safe by the caller.
package templates

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"text/template"

	"github.com/pelletier/go-toml/v2"
)

//go:embed words/*.toml report.txt
var embedded embed.FS

// English is the language that is always complete.
const English = "en"

// Words are the sentences of every language.
type Words struct {
	byLang map[string]map[string]string
}

// Default gives the sentences that are embedded.
var Default = sync.OnceValues(func() (*Words, error) { return LoadWords(embedded) })

// LoadWords reads words/*.toml of a file system. The error names file and line.
func LoadWords(from fs.FS) (*Words, error) {
	files, err := fs.Glob(from, "words/*.toml")
	if err != nil {
		return nil, err
	}
	w := &Words{byLang: map[string]map[string]string{}}
	for _, f := range files {
		b, err := fs.ReadFile(from, f)
		if err != nil {
			return nil, err
		}
		sentences := map[string]string{}
		if err := toml.Unmarshal(b, &sentences); err != nil {
			return nil, fmt.Errorf("%s: %w", f, position(err))
		}
		w.byLang[strings.TrimSuffix(path.Base(f), ".toml")] = sentences
	}
	if len(w.byLang[English]) == 0 {
		return nil, errors.New("words/en.toml has no sentence: it must be there, other languages fall back to it")
	}
	return w, nil
}

func position(err error) error {
	if d, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, column := d.Position()
		return fmt.Errorf("line %d, column %d: %w", line, column, err)
	}
	return err
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
func (w *Words) Arguments(lang, code string) []string {
	var out []string
	expand(w.byLang[lang][code], func(name string) string {
		out = append(out, name)
		return ""
	})
	slices.Sort(out)
	return slices.Compact(out)
}

// Say puts a code into words: {name} stands for an argument. A language without the sentence falls back
// to English; a code without any is shown as it is, so that nothing is lost.
func (w *Words) Say(lang, code string, args map[string]string) string {
	s, ok := w.byLang[lang][code]
	if !ok {
		s, ok = w.byLang[English][code]
	}
	if !ok {
		return code
	}
	return expand(s, func(name string) string { return args[name] })
}

// expand replaces each {name}: a lower-case letter, then more of them, digits and underscores. Braces
// around anything else stand for themselves (SPF's macros are written so). What is put in is not looked
// at again.
func expand(s string, value func(name string) string) string {
	var b strings.Builder
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
func Report(dir string, funcs template.FuncMap) (*template.Template, error) {
	name, b, err := read(dir, "report.txt")
	if err != nil {
		return nil, err
	}
	t, err := template.New(name).Option("missingkey=error").Funcs(funcs).Parse(string(b))
	if err != nil {
		return nil, fmt.Errorf("template: %w (mend it, or remove it to use the built-in one)", err)
	}
	return t, nil
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
