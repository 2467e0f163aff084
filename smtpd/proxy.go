package smtpd

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/pires/go-proxyproto"
)

// Proxy makes a listener for load balancers that speak the PROXY protocol, version 1 or 2: a connection
// from trusted must bring the header within the timeout, one from elsewhere is closed.
func Proxy(l net.Listener, trusted []netip.Prefix, timeout time.Duration) net.Listener {
	return &proxyproto.Listener{
		Listener:          l,
		ReadHeaderTimeout: timeout,
		ConnPolicy: func(o proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) {
			from := addrPort(o.Upstream).Addr()
			if slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(from) }) {
				return proxyproto.REQUIRE, nil
			}
			return proxyproto.REJECT, fmt.Errorf("%w: %s", proxyproto.ErrInvalidUpstream, from)
		},
	}
}

var errNoProxyHeader = errors.New("no PROXY header came")

// proxied looks at the PROXY header, where the connection has to have one. own: the balancer speaks for
// itself (LOCAL) or does not know its client (UNKNOWN), so the address is the balancer's.
func proxied(c net.Conn) (own bool, err error) {
	p, ok := c.(interface{ ProxyHeader() *proxyproto.Header })
	if !ok {
		return false, nil
	}
	h := p.ProxyHeader()
	if h == nil {
		return false, errNoProxyHeader
	}
	_, _, isTCP := h.TCPAddrs()
	return h.Command.IsLocal() || !isTCP, nil
}

// addrPort is the address, a mapped one unmapped, without the name of an interface.
func addrPort(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	p := t.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap().WithZone(""), p.Port())
}

var shared = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598: carrier-grade NAT

// private tells whether an address says nothing about who is in front of us: we stand behind NAT or a
// proxy that does not tell.
func private(a netip.Addr, trusted []netip.Prefix) bool {
	if !a.IsPrivate() && !a.IsLinkLocalUnicast() && !shared.Contains(a) {
		return false
	}
	return !slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(a) })
}
