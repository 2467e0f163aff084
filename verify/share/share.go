// Package share divides what there is a fixed number of (connections, evaluations, reports of an hour) among the
// networks of clients, so that nobody takes it from all others. It is the one place of the rule: no network has more
// than an eighth of what is free, and always one.
package share

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"checkauth/verify/naming"
)

// Rule says how much one network may have.
type Rule struct {
	Part      int            // of what is free one network has a Part-th; below 1 there is no bound
	Unlimited []netip.Prefix // networks of clients without a bound
}

// Most is how many units one network may have while free units are free: a Part-th of them, and at least one.
func (r Rule) Most(free int) int { return max(1, free/max(r.Part, 1)) }

// Lifted tells whether a client has no bound.
func (r Rule) Lifted(client netip.Addr) bool {
	client = naming.Plain(client)
	return r.Part < 1 || slices.ContainsFunc(r.Unlimited, func(p netip.Prefix) bool { return p.Contains(client) })
}

// Error says why a client gets no unit.
type Error struct {
	Network netip.Prefix // that has as many as it may; invalid where nothing is free at all
	Have    int          // units of that network
	Free    int          // units that nobody has
	Size    int          // units in all
}

func (e *Error) Error() string {
	if !e.Network.IsValid() {
		return fmt.Sprintf("all %d are taken", e.Size)
	}
	return fmt.Sprintf("network %s has its share: %d, with %d of %d free", e.Network, e.Have, e.Free, e.Size)
}

// Pot has units that are taken and given back. Its methods may be called from several goroutines.
type Pot struct {
	rule Rule

	mu   sync.Mutex
	size int
	used int
	by   map[netip.Prefix]int // of naming.Networks
}

// NewPot has size units.
func NewPot(size int, rule Rule) *Pot {
	return &Pot{rule: rule, size: size, by: map[netip.Prefix]int{}}
}

// Take gives a client one unit, or an *Error. Each of the client's networks (/24; /64, /56 and /48) has its share of
// what is free at this moment. give returns the unit; it may be called more than once.
func (p *Pot) Take(client netip.Addr) (give func(), err error) {
	h := p.Hold(client)
	if err := h.Take(1); err != nil {
		return nil, err
	}
	var once sync.Once
	return func() { once.Do(h.Give) }, nil
}

// Hold is what a client has of a Pot where that grows. One goroutine at a time may have it.
type Hold struct {
	pot      *Pot
	networks []netip.Prefix
	lifted   bool
	n        int
}

// Hold gives a client nothing as yet.
func (p *Pot) Hold(client netip.Addr) *Hold {
	return &Hold{pot: p, networks: naming.Networks(client), lifted: p.rule.Lifted(client)}
}

// Take takes n more units, all or none; the error is an *Error. Where nothing is free a network that has units hears that
// it has its share, for it would have it too with one unit more.
func (h *Hold) Take(n int) error {
	p := h.pot
	p.mu.Lock()
	defer p.mu.Unlock()
	free := p.size - p.used
	if !h.lifted {
		for _, net := range h.networks {
			if have := p.by[net]; have+n > p.rule.Most(free) && (have > 0 || n <= free) {
				return &Error{Network: net, Have: have, Free: max(0, free), Size: p.size}
			}
		}
	}
	if n > free {
		return &Error{Free: max(0, free), Size: p.size}
	}
	p.count(h, n)
	return nil
}

// Instead takes over all that another Hold of the same Pot has, which is left with nothing. Nobody's share is asked: it is
// for who takes a place within the network, or of the pot, that has none left.
func (h *Hold) Instead(other *Hold) {
	p := h.pot
	p.mu.Lock()
	defer p.mu.Unlock()
	n := other.n
	p.count(other, -n)
	p.count(h, n)
}

// Give returns all of it.
func (h *Hold) Give() { h.Return(h.n) }

// Return returns n units.
func (h *Hold) Return(n int) {
	p := h.pot
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count(h, -n)
}

// count changes what a hold has; mu is held.
func (p *Pot) count(h *Hold, n int) {
	h.n += n
	p.used += n
	for _, net := range h.networks {
		if p.by[net] += n; p.by[net] == 0 {
			delete(p.by, net)
		}
	}
}

// Used is how many units are taken.
func (p *Pot) Used() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used
}
