package dns

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"checkauth/verify/naming"
)

// Quotas bounds how many questions strangers can make us ask, over all messages: of one client network,
// for one sender's domain, and about names of one domain that turn out not to exist (somebody else's name
// servers must not be flooded through us). Counts are of the running minute.
type Quotas struct {
	PerNetwork int // questions of a client network, /24 or /64
	PerDomain  int // questions for a domain of MAIL FROM
	PerTarget  int // answers without records, from an organisational domain; reverse names are not counted
	// Free are zones whose answers without records are not counted: the operator's block lists, which answer
	// nearly every question so.
	Free []string
	Now  func() time.Time

	mu     sync.Mutex
	began  time.Time
	counts map[string]int
}

// QuotaError says which quota of the running minute is spent, and whom the question was charged to.
type QuotaError struct {
	Network netip.Prefix // of the client
	Bound   Bound
	Limit   int
	Until   time.Time // the minute's end, from which on there is room again
}

// Bound names one of the quotas.
type Bound string

// The quotas.
const (
	PerNetwork Bound = "network"
	PerDomain  Bound = "domain"
	PerTarget  Bound = "target"
)

var bounds = map[Bound]string{
	PerNetwork: "questions for one client network", PerDomain: "questions for one sender's domain",
	PerTarget: "names of one domain that do not exist",
}

func (e *QuotaError) Error() string {
	return fmt.Sprintf("%d %s in one minute", e.Limit, bounds[e.Bound])
}

// For is a resolver for one message.
func (q *Quotas) For(up Resolver, client netip.Addr, domain string) Resolver {
	return &charged{quota: q, up: up, network: naming.Networks(client)[0], domain: Canonical(domain)}
}

type charged struct {
	quota   *Quotas
	up      Resolver
	network netip.Prefix
	domain  string
}

// Resolve implements Resolver. Over a bound nothing is asked, the error's Kind is Quota and it wraps a
// *QuotaError.
func (c *charged) Resolve(ctx context.Context, q Question) (Answer, error) {
	target := c.quota.target(q)
	if spent := c.quota.charge(c, target); spent != nil {
		return Answer{}, &Error{Question: q, Kind: Quota, Err: spent}
	}
	a, err := c.up.Resolve(ctx, q)
	if err == nil && len(a.Records) == 0 && target != "" {
		c.quota.count(key(PerTarget, target))
	}
	return a, err
}

// target is the domain whose name servers a question goes to in the end; "" where nobody is spared.
func (q *Quotas) target(of Question) string {
	if of.Type == PTR || everyMail(of) || slices.ContainsFunc(q.Free, func(z string) bool { return of.Name == z || below(of.Name, z) }) {
		return ""
	}
	return naming.Organisation(of.Name)
}

// everyMail tells what a test asks once for every mail, whatever stands in it: one such name is no flood, and all users of
// a large provider ask for the same.
func everyMail(q Question) bool {
	if q.Type == TLSA {
		return true
	}
	for _, label := range []string{"_dmarc.", "_mta-sts.", "_smtp._tls.", "default._bimi."} {
		if strings.HasPrefix(q.Name, label) {
			return true
		}
	}
	return false
}

func key(b Bound, of string) string { return string(b) + " " + of }

// charge counts a question; the error says which bound was reached.
func (q *Quotas) charge(c *charged, target string) *QuotaError {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.turn()
	network, domain := key(PerNetwork, c.network.String()), key(PerDomain, c.domain)
	for _, b := range []struct {
		bound Bound
		key   string
		limit int
	}{{PerNetwork, network, q.PerNetwork}, {PerDomain, domain, q.PerDomain}, {PerTarget, key(PerTarget, target), q.PerTarget}} {
		if (b.bound != PerTarget || target != "") && q.counts[b.key] >= b.limit {
			return &QuotaError{Network: c.network, Bound: b.bound, Limit: b.limit, Until: q.began.Add(time.Minute)}
		}
	}
	q.counts[network]++
	q.counts[domain]++
	return nil
}

func (q *Quotas) count(key string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.turn()
	q.counts[key]++
}

// turn forgets the counts of the minute before, and of one that has not come yet: the clock was set back.
func (q *Quotas) turn() {
	if now := q.Now(); q.counts == nil || now.Sub(q.began) >= time.Minute || now.Before(q.began) {
		q.began, q.counts = now, map[string]int{}
	}
}
