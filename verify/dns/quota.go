package dns

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/publicsuffix"
)

// Quota bounds how many questions strangers can make us ask, over all messages: of one client network,
// for one sender's domain, and about names of one domain that turn out not to exist (somebody else's name
// servers must not be flooded through us). Counts are of the running minute.
type Quota struct {
	PerNetwork int // questions of a client network, /24 or /64
	PerDomain  int // questions for a domain of MAIL FROM
	PerTarget  int // answers without records, from an organisational domain; reverse names are not counted
	Now        func() time.Time

	mu     sync.Mutex
	began  time.Time
	counts map[string]int
}

// For is a resolver for one message.
func (q *Quota) For(up Resolver, client netip.Addr, domain string) Resolver {
	return &charged{quota: q, up: up, network: "network " + network(client).String(), domain: "domain " + Canonical(domain)}
}

// network is what stands for one client where addresses are cheap.
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 64
	if a.Is4() {
		bits = 24
	}
	p, _ := a.Prefix(bits) // an invalid address has the invalid network
	return p
}

type charged struct {
	quota           *Quota
	up              Resolver
	network, domain string
}

// Resolve implements Resolver. Over a bound nothing is asked and the error's Kind is Budget.
func (c *charged) Resolve(ctx context.Context, q Question) (Answer, error) {
	target := target(q)
	if full := c.quota.charge(c.network, c.domain, target); full != "" {
		return Answer{}, &Error{Question: q, Kind: Budget, Detail: full}
	}
	a, err := c.up.Resolve(ctx, q)
	if err == nil && len(a.Records) == 0 && target != "" {
		c.quota.count(target)
	}
	return a, err
}

// target is the domain whose name servers a question goes to in the end.
func target(q Question) string {
	if q.Type == PTR {
		return ""
	}
	org, err := publicsuffix.EffectiveTLDPlusOne(q.Name)
	if err != nil {
		return ""
	}
	return "target " + org
}

// charge counts a question; full says which bound was reached.
func (q *Quota) charge(network, domain, target string) (full string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.turn()
	for _, b := range []struct {
		key   string
		limit int
		what  string
	}{{network, q.PerNetwork, "questions for this network"}, {domain, q.PerDomain, "questions for this sender's domain"},
		{target, q.PerTarget, "names of this domain that do not exist"}} {
		if b.key != "" && q.counts[b.key] >= b.limit {
			return fmt.Sprintf("%d %s in one minute", b.limit, b.what)
		}
	}
	q.counts[network]++
	q.counts[domain]++
	return ""
}

func (q *Quota) count(key string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.turn()
	q.counts[key]++
}

// turn forgets the counts of the minute before.
func (q *Quota) turn() {
	if now := q.Now(); q.counts == nil || now.Sub(q.began) >= time.Minute {
		q.began, q.counts = now, map[string]int{}
	}
}
