package standing

import (
	"net/netip"
	"slices"
	"strings"

	"checkauth/verify"
	"checkauth/verify/dmarc"
	"checkauth/verify/iprev"
	"checkauth/verify/naming"
	"checkauth/verify/result"
)

// provedByName: the name of the client's address is no word of the domain. So it proves nobody whom the domain's own
// records disown, nor where nobody could read them.
func provedByName(r *verify.Report) bool {
	return r.Sender.Host != "" && r.Check(verify.MethodSPF).Result != result.Fail && r.Sender.Known && !r.Sender.Undecided && !AsksFor(dmarc.Policy(r.Sender.Policy))
}

// ownHost is a name of the client's address that leads back to it and is the own one of the domain of MAIL FROM; "" where
// it has none. A provider has names below its own domain for the lines and the machines of its customers, so that only
// these are: the domain's name itself, one of its MX hosts, and the name that the server says in HELO, if it is not
// such a customer's. An MX host of a hoster or of a mail service sends the mail of many and is not.
func (rules Rules) ownHost(r *verify.Report) string {
	domain, helo := Domain(r), naming.Key(r.Session.Helo)
	if naming.Organisation(domain) == "" {
		return ""
	}
	names := confirmed(r)
	i := slices.IndexFunc(names, func(host string) bool {
		switch {
		case host == domain:
			return true
		case slices.Contains(r.Sender.MX, host):
			return naming.SameOrganisation(host, domain) || !rules.shared(host)
		}
		return host == helo && naming.Below(host, domain) && !rules.customers(host, domain, client(r))
	})
	if i < 0 {
		return ""
	}
	return names[i]
}

// confirmed are the client's names that lead back to its address.
func confirmed(r *verify.Report) (out []string) {
	c := r.Check(verify.MethodIPRev)
	if c.Result != result.Pass || result.Detail[iprev.Result](c) == nil {
		return nil
	}
	for _, name := range result.Detail[iprev.Result](c).Confirmed {
		out = append(out, naming.Key(name))
	}
	return out
}

func client(r *verify.Report) netip.Addr {
	a, _ := netip.ParseAddr(r.Session.ClientIP)
	return naming.Plain(a)
}

// shared: a name of a mail service that many share, or below the domain of a hoster.
func (rules Rules) shared(host string) bool {
	return rules.Atlas.Shared(host) || slices.ContainsFunc(rules.Servers, func(d string) bool { return naming.Below(host, naming.Key(d)) })
}

// customers: a name below a domain that may be the line or the machine of one of its customers.
func (rules Rules) customers(host, domain string, ip netip.Addr) bool {
	labels := strings.Split(strings.TrimSuffix(host, "."+domain), ".")
	return rules.shared(host) || iprev.Rented(host, ip) || slices.ContainsFunc(labels, numbered) || slices.ContainsFunc(labels[1:], ofCustomers)
}

// machines are words that hosters put in front of a number. mx1, mail2 and web07 are one's own.
var machines = []string{
	"box", "cl", "cloud", "droplet", "host", "hosting", "kd", "kunde", "machine", "node", "root", "server", "srv", "vserver", "vz",
}

// numbered: vps-4711, vmi123456, host-12ab and s7 are names that somebody counted or drew: three digits in a row,
// hexadecimal digits mixed with letters, or a number behind a letter or two, or behind a word of hosters.
func numbered(label string) bool {
	for part := range strings.SplitSeq(label, "-") {
		if drawn(part) || longestNumber(part) >= 3 {
			return true
		}
	}
	word := strings.Trim(label, "0123456789-")
	if word == label || word == "mx" {
		return false
	}
	return len(word) <= 2 || slices.Contains(machines, word)
}

// longestNumber is how many digits stand in a row at most.
func longestNumber(s string) (longest int) {
	for _, run := range numbers(s) {
		longest = max(longest, len(run))
	}
	return longest
}

// drawn: two numbers with letters between them, such as p5b0a1c2d, or at least four hexadecimal digits, two of them
// numbers and one a letter, such as 12ab.
func drawn(part string) bool {
	runs := numbers(part)
	digits := len(strings.Join(runs, ""))
	hexadecimal := len(part) >= 4 && strings.Trim(part, "0123456789abcdef") == ""
	return len(runs) >= 2 || hexadecimal && digits >= 2 && digits < len(part)
}

// numbers are the rows of digits.
func numbers(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// ofCustomers: what stands below such a label are customers' names, with or without a number: alice.customers.example.org.
func ofCustomers(label string) bool {
	return slices.ContainsFunc(strings.Split(label, "-"), func(w string) bool {
		return slices.Contains(machines, w) || iprev.CustomersWord(w)
	})
}
