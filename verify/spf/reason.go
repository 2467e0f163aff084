package spf

import "checkauth/verify/result"

// syntaxReason puts what is wrong with a term into a code; the column counts from one.
func syntaxReason(domain string, e *SyntaxError) result.Reason {
	term, at := result.Cut(e.Term, maxQuoted), column(e.Offset)
	if e.Near != "" {
		return result.Because("spf-term-near", "term", result.Said(domain, term), "column", result.Ours(at), "domain", result.Domain(domain), "near", result.Said(domain, e.Near))
	}
	switch e.Problem {
	case BadCharacter:
		return result.Because("spf-term-character", "term", result.Said(domain, term), "column", result.Ours(at), "domain", result.Domain(domain))
	case NeedsDomain:
		return result.Because("spf-term-needs-domain", "term", result.Said(domain, term), "column", result.Ours(at), "domain", result.Domain(domain))
	case NeedsAddress:
		return result.Because("spf-term-needs-address", "term", result.Said(domain, term), "column", result.Ours(at), "domain", result.Domain(domain))
	case NoArgument:
		return result.Because("spf-term-no-argument", "term", result.Said(domain, term), "column", result.Ours(at), "domain", result.Domain(domain))
	case BadDomain:
		return result.Because("spf-term-bad-domain", "term", result.Said(domain, term), "column", result.Ours(at), "domain", result.Domain(domain))
	case BadMacro:
		return result.Because("spf-term-bad-macro", "term", result.Said(domain, term), "column", result.Ours(at), "domain", result.Domain(domain))
	case BadAddress:
		return result.Because("spf-term-bad-address", "term", result.Said(domain, term), "column", result.Ours(at), "domain", result.Domain(domain))
	case BadMask:
		return result.Because("spf-term-bad-mask", "term", result.Said(domain, term), "column", result.Ours(at), "domain", result.Domain(domain))
	case BadModifierName:
		return result.Because("spf-term-bad-modifier", "term", result.Said(domain, term), "column", result.Ours(at), "domain", result.Domain(domain))
	case Repeated:
		return result.Because("spf-term-repeated", "term", result.Said(domain, term), "column", result.Ours(at), "domain", result.Domain(domain))
	}
	return result.Because("spf-term-unknown", "term", result.Said(domain, term), "column", result.Ours(at), "domain", result.Domain(domain))
}
