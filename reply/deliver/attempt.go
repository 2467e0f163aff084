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
	place       *slot // nil: of no queue
	line        *queue
	connections int
	ours        int              // of the connections, how many the host that is asked may have made when it is over
	noTLS       map[string]error // hosts and addresses whose TLS failed, and how: they are spoken to in clear at once
}

// attempt begins with the try of an entry; p is its place in the queue, nil where it has none.
func (d *Deliverer) attempt(e reply.Entry, p *slot) *attempt {
	return &attempt{Entry: e, place: p, line: d.queue, ours: mostConnections, noTLS: map[string]error{}}
}

// errConnections: what the others said is not the last word on an entry.
var errConnections = fmt.Errorf("no further address is asked: a try makes %d connections", mostConnections)

// host begins with a host, behind which so many others are left: of the connections each of them may have one, so that a
// host with many addresses does not hide the next one for ever.
func (a *attempt) host(others int) {
	a.ours = max(mostConnections-others, min(a.connections+1, mostConnections))
}

// more tells whether the host may be connected to once more.
func (a *attempt) more() bool { return a.connections < a.ours }

// sent says that the server may have the message.
func (a *attempt) sent() {
	if a.place != nil {
		a.line.sent(a.place)
	}
}

// failedTLS is how TLS failed at a host, or at an address, in this try.
func (a *attempt) failedTLS(s server) error {
	if err := a.noTLS[s.host]; err != nil {
		return err
	}
	return a.noTLS[s.addr]
}

// postponed is a try that waits for something of ours.
type postponed struct {
	why   string
	until time.Time
}

func (p *postponed) Error() string { return p.why }

// postponedUntil is when a try that was postponed may be made; zero where it was not.
func postponedUntil(err error) time.Time {
	if p, ok := errors.AsType[*postponed](err); ok {
		return p.until
	}
	return time.Time{}
}

// untried tells whether a try was postponed before anybody was connected to, so that it counts as none.
func (a *attempt) untried(err error, now time.Time) bool {
	return a.connections == 0 && postponedUntil(err).After(now)
}

// counted counts an entry at a mail server's address that is about to be connected to: among the slots, and as the
// policy wants it. Either may be full, which ends the try: it is made at another time.
func (d *Deliverer) counted(ctx context.Context, a *attempt, s server) error {
	at, err := netip.ParseAddrPort(s.addr)
	if d.cfg.Relay != "" || err != nil {
		return nil
	}
	soon := d.cfg.Now().Add(d.cfg.Retries[0])
	if a.place != nil && !a.line.arrive(a.place, at.Addr().Unmap().String()) {
		return &failure{err: &postponed{fmt.Sprintf("%s: our connections to it are all in use", s), soon}, stop: true}
	}
	if d.cfg.Count == nil {
		return nil
	}
	full, err := d.cfg.Count(ctx, a.Entry, s.host, at.Addr())
	switch {
	case err != nil:
		// Nobody's but ours, as a full disk.
		return &failure{err: &postponed{fmt.Sprintf("%s: not counted: %s", s, err), soon}, stop: true}
	case full.Key != "":
		return &failure{err: &postponed{fmt.Sprintf("the counter %s is full until %s", full.Key, full.Until.UTC().Format(time.RFC3339)), full.Until}, stop: true}
	}
	return nil
}
