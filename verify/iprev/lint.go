package iprev

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"checkauth/verify/dns"
	"checkauth/verify/naming"
	"checkauth/verify/result"
)

// lint looks whether the address has only names as a provider gives them to its lines and machines.
// Receivers score such names; which of them do, and how, no RFC says.
func lint(names []string, ip netip.Addr) []result.Finding {
	severity := result.Warning
	for _, name := range names {
		line, machine := byWord(name), byAddress(name, ip)
		if !line && !machine {
			return nil
		}
		// The address in the name is common with rented machines, whose mail is mostly taken.
		if !line {
			severity = result.Info
		}
	}
	return []result.Finding{result.Found(severity, "iprev-generic-name", "name", result.Domain(names[0]), "ip", ip)}
}

// Generic: a provider gives such names to its customers' lines and machines. A name below the provider's own
// domain that is one shows nothing of whom the machine belongs to.
func Generic(name string, ip netip.Addr) bool { return byWord(name) || byAddress(name, ip) }

// rentedWords stand in the names that hosting providers give to machines that they let.
var rentedWords = []string{
	"client", "clients", "cust", "customer", "customers", "dedi", "dedicated", "instance", "ip", "ipv4", "ipv6", "kvm", "members", "rdns", "rev",
	"reverse", "static", "user", "users", "vds", "vm", "vmi", "vps", "xvm",
}

// Rented: a provider gives such names to any of its customers, machines or lines: Generic, or a word of a hosting provider
// and a number.
func Rented(name string, ip netip.Addr) bool {
	return Generic(name, ip) || hasWord(strings.TrimSuffix(name, naming.Organisation(name)), rentedWords)
}

// CustomersWord tells whether a word stands in the names that providers give to lines or machines of their customers.
func CustomersWord(w string) bool {
	return slices.Contains(lineWords, w) || slices.Contains(rentedWords, w)
}

// hasWord: one of the words, and a number.
func hasWord(host string, words []string) bool {
	parts := strings.FieldsFunc(host, func(r rune) bool { return r < 'a' || r > 'z' })
	return strings.ContainsAny(host, "0123456789") && slices.ContainsFunc(parts, func(w string) bool { return slices.Contains(words, w) })
}

// lineWords stand in the names that access providers give to their customers' lines.
var lineWords = []string{
	"adsl", "broadband", "cable", "catv", "cpe", "dhcp", "dial", "dialin", "dialup", "dsl", "dyn", "dynamic",
	"dynip", "fttb", "ftth", "pool", "ppp", "pppoe", "res", "residential", "sdsl", "vdsl", "wimax", "xdsl",
}

// byWord wants a word and a number: mail.pool.example.org is a name that somebody chose.
func byWord(name string) bool { return hasWord(below(name), lineWords) }

// below is the name without its last two labels: a company may be called as it likes.
func below(name string) string {
	labels := strings.Split(name, ".")
	return strings.Join(labels[:max(len(labels)-2, 0)], ".")
}

// byAddress: the whole address is part of the name, in one of the usual spellings.
func byAddress(name string, ip netip.Addr) bool {
	if ip.Is4() {
		return hasOctets(name, ip.As4())
	}
	full := ip.StringExpanded()
	for _, form := range []string{
		strings.ReplaceAll(full, ":", "-"), strings.ReplaceAll(full, ":", "."), strings.ReplaceAll(full, ":", ""),
		strings.ReplaceAll(ip.String(), ":", "-"), strings.TrimSuffix(dns.ReverseName(ip), ".ip6.arpa"),
	} {
		if strings.Contains(name, form) {
			return true
		}
	}
	return false
}

// hasOctets looks for 203-0-113-7, also reversed, with other marks or leading zeros between, for
// 203000113007 and for cb007107.
func hasOctets(name string, ip [4]byte) bool {
	if strings.Contains(name, fmt.Sprintf("%03d%03d%03d%03d", ip[0], ip[1], ip[2], ip[3])) ||
		strings.Contains(name, fmt.Sprintf("%x", ip)) {
		return true
	}
	var numbers []byte
	for _, digits := range strings.FieldsFunc(name, func(r rune) bool { return r < '0' || r > '9' }) {
		n, err := strconv.ParseUint(digits, 10, 8)
		if err != nil {
			numbers = numbers[:0]
			continue
		}
		numbers = append(numbers, byte(n))
		if last := numbers[max(len(numbers)-4, 0):]; slices.Equal(last, ip[:]) ||
			slices.Equal(last, []byte{ip[3], ip[2], ip[1], ip[0]}) {
			return true
		}
	}
	return false
}
