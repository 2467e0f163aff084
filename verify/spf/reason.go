package spf

import "checkauth/verify/result"

// syntaxReason puts what is wrong with a term into a code; the column counts from one.
func syntaxReason(domain string, e *SyntaxError) result.Reason {
	term, at := result.Cut(e.Term, maxQuoted), column(e.Offset)
	if e.Near != "" {
		return result.Because("spf-term-near", "term", term, "column", at, "domain", result.Domain(domain), "near", e.Near)
	}
	switch e.Problem {
	case BadCharacter:
		return result.Because("spf-term-character", "term", term, "column", at, "domain", result.Domain(domain))
	case NeedsDomain:
		return result.Because("spf-term-needs-domain", "term", term, "column", at, "domain", result.Domain(domain))
	case NeedsAddress:
		return result.Because("spf-term-needs-address", "term", term, "column", at, "domain", result.Domain(domain))
	case NoArgument:
		return result.Because("spf-term-no-argument", "term", term, "column", at, "domain", result.Domain(domain))
	case BadDomain:
		return result.Because("spf-term-bad-domain", "term", term, "column", at, "domain", result.Domain(domain))
	case BadMacro:
		return result.Because("spf-term-bad-macro", "term", term, "column", at, "domain", result.Domain(domain))
	case BadAddress:
		return result.Because("spf-term-bad-address", "term", term, "column", at, "domain", result.Domain(domain))
	case BadMask:
		return result.Because("spf-term-bad-mask", "term", term, "column", at, "domain", result.Domain(domain))
	case BadModifierName:
		return result.Because("spf-term-bad-modifier", "term", term, "column", at, "domain", result.Domain(domain))
	case Repeated:
		return result.Because("spf-term-repeated", "term", term, "column", at, "domain", result.Domain(domain))
	}
	return result.Because("spf-term-unknown", "term", term, "column", at, "domain", result.Domain(domain))
}
