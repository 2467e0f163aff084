package deliver

import (
	"container/list"
	"context"
	"errors"
	"slices"
	"time"

	"checkauth/reply/store"
	"checkauth/verify/share"
)

// Places are for tries that are under way: Concurrency of them, and as its multiple those that take long, because some
// servers hold every client for minutes. Strangers name the servers, so that one network of testers, one organisation
// that the replies go to, and one address of a server have a tenth at most: a tenth of those that nobody has, so that a
// newcomer finds one. The last tenth of all is for destinations that have shown that they answer.

// hanging is how many tries there may be in all, as the multiple of Concurrency.
const hanging = 10

// part of the slots is what one may have, and what is kept for destinations that answer.
const part = 10

var tenth = share.Rule{Part: part}

// patience is how long a try counts among Concurrency.
const patience = 2 * time.Second

const (
	// crowdedFirst is what a first try has while more than half of the slots are held by tries that take long.
	crowdedFirst = 90 * time.Second
	// fullFirst is what it has where all slots are held, and somebody waits for one.
	fullFirst = 20 * time.Second
)

// Why a try ends early; the next one has all of its time.
var (
	errCrowded = errors.New("a first try has 90 s while most of our connections are held by servers that do not answer")
	errFull    = errors.New("a first try has 20 s while all of our connections are held by servers that do not answer")
)

// need is what an entry is counted for.
type need struct {
	domain       string
	networks     []string // of the tester; none: without a bound
	organisation string   // of the recipient; "" at a relay
	further      bool     // it has been tried before
	proved       bool     // its destination has shown that it answers
}

// proved stands before the names of networks for what goes to destinations that answer: others of the same network, whose
// servers hang, are in nobody's way there.
const proved = "answers "

// groups are those that a place is counted for.
func (n need) groups() []string {
	var out []string
	for _, network := range n.networks {
		if n.proved {
			network = proved + network
		}
		out = append(out, network)
	}
	if n.organisation != "" {
		out = append(out, n.organisation)
	}
	return out
}

// slot is that of a try under way.
type slot struct {
	store.Claimed
	need
	at       string // the address that it is at
	began    time.Time
	isSlow   bool
	answered bool                    // in time, or at last
	sent     bool                    // the server may have the message: a second try might bring it twice
	cut      context.CancelCauseFunc // ends the try; nil where that is done, or not possible
}

// slots are guarded by the mutex of the queue.
type slots struct {
	concurrency, perDomain int
	all                    int
	quick, used            int            // of those that are used, quick are not slow
	further                int            // further tries to destinations that have not answered
	domains                map[string]int // that are used, by domain
	by                     map[string]int // by group, and by address
	quickBy                map[string]int // that are quick, by group
	held                   []*slot        // in the order in which they began
}

func newSlots(concurrency, perDomain int) slots {
	return slots{
		concurrency: concurrency, perDomain: perDomain, all: concurrency * hanging,
		domains: map[string]int{}, by: map[string]int{}, quickBy: map[string]int{},
	}
}

// free tells whether there is a place that an entry may have.
func (p *slots) free(n need) bool {
	if n.proved {
		return p.quick < p.concurrency && p.used < p.all
	}
	return p.quick < p.concurrency-p.concurrency/part && !p.full()
}

// full: there is no place but for destinations that answer.
func (p *slots) full() bool { return p.used >= p.all-p.all/part }

// within tells whether nobody whom an entry is counted for has his share.
func (p *slots) within(n need) bool {
	if p.domains[n.domain] >= p.perDomain || n.further && !n.proved && p.further >= p.all/2 {
		return false
	}
	most, quick := tenth.Most(p.all-p.used), tenth.Most(p.concurrency)
	if p.concurrency-p.quick <= p.concurrency/part {
		quick = 1 // of the last ones nobody has two
	}
	return !slices.ContainsFunc(n.groups(), func(g string) bool {
		if g == n.organisation {
			return p.by[g] >= most || p.quickBy[g] >= max(quick, p.perDomain)
		}
		return p.by[g] >= most || p.quickBy[g] >= quick
	})
}

// take gives an entry a place.
func (p *slots) take(c store.Claimed, n need) *slot {
	t := &slot{Claimed: c, need: n, began: time.Now()}
	p.used++
	p.quick++
	p.count(t, 1)
	p.countQuick(t, 1)
	p.held = append(p.held, t)
	return t
}

