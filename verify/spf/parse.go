package spf

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"checkauth/verify/result"
)

const version = "v=spf1"

// Policy is a record taken apart, the whole of it, before anything is evaluated. Records repeat
// nothing but Text: the terms are substrings of it.
type Policy struct {
	Terms []Directive // in the record's order; those that cannot be read have Err

	all, redirect, exp int // index of the first such term, -1 where there is none
	bad                int // terms that cannot be read
	size               int // terms, and pieces of macros in them
}

// Directive is one term: a mechanism with its qualifier, or a modifier.
type Directive struct {
	Text      string       // as published
	Offset    int          // of its first byte in the record
	Err       *SyntaxError // why it cannot be read; then only Text and Offset are sure
	Modifier  bool         // name=value
	Qualifier result.Word  // of a mechanism: Pass, Fail, SoftFail or Neutral
	Name      string       // lower case
	Domain    string       // domain-spec, or the value of a modifier; macros as written; empty where there is none
	Addr      netip.Addr   // of ip4 and ip6
	Mask4     int          // ip4-cidr-length, 32 where there is none
	Mask6     int          // ip6-cidr-length, 128 where there is none

	spec macroString // of Domain; nil where that has no macro
}

// Problem is what is wrong with a term.
type Problem string

// Problems of terms, most of them rules of RFC 7208, 12.
const (
	UnknownMechanism Problem = "unknown mechanism"
	BadCharacter     Problem = "octet that no record may have"
	NeedsDomain      Problem = "no domain after the name"
	NeedsAddress     Problem = "no address after the name"
	NoArgument       Problem = "argument where none is allowed"
	BadDomain        Problem = "not a domain name"
	BadMacro         Problem = "macro that cannot be read"
	BadAddress       Problem = "not an address of this family"
	BadMask          Problem = "not a prefix length of this family"
	BadModifierName  Problem = "not the name of a modifier"
	Repeated         Problem = "modifier that stands twice"
)

// SyntaxError is the first, or one, term of a record that cannot be read.
type SyntaxError struct {
	Domain  string // whose record; empty where Parse was called alone
	Term    string
	Offset  int // of the term's first byte
	Problem Problem
	Near    string // the term that was probably meant, empty where nothing comes near
}

func (e *SyntaxError) Error() string {
	s := fmt.Sprintf("SPF record of %q, byte %d: %q: %s", e.Domain, e.Offset, result.Cut(e.Term, maxQuoted), e.Problem)
	if e.Near != "" {
		s += fmt.Sprintf(", want %q", e.Near)
	}
	return s
}

// IsRecord tells whether a text is an SPF record at all.
//
// RFC 7208, 4.5: the version section is exactly "v=spf1", ended by a space or the end of the record.
// RFC 7208, 12: it is a literal of ABNF, so letters match without regard to case.
func IsRecord(text string) bool {
	return len(text) >= len(version) && strings.EqualFold(text[:len(version)], version) &&
		(len(text) == len(version) || text[len(version)] == ' ')
}

// Parse takes a record apart. The error is a *SyntaxError of the first term that cannot be read; the
// policy has all terms nonetheless. A text that is no record at all has one term, which is its start.
func Parse(text string) (*Policy, error) {
	p := &Policy{all: -1, redirect: -1, exp: -1}
	if !IsRecord(text) {
		first, _, _ := strings.Cut(text, " ")
		p.Terms = []Directive{{Text: first, Err: &SyntaxError{Term: first, Problem: UnknownMechanism}}}
		return p, p.Terms[0].Err
	}
	p.Terms = make([]Directive, 0, strings.Count(text, " "))
	// RFC 7208, 4.6.1: terms are separated by one or more spaces, and by nothing else.
	for at := len(version); at < len(text); {
		if text[at] == ' ' {
			at++
			continue
		}
		end := strings.IndexByte(text[at:], ' ')
		if end < 0 {
			end = len(text) - at
		}
		p.add(text[at:at+end], at)
		at += end
	}
	for i := range p.Terms {
		if err := p.Terms[i].Err; err != nil {
			return p, err
		}
	}
	return p, nil
}

