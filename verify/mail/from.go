package mail

import (
	"bytes"
	"strings"
)

// From is the author of a message as DMARC needs it: RFC 5322, 3.6.2; RFC 9989, on the author domain.
type From struct {
	Fields    int       `json:"fields"` // how many From fields the message has, those in disguise included
	Raw       string    `json:"raw"`    // value of the first, unfolded
	Addresses []Address `json:"addresses,omitempty"`
	Domain    string    `json:"domain"` // the one author domain, A-labels, lower case; "" where Problem is set
	Problem   Problem   `json:"problem,omitempty"`
	Fault     Fault     `json:"fault,omitempty"`  // what is wrong with the grammar, where Problem is BadFrom or GroupFrom
	Column    int       `json:"column,omitempty"` // octet of Raw where Fault stands, from 1
}

// Address is one mailbox.
type Address struct {
	Display string `json:"display,omitempty"` // RFC 2047 decoded; a stranger's text
	Local   string `json:"local"`             // unquoted
	Domain  string `json:"domain"`            // as written
}

// Problem is why there is no author domain.
type Problem string

// The problems of a From field; each is a finding "from-" and the problem.
const (
	NoFrom        Problem = "missing"
	SeveralFrom   Problem = "several-fields"
	BadFrom       Problem = "malformed"
	SeveralAuthor Problem = "several-domains"
	GroupFrom     Problem = "group"
	SpacedFrom    Problem = "space-before-colon"
)

// MaxAddresses of a From field are kept; those behind them are read and compared all the same.
const MaxAddresses = 50

// ParseFrom finds the one author domain of a header, or tells why there is none.
//
// It is strict on purpose: programs disagree on whatever leaves the grammar of RFC 5322, 3.4 (routes,
// quoted-pairs outside of quotes, text behind the address), so that one of them would show another
// author than the one that was checked. Of the obsolete forms only a dot in a display name is taken:
// all programs read it alike.
func ParseFrom(fs Fields) From {
	var from Fields
	hidden := 0
	for _, f := range fs {
		if f.Is("From") || disguised(f) {
			from = append(from, f)
		} else if behindCR(f) {
			hidden++
		}
	}
	out := From{Fields: len(from) + hidden}
	if len(from) == 0 {
		out.Problem = NoFrom
		return out
	}
	out.Raw = valueOf(from[0])
	p := parser{s: out.Raw}
	fault := p.list()
	out.Addresses = p.found
	switch {
	case out.Fields > 1:
		out.Problem = SeveralFrom
	case from[0].Spaced || from[0].Name == "":
		out.Problem = SpacedFrom
	case fault != "":
		out.Problem, out.Fault, out.Column = BadFrom, fault, min(p.i, len(p.s))+1
		if fault == FaultGroup {
			out.Problem = GroupFrom
		}
	case p.several:
		out.Problem = SeveralAuthor
	default:
		out.Domain = p.domain
	}
	return out
}

// Mailboxes are the addresses of a field such as To; none where it leaves the grammar, and no more than
// MaxAddresses.
func Mailboxes(f Field) []Address {
	p := parser{s: valueOf(f)}
	if p.list() != "" {
		return nil
	}
	return p.found
}

// disguised tells whether a line that is no field would be taken for From by a program that is less
// strict: a fold before the colon, or octets around the name that do not print.
func disguised(f Field) bool {
	if f.Name != "" {
		return false
	}
	name, _, _ := bytes.Cut(f.Raw, []byte(":"))
	if len(name) > 100 {
		return false
	}
	name = bytes.Map(func(r rune) rune {
		if r < 33 || r > 126 {
			return -1
		}
		return r
	}, name)
	return strings.EqualFold(string(name), "From")
}

// behindCR tells whether a program to which a bare CR ends a line would see a From within another field.
func behindCR(f Field) bool {
	for rest := f.Raw; ; {
		at := bytes.IndexByte(rest, '\r')
		if at < 0 {
			return false
		}
		rest = rest[at+1:]
		const name = "From"
		if len(rest) > len(name) && strings.EqualFold(string(rest[:len(name)]), name) &&
			bytes.HasPrefix(bytes.TrimLeft(rest[len(name):], " \t"), []byte(":")) {
			return true
		}
	}
}

// valueOf is Value, also of a disguised field.
func valueOf(f Field) string {
	if f.Name == "" {
		f.Name = "From"
		if !bytes.Contains(f.Raw, []byte(":")) {
			return ""
		}
	}
	return f.Value()
}
