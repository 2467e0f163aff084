package deliver

import (
	"slices"
	"sync"
	"time"

	"checkauth/reply/store"
	"checkauth/verify/naming"
	"checkauth/verify/share"
)

// The bounds of what waits in memory. Beyond them only ids are kept, then nothing: the lease brings
// the entry back.
const (
	lineLength   = 500   // entries with their bodies: 32 MiB of reports of the largest size
	lineDomain   = 50    // of one domain, so that one that hangs leaves room for others
	returnLength = 50000 // ids on their way back to the store
)

// hanging is how many deliveries beyond Concurrency may hang, as its multiple.
const hanging = 10

// line is what waits for a place, in order. A place is one of Concurrency and one of PerDomain; a
// delivery that takes long gives the first one back and keeps the second.
type line struct {
	mu          sync.Mutex
	concurrency int
	perDomain   int
	relayed     bool // everything goes to one server
	waiting     []inLine
	queued      map[string]int   // waiting entries by domain
	running     map[string]int   // by domain
	places      map[string]int   // that are taken, by group: see groups
	waits       map[string]int   // waiting entries by network of the tester
	turns       map[string]int64 // of the tester's network, when it was served last
	turn        int64
	took        map[string]bool // domains that took mail lately
	share       share.Rule
	known       map[string]stamp // ids that wait, are tried or are kept, since then: an entry is never sent twice at once
	resting     map[string]rest  // destinations whose servers could not be reached
	quick, slow int
	back        []string
	kept        []ending // not stored yet
}

// inLine is an entry that waits, with what its place depends on: each that waits is looked at for each place that gets free.
type inLine struct {
	store.Claimed
	domain  string   // of its destination
	network string   // of the tester, by which entries take turns; those of which it is not known take turns together
	groups  []string // that its place is counted for
}

func newLine(concurrency, perDomain int, rule share.Rule) *line {
	return &line{
		concurrency: concurrency, perDomain: perDomain, share: rule,
		places: map[string]int{}, waits: map[string]int{}, turns: map[string]int64{}, took: map[string]bool{},
		queued: map[string]int{}, running: map[string]int{}, known: map[string]stamp{}, resting: map[string]rest{},
	}
}

func (l *line) add(c store.Claimed, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.place(c)
	_, known := l.known[c.ID]
	switch {
	case known:
	case !l.resting[l.destination(c.To)].on(now) && len(l.waiting) < lineLength && l.queued[e.domain] < lineDomain && l.waits[e.network] < l.most(e):
		l.waiting = append(l.waiting, e)
		l.queued[e.domain]++
		l.waits[e.network]++
		l.known[c.ID] = stamped(now)
	case len(l.back) < returnLength:
		l.back = append(l.back, c.ID)
	}
}

// rest is that of a destination. One that has not begun yet is over: the clock was set back.
type rest struct{ since, until time.Time }

func (r rest) on(now time.Time) bool { return !now.Before(r.since) && now.Before(r.until) }

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
func (l *line) clockSet(id string, now time.Time) (since time.Time, set bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok := l.known[id]
	return s.wall, ok && s.set(now)
}

// mostResting bounds the destinations that rest: strangers name them.
const mostResting = 10000

// destination is what rests as one: a domain, or the relay.
func (l *line) destination(to string) string {
	if l.relayed {
		return ""
	}
	return domainOf(to)
}

// rest sends back what waits for the destination of an address, and what comes until then: one entry has seen
// that its servers cannot be reached, the others need not each find out. Where several see it at once the first
// that is tried again ends it.
func (l *line) rest(to string, now, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.resting) >= mostResting {
		clear(l.resting)
	}
	where := l.destination(to)
	if old := l.resting[where]; old.on(now) && old.until.Before(until) {
		until = old.until
	}
	l.resting[where] = rest{now, until}
	l.waiting = slices.DeleteFunc(l.waiting, func(e inLine) bool {
		if l.destination(e.To) != where || len(l.back) >= returnLength {
			return false
		}
		l.back = append(l.back, e.ID)
		delete(l.known, e.ID)
		l.leave(e)
		return true
	})
}

// reached ends the rest of an address's destination.
func (l *line) reached(to string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.resting, l.destination(to))
}

// room is how many entries more may wait.
func (l *line) room() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return lineLength - len(l.waiting)
}

// When what waits for a place alone is too much.
const (
	longLine  = lineLength * 3 / 4
	longStand = 20 * time.Second
)

// behind tells whether first tries whose domains have a place free stand here in great number, or since long ago: more
// comes in than goes out. What waits for a domain that is full, or rests, is that domain's affair, and so is a further
// try: many of them are due at once, an hour after a flood. How old an entry is does not count: after a restart all are.
// Nor is anybody behind while more deliveries hang than there are places: strangers name the servers that hang.
func (l *line) behind(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.slow >= l.concurrency {
		return false
	}
	ready := 0
	for _, e := range l.waiting {
		if e.Tries > 0 || !l.free(e) {
			continue
		}
		if ready++; ready >= longLine || now.Sub(l.known[e.ID].wall) > longStand {
			return true
		}
	}
	return false
}

