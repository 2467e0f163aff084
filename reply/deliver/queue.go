package deliver

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"checkauth/reply"
	"checkauth/reply/store"
	"checkauth/verify/naming"
	"checkauth/verify/share"
)

// The bounds of what waits in memory. Beyond them only ids are kept, then nothing: the lease brings
// the entry back.
const (
	queueLength     = 500              // entries with their bodies: 32 MiB of reports of the largest size
	queuePerDomain  = 50               // of one domain, so that one that hangs leaves room for others
	queuePerNetwork = queueLength / 10 // whose tests one network has sent
	returnedLength  = 50000            // ids on their way back to the store
)

// queue is what waits for a slot (slots.go), and what is under way.
type queue struct {
	mu       sync.Mutex
	slots    slots
	relayed  bool       // everything goes to one server
	rule     share.Rule // whose clients have no bound
	waiting  []*waiter
	domains  map[string]int     // waiting entries by domain
	waits    map[string]int     // waiting entries by group
	turns    fairQueue          // whose entry was taken when
	took     remembered         // domains that took mail, or said soon why not
	known    map[string]stamp   // ids that wait, are tried or are kept, since then: an entry is never sent twice at once
	backOffs map[string]backOff // destinations whose servers could not be reached
	back     []string
	kept     []ending // not stored yet
}

func newQueue(concurrency, perDomain int, rule share.Rule) *queue {
	return &queue{
		slots: newSlots(concurrency, perDomain), rule: rule, domains: map[string]int{}, waits: map[string]int{},
		took: remembered{most: mostRemembered}, known: map[string]stamp{}, backOffs: map[string]backOff{},
	}
}

// waiter is an entry that waits, with what it is counted for.
type waiter struct {
	store.Claimed
	domain       string
	networks     []string // of the tester; none: without a bound
	network      string   // the largest of them
	organisation string   // of the recipient
}

// groups are those that it is counted for while it waits.
func (w *waiter) groups() []string { return append(slices.Clone(w.networks), w.organisation) }

// inside is whose turn it is within the tester's network.
func (w *waiter) inside() string { return w.network + " " + w.organisation }

// waiter puts an entry into the terms of the queue.
func (l *queue) waiter(c store.Claimed) *waiter {
	w := &waiter{Claimed: c, domain: domainOf(c.To), organisation: "to " + c.Organisation()}
	if c.Client.IsValid() && !l.rule.Lifted(c.Client) {
		for _, n := range naming.Networks(c.Client) {
			w.network = n.String()
			w.networks = append(w.networks, w.network)
		}
	}
	return w
}

// need is what an entry needs a place for.
func (l *queue) need(w *waiter) need {
	if l.relayed { // everything goes to one server, which is the operator's: no stranger has named it
		return need{domain: w.domain, proved: true}
	}
	return need{
		domain: w.domain, networks: w.networks, organisation: w.organisation, further: w.Tries > 0, proved: l.took.has(w.domain),
	}
}

func (l *queue) add(c store.Claimed, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.known[c.ID]; known {
		return
	}
	w := l.waiter(c)
	if l.backOffs[l.destination(c.To)].on(now) || l.domains[w.domain] >= queuePerDomain || w.network != "" && l.waits[w.network] >= queuePerNetwork || !l.makeRoom(w) {
		l.giveBack(c.ID)
		return
	}
	l.waiting = append(l.waiting, w)
	l.count(w, 1)
	l.known[c.ID] = stamped(now)
}

// count counts an entry that waits, or waits no more.
func (l *queue) count(w *waiter, n int) {
	change(l.domains, w.domain, n)
	for _, g := range w.groups() {
		change(l.waits, g, n)
	}
	if w.network == "" {
		change(l.waits, "", n)
	}
}

// makeRoom sends back the last entry of the network that has most of them here, where all is full and that one has more
// than the newcomer's. Those without a bound are as one network.
func (l *queue) makeRoom(newcomer *waiter) bool {
	if len(l.waiting) < queueLength {
		return true
	}
	last, most := -1, l.waits[newcomer.network]+1
	for i, w := range l.waiting {
		if n := l.waits[w.network]; n > most || last >= 0 && n == most {
			last, most = i, n
		}
	}
	if last < 0 {
		return false
	}
	w := l.waiting[last]
	l.waiting = slices.Delete(l.waiting, last, last+1)
	l.count(w, -1)
	delete(l.known, w.ID)
	l.giveBack(w.ID)
	return true
}

func (l *queue) giveBack(id string) {
	if len(l.back) < returnedLength {
		l.back = append(l.back, id)
	}
}

// rest is that of a destination. One that has not begun yet is over: the clock was set back.
type backOff struct{ since, until time.Time }

func (r backOff) on(now time.Time) bool { return !now.Before(r.since) && now.Before(r.until) }

// stamp is a moment by the service's clock, which may be set, and by the machine's, which goes on.
type stamp struct{ wall, steady time.Time }

func stamped(now time.Time) stamp { return stamp{now.Round(0), time.Now()} } // without its own steady reading

// leap is how far a clock that was set has gone more or less than time has.
const leap = time.Minute

// set tells whether the clock has been set since then.
func (s stamp) set(now time.Time) bool {
	return (now.Round(0).Sub(s.wall) - time.Since(s.steady)).Abs() > leap
}

// clockSet tells whether the clock was set since an entry came here, and when by the old one that was.
func (l *queue) clockSet(id string, now time.Time) (since time.Time, set bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok := l.known[id]
	return s.wall, ok && s.set(now)
}

