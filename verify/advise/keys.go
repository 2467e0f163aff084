package advise

import (
	"context"
	"strings"

	"checkauth/verify/dkim"
	"checkauth/verify/dns"
	"checkauth/verify/naming"
	"checkauth/verify/result"
)

// keyRules are the findings of key records that an action mends: the right record where it can be known,
// else what whoever signs has to do.
var keyRules = map[result.Code]func(*adviser, context.Context, result.Finding) []candidate{
	"dkim-key-escaped":          (*adviser).mendedKey,
	"dkim-key-pem":              (*adviser).mendedKey,
	"dkim-key-spaces":           (*adviser).mendedKey,
	"dkim-key-semicolon":        (*adviser).mendedKey,
	"dkim-key-padding":          (*adviser).mendedKey,
	"dkim-key-syntax":           (*adviser).mendedKey,
	"dkim-key-v-not-first":      (*adviser).mendedKey,
	"dkim-key-truncated":        (*adviser).cutKey,
	"dkim-wrong-selector":       (*adviser).otherKey,
	"dkim-key-wrong-name":       (*adviser).movedKey,
	"dkim-key-multiple-records": (*adviser).oneKey,
	"dkim-key-cname-dangling":   (*adviser).danglingKey,
	"dkim-key-missing":          unproved("action-key-missing"),
	"dkim-key-no-p":             keyHost("action-key-whole"),
	"dkim-key-mismatch":         unproved("action-key-mismatch"),
	"dkim-key-private":          keyHost("action-key-private"),
	"dkim-key-too-short":        keyHost("action-key-longer"),
	"dkim-key-weak":             keyHost("action-key-longer"),
	"dkim-key-revoked":          (*adviser).revokedKey,
	"dkim-key-wrong-service":    withoutTag("s"),
	"dkim-key-wrong-hash":       withoutTag("h"),
	"dkim-key-strict-identity":  withoutTag("t"),
}

func (a *adviser) keys(ctx context.Context) (out []candidate) {
	for _, f := range a.Report.Findings {
		if rule := keyRules[f.Code]; rule != nil {
			out = append(out, rule(a, ctx, f)...)
		}
	}
	return out
}

// dkimRank: a signature counts for most where DMARC does not pass without it.
func (a *adviser) dkimRank(f result.Finding) rank {
	if f.Severity != result.Error {
		return hygiene
	}
	return a.failing()
}

// keyTexts are the records that are published at a name.
func (a *adviser) keyTexts(ctx context.Context, name string) (out []string) {
	for _, r := range a.find(ctx, name, dns.TXT) {
		out = append(out, r.Text())
	}
	return out
}

// mendedKey writes the record as it was meant; the key in it stays.
func (a *adviser) mendedKey(ctx context.Context, f result.Finding) []candidate {
	name := f.Args.Get("name")
	for _, text := range a.keyTexts(ctx, name) {
		if rec, ok := dkim.Mend(text); ok && rec.String() != text {
			c := a.txt(ctx, a.dkimRank(f), name, rec.String(), anyText, result.Because("action-key-mend", "name", result.Domain(name)), f.Code)
			c.Why = result.Because("why-key-mend", "name", result.Domain(name))
			return []candidate{c}
		}
	}
	return []candidate{host(a.dkimRank(f), result.Because("action-key-whole", "name", result.Domain(name)), f.Code)}
}

// cutKey: the pieces may lie beside each other; else only the signer has the rest.
func (a *adviser) cutKey(ctx context.Context, f result.Finding) (out []candidate) {
	name := f.Args.Get("name")
	if c, ok := a.joinedKey(ctx, f, a.keyTexts(ctx, name)); ok {
		out = append(out, c)
	}
	c := host(a.dkimRank(f), result.Because("action-key-cut", "name", result.Domain(name), "length", f.Args.Text("length")), f.Code)
	c.Why = result.Because("why-key-cut", "name", result.Domain(name))
	if p := a.where(ctx, name); p != nil {
		c.Before = p.Traps
	}
	return append(out, c)
}

// otherKey publishes the key that made the signature where the signature says that it is.
func (a *adviser) otherKey(ctx context.Context, f result.Finding) []candidate {
	return a.copied(ctx, f, f.Args.Get("other"), f.Args.Get("name"),
		result.Because("before-key-selector", "other", result.Domain(f.Args.Get("other")), "selector", f.Args.Text("selector")))
}

// movedKey: below some domains others have names of their own, and what they publish there is no key of its.
func (a *adviser) movedKey(ctx context.Context, f result.Finding) []candidate {
	if !a.tied(ctx) {
		return nil
	}
	name := f.Args.Get("name")
	return a.copied(ctx, f, name, f.Args.Get("right"), result.Because("before-delete-wrong-name", "name", result.Domain(name)))
}

