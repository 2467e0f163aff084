package dns

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/netip"
	"slices"
	"sync"
	"time"

	"checkauth/verify/naming"
	"checkauth/verify/share"
)

// Quotas bounds how many questions strangers can make us ask in one minute, over all messages. What is asked is charged
// to the networks of the client that makes us ask (naming.Networks: /24; /64, /56 and /48), never to a name: anybody can
// write somebody else's.
//
// A name is made where only a macro or a wildcard can have made it: an SPF macro was expanded to it, nothing is there, or
// what is there is there at many other names of its organisation too. Such names can be made up without end, and each of
// them is a question to the organisation's servers, for no cache has it. What every mail asks of a domain is none
// (everyMail).
type Quotas struct {
	PerNetwork int // questions on behalf of one client network
	PerTarget  int // made names of one organisation on behalf of one client network
	Made       int // made names of one organisation that is not the sender's, on behalf of everybody
	PerServer  int // tries of asking one server itself (Account.Direct), on behalf of everybody
	// Share is how much of Made and of PerServer one client network may have.
	Share share.Rule
	// Free are zones whose names are counted for the network alone: the operator's block lists, which have nothing of
	// nearly every name.
	Free []string
	// Selectors are those of DKIM that a test tries of itself where a key is not there.
	Selectors []string
	Now       func() time.Time

	mu     sync.Mutex
	minute *minute
	before map[uint64]pledge // of the minute before this one
}

// QuotaError says which quota of the running minute is spent, and whose question was refused.
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
	PerTarget  Bound = "target"
	Made       Bound = "made"
	PerServer  Bound = "server"
)

// bounds are the quotas' words, and their rows in docs/abuse.md.
var bounds = []struct {
	bound          Bound
	key, what, why string
	test           string
	limit          func(*Quotas) int
}{
	{PerNetwork, "per-network", "questions for one client network",
		"all that its mail makes us ask, whomever", "TestQuotaOfANetwork", func(q *Quotas) int { return q.PerNetwork }},
	{PerTarget, "per-target", "made names of one domain for one client network",
		"the sender's own domain too, whose name anybody may have written", "TestQuotaOfATarget", func(q *Quotas) int { return q.PerTarget }},
	{Made, "made-names", "made names of one domain",
		"in mail of other senders, of all networks; of that one network has its share (policy.share)", "TestHostile_65", func(q *Quotas) int { return q.Made }},
	{PerServer, "per-server", "questions to one name server",
		"one that is asked itself, at most four of a zone; four times as many to its network (/24, or /56 of IPv6). Of that one network has its share. It bounds advice alone", "TestServersOfAZoneAreAskedSoOften", func(q *Quotas) int { return q.PerServer }},
}

// DefaultQuotas are those of the abuse model (docs/abuse.md), for a service whose clock is time.Now.
func DefaultQuotas() *Quotas {
	return &Quotas{PerNetwork: 1500, PerTarget: 100, Made: 100, PerServer: 60, Share: share.Rule{Part: 8}, Now: time.Now}
}

func (e *QuotaError) Error() string {
	for _, b := range bounds {
		if b.bound == e.Bound {
			return fmt.Sprintf("%d %s in one minute", e.Limit, b.what)
		}
	}
	return string(e.Bound)
}

// Key is the quota's key in the configuration.
func (b Bound) Key() string {
	for _, k := range bounds {
		if k.bound == b {
			return "resolver." + k.key
		}
	}
	return ""
}

// Account is what one message asks for. Its methods may be called from any goroutine.
type Account struct {
	quota    *Quotas
	networks []client
	lifted   bool
	own      string // organisation of the sender

	// Of these quota.mu is held.
	made map[string]bool
	mine int // of ownNames, how many are used
}

// For opens the account of one message. domain is that of MAIL FROM, or HELO's name where the reverse-path is null.
func (q *Quotas) For(addr netip.Addr, domain string) *Account {
	a := &Account{quota: q, lifted: q.Share.Lifted(addr), own: naming.Organisation(domain), made: map[string]bool{}}
	for _, n := range naming.Networks(addr) {
		a.networks = append(a.networks, client{n, n.String()})
	}
	return a
}

// client is a network that is charged, with its name in keys.
type client struct {
	net  netip.Prefix
	name string
}

const (
	// ownNames is how many made names of the sender's own organisation one message may ask for before they count for
	// Made: a domain's honest users and its forgers name the same one. Honest mail asks for two or three that nobody else asks for.
	ownNames = 4
	maxMade  = 256 // names that one message's macros were expanded to; an evaluation comes to fewer
)

// Expanded tells that an SPF macro was expanded to a name, before that is asked for.
func (a *Account) Expanded(name string) {
	a.quota.mu.Lock()
	defer a.quota.mu.Unlock()
	if len(a.made) < maxMade {
		a.made[Canonical(name)] = true
	}
}

