package advise

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"checkauth/verify"
	"checkauth/verify/dmarc"
	"checkauth/verify/dns"
	"checkauth/verify/known"
	"checkauth/verify/naming"
	"checkauth/verify/result"
)

// signingRules are the findings of signatures that whoever signs, or stands behind the signer, mends.
var signingRules = map[result.Code]func(*adviser, context.Context, result.Finding) candidate{
	"dkim-not-signed":      (*adviser).sign,
	"dkim-not-aligned":     (*adviser).alignVendor,
	"dkim-l-tag":           (*adviser).withoutLength,
	"dkim-l-tag-appended":  (*adviser).withoutLength,
	"dkim-l-tag-beyond":    (*adviser).withoutLength,
	"dkim-l-tag-wrong":     (*adviser).withoutLength,
	"dkim-second-from":     (*adviser).oversign,
	"dkim-from-not-signed": (*adviser).oversign,
	"dkim-sha1":            (*adviser).sha256,
	"dkim-ed25519-only":    (*adviser).rsaBeside,
	"dkim-expired":         (*adviser).lifetime,
}

// damage is how a change in transit is avoided, by the finding that names the change.
type damage string

// The ways.
const (
	signLast damage = "sign last" // sign behind what changes the mail
	relaxed  damage = "relaxed"   // the relaxed canonicalisation survives it
	encoding damage = "encoding"  // send what no server converts
)

var damages = map[result.Code]damage{
	"dkim-body-changed-footer": signLast, "dkim-body-changed-banner": signLast, "dkim-body-part-added": signLast, "dkim-body-changed": signLast,
	"dkim-body-boundary": signLast, "dkim-subject-tagged": signLast, "dkim-header-added": signLast, "dkim-header-changed": signLast,
	"dkim-header-rewritten": signLast, "dkim-header-requoted": signLast, "dkim-header-recoded": signLast, "dkim-header-other-instance": signLast,
	"dkim-header-refolded": relaxed, "dkim-header-case": relaxed, "dkim-body-whitespace": relaxed, "dkim-body-tabs": relaxed,
	"dkim-body-reencoded": encoding, "dkim-body-rewrapped": encoding,
}

func (a *adviser) signing(ctx context.Context) (out []candidate) {
	for _, f := range a.Report.Findings {
		if rule := signingRules[f.Code]; rule != nil {
			if c := rule(a, ctx, f); !c.authorises || a.tied(ctx) {
				out = append(out, c)
			}
		}
	}
	return append(out, a.transit()...)
}

// transit gives one action for all that became of the signatures on the way. Where a mailing list is the
// cause it is the list's to mend.
func (a *adviser) transit() []candidate {
	var codes []result.Code
	var first result.Finding
	list := result.Finding{}
	for _, f := range a.Report.Findings {
		switch {
		case f.Code == "mailing-list":
			list = f
			codes = append(codes, f.Code)
		case damages[f.Code] != "" && f.Severity == result.Error:
			codes = append(codes, f.Code)
			if first.Code == "" {
				first = f
			}
		}
	}
	switch {
	case list.Code != "":
		c := host(decides, result.Because("action-list", "list", list.Args.Text("list"), "domain", result.Domain(list.Args.Get("domain"))), codes...)
		c.Why = result.Because("why-list", "domain", result.Domain(list.Args.Get("domain")))
		return []candidate{c}
	case first.Code == "":
		return nil
	}
	do, kind := a.undamaged(first)
	c := host(a.dkimRank(first), do, codes...)
	c.Settings = a.settings(kind, "")
	c.Why = result.Because("why-damage", "domain", result.Domain(first.Args.Get("domain")))
	return []candidate{c}
}

// undamaged says what to change so that the signature survives.
func (a *adviser) undamaged(f result.Finding) (result.Reason, known.Kind) {
	switch damages[f.Code] {
	case relaxed:
		if field := f.Args.Text("field"); field.Value != "" {
			return result.Because("action-relaxed-field", "field", field), known.Canon
		}
		return result.Because("action-relaxed"), known.Canon
	case encoding:
		return result.Because("action-encoding"), known.EightBit
	}
	if hop := a.hop(); hop != "" {
		return result.Because("action-sign-last-hop", "hop", hop), known.Footer
	}
	return result.Because("action-sign-last"), known.Footer
}

