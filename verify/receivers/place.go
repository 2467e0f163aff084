package receivers

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"checkauth/verify/typo"
)

// place is where an entry stands.
type place struct {
	file    string
	builtin bool
	head    int            // line of [[...]]; 0 where it is not known
	lines   map[string]int // of its keys
}

// line of a key, or of the entry where it has no such key.
func (p place) line(key string) int {
	if n, ok := p.lines[key]; ok {
		return n
	}
	return p.head
}

func (p place) at(key string) string {
	if n := p.line(key); n > 0 {
		return fmt.Sprintf("%s, line %d", p.file, n)
	}
	return p.file
}

// index has the places of a file's entries by kind, in order.
type index struct {
	text
	entries map[string][]place
}

func (x index) of(kind string, i int) place {
	if i < len(x.entries[kind]) {
		return x.entries[kind][i]
	}
	// Written as an inline array.
	return place{file: x.name, builtin: x.builtin}
}

// places finds the lines of all entries: the decoder does not tell them, and most faults are seen only
// when all entries are there.
func places(t text) index {
	x := index{text: t, entries: map[string][]place{}}
	var p unstable.Parser
	p.Reset([]byte(t.body))
	kind := ""
	for p.NextExpression() {
		e := p.Expression()
		k := e.Key()
		if !k.Next() {
			continue
		}
		name, line := string(k.Node().Data), p.Shape(k.Node().Raw).Start.Line
		switch e.Kind {
		case unstable.ArrayTable:
			kind = name
			x.entries[kind] = append(x.entries[kind], place{file: t.name, builtin: t.builtin, head: line, lines: map[string]int{}})
		case unstable.Table:
			kind = ""
		case unstable.KeyValue:
			if n := len(x.entries[kind]); n > 0 {
				x.entries[kind][n-1].lines[name] = line
			}
		}
	}
	return x
}

// keys that a file may have, for the nearest one.
var keys = map[string][]string{
	"":         {"receiver", "source", "rule"},
	"receiver": {"id", "name", "about", "domains", "bulk_from", "hints"},
	"source":   {"id", "title", "date"},
	"rule": {
		"id", "receiver", "scope", "strength", "needs", "unless_met", "code", "defer_code", "text", "since",
		"source", "requirement",
	},
}

// explain puts the decoder's errors into words: all unknown keys at once, with the nearest key.
func explain(file string, err error) error {
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		var all []error
		for i := range strict.Errors {
			e := &strict.Errors[i]
			line, _ := e.Position()
			path := e.Key()
			table := strings.Join(path[:len(path)-1], ".")
			all = append(all, fmt.Errorf("%s, line %d: unknown key %q: %s", file, line, strings.Join(path, "."),
				meant(path[len(path)-1], keys[table])))
		}
		return errors.Join(all...)
	}
	if d, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, column := d.Position()
		return fmt.Errorf("%s, line %d, column %d: %s", file, line, column, strings.TrimPrefix(d.Error(), "toml: "))
	}
	return fmt.Errorf("%s: %w", file, err)
}

// meant names the nearest of the names that there are, or all of them where none is near.
func meant(name string, names []string) string {
	if best := typo.Nearest(name, names); best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return "want one of " + strings.Join(names, ", ")
}
