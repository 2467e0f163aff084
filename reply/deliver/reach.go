package deliver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"checkauth/verify/dns"
)

// stagger is the time from the beginning of one connection to the next address (RFC 8305, 5).
const stagger = 250 * time.Millisecond

// reached is what became of one address.
type reached struct {
	at   int // of the addresses
	conn net.Conn
	err  error
}

// reach connects to the first of several addresses that answers, RFC 8305, 5: one after another, not waiting
// long for each. failed are those that are known to fail, in the order of that.
func (d *Deliverer) reach(ctx context.Context, servers []server) (conn net.Conn, at int, failed []reached) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan reached, len(servers))
	next, running := 0, 0
	begin := func() {
		i := next
		next, running = next+1, running+1
		go func() {
			r := reached{at: i}
			defer func() {
				if p := recover(); p != nil {
					d.cfg.Log.ErrorContext(ctx, "panic in a connection", "host", servers[i].String(), "panic", p, "stack", string(debug.Stack()))
					r.err = fmt.Errorf("panic: %v", p)
				}
				done <- r
			}()
			r.conn, r.err = d.connect(ctx, servers[i])
		}()
	}
	begin()
	timer := time.NewTimer(stagger)
	defer timer.Stop()
	for running > 0 {
		select {
		case r := <-done:
			running--
			if r.err == nil {
				cancel()
				drop(done, running)
				return r.conn, r.at, failed
			}
			failed = append(failed, r)
			if next < len(servers) && ctx.Err() == nil {
				begin()
				timer.Reset(stagger)
			}
		case <-timer.C:
			if next < len(servers) && ctx.Err() == nil {
				begin()
				timer.Reset(stagger)
			}
		}
	}
	return nil, -1, failed
}

// drop closes the connections that come too late. Their attempts are cancelled, so that it does not take long.
func drop(done <-chan reached, running int) {
	for range running {
		if r := <-done; r.conn != nil {
			_ = r.conn.Close()
		}
	}
}

// Families that replies may go by.
const (
	AnyFamily = "auto"
	IPv4      = "ipv4"
	IPv6      = "ipv6"
)

// inOrder puts addresses into the order in which they are tried: alternating (RFC 8305, 4), beginning with the
// family that is preferred; only one family where the operator says so.
func (d *Deliverer) inOrder(ctx context.Context, addrs []netip.Addr) []netip.Addr {
	var four, six []netip.Addr
	for _, a := range addrs {
		if a.Unmap().Is4() {
			four = append(four, a)
		} else {
			six = append(six, a)
		}
	}
	switch d.cfg.Family {
	case IPv4:
		return four
	case IPv6:
		return six
	}
	first, second := four, six
	if len(six) > 0 && len(four) > 0 && d.six.good(ctx, d) {
		first, second = six, four
	}
	var out []netip.Addr
	for i := range max(len(first), len(second)) {
		if i < len(first) {
			out = append(out, first[i])
		}
		if i < len(second) {
			out = append(out, second[i])
		}
	}
	return out
}

// network is what is dialled: a relay's name may have addresses of both families.
func (c Config) network() string {
	switch c.Family {
	case IPv4:
		return "tcp4"
	case IPv6:
		return "tcp6"
	}
	return "tcp"
}

// sixth remembers whether our own IPv6 address has a name: without one many receivers refuse it.
type sixth struct {
	mu    sync.Mutex
	until time.Time
	busy  bool // somebody is asking
	ok    bool
}

// How long that is believed: what was learnt, and what could not be.
const (
	believed = time.Hour
	unlearnt = time.Minute
)

// good waits for nobody else's question: meanwhile what was known before counts.
func (s *sixth) good(ctx context.Context, d *Deliverer) bool {
	s.mu.Lock()
	if left := s.until.Sub(d.cfg.Now()); s.busy || 0 < left && left <= believed { // more is left where the clock was set back
		defer s.mu.Unlock()
		return s.ok
	}
	s.busy = true
	s.mu.Unlock()
	ok, lasts := false, unlearnt
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.busy, s.ok, s.until = false, ok, d.cfg.Now().Add(lasts)
	}()
	var err error
	if ok, err = confirmed(ctx, d.dns, d.cfg.Six); err == nil {
		lasts = believed
	}
	return ok
}

// confirmed tells whether an address has a name that leads back to it (RFC 8601, 3).
func confirmed(ctx context.Context, r dns.Resolver, a netip.Addr) (bool, error) {
	if !a.Is6() {
		return false, nil
	}
	names, err := r.Resolve(ctx, dns.Ask(dns.ReverseName(a), dns.PTR))
	if err != nil {
		return false, err
	}
	for _, n := range names.Records[:min(len(names.Records), 3)] {
		back, failed := r.Resolve(ctx, dns.Ask(n.Target, dns.AAAA))
		if failed == nil && slices.ContainsFunc(back.Records, func(r dns.Record) bool { return r.Addr == a }) {
			return true, nil
		}
		err = errors.Join(err, failed)
	}
	return false, err
}
