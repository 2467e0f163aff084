package dmarc

import (
	"slices"
	"strconv"
	"strings"
)

// Record is a DMARC policy record as RFC 9989, 4.7 reads it: what is wrong falls back to its default.
type Record struct {
	Text  string // as published, strings joined; a stranger's text
	P     Policy // "" where it is missing or invalid
	SP    Policy // "" where it is missing
	NP    Policy // "" where it is missing
	ADKIM Mode
	ASPF  Mode
	PSD   string // y, n or u
	Test  bool   // t=y
	RUA   []string
	RUF   []string
	Pct   int // of mail that the policy is for, by RFC 7489 alone; 100 where it is missing or invalid
	// Fallback: p, sp or np cannot be used, but somebody wants reports: RFC 9989, 4.10.1: the record
	// counts as p=none, whatever else it says.
	Fallback bool
	// Unusable: as before, and nobody wants reports: no DMARC for this mail.
	Unusable bool
	Faults   []Fault

	oldFault bool // p or sp cannot be used: RFC 7489, 6.6.3 knows no np
}

// Policy is what a domain owner asks for.
type Policy string

// Policies in rising order.
const (
	PolicyNone       Policy = "none"
	PolicyQuarantine Policy = "quarantine"
	PolicyReject     Policy = "reject"
)

// Mode of alignment.
type Mode string

// RFC 9989, 4.4: strict compares names, relaxed organisational domains.
const (
	Relaxed Mode = "r"
	Strict  Mode = "s"
)

// Fault is one place of a record that says something else than its author meant.
type Fault struct {
	Kind   FaultKind
	Tag    string // as written, or the text that is no tag
	Column int    // octet of the record, from 1
	Value  string // as written
	Want   string // what may stand there, in the record's own notation
	Fatal  bool   // the record does not do what it is for
}

// FaultKind sorts faults by what is to be done.
type FaultKind string

// The kinds of faults.
const (
	FaultSyntax    FaultKind = "syntax"
	FaultDuplicate FaultKind = "duplicate" // the first one counts
	FaultUnknown   FaultKind = "unknown"   // ignored: RFC 9989, 4.7
	FaultOrder     FaultKind = "order"     // p is not second, as RFC 7489, 6.3 wanted it
	FaultHistoric  FaultKind = "historic"  // pct, rf, ri: ignored, though receivers of RFC 7489 obey
)

// maxFaults of a record are kept, with maxShown octets of what was written.
const maxFaults, maxShown = 20, 60

// Parse reads a record. ok is false where the text does not begin with v=DMARC1: RFC 9989, 4.7: then it
// is as if it were not there. Faults are told all the same, if only somebody meant it as one.
func Parse(text string) (r Record, ok bool) {
	p := parser{r: Record{Text: text, ADKIM: Relaxed, ASPF: Relaxed, PSD: "u", Pct: 100}, seen: map[string]bool{}}
	terms := split(text)
	if !isVersion(terms[0]) {
		p.fault(FaultSyntax, terms[0], "v=DMARC1;", true)
		return p.r, false
	}
	for i, t := range terms[1:] {
		// RFC 9989, 4.8: a semicolon may end the record.
		if t.blank() && i == len(terms)-2 {
			break
		}
		p.term(t)
		if t.name == "p" && i > 0 && p.r.P != "" && len(p.seen) > 1 {
			p.fault(FaultOrder, t, "", false)
		}
	}
	p.conclude(len(text) + 1)
	return p.r, true
}

