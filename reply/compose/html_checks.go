package compose

import (
	"fmt"
	"strings"

	"checkauth/verify"
	"checkauth/verify/arc"
	"checkauth/verify/dkim"
	"checkauth/verify/dmarc"
	"checkauth/verify/inbound"
	"checkauth/verify/result"
	"checkauth/verify/spam"
	"checkauth/verify/spf"
)

// details are the facts of one check, of its own kind: a check without any stands in the summary alone.
type details struct {
	Name  string
	Word  tinted
	Why   string
	Facts []fact

	Terms     []branch // SPF's tree
	MoreTerms int      // of it that are left out
	Aligned   []aligned
	Sets      []set  // ARC's chain
	Rules     []rule // SpamAssassin's table
}

func (d details) any() bool {
	return len(d.Facts)+len(d.Terms)+len(d.Aligned)+len(d.Sets)+len(d.Rules) > 0
}

func (c *Voice) detailsOf(k result.Outcome, r *verify.Report) details {
	out := details{Name: strings.TrimSpace(c.checkName(k) + " " + signer(k, r)), Word: tint(k.Result), Why: c.inWords(k)}
	switch d := k.Detail.(type) {
	case *spf.Result:
		c.spfTree(&out, k)
	case *dkim.Signature:
		out.Facts = c.dkimFacts(signature(k, r))
	case *dmarc.Result:
		out.Facts, out.Aligned = c.dmarcFacts(d), c.alignments(d)
	case *arc.Result:
		out.Sets = c.arcSets(d)
	case *inbound.Result:
		out.Facts = c.inboundFacts(d)
	case *spam.Result:
		out.Rules = spamRules(d)
	}
	if k.Method == verify.MethodTLS && r.Session.TLS != nil && r.Session.TLS.Client != "" {
		out.Facts = c.facts(prose("html-certificate", r.Session.TLS.Client), prose("", c.sayPairs("html-own-word")))
	}
	return out
}

// entry is a fact before it is put into words and made safe; without lines it is left out.
type entry struct {
	code  string // of the label; empty: it belongs to the one before
	lines []string
	exact bool
}

func prose(code string, lines ...string) entry { return entry{code, lines, false} }
func exact(code string, lines ...string) entry { return entry{code, lines, true} }

// facts makes the strangers' text safe.
func (c *Voice) facts(all ...entry) []fact {
	var out []fact
	for _, e := range all {
		var lines []string
		for _, l := range e.lines {
			if l != "" {
				lines = append(lines, safe(l))
			}
		}
		switch {
		case len(lines) == 0:
		case e.code == "" && len(out) > 0:
			last := &out[len(out)-1]
			last.Lines = append(last.Lines, lines...)
		default:
			out = append(out, fact{c.sayPairs(e.code), lines, e.exact})
		}
	}
	return out
}

// dkimFacts is what the field of one signature says, and how far it holds.
func (c *Voice) dkimFacts(s Signature) []fact {
	over, identity := "", ""
	if len(s.OverSigned) > 0 {
		over = c.sayPairs("dkim-over-signed")
	}
	if s.Identity != "" {
		identity = "i=" + s.Identity
	}
	all := []entry{
		exact("html-signature", fmt.Sprintf("d=%s s=%s a=%s c=%s/%s", s.Domain, s.Selector, s.Algorithm, s.Header, s.Body)),
		prose("html-signed", when(s.Time, ""), c.expiry(s.Signature)),
		prose("html-fields", marked(s.Signature), over),
		exact("html-identity", identity),
	}
	all = append(all, c.hashes(s.Signature)...)
	if broken := s.Broken(); !broken.IsZero() {
		all = append(all, prose("html-broken", c.reason(broken)))
	}
	all = append(all, c.keyFacts(s)...)
	if why := s.Counts(); s.Evaluated && !why.IsZero() {
		all = append(all, prose("html-for-dmarc", c.reason(why)))
	}
	return c.facts(all...)
}

func (c *Voice) expiry(s *dkim.Signature) string {
	if s.Expires.IsZero() {
		return ""
	}
	return c.sayPairs("html-expires", "date", date(s.Expires))
}

// hashes has the body's two hashes one below the other.
func (c *Voice) hashes(s *dkim.Signature) []entry {
	var out []entry
	if s.HashClaimed != "" {
		word := c.sayPairs("html-differs")
		if s.BodyVerifies {
			word = c.sayPairs("html-equal")
		}
		out = append(out, exact("html-hash-signed", s.HashClaimed), exact("html-hash-computed", s.HashComputed), prose("html-hash-compared", word))
	}
	if s.Length != nil {
		out = append(out, prose("html-signed-body", signedBody(*s.Length, s)))
	}
	return out
}

