package deliver

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"checkauth/verify/dns"
)

// Families that replies may go by.
const (
	AnyFamily = "auto"
	IPv4      = "ipv4"
	IPv6      = "ipv6"
)

// families are the networks that are dialled, in the order in which they are tried.
//
// They do not race (RFC 8305): for a mail server it does not count which family answers first, but for which of them our
// address has a PTR record. Many receivers refuse an IPv6 address without a PTR record for good, so that a lost
// packet of the IPv4 connection would lose the mail.
func (d *Deliverer) families(ctx context.Context) []string {
	switch {
	case d.cfg.Family == IPv4:
		return []string{"tcp4"}
	case d.cfg.Family == IPv6:
		return []string{"tcp6"}
	case d.six.good(ctx, d):
		return []string{"tcp6", "tcp4"}
	}
	return []string{"tcp4", "tcp6"}
}

// family is the network of an address.
func family(a netip.Addr) string {
	if a.Unmap().Is4() {
		return "tcp4"
	}
	return "tcp6"
}

// inOrder puts addresses into the order in which they are tried: family by family, only one of them where the
// operator says so.
func (d *Deliverer) inOrder(ctx context.Context, addrs []netip.Addr) (out []netip.Addr) {
	mixed := slices.ContainsFunc(addrs, func(a netip.Addr) bool { return family(a) != family(addrs[0]) })
	if d.cfg.Family == AnyFamily && !mixed {
		return addrs // nothing to choose, so nothing to ask
	}
	for _, f := range d.families(ctx) {
		for _, a := range addrs {
			if family(a) == f {
				out = append(out, a)
			}
		}
	}
	return out
}

// servers tries one address after another until one takes the entry. The last error is the one that ended it.
// Where a host refuses our address of one family for its missing name, only the other family is left to try.
func (d *Deliverer) servers(ctx context.Context, key string, all []server, a *attempt) (last outcome, failed []error) {
	refused := map[string]bool{} // families
	for i, s := range all {
		if refused[s.network] {
			continue
		}
		if !a.more() {
			failed = append(failed, errConnections)
			break
		}
		what, err := d.server(ctx, key, s, len(all)-i, a)
		if err == nil {
			what.met = slices.Concat(last.met, what.met)
			return what, nil
		}
		last = last.or(what)
		failed = append(failed, err)
		if f, ok := errors.AsType[*failure](err); ok && f.ourAddress {
			refused[s.network] = true
		}
		if isFinal(err) || ctx.Err() != nil {
			break
		}
	}
	return last, failed
}

// connect tells apart what can never be reached from what cannot be reached now. left is how many addresses of the
// host there are still to be tried, this one included: each gets its part of the time.
func (d *Deliverer) connect(ctx context.Context, at server, left int, a *attempt) (net.Conn, error) {
	a.connections++
	within, cancel := context.WithTimeout(ctx, d.share(ctx, left))
	defer cancel()
	conn, err := d.cfg.Dial(within, at.network, at.addr)
	if err == nil {
		return conn, nil
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && errors.Is(err, errUnroutable) {
		a.connections-- // nothing was sent
		err = &failure{err: op.Err, permanent: true}
	}
	return nil, blame(ctx, at.String(), err)
}

// share is how long one connection may take, so that the others, and the dialogue, find some time left.
func (d *Deliverer) share(ctx context.Context, left int) time.Duration {
	end, ok := ctx.Deadline()
	if !ok {
		return d.cfg.Connect
	}
	return min(d.cfg.Connect, time.Until(end)/time.Duration(left+1))
}

// sixth remembers whether our own IPv6 address has a name: without one many receivers refuse it.
type addressOf struct {
	mu    sync.Mutex
	until time.Time
	busy  bool // somebody is asking
	ok    bool
}

// For how long an answer, and the lack of one, is remembered.
const (
	believed = time.Hour
	unlearnt = time.Minute
)

// good does not wait while another delivery asks: until then the former answer counts.
func (s *addressOf) good(ctx context.Context, d *Deliverer) bool {
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
