package spf

import (
	"slices"

	"checkauth/verify/dns"
	"checkauth/verify/result"
)

// voids counts the terms that find nothing, wherever in the tree: RFC 7208, 4.6.4: the third makes a
// permerror. Names that depend on the sender are left out: to find nothing is what they are for.
func (s *survey) voids(domain string) int {
	n, nowhere := 0, 0
	var all []string
	dead := map[*site][]string{}
	for _, l := range s.lookUps() {
		gone, void := s.void(l)
		if !void {
			continue
		}
		n++
		if !slices.Contains(all, l.name) {
			all = append(all, l.name)
		}
		if gone {
			nowhere++
			dead[l.at] = append(dead[l.at], l.d.Text)
		}
	}
	shown := result.Join(result.Domains(all[:min(len(all), 5)]), ", ")
	switch {
	case s.has("spf-void-lookups"):
	case n > maxVoids && nowhere <= maxVoids:
		s.say(ofNames(result.Found(result.Warning, "spf-later-voids-family",
			"domain", result.Domain(domain), "count", n, "names", shown, "family", result.Ours(s.familyName())), all...))
		s.deadNames(dead)
	case n > maxVoids:
		s.say(ofNames(result.Found(result.Warning, "spf-later-voids",
			"domain", result.Domain(domain), "count", n, "names", shown), all...))
	default:
		s.deadNames(dead)
	}
	return n
}

func (s *survey) familyName() string {
	if s.w.family() == dns.A {
		return "IPv4"
	}
	return "IPv6"
}

func (s *survey) deadNames(dead map[*site][]string) {
	for _, at := range s.order {
		if gone := dead[at]; len(gone) > 0 {
			f := ofTerms(result.Found(result.Warning, "spf-dead-name", "domain", result.Domain(at.domain), "terms", terms(at.domain, gone)), gone...)
			if !at.own {
				f.Severity = result.Info
			}
			s.say(f)
		}
	}
}

// lookUp is a term with a name that is looked up.
type lookUp struct {
	at          *site
	d           *Directive
	name        string
	kind, other dns.Type // other: of a client of the other address family
}

// lookUps lists those that are the same for every sender.
func (s *survey) lookUps() []lookUp {
	var out []lookUp
	var next []dns.Question
	for _, at := range s.order {
		if at.broken {
			continue
		}
		at.each(func(_ int, d *Directive) {
			l, ok := s.lookUp(at, d)
			if !ok {
				return
			}
			if l.name, ok = s.target(at.page, d); ok {
				out, next = append(out, l), append(next, dns.Ask(l.name, l.kind))
			}
		})
	}
	s.more.expect(next...)
	return out
}

func (s *survey) lookUp(at *site, d *Directive) (l lookUp, ok bool) {
	l = lookUp{at: at, d: d, kind: s.w.family(), other: dns.A}
	switch d.Name {
	case "a":
		if l.other == l.kind {
			l.other = dns.AAAA
		}
	case "mx":
		l.kind, l.other = dns.MX, dns.MX
	case "exists":
		l.kind = dns.A
	default:
		return l, false
	}
	return l, fixed(d.spec)
}

// void looks up the name of a term. gone tells that the name has nothing for a client of the other
// address family either.
func (s *survey) void(l lookUp) (gone, void bool) {
	a, err := s.ask(l.name, l.kind)
	if err != nil {
		if dns.AsError(dns.Ask(l.name, l.kind), err).Kind.NotAsked() {
			s.miss(l.name)
		}
		return false, false
	}
	return len(a.Records) == 0 && s.empty(a, l), len(a.Records) == 0
}

// empty: RFC 8020, 2: of a name that does not exist there is nothing of any type.
func (s *survey) empty(a dns.Answer, l lookUp) bool {
	if a.NX || l.kind == l.other {
		return true
	}
	a, err := s.ask(l.name, l.other)
	return err == nil && len(a.Records) == 0
}

// fixed: the name is the same for every client and sender.
func fixed(spec macroString) bool {
	for _, m := range spec {
		if m.letter != 0 && m.letter != '%' && m.letter != 'd' {
			return false
		}
	}
	return true
}
