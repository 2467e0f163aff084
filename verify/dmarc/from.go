package dmarc

import (
	"strings"

	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// fromFinding says which of the rules for From (RFC 5322, 3.6; RFC 9989, 4.2) the message breaks.
func fromFinding(f mail.From) result.Finding {
	switch f.Problem {
	case mail.NoFrom:
		return result.Found(result.Error, "from-missing")
	case mail.SeveralFrom:
		return result.Found(result.Error, "from-several-fields", "count", f.Fields)
	case mail.SeveralAuthor:
		return result.Found(result.Error, "from-several-domains", "domains", authorDomains(f))
	case mail.GroupFrom:
		return result.Found(result.Error, "from-group", "column", f.Column)
	case mail.SpacedFrom:
		return result.Found(result.Error, "from-space-before-colon")
	}
	return result.Found(result.Error, "from-malformed", "column", f.Column, "text", around(f.Raw, f.Column))
}

// fromReason names the trick in few words.
func fromReason(f mail.From) result.Reason {
	switch f.Problem {
	case mail.NoFrom:
		return result.Because("from-is-missing")
	case mail.SeveralFrom:
		return result.Because("from-is-several", "count", f.Fields)
	case mail.SeveralAuthor:
		return result.Because("from-has-several-domains")
	case mail.GroupFrom:
		return result.Because("from-is-group")
	case mail.SpacedFrom:
		return result.Because("from-is-spaced")
	}
	return faultReason(f.Fault)
}

func faultReason(f mail.Fault) result.Reason {
	switch f {
	case mail.FaultControl:
		return result.Because("from-has-control")
	case mail.FaultComment:
		return result.Because("from-has-open-comment")
	case mail.FaultQuote:
		return result.Because("from-has-open-quote")
	case mail.FaultBackslash:
		return result.Because("from-has-backslash")
	case mail.FaultRoute:
		return result.Because("from-has-route")
	case mail.FaultEmpty:
		return result.Because("from-has-no-address")
	case mail.FaultNoDomain:
		return result.Because("from-has-no-domain")
	case mail.FaultLocal:
		return result.Because("from-has-bad-local-part")
	case mail.FaultEncodedWord:
		return result.Because("from-has-encoded-word")
	case mail.FaultLiteral:
		return result.Because("from-has-literal")
	case mail.FaultDomain:
		return result.Because("from-has-bad-domain")
	case mail.FaultAngle:
		return result.Because("from-has-open-angle")
	case mail.FaultTrailing:
		return result.Because("from-has-trailing-text")
	}
	return result.Because("from-is-malformed")
}

// authorDomains lists the distinct domains as written, the first few of them.
func authorDomains(f mail.From) string {
	var out []string
	seen := map[string]bool{}
	for _, a := range f.Addresses {
		if d := result.Cut(a.Domain, maxShown); !seen[d] && len(out) < 5 {
			seen[d] = true
			out = append(out, d)
		}
	}
	return strings.Join(out, ", ")
}

// around cuts out what stands at a column.
func around(raw string, column int) string {
	i := min(max(column-1-maxShown/2, 0), len(raw))
	return shown(raw[i:], maxShown)
}
