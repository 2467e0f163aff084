package naming

import "net/netip"

// Plain is an address as it is compared: an IPv4-mapped one as the IPv4 address in it, without a zone.
func Plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// Network stands for one client where it is named or counted once: /24, or /56 of IPv6. An invalid address gives
// the invalid prefix.
func Network(a netip.Addr) netip.Prefix {
	all := Networks(a)
	return all[len(all)/2]
}

// Networks are the networks that a client's share is counted in, the smallest first: /24; /64, /56 and /48 of IPv6,
// because one customer is given any of these. An invalid address has one, the invalid prefix.
func Networks(a netip.Addr) []netip.Prefix {
	a = Plain(a)
	bits := []int{64, 56, 48}
	if a.Is4() {
		bits = []int{24}
	}
	if !a.IsValid() {
		return []netip.Prefix{{}}
	}
	out := make([]netip.Prefix, len(bits))
	for i, b := range bits {
		out[i], _ = a.Prefix(b)
	}
	return out
}

// special are the networks that no host of a stranger is reached in, with the registry's name of each: RFC 6890 and
// its registries of 2026, multicast, and the forms that carry an IPv4 address, because a translator on our network
// would send them to it.
var special = []struct {
	net  netip.Prefix
	name string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "this network"},
	{netip.MustParsePrefix("10.0.0.0/8"), "private"},
	{netip.MustParsePrefix("100.64.0.0/10"), "shared address space"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link local"},
	{netip.MustParsePrefix("172.16.0.0/12"), "private"},
	{netip.MustParsePrefix("192.0.0.0/24"), "protocol assignments"},
	{netip.MustParsePrefix("192.0.2.0/24"), "documentation"},
	{netip.MustParsePrefix("192.31.196.0/24"), "AS112"},
	{netip.MustParsePrefix("192.52.193.0/24"), "AMT"},
	{netip.MustParsePrefix("192.88.99.0/24"), "6to4 relay"},
	{netip.MustParsePrefix("192.168.0.0/16"), "private"},
	{netip.MustParsePrefix("192.175.48.0/24"), "AS112"},
	{netip.MustParsePrefix("198.18.0.0/15"), "benchmarking"},
	{netip.MustParsePrefix("198.51.100.0/24"), "documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), "documentation"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved"},
	{netip.MustParsePrefix("::/96"), "unspecified, loopback or IPv4-compatible"},
	{netip.MustParsePrefix("64:ff9b::/96"), "IPv4 translated"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "IPv4 translated"},
	{netip.MustParsePrefix("100::/64"), "discard only"},
	{netip.MustParsePrefix("100:0:0:1::/64"), "dummy"},
	{netip.MustParsePrefix("2001::/23"), "protocol assignments, Teredo among them"},
	{netip.MustParsePrefix("2001:db8::/32"), "documentation"},
	{netip.MustParsePrefix("2002::/16"), "6to4"},
	{netip.MustParsePrefix("2620:4f:8000::/48"), "AS112"},
	{netip.MustParsePrefix("3fff::/20"), "documentation"},
	{netip.MustParsePrefix("5f00::/16"), "segment routing"},
	{netip.MustParsePrefix("fc00::/7"), "private"},
	{netip.MustParsePrefix("fe80::/10"), "link local"},
	{netip.MustParsePrefix("fec0::/10"), "site local"},
	{netip.MustParsePrefix("ff00::/8"), "multicast"},
}

// Special names what a special-purpose address is for (RFC 6890); "" for an address of the public Internet.
func Special(a netip.Addr) string {
	a = Plain(a)
	if !a.IsValid() {
		return "no address"
	}
	for _, s := range special {
		if s.net.Contains(a) {
			return s.name
		}
	}
	return ""
}

var shared = netip.MustParsePrefix("100.64.0.0/10")

// Private tells whether an address means something in one network alone: RFC 1918, RFC 4193, link-local and
// carrier-grade NAT (RFC 6598, 7). Loopback is not among them.
func Private(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsPrivate() || a.IsLinkLocalUnicast() || shared.Contains(a)
}