// keyFacts of the key that was used; where there is none the result says so.
func (c *Voice) keyFacts(s Signature) []entry {
	if s.Key == nil || s.KeyName == "" {
		return nil
	}
	// Behind the name, the text part has the record's tags on a line.
	tags := strings.Fields(strings.Join(Key(s.KeyName, s.KeyTTL, s.Key)[1:], " "))
	out := []entry{exact("html-key", s.KeyName), prose("", fmt.Sprintf("TTL %d, %s", s.KeyTTL, strings.Join(tags, " ")))}
	if s.Key.Bits > 0 {
		out = append(out, prose("html-verified-by", c.reason(s.Readers())))
	}
	return out
}

func (c *Voice) dmarcFacts(d *dmarc.Result) []fact {
	policy, author := "", ""
	if d.Policy != "" {
		policy = c.sayPairs("html-policy-of", "policy", d.Policy, "tag", d.Tag, "name", "_dmarc."+d.PolicyName)
		if d.Testing {
			policy += ", " + c.sayPairs("html-testing")
		}
	}
	if d.Author != "" {
		author = d.Author + c.below(d.Author, d.Org)
	}
	return c.facts(prose("html-policy", policy), prose("html-from-domain", author))
}

// below names the organisational domain, where it is another one.
func (c *Voice) below(domain, org string) string {
	if org == "" || org == domain {
		return ""
	}
	return " (" + c.sayPairs("html-org", "domain", org) + ")"
}

// aligned is a row of DMARC's table.
type aligned struct {
	Identifier, Domain string
	Word               tinted
	Aligned            string // whether, in one word
	Why                string
}

func (c *Voice) alignments(d *dmarc.Result) []aligned {
	var out []aligned
	if d.SPF.Domain != "" {
		out = append(out, c.alignmentRow("SPF", d.SPF))
	}
	for _, a := range d.DKIM {
		out = append(out, c.alignmentRow("DKIM", a))
	}
	return out
}

func (c *Voice) alignmentRow(identifier string, a dmarc.Alignment) aligned {
	row := aligned{Identifier: identifier, Domain: safe(a.Domain) + c.below(a.Domain, a.Org), Word: tint(a.Word), Aligned: c.sayPairs("html-no")}
	if a.Aligned {
		row.Aligned = c.sayPairs("html-yes")
	}
	if notCompared[a.Why.Code] {
		row.Aligned = ""
	}
	if !a.Why.IsZero() {
		row.Why = c.reason(a.Why)
	}
	return row
}

// set is one of ARC's chain: what a host sealed, and its claim.
type set struct {
	Instance string // with the seal's word on the chain before it
	Domain   string // that sealed it
	Word     tinted
	Notes    []string
}

func (c *Voice) arcSets(a *arc.Result) []set {
	var out []set
	for _, i := range a.Instances {
		s := set{fmt.Sprintf("i=%d cv=%s", i.Instance, result.Cut(safe(i.CV), 20)), safe(i.Seal.Domain), tint(i.Seal.Word), nil}
		if i.Results != "" {
			s.Notes = append(s.Notes, c.sayPairs("html-claims", "host", i.Authserv, "results", i.Results))
		}
		for _, p := range i.Problems {
			s.Notes = append(s.Notes, c.reason(p))
		}
		out = append(out, s)
	}
	return out
}

// inboundFacts is what the author's domain has for those who send to it.
func (c *Voice) inboundFacts(d *inbound.Result) []fact {
	var hosts []string
	for _, m := range d.MX {
		hosts = append(hosts, fmt.Sprintf("%s (%d)", m.Host, m.Pref))
	}
	switch {
	case d.NullMX:
		hosts = []string{c.sayPairs("html-null-mx")}
	case len(hosts) == 0 && d.Implicit:
		hosts = []string{c.sayPairs("html-implicit-mx")}
	}
	var policies []string
	for _, p := range []struct {
		name  string
		state inbound.State
	}{{"MTA-STS", d.MTASTS.State}, {"TLS-RPT", d.TLSRPT.State}, {"DANE", d.DANE.State}, {"BIMI", d.BIMI.State}} {
		if p.state != "" {
			policies = append(policies, p.name+": "+string(p.state))
		}
	}
	return c.facts(prose("html-domain", d.Domain), prose("html-mx", hosts...), prose("html-policies", policies...))
}

// rule is a line of SpamAssassin's table.
type rule struct{ Points, Name, Text string }

func spamRules(s *spam.Result) []rule {
	var out []rule
	for _, r := range s.Rules {
		out = append(out, rule{fmt.Sprintf("%.1f", r.Points), safe(r.Name), safe(r.Text)})
	}
	return out
}
