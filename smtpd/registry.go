package smtpd

import (
	"net/netip"
	"sync"
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
	cfg    Config
	places *share.Pot // of connections that are admitted and not told to leave

	mu       sync.Mutex
	conns    map[*front.Conn]*slot // nil: not admitted, or told to leave
	ips      map[netip.Addr]int
	networks map[netip.Prefix]int
	begins   map[netip.Prefix]*minute
	swept    time.Time // begins, last
	stop     time.Time // not zero: we stop, and transactions have until then
}

// place is what an admitted connection has.
type slot struct {
	client netip.Addr
	hold   *share.Hold
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
		cfg: cfg, places: share.NewPot(cfg.Connections, cfg.Share), conns: map[*front.Conn]*slot{},
		ips: map[netip.Addr]int{}, networks: map[netip.Prefix]int{}, begins: map[netip.Prefix]*minute{},
	}
}

// add takes a connection in; nothing is known of its client yet. An error: it is to be closed at once.
func (r *registry) add(c *front.Conn) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case !r.stop.IsZero():
		return errStopped
	case len(r.conns)-r.cfg.Connections >= tooMany:
		return &overload{key: keyConnections, size: r.cfg.Connections}
	}
	r.conns[c] = nil
	return nil
}

// admit gives a connection's client a place, or an *overload. Whoever has no place left in its network, or there is none
// at all, takes that of a session there that has been idle for long.
func (r *registry) admit(c *front.Conn, client netip.Addr) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	before, _ := r.command()
	p := &slot{client: client, hold: r.places.Hold(client)}
	if over := r.take(p); over != nil {
		idle := r.idlest(over.network)
		if idle == nil {
			return over
		}
		p.hold.Instead(r.conns[idle].hold)
		r.leave(idle)
		idle.MakeRoom()
	}
	r.conns[c] = p
	r.ips[client]++
	r.networks[naming.Networks(client)[0]]++
	if now, _ := r.command(); now < before {
		for c := range r.conns {
			c.Tighten()
		}
	}
	return nil
}

// take takes a unit for a place; mu is held.
func (r *registry) take(p *slot) *overload {
	n := naming.Networks(p.client)[0]
	switch {
	case r.ips[p.client] >= r.cfg.PerIP:
		return &overload{key: keyPerIP, network: netip.PrefixFrom(p.client, p.client.BitLen()), have: r.ips[p.client], size: r.cfg.PerIP}
	case r.networks[n] >= r.cfg.PerNetwork:
		return &overload{key: keyPerNetwork, network: n, have: r.networks[n], size: r.cfg.PerNetwork}
	}
	return shareOf(keyConnections, p.hold.Take(1))
}

// longIdle is how long a session must have been idle to be ended so that another can begin. A mail server that has mail is
// busy; a client that only occupies a connection is idle.
const longIdle = 2 * time.Second

// idlest is the session in a network (the invalid one: anywhere) that has been idle longest, if that is long; mu is held.
func (r *registry) idlest(in netip.Prefix) (idlest *front.Conn) {
	longest := longIdle
	for c, p := range r.conns {
		if p == nil || in.IsValid() && !in.Contains(p.client) {
			continue
		}
		if idle := c.Idle(); idle >= longest {
			idlest, longest = c, idle
		}
	}
	return idlest
}

// leave takes a connection's place away; mu is held.
func (r *registry) leave(c *front.Conn) {
	p := r.conns[c]
	if p == nil {
		return
	}
	r.conns[c] = nil
	p.hold.Give()
	if r.ips[p.client]--; r.ips[p.client] == 0 {
		delete(r.ips, p.client)
	}
	n := naming.Networks(p.client)[0]
	if r.networks[n]--; r.networks[n] == 0 {
		delete(r.networks, n)
	}
}

// remove forgets a connection.
func (r *registry) remove(c *front.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leave(c)
	delete(r.conns, c)
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

// command is the limit for one command at the present load; pressed: also for a session that comes no nearer to a message.
// mu may be held or not.
func (r *registry) command() (limit time.Duration, pressed bool) {
	switch n := r.places.Used(); {
	case n > r.cfg.Connections-r.cfg.Connections/10:
		return min(r.cfg.Command, almostFull), true
	case n > r.cfg.Connections/2:
		return min(r.cfg.Command, halfFull), true
	}
	return r.cfg.Command, false
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
