package deliver

import (
	"context"
	"sync"
	"time"

	"checkauth/reply"
)

// The bounds of a connection that is used again.
const (
	linger    = 2 * time.Second // that it waits for the next entry
	mostMails = 50              // over one connection; some servers want no more
	mostIdle  = 100             // connections that wait, in all
)

// idle are connections that have just delivered something, by the destination: the next entry for it goes over
// the same one.
type idle struct {
	mu     sync.Mutex
	by     map[string][]*standing
	n      int
	closed bool
}

type standing struct {
	s     *session
	what  taken
	mails int
	timer *time.Timer
}

// put keeps a connection for a moment, or says goodbye.
func (i *idle) put(key string, w *standing) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed || i.n >= mostIdle || w.mails >= mostMails {
		go w.s.bye()
		return
	}
	if i.by == nil {
		i.by = map[string][]*standing{}
	}
	i.by[key] = append(i.by[key], w)
	i.n++
	w.timer = time.AfterFunc(linger, func() {
		if i.remove(key, w) {
			w.s.bye()
		}
	})
}

// take gives the connection that was used last, nil where there is none.
func (i *idle) take(key string) *standing {
	i.mu.Lock()
	list := i.by[key]
	if len(list) == 0 {
		i.mu.Unlock()
		return nil
	}
	w := list[len(list)-1]
	i.mu.Unlock()
	if !i.remove(key, w) {
		return nil
	}
	w.timer.Stop()
	return w
}

func (i *idle) remove(key string, w *standing) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
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

// close says goodbye to all, and to those that come later.
func (i *idle) close() {
	i.mu.Lock()
	i.closed = true
	var all []*standing
	for _, list := range i.by {
		all = append(all, list...)
	}
	i.by, i.n = nil, 0
	i.mu.Unlock()
	var done sync.WaitGroup
	for _, w := range all {
		w.timer.Stop()
		done.Go(w.s.bye)
	}
	done.Wait()
}

// over sends an entry over a connection that waits. again is true where it is to be sent over a new one: the
// server was not asked to take the message yet.
func (d *Deliverer) over(ctx context.Context, key string, w *standing, e reply.Entry) (what taken, err error, again bool) {
	stop := context.AfterFunc(ctx, func() { _ = w.s.conn.Close() })
	err = w.s.transact(e)
	stop()
	if err == nil {
		return d.keeping(key, w.s, w.what, w.mails+1), nil, false
	}
	w.s.end(err)
	return w.what, blame(ctx, server{host: w.what.host}, err), !isFinal(err) && ctx.Err() == nil
}

// keeping is what took an entry over a connection that may take the next one. It is kept when the outcome of
// this one is stored.
func (d *Deliverer) keeping(key string, s *session, what taken, mails int) taken {
	what.bye = func() { d.idle.put(key, &standing{s: s, what: what, mails: mails}) }
	return what
}
