package dmarc

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"checkauth/verify/dns"
	"checkauth/verify/naming"
	"checkauth/verify/result"
)

// View is what a receiver says that still goes by RFC 7489: the author's record, else that of the
// registered domain by the public suffix list; sp for every subdomain; no np, psd and t.
type View struct {
	Word       result.Word `json:"result,omitempty"`
	Policy     Policy      `json:"policy"`        // none, quarantine, reject; "" where no record applies
	Tag        string      `json:"tag"`           // p or sp: which tag gave it
	PolicyName string      `json:"policy_name"`   // domain whose record applies; "" where none does
	Org        string      `json:"org"`           // organisational domain by the public suffix list
	Pct        int         `json:"pct,omitempty"` // where it is under 100: for so much of the failing mail
}

// Belongs tells whether a domain is the author's or of the same organisation. It is relaxed alignment where no DMARC
// record applies: nothing marks the organisation in the DNS then, so that the registered domain has to do.
func (r *Result) Belongs(domain string) bool {
	name := identifierName(domain)
	return name != "" && r.Author != "" && (name == r.Author || naming.Registered(name) == naming.Registered(r.Author))
}

// lintOld tells where the rules before RFC 9989 come to another word or policy.
func (s *state) lintOld(ctx context.Context) {
	if s.policyErr != nil || s.res.Word == result.TempError {
		return
	}
	old, rec, ok := s.old(ctx)
	word := s.oldWord(s.res.Word)
	if !ok || old.Word == word && old.Policy == s.res.Policy {
		return
	}
	s.res.Old = &old
	s.found(result.Found(result.Info, "dmarc-old-view-differs",
		"domain", result.Domain(s.res.Author), "old", result.Ours(inShort(old.Word, old.Policy)), "new", result.Ours(inShort(word, s.res.Policy)), "why", s.oldWhy(old, rec)))
}

// inShort is word and policy, of which either may not be there, in the words of the standard.
func inShort(w result.Word, policy Policy) string {
	out := strings.Trim(string(w)+"/"+string(policy), "/")
	return cmp.Or(out, string(result.None))
}

// old evaluates by RFC 7489, 6.6.3; ok is false where a name that it needs could not be asked.
func (s *state) old(ctx context.Context) (v View, rec Record, ok bool) {
	v = View{Word: s.oldWord(result.None), Org: naming.Registered(s.res.Author)}
	for _, name := range []string{s.res.Author, v.Org} {
		n, err := s.known(ctx, name)
		switch {
		case err != nil:
			return v, rec, false
		case n.dropped > 0:
			return v, rec, true // several records end it there
		case n.record.Text != "":
			s.oldPolicy(&v, n)
			return v, n.record, true
		}
	}
	return v, rec, true
}

// known is what one name has; most often the walk asked it.
func (s *state) known(ctx context.Context, name string) (node, *dns.Error) {
	q := dns.Ask("_dmarc."+name, dns.TXT)
	n, ok := s.seen[name]
	if ok || !dns.Askable(q.Name) {
		return n, nil
	}
	a, err := s.why(ctx, q)
	if err != nil {
		return n, err
	}
	n = read(name, a.Texts())
	s.seen[name] = n
	return n, nil
}

// oldPolicy sets what a record asks for by RFC 7489, 6.3.
func (s *state) oldPolicy(v *View, n node) {
	r := n.record
	if r.oldFault && len(r.RUA) == 0 {
		v.Word = s.oldWord(result.PermError)
		return
	}
	v.PolicyName, v.Tag = n.name, "p"
	policy := r.P
	switch {
	case r.oldFault:
		policy = PolicyNone
	case n.name != s.res.Author && r.SP != "":
		policy, v.Tag = r.SP, "sp"
	}
	if r.Pct < 100 {
		v.Pct = r.Pct
	}
	// RFC 7489, 6.6.4: what the percentage leaves out gets the policy one level below.
	if r.Pct == 0 && policy != PolicyNone {
		policy = lower(policy)
	}
	v.Policy, v.Word = policy, s.oldWord(s.judgeOld(r, v.Org))
}

// oldWord is a word where there is mail to judge; a Lookup has none.
func (s *state) oldWord(w result.Word) result.Word {
	if s.looking {
		return ""
	}
	return w
}

// judgeOld: RFC 7489, 3.1: relaxed alignment compares registered domains.
func (s *state) judgeOld(rec Record, org string) result.Word {
	word := result.Fail
	for _, r := range s.rows {
		mode := rec.ADKIM
		if r.method == "spf" {
			mode = rec.ASPF
		}
		aligned := r.name != "" && (r.name == s.res.Author || mode == Relaxed && naming.Registered(r.name) == org)
		switch {
		case aligned && r.out.Word == result.Pass:
			return result.Pass
		case r.unknown || aligned && undecided(r.out.Word):
			word = result.TempError
		}
	}
	return word
}

// oldWhy names the rule that makes the difference, by its tag where it has one.
func (s *state) oldWhy(old View, rec Record) string {
	applied := s.seen[s.source].record
	samePlace := old.PolicyName == s.source && old.Word == s.oldWord(s.res.Word)
	switch {
	case applied.Text != "" && applied.oldFault != (applied.Fallback || applied.Unusable):
		return "np"
	case samePlace && applied.Test:
		return "t=y"
	case samePlace && s.res.Tag == "np":
		return "np=" + string(applied.NP)
	case samePlace && rec.Pct == 0:
		return "pct=0"
	}
	for _, n := range s.walkedNames() {
		switch {
		case n.dropped > 0 && (n.name == s.res.Author || n.name == old.Org):
			return strconv.Itoa(n.dropped) + " x _dmarc." + n.name
		case n.record.Text != "" && n.record.PSD != "u":
			return "psd=" + n.record.PSD
		}
	}
	return "public suffix list"
}

func (s *state) walkedNames() []node { return slices.Concat(s.author.nodes, s.author.empty) }
