// Package share divides what there is a fixed number of (connections, evaluations, reports of an hour) among the
// networks of clients, so that nobody takes it from all others. It is the one place of the rule: no network has more
// than an eighth of what is free, and always one.
package share

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

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
	p.mu.Lock()
	defer p.mu.Unlock()
	free := p.size - p.used
	if free <= 0 {
		return nil, &Error{Free: 0, Size: p.size}
	}
	networks := naming.Networks(client)
	if !p.rule.Lifted(client) {
		for _, n := range networks {
			if p.by[n] >= p.rule.Most(free) {
				return nil, &Error{Network: n, Have: p.by[n], Free: free, Size: p.size}
			}
		}
	}
	p.used++
	for _, n := range networks {
		p.by[n]++
	}
	var once sync.Once
	return func() { once.Do(func() { p.give(networks) }) }, nil
}

func (p *Pot) give(networks []netip.Prefix) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used--
	for _, n := range networks {
		if p.by[n]--; p.by[n] == 0 {
			delete(p.by, n)
		}
	}
}

// Used is how many units are taken.
func (p *Pot) Used() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used
}

// Notices lets each network be told of once a minute, so that a log says who has his share and is not filled by him. The
// zero value is ready.
type Notices struct {
	mu    sync.Mutex
	began time.Time
	said  map[string]bool
}

// mostNotices bounds what is told in a minute; strangers choose the networks.
const mostNotices = 20

// Due tells whether an error of this package for this pot is to be told now: once a minute a network.
func (n *Notices) Due(pot string, err error, now time.Time) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if age := now.Sub(n.began); age < 0 || age >= time.Minute {
		n.began, n.said = now, map[string]bool{}
	}
	key := pot + " " + e.Network.String()
	if n.said[key] || len(n.said) >= mostNotices {
		return false
	}
	n.said[key] = true
	return true
}
