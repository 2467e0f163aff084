package result

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// From tells whose words a text is. The zero From is a stranger's, so that who says nothing of a text hides it from all who
// have not proved that they sent the message.
type From string

// Stranger: whoever wrote the message, spoke SMTP or answered by DNS. Ourselves: this program, its configuration, and the
// words of RFCs. Any other From comes of Of.
const (
	Stranger  From = ""
	Ourselves From = "."
)

// Of is what the name and the records of a domain say; it may be shown to who may see that domain.
func Of(domain string) From {
	if domain == "" || domain == string(Ourselves) || strings.Contains(domain, " ") {
		return Stranger
	}
	return From(domain)
}

// And is the provenance of a text that is made of two.
func (f From) And(g From) From {
	switch {
	case f == Stranger || g == Stranger:
		return Stranger
	case f == Ourselves || f == g:
		return g
	case g == Ourselves:
		return f
	}
	return f + " " + g
}

// Allowed tells whether a text may be shown to who may see those domains for which known is true.
func (f From) Allowed(known func(domain string) bool) bool {
	if f == Stranger {
		return false
	}
	return f == Ourselves || !slices.ContainsFunc(f.Domains(), func(d string) bool { return !known(d) })
}

// Domains are those whose words they are; none where they are ours or a stranger's.
func (f From) Domains() []string {
	if f == Stranger || f == Ourselves {
		return nil
	}
	return strings.Split(string(f), " ")
}

// Text is a text with its provenance. It is unescaped: whoever prints it escapes it (Clean). In JSON it is its Value.
type Text struct {
	Value string
	From  From
}

// IsZero tells that there is nothing in it.
func (t Text) IsZero() bool { return t.Value == "" }

// MarshalText gives the value.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.Value), nil }

// UnmarshalText reads a value; nobody knows any more whose it is.
func (t *Text) UnmarshalText(b []byte) error {
	*t = Text{Value: string(b)}
	return nil
}

// Ours is a text of this program's own. A string without it is a stranger's.
type Ours string

// Domain is the name of a domain.
func Domain(name string) Text { return Text{name, Of(name)} }

// Said is what the records of a domain say.
func Said(domain, text string) Text { return Text{text, Of(domain)} }

// Domains are the names of several.
func Domains(names []string) (out []Text) {
	for _, n := range names {
		out = append(out, Domain(n))
	}
	return out
}

// Join makes one text of several.
func Join(all []Text, separator string) Text {
	out := Text{From: Ourselves}
	var b strings.Builder
	for i, t := range all {
		if i > 0 {
			b.WriteString(separator)
		}
		b.WriteString(t.Value)
		out.From = out.From.And(t.From)
	}
	out.Value = b.String()
	return out
}

// TextOf makes a text of a value: numbers, addresses, networks and the words of this package are ours, a string is a
// stranger's, and so is whatever else there is.
func TextOf(v any) Text {
	switch v := v.(type) {
	case Text:
		return v
	case string:
		return Text{v, Stranger}
	case Ours:
		return Text{string(v), Ourselves}
	case Word:
		return Text{string(v), Ourselves}
	case Code:
		return Text{string(v), Ourselves}
	case int:
		return Text{strconv.Itoa(v), Ourselves}
	case int64:
		return Text{strconv.FormatInt(v, 10), Ourselves}
	case uint8, uint16, uint32, uint64, netip.Addr, netip.Prefix:
		return Text{fmt.Sprint(v), Ourselves}
	}
	return Text{fmt.Sprint(v), Stranger}
}
