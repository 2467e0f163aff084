package receivers

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

//go:embed receivers.toml
var builtin string

// receiver is one mailbox provider.
type receiver struct {
	ID       string   `toml:"id"`
	Name     string   `toml:"name"`      // short: it heads a line of the report
	About    string   `toml:"about"`     // the services that are meant
	Domains  []string `toml:"domains"`   // of its mailboxes
	BulkFrom int      `toml:"bulk_from"` // mails a day; 0: no number is published
	Hints    []string `toml:"hints"`     // where its own figures are to be found
	place    place
}

// source is where a rule was read.
type source struct {
	ID    string `toml:"id"`
	Title string `toml:"title"`
	Date  string `toml:"date"`
	place place
}

// rule is one rule of a receiver.
type rule struct {
	ID        string   `toml:"id"`
	Receiver  string   `toml:"receiver"`
	Scope     string   `toml:"scope"`
	Strength  string   `toml:"strength"`
	Needs     []string `toml:"needs"` // names of predicates; all must be met
	UnlessMet string   `toml:"unless_met"`
	Code      string   `toml:"code"`
	DeferCode string   `toml:"defer_code"`
	Text      string   `toml:"text"`
	Since     string   `toml:"since"`
	Source    string   `toml:"source"`
	// Requirement is the rule in words, of an operator's file alone: the sentences of the built-in rules
	// stand with all others, in every language.
	Requirement string `toml:"requirement"`
	place       place
}

// content of a file.
type content struct {
	Receivers []receiver `toml:"receiver"`
	Sources   []source   `toml:"source"`
	Rules     []rule     `toml:"rule"`
}

// Load reads the built-in rules and then the operator's files, each in the order of the files: an entry
// takes the place of an earlier one with the same id, all others are added. The error names all faults,
// each with file and line.
func Load(files ...string) (*Set, error) {
	texts := []text{{name: "receivers.toml", body: builtin, builtin: true}}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("rules of receivers: %w", err)
		}
		texts = append(texts, text{name: name, body: string(b)})
	}
	return load(texts)
}

// text of a file.
type text struct {
	name, body string
	builtin    bool
}

func load(texts []text) (*Set, error) {
	s := &Set{sources: map[string]source{}}
	var all []error
	for _, t := range texts {
		c, err := decode(t)
		if err != nil {
			all = append(all, err)
			continue
		}
		all = append(all, twice(c)...)
		s.add(c)
	}
	// A file that could not be read may have what the others name.
	if len(all) == 0 {
		all = s.faults()
	}
	if err := errors.Join(all...); err != nil {
		return nil, fmt.Errorf("rules of receivers: %w", err)
	}
	return s, nil
}

// decode reads one file.
func decode(t text) (*content, error) {
	var c content
	if err := t.file().Decode(&c); err != nil {
		return nil, err
	}
	p := places(t)
	for i := range c.Receivers {
		c.Receivers[i].place = p.of("receiver", i)
	}
	for i := range c.Sources {
		c.Sources[i].place = p.of("source", i)
	}
	for i := range c.Rules {
		c.Rules[i].place = p.of("rule", i)
	}
	return &c, nil
}

// add puts the entries of a file behind those before it, or in their place.
func (s *Set) add(c *content) {
	for _, src := range c.Sources {
		s.sources[src.ID] = src
	}
	for _, rc := range c.Receivers {
		s.receivers = put(s.receivers, rc, func(a *receiver) string { return a.ID })
	}
	for _, ru := range c.Rules {
		s.rules = put(s.rules, ru, func(a *rule) string { return a.ID })
	}
}

func put[T any](list []T, entry T, id func(*T) string) []T {
	for i := range list {
		if id(&list[i]) == id(&entry) {
			list[i] = entry
			return list
		}
	}
	return append(list, entry)
}

// twice finds ids that stand in one file more than once.
func twice(c *content) (all []error) {
	seen := map[string]place{}
	once := func(kind, id string, p place) {
		key := kind + " " + id
		if before, ok := seen[key]; ok && id != "" {
			all = append(all, fmt.Errorf("%s: %s %q stands here a second time, first in line %d", p.at("id"), kind, id, before.line("id")))
			return
		}
		seen[key] = p
	}
	for i := range c.Receivers {
		once("receiver", c.Receivers[i].ID, c.Receivers[i].place)
	}
	for i := range c.Sources {
		once("source", c.Sources[i].ID, c.Sources[i].place)
	}
	for i := range c.Rules {
		once("rule", c.Rules[i].ID, c.Rules[i].place)
	}
	return all
}

// faults looks at the whole, since an operator's rule may name what is built in.
func (s *Set) faults() (all []error) {
	say := func(p place, key, format string, args ...any) {
		all = append(all, fmt.Errorf("%s: %s", p.at(key), fmt.Sprintf(format, args...)))
	}
	for _, src := range s.sources {
		if src.ID == "" || src.Title == "" {
			say(src.place, "id", "a source needs an id and a title")
		}
	}
	for i := range s.receivers {
		if rc := &s.receivers[i]; !isID(rc.ID) || rc.Name == "" || rc.BulkFrom < 0 {
			say(rc.place, "id", "receiver %q: want an id of lower-case letters, digits and hyphens, a name, and a bulk_from that is not below zero", rc.ID)
		}
	}
	for i := range s.rules {
		s.ruleFaults(&s.rules[i], say)
	}
	// The sources have no order of their own.
	slices.SortFunc(all, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return all
}

func (s *Set) ruleFaults(ru *rule, say func(p place, key, format string, args ...any)) {
	if !isID(ru.ID) {
		say(ru.place, "id", "rule %q: want an id of lower-case letters, digits and hyphens", ru.ID)
	}
	one := func(key, kind, value string, names []string) {
		if !slices.Contains(names, value) {
			say(ru.place, key, "rule %q: unknown %s %q: %s", ru.ID, kind, value, meant(value, names))
		}
	}
	one("receiver", "receiver", ru.Receiver, s.receiverIDs())
	one("source", "source", ru.Source, s.sourceIDs())
	one("scope", "scope", ru.Scope, []string{All, Bulk, Marketing})
	one("strength", "strength", ru.Strength, []string{Required, Recommended, Observed, DomainPolicy})
	one("unless_met", "verdict", ru.UnlessMet, []string{Reject, Junk, Defer, None})
	for _, name := range ru.Needs {
		one("needs", "predicate", name, Predicates())
	}
	if ru.Strength == DomainPolicy && ru.UnlessMet != Junk {
		say(ru.place, "strength", "rule %q: %s goes with %s alone, which is what p=quarantine asks for; for a receiver that refuses by p=reject write %s or %s",
			ru.ID, DomainPolicy, Junk, Required, Observed)
	}
	if len(ru.Needs) == 0 {
		say(ru.place, "needs", "rule %q: needs no predicate, so nothing could ever break it", ru.ID)
	}
	if !ru.place.builtin && ru.Requirement == "" {
		say(ru.place, "id", "rule %q: has no requirement, which is the rule in words for the reader of a report", ru.ID)
	}
}

func (s *Set) receiverIDs() []string {
	out := make([]string, 0, len(s.receivers))
	for i := range s.receivers {
		out = append(out, s.receivers[i].ID)
	}
	return out
}

func (s *Set) sourceIDs() []string {
	out := make([]string, 0, len(s.sources))
	for id := range s.sources {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

// isID: ids become parts of codes.
func isID(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}
