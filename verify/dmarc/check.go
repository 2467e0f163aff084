package dmarc

import (
	"context"
	"errors"
	"fmt"

	"checkauth/verify/dns"
	"checkauth/verify/result"
)

// The causes of results that are not of the DNS.
var (
	ErrNoAuthor   = errors.New("the message has no one author domain")
	ErrRecord     = errors.New("the DMARC record cannot be used")
	ErrIdentifier = errors.New("SPF or DKIM could not be told for a domain that aligns")
)

// state is one evaluation.
type state struct {
	dns      dns.Resolver
	diagnose dns.Resolver
	query    Query
	looking  bool // there is no mail, only a domain
	expect   func(dns.Question)
	walks    map[string]*walk      // by domain
	walked   []*walk               // in order
	seen     map[string]node       // names that were asked
	asked    map[dns.Question]bool // of diagnose
	res      Result

	author  *walk
	source  string // name of the record that was chosen, also where it cannot be used
	applies bool   // a usable record applies
	record  Record // that one
	// policyErr: which policy is asked for could not be told, so that a fail could not be acted on.
	policyErr *dns.Error
	rows      []*row // SPF first, then DKIM
}

// Check evaluates DMARC for one message: RFC 9989, 5.3.
func (e Evaluator) Check(ctx context.Context, q Query) Result {
	s := e.begin(q)
	if q.From.Problem != "" || q.From.Domain == "" {
		s.noAuthor()
	} else {
		s.withAuthor(ctx, q.From.Domain)
		s.lintUnderReject()
	}
	s.fillRows()
	s.res.Walks = s.shownWalks()
	return s.res
}

func (e Evaluator) begin(q Query) *state {
	s := &state{
		dns: e.DNS, diagnose: e.Diagnose, expect: e.Expect, query: q,
		walks: map[string]*walk{}, seen: map[string]node{}, asked: map[dns.Question]bool{},
	}
	if s.diagnose == nil {
		s.diagnose = s.dns
	}
	if s.expect == nil {
		s.expect = func(dns.Question) {}
	}
	s.res.SPFMode, s.res.DKIMMode = string(Relaxed), string(Relaxed)
	s.makeRows()
	return s
}

// why asks what changes no result, within its bound.
func (s *state) why(ctx context.Context, q dns.Question) (dns.Answer, *dns.Error) {
	if !s.asked[q] && len(s.asked) == Diagnosis {
		return dns.Answer{}, &dns.Error{Question: q, Kind: dns.Budget}
	}
	s.asked[q] = true
	a, err := s.diagnose.Resolve(ctx, q)
	if err != nil {
		return a, dns.AsError(q, err)
	}
	return a, nil
}

func (s *state) conclude(w result.Word, why result.Reason, cause error) {
	s.res.Word, s.res.Reason, s.res.Cause = w, why, cause
}

// noAuthor: RFC 9989, 4.2 and 11.5: without exactly one author domain nothing can align. Such mail is a
// known way around DMARC, so it is said aloud and never passes.
func (s *state) noAuthor() {
	s.explainRows(result.Because("dmarc-align-no-author"))
	s.conclude(result.PermError, fromReason(s.query.From), fmt.Errorf("%w: %s", ErrNoAuthor, s.query.From.Problem))
	s.found(fromFinding(s.query.From))
}

func (s *state) withAuthor(ctx context.Context, author string) {
	s.res.Author = author
	s.author = s.walkFrom(ctx, author)
	if s.author.err == nil {
		s.res.Org = s.author.org()
	}
	n, inherited, ok, err := s.author.applies()
	switch {
	case err != nil:
		s.explainRows(unknown(err))
		s.temperror(err)
		s.lintNodes()
	case !ok:
		s.explainRows(result.Because("dmarc-align-no-record"))
		s.noRecord(ctx)
	case n.record.Unusable:
		s.explainRows(result.Because("dmarc-align-no-record"))
		s.source = n.name
		s.conclude(result.PermError, unusable(n), fmt.Errorf("%w: at _dmarc.%s", ErrRecord, n.name))
		s.lintNodes()
		s.lintOld(ctx)
	default:
		s.take(ctx, n, inherited)
		s.align(ctx)
		if s.looking {
			s.applied()
		} else {
			s.judge()
		}
		s.lint(ctx)
	}
}

func (s *state) temperror(err *dns.Error) {
	s.conclude(result.TempError, err.Reason(), err)
	s.found(failed(result.Error, err))
}

// failed is the finding of a question without an answer.
func failed(severity result.Severity, err *dns.Error) result.Finding {
	f := result.Found(severity, err.Reason().Code)
	f.Args, f.Evidence = err.Reason().Args, []result.Evidence{err.Evidence()}
	return f
}

// take sets what the record that applies asks for: RFC 9989, 4.10.1.
func (s *state) take(ctx context.Context, n node, inherited bool) {
	s.source, s.applies, s.record = n.name, true, n.record
	s.res.PolicyName, s.res.Record, s.res.Testing = n.name, shown(n.record.Text, len(n.record.Text)), n.record.Test
	s.res.SPFMode, s.res.DKIMMode = string(n.record.ASPF), string(n.record.ADKIM)
	p, tag := n.record.policy(inherited, false)
	if inherited && n.record.NP != "" && !n.record.Fallback {
		exists, err := s.exists(ctx)
		np, npTag := n.record.policy(true, true)
		switch {
		case err == nil && !exists:
			p, tag = np, npTag
		case err != nil && np != p:
			// Neither may be named as what is asked for.
			s.policyErr = err
			return
		}
	}
	if n.record.Test {
		p = lower(p)
	}
	s.res.Policy, s.res.Tag = p, tag
}

// policy is what the record asks for, before t. RFC 9989, 4.10.1: p for the name itself; sp for those
// below it; np for those that do not exist; where one is missing, the one before it.
func (r Record) policy(inherited, missing bool) (p Policy, tag string) {
	switch {
	case r.Fallback:
		return PolicyNone, "p"
	case inherited && missing && r.NP != "":
		return r.NP, "np"
	case inherited && r.SP != "":
		return r.SP, "sp"
	}
	return r.P, "p"
}

// lower: RFC 9989, 4.7: with t=y the policy one level below is asked for.
func lower(p Policy) Policy {
	if p == PolicyReject {
		return PolicyQuarantine
	}
	return PolicyNone
}

// exists asks for the author domain itself: the name with _dmarc in front does not exist for most
// domains that do. RFC 8020, 2: NXDOMAIN is of all types; behind a CNAME it is of the CNAME's target.
func (s *state) exists(ctx context.Context) (bool, *dns.Error) {
	q := dns.Ask(s.res.Author, dns.A)
	a, err := s.dns.Resolve(ctx, q)
	if err != nil {
		return false, dns.AsError(q, err)
	}
	return !a.NX || len(a.Chain) > 0, nil
}
