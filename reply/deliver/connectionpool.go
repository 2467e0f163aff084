package deliver

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"checkauth/verify/panics"
)

// The bounds of a connection that is used again.
const (
	linger    = 2 * time.Second // that it waits for the next entry
	mostMails = 50              // over one connection; some servers want no more
	mostIdle  = 100             // connections that wait, in all
	// mostAge of a connection. For an entry that goes over one that stands nobody asks again what the domain
	// promises: its first TLSA record or MTA-STS policy is obeyed so much later, as behind any cache.
	mostAge = time.Minute
)

// idle are connections that have just delivered something, by the destination: the next entry for it goes over
// the same one.
type connectionPool struct {
	mu      sync.Mutex
	by      map[string][]*pooledConnection
	n       int
	closed  bool
	leaving sync.WaitGroup // those that say goodbye
}

// standing is a connection that waits.
type pooledConnection struct {
	s     *session
	what  outcome // of the entry before
	timer *time.Timer
}

// put keeps a connection for a moment, or says goodbye.
func (i *connectionPool) put(key string, s *session, what outcome) {
	i.mu.Lock()
	defer i.mu.Unlock()
	full := i.closed || i.n >= mostIdle
	// What came in unasked would be taken for the answer to the next command.
	worn := s.mails >= mostMails || time.Since(s.began) >= mostAge || s.in.Buffered() > 0
	if full || worn {
		i.leaving.Go(s.bye)
		return
	}
	if i.by == nil {
		i.by = map[string][]*pooledConnection{}
	}
	w := &pooledConnection{s: s, what: what}
	i.by[key] = append(i.by[key], w)
	i.n++
	w.timer = time.AfterFunc(linger, func() { i.expire(key, w) })
}

// expire ends a connection that nobody has taken.
func (i *connectionPool) expire(key string, w *pooledConnection) {
	defer panics.Recover(func(*panics.Recovered) {})
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.remove(key, w) {
		i.leaving.Go(w.s.bye)
	}
}

// take gives the connection that was used last, nil where there is none.
func (i *connectionPool) take(key string) *pooledConnection {
	i.mu.Lock()
	defer i.mu.Unlock()
	list := i.by[key]
	if len(list) == 0 {
		return nil
	}
	w := list[len(list)-1]
	i.remove(key, w)
	w.timer.Stop()
	return w
}

// remove is false where somebody else has taken it; i.mu is held.
func (i *connectionPool) remove(key string, w *pooledConnection) bool {
	for at, x := range i.by[key] {
		if x == w {
			i.by[key] = append(i.by[key][:at:at], i.by[key][at+1:]...)
			if len(i.by[key]) == 0 {
				delete(i.by, key)
			}
			i.n--
			return true
		}
	}
	return false
}

// close says goodbye to all, and to those that come later. It waits for the goodbyes.
func (i *connectionPool) close() {
	i.mu.Lock()
	i.closed = true
	for _, list := range i.by {
		for _, w := range list {
			w.timer.Stop()
			i.leaving.Go(w.s.bye)
		}
	}
	i.by, i.n = nil, 0
	i.mu.Unlock()
	i.leaving.Wait()
}

// reuse sends an entry over a connection that waits for one. done is false where that is still to be done, over
// a new connection: there is none, it does not suit, or the server did not want this entry over it. One that may
// have the message is not asked a second time.
func (d *Deliverer) reuse(ctx context.Context, key string, a *attempt) (what outcome, done bool, err error) {
	w := d.idle.take(key)
	if w == nil {
		return what, false, nil
	}
	if _, err := w.s.params(a.Entry); err != nil {
		d.idle.put(key, w.s, w.what) // another host of the domain may offer what this one does not
		return what, false, nil
	}
	stop := context.AfterFunc(ctx, func() { _ = w.s.conn.Close() })
	w.s.onData = a.sent
	err = w.s.transact(a.Entry)
	stop()
	what = w.what
	what.said, what.met = w.s.said, []netip.Addr{what.at}
	if err == nil {
		return d.keeping(key, w.s, what), true, nil
	}
	w.s.end()
	// What is said to MAIL may be about the connection, also with a 5xx: too many mails, too long idle.
	r, said := errors.AsType[*refusal](err)
	stale := !isFinal(err) || said && r.command == "MAIL"
	return what, !stale || ctx.Err() != nil, blame(ctx, what.host, err)
}

// keeping is what took an entry over a connection that may take the next one. It is kept when the outcome of
// this one is stored.
func (d *Deliverer) keeping(key string, s *session, what outcome) outcome {
	s.mails++
	what.bye = func() { d.idle.put(key, s, what) }
	return what
}
