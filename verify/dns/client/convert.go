package client

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	mdns "github.com/miekg/dns"

	"checkauth/verify/dns"
)

// record takes one record apart. Its error says what is wrong with the data.
func record(rr mdns.RR) (dns.Record, error) {
	h := rr.Header()
	r := dns.Record{Name: fromWire(h.Name), Type: dns.Type(h.Rrtype), TTL: ttl(h.Ttl)}
	if h.Rdlength == 0 && known(rr) {
		// miekg/dns lets this through, with the fields empty, for dynamic updates (RFC 2136, 2.4).
		return r, fmt.Errorf("the %s record of %q has no data", r.Type, r.Name)
	}
	var ok = true
	switch v := rr.(type) {
	case *mdns.A:
		r.Addr, ok = address(v.A)
		r.Addr = r.Addr.Unmap()
	case *mdns.AAAA:
		r.Addr, ok = address(v.AAAA)
	case *mdns.CNAME:
		r.Target = fromWire(v.Target)
	case *mdns.NS:
		r.Target = fromWire(v.Ns)
	case *mdns.PTR:
		r.Target = fromWire(v.Ptr)
	case *mdns.MX:
		r.Target, r.Pref = fromWire(v.Mx), v.Preference
	case *mdns.TXT:
		r.Strings = texts(v.Txt)
	case *mdns.SPF:
		r.Strings = texts(v.Txt)
	default:
		r.Other = strings.TrimPrefix(rr.String(), h.String())
	}
	if !ok {
		return r, fmt.Errorf("the %s record of %q holds no address", r.Type, r.Name)
	}
	return r, nil
}

// known are the types whose data is taken apart; none of them may be empty (RFC 1035, 3.3 and 3.4).
func known(rr mdns.RR) bool {
	switch rr.(type) {
	case *mdns.A, *mdns.AAAA, *mdns.CNAME, *mdns.NS, *mdns.PTR, *mdns.MX, *mdns.TXT, *mdns.SPF:
		return true
	}
	return false
}

// ttl: RFC 2181, 8: with the highest bit set it is taken for zero.
func ttl(n uint32) uint32 {
	if n >= 1<<31 {
		return 0
	}
	return n
}

func address(ip net.IP) (netip.Addr, bool) { return netip.AddrFromSlice(ip) }

// texts gives the octets of strings that miekg/dns has escaped. Their sum needs no bound here: a
// message holds 65,535 octets at most (RFC 1035, 4.2.2), and strings are not compressed.
func texts(escaped []string) []string {
	out := make([]string, len(escaped))
	for i, s := range escaped {
		out[i] = unescape(s)
	}
	return out
}
