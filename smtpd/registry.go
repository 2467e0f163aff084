package smtpd

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"checkauth/smtpd/front"
	"checkauth/verify/naming"
	"checkauth/verify/share"
)

// Limits for one command when there is little room left.
const (
	halfFull   = 60 * time.Second
	almostFull = 10 * time.Second
)

// tooMany is how far above Connections clients still hear a 421; beyond they are closed unheard.
const tooMany = 100

// registry knows the connections that are open and where they come from.
type registry struct {
	cfg Config

	open     atomic.Int64 // len(conns), for command, which must not wait for mu
	mu       sync.Mutex
	conns    map[*front.Conn]struct{}
	ips      map[netip.Addr]int
	networks map[netip.Prefix]int
	places   *share.Pot
	given    map[*front.Conn]func() // places, by who has one
	begins   map[netip.Prefix]*minute
	leaving  map[*front.Conn]struct{} // told to make room
	swept    time.Time                // begins, last
	stop     time.Time                // not zero: we stop, and transactions have until then
}

// minute counts what began since then.
type minute struct {
	since time.Time
	n     int
}

// over: also one that has not begun yet is, for the clock was set back.
func (m *minute) over(now time.Time) bool {
	return now.Sub(m.since) >= time.Minute || now.Before(m.since)
}

func newRegistry(cfg Config) *registry {
	return &registry{
		cfg: cfg, places: share.NewPot(cfg.Connections, cfg.Share), given: map[*front.Conn]func(){}, conns: map[*front.Conn]struct{}{}, ips: map[netip.Addr]int{},
		networks: map[netip.Prefix]int{}, begins: map[netip.Prefix]*minute{}, leaving: map[*front.Conn]struct{}{},
	}
}

// add takes a connection in; false: it is to be closed at once.
func (r *registry) add(c *front.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.stop.IsZero() || len(r.conns)-r.cfg.Connections >= tooMany {
		return false
	}
	before := r.command()
	if len(r.conns)-len(r.leaving) >= r.cfg.Connections {
		r.makeRoom()
	}
	r.conns[c] = struct{}{}
	r.open.Store(int64(len(r.conns)))
	if r.command() < before {
		for c := range r.conns {
			c.Tighten()
		}
	}
	return true
}

// longIdle is how long a session must have been idle to be ended for another. A mail server is busy; who
// only holds places is not.
const longIdle = 2 * time.Second

// makeRoom ends the session that has been idle longest, if that is long; mu is held.
func (r *registry) makeRoom() {
	var victim *front.Conn
	longest := longIdle
	for c := range r.conns {
		if idle := c.Idle(); idle >= longest {
			victim, longest = c, idle
		}
	}
	if victim != nil {
		r.leaving[victim] = struct{}{}
		victim.MakeRoom()
	}
}

// admit counts a connection's client; an error: it has too many, its network has its share, or there are too many at all.
func (r *registry) admit(c *front.Conn, client netip.Addr) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := naming.Networks(client)[0]
	switch {
	case len(r.conns)-len(r.leaving) > r.cfg.Connections:
		return &share.Error{Size: r.cfg.Connections}
	case r.ips[client] >= r.cfg.PerIP:
		return errPerIP
	case r.networks[n] >= r.cfg.PerNetwork:
		return &share.Error{Network: n, Have: r.networks[n], Size: r.cfg.Connections}
	}
	give, err := r.places.Take(client)
	if err != nil {
		// Who is told to leave has a place until it has gone.
		if e := (*share.Error)(nil); !errors.As(err, &e) || e.Network.IsValid() || len(r.leaving) == 0 {
			return err
		}
		give = func() {}
	}
	r.given[c] = give
	r.ips[client]++
	r.networks[n]++
	return nil
}

var errPerIP = errors.New("smtpd: too many connections of one address")

// remove forgets a connection; admitted tells whether its client was counted.
func (r *registry) remove(c *front.Conn, client netip.Addr, admitted bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c)
	delete(r.leaving, c)
	r.open.Store(int64(len(r.conns)))
	if !admitted {
		return
	}
	if give := r.given[c]; give != nil {
		give()
		delete(r.given, c)
	}
	if r.ips[client]--; r.ips[client] == 0 {
		delete(r.ips, client)
	}
	n := naming.Networks(client)[0]
	if r.networks[n]--; r.networks[n] == 0 {
		delete(r.networks, n)
	}
}

// begin counts a transaction; false: that network has begun too many in this minute.
func (r *registry) begin(client netip.Addr, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := naming.Networks(client)[0]
	m := r.begins[n]
	if m == nil || m.over(now) {
		r.sweep(now)
		m = &minute{since: now}
		r.begins[n] = m
	}
	m.n++
	return m.n <= r.cfg.BeginsNetwork
}

// sweep forgets the minutes that are over once they are many; once a minute, for with many young ones
// each new network would look at all others, and mu is what every connection needs.
func (r *registry) sweep(now time.Time) {
	if swept := (minute{since: r.swept}); len(r.begins) < 1000 || !swept.over(now) {
		return
	}
	r.swept = now
	for n, m := range r.begins {
		if m.over(now) {
			delete(r.begins, n)
		}
	}
}

// command is the limit for one command at the present load.
func (r *registry) command() time.Duration {
	switch n := int(r.open.Load()); {
	case n > r.cfg.Connections-r.cfg.Connections/10:
		return min(r.cfg.Command, almostFull)
	case n > r.cfg.Connections/2:
		return min(r.cfg.Command, halfFull)
	}
	return r.cfg.Command
}

// shut lets no connection in from now on and tells those that are there when they must have ended.
func (r *registry) shut(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stop = at
	for c := range r.conns {
		c.Stop(at)
	}
}