// mostResting bounds the destinations that rest: strangers name them.
const mostResting = 10000

// destination is what rests as one: a domain, or the relay.
func (l *queue) destination(to string) string {
	if l.relayed {
		return ""
	}
	return domainOf(to)
}

// rest sends back what waits for the destination of an address, and what comes until then: one entry has seen
// that its servers cannot be reached, the others need not each find out. Where several see it at once the first
// that is tried again ends it.
func (l *queue) backsOff(to string, now, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.backOffs) >= mostResting {
		clear(l.backOffs)
	}
	where := l.destination(to)
	if old := l.backOffs[where]; old.on(now) && old.until.Before(until) {
		until = old.until
	}
	l.backOffs[where] = backOff{now, until}
	l.waiting = slices.DeleteFunc(l.waiting, func(w *waiter) bool {
		if l.destination(w.To) != where || len(l.back) >= returnedLength {
			return false
		}
		l.giveBack(w.ID)
		delete(l.known, w.ID)
		l.count(w, -1)
		return true
	})
}

// reached ends the rest of an address's destination.
func (l *queue) reached(to string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.backOffs, l.destination(to))
}

// room is how many entries to ask the store for. Where all is full some are asked for all the same: who waits in the
// store may have a better right to be here.
func (l *queue) room() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(queueLength-len(l.waiting), queuePerNetwork)
}

// When what waits for a place alone is too much.
const (
	longLine  = queueLength * 3 / 4
	longStand = 20 * time.Second
)

// isBehind tells whether replies leave too slowly, and a new one to an address, of a client's test, would make it worse.
//
// Replies leave too slowly where first tries that have a place but for others stand here in great number, or since long
// ago. What waits for a domain, a network or an organisation that has its share does not count, and neither does a
// further try: many of them are due at once, an hour after a flood. How old an entry is does not count: after a restart
// all are.
//
// Who makes it worse has his share of all that waits and is under way already. Whoever has nothing here never does.
func (l *queue) isBehind(client netip.Addr, to string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.slowly(now) {
		return false
	}
	w := l.waiter(store.Claimed{Entry: reply.Entry{Client: client, To: to}})
	most := tenth.Most(l.slots.all + queueLength - l.slots.used - len(l.waiting))
	return slices.ContainsFunc(w.groups(), func(g string) bool { return l.waits[g]+l.slots.by[g]+l.slots.by[proved+g] >= most })
}

func (l *queue) slowly(now time.Time) bool {
	ready := 0
	for _, w := range l.waiting {
		if w.Tries > 0 || !l.slots.within(l.need(w)) {
			continue
		}
		if ready++; ready >= longLine || now.Sub(l.known[w.ID].wall) > longStand {
			return true
		}
	}
	return false
}

// next takes the entry whose turn it is, of those that have a place: networks of testers take turns, and within one the
// organisations that its tests lead to, those that have shown that they answer first.
func (l *queue) next() (*slot, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	best, of := -1, need{}
	for i, w := range l.waiting {
		n := l.need(w)
		if !l.slots.free(n) || best >= 0 && !l.turns.before(w, n, l.waiting[best], of) || !l.slots.within(n) {
			continue
		}
		best, of = i, n
	}
	if best < 0 {
		return nil, false
	}
	w := l.waiting[best]
	l.waiting = slices.Delete(l.waiting, best, best+1)
	l.count(w, -1)
	l.turns.note(w)
	return l.slots.take(w.Claimed, of), true
}

// slowed says that a delivery takes long.
func (l *queue) slowed(p *slot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slots.slow(p)
}

// tried says that an entry's try is over. Where it gets another one this comes before the outcome is
// stored: from then on the entry may be due and claimed again, and must not be taken for one that is here
// already.
func (l *queue) tried(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.known, id)
}

// keep holds an ending that could not be stored; false: there is no room, and the entry comes again.
func (l *queue) keep(e ending) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.kept) >= returnedLength {
		return false
	}
	l.kept = append(l.kept, e)
	return true
}

// takeKept takes the endings that were kept; their ids stay known.
func (l *queue) takeKept() []ending {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := l.kept
	l.kept = nil
	return kept
}

// end gives a place back. A destination that has taken long and said nothing has lost its good name.
func (l *queue) end(p *slot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slots.end(p)
	if p.isSlow && !p.answered {
		l.took.forget(domainOf(p.To))
	}
}

// answers notes that a destination has taken mail, or has said within a short time that it does not.
func (l *queue) answers(p *slot, took bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if took || !p.isSlow {
		p.answered = true
		l.took.add(domainOf(p.To))
	}
}

// returns takes the ids that go back to the store.
func (l *queue) returns() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	ids := l.back
	l.back = nil
	return ids
}

// drain takes everything that waits.
func (l *queue) drain() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	ids := l.back
	for _, w := range l.waiting {
		ids = append(ids, w.ID)
		delete(l.known, w.ID)
	}
	l.back, l.waiting = nil, nil
	clear(l.domains)
	clear(l.waits)
	return ids
}

// change keeps a map of counts free of zeros: strangers name the domains.
func change(m map[string]int, key string, n int) {
	if m[key] += n; m[key] == 0 {
		delete(m, key)
	}
}

// domainOf is whose mail servers an address is brought to, in one spelling.
func domainOf(address string) string {
	return naming.Domain(address)
}