// add reads one term and keeps the places of those that the evaluation looks for.
func (p *Policy) add(text string, offset int) {
	p.Terms = append(p.Terms, Directive{})
	d := &p.Terms[len(p.Terms)-1]
	d.read(text)
	d.Offset = offset
	place := p.place(d)
	switch {
	case place == nil || d.Err != nil:
	case *place < 0:
		*place = len(p.Terms) - 1
	case d.Modifier:
		// RFC 7208, 6: redirect and exp must not stand more than once each.
		d.Err = &SyntaxError{Problem: Repeated}
	}
	if d.Err != nil {
		d.Err.Term, d.Err.Offset = text, offset
		if p.bad++; p.bad <= maxNear {
			d.Err.Near = near(text, *d)
		}
	}
	p.size += 1 + len(d.spec)
}

// place is where the index of the first such term is kept, nil for most.
func (p *Policy) place(d *Directive) *int {
	switch {
	case d.Modifier && d.Name == "redirect":
		return &p.redirect
	case d.Modifier && d.Name == "exp":
		return &p.exp
	case !d.Modifier && d.Name == "all":
		return &p.all
	}
	return nil
}

// maxNear is for how many unreadable terms of a record a guess is made: guessing costs more than
// reading.
const maxNear = 10

// readTerm reads one term; its error, if any, lacks the term and the offset.
func readTerm(text string) Directive {
	var d Directive
	d.read(text)
	return d
}

func (d *Directive) read(text string) {
	*d = Directive{Text: text, Mask4: 32, Mask6: 128}
	// RFC 7208, 4.6.1: a modifier has its "=" right after the name, before any ":" or "/".
	at := argument(text)
	if text == "" {
		d.Err = &SyntaxError{Problem: UnknownMechanism}
		return
	}
	if at < len(text) && text[at] == '=' {
		d.Modifier, d.Name, d.Domain = true, text[:at], text[at+1:]
		d.Err = d.modifier()
		return
	}
	from := 0
	d.Qualifier, from = qualifier(text[0])
	d.Name = lower(text[from:max(at, from)])
	read := syntax[d.Name]
	switch {
	case read == nil && !visible(text, false):
		d.Err = &SyntaxError{Problem: BadCharacter}
	case read == nil:
		d.Err = &SyntaxError{Problem: UnknownMechanism}
	default:
		d.Err = read(d, text[at:])
	}
}

// argument is where the name of a term ends.
func argument(text string) int {
	for i := range len(text) {
		if c := text[i]; c == '=' || c == ':' || c == '/' {
			return i
		}
	}
	return len(text)
}

// qualifier: RFC 7208, 4.6.2; n is its length.
func qualifier(c byte) (w result.Word, n int) {
	switch c {
	case '+':
		return result.Pass, 1
	case '-':
		return result.Fail, 1
	case '~':
		return result.SoftFail, 1
	case '?':
		return result.Neutral, 1
	}
	return result.Pass, 0
}

// syntax has the mechanisms of RFC 7208, 5, each with how what follows its name is read.
var syntax = map[string]func(d *Directive, argument string) *SyntaxError{
	"all":     (*Directive).nothing,        // 5.1
	"include": (*Directive).domain,         // 5.2
	"a":       (*Directive).domainAndMasks, // 5.3
	"mx":      (*Directive).domainAndMasks, // 5.4
	"ptr":     (*Directive).maybeDomain,    // 5.5
	"ip4":     (*Directive).address,        // 5.6
	"ip6":     (*Directive).address,        // 5.6
	"exists":  (*Directive).domain,         // 5.7
}

func (d *Directive) nothing(argument string) *SyntaxError {
	if argument != "" {
		return &SyntaxError{Problem: NoArgument}
	}
	return nil
}

func (d *Directive) maybeDomain(argument string) *SyntaxError {
	if argument == "" {
		return nil
	}
	return d.domain(argument)
}

func (d *Directive) domain(argument string) *SyntaxError {
	spec, ok := strings.CutPrefix(argument, ":")
	if !ok && argument != "" {
		return &SyntaxError{Problem: NoArgument}
	}
	if spec == "" {
		return &SyntaxError{Problem: NeedsDomain}
	}
	d.Domain = spec
	return d.domainSpec()
}

func (d *Directive) domainAndMasks(argument string) *SyntaxError {
	rest, err := d.masks(argument)
	if err != nil || rest == "" {
		return err
	}
	return d.domain(rest)
}

