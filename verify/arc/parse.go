package arc

import (
	"strings"

	"checkauth/verify/dkim"
	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// maxSets: RFC 8617, 4.2.1: an instance is 1 to 50.
const maxSets = 50

// The three fields of a set, in the order in which a seal covers them (RFC 8617, 5.1.1).
const (
	results = iota
	message
	seal
	kinds
)

var names = [kinds]string{"ARC-Authentication-Results", "ARC-Message-Signature", "ARC-Seal"}

// kind tells which of the three a field is.
func kind(f mail.Field) (int, bool) {
	for k, name := range names {
		if f.Is(name) {
			return k, true
		}
	}
	return 0, false
}

// field is one field of a set.
type field struct {
	at     int // place among the message's fields
	raw    mail.Field
	signed dkim.ForeignField // of results: empty
}

// set is one ARC Set. Of a kind that stands there more than once the first from the top is kept.
type set struct {
	fields [kinds]*field
	count  [kinds]int
}

// chain is what the header has of ARC.
type chain struct {
	length     int // the highest instance
	sets       [maxSets + 1]set
	unreadable [kinds]int // fields without an instance
	count      int        // of the kind that there is most of
}

// read takes the fields apart. With more of one kind than there are instances no chain can be right:
// then none is looked at.
func read(fields mail.Fields) *chain {
	c := &chain{}
	var n [kinds]int
	var at []int
	for i, f := range fields {
		if k, ok := kind(f); ok {
			n[k]++
			c.count = max(c.count, n[k])
			if n[k] <= maxSets {
				at = append(at, i)
			}
		}
	}
	if c.count > maxSets {
		return c
	}
	for _, i := range at {
		c.add(i, fields[i])
	}
	return c
}

func (c *chain) add(at int, raw mail.Field) {
	k, _ := kind(raw)
	f := &field{at: at, raw: raw}
	var i int
	if k == results {
		i, _ = claimed(raw.Value())
	} else {
		f.signed = dkim.ReadForeign(raw)
		text, _ := f.signed.Tag("i")
		i = instance(text)
	}
	if i == 0 {
		c.unreadable[k]++
		return
	}
	c.length = max(c.length, i)
	s := &c.sets[i]
	if s.count[k]++; s.fields[k] == nil {
		s.fields[k] = f
	}
}

// instance: RFC 8617, 4.2.1: one or two digits, 1 to 50; 0 stands for anything else.
func instance(text string) int {
	n := 0
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return 0
		}
		n = 10*n + int(c-'0')
	}
	if len(text) == 0 || len(text) > 2 || n > maxSets {
		return 0
	}
	return n
}

// claimed reads the value of an ARC-Authentication-Results as far as its instance: RFC 8617, 4.1.1. The
// instance is 0 where it does not begin with one; the rest is what follows the semicolon.
func claimed(value string) (i int, rest string) {
	s, ok := strings.CutPrefix(mail.SkipCFWS(value), "i")
	if !ok {
		return 0, ""
	}
	if s, ok = strings.CutPrefix(mail.SkipCFWS(s), "="); !ok {
		return 0, ""
	}
	s = mail.SkipCFWS(s)
	rest = strings.TrimLeft(s, "0123456789")
	i = instance(s[:len(s)-len(rest)])
	if rest, ok = strings.CutPrefix(mail.SkipCFWS(rest), ";"); !ok || i == 0 {
		return 0, ""
	}
	return i, rest
}

// shownClaims is how much of the results is kept.
const shownClaims = 1000

// authserv parts what a host claims into its name and the results: RFC 8601, 2.2.
func authserv(rest string) (host, results string) {
	rest = mail.SkipCFWS(rest)
	host = rest
	if quoted, ok := strings.CutPrefix(rest, `"`); ok {
		host, rest, _ = strings.Cut(quoted, `"`)
		_, rest, _ = strings.Cut(rest, ";")
	} else {
		host, rest, _ = strings.Cut(rest, ";")
		host, _, _ = strings.Cut(host, "(")
		if words := strings.Fields(host); len(words) > 0 {
			host = words[0] // a version may follow
		}
	}
	return shown(host, 255), shown(rest, shownClaims)
}

func shown(s string, n int) string {
	return result.Cut(result.Clean(strings.TrimSpace(strings.ToValidUTF8(s, "\ufffd"))), n)
}
