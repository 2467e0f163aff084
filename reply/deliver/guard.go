package deliver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
)

// errUnroutable is an address that a public MX has no business to name.
var errUnroutable = errors.New("unroutable")

// special are the networks that no destination of a stranger lies in, with the registry's name of
// each: RFC 6890 and its registries of 2026, multicast, and the forms that carry an IPv4 address,
// because a translator on our network would send them to it.
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

// refused tells why an address is not connected to, or nil.
func refused(a netip.Addr, own []netip.Addr, allowPrivate bool) error {
	// A mapped address is connected to as the IPv4 address in it; a zone would hide a prefix.
	a = a.Unmap().WithZone("")
	if slices.ContainsFunc(own, func(o netip.Addr) bool { return o.Unmap().WithZone("") == a }) {
		return fmt.Errorf("%w (our own address): %s", errUnroutable, a)
	}
	if allowPrivate {
		return nil
	}
	for _, s := range special {
		if s.net.Contains(a) {
			return fmt.Errorf("%w (%s): %s", errUnroutable, s.name, a)
		}
	}
	return nil
}

// Routable tells why nothing is to be sent to an address that a stranger has named, or nil. own are our
// addresses.
func Routable(a netip.Addr, own []netip.Addr) error { return refused(a, own, false) }

// dialer connects to the network. The address is checked when the socket is about to connect: a check
// at look-up would not see what a second look-up says (DNS rebinding).
func dialer(cfg Config) func(ctx context.Context, network, addr string) (net.Conn, error) {
	d := &net.Dialer{Timeout: cfg.Connect}
	if cfg.Relay == "" { // a relay is the operator's own choice
		d.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("%w: %q: %w", errUnroutable, address, err)
			}
			return refused(at.Addr(), cfg.Own, cfg.AllowPrivate)
		}
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		from := *d
		from.LocalAddr = cfg.source(network, addr)
		return from.DialContext(ctx, network, addr)
	}
}

// source is the operator's address of the family that is dialled; nil where the system chooses.
func (c Config) source(network, addr string) net.Addr {
	if to, err := netip.ParseAddrPort(addr); err == nil {
		network = family(to.Addr())
	}
	for _, a := range c.Source {
		if family(a) == network {
			return net.TCPAddrFromAddrPort(netip.AddrPortFrom(a.Unmap(), 0))
		}
	}
	return nil
}
