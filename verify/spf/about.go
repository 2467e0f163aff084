package spf

import (
	"strings"

	"checkauth/verify/result"
)

// About is what a finding is about, for advice: terms as published, names that were asked for.
type About struct {
	Terms []string
	Names []string // of a loop, in the order in which they lead to each other
}

// AboutOf is that of a finding; empty where it has none.
func AboutOf(f result.Finding) About {
	a, _ := f.About.(About)
	return a
}

// ofTerms and ofNames give a finding what it is about.
func ofTerms(f result.Finding, terms ...string) result.Finding {
	f.About = About{Terms: terms}
	return f
}

func ofNames(f result.Finding, names ...string) result.Finding {
	f.About = About{Names: names}
	return f
}

// terms are shown with each of them cut.
func terms(domain string, all []string) result.Text {
	shown := make([]string, len(all))
	for i, t := range all {
		shown[i] = result.Cut(t, maxQuoted)
	}
	return result.Said(domain, strings.Join(shown, " "))
}