// masks cuts a dual-cidr-length from the end. A "/" that is not followed by digits up to the end is a
// part of the domain, and left to its rules.
func (d *Directive) masks(argument string) (rest string, err *SyntaxError) {
	rest = argument
	head, digits := cutMask(rest)
	if six := strings.TrimSuffix(head, "/"); digits != "" && six != head {
		if d.Mask6, err = mask(digits, 128); err != nil {
			return "", err
		}
		rest = six
		head, digits = cutMask(rest)
	}
	if digits != "" {
		if d.Mask4, err = mask(digits, 32); err != nil {
			return "", err
		}
		rest = head
	}
	return rest, nil
}

// cutMask cuts "/" and digits from the end; digits is empty where there are none.
func cutMask(s string) (head, digits string) {
	at := len(s)
	for at > 0 && '0' <= s[at-1] && s[at-1] <= '9' {
		at--
	}
	if at == 0 || at == len(s) || s[at-1] != '/' {
		return s, ""
	}
	return s[:at-1], s[at:]
}

// mask reads a prefix length. RFC 7208, 12: no leading zeros, not more bits than the address has.
func mask(digits string, bits int) (int, *SyntaxError) {
	n, err := strconv.Atoi(digits)
	if err != nil || n > bits || len(digits) > 1 && digits[0] == '0' || !allDigits(digits) {
		return 0, &SyntaxError{Problem: BadMask}
	}
	return n, nil
}

func (d *Directive) address(argument string) *SyntaxError {
	text, ok := strings.CutPrefix(argument, ":")
	if !ok || text == "" {
		return &SyntaxError{Problem: NeedsAddress}
	}
	text, length, hasMask := strings.Cut(text, "/")
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" || addr.Is4() != (d.Name == "ip4") {
		return &SyntaxError{Problem: BadAddress}
	}
	d.Addr = addr
	if !hasMask {
		return nil
	}
	var bad *SyntaxError
	if addr.Is4() {
		d.Mask4, bad = mask(length, 32)
	} else {
		d.Mask6, bad = mask(length, 128)
	}
	return bad
}

// modifier reads the value of a modifier.
func (d *Directive) modifier() *SyntaxError {
	if !modifierName(d.Name) {
		return &SyntaxError{Problem: BadModifierName}
	}
	d.Name = lower(d.Name)
	// RFC 7208, 6.1 and 6.2: their value is a domain-spec. That the grammar would also take a broken one
	// for an unknown modifier is nobody's reading.
	if d.Name == "redirect" || d.Name == "exp" {
		if d.Domain == "" {
			return &SyntaxError{Problem: NeedsDomain}
		}
		return d.domainSpec()
	}
	// RFC 7208, 6: unknown modifiers are ignored, but their value must be a macro-string.
	if _, ok := parseMacros(d.Domain, true); !ok {
		return &SyntaxError{Problem: macroProblem(d.Domain)}
	}
	return nil
}

// modifierName: RFC 7208, 12: name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." ).
func modifierName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !alpha(c) && (i == 0 || !digit(c) && c != '-' && c != '_' && c != '.') {
			return false
		}
	}
	return s != ""
}

// domainSpec reads Domain. RFC 7208, 7.1: a domain-spec is a macro-string that ends with a macro or
// with a dot and a label that could be a top-level domain.
func (d *Directive) domainSpec() *SyntaxError {
	literal := d.Domain
	switch {
	case !visible(literal, false):
		return &SyntaxError{Problem: BadCharacter}
	case strings.IndexByte(literal, '%') >= 0:
		var ok bool
		if d.spec, ok = parseMacros(d.Domain, false); !ok {
			return &SyntaxError{Problem: BadMacro}
		}
		last := d.spec[len(d.spec)-1]
		if last.letter != 0 {
			return nil
		}
		literal = last.literal
	}
	literal = strings.TrimSuffix(literal, ".")
	dot := strings.LastIndexByte(literal, '.')
	if dot < 0 || !topLabel(literal[dot+1:]) {
		return &SyntaxError{Problem: BadDomain}
	}
	return nil
}

func macroProblem(s string) Problem {
	if visible(s, false) {
		return BadMacro
	}
	return BadCharacter
}

// topLabel: RFC 7208, 7.1: letters, digits and inner hyphens, not digits alone.
func topLabel(s string) bool {
	if s == "" || s[0] == '-' || s[len(s)-1] == '-' || allDigits(s) {
		return false
	}
	for i := range len(s) {
		if !alpha(s[i]) && !digit(s[i]) && s[i] != '-' {
			return false
		}
	}
	return true
}