// hop is where the mail was changed, as far as the trace tells.
func (a *adviser) hop() string {
	for _, f := range a.Report.Findings {
		switch f.Code {
		case "dkim-changed-by-hop":
			return f.Args.Get("hop")
		case "dkim-changed-by-hops":
			return f.Args.Get("hops")
		}
	}
	return ""
}

// sign: without a signature DMARC rests on SPF, which forwarding breaks.
func (a *adviser) sign(ctx context.Context, f result.Finding) candidate {
	domain := cmp.Or(a.author, a.sender)
	r := policy
	if a.Report.Check(verify.MethodDMARC).Result != result.Pass {
		r = breaks
	}
	c := host(r, result.Because("action-sign", "domain", result.Domain(domain)), f.Code)
	c.Settings = a.settings(known.DKIM, "")
	if p, ok := a.Atlas.ProviderOf(a.clientNames()...); ok && a.tied(ctx) {
		do := result.Because("action-sign-provider", "domain", result.Domain(domain), "provider", result.Ours(p.Name))
		c.Code, c.Args, c.Settings = do.Code, do.Args, nil
	}
	c.Why = result.Because("why-sign")
	c.barred = dns.IsLocal(domain)
	return c
}

// alignVendor: only the service that signs can do it in the author's name. A stranger who signs as himself is no
// service of the author's, so that something must tie the client to the sender.
func (a *adviser) alignVendor(ctx context.Context, f result.Finding) candidate {
	signers, _ := f.About.(dmarc.Signers)
	hosts := slices.Concat(signers, []string{a.sender}, a.clientNames())
	vendor := ""
	if len(signers) > 0 {
		vendor = naming.Registered(signers[0])
	}
	names := ""
	if p, ok := a.Atlas.ProviderOf(hosts...); ok {
		vendor = p.Name
		names = selectors(p)
	}
	c := host(decides, result.Because("action-align", "vendor", result.Ours(vendor), "author", result.Domain(a.author)), f.Code, "spf-not-aligned")
	if names != "" {
		do := result.Because("action-align-selectors", "vendor", result.Ours(vendor), "author", result.Domain(a.author), "selectors", result.Ours(names))
		c.Code, c.Args = do.Code, do.Args
	}
	c.Why = result.Because("why-align", "domain", f.Args.Text("domain"), "author", result.Domain(a.author))
	if naming.SameOrganisation(a.sender, a.author) {
		c.Why = result.Because("why-align-own", "domain", f.Args.Text("domain"), "author", result.Domain(a.author))
	}
	c.authorises = true
	if a.Report.Check(verify.MethodDMARC).Result == result.Pass {
		c.rank = hygiene
	}
	return c
}

// selectors that the provider's customers publish, as far as they are names.
func selectors(p known.Provider) string {
	var out []string
	for _, s := range p.DKIM {
		if s.Selector != "" && !strings.ContainsAny(s.Selector, " <") && !slices.Contains(out, s.Selector) {
			out = append(out, s.Selector)
		}
	}
	return strings.Join(out, ", ")
}

func (a *adviser) withoutLength(_ context.Context, f result.Finding) candidate {
	c := host(a.dkimRank(f), result.Because("action-no-length", "domain", result.Domain(f.Args.Get("domain"))), f.Code)
	c.Why = result.Because("why-no-length")
	const rests result.Code = "dmarc-rests-on-l-tag"
	if slices.ContainsFunc(a.Report.Findings, func(x result.Finding) bool { return x.Code == rests && x.Args.Get("domain") == f.Args.Get("domain") }) {
		c.For = append(c.For, rests)
	}
	return c
}

func (a *adviser) oversign(_ context.Context, f result.Finding) candidate {
	c := host(a.dkimRank(f), result.Because("action-oversign", "domain", result.Domain(f.Args.Get("domain"))), f.Code)
	c.Settings = a.settings(known.Oversign, "")
	return c
}

func (a *adviser) sha256(_ context.Context, f result.Finding) candidate {
	return host(a.dkimRank(f), result.Because("action-sha256", "selector", f.Args.Text("selector")), f.Code)
}

func (a *adviser) rsaBeside(_ context.Context, f result.Finding) candidate {
	return host(a.dkimRank(f), result.Because("action-rsa-beside"), f.Code)
}

func (a *adviser) lifetime(_ context.Context, f result.Finding) candidate {
	return host(a.dkimRank(f), result.Because("action-lifetime", "domain", result.Domain(f.Args.Get("domain")), "time", f.Args.Text("time")), f.Code)
}
