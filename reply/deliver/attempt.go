package deliver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"checkauth/reply"
)

// mostConnections are made in one try, however many hosts and addresses a domain names.
const mostConnections = 6

// attempt is one try of an entry, and what it keeps in mind over all hosts. One goroutine has it.
type attempt struct {
	reply.Entry
	connections int
	noTLS       map[string]error // hosts whose TLS failed, and how: the next address of one is spoken to in clear at once
}

func newAttempt(e reply.Entry) *attempt { return &attempt{Entry: e, noTLS: map[string]error{}} }

var errConnections = errors.New("no further address is tried")

// connects counts one connection.
func (a *attempt) connects() error {
	if a.connections >= mostConnections {
		return &failure{err: fmt.Errorf("%w: %d connections were made in this try", errConnections, a.connections), stop: true}
	}
	a.connections++
	return nil
}

// postponed is a try that waits for a full counter.
type postponed struct {
	counter string
	until   time.Time
}

func (p *postponed) Error() string {
	return fmt.Sprintf("the counter %s is full until %s", p.counter, p.until.UTC().Format(time.RFC3339))
}

// postponedUntil is when a try that was postponed may be made; zero where it was not.
func postponedUntil(err error) time.Time {
	if p, ok := errors.AsType[*postponed](err); ok {
		return p.until
	}
	return time.Time{}
}

// counted counts an entry at a mail server's address.
func (d *Deliverer) counted(ctx context.Context, e reply.Entry, s server) error {
	at, err := netip.ParseAddrPort(s.addr)
	if d.cfg.Count == nil || d.cfg.Relay != "" || err != nil {
		return nil
	}
	full, err := d.cfg.Count(ctx, e, s.host, at.Addr())
	switch {
	case err != nil:
		return err
	case full.Key != "":
		return &failure{err: &postponed{full.Key, full.Until}, stop: true}
	}
	return nil
}
