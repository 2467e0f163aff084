package spf

import (
	"cmp"
	"net/netip"
	"strconv"
	"strings"

	"checkauth/verify/dns"
	"checkauth/verify/naming"
)

// identity is what macros may stand for.
type identity struct {
	ip     netip.Addr // unmapped, without zone
	helo   string
	local  string
	domain string // of the sender
	start  string // Query.Domain
	// Made once: a record may have sixteen thousand macros, and a local part ten thousand octets.
	sender   string
	writable bool // the local part can stand in a name
}

func (id identity) complete() identity {
	id.sender = id.local + "@" + id.domain
	id.writable = ascii(id.local)
	return id
}

// begin is the domain whose record is evaluated first.
func (id identity) begin() string { return dns.Canonical(cmp.Or(id.start, id.domain)) }

// mailFrom: RFC 7208, 2.4: the reverse-path, or postmaster at the HELO name where it is null. RFC 7208,
// 4.3: a sender without local part has the local part "postmaster".
func mailFrom(q Query) identity {
	if q.MailFrom == "" {
		return heloIdentity(q)
	}
	id := identityOf(q)
	at := strings.LastIndexByte(q.MailFrom, '@')
	id.domain = toASCII(q.MailFrom[at+1:])
	if at > 0 {
		id.local = q.MailFrom[:at]
	}
	return id.complete()
}

// heloIdentity: RFC 7208, 2.3.
func heloIdentity(q Query) identity { return identityOf(q).complete() }

func identityOf(q Query) identity {
	helo := toASCII(q.Helo)
	return identity{ip: q.IP.Unmap().WithZone(""), helo: helo, local: "postmaster", domain: helo, start: toASCII(q.Domain)}
}

// toASCII gives the A-labels of a name with U-labels (RFC 7208, 4.3; RFC 8616, 4). A name that has none
// stays as it is and will not be well formed.
func toASCII(domain string) string {
	if a, ok := naming.ASCII(domain); ok && !ascii(domain) {
		return a
	}
	return domain
}

// wellFormed: RFC 7208, 4.3: the domain must be one that DNS can be asked about, of more than one
// label. An address is none, with or without brackets. A dot that is left at the end of a canonical name
// ends an empty label.
func wellFormed(domain string) bool {
	if !dns.Askable(domain) || !visible(domain, false) || domain[0] == '[' || strings.HasSuffix(domain, ".") {
		return false
	}
	dot := strings.LastIndexByte(domain, '.')
	return dot > 0 && !allDigits(domain[dot+1:])
}

// value gives what a macro letter stands for in the record of domain: RFC 7208, 7.2. ok is false where
// the text cannot stand in a name: RFC 8616, 4: terms with the local part of an internationalized
// address never match.
func (w *walk) value(letter byte, domain string) (v string, ok bool) {
	switch letter {
	case 's':
		return w.id.sender, w.id.writable
	case 'l':
		return w.id.local, w.id.writable
	case 'o':
		return w.id.domain, true
	case 'd':
		return domain, true
	case 'i':
		return dotted(w.id.ip), true
	case 'p':
		return w.validatedName(domain), true
	case 'v':
		if w.id.ip.Is4() {
			return "in-addr", true
		}
		return "ip6", true
	case 'h':
		return w.id.helo, true
	case 'c':
		return w.id.ip.String(), true
	case 'r':
		if w.host == "" {
			return "unknown", true
		}
		return w.host, true
	}
	// The parser lets nothing else through but t.
	return strconv.FormatInt(w.now().Unix(), 10), true
}

// dotted: RFC 7208, 7.3: IPv4 as always, IPv6 as nibbles between dots. Upper case, as the published
// suite has it; in names it makes no difference.
func dotted(ip netip.Addr) string {
	if ip.Is4() {
		return ip.String()
	}
	const digits = "0123456789ABCDEF"
	out := make([]byte, 0, 64)
	for _, c := range ip.As16() {
		out = append(out, digits[c>>4], '.', digits[c&15], '.')
	}
	return string(out[:len(out)-1])
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
