// Package tomlfile reads files in TOML that people write: each fault is named with its file, line and column, all unknown keys
// at once, and what was probably meant.
package tomlfile

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"checkauth/verify/typo"
)

// File is one, with what is known of its keys.
type File struct {
	Name string
	Body []byte
	// Meant says what to do about an unknown key, by its path; nil: nothing is said.
	Meant func(path []string) string
	// Want says what the value of a key looks like; "", or nil: the decoder says it.
	Want func(key string) string
}

// Decode reads it into a pointer. A key that into has no place for is a fault.
func (f File) Decode(into any) error {
	d := toml.NewDecoder(bytes.NewReader(f.Body))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		var all []error
		for i := range strict.Errors {
			all = append(all, f.unknown(&strict.Errors[i]))
		}
		return errors.Join(all...)
	}
	if d, ok := errors.AsType[*toml.DecodeError](err); ok {
		return f.wrong(d)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	return nil
}

func (f File) unknown(e *toml.DecodeError) error {
	line, _ := e.Position()
	text := fmt.Sprintf("%s, line %d: unknown key %q", f.Name, line, strings.Join(e.Key(), "."))
	if f.Meant != nil {
		text += ": " + f.Meant(e.Key())
	}
	return errors.New(text)
}

func (f File) wrong(d *toml.DecodeError) error {
	line, column := d.Position()
	key, says := strings.Join(d.Key(), "."), strings.TrimPrefix(d.Error(), "toml: ")
	if f.Want != nil && strings.Contains(says, "cannot decode") {
		if want := f.Want(key); want != "" {
			says = "want " + want
		}
	}
	if key != "" {
		says = key + ": " + says
	}
	return fmt.Errorf("%s, line %d, column %d: %s", f.Name, line, column, says)
}

// Nearest is the hint for a name that is none of those that there are: the nearest one, else otherwise.
func Nearest(name string, names []string, otherwise string) string {
	if near := typo.Nearest(name, names); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return otherwise
}

// Place is where a key, or the head of a table, stands.
type Place struct {
	Table string // that it stands in, or whose head it is; "" is the top of the file
	Entry int    // of a table that stands several times ([[table]]), from 0; -1 of one that stands once
	Key   string // "" is the head
	Line  int
}

// Places are those of a file, in its order; of one that cannot be read those before the fault.
func (f File) Places() (out []Place) {
	var p unstable.Parser
	p.Reset(f.Body)
	at := Place{Entry: -1}
	entries := map[string]int{}
	for p.NextExpression() {
		e := p.Expression()
		var words []string
		line := 0
		for k := e.Key(); k.Next(); {
			words = append(words, string(k.Node().Data))
			line = p.Shape(k.Node().Raw).Start.Line
		}
		name := strings.Join(words, ".")
		switch e.Kind {
		case unstable.Table:
			at = Place{Table: name, Entry: -1, Line: line}
			out = append(out, at)
		case unstable.ArrayTable:
			at = Place{Table: name, Entry: entries[name], Line: line}
			entries[name]++
			out = append(out, at)
		case unstable.KeyValue:
			out = append(out, Place{at.Table, at.Entry, name, line})
		}
	}
	return out
}
