package known

import (
	"fmt"
	"regexp"
	"strings"

	"checkauth/verify/dns"
)

// index finds the entry that a name belongs to, by its number in the file. The exact name counts for more
// than a regular expression, that for more than a domain above, and of those the nearest. Of two entries
// that claim the same the first of the file has it.
type index struct {
	exact, below map[string]int
	patterns     []pattern
}

type pattern struct {
	re    *regexp.Regexp
	entry int
}

// nobody has names that are below another's.
const nobody = -1

// add takes names as they stand in the files: with a dot in front the domain and everything below it.
func (x *index) add(entry int, names ...string) {
	if x.exact == nil {
		x.exact, x.below = map[string]int{}, map[string]int{}
	}
	for _, n := range names {
		into := x.exact
		if domain, ok := strings.CutPrefix(n, "."); ok {
			n, into = domain, x.below
		}
		n = dns.Canonical(n)
		if _, taken := into[n]; !taken {
			into[n] = entry
		}
	}
}

// addPattern takes a regular expression for the canonical name; none where it is empty.
func (x *index) addPattern(entry int, expr string) error {
	if expr == "" {
		return nil
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		return fmt.Errorf("entry %d: %w", entry, err)
	}
	x.patterns = append(x.patterns, pattern{re, entry})
	return nil
}

// find takes a name in any spelling, also a stranger's: what cannot be a name in the DNS belongs to nobody.
func (x *index) find(name string) (entry int, ok bool) {
	if !dns.Askable(name) {
		return nobody, false
	}
	name = dns.Canonical(name)
	if entry, ok = x.exact[name]; ok {
		return entry, true
	}
	for _, p := range x.patterns {
		if p.re.MatchString(name) {
			return p.entry, true
		}
	}
	// By label: notexample.org is not below example.org.
	for more := true; more; _, name, more = strings.Cut(name, ".") {
		if entry, ok = x.below[name]; ok {
			return entry, entry != nobody
		}
	}
	return nobody, false
}

// first finds the entry of the first name that has one.
func (x *index) first(names []string) (entry int, ok bool) {
	for _, n := range names {
		if entry, ok = x.find(n); ok {
			return entry, true
		}
	}
	return nobody, false
}
