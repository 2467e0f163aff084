package templates

import (
	"strings"

	"golang.org/x/text/language"
)

// Choose gives the language of Languages that fits the wishes best; the first wish that can be met counts. A
// wish is a list in the form of Accept-Language (RFC 3282, 3; RFC 9110, 12.5.4), or one tag of it. Without a
// wish that can be met it is English, and met is false.
func (w *Words) Choose(wishes ...string) (lang string, met bool) {
	names := w.Languages()
	tags := make([]language.Tag, len(names))
	for i, n := range names {
		tags[i] = language.Make(n)
	}
	matcher := language.NewMatcher(tags)
	for _, wish := range wishes {
		for _, t := range wished(wish) {
			// Low is a guess by script or region alone: who asks for that language does not read this one.
			if _, i, sure := matcher.Match(t); sure >= language.High {
				return names[i], true
			}
		}
	}
	return English, false
}

// longestWish in octets: a stranger's header field.
const longestWish = 200

// wished are the tags of a wish, the most wanted first. What is no tag is left out.
func wished(s string) []language.Tag {
	if len(s) > longestWish {
		return nil
	}
	tags, weights, err := language.ParseAcceptLanguage(strings.TrimSpace(s))
	if err != nil {
		return nil
	}
	var out []language.Tag
	for i, t := range tags {
		if weights[i] > 0 && t != language.Und {
			out = append(out, t)
		}
	}
	return out
}
