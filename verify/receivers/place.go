package receivers

import (
	"fmt"
	"strings"

	"checkauth/verify/tomlfile"
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
	for _, p := range t.file().Places() {
		all := x.entries[p.Table]
		switch {
		case p.Entry < 0:
		case p.Key == "":
			x.entries[p.Table] = append(all, place{file: t.name, builtin: t.builtin, head: p.Line, lines: map[string]int{}})
		default:
			all[len(all)-1].lines[p.Key] = p.Line
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

func (t text) file() tomlfile.File {
	return tomlfile.File{Name: t.name, Body: []byte(t.body), Meant: func(path []string) string {
		return meant(path[len(path)-1], keys[strings.Join(path[:len(path)-1], ".")])
	}}
}

// meant names the nearest of the names that there are, or all of them where none is near.
func meant(name string, names []string) string {
	return tomlfile.Nearest(name, names, "want one of "+strings.Join(names, ", "))
}
