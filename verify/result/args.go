package result

import (
	"encoding/json"
	"slices"
	"strings"
)

// Arg is one named argument of a sentence.
type Arg struct {
	Name, Value string
	From        From // whose words the value is
}

// Args are the arguments of a sentence, sorted by name, unescaped. Whoever prints them escapes them (Clean). In JSON they
// are an object.
type Args []Arg

// named makes Args of pairs of name and value, of which TextOf makes a text.
func named(pairs []any) Args {
	if len(pairs) < 2 {
		return nil
	}
	args := make(Args, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		value := TextOf(pairs[i+1])
		name, _ := pairs[i].(string)
		args = args.insert(Arg{name, value.Value, value.From})
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

// Text is an argument with its provenance; nothing of a stranger's where there is none.
func (as Args) Text(name string) Text {
	for _, a := range as {
		if a.Name == name {
			return Text{a.Value, a.From}
		}
	}
	return Text{}
}

// With is a copy in which one argument has another value.
func (as Args) With(name string, value any) Args {
	t := TextOf(value)
	return slices.Clone(as).insert(Arg{name, t.Value, t.From})
}

// Equal compares names and values; the provenance does not count.
func (as Args) Equal(bs Args) bool {
	return slices.EqualFunc(as, bs, func(a, b Arg) bool { return a.Name == b.Name && a.Value == b.Value })
}

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
		*as = as.insert(Arg{Name: name, Value: value})
	}
	return nil
}
