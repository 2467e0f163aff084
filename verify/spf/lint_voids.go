package spf

import (
	"slices"
	"strconv"
	"strings"

	"checkauth/verify/dns"
	"checkauth/verify/result"
)

// voids counts the terms that find nothing, wherever in the tree: RFC 7208, 4.6.4: the third makes a
// permerror. Names that depend on the sender are left out: to find nothing is what they are for.
func (s *survey) voids(domain string) int {
	n, nowhere := 0, 0
	var all []string
	dead := map[*site][]string{}
	for _, at := range s.order {
		if at.broken {
			continue
		}
		at.each(func(_ int, d *Directive) {
			name, gone, void := s.void(at, d)
			if !void {
				return
			}
			n++
			if !slices.Contains(all, name) {
				all = append(all, name)
			}
			if gone {
				nowhere++
				dead[at] = append(dead[at], result.Cut(d.Text, maxQuoted))
			}
		})
	}
	shown := strings.Join(all[:min(len(all), 5)], ", ")
	switch {
	case s.has("spf-void-lookups"):
	case n > maxVoids && nowhere <= maxVoids:
		s.say(result.Found(result.Warning, "spf-later-voids-family",
			"domain", domain, "count", strconv.Itoa(n), "names", shown, "family", s.familyName()))
		s.deadNames(dead)
	case n > maxVoids:
		s.say(result.Found(result.Warning, "spf-later-voids",
			"domain", domain, "count", strconv.Itoa(n), "names", shown))
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
		if terms := dead[at]; len(terms) > 0 {
			f := result.Found(result.Warning, "spf-dead-name", "domain", at.domain, "terms", strings.Join(terms, " "))
			if !at.own {
				f.Severity = result.Info
			}
			s.say(f)
		}
	}
}

// void looks up the name of a term. gone tells that the name has nothing for a client of the other
// address family either.
func (s *survey) void(at *site, d *Directive) (name string, gone, void bool) {
	kind, other := s.w.family(), dns.A
	switch d.Name {
	case "a":
		if other == kind {
			other = dns.AAAA
		}
	case "mx":
		kind, other = dns.MX, dns.MX
	case "exists":
		kind = dns.A
	default:
		return "", false, false
	}
	if !fixed(d.spec) {
		return "", false, false
	}
	name, ok := s.target(at.page, d)
	if !ok {
		return "", false, false
	}
	a, err := s.ask(name, kind)
	if err != nil {
		if dns.AsError(dns.Ask(name, kind), err).Kind == dns.Budget {
			s.miss(name)
		}
		return "", false, false
	}
	return name, len(a.Records) == 0 && s.empty(a, name, kind, other), len(a.Records) == 0
}

// empty: RFC 8020, 2: of a name that does not exist there is nothing of any type.
func (s *survey) empty(a dns.Answer, name string, kind, other dns.Type) bool {
	if a.NX || kind == other {
		return true
	}
	a, err := s.ask(name, other)
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