func (p *slots) count(t *slot, n int) {
	change(p.domains, t.domain, n)
	for _, g := range t.groups() {
		change(p.by, g, n)
	}
	if t.further && !t.proved {
		p.further += n
	}
}

func (p *slots) countQuick(t *slot, n int) {
	for _, g := range t.groups() {
		change(p.quickBy, g, n)
	}
}

// slow says that a try takes long.
func (p *slots) slow(t *slot) {
	t.isSlow = true
	p.quick--
	p.countQuick(t, -1)
}

func (p *slots) end(t *slot) {
	if !t.isSlow {
		p.quick--
		p.countQuick(t, -1)
	}
	p.used--
	p.count(t, -1)
	p.move(t, "")
	p.held = slices.DeleteFunc(p.held, func(o *slot) bool { return o == t })
}

// move counts a try at the address of a server, and no more at the one before; false: the address has its share.
func (p *slots) move(t *slot, to string) bool {
	if to == t.at {
		return true
	}
	if to != "" && p.by[to] >= tenth.Most(p.all-p.used) {
		return false
	}
	if t.at != "" {
		change(p.by, t.at, -1)
	}
	if t.at = to; to != "" {
		change(p.by, to, 1)
	}
	return true
}

// crowded: more than half of the slots are held by tries that take long.
func (p *slots) crowded() bool { return p.used-p.quick > p.all/2 }

// makeWay ends first tries that have had their time, the oldest first; wanted is how many entries wait for a place alone.
func (p *slots) makeWay(now time.Time, wanted int) {
	for _, t := range p.held {
		if t.isSlow && t.cut == nil {
			wanted-- // it is ending
		}
	}
	for _, t := range p.held {
		age := now.Sub(t.began)
		why := errFull
		switch {
		case !t.isSlow || t.cut == nil || t.Tries > 0:
			continue
		case p.crowded() && age >= crowdedFirst:
			why = errCrowded
		case !p.full() || wanted <= 0 || age < fullFirst || t.sent:
			continue
		}
		t.cut(why)
		t.cut = nil
		wanted--
	}
}

// makeWay lets first tries end that others need the slots of.
func (l *queue) makeWay(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	wanted := 0
	if l.slots.full() {
		for _, w := range l.waiting {
			if n := l.need(w); !l.slots.free(n) && l.slots.within(n) {
				wanted++
			}
		}
	}
	l.slots.makeWay(now, wanted)
}

// cuttable says how a try is ended early; nil: it cannot be.
func (l *queue) cuttable(p *slot, cut context.CancelCauseFunc) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.cut = cut
}

// sent says that a server may have the message.
func (l *queue) sent(p *slot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.sent = true
}

// arrive counts a try at the address of a server that it is about to connect to; false: the address has its share.
func (l *queue) arrive(p *slot, address string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.slots.move(p, "at "+address)
}

// fairQueue knows when somebody's entry was taken last: a network's, or of one network an organisation's.
type fairQueue struct {
	last map[string]int64
	n    int64
}

// before tells whether an entry goes before another that waits here for longer.
func (t *fairQueue) before(a *waiter, of need, b *waiter, than need) bool {
	if x, y := t.last[a.network], t.last[b.network]; x != y {
		return x < y
	}
	if of.proved != than.proved {
		return of.proved
	}
	return t.last[a.inside()] < t.last[b.inside()]
}

// note says that an entry has had its turn.
func (t *fairQueue) note(w *waiter) {
	if t.last == nil || len(t.last) >= mostRemembered {
		t.last = map[string]int64{}
	}
	t.n++
	t.last[w.network], t.last[w.inside()] = t.n, t.n
}

// mostRemembered bounds what is remembered of destinations and networks: strangers name them.
const mostRemembered = 10_000

// remembered are names; the one that was added longest ago goes first.
type remembered struct {
	most  int
	order list.List
	by    map[string]*list.Element
}

func (r *remembered) has(name string) bool { return r.by[name] != nil }

func (r *remembered) add(name string) {
	if r.by == nil {
		r.by = map[string]*list.Element{}
	}
	r.forget(name)
	r.by[name] = r.order.PushFront(name)
	if r.order.Len() > r.most {
		r.forget(r.order.Back().Value.(string))
	}
}

func (r *remembered) forget(name string) {
	if e := r.by[name]; e != nil {
		r.order.Remove(e)
		delete(r.by, name)
	}
}
