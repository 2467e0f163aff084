package dkim

import (
	"fmt"
	"strconv"
	"strings"
)

// tag is one entry of a tag list: RFC 6376, 3.2. White space around name and value is gone, that inside
// of the value is kept.
type tag struct {
	name, value string
	from, to    int // where the value, with the white space around it, stands in the text
}

// tags is a tag list in its order.
type tags []tag

// parseTags reads a whole tag list. The error tells what is wrong and where.
func parseTags(text string) (tags, error) {
	var out tags
	seen := map[string]bool{}
	for start := 0; start <= len(text); {
		end := len(text)
		if i := strings.IndexByte(text[start:], ';'); i >= 0 {
			end = start + i
		}
		spec := text[start:end]
		name, _, ok := strings.Cut(spec, "=")
		switch trimmed := trimFWS(name); {
		case !ok && trimmed == "":
			// RFC 6376, 3.2: one semicolon may end the list. Two in a row are taken as well: they say nothing.
		case !ok:
			return out, fmt.Errorf("%q at octet %d has no equals sign", clip(trimmed), start)
		case trimmed == "":
			return out, fmt.Errorf("a tag without a name at octet %d", start)
		case seen[trimmed]:
			// RFC 6376, 3.2: a name that stands twice makes the whole list invalid.
			return out, fmt.Errorf("%s= stands there twice", clip(trimmed))
		default:
			seen[trimmed] = true
			from := start + len(name) + 1
			out = append(out, tag{name: trimmed, value: trimFWS(text[from:end]), from: from, to: end})
		}
		start = end + 1
	}
	return out, nil
}

// get gives a tag by its name. RFC 6376, 3.2: names are compared with their case.
func (ts tags) get(name string) (tag, bool) {
	for _, t := range ts {
		if t.name == name {
			return t, true
		}
	}
	return tag{}, false
}

// value is a tag's value without any white space, as all but n= and z= want it. Where none may stand
// inside of it, broken tells.
func (ts tags) value(name string) string {
	t, _ := ts.get(name)
	return withoutFWS(t.value)
}

// list splits a value at its colons; empty entries are left out.
func (ts tags) list(name string) []string {
	var out []string
	for s := range strings.SplitSeq(ts.value(name), ":") {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// allowed is list for what lets all pass where it is missing: a list that is there and empty lets
// nothing pass.
func (ts tags) allowed(name string) []string {
	if _, ok := ts.get(name); !ok {
		return nil
	}
	if out := ts.list(name); len(out) > 0 {
		return out
	}
	return []string{""}
}

// broken gives the first tag of a signature with a character where RFC 6376, 3.5 lets none stand: white
// space inside of a value, and in the entries of h= and q= whatever is no visible ASCII. Read without it,
// "d=exam ple.org" would pass for a domain that others do not see there, and go-msgauth takes away what
// Unicode calls white space. b=, bh= and i= may be folded anywhere.
func (ts tags) broken() (tag, bool) {
	for _, t := range ts {
		bad := false
		switch t.name {
		case "a", "c", "d", "l", "s", "t", "x":
			bad = strings.ContainsAny(t.value, fws)
		case "h", "q":
			for entry := range strings.SplitSeq(t.value, ":") {
				bad = bad || strings.ContainsFunc(trimFWS(entry), unseen)
			}
		}
		if bad {
			return t, true
		}
	}
	return tag{}, false
}

func unseen(r rune) bool { return r <= ' ' || r > '~' }

const fws = " \t\r\n"

func isFWS(c byte) bool { return strings.IndexByte(fws, c) >= 0 }

func trimFWS(s string) string { return strings.Trim(s, fws) }

func withoutFWS(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 && isFWS(byte(r)) {
			return -1
		}
		return r
	}, s)
}

// quotedPrintable undoes dkim-quoted-printable (RFC 6376, 2.11); what is no escape stays as it is.
func quotedPrintable(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '=' && i+2 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// clip keeps a stranger's text in an error short.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}
