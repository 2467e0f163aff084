package spf

import "strings"

// misspelt are names that people write, and what the record's language calls them.
var misspelt = map[string]string{
	"ipv4": "ip4", "ipv6": "ip6", "ip": "ip4", "ip-4": "ip4", "ip-6": "ip6", "ip4s": "ip4", "host": "a", "aaaa": "a",
	"domain": "include", "inlcude": "include", "inculde": "include", "includes": "include", "incldue": "include",
	"exist": "exists", "any": "all", "al": "all", "alll": "all", "redirects": "redirect", "explanation": "exp",
}

// near finds the term that was probably meant. What it gives can be read; where nothing simple can, it
// gives nothing.
func near(text string, d Directive) string {
	if len(text) > maxQuoted || d.Err.Problem == Repeated {
		return ""
	}
	for _, guess := range guesses(text, d) {
		if guess == text || guess == "" {
			continue
		}
		if g := readTerm(guess); g.Err == nil {
			if _, plain := syntax[g.Name]; plain || g.Name == "redirect" || g.Name == "exp" {
				return guess
			}
		}
	}
	return apart(text)
}

// apart puts the space back between two terms that were run together.
func apart(text string) string {
	for i := 1; i < len(text); i++ {
		before, after := readTerm(text[:i]), readTerm(text[i:])
		if before.Err == nil && after.Err == nil && !before.Modifier && (len(after.Name) > 1 || after.Domain != "") {
			return text[:i] + " " + text[i:]
		}
	}
	return ""
}

// dashes that word processors put in place of a hyphen: en dash, em dash, minus sign, and the tilde
// operator.
var dashes = strings.NewReplacer("\u2013", "-", "\u2014", "-", "\u2212", "-", "\u223c", "~", "\u201c", "", "\u201d", "", "\"", "")

func guesses(text string, d Directive) []string {
	plain := dashes.Replace(text)
	sign, rest := "", plain
	if plain != "" {
		_, n := qualifier(plain[0])
		sign, rest = plain[:n], plain[n:]
	}
	name, value := rest, ""
	at := strings.IndexAny(rest, "=:/")
	if at >= 0 {
		name, value = rest[:at], rest[at+1:]
	}
	name = lower(name)
	out := []string{plain, strings.TrimRight(plain, ".,;:")}
	// An address after the wrong name, or after none.
	for _, family := range []string{"ip4:", "ip6:"} {
		// Without a name the whole is the address: its first group is no name.
		if syntax[name] == nil {
			out = append(out, sign+family+rest)
		}
		out = append(out, sign+family+value)
	}
	for _, known := range []string{misspelt[name], name, closest(name)} {
		switch known {
		case "":
		case "redirect", "exp":
			out = append(out, known+"="+value)
		case "all":
			out = append(out, sign+known)
		default:
			out = append(out, sign+known+":"+value)
		}
	}
	return out
}

// closest gives the mechanism or modifier that differs from the name by one letter.
func closest(name string) string {
	for _, known := range []string{"include", "redirect", "exists", "ip4", "ip6", "all", "ptr"} {
		if oneApart(name, known) {
			return known
		}
	}
	return ""
}

// oneApart: one letter is missing, too many or another one.
func oneApart(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) == len(b) {
		return i < len(a) && a[i+1:] == b[i+1:]
	}
	return a[i:] == b[i+1:]
}
