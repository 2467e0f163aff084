package mtasts

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"checkauth/verify/dns"
)

// maxAge in seconds: RFC 8461, 3.2: a year of 365.25 days.
const maxAge = 31_557_600

// SyntaxError is where a policy does not keep to the grammar of RFC 8461, 3.2.
type SyntaxError struct {
	Line int    // from 1; 0 where something is missing
	Text string // of that line, its beginning
	Want string
}

func (e *SyntaxError) Error() string {
	if e.Line == 0 {
		return "MTA-STS policy: want " + e.Want
	}
	return fmt.Sprintf("MTA-STS policy, line %d: %q: want %s", e.Line, e.Text, e.Want)
}

// setters are the fields that we know.
var setters = map[string]func(p *Policy, value string) (want string){
	"version": func(_ *Policy, value string) string {
		if value != "STSv1" {
			return "STSv1"
		}
		return ""
	},
	"mode": func(p *Policy, value string) string {
		p.Mode = Mode(value)
		if p.Mode != Enforce && p.Mode != Testing && p.Mode != None {
			return "enforce, testing or none"
		}
		return ""
	},
	"max_age": (*Policy).setMaxAge,
	"mx":      (*Policy).addMX,
}

// Parse reads the body of a policy, with lines that end in LF or CRLF. ID and Expires stay empty: they do
// not stand in it. The error is a *SyntaxError.
//
// RFC 8461, 3.2: the fields stand in any order, unknown ones are ignored where they keep to the grammar,
// and of all but mx the first counts. There are no empty lines.
func Parse(body []byte) (Policy, error) {
	var p Policy
	seen := map[string]bool{}
	text := string(body)
	for n := 1; n == 1 || text != ""; n++ {
		line, rest, _ := strings.Cut(text, "\n")
		if len(rest) < len(text) && len(line) < len(text) {
			line = strings.TrimSuffix(line, "\r") // of CRLF; a CR that no LF follows is a fault
		}
		text = rest
		name, value, ok := field(line)
		if !ok {
			return Policy{}, &SyntaxError{Line: n, Text: clip(line), Want: "a name, a colon and a value"}
		}
		set := setters[name]
		if set == nil || seen[name] && name != "mx" {
			continue
		}
		seen[name] = true
		if want := set(&p, value); want != "" {
			return Policy{}, &SyntaxError{Line: n, Text: clip(line), Want: name + ": " + want}
		}
	}
	for _, name := range []string{"version", "mode", "max_age", "mx"} {
		if !seen[name] && (name != "mx" || p.Mode != None) {
			return Policy{}, &SyntaxError{Want: "a field " + name}
		}
	}
	return p, nil
}

// field takes a line apart: RFC 8461, 3.2: blanks behind the colon and at the end do not count.
func field(line string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(line, ":")
	value = strings.Trim(value, blanks)
	return name, value, ok && IsFieldName(name) && isValue(value)
}

// isValue: RFC 8461, 3.2: UTF-8 without controls.
func isValue(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return s != "" && utf8.ValidString(s)
}

func (p *Policy) setMaxAge(value string) (want string) {
	n, err := strconv.ParseUint(value, 10, 64)
	// ParseUint takes digits alone here. Compared before it is a Duration, which ten digits overflow.
	if err != nil || len(value) > 10 || n > maxAge {
		return "seconds, 0 to 31557600"
	}
	p.MaxAge = time.Duration(n) * time.Second
	return ""
}

// addMX: RFC 8461, 3.2: a domain of RFC 5321, 4.1.2 in A-labels, perhaps with "*." before it.
func (p *Policy) addMX(value string) (want string) {
	if !isDomain(strings.TrimPrefix(value, "*.")) {
		return "a host's name, or *. and a domain's"
	}
	// A copy: a part of the body would keep the whole of it in memory.
	p.MX = append(p.MX, strings.Clone(dns.Canonical(value)))
	return ""
}

// clip keeps the beginning of a stranger's text.
func clip(s string) string {
	const most = 100
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
