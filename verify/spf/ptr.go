package spf

import (
	"strings"

	"checkauth/verify/dns"
	"checkauth/verify/result"
)

// pointers are the names of the client's address, asked for once an evaluation.
type pointers struct {
	answer dns.Answer
	err    error
	valid  map[string]bool // names whose addresses have been asked for
}

func (w *walk) pointers() *pointers {
	if w.ptr == nil {
		w.ptr = &pointers{valid: map[string]bool{}}
		if !w.id.ip.IsValid() {
			return w.ptr
		}
		w.ptr.answer, w.ptr.err = w.ask(dns.ReverseName(w.id.ip), dns.PTR)
	}
	return w.ptr
}

// names are at most ten. RFC 7208, 4.6.4: the rest is ignored, for the sender has no say in them.
func (p *pointers) names() []string {
	var out []string
	for _, r := range p.answer.Records[:min(len(p.answer.Records), maxPTR)] {
		out = append(out, dns.Canonical(r.Target))
	}
	return out
}

// ptrTerm: RFC 7208, 5.5: matches where a name of the client's address, which has that address, is the
// target or lies under it. What DNS fails to tell means no match, never an error.
func (w *walk) ptrTerm(p *page, d *Directive, t *Term) (bool, *verdict) {
	target, ok := w.target(p, d, t)
	if !ok {
		return false, nil
	}
	ptr := w.pointers()
	if ptr.err != nil {
		t.Why = dns.AsError(dns.Question{}, ptr.err).Reason()
		return false, nil
	}
	a := ptr.answer
	a.Question = dns.Ask(dns.ReverseName(w.id.ip), dns.PTR)
	if v := w.voided(a, t); v != nil {
		return false, v
	}
	matched := false
	for _, name := range ptr.names() {
		t.found(name)
		// By name first: the order changes nothing in the result and saves questions.
		matched = matched || under(name, target) && w.validated(name)
	}
	return matched, nil
}

// under: RFC 7208, 5.5: the match is by label, so notexample.org is not under example.org.
func under(name, domain string) bool {
	return name == domain || strings.HasSuffix(name, "."+domain)
}

// validated: RFC 7208, 5.5: the name has the client's address. An error of the DNS skips the name.
func (w *walk) validated(name string) bool {
	valid, known := w.ptr.valid[name]
	if known || !dns.Askable(name) {
		return valid
	}
	a, err := w.ask(name, w.family())
	if err == nil {
		for _, r := range a.Records {
			valid = valid || r.Addr == w.id.ip
		}
	}
	w.ptr.valid[name] = valid
	return valid
}

// validatedName is %{p}. RFC 7208, 7.3: the domain itself where it is among the validated names, else
// one under it, else any; "unknown" where there is none.
func (w *walk) validatedName(domain string) string {
	names := w.pointers().names()
	for _, fits := range []func(string) bool{
		func(n string) bool { return n == domain },
		func(n string) bool { return under(n, domain) },
		func(string) bool { return true },
	} {
		for _, name := range names {
			if fits(name) && w.validated(name) {
				return name
			}
		}
	}
	return "unknown"
}

// explain: RFC 7208, 6.2: the text at exp= of the record that decided, where the result is fail. What
// goes wrong on the way leaves the result without explanation.
func (w *walk) explain(p *page) string {
	if p == nil || p.policy.exp < 0 {
		return ""
	}
	name, ok := w.expand(p, &p.policy.Terms[p.policy.exp])
	if !ok {
		return ""
	}
	a, err := w.ask(name, dns.TXT)
	if err != nil || len(a.Records) != 1 {
		return ""
	}
	spec, ok := parseMacros(a.Records[0].Text(), true)
	if !ok {
		return ""
	}
	text, ok := spec.text(func(letter byte) (string, bool) { return w.value(letter, p.domain) })
	// RFC 7208, 6.2: US-ASCII; and what a macro brought in must not break a line of SMTP.
	if !ok || !visible(text, true) {
		return ""
	}
	return result.Cut(text, maxExplanation)
}
