package dnstest

import (
	"slices"
	"strings"

	mdns "github.com/miekg/dns"
)

// key names one RRset. The name is absolute, lower case and escaped as miekg/dns escapes it.
type key struct {
	name string
	kind uint16
}

// zone is all that one server knows: sets of records, and the names that exist because of them.
type zone struct {
	sets   map[key][]mdns.RR
	exists map[string]bool // names with records and all names above them
}

func newZone() *zone {
	return &zone{sets: map[key][]mdns.RR{}, exists: map[string]bool{".": true}}
}

func (z *zone) add(rr mdns.RR) {
	h := rr.Header()
	k := key{canonical(h.Name), h.Rrtype}
	z.sets[k] = append(z.sets[k], rr)
	for name := range above(k.name) {
		z.exists[name] = true
	}
}

// with gives a copy of the zone in which the named sets are others: those of over, none where empty.
func (z *zone) with(over map[key][]mdns.RR) *zone {
	out := newZone()
	for k, set := range z.sets {
		if _, ok := over[k]; ok {
			continue
		}
		for _, rr := range set {
			out.add(rr)
		}
	}
	for _, set := range over {
		for _, rr := range set {
			out.add(rr)
		}
	}
	return out
}

// above yields the name and every name over it but the root.
func above(name string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, at := range mdns.Split(name) {
			if !yield(name[at:]) {
				return
			}
		}
	}
}

// node gives the name whose records answer for name: itself, or the wildcard that covers it.
func (z *zone) node(name string) (string, bool) {
	if z.exists[name] {
		return name, true
	}
	// RFC 4592, 3.3.1: the closest encloser is the longest name above that exists; only the asterisk
	// right below it may answer. A name that exists without records shadows wildcards further up.
	closest := "."
	for up := range above(name) {
		if z.exists[up] {
			closest = up
			break
		}
	}
	star := "*." + strings.TrimPrefix(closest, ".")
	return star, z.exists[star]
}

// maxFollow ends CNAME chains of the zone that never end; a resolver would give up sooner.
const maxFollow = 32

// fill answers the question of m from the zone, as a resolver does: the CNAME chain in the answer
// section, NXDOMAIN only where nothing exists, and the SOA with negative answers.
func (z *zone) fill(m *mdns.Msg) {
	q := m.Question[0]
	owner := q.Name
	seen := map[string]bool{}
	for range maxFollow {
		node, ok := z.node(canonical(owner))
		if !ok {
			m.Rcode = mdns.RcodeNameError // RFC 6604, 3: of the chain's last name
			m.Ns = z.soa(owner)
			return
		}
		if set := z.sets[key{node, q.Qtype}]; len(set) > 0 {
			m.Answer = append(m.Answer, owned(set, owner)...)
			return
		}
		alias := z.sets[key{node, mdns.TypeCNAME}]
		if len(alias) == 0 {
			m.Ns = z.soa(owner)
			return
		}
		m.Answer = append(m.Answer, owned(alias[:1], owner)...)
		seen[canonical(owner)] = true
		owner = alias[0].(*mdns.CNAME).Target
		if seen[canonical(owner)] {
			return
		}
	}
}

// owned gives copies of the records in the name of owner: as it was asked (RFC 4343, 4.1 keeps its
// case), and in place of a wildcard's.
func owned(set []mdns.RR, owner string) []mdns.RR {
	out := make([]mdns.RR, len(set))
	for i, rr := range set {
		out[i] = mdns.Copy(rr)
		out[i].Header().Name = owner
	}
	return out
}

// soa gives the SOA of the closest zone over name: RFC 2308, 3.
func (z *zone) soa(name string) []mdns.RR {
	for up := range above(canonical(name)) {
		if set := z.sets[key{up, mdns.TypeSOA}]; len(set) > 0 {
			return slices.Clone(set[:1])
		}
	}
	return slices.Clone(z.sets[key{".", mdns.TypeSOA}])
}

// canonical is lower case and has one way to escape an octet, so that names can be compared as text.
func canonical(name string) string {
	name = mdns.Fqdn(name)
	if strings.Contains(name, `\`) {
		var wire [256]byte
		if n, err := mdns.PackDomainName(name, wire[:], 0, nil, false); err == nil {
			if again, _, err := mdns.UnpackDomainName(wire[:n], 0); err == nil {
				name = again
			}
		}
	}
	return mdns.CanonicalName(name)
}
