package templates

import (
	"strings"

	"golang.org/x/text/language"
)

// Choose gives the language of Languages that fits the wishes best; the first wish that can be met counts. A
// wish is a list in the form of Accept-Language (RFC 3282, 3; RFC 9110, 12.5.4), or one tag of it. Without a
// wish that can be met it is English, and met is false.
func (w *Words) Choose(wishes ...string) (lang string, met bool) {
	for _, wish := range wishes {
		for _, t := range wished(wish) {
			// Low is a guess by script or region alone: who asks for that language does not read this one.
			if _, i, sure := w.matcher().Match(t); sure >= language.High {
				return w.Languages()[i], true
			}
		}
	}
	return English, false
}

// matcher knows the languages in the order of Languages. It is made at the first wish: no file is read after that.
func (w *Words) matcher() language.Matcher {
	w.match.Do(func() {
		var tags []language.Tag
		for _, n := range w.Languages() {
			tags = append(tags, language.Make(n))
		}
		w.matching = language.NewMatcher(tags)
	})
	return w.matching
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
