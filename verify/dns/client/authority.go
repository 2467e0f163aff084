package client

import (
	"context"
	"net/netip"
	"slices"
	"time"

	mdns "github.com/miekg/dns"

	"checkauth/verify/dns"
)

// Authorities asks name servers themselves, at that port, each try for at most a second.
func Authorities(port uint16, permit func(netip.Addr) bool) dns.Authorities {
	at := func(server netip.Addr, q dns.Question) (*Client, error) {
		c, err := New(Config{Servers: []netip.AddrPort{netip.AddrPortFrom(server, port)}, Tries: 1, Timeout: time.Second, Authoritative: true})
		if err != nil {
			return nil, &dns.Error{Question: q, Kind: dns.Unreachable, Err: err}
		}
		return c, nil
	}
	return dns.Authorities{
		Permit: permit,
		Ask: func(ctx context.Context, server netip.Addr, q dns.Question) (dns.Answer, error) {
			c, err := at(server, q)
			if err != nil {
				return dns.Answer{}, err
			}
			return c.Resolve(ctx, q)
		},
		Refer: func(ctx context.Context, server netip.Addr, name string) (dns.Delegation, error) {
			c, err := at(server, dns.Ask(name, dns.NS))
			if err != nil {
				return dns.Delegation{}, err
			}
			return c.refer(ctx, name)
		},
	}
}

// refer asks for the name servers of a name, and takes a referral for the answer that it is.
func (c *Client) refer(ctx context.Context, name string) (dns.Delegation, error) {
	q, server := dns.Ask(name, dns.NS), c.upstream.Load().servers[0]
	m, err := c.exchangeOnce(ctx, server, q, false)
	if err == nil {
		var d dns.Delegation
		if d, err = delegation(m, q.Name); err == nil {
			return d, nil
		}
		err.Question, err.Server = q, server.String()
	}
	return dns.Delegation{}, err
}

// maxDelegated name servers of a referral are read: a real one has thirteen at most.
const maxDelegated = 32

// delegation reads where a name is served: from a referral (RFC 1034, 4.3.2, step 3 b), or from the
// answer of a server that holds the zone itself.
func delegation(m *mdns.Msg, name string) (dns.Delegation, *dns.Error) {
	d := dns.Delegation{Authoritative: m.Authoritative}
	section := m.Ns
	if m.Authoritative {
		section = m.Answer
	}
	for _, rr := range section {
		ns, ok := rr.(*mdns.NS)
		if !ok || ns.Hdr.Class != mdns.ClassINET || ns.Hdr.Rdlength == 0 {
			continue
		}
		zone, target := fromWire(ns.Hdr.Name), fromWire(ns.Ns)
		// RFC 1034, 4.2.1: one cut is spoken of; what else stands there is not believed.
		if !within(name, zone) || len(d.Servers) > 0 && zone != d.Zone || !dns.Askable(target) || len(d.Servers) == maxDelegated {
			continue
		}
		if d.Zone = zone; !slices.Contains(d.Servers, target) {
			d.Servers = append(d.Servers, target)
		}
	}
	switch {
	case len(d.Servers) > 0:
		d.Glue = glue(m, d)
	case !m.Authoritative:
		return dns.Delegation{}, &dns.Error{Kind: dns.Lame, Detail: "neither authority nor a referral"}
	default:
		// RFC 2308, 2.2: a server that has nothing there names its zone.
		if soa := authority(m, name); soa != nil {
			d.Zone = fromWire(soa.Hdr.Name)
		}
	}
	return d, nil
}

// glue are the addresses that come with a delegation. RFC 5452, 6: those of servers within the zone
// alone; of any other name the server above the cut need not know anything.
func glue(m *mdns.Msg, d dns.Delegation) map[string][]netip.Addr {
	out := map[string][]netip.Addr{}
	for _, rr := range m.Extra {
		h := rr.Header()
		owner := fromWire(h.Name)
		if h.Class != mdns.ClassINET || !within(owner, d.Zone) || !slices.Contains(d.Servers, owner) {
			continue
		}
		r, err := record(rr)
		if err == nil && r.Addr.IsValid() && len(out[owner]) < maxDelegated && !slices.Contains(out[owner], r.Addr) {
			out[owner] = append(out[owner], r.Addr)
		}
	}
	return out
}
