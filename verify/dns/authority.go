package dns

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Authorities asks the name servers of a zone themselves: what they say is what resolvers will say once
// their caches have forgotten.
type Authorities struct {
	// Ask puts a question to one server, which answers for its own zones alone.
	Ask func(ctx context.Context, server netip.Addr, q Question) (Answer, error)
	// Permit tells whether a server at that address may be asked at all: strangers name them.
	Permit func(netip.Addr) bool
}

// Statement is what one name server said.
type Statement struct {
	Server string // its name, canonical
	Answer Answer
	Err    error // why there is none
}

// Bounds of one round.
const (
	maxAuthorities = 8
	authorityTime  = 2 * time.Second // for all of them, who are asked at once
)

// Of asks each server of the zone that holds the question's name. The zone and its servers are looked up
// through r. Without a zone, or where none of its servers may be asked, out is empty.
func (a Authorities) Of(ctx context.Context, r Resolver, q Question) (zone string, out []Statement) {
	zone, names := servers(ctx, r, q.Name)
	ctx, cancel := context.WithTimeout(ctx, authorityTime)
	defer cancel()
	out = make([]Statement, 0, maxAuthorities)
	addrs := make([]netip.Addr, 0, maxAuthorities)
	for _, name := range names {
		if len(out) == maxAuthorities {
			break
		}
		if addr, ok := a.address(ctx, r, name); ok {
			out, addrs = append(out, Statement{Server: name}), append(addrs, addr)
		}
	}
	var all sync.WaitGroup
	for i := range out {
		all.Go(func() { out[i].Answer, out[i].Err = a.Ask(ctx, addrs[i], q) })
	}
	all.Wait()
	return zone, out
}

// servers finds the zone cut over a name, and the names of the zone's servers.
func servers(ctx context.Context, r Resolver, name string) (zone string, names []string) {
	for zone = name; strings.Contains(zone, "."); _, zone, _ = strings.Cut(zone, ".") {
		a, err := r.Resolve(ctx, Ask(zone, NS))
		if err != nil {
			return "", nil
		}
		for _, rec := range a.Records {
			names = append(names, rec.Target)
		}
		if len(names) > 0 {
			return zone, names
		}
	}
	return "", nil
}

// address is the first address of a server that may be asked.
func (a Authorities) address(ctx context.Context, r Resolver, server string) (netip.Addr, bool) {
	for _, family := range []Type{A, AAAA} {
		found, err := r.Resolve(ctx, Ask(server, family))
		if err != nil {
			continue
		}
		for _, rec := range found.Records {
			if a.Permit(rec.Addr) {
				return rec.Addr, true
			}
		}
	}
	return netip.Addr{}, false
}