// next takes the first entry that has a place.
func (l *line) next() (store.Claimed, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.quick >= l.concurrency || l.quick+l.slow >= l.concurrency*hanging {
		return store.Claimed{}, false
	}
	best := -1
	for i, e := range l.waiting {
		if l.free(e) && (best < 0 || l.turns[e.network] < l.turns[l.waiting[best].network]) {
			best = i
		}
	}
	if best < 0 {
		return store.Claimed{}, false
	}
	e := l.waiting[best]
	l.waiting = append(l.waiting[:best], l.waiting[best+1:]...)
	l.leave(e)
	l.running[e.domain]++
	for _, g := range e.groups {
		l.places[g]++
	}
	if len(l.turns) >= mostResting {
		clear(l.turns)
	}
	l.turn++
	l.turns[e.network] = l.turn
	l.quick++
	return e.Claimed, true
}

// leave forgets that an entry waits.
func (l *line) leave(e inLine) {
	decrease(l.queued, e.domain)
	decrease(l.waits, e.network)
}

// part of the places and of what waits is the most that one tester's network or one destination's organisation has, so
// that servers that hang, which strangers name, leave room for others.
const part = 10

// reserved is the part of the places that is for destinations that took mail before.
const reserved = 10

// free tells whether an entry has a place: its domain, its tester's networks and its destination's organisation are not
// at their bounds, and the last places are for destinations that took mail before.
func (l *line) free(e inLine) bool {
	all := l.concurrency * hanging
	switch {
	case l.running[e.domain] >= l.perDomain:
		return false
	case l.relayed:
		return true // everything goes to one server, which is the operator's
	case l.quick+l.slow >= all-all/reserved && !l.took[e.domain]:
		return false
	}
	return !slices.ContainsFunc(e.groups, func(g string) bool { return l.places[g] >= max(1, all/part) })
}

// place works out what the place of one that was claimed depends on: the organisation of its destination, and the
// networks of its tester, where it is known and has a bound.
func (l *line) place(c store.Claimed) inLine {
	e := inLine{Claimed: c, domain: domainOf(c.To)}
	e.groups = []string{"to " + naming.Registered(e.domain)}
	if !c.Client.IsValid() || l.share.Lifted(c.Client) {
		return e
	}
	for _, n := range naming.Networks(c.Client) {
		e.network = n.String() // the largest, in the end
		if !l.relayed {
			e.groups = append(e.groups, e.network)
		}
	}
	return e
}

// most is how many entries of one network may wait in memory; more wait in the store.
func (l *line) most(e inLine) int {
	if l.relayed || e.network == "" {
		return lineLength
	}
	return lineLength / part
}

// crowded tells whether more than half of the places are held by tries that take long.
func (l *line) crowded() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.slow > l.concurrency*hanging/2
}

// slowed says that a delivery takes long.
func (l *line) slowed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.quick--
	l.slow++
}

// tried says that an entry's try is over. Where it gets another one this comes before the outcome is
// stored: from then on the entry may be due and claimed again, and must not be taken for one that is here
// already.
func (l *line) tried(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.known, id)
}

// keep holds an ending that could not be stored; false: there is no room, and the entry comes again.
func (l *line) keep(e ending) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.kept) >= returnLength {
		return false
	}
	l.kept = append(l.kept, e)
	return true
}

// takeKept takes the endings that were kept; their ids stay known.
func (l *line) takeKept() []ending {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := l.kept
	l.kept = nil
	return kept
}

// end gives a place back; slow is whether slowed was called for it.
func (l *line) end(c store.Claimed, slow bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if slow {
		l.slow--
	} else {
		l.quick--
	}
	e := l.place(c)
	decrease(l.running, e.domain)
	for _, g := range e.groups {
		decrease(l.places, g)
	}
}

// delivered notes that a destination takes mail.
func (l *line) delivered(to string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.took) >= mostResting {
		clear(l.took)
	}
	l.took[domainOf(to)] = true
}

// returns takes the ids that go back to the store.
func (l *line) returns() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	ids := l.back
	l.back = nil
	return ids
}

// drain takes everything that waits.
func (l *line) drain() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	ids := l.back
	for _, e := range l.waiting {
		ids = append(ids, e.ID)
		delete(l.known, e.ID)
	}
	l.back, l.waiting = nil, nil
	clear(l.queued)
	clear(l.waits)
	return ids
}

// decrease keeps a map of counts free of zeros: strangers name the domains.
func decrease(m map[string]int, key string) {
	if m[key]--; m[key] == 0 {
		delete(m, key)
	}
}

// domainOf is whose mail servers an address is brought to, in one spelling.
func domainOf(address string) string {
	return naming.Domain(address)
}