// Over puts what is asked of a resolver on the account. Over a quota nothing is asked, the error's Kind is Quota and it
// wraps a *QuotaError.
func (a *Account) Over(up Resolver) Resolver {
	return ResolverFunc(func(ctx context.Context, q Question) (Answer, error) {
		e, err := a.enter(ctx, q)
		if err != nil {
			return Answer{}, &Error{Question: q, Kind: kindOf(err), Err: err}
		}
		answer, err := up.Resolve(ctx, q)
		a.leave(e, answer, err)
		return answer, err
	})
}

func kindOf(err error) Kind {
	if _, ok := errors.AsType[*QuotaError](err); ok {
		return Quota
	}
	return Canceled
}

// serverNetwork: so many times PerServer for all servers of one network (naming.Network).
const serverNetwork = 4

// Direct counts one try of asking a server itself. Over a quota the error's Kind is Quota, and nothing is to be asked.
func (a *Account) Direct(server netip.Addr, q Question) error {
	quota := a.quota
	quota.mu.Lock()
	defer quota.mu.Unlock()
	m := quota.window()
	if err := a.spent(m); err != nil {
		return &Error{Question: q, Kind: Quota, Err: err}
	}
	server = naming.Plain(server)
	at := m.key("server", server.String())
	around := m.key("servers", naming.Network(server).String())
	free := quota.PerServer - m.counts[at]
	over := free <= 0 || m.counts[around] >= serverNetwork*quota.PerServer
	for _, n := range a.networks {
		over = over || !a.lifted && m.counts[m.key("asks", server.String(), n.name)] >= quota.Share.Most(free)
	}
	if over {
		return &Error{Question: q, Kind: Quota, Err: a.full(m, PerServer, quota.PerServer, a.networks[0])}
	}
	a.count(m)
	m.add(at, 1)
	m.add(around, 1)
	for _, n := range a.networks {
		m.add(m.key("asks", server.String(), n.name), 1)
	}
	return nil
}

// spent tells whether one of the client's networks has asked enough.
func (a *Account) spent(m *minute) error {
	for _, n := range a.networks {
		if m.counts[m.key("network", n.name)] >= a.quota.PerNetwork {
			return a.full(m, PerNetwork, a.quota.PerNetwork, n)
		}
	}
	return nil
}

func (a *Account) count(m *minute) {
	for _, n := range a.networks {
		m.add(m.key("network", n.name), 1)
	}
}

func (a *Account) full(m *minute, b Bound, limit int, n client) error {
	return &QuotaError{Network: n.net, Bound: b, Limit: limit, Until: m.began.Add(time.Minute)}
}

// turn gives the running minute. It forgets one that is over, and one that has not come yet: the clock was set back.
func (q *Quotas) window() *minute {
	now := q.Now()
	old := q.minute
	if old != nil && now.Sub(old.began) < time.Minute && !now.Before(old.began) {
		return old
	}
	q.minute, q.before = newMinute(now), nil
	if old != nil {
		q.minute.seed = old.seed // what is known of names is known by it
		if since := now.Sub(old.began); since >= 0 && since < 2*time.Minute {
			q.before = old.names
		}
	}
	return q.minute
}

// minute has all counts. Each map has a most, at some ten times what a server evaluates in a minute; see their uses for
// what happens beyond it. Together they stay below 30 MB.
type minute struct {
	began  time.Time
	seed   maphash.Seed
	counts map[uint64]int
	names  map[uint64]pledge
	same   map[uint64]int // names of one organisation with the same records
	pots   map[uint64]*pot
	barred map[uint64]bool // organisations
}

const (
	maxCounts = 1 << 18
	maxNames  = 1 << 18
	maxSame   = 1 << 17
	maxPots   = 1 << 16
	maxBarred = 1 << 14
)

func newMinute(began time.Time) *minute {
	return &minute{
		began: began, seed: maphash.MakeSeed(), counts: map[uint64]int{}, names: map[uint64]pledge{}, same: map[uint64]int{},
		pots: map[uint64]*pot{}, barred: map[uint64]bool{},
	}
}

// key stands for what it is made of. The seed is nobody else's, so that nobody can choose names that share one.
func (m *minute) key(parts ...string) uint64 {
	var h maphash.Hash
	h.SetSeed(m.seed)
	for _, p := range parts {
		_, _ = h.WriteString(p) // never fails
		_ = h.WriteByte(0)
	}
	return h.Sum64()
}

// add counts. What would be one counter too many is not counted.
func (m *minute) add(key uint64, n int) {
	if had, ok := m.counts[key]; ok || len(m.counts) < maxCounts {
		m.counts[key] = max(0, had+n)
	}
}

// set keeps the standing of a name; it is false where there is no room.
func (m *minute) set(name uint64, s pledge) bool {
	if _, ok := m.names[name]; !ok && len(m.names) >= maxNames {
		return false
	}
	m.names[name] = s
	return true
}

// free tells whether a name is of a zone that is not spared.
func (q *Quotas) free(name string) bool {
	return slices.ContainsFunc(q.Free, func(z string) bool { return naming.Below(name, z) })
}