// copied publishes the record of one name at another.
func (a *adviser) copied(ctx context.Context, f result.Finding, at, right string, before result.Reason) []candidate {
	for _, text := range a.keyTexts(ctx, at) {
		if !strings.Contains(text, "p=") {
			continue
		}
		c := a.txt(ctx, a.dkimRank(f), right, text, anyText, result.Because("action-key-publish", "name", result.Domain(right)), f.Code)
		c.Why = result.Because("why-key-publish", "other", result.Domain(at), "name", result.Domain(right))
		c.Before = []result.Reason{before}
		return []candidate{c}
	}
	return nil
}

// oneKey keeps the record with which the signature verifies: the proof tells which. Several may be the pieces of one.
func (a *adviser) oneKey(ctx context.Context, f result.Finding) (out []candidate) {
	name := f.Args.Get("name")
	texts := a.keyTexts(ctx, name)
	if c, ok := a.joinedKey(ctx, f, texts); ok {
		out = append(out, c)
	}
	for _, text := range texts[:min(len(texts), 3-len(out))] {
		c := a.txt(ctx, a.dkimRank(f), name, text, anyText, result.Because("action-key-one", "name", result.Domain(name)), f.Code, "dkim-key-in-use")
		c.Why = result.Because("why-key-one", "name", result.Domain(name))
		out = append(out, c)
	}
	return append(out, unproved("action-key-whole")(a, ctx, f)...)
}

// joinedKey puts the pieces of a key that lie beside each other together.
func (a *adviser) joinedKey(ctx context.Context, f result.Finding, texts []string) (candidate, bool) {
	name := f.Args.Get("name")
	rec, ok := dkim.MendJoined(texts)
	if !ok {
		return candidate{}, false
	}
	c := a.txt(ctx, a.dkimRank(f), name, rec.String(), anyText, result.Because("action-key-join", "name", result.Domain(name)), f.Code)
	c.Why = result.Because("why-key-cut", "name", result.Domain(name))
	return c, true
}

func (a *adviser) danglingKey(_ context.Context, f result.Finding) []candidate {
	target := f.Args.Get("target")
	vendor := naming.Organisation(target)
	if p, ok := a.Atlas.ProviderOf(target); ok {
		vendor = p.Name
	}
	c := host(a.dkimRank(f), result.Because("action-key-cname", "name", result.Domain(f.Args.Get("name")), "target", result.Domain(target), "vendor", result.Ours(vendor)), f.Code)
	c.Why = result.Because("why-key-cname", "target", result.Domain(target))
	return []candidate{c}
}

// revokedKey: the relay that signed was forgotten when the key was changed.
func (a *adviser) revokedKey(_ context.Context, f result.Finding) []candidate {
	name := f.Args.Get("name")
	selector, _, _ := strings.Cut(name, "._domainkey.")
	c := host(a.dkimRank(f), result.Because("action-key-revoked", "selector", result.Text{Value: selector, From: f.Args.Text("name").From}, "helo", result.Domain(a.Report.Session.Helo)), f.Code)
	c.Why = result.Because("why-key-revoked", "name", result.Domain(name))
	c.authorises = true
	return []candidate{c}
}

// keyHost is a rule whose change is whoever signs to make.
func keyHost(code result.Code) func(*adviser, context.Context, result.Finding) []candidate {
	return func(a *adviser, _ context.Context, f result.Finding) []candidate {
		do := result.Because(code, "name", result.Domain(f.Args.Get("name")))
		return []candidate{host(a.dkimRank(f), do, f.Code)}
	}
}

// unproved is a rule like those, where the signature may as well be a forger's.
func unproved(code result.Code) func(*adviser, context.Context, result.Finding) []candidate {
	rule := keyHost(code)
	return func(a *adviser, ctx context.Context, f result.Finding) []candidate {
		out := rule(a, ctx, f)
		for i := range out {
			out[i].authorises = true
		}
		return out
	}
}

// withoutTag is a rule that takes out of the record what keeps the signature from counting: RFC 6376, 3.6.1: all
// of these tags may be left out.
func withoutTag(tag string) func(*adviser, context.Context, result.Finding) []candidate {
	return func(a *adviser, ctx context.Context, f result.Finding) []candidate {
		name := f.Args.Get("name")
		texts := a.keyTexts(ctx, name)
		if len(texts) == 0 {
			return nil
		}
		c := a.txt(ctx, a.dkimRank(f), name, dkim.Without(texts[0], tag), anyText,
			result.Because("action-key-without", "name", result.Domain(name), "tag", result.Ours(tag)), f.Code)
		c.authorises = true
		return []candidate{c}
	}
}
