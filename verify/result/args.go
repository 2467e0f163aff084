package result

import (
	"encoding/json"
	"slices"
	"strings"
)

// Arg is one named argument of a sentence.
type Arg struct{ Name, Value string }

// Args are the arguments of a sentence, sorted by name: text of strangers, unescaped. Whoever prints
// them escapes them (Clean). In JSON they are an object.
type Args []Arg

// named makes Args of pairs of name and value.
func named(pairs []string) Args {
	if len(pairs) < 2 {
		return nil
	}
	args := make(Args, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		args = args.insert(Arg{pairs[i], pairs[i+1]})
	}
	return args
}

// insert keeps the order; an argument of the same name gives way.
func (as Args) insert(a Arg) Args {
	at, there := slices.BinarySearchFunc(as, a.Name, func(b Arg, name string) int { return strings.Compare(b.Name, name) })
	if there {
		as[at] = a
		return as
	}
	return slices.Insert(as, at, a)
}

// Get is the value of an argument, empty where there is none.
func (as Args) Get(name string) string {
	for _, a := range as {
		if a.Name == name {
			return a.Value
		}
	}
	return ""
}

// With is a copy in which one argument has another value.
func (as Args) With(name, value string) Args { return slices.Clone(as).insert(Arg{name, value}) }

// Equal tells whether the two say the same.
func (as Args) Equal(bs Args) bool { return slices.Equal(as, bs) }

// MarshalJSON writes an object.
func (as Args) MarshalJSON() ([]byte, error) {
	m := make(map[string]string, len(as))
	for _, a := range as {
		m[a.Name] = a.Value
	}
	return json.Marshal(m)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (as *Args) UnmarshalJSON(b []byte) error {
	var m map[string]string
	if err := json.Unmarshal(b, &m); err != nil {
		return err
	}
	*as = nil
	for name, value := range m {
		*as = as.insert(Arg{name, value})
	}
	return nil
}
