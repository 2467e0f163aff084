package deliver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"checkauth/verify/naming"
)

// errUnroutable is an address that a public MX has no business to name.
var errUnroutable = errors.New("unroutable")

// refused tells why an address is not connected to, or nil.
func refused(a netip.Addr, own func(netip.Addr) bool, allowPrivate bool) error {
	// A mapped address is connected to as the IPv4 address in it; a zone would hide a prefix.
	a = naming.Plain(a)
	if own != nil && own(a) {
		return fmt.Errorf("%w (our own address): %s", errUnroutable, a)
	}
	if allowPrivate {
		return nil
	}
	if use := naming.Special(a); use != "" {
		return fmt.Errorf("%w (%s): %s", errUnroutable, use, a)
	}
	return nil
}

// Routable tells why nothing is to be sent to an address that a stranger has named, or nil. own tells our
// addresses; nil: there are none.
func Routable(a netip.Addr, own func(netip.Addr) bool) error { return refused(a, own, false) }

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
