package spf

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"checkauth/verify/dns"
	"checkauth/verify/result"
)

// foreign are characters that come from word processors, web pages and zone files, and what they stood
// for. Octets are those of Windows-1252.
var foreign = map[rune]string{
	'"': "", '\\': "",
	'\u201c': "", '\u201d': "", '\u201e': "", '\u201f': "", '\u2018': "", '\u2019': "", '\u00ab': "", '\u00bb': "",
	'\u2010': "-", '\u2011': "-", '\u2012': "-", '\u2013': "-", '\u2014': "-", '\u2212': "-", '\u223c': "~", '\u02dc': "~",
	'\u00a0': " ", '\u2002': " ", '\u2003': " ", '\u2009': " ", '\u202f': " ",
	'\u200b': "", '\u200c': "", '\u200d': "", '\u2060': "", '\ufeff': "", '\u00ad': "",
}

var foreignOctets = map[byte]string{0x91: "", 0x92: "", 0x93: "", 0x94: "", 0x96: "-", 0x97: "-", 0xa0: " "}

// mend puts plain characters in the place of foreign ones; strange are those beyond ASCII, as they are
// named in a finding.
func mend(text string) (plain string, strange []string) {
	var b strings.Builder
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		name := fmt.Sprintf("U+%04X", r)
		with, known := foreign[r]
		if r == utf8.RuneError && n == 1 {
			with, known = foreignOctets[text[i]]
			name = fmt.Sprintf("octet %02X", text[i])
		}
		switch {
		case !known:
			b.WriteString(text[i : i+n])
		default:
			b.WriteString(with)
			if r >= utf8.RuneSelf && !slices.Contains(strange, name) {
				strange = append(strange, name)
			}
		}
		i += n
	}
	return strings.TrimSpace(b.String()), strange
}

// maxShown: octets of a record in a finding.
const maxShown = 300

// data looks for characters that belong to no record, in what is or was meant to be one.
func (s *survey) data() {
	for _, r := range s.w.first {
		text := r.Text()
		if len(text) > maxShown*10 {
			continue
		}
		plain, strange := mend(text)
		if !IsRecord(plain) || !spoilt(text, plain) {
			continue
		}
		domain := s.w.id.begin()
		if len(strange) > 0 {
			s.say(result.Found(result.Error, "spf-typographic-character", "domain", result.Domain(domain),
				"characters", result.Said(domain, strings.Join(strange, ", ")), "near", result.Said(domain, result.Cut(plain, maxShown))))
			continue
		}
		s.say(result.Found(result.Error, "spf-stray-quotes", "domain", result.Domain(domain),
			"record", result.Said(domain, result.Cut(text, maxShown)), "near", result.Said(domain, result.Cut(plain, maxShown))))
	}
}

// spoilt: the text cannot be read, for what mending took out. A macro may have quotes and backslashes.
func spoilt(text, plain string) bool {
	if text == plain {
		return false
	}
	p, err := Parse(text)
	if err == nil || !IsRecord(text) {
		return err != nil
	}
	return slices.ContainsFunc(p.Terms, func(d Directive) bool { return d.Err != nil && strayed(d.Text) })
}

func strayed(term string) bool {
	plain, _ := mend(term)
	return plain != term
}

// supersede leaves out findings where a more special one says the same.
func (s *survey) supersede(all []result.Finding) []result.Finding {
	if !s.has("spf-stray-quotes") && !s.has("spf-typographic-character") {
		return all
	}
	return slices.DeleteFunc(all, func(f result.Finding) bool {
		switch f.Code {
		case "spf-none", "spf-none-on-subdomain", "spf-version":
			return true
		case "spf-syntax", "spf-syntax-near":
			return strayed(f.Args.Get("term"))
		}
		return false
	})
}

// elsewhere looks for the record under www, where the owner of a web site may have put it.
func (s *survey) elsewhere(all []result.Finding) []result.Finding {
	domain := s.w.id.begin()
	for i, f := range all {
		if f.Code != "spf-none" || !dns.Askable("www."+domain) || s.w.nx {
			continue
		}
		a, err := s.ask("www."+domain, dns.TXT)
		if err == nil && slices.ContainsFunc(a.Texts(), IsRecord) {
			all[i] = result.Found(result.Error, "spf-wrong-name", "domain", result.Domain(domain), "name", result.Domain("www."+domain))
		}
	}
	return all
}
