package spf

import (
	"net/netip"

	"checkauth/verify/result"
)

// lint names what is wrong with the records whatever the result was. What stands in a record that the
// sender only includes is no affair of its own to mend, so it is for information.
func (s *survey) lint() {
	for i, at := range s.order {
		severity := result.Warning
		if !at.own {
			severity = result.Info
		}
		for _, rule := range lints {
			if f, ok := rule(at.page, severity); ok {
				s.say(f)
			}
		}
		if i == 0 {
			s.length(at.page)
		}
		if at.own {
			s.includedAll(at)
		}
	}
	s.data()
}

// lints are the rules for single records; each has at most one finding for a record.
var lints = []func(p *page, s result.Severity) (result.Finding, bool){
	lintPlusAll, lintPtr, lintRedirect, lintAfterAll, lintPrivate, lintEquals,
	lintNeutralAll, lintNoAll, lintRepeated, lintVersionCase, lintLongString,
}

// first gives the terms that fit, as published, at most five.
func (p *page) first(fits func(i int, d *Directive) bool) (found []string, ok bool) {
	for i := range p.policy.Terms {
		if d := &p.policy.Terms[i]; d.Err == nil && len(found) < 5 && fits(i, d) {
			found = append(found, d.Text)
		}
	}
	return found, len(found) > 0
}

// lintPlusAll: a network wider than any that one owner has lets everybody pass, or as good as.
func lintPlusAll(p *page, s result.Severity) (result.Finding, bool) {
	if p.own {
		s = result.Error
	}
	found, ok := p.first(func(_ int, d *Directive) bool {
		if d.Modifier || d.Qualifier != result.Pass {
			return false
		}
		switch d.Name {
		case "all":
			return true
		case "ip4", "ip6", "a", "mx":
			return (d.Mask4 < 8 || d.Mask6 < 16) && !isPrivate(d.Addr)
		}
		return false
	})
	if !ok {
		return result.Finding{}, false
	}
	return ofTerms(result.Found(s, "spf-plus-all", "domain", result.Domain(p.domain), "term", terms(p.domain, found)), found...), true
}

func lintPtr(p *page, s result.Severity) (result.Finding, bool) {
	found, ok := p.first(func(_ int, d *Directive) bool { return d.Name == "ptr" && !d.Modifier })
	if !ok {
		return result.Finding{}, false
	}
	return ofTerms(result.Found(s, "spf-ptr-mechanism", "domain", result.Domain(p.domain), "term", terms(p.domain, found)), found...), true
}

// lintRedirect: RFC 7208, 6.1: beside an all, wherever that stands, redirect is ignored.
func lintRedirect(p *page, s result.Severity) (result.Finding, bool) {
	found, ok := p.first(func(i int, _ *Directive) bool { return i == p.policy.redirect && p.policy.all >= 0 })
	if !ok {
		return result.Finding{}, false
	}
	return ofTerms(result.Found(s, "spf-redirect-ignored", "domain", result.Domain(p.domain), "term", terms(p.domain, found)), found...), true
}

// lintAfterAll: RFC 7208, 5.1: mechanisms after all are never tested.
func lintAfterAll(p *page, s result.Severity) (result.Finding, bool) {
	found, ok := p.first(func(i int, d *Directive) bool { return !d.Modifier && p.policy.all >= 0 && i > p.policy.all })
	if !ok {
		return result.Finding{}, false
	}
	return ofTerms(result.Found(s, "spf-terms-after-all", "domain", result.Domain(p.domain), "terms", terms(p.domain, found)), found...), true
}

func lintPrivate(p *page, s result.Severity) (result.Finding, bool) {
	found, ok := p.first(func(_ int, d *Directive) bool {
		return d.Addr.IsValid() && d.Qualifier == result.Pass && isPrivate(d.Addr)
	})
	if !ok {
		return result.Finding{}, false
	}
	return ofTerms(result.Found(s, "spf-private-address", "domain", result.Domain(p.domain), "terms", terms(p.domain, found)), found...), true
}

func isPrivate(addr netip.Addr) bool {
	for _, network := range private {
		if network.Contains(addr.Unmap()) {
			return true
		}
	}
	return false
}

// lintEquals: RFC 7208, 6: a mechanism's name with "=" is an unknown modifier, and ignored.
func lintEquals(p *page, s result.Severity) (result.Finding, bool) {
	meant := ""
	found, ok := p.first(func(_ int, d *Directive) bool {
		if _, ok := syntax[d.Name]; !ok || !d.Modifier || meant != "" {
			return false
		}
		meant = d.Name + ":" + result.Cut(d.Domain, maxQuoted)
		return true
	})
	if !ok {
		return result.Finding{}, false
	}
	return ofTerms(result.Found(s, "spf-equals-sign", "domain", result.Domain(p.domain), "term", terms(p.domain, found), "near", result.Said(p.domain, meant)), found...), true
}
