package policy

import (
	"net/netip"
	"slices"
	"time"

	"checkauth/reply"
	"checkauth/verify/naming"
)

// What an attacker wants of a mail server that is not his: that domains of his, whose MX leads there, have it mailed
// many reports, each of which it refuses. So an address of a mail server has a counter of the reports for organisations
// of which it has taken none. It is a pot of which no organisation and no client network takes more than its share, so
// that one network cannot keep a hoster's new customers out. Of whom the address has taken a report it is no victim: his
// reports are bounded by his own quotas, and are not counted here.
//
// What is counted when a message is decided is what its first try leads to. A connection to another address, or of
// another try, is counted at the moment of connecting, by the same function.

// known is how long an address that took a report of an organisation is known to take them.
const known = 7 * day

// unknown stands for the address of what nobody could learn.
const unknown = "unknown"

// Destination gives the counters of a report for somebody at an address of a mail server; none where it is not counted:
// the host is one of the mail services that many domains share. The zero address is one that could not be learnt. client
// sent the message that the report answers, or is the zero address where that is not known any more. Whether the address
// is known to take the organisation's reports asks Known.
func (c Config) Destination(host string, at netip.Addr, to string, client netip.Addr, now time.Time) []reply.Bucket {
	if c.Quotas.DestinationHour == Unlimited || c.service(host) || c.Ours != nil && c.Ours(at) {
		return nil
	}
	name := unknown
	if at.IsValid() {
		name = naming.Plain(at).String()
	}
	pot := reply.Bucket{Key: destinationHour + "/" + name, Limit: c.Quotas.DestinationHour, Expires: now.Add(hour)}
	of := append([]string{organisation(to)}, c.networks(client)...)
	return append([]reply.Bucket{pot}, c.shares(pot, destinationShare+"/"+name+" ", of)...)
}

// Known is the counter that has counted one where an address has taken a report of the organisation that to belongs
// to: what Destination gives need not be counted then.
func Known(at netip.Addr, to string, now time.Time) reply.Bucket {
	return reply.Bucket{Key: destinationKnown + "/" + naming.Plain(at).String() + " " + organisation(to), Limit: 1, Expires: now.Add(known)}
}

// service tells whether a mail server is one of those that many domains share.
func (c Config) service(host string) bool {
	host = naming.Key(host)
	return slices.ContainsFunc(c.Servers, func(s string) bool { return naming.Below(host, s) })
}

// destinations are the addresses that the first try of a reply leads to, each with its counters. Where one of them is
// known to take the organisation's reports none is counted now: the try will come to that one, or the others count when
// they are connected to.
func (c Config) destinations(in *input, now time.Time) (out []reply.Counted) {
	route, client := in.facts.Route, address(in.r.Session.ClientIP)
	switch {
	case len(route.Hosts) == 0 && route.Unknown:
		return []reply.Counted{{In: c.Destination("", netip.Addr{}, in.to, client, now)}}
	case len(route.Hosts) == 0 || in.facts.Known:
		return nil
	}
	first := route.Hosts[0]
	for _, a := range first.Addrs {
		if buckets := c.Destination(first.Name, a, in.to, client, now); len(buckets) > 0 {
			out = append(out, reply.Counted{At: naming.Plain(a), In: buckets})
		}
	}
	return out
}

// Asks are the counters that say whether the servers that the first try leads to are known to take reports of the
// recipient's organisation: one of them has counted one then. None: there is nothing to know.
func (c Config) Asks(route Route, to string, now time.Time) (out []reply.Bucket) {
	if len(route.Hosts) == 0 || c.Quotas.DestinationHour == Unlimited || c.service(route.Hosts[0].Name) {
		return nil
	}
	for _, a := range route.Hosts[0].Addrs {
		out = append(out, Known(a, to, now))
	}
	return out
}

// address is a client's; the zero one where it is none.
func address(ip string) netip.Addr {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return netip.Addr{}
	}
	return naming.Plain(a)
}
