package client

import (
	"context"
	"net/netip"
	"time"

	"checkauth/verify/dns"
)

// Authorities asks name servers themselves, at that port, each for at most two seconds.
func Authorities(port uint16, permit func(netip.Addr) bool) dns.Authorities {
	return dns.Authorities{Permit: permit, Ask: func(ctx context.Context, server netip.Addr, q dns.Question) (dns.Answer, error) {
		c, err := New(Config{Servers: []netip.AddrPort{netip.AddrPortFrom(server, port)}, Tries: 2, Timeout: time.Second, Authoritative: true})
		if err != nil {
			return dns.Answer{}, &dns.Error{Question: q, Kind: dns.Unreachable, Err: err}
		}
		return c.Resolve(ctx, q)
	}}
}
