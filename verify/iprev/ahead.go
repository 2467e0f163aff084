package iprev

import (
	"net/netip"

	"checkauth/verify/dns"
)

// First is what Check asks first.
func First(ip netip.Addr) dns.Question { return dns.Ask(dns.ReverseName(ip), dns.PTR) }

// Follow is what Check asks after an answer to its first question; nothing after that of another.
func Follow(ip netip.Addr, a dns.Answer) []dns.Question {
	if a.Question != First(ip) {
		return nil
	}
	var out []dns.Question
	for _, name := range names(a.Records) {
		if dns.Askable(name) {
			out = append(out, dns.Ask(name, family(ip.Unmap())))
		}
	}
	return out
}
