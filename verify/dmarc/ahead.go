package dmarc

import "checkauth/verify/dns"

// Ahead is what Check asks for a domain of From, where no record on the way ends the walk.
func Ahead(domain string) []dns.Question {
	var out []dns.Question
	for _, name := range names(domain) {
		if q := dns.Ask("_dmarc."+name, dns.TXT); dns.Askable(q.Name) {
			out = append(out, q)
		}
	}
	return out
}
