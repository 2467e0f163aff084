package policy

import (
	"fmt"
	"net/netip"
	"strings"

	"checkauth/verify/dns"
	"checkauth/verify/naming"
)

// List names senders: mailboxes, domains with all below them, and client networks.
type List struct {
	addresses map[string]bool // folded
	domains   map[string]bool // A-labels
	networks  []netip.Prefix
}

// ParseList reads entries such as "user@example.org", "example.org", "192.0.2.0/24" and "2001:db8::1".
func ParseList(entries []string) (List, error) {
	l := List{addresses: map[string]bool{}, domains: map[string]bool{}}
	for _, e := range entries {
		if p, ok := parseNetwork(e); ok {
			l.networks = append(l.networks, p)
			continue
		}
		if strings.Contains(e, "/") || strings.ContainsAny(e, " \t") {
			return l, badEntry(e)
		}
		if local, domain := naming.Split(e); domain != "" {
			if local == "" || !dns.Askable(domain) {
				return l, badEntry(e)
			}
			l.addresses[naming.Fold(e)] = true
			continue
		}
		name := naming.Key(e)
		if strings.ContainsRune(e, '@') || !dns.Askable(name) || !strings.Contains(name, ".") {
			return l, badEntry(e)
		}
		l.domains[name] = true
	}
	return l, nil
}

func badEntry(e string) error {
	return fmt.Errorf("%q: want a mailbox, a domain or a network such as \"user@example.org\", \"example.org\" or \"192.0.2.0/24\"", e)
}

func parseNetwork(e string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(e); err == nil {
		return p.Masked(), true
	}
	a, err := netip.ParseAddr(e)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), true
}

// Sender tells whether a mailbox or its domain is named.
func (l List) Sender(address string) bool {
	if l.addresses[naming.Fold(address)] {
		return true
	}
	for name := naming.Domain(address); name != ""; _, name, _ = strings.Cut(name, ".") {
		if l.domains[name] {
			return true
		}
	}
	return false
}

// Client tells whether a client's network is named.
func (l List) Client(ip string) bool {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return false
	}
	for _, n := range l.networks {
		if n.Contains(a.Unmap()) {
			return true
		}
	}
	return false
}
