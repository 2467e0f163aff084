package dns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"checkauth/verify/panics"
)

// Zone is a zone with the names of its servers.
type Zone struct {
	Name    string   // canonical
	Servers []string // canonical, in the order in which they were told
	// Walked: the resolver did not find the zone, the servers above it did.
	Walked bool
	glue   map[string][]netip.Addr
}

// Delegation is what a name server says of where a name is served.
type Delegation struct {
	Zone    string                  // that holds the name; empty where it was not told, or is the root
	Servers []string                // canonical
	Glue    map[string][]netip.Addr // addresses of those servers that are named within Zone
	// Authoritative: the server itself holds the zone of the name; Servers may then be empty.
	Authoritative bool
}

// Bounds of looking for a zone.
const (
	zoneTime     = 10 * time.Second // a resolver may try a lame zone's servers for long before it gives up
	maxDescents  = 8                // delegations that are followed
	maxReferrers = 3                // servers of one zone that are asked for one
)

// Zone finds the zone cut over a name and the names of the zone's servers. Where the resolver cannot
// tell, because the zone's servers do not answer or its DNSSEC is broken, the servers of the nearest zone
// above that it knows are asked. The error wraps ErrNoZone.
func (a Authorities) Zone(ctx context.Context, r Resolver, name string) (Zone, error) {
	ctx, cancel := context.WithTimeout(ctx, zoneTime)
	defer cancel()
	name = Canonical(name)
	if z, ok := a.unseen(ctx, r, name); ok {
		return z, nil
	}
	z, broken, err := nearest(ctx, r, name)
	switch {
	case err == nil && broken != nil && a.Refer != nil:
		z, err = a.descend(ctx, r, z, name)
	case err == nil && broken != nil:
		err = broken
	}
	if err == nil && !a.Top && !strings.Contains(z.Name, ".") {
		err = fmt.Errorf("%q is a top level domain", z.Name)
	}
	if err != nil {
		return Zone{}, fmt.Errorf("%w: %q: %w", ErrNoZone, name, err)
	}
	return z, nil
}

// unseen finds the zone from the name above on, through the servers alone.
func (a Authorities) unseen(ctx context.Context, r Resolver, name string) (Zone, bool) {
	_, above, _ := strings.Cut(name, ".")
	if !a.Unseen || a.Refer == nil || above == "" {
		return Zone{}, false
	}
	z, _, err := nearest(ctx, r, above)
	if err == nil {
		z, err = a.descend(ctx, r, z, name)
	}
	return z, err == nil && (a.Top || strings.Contains(z.Name, "."))
}

// nearest is the lowest zone over a name that the resolver knows. broken is set where it could not tell
// of a name below, so that the zone may end there.
func nearest(ctx context.Context, r Resolver, name string) (z Zone, broken, err error) {
	for at := name; at != ""; _, at, _ = strings.Cut(at, ".") {
		answer, failed := r.Resolve(ctx, Ask(at, NS))
		if failed != nil {
			if kind := AsError(Ask(at, NS), failed).Kind; kind.NotAsked() || kind == Canceled {
				return Zone{}, nil, failed
			}
			broken = failed
			continue
		}
		// RFC 1034, 3.6.2: a name with a CNAME has nothing else, so that these would be another zone's
		// servers.
		if len(answer.Chain) > 0 || len(answer.Records) == 0 {
			continue
		}
		return Zone{Name: at, Servers: targets(answer.Records)}, broken, nil
	}
	if broken == nil {
		broken = errors.New("no name above it has name servers")
	}
	return Zone{}, nil, broken
}

func targets(records []Record) (out []string) {
	for _, rec := range records {
		if Askable(rec.Target) {
			out = append(out, rec.Target)
		}
	}
	return out
}

// descend follows the delegations from a zone down to the one that holds the name: RFC 1034, 5.3.3.
func (a Authorities) descend(ctx context.Context, r Resolver, from Zone, name string) (Zone, error) {
	for range maxDescents {
		d, ok := a.refer(ctx, r, from, name)
		switch {
		case !ok && !from.Walked:
			return Zone{}, fmt.Errorf("%w: %s", errDelegation, from.Name)
		case !ok || !below(d.Zone, from.Name):
			return from, nil // its servers do not answer; or they do, for this very zone
		case len(d.Servers) == 0:
			// The zone of the name lies at the same server: the next question is for its own servers.
			if d.Zone == name {
				return Zone{Name: name, Servers: from.Servers, Walked: true, glue: from.glue}, nil
			}
			name = d.Zone
			continue
		}
		from = Zone{Name: d.Zone, Servers: d.Servers, Walked: true, glue: d.Glue}
		if d.Authoritative {
			break
		}
	}
	return from, nil
}

// refer asks some servers of a zone, side by side, where a name of theirs is served. The first in order
// that tells is believed; one that points up or aside tells nothing (RFC 1034, 4.2.1: referrals go down).
func (a Authorities) refer(ctx context.Context, r Resolver, from Zone, name string) (Delegation, bool) {
	servers := a.find(ctx, r, from, maxReferrers)
	said := make([]Delegation, len(servers))
	told := make([]bool, len(servers))
	ctx, cancel := context.WithTimeout(ctx, authorityTime)
	defer cancel()
	var all panics.Group
	for i, s := range servers {
		if s.Err != nil {
			continue
		}
		all.Start(func() {
			var d Delegation
			err := a.tries(s.Addr, Ask(name, NS), func() (err error) {
				d, err = a.Refer(ctx, s.Addr, name)
				return err
			})
			down := below(d.Zone, from.Name) && (d.Zone == name || below(name, d.Zone))
			said[i], told[i] = d, err == nil && (down || d.Authoritative)
		})
	}
	all.Wait()
	for i, ok := range told {
		if ok {
			return said[i], true
		}
	}
	return Delegation{}, false
}

// below: by label, and the name itself is not below it.
func below(name, zone string) bool {
	return name != zone && (zone == "" || strings.HasSuffix(name, "."+zone))
}

// find looks up the addresses of a zone's servers, at most so many: one for each server, or why it
// cannot be asked. One after the other: r may be a View.
func (a Authorities) find(ctx context.Context, r Resolver, z Zone, most int) []Statement {
	ctx, cancel := context.WithTimeout(ctx, zoneTime)
	defer cancel()
	out := make([]Statement, 0, min(len(z.Servers), most))
	for _, name := range z.Servers[:min(len(z.Servers), most)] {
		s := Statement{Server: name}
		s.Addr, s.Err = a.address(ctx, r, name, z.glue[name])
		out = append(out, s)
	}
	return out
}

// address is the first address of a server that may be asked: of its glue where there is any, else of
// its A records, else of its AAAA records. With an error it is one that must not be, or none.
func (a Authorities) address(ctx context.Context, r Resolver, server string, glue []netip.Addr) (netip.Addr, error) {
	found := glue
	var failed error
	for _, family := range []Type{A, AAAA} {
		if len(glue) == 0 {
			answer, err := r.Resolve(ctx, Ask(server, family))
			if err != nil {
				failed = err
			}
			for _, rec := range answer.Records {
				found = append(found, rec.Addr)
			}
		}
		for _, addr := range found {
			if addr.Is4() == (family == A) && a.Permit(addr) {
				return addr, nil
			}
		}
	}
	switch {
	case len(found) > 0:
		return found[0], ErrNotToAsk
	case failed != nil:
		return netip.Addr{}, fmt.Errorf("%w: %w", ErrNoAddress, failed)
	}
	return netip.Addr{}, ErrNoAddress
}
