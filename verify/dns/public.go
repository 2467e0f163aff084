package dns

import (
	"context"
	"net/netip"
	"strings"
	"time"
)

// Public is a resolver for strangers' questions: names that have no meaning outside of somebody's own
// network are not asked of the one below it, which may know ours. They do not exist, as they do not for
// anybody else on the Internet.
type Public struct {
	Up  Resolver
	Now func() time.Time
}

// Resolve implements Resolver.
func (p Public) Resolve(ctx context.Context, q Question) (Answer, error) {
	if IsLocal(q.Name) {
		return Answer{Question: q, NX: true, Server: "not asked", Time: p.Now()}, nil
	}
	return p.Up.Resolve(ctx, q)
}

// local are the ends of names that are somebody's own: RFC 6761 and 6762, RFC 8375, RFC 7686, ICANN's
// .internal, and what networks have used before there was one.
var local = []string{
	"localhost", "local", "invalid", "internal", "intranet", "private", "corp", "home", "lan", "localdomain", "domain", "workgroup",
	"home.arpa", "onion", "alt",
}

// IsLocal tells whether a name means something in one network alone: a single label, a name under one of
// the ends above, or the reverse name of an address that is not on the Internet (RFC 6303, 4).
func IsLocal(name string) bool {
	name = Canonical(name)
	if !strings.Contains(name, ".") {
		return true
	}
	for _, end := range local {
		if strings.HasSuffix(name, "."+end) || name == end {
			return true
		}
	}
	ip, bits := reversed(name)
	return bits > 0 && isLocalAddr(ip, bits)
}

// localNets are those of RFC 6303, 4 without the ones for documentation, which examples are made of.
var localNets = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("fe80::/10"),
}

func isLocalAddr(ip netip.Addr, bits int) bool {
	for _, n := range localNets {
		if n.Bits() <= bits && n.Contains(ip) {
			return true
		}
	}
	return false
}

// reversed reads a name below in-addr.arpa or ip6.arpa: the address, or as much of it as the name has,
// and how many bits that is; 0 where it is no such name. Labels in front of the whole address do not
// count.
func reversed(name string) (netip.Addr, int) {
	if rest, ok := strings.CutSuffix(name, ".in-addr.arpa"); ok {
		return fromLabels(rest, 4, 8, 10)
	}
	if rest, ok := strings.CutSuffix(name, ".ip6.arpa"); ok {
		return fromLabels(rest, 32, 4, 16)
	}
	return netip.Addr{}, 0
}

// fromLabels reads at most max labels from the end, each of so many bits, written to that base.
func fromLabels(name string, max, width, base int) (netip.Addr, int) {
	labels := strings.Split(name, ".")
	var b [16]byte
	n := 0
	for ; n < max && n < len(labels); n++ {
		v := digits(labels[len(labels)-1-n], base)
		if v < 0 || v >= 1<<width {
			break
		}
		at := n * width
		b[at/8] |= byte(v << (8 - width - at%8))
	}
	if max == 4 {
		return netip.AddrFrom4([4]byte(b[:4])), n * width
	}
	return netip.AddrFrom16(b), n * width
}

// digits reads a label that is a number; -1 where it is none.
func digits(s string, base int) int {
	if s == "" || len(s) > 3 {
		return -1
	}
	n := 0
	for _, c := range []byte(s) {
		d := strings.IndexByte("0123456789abcdef", c)
		if d < 0 || d >= base {
			return -1
		}
		n = n*base + d
	}
	return n
}
