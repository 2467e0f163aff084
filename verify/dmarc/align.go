package dmarc

import (
	"context"
	"strings"

	"checkauth/verify/dns"
	"checkauth/verify/naming"
	"checkauth/verify/result"
)

// row is one identifier on its way into the table.
type row struct {
	out     Alignment
	method  string // spf or dkim
	name    string // canonical, "" where it is no name
	mode    Mode
	relaxed bool       // it would align in relaxed mode
	err     *dns.Error // why it could not be told, else nil
	unknown bool       // the check that gives the domain told neither domain nor result
}

func (s *state) makeRows() {
	add := func(method string, id Identifier) {
		r := &row{method: method, name: identifierName(id.Domain), out: Alignment{Identifier: id}}
		r.out.Domain, r.out.Selector = shown(id.Domain, len(id.Domain)), shown(id.Selector, len(id.Selector))
		r.unknown = id.Domain == "" && undecided(id.Word)
		s.rows = append(s.rows, r)
	}
	add("spf", s.query.SPF)
	for _, id := range s.query.DKIM {
		add("dkim", id)
	}
}

func (s *state) fillRows() {
	s.res.SPF = s.rows[0].out
	for _, r := range s.rows[1:] {
		s.res.DKIM = append(s.res.DKIM, r.out)
	}
}

// explainRows gives all of them the same reason.
func (s *state) explainRows(why result.Reason) {
	for _, r := range s.rows {
		r.out.Why = why
	}
}

// identifierName gives the name in the spelling of the DNS, or "" where it is none.
func identifierName(domain string) string {
	name, ok := naming.ASCII(domain)
	if !ok || !dns.Askable(name) {
		return ""
	}
	return name
}

// align fills the table. Those that pass come first, so that our bound of questions never costs a pass.
func (s *state) align(ctx context.Context) {
	rank := func(w result.Word) int {
		switch {
		case w == result.Pass:
			return 0
		case undecided(w):
			return 1
		}
		return 2
	}
	for want := range 3 {
		for _, r := range s.rows {
			if rank(r.out.Word) == want {
				s.alignOne(ctx, r)
			}
		}
	}
}

// undecided words say nothing of the identifier.
func undecided(w result.Word) bool { return w == result.TempError || w == result.NotRun }

// alignOne compares one identifier with the author domain: RFC 9989, 4.4.
func (s *state) alignOne(ctx context.Context, r *row) {
	r.mode = s.record.ADKIM
	if r.method == "spf" {
		r.mode = s.record.ASPF
	}
	switch {
	case r.out.Domain == "":
		r.out.Why = result.Because("dmarc-align-nothing")
	case r.name == "":
		r.out.Why = result.Because("dmarc-align-no-name")
	case r.name == s.res.Author:
		r.out.Org, r.out.Aligned, r.relaxed = s.res.Org, true, true
		r.out.Why = result.Because("dmarc-align-same", "domain", result.Domain(s.res.Author))
	default:
		s.alignOther(ctx, r)
	}
}

// alignOther compares a name that is not the author domain.
func (s *state) alignOther(ctx context.Context, r *row) {
	org, err := s.orgOf(ctx, r.name)
	r.relaxed = err == nil && org != "" && org == s.res.Org
	switch {
	case r.mode == Strict:
		r.out.Org = org
		r.out.Why = result.Because("dmarc-align-strict", "domain", result.Domain(s.res.Author))
	case err != nil:
		r.err = err
		r.out.Why = unknown(err)
	case r.relaxed:
		r.out.Org, r.out.Aligned = org, true
		r.out.Why = result.Because("dmarc-align-relaxed", "org", result.Domain(org))
	default:
		r.out.Org = org
		r.out.Why = result.Because("dmarc-align-other", "org", result.Domain(s.res.Org))
	}
}

// orgOf is the organisational domain of an identifier; "" where it cannot be the author's. That one is
// the identifier itself or a name above it, so a name that does not lie there needs no walk.
func (s *state) orgOf(ctx context.Context, name string) (string, *dns.Error) {
	if s.author.err != nil {
		if topLabel(name) != topLabel(s.res.Author) {
			return "", nil
		}
		return "", s.author.err
	}
	if !naming.Below(name, s.res.Org) {
		return "", nil
	}
	w := s.walkFrom(ctx, name)
	if w.err != nil {
		return "", w.err
	}
	return w.org(), nil
}

func topLabel(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

func unknown(err *dns.Error) result.Reason {
	return result.Because("dmarc-align-unknown", "name", result.Domain(err.Question.Name))
}

// judge gives the word: RFC 9989, 5.3.6 and 9.2. One aligned pass suffices, whatever else erred; else an
// error that a pass could hide behind leaves it open.
func (s *state) judge() {
	var passes, open *row
	for _, r := range s.rows {
		switch {
		case r.out.Word == result.Pass && r.out.Aligned:
			if passes == nil || passes.method == "spf" {
				passes = r // a signature says more than SPF: it survives forwarding
			}
		case open == nil && r.open():
			open = r
		}
	}
	switch {
	case passes != nil:
		s.conclude(result.Pass, passReason(passes), nil)
	case open != nil && open.err != nil:
		s.temperror(open.err)
	case open != nil:
		s.conclude(result.TempError, result.Because("dmarc-identifier-temperror", "method", result.Ours(open.method), "domain", result.Domain(open.out.Domain)), ErrIdentifier)
	case s.policyErr != nil:
		s.temperror(s.policyErr)
	default:
		s.conclude(result.Fail, s.failReason(), nil)
	}
}

// open tells whether the row may be an aligned pass for all we know.
func (r *row) open() bool {
	if r.unknown {
		return true
	}
	if r.out.Word != result.Pass && !undecided(r.out.Word) {
		return false
	}
	return r.err != nil || undecided(r.out.Word) && r.out.Aligned
}

func passReason(r *row) result.Reason {
	if r.method == "spf" {
		return result.Because("dmarc-pass-spf", "domain", result.Domain(r.out.Domain))
	}
	return result.Because("dmarc-pass-dkim", "domain", result.Domain(r.out.Domain))
}

func (s *state) failReason() result.Reason {
	for _, r := range s.rows {
		if r.out.Word == result.Pass {
			return result.Because("dmarc-fail-not-aligned", "domain", result.Domain(s.res.Author))
		}
	}
	return result.Because("dmarc-fail-nothing-passes")
}
