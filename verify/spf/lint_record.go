package spf

import (
	"slices"
	"strings"

	"checkauth/verify/result"
)

// lintNeutralAll: RFC 7208, 2.6.2: neutral is treated like none, so that the record forbids nothing.
func lintNeutralAll(p *page, s result.Severity) (result.Finding, bool) {
	all := p.policy.all
	ok := p.own && all >= 0 && p.policy.Terms[all].Qualifier == result.Neutral
	return result.Found(s, "spf-neutral-all", "domain", result.Domain(p.domain)), ok
}

// lintNoAll: RFC 7208, 4.7: it ends as if by ?all.
func lintNoAll(p *page, s result.Severity) (result.Finding, bool) {
	ok := p.own && p.policy.all < 0 && p.policy.redirect < 0 && p.policy.bad == 0
	return result.Found(s, "spf-no-all", "domain", result.Domain(p.domain)), ok
}

// lintRepeated: what stands twice is never matched the second time, and may cost a look-up.
func lintRepeated(p *page, s result.Severity) (result.Finding, bool) {
	seen := map[string]bool{}
	costs := false
	found, ok := p.first(func(_ int, d *Directive) bool {
		if d.Modifier || d.Name == "all" {
			return false
		}
		key := p.meaning(*d)
		again := seen[key]
		seen[key] = true
		costs = costs || again && asks(d.Name)
		return again
	})
	if !costs {
		s = result.Info
	}
	return result.Found(s, "spf-repeated-term", "domain", result.Domain(p.domain), "terms", terms(p.domain, found)), ok && p.own
}

// meaning is a spelling that terms for the same clients share.
func (p *page) meaning(d Directive) string {
	d.Qualifier = result.Pass
	if d.Domain = strings.TrimSuffix(d.Domain, "."); d.Domain == "" && !d.Addr.IsValid() {
		d.Domain = p.domain
	}
	if fixed(d.spec) {
		d.Domain = lower(d.Domain)
	}
	return d.String()
}

// lintVersionCase: RFC 7208, 12: literals match without regard to case, which some receivers do not
// know.
func lintVersionCase(p *page, s result.Severity) (result.Finding, bool) {
	start := p.txt.Text()[:len(version)]
	return result.Found(s, "spf-version-case", "domain", result.Domain(p.domain), "start", result.Said(p.domain, start)), p.own && start != version
}

// maxString is the length of one string of a TXT record: RFC 1035, 3.3.
const maxString = 255

// lintLongString: none of the DNS's own strings is too long, but one that is yet to be published may be.
func lintLongString(p *page, s result.Severity) (result.Finding, bool) {
	long := slices.MaxFunc(append(p.txt.Strings, ""), func(x, y string) int { return len(x) - len(y) })
	return result.Found(s, "spf-long-string", "domain", result.Domain(p.domain), "octets", len(long),
		"count", (len(long)+maxString-1)/maxString), p.own && len(long) > maxString
}

const (
	shortAnswer = 450  // octets of name and text: RFC 7208, 3.4
	fitsAnswer  = 1200 // what most resolvers take over UDP, less the head of the message
)

// length: RFC 7208, 3.4: an answer should fit in a datagram, with all other TXT records of the name.
func (s *survey) length(p *page) {
	all := len(p.domain)
	for _, r := range s.w.first {
		all += len(r.Text())
	}
	severity := result.Info
	switch {
	case all <= shortAnswer:
		return
	case all > fitsAnswer:
		severity = result.Warning
	}
	s.say(result.Found(severity, "spf-long-answer", "domain", result.Domain(p.domain),
		"octets", len(p.txt.Text()), "all", all))
}

// includedAll: RFC 7208, 5.2: where the included record lets everybody pass, so does the include.
func (s *survey) includedAll(at *site) {
	at.each(func(i int, d *Directive) {
		link := at.links[i]
		if d.Name != "include" || d.Qualifier != result.Pass || link == nil || link.policy == nil || link.own {
			return
		}
		if f, ok := lintPlusAll(link.page, result.Error); ok {
			s.say(ofTerms(result.Found(result.Error, "spf-include-passes-all", "domain", result.Domain(at.domain),
				"term", result.Said(at.domain, result.Cut(d.Text, maxQuoted)), "target", result.Domain(link.domain), "inner", f.Args.Text("term")), d.Text))
		}
	})
}
