package dmarc

import (
	"regexp"
	"slices"
	"strings"

	"checkauth/verify/typo"
)

// Without is a record's text without these tags, the rest as it stands there.
func Without(text string, tags ...string) string {
	var out []string
	for _, t := range split(text) {
		if !t.blank() && !slices.Contains(tags, t.name) {
			out = append(out, t.text)
		}
	}
	return strings.Join(out, "; ")
}

// With is a record's text in which a tag has this value: in its place where it stands there, else as the
// last one.
func With(text, tag, value string) string {
	var out []string
	done := false
	for _, t := range split(text) {
		switch {
		case t.blank(), t.name == tag && done:
		case t.name == tag:
			out, done = append(out, tag+"="+value), true
		default:
			out = append(out, t.text)
		}
	}
	if !done {
		out = append(out, tag+"="+value)
	}
	return strings.Join(out, "; ")
}

// Mend makes a record of a text that was meant as one: the version first, as RFC 9989, 4.7 wants it, tags
// divided by semicolons, values that come near to what may stand there. What cannot be understood is left
// out; ok is false where nothing comes of it that can be used. A policy that is not to be made out is
// none: it asks nobody to refuse anything.
func Mend(text string) (mended string, ok bool) {
	plain := strings.NewReplacer("“", "", "”", "", `"`, "", `\;`, ";", `\`, "").Replace(text)
	if !strings.Contains(plain, ";") {
		plain = apart(plain)
	}
	plain = undivided.ReplaceAllString(plain, "; $1=")
	out := []string{"v=DMARC1"}
	seen := map[string]bool{"v": true}
	policy := "none"
	var rest []string
	for _, t := range split(plain) {
		name, value := t.name, strings.TrimRight(t.value, ", ")
		if tags[name] == nil || seen[name] || value == "" {
			continue
		}
		seen[name] = true
		value, good := mendValue(name, value)
		switch {
		case !good && (name == "sp" || name == "np"):
			rest = append(rest, name+"="+string(PolicyNone)) // without it, that of the domain would be asked for
		case !good:
		case name == "p":
			policy = value
		default:
			rest = append(rest, name+"="+value)
		}
	}
	mended = strings.Join(append(append(out, "p="+policy), rest...), "; ")
	r, _ := Parse(mended)
	return mended, Meant(text) && r.P != "" && !r.Unusable && !r.Fallback
}

// undivided finds a tag that no semicolon divides from the one before it.
var undivided = regexp.MustCompile(`(?i)[ \t,]+(p|sp|np|adkim|aspf|psd|t|rua|ruf|fo|pct|rf|ri)[ \t]*=`)

// apart puts a semicolon before each tag of a text that has none.
func apart(text string) string {
	var parts []string
	for word := range strings.FieldsSeq(strings.ReplaceAll(text, ",", " ")) {
		name, _, tag := strings.Cut(strings.ToLower(word), "=")
		if len(parts) > 0 && (!tag || tags[name] == nil && name != "v") {
			parts[len(parts)-1] += "," + word // one more report address
			continue
		}
		parts = append(parts, word)
	}
	return strings.Join(parts, "; ")
}

var policies = []string{string(PolicyNone), string(PolicyQuarantine), string(PolicyReject)}

// mendValue gives what was probably meant, and whether that can stand there.
func mendValue(name, value string) (string, bool) {
	low := strings.ToLower(value)
	switch name {
	case "p", "sp", "np":
		p := nearest(low, policies)
		return p, p != ""
	case "adkim", "aspf":
		return low[:1], low[0] == 'r' || low[0] == 's'
	case "rua", "ruf":
		return mendURIs(value)
	}
	p := parser{r: Record{PSD: "u", Pct: 100}, seen: map[string]bool{}}
	tags[name](&p, term{text: name + "=" + value, name: name, value: value})
	return value, !slices.ContainsFunc(p.r.Faults, func(f Fault) bool { return f.Kind == FaultSyntax })
}

// mendURIs puts mailto: before plain addresses; what is no address is left out.
func mendURIs(value string) (string, bool) {
	var out []string
	for u := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }) {
		u = strings.Trim(u, "<>")
		if !strings.Contains(u, ":") && strings.Contains(u, "@") {
			u = "mailto:" + u
		}
		if u, ok := reportURI(u); ok {
			out = append(out, u)
		}
	}
	return strings.Join(out, ","), len(out) > 0
}

// nearest is the word that differs least, empty where none is near.
func nearest(word string, words []string) string {
	for _, w := range words {
		if w == word || len(word) >= 3 && strings.HasPrefix(w, word) || strings.HasPrefix(word, w) {
			return w
		}
	}
	return typo.Nearest(word, words)
}