// Meant tells whether a text that is no record was meant as one, so that it is worth telling why.
func Meant(text string) bool {
	s := strings.ToLower(text[:min(len(text), 1000)])
	return strings.HasPrefix(strings.NewReplacer(" ", "", "\t", "", `"`, "", `\`, "").Replace(s), "v=dmarc") || strings.Contains(s, "dmarc1")
}

// term is what stands between two semicolons.
type term struct {
	text   string // without white space around it
	name   string // lower case, "" where there is no =
	value  string
	column int
}

func (t term) blank() bool { return t.text == "" }

func split(text string) []term {
	var out []term
	column := 1
	for part := range strings.SplitSeq(text, ";") {
		lead := len(part) - len(strings.TrimLeft(part, " \t"))
		t := term{text: strings.Trim(part, " \t"), column: column + lead}
		if name, value, ok := strings.Cut(t.text, "="); ok {
			t.name, t.value = strings.ToLower(strings.TrimRight(name, " \t")), strings.TrimLeft(value, " \t")
		}
		out = append(out, t)
		column += len(part) + 1
	}
	return out
}

// isVersion: RFC 9989, 4.7: v comes first, nothing before it, and its value is compared with case.
func isVersion(t term) bool { return t.column == 1 && t.name == "v" && t.value == "DMARC1" }

type parser struct {
	r    Record
	seen map[string]bool
	bad  []string // of p, sp and np, those that are invalid
}

func (p *parser) fault(kind FaultKind, t term, want string, fatal bool) {
	if len(p.r.Faults) == maxFaults {
		return
	}
	tag, value := t.name, t.value
	if !letters(t.name) {
		tag, value = t.text, t.text
	}
	if tag == "" {
		tag = ";"
	}
	p.r.Faults = append(p.r.Faults, Fault{
		Kind: kind, Tag: shown(tag, maxShown), Column: t.column, Value: shown(value, maxShown), Want: want, Fatal: fatal,
	})
}

// tags of RFC 9989, 4.8.
var tags = map[string]func(*parser, term){
	"p":     func(p *parser, t term) { p.policy(t, &p.r.P) },
	"sp":    func(p *parser, t term) { p.policy(t, &p.r.SP) },
	"np":    func(p *parser, t term) { p.policy(t, &p.r.NP) },
	"adkim": func(p *parser, t term) { p.mode(t, &p.r.ADKIM) },
	"aspf":  func(p *parser, t term) { p.mode(t, &p.r.ASPF) },
	"psd":   (*parser).psd,
	"t":     (*parser).test,
	"rua":   func(p *parser, t term) { p.r.RUA = p.uris(t) },
	"ruf":   func(p *parser, t term) { p.r.RUF = p.uris(t) },
	"fo":    (*parser).failureOptions,
	"pct":   (*parser).percent,
	"rf":    (*parser).historic,
	"ri":    (*parser).historic,
}

func (p *parser) term(t term) {
	read, known := tags[t.name]
	switch {
	case !letters(t.name):
		p.fault(FaultSyntax, t, "tag=value;", false)
	case t.name == "v" || p.seen[t.name]:
		p.fault(FaultDuplicate, t, "", false)
	case !known:
		p.fault(FaultUnknown, t, "", false)
	default:
		p.seen[t.name] = true
		read(p, t)
	}
}

func (p *parser) policy(t term, to *Policy) {
	switch v := Policy(strings.ToLower(t.value)); v {
	case PolicyNone, PolicyQuarantine, PolicyReject:
		*to = v
	default:
		p.fault(FaultSyntax, t, "none|quarantine|reject", true)
		p.bad = append(p.bad, t.name)
	}
}

func (p *parser) mode(t term, to *Mode) {
	switch v := Mode(strings.ToLower(t.value)); v {
	case Relaxed, Strict:
		*to = v
	default:
		p.fault(FaultSyntax, t, "r|s", false)
	}
}

func (p *parser) psd(t term) {
	switch v := strings.ToLower(t.value); v {
	case "y", "n", "u":
		p.r.PSD = v
	default:
		p.fault(FaultSyntax, t, "y|n|u", false)
	}
}

func (p *parser) test(t term) {
	switch v := strings.ToLower(t.value); v {
	case "y", "n":
		p.r.Test = v == "y"
	default:
		p.fault(FaultSyntax, t, "y|n", false)
	}
}

// failureOptions: RFC 9989, 4.7: 0 and 1 exclude each other. They steer reports alone.
func (p *parser) failureOptions(t term) {
	has := map[string]bool{}
	for v := range strings.SplitSeq(strings.ToLower(t.value), ":") {
		has[strings.Trim(v, " \t")] = true
	}
	both := has["0"] && has["1"]
	for _, v := range []string{"0", "1", "d", "s"} {
		delete(has, v)
	}
	if len(has) > 0 || both {
		p.fault(FaultSyntax, t, "0|1, d, s", false)
	}
}

// percent: RFC 7489, 6.3: how much of the failing mail the policy is for.
func (p *parser) percent(t term) {
	p.historic(t)
	if n, err := strconv.ParseUint(t.value, 10, 8); err == nil && n <= 100 {
		p.r.Pct = int(n)
	}
}

func (p *parser) historic(t term) { p.fault(FaultHistoric, t, "", false) }

// uris reads a list of report addresses; those that cannot be read are left out.
func (p *parser) uris(t term) []string {
	var out []string
	bad := false
	for u := range strings.SplitSeq(t.value, ",") {
		if u, ok := reportURI(strings.Trim(u, " \t")); ok {
			out = append(out, u)
		} else {
			bad = true
		}
	}
	if bad {
		p.fault(FaultSyntax, t, "mailto:user@domain", false)
	}
	return out
}

// conclude settles what p, sp and np are together: RFC 9989, 4.10.1.
func (p *parser) conclude(end int) {
	if !p.seen["p"] {
		p.fault(FaultSyntax, term{name: "p", column: end}, "none|quarantine|reject", true)
	} else if len(p.bad) == 0 {
		return
	}
	p.r.Fallback = len(p.r.RUA) > 0
	p.r.Unusable = !p.r.Fallback
	p.r.oldFault = !p.seen["p"] || slices.ContainsFunc(p.bad, func(tag string) bool { return tag != "np" })
}

// letters: RFC 9989, 4.8: a tag's name has nothing else.
func letters(s string) bool {
	for i := range len(s) {
		if s[i] < 'a' || s[i] > 'z' {
			return false
		}
	}
	return s != ""
}
