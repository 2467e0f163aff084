// Package inbound looks at a sender's domain as a receiver: whether it takes mail at all, so that bounces
// and answers arrive, and what it publishes for those who send to it. It asks the DNS and nothing else: no
// server is connected to, the policy of MTA-STS and the logo of BIMI are not fetched, and a BIMI record of
// the organisational domain is not looked for.
package inbound

import (
	"context"
	"slices"
	"strings"

	"checkauth/verify/dns"
	"checkauth/verify/result"
)

// Evaluator has no state: one serves any number of goroutines.
type Evaluator struct {
	DNS dns.Resolver
	// Expect is told ahead of questions that are going to be asked. It may be nil.
	Expect func(dns.Question)
}

// Questions is how many Check asks at most.
const Questions = 10

// Result is what a domain publishes about the mail that it takes. But for Word it is information.
type Result struct {
	Word     result.Word      `json:"-"` // pass, fail, temperror; RFC 8601 has no such method
	Reason   result.Reason    `json:"-"`
	Findings []result.Finding `json:"-"`
	Cause    error            `json:"-"`

	Domain   string   `json:"domain"`
	MX       []MX     `json:"mx"`          // by preference, at most 20
	NullMX   bool     `json:"null_mx"`     // it says that it takes no mail (RFC 7505)
	Implicit bool     `json:"implicit_mx"` // it has no MX and an address, which takes its place (RFC 5321, 5.1)
	MTASTS   Policy   `json:"mta_sts"`
	TLSRPT   Policy   `json:"tls_rpt"`
	BIMI     Policy   `json:"bimi"`
	DANE     DANE     `json:"dane"`
	Hosts    []string `json:"unresolvable,omitempty"` // of those asked, the MX hosts without an address
}

// MX is one mail server.
type MX struct {
	Host string `json:"host"`
	Pref uint16 `json:"preference"`
}

// Policy is a TXT record with a policy.
type Policy struct {
	Name  string `json:"name"` // where it was looked for
	State State  `json:"state"`
	Text  string `json:"text,omitempty"` // of the first record that is one by its version; a stranger's text
}

// DANE is what TLSA records the first mail server has.
type DANE struct {
	Name      string   `json:"name,omitempty"` // where they were looked for; "" where there is no server
	State     State    `json:"state"`
	Records   []string `json:"records,omitempty"` // as in a zone file, at most 10
	Validated bool     `json:"validated"`         // the resolver validated them and the names that lead to them
	// Usable: RFC 7672, 2.2 and 3.1: what is validated and of usage 2 or 3. Senders obey nothing else.
	Usable bool `json:"usable"`
}

// State tells whether a domain has something.
type State string

// The states.
const (
	Present   State = "present"
	Absent    State = "absent"
	Malformed State = "malformed" // there, and of no effect
	Unknown   State = "unknown"   // the DNS failed
	NotAsked  State = "not asked"
)

// state is one evaluation.
type state struct {
	dns   dns.Resolver
	res   Result
	first string // mail server, "" where there is none
	// secure: the answers that led to the first mail server were validated.
	secure bool
}

// Check asks for everything, the way to receive first.
func (e Evaluator) Check(ctx context.Context, domain string) Result {
	domain = dns.Canonical(domain)
	s := &state{dns: e.DNS, res: Result{Domain: domain, MX: []MX{}}}
	if e.Expect != nil {
		for _, q := range Ahead(domain) {
			e.Expect(q)
		}
	}
	s.receives(ctx, domain)
	s.dane(ctx)
	s.res.MTASTS = s.policy(ctx, "_mta-sts."+domain, mtaSTS)
	s.res.TLSRPT = s.policy(ctx, "_smtp._tls."+domain, tlsRPT)
	s.res.BIMI = s.policy(ctx, "default._bimi."+domain, bimi)
	return s.res
}

// Ahead is what Check asks of every domain.
func Ahead(domain string) []dns.Question {
	var out []dns.Question
	for _, q := range []dns.Question{
		dns.Ask(domain, dns.MX), dns.Ask("_mta-sts."+domain, dns.TXT),
		dns.Ask("_smtp._tls."+domain, dns.TXT), dns.Ask("default._bimi."+domain, dns.TXT),
	} {
		if dns.Askable(q.Name) {
			out = append(out, q)
		}
	}
	return out
}

// Follow is what is worth asking after one more answer: the addresses of the first mail servers, and the
// TLSA records of the first.
func Follow(domain string, a dns.Answer) []dns.Question {
	if a.Question != dns.Ask(domain, dns.MX) {
		return nil
	}
	if len(a.Records) == 0 {
		return []dns.Question{dns.Ask(domain, dns.A), dns.Ask(domain, dns.AAAA)}
	}
	records := slices.Clone(a.Records)
	slices.SortStableFunc(records, func(x, y dns.Record) int { return int(x.Pref) - int(y.Pref) })
	var out []dns.Question
	for i, r := range records[:min(len(records), 2)] {
		if !dns.Askable(r.Target) {
			continue
		}
		out = append(out, dns.Ask(r.Target, dns.A))
		if name := "_25._tcp." + r.Target; i == 0 && dns.Askable(name) {
			out = append(out, dns.Ask(name, dns.TLSA))
		}
	}
	return out
}

func (s *state) conclude(w result.Word, why result.Reason) { s.res.Word, s.res.Reason = w, why }

func (s *state) temperror(err *dns.Error) {
	s.conclude(result.TempError, err.Reason())
	s.res.Cause = err
}

func (s *state) found(f result.Finding, evidence ...result.Evidence) {
	f.Evidence = evidence
	s.res.Findings = append(s.res.Findings, f)
}

// ask: a name that cannot be asked has nothing.
func (s *state) ask(ctx context.Context, name string, t dns.Type) (dns.Answer, *dns.Error) {
	q := dns.Ask(name, t)
	if !dns.Askable(q.Name) {
		return dns.Answer{Question: q, NX: true}, nil
	}
	a, err := s.dns.Resolve(ctx, q)
	if err != nil {
		return a, dns.AsError(q, err)
	}
	return a, nil
}

// shown makes a stranger's octets fit for JSON.
func shown(text string) string { return strings.ToValidUTF8(result.Cut(text, maxShown), "\uFFFD") }

const maxShown = 300
