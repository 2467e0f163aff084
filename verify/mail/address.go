package mail

import (
	"strings"
	"unicode/utf8"

	"checkauth/verify/naming"
)

// Fault is where an address list leaves the grammar.
type Fault string

// The faults of a From field.
const (
	FaultControl     Fault = "control"      // an octet that no field may have, such as NUL or a bare CR
	FaultComment     Fault = "comment"      // a comment without its end
	FaultQuote       Fault = "quote"        // a quoted string without its end
	FaultBackslash   Fault = "backslash"    // a quoted-pair outside of quotes
	FaultRoute       Fault = "route"        // RFC 5322, 4.4: a source route in front of the address
	FaultGroup       Fault = "group"        // RFC 6854: a colon behind a name
	FaultEmpty       Fault = "empty"        // nothing where an address should be
	FaultNoDomain    Fault = "no-domain"    // words, and no @ and domain
	FaultLocal       Fault = "local"        // the part before the @ is no dot-atom and no quoted string
	FaultEncodedWord Fault = "encoded-word" // RFC 2047, 5: not within an address
	FaultLiteral     Fault = "literal"      // an address literal has no domain
	FaultDomain      Fault = "domain"       // no host name
	FaultAngle       Fault = "angle"        // < without >
	FaultTrailing    Fault = "trailing"     // text behind an address, without a comma
)

// parser reads a mailbox-list (RFC 5322, 3.4) from left to right, each octet once.
type parser struct {
	s string
	i int // next octet; where there is a fault, the place of it

	found   []Address
	count   int
	domain  string // of the first mailbox, canonical
	several bool   // another one has another domain
}

// list reads the whole.
func (p *parser) list() Fault {
	if i := strings.IndexFunc(p.s, forbidden); i >= 0 {
		p.i = i
		return FaultControl
	}
	for {
		if fault := p.mailbox(); fault != "" {
			return fault
		}
		if fault := p.skip(); fault != "" {
			return fault
		}
		switch {
		case p.i == len(p.s):
			return ""
		case p.s[p.i] == ':':
			return FaultGroup
		case p.s[p.i] == '\\':
			return FaultBackslash
		case p.s[p.i] != ',':
			return FaultTrailing
		}
		p.i++
	}
}

// forbidden: RFC 5322, 4: the controls that only obsolete mail could hold.
func forbidden(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// mailbox reads name-addr or addr-spec: which of them shows at the first @ or <.
func (p *parser) mailbox() Fault {
	if fault := p.skip(); fault != "" {
		return fault
	}
	var name phrase
	for {
		start := p.i
		if p.i == len(p.s) {
			return name.without(FaultNoDomain)
		}
		switch c := p.s[p.i]; {
		case c == '<':
			return p.angle(name.display(p.count < MaxAddresses))
		case c == '@':
			return p.bare(name)
		case c == ':':
			return FaultGroup
		case c == '\\':
			return FaultBackslash
		case c == ',' || c == ';':
			return name.without(FaultNoDomain)
		case c != '"' && c != '.' && !Atext(c, true):
			return FaultTrailing
		}
		w, fault := p.word()
		if fault != "" {
			return fault
		}
		w.spaced = start > 0 && len(name) > 0 && (p.s[start-1] == ' ' || p.s[start-1] == '\t' || p.s[start-1] == ')')
		// Beyond that no word is shown; that there are more than one is all that counts.
		if len(name) < maxWords {
			name = append(name, w)
		}
		if fault := p.skip(); fault != "" {
			return fault
		}
	}
}

// bare reads the rest of an addr-spec whose local part was read already.
func (p *parser) bare(local phrase) Fault {
	switch len(local) {
	case 0:
		return FaultLocal
	case 1:
		return p.address("", local[0])
	}
	// Words in front of an address without angle brackets.
	return FaultTrailing
}

// angle reads <local@domain>.
func (p *parser) angle(display string) Fault {
	p.i++
	if fault := p.skip(); fault != "" {
		return fault
	}
	if p.i == len(p.s) {
		return FaultAngle
	}
	switch c := p.s[p.i]; {
	case c == '@' || c == ',':
		return FaultRoute
	case c == '>':
		return FaultEmpty
	case c == '\\':
		return FaultBackslash
	case c != '"' && c != '.' && !Atext(c, true):
		return FaultLocal
	}
	local, fault := p.word()
	if fault != "" {
		return fault
	}
	if fault := p.skip(); fault != "" {
		return fault
	}
	if p.i == len(p.s) {
		return FaultAngle
	}
	switch p.s[p.i] {
	case '@':
	case '>':
		return FaultNoDomain
	default:
		return FaultLocal
	}
	if fault := p.address(display, local); fault != "" {
		return fault
	}
	if fault := p.skip(); fault != "" {
		return fault
	}
	if p.i == len(p.s) || p.s[p.i] != '>' {
		return FaultAngle
	}
	p.i++
	return ""
}

// address reads @domain behind a local part and keeps the mailbox.
func (p *parser) address(display string, local word) Fault {
	if !utf8.ValidString(local.text) {
		return FaultLocal // RFC 6532, 3.1
	}
	if !local.quoted {
		switch {
		case !DotAtom(local.text, true):
			return FaultLocal
		case strings.Contains(local.text, "=?") && strings.Contains(local.text, "?="):
			return FaultEncodedWord
		}
	}
	p.i++
	if fault := p.skip(); fault != "" {
		return fault
	}
	start := p.i
	if p.i < len(p.s) && p.s[p.i] == '[' {
		return FaultLiteral
	}
	for p.i < len(p.s) && (p.s[p.i] == '.' || Atext(p.s[p.i], true)) {
		p.i++
	}
	written := p.s[start:p.i]
	domain, ok := naming.Host(written)
	if !ok {
		p.i = start
		if strings.Contains(written, "=?") {
			return FaultEncodedWord
		}
		return FaultDomain
	}
	p.keep(Address{Display: display, Local: local.text, Domain: written}, domain)
	return ""
}

func (p *parser) keep(a Address, domain string) {
	if p.count++; p.count <= MaxAddresses {
		p.found = append(p.found, a)
	}
	if p.count == 1 {
		p.domain = domain
	}
	p.several = p.several || domain != p.domain
}

// word is an atom with its dots, or a quoted string without its quotes.
type word struct {
	text   string
	quoted bool
	spaced bool // white space or a comment stood before it
}

func (p *parser) word() (word, Fault) {
	if p.s[p.i] == '"' {
		return p.quotedString()
	}
	start := p.i
	for p.i < len(p.s) && (p.s[p.i] == '.' || Atext(p.s[p.i], true)) {
		p.i++
	}
	return word{text: p.s[start:p.i]}, ""
}

func (p *parser) quotedString() (word, Fault) {
	var b strings.Builder
	for i := p.i + 1; i < len(p.s); i++ {
		switch p.s[i] {
		case '"':
			p.i = i + 1
			return word{text: b.String(), quoted: true}, ""
		case '\\':
			if i++; i == len(p.s) {
				return word{}, FaultQuote
			}
		}
		b.WriteByte(p.s[i])
	}
	return word{}, FaultQuote
}

// skip reads white space and comments.
func (p *parser) skip() Fault {
	rest := SkipCFWS(p.s[p.i:])
	p.i = len(p.s) - len(rest)
	if strings.HasPrefix(rest, "(") {
		return FaultComment
	}
	return ""
}
