package advise

import (
	"regexp"
	"strings"

	"checkauth/verify/dns"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

// wording is an SPF record under repair, apart from how it is spelt.
type wording struct {
	terms    []spf.Directive // mechanisms but all, and unknown modifiers, in order
	all      result.Word     // qualifier of all; empty where there is none
	redirect string
	exp      string
	dropped  []string // what could not be understood
	guessed  bool     // something was read as what it probably meant
}

// spfStart is how people write v=spf1. A sign after it is that of the first term, and stays.
var spfStart = regexp.MustCompile(`(?i)^\s*(?:v\s*[=:]\s*spf(?:[\s_-]*v?1)?|spf[\s_-]?1)[\s;,.:]*`)

// spfTerms cuts the version from a text that is, or was meant to be, an SPF record. Sender ID's spf2.0 is none.
func spfTerms(text string) (terms string, ok bool) {
	text = spf.Plain(text)
	head := spfStart.FindString(text)
	terms = text[len(head):]
	if head == "" || terms != "" && '0' <= terms[0] && terms[0] <= '9' {
		return "", false
	}
	return terms, true
}

// meantAsSPF picks what an SPF record takes the place of.
func meantAsSPF(text string) bool { _, ok := spfTerms(text); return ok }

// readSPF makes one wording of the records of a name.
func readSPF(domain string, texts []string) *wording {
	p := &wording{}
	var redirects []string
	alls := 0
	for _, text := range texts {
		one := &wording{}
		terms, _ := spfTerms(text)
		for _, t := range understood(terms) {
			one.add(t)
		}
		if one.all != "" {
			// RFC 7208, 6.1: beside all, redirect is ignored.
			one.redirect = ""
			alls++
		}
		p.take(one)
		if one.redirect != "" {
			redirects = append(redirects, one.redirect)
		}
	}
	p.follow(redirects, alls)
	p.terms = distinct(domain, p.terms)
	return p
}

// take adds the terms of another record, and the weaker all.
func (p *wording) take(o *wording) {
	p.terms = append(p.terms, o.terms...)
	p.dropped = append(p.dropped, o.dropped...)
	p.guessed = p.guessed || o.guessed
	if p.all == "" || o.all != "" && strength[o.all] < strength[p.all] {
		p.all = o.all
	}
	if p.exp == "" {
		p.exp = o.exp
	}
}

// strength orders the ends of records.
var strength = map[result.Word]int{result.Pass: 0, result.Neutral: 1, result.SoftFail: 2, result.Fail: 3}

// follow keeps the one redirect where nothing else ends the record; else its records become includes,
// which let the same clients pass.
func (p *wording) follow(redirects []string, alls int) {
	if alls == 0 && len(redirects) == 1 {
		p.redirect = redirects[0]
		return
	}
	for _, r := range redirects {
		p.terms = append(p.terms, readTerm("include:"+r)...)
	}
	if len(redirects) > 0 && p.all == "" {
		p.all = result.SoftFail
	}
}

// reading is one term as it stands there, and what it was taken for.
type reading struct {
	text    string
	terms   []spf.Directive // none: it could not be understood
	guessed bool
}

func (p *wording) add(r reading) {
	if len(r.terms) == 0 {
		p.dropped = append(p.dropped, r.text)
	}
	p.guessed = p.guessed || r.guessed
	for _, d := range r.terms {
		switch {
		case d.Modifier && d.Name == "v": // a second record, pasted behind the first
		case d.Modifier && d.Name == "redirect":
			if p.redirect == "" {
				p.redirect = d.Domain
			}
		case d.Modifier && d.Name == "exp":
			if p.exp == "" {
				p.exp = d.Domain
			}
		case d.Name == "all" && !d.Modifier:
			if r.guessed && strength[d.Qualifier] < strength[result.SoftFail] {
				// Nobody who wrote "any" or "alll" has said that all the world may send.
				d.Qualifier = result.SoftFail
			}
			if p.all == "" {
				p.all = d.Qualifier
			}
		default:
			p.terms = append(p.terms, d)
		}
	}
}

// understood reads terms, with the mistakes that people make in them.
func understood(text string) (out []reading) {
	words := strings.Fields(text)
	for i := 0; i < len(words); i++ {
		word := words[i]
		if i+1 < len(words) && severed(word, words[i+1]) {
			i++
			word += words[i]
			out = append(out, reading{word, readTerm(word), true})
			continue
		}
		out = append(out, guessTerm(word)...)
	}
	return out
}

// severed: a space stands within a term, as in "include: example.org" and "- all".
func severed(word, next string) bool {
	last := word[len(word)-1]
	return strings.IndexByte(":=+-~?", last) >= 0 && readTerm(word) == nil && readTerm(word+next) != nil
}

// readTerm reads one term, or several with spaces between them; nil where one of them cannot be read.
func readTerm(text string) []spf.Directive {
	p, err := spf.Parse("v=spf1 " + text)
	if err != nil {
		return nil
	}
	return p.Terms
}

// guessTerm reads one word: as it is, as what it comes near to, or as a list with commas.
func guessTerm(word string) []reading {
	d := readTerm(word)
	if d != nil && !misnamed(d) {
		return []reading{{word, d, false}}
	}
	if d != nil {
		// RFC 7208, 6: ip4= is an unknown modifier, and ignored.
		fixed := strings.Replace(word, "=", ":", 1)
		if g := readTerm(fixed); g != nil {
			return []reading{{word, g, true}}
		}
		return []reading{{word, d, false}}
	}
	if parts := strings.FieldsFunc(word, func(r rune) bool { return r == ',' || r == ';' }); len(parts) > 1 {
		var out []reading
		for _, part := range parts {
			out = append(out, guessTerm(part)...)
		}
		return out
	}
	for _, g := range []string{nearTerm(word), strings.TrimRight(word, "/.,;:")} {
		if d := readTerm(g); len(d) > 0 {
			return []reading{{word, d, true}}
		}
	}
	return []reading{{text: word}}
}

func nearTerm(word string) string {
	p, err := spf.Parse("v=spf1 " + word)
	if err == nil || len(p.Terms) == 0 || p.Terms[0].Err == nil {
		return ""
	}
	return p.Terms[0].Err.Near
}

// mechanismNames are the names that are no modifiers.
var mechanismNames = map[string]bool{"all": true, "include": true, "a": true, "mx": true, "ptr": true, "ip4": true, "ip6": true, "exists": true}

func misnamed(ds []spf.Directive) bool {
	return len(ds) == 1 && ds[0].Modifier && mechanismNames[strings.ToLower(ds[0].Name)]
}

// distinct leaves out terms for the same clients as one before them.
func distinct(domain string, terms []spf.Directive) (out []spf.Directive) {
	seen := map[string]bool{}
	for _, d := range terms {
		key := meaning(domain, d)
		if !seen[key] {
			out = append(out, d)
		}
		seen[key] = true
	}
	return out
}

// meaning is a spelling that terms for the same clients share. Of terms that differ in the qualifier
// alone the first decides.
func meaning(domain string, d spf.Directive) string {
	if d.Modifier {
		return d.String()
	}
	d.Qualifier = result.Pass
	if d.Addr.IsValid() {
		if p, err := d.Addr.Prefix(bitsOf(d)); err == nil {
			d.Addr = p.Addr()
		}
		return d.String()
	}
	if d.Domain = strings.TrimSuffix(d.Domain, "."); d.Domain == "" {
		d.Domain = domain
	}
	if !strings.Contains(d.Domain, "%") {
		d.Domain = dns.Canonical(d.Domain)
	}
	return d.String()
}

func bitsOf(d spf.Directive) int {
	if d.Addr.Is4() {
		return d.Mask4
	}
	return d.Mask6
}

// String prints the record. Names are as they were published, for some owners know them by their capitals.
func (p *wording) String() string {
	out := []string{"v=spf1"}
	for _, d := range p.terms {
		out = append(out, d.String())
	}
	switch {
	case p.all != "":
		out = append(out, signs[p.all]+"all")
	case p.redirect != "":
		out = append(out, "redirect="+p.redirect)
	}
	if p.exp != "" {
		out = append(out, "exp="+p.exp)
	}
	return strings.Join(out, " ")
}

var signs = map[result.Word]string{result.Fail: "-", result.SoftFail: "~", result.Neutral: "?", result.Pass: "+"}

// joints puts the space back where the strings of a TXT record were cut between two terms: RFC 7208, 3.3:
// they are joined with nothing between them. A term that reads well as one was cut within, unless a finding
// says that it is two.
func joints(r dns.Record, two func(string) bool) string {
	if len(r.Strings) < 2 || !meantAsSPF(r.Text()) {
		return r.Text()
	}
	text := r.Strings[0]
	for _, s := range r.Strings[1:] {
		if cutBetween(text, s, two) {
			text += " "
		}
		text += s
	}
	return text
}

// cutBetween: the end of one string and the start of the next are terms each, and no term together.
func cutBetween(left, right string, two func(string) bool) bool {
	if strings.HasSuffix(left, " ") || strings.HasPrefix(right, " ") || right == "" {
		return false
	}
	before := left[strings.LastIndexByte(left, ' ')+1:]
	after, _, _ := strings.Cut(right, " ")
	if strings.EqualFold(before, "v=spf1") {
		return true
	}
	return readTerm(before) != nil && readTerm(after) != nil && (readTerm(before+after) == nil || two(before+after))
}
