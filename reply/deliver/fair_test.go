package deliver

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"checkauth/reply/store"
	"checkauth/verify/share"
)

// of is an entry that waits, and whose test it answers.
func of(id, client, to string) store.Claimed {
	c := waiting(id, to)
	if client != "" {
		c.Client = netip.MustParseAddr(client)
	}
	return c
}

// hang takes all slots that there are, each for a try that takes long.
func hang(l *queue) (all []*slot) {
	for {
		p, ok := l.next()
		if !ok {
			return all
		}
		l.slowed(p)
		all = append(all, p)
	}
}

// Testers name servers that hang: no network, organisation or domain has more than a tenth of the slots, or of those
// that are free, and an honest reply goes next.
func TestTarpitsLeaveRoom(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		client func(i int) string
		to     func(i int) string
		want   int // places that they get
	}{
		"one /64":              {func(i int) string { return fmt.Sprintf("2001:db8::%x", i+1) }, func(i int) string { return fmt.Sprintf("x@d%d.example", i) }, 18},
		"five /56 of five /48": {func(i int) string { return fmt.Sprintf("2001:db8:%x:%x::1", i%5, i) }, func(i int) string { return fmt.Sprintf("x@d%d.example", i) }, 65},
		"five /56 of one /48":  {func(i int) string { return fmt.Sprintf("2001:db8:0:%x%02x::1", i%5, i/5) }, func(i int) string { return fmt.Sprintf("x@d%d.example", i) }, 18},
		"one organisation":     {func(i int) string { return fmt.Sprintf("192.0.%d.1", i) }, func(i int) string { return fmt.Sprintf("x@d%d.evil.example", i) }, 18},
		"forty networks":       {func(i int) string { return fmt.Sprintf("192.0.%d.1", i%40) }, func(i int) string { return fmt.Sprintf("x@d%d.example", i) }, 160},
		"one domain":           {func(i int) string { return fmt.Sprintf("192.0.%d.1", i) }, func(int) string { return "x@evil.example" }, 4},
	} {
		l := newQueue(20, 4, share.Rule{Part: 8})
		for i := range 230 {
			l.add(of(fmt.Sprint(i), c.client(i), c.to(i)), time.Time{})
		}
		if got := len(hang(l)); got != c.want {
			t.Errorf("%s: %d places hang, want %d", name, got, c.want)
		}
		l.add(of("honest", "198.51.100.1", "ann@honest.example"), time.Time{})
		if got, ok := l.next(); !ok || got.ID != "honest" {
			t.Errorf("%s: the honest reply has no place", name)
		}
	}
}

// The last places are for destinations that answer, in the attacker's own network too.
func TestDestinationsThatAnswerHavePlacesOfTheirOwn(t *testing.T) {
	t.Parallel()
	l := newQueue(20, 4, share.Rule{Part: 8})
	l.took.add("known.example")
	for i := range 230 {
		l.add(of(fmt.Sprint(i), fmt.Sprintf("192.0.%d.1", i), fmt.Sprintf("x@d%d.example", i)), time.Time{})
	}
	if got := len(hang(l)); got != 180 {
		t.Fatalf("%d places hang, want 180", got)
	}
	l.add(of("new", "198.51.100.1", "ann@new.example"), time.Time{})
	l.add(of("known", "192.0.7.2", "ann@known.example"), time.Time{})
	p, ok := l.next()
	if !ok || p.ID != "known" {
		t.Fatal("what has answered before has no place")
	}
	// One that hangs now is no such destination any more.
	l.slowed(p)
	l.end(p)
	l.add(of("again", "192.0.7.2", "ann@known.example"), time.Time{})
	if p, ok := l.next(); ok {
		t.Errorf("%s has a place", p.ID)
	}
}

// What is remembered of destinations is bounded, and those that answered last stay.
func TestDestinationsThatAnswerAreBounded(t *testing.T) {
	t.Parallel()
	r := remembered{most: 3}
	for _, name := range []string{"a", "b", "c", "a", "d"} {
		r.add(name)
	}
	r.forget("nothing")
	for name, want := range map[string]bool{"a": true, "b": false, "c": true, "d": true} {
		if r.has(name) != want {
			t.Errorf("%s: %t", name, !want)
		}
	}
	if len(r.by) != 3 || r.order.Len() != 3 {
		t.Errorf("%d and %d are remembered", len(r.by), r.order.Len())
	}
}

// Of the tries that are quick nobody has more than a tenth, so that a newcomer does not wait for the others' patience.
func TestQuickPlacesAreShared(t *testing.T) {
	t.Parallel()
	l := newQueue(20, 4, share.Rule{Part: 8})
	for i := range 50 {
		l.add(of(fmt.Sprint(i), fmt.Sprintf("2001:db8:%x::1", i%5), fmt.Sprintf("x@d%d.example", i)), time.Time{})
	}
	if got, _ := take(l); len(got) != 10 {
		t.Errorf("five networks have %d quick places of 20, want two each", len(got))
	}
	l.add(of("honest", "198.51.100.1", "ann@honest.example"), time.Time{})
	if p, ok := l.next(); !ok || p.ID != "honest" {
		t.Error("the honest reply has none")
	}
}

// Further tries at servers that never answer leave half of the slots to first ones.
func TestFurtherTriesLeaveHalf(t *testing.T) {
	t.Parallel()
	l := newQueue(20, 4, share.Rule{Part: 8})
	for i := range 230 {
		c := of(fmt.Sprint(i), fmt.Sprintf("192.0.%d.1", i), fmt.Sprintf("x@d%d.example", i))
		c.Tries = 1
		l.add(c, time.Time{})
	}
	if got := len(hang(l)); got != 100 {
		t.Errorf("%d further tries, want 100", got)
	}
	l.add(of("first", "198.51.100.1", "ann@honest.example"), time.Time{})
	if p, ok := l.next(); !ok || p.ID != "first" {
		t.Error("a first one has no place")
	}
}

// A server's address has a tenth too, whatever the domains are.
func TestPlacesAtOneAddress(t *testing.T) {
	t.Parallel()
	l := newQueue(20, 4, share.Rule{Part: 8})
	n := 0
	for i := range 30 {
		l.add(of(fmt.Sprint(i), fmt.Sprintf("192.0.%d.1", i), fmt.Sprintf("x@d%d.example", i)), time.Time{})
	}
	all := hang(l)
	for _, p := range all {
		if l.arrive(p, "203.0.113.1") {
			n++
		}
	}
	if n != 17 { // a tenth of those that are free
		t.Errorf("%d tries at one address", n)
	}
	last := all[len(all)-1]
	if !l.arrive(last, "203.0.113.2") {
		t.Error("another address has no place")
	}
	l.end(all[0])
	if !l.arrive(last, "203.0.113.1") || l.slots.by["at 203.0.113.2"] != 0 {
		t.Error("who left another address, and one that was given back, are counted")
	}
}

// First tries end early where they hold most of the slots, and earlier where they hold all and somebody waits.
func TestFirstTriesMakeWay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		hang    int
		further bool
		waits   bool
		sent    bool
		age     time.Duration
		want    error
	}{
		{"half of them", 100, false, true, false, time.Hour, nil},
		{"more than half", 101, false, true, false, crowdedFirst, errCrowded},
		{"more than half, not yet", 101, false, true, false, crowdedFirst - 1, nil},
		{"further tries", 100, true, true, false, time.Hour, nil},
		{"all, and somebody waits", 180, false, true, false, fullFirst, errFull},
		{"all, and somebody waits, not yet", 180, false, true, false, fullFirst - 1, nil},
		{"all, and nobody waits", 180, false, false, false, fullFirst, nil},
		{"all, and the server may have it", 180, false, true, true, fullFirst, nil},
		{"all, and the server may have it, for long", 180, false, true, true, crowdedFirst, errCrowded},
	} {
		l := newQueue(20, 4, share.Rule{Part: 8})
		for i := range c.hang {
			e := of(fmt.Sprint(i), fmt.Sprintf("192.0.%d.1", i), fmt.Sprintf("x@d%d.example", i))
			if c.further {
				e.Tries = 1
			}
			l.add(e, time.Time{})
		}
		ended := map[error]int{}
		all := hang(l)
		for _, p := range all {
			l.cuttable(p, func(why error) { ended[why]++ })
			if c.sent {
				l.sent(p)
			}
		}
		if c.waits {
			l.add(of("honest", "198.51.100.1", "ann@honest.example"), time.Time{})
			if c.hang < 180 {
				l.next()
			}
		}
		l.makeWay(all[0].began.Add(c.age))
		l.makeWay(all[0].began.Add(c.age)) // it has been told already
		most := 1
		if errors.Is(c.want, errCrowded) {
			most = c.hang
		}
		if n := ended[c.want]; len(all) != c.hang || c.want == nil && len(ended) > 0 || c.want != nil && (n < 1 || n > most || len(ended) != 1) {
			t.Errorf("%s: %d hang, ended: %v", c.name, len(all), ended)
		}
	}
}

// Testers' networks take turns, however many entries one of them has.
func TestNetworksTakeTurns(t *testing.T) {
	t.Parallel()
	l := newQueue(20, 4, share.Rule{Part: 8})
	for i := range 40 {
		l.add(of(fmt.Sprint(i), "192.0.2.1", fmt.Sprintf("x@d%d.example", i)), time.Time{})
	}
	l.add(of("other", "198.51.100.1", "ann@honest.example"), time.Time{})
	l.next()
	if got, _ := l.next(); got.ID != "other" {
		t.Errorf("second is %s, want the other network's", got.ID)
	}
}

// One network's entries wait in the store where they are many, so that the others' have room.
func TestOneNetworkDoesNotFillTheQueueInMemory(t *testing.T) {
	t.Parallel()
	l := newQueue(20, 4, share.Rule{Part: 8})
	for i := range 2 * queueLength {
		l.add(of(fmt.Sprint(i), "192.0.2.1", fmt.Sprintf("x@d%d.example", i)), time.Time{})
	}
	if n := len(l.waiting); n != queuePerNetwork {
		t.Errorf("%d wait, want %d", n, queuePerNetwork)
	}
	if back := l.returns(); len(back) != 2*queueLength-queuePerNetwork {
		t.Errorf("%d go back to the store", len(back))
	}
}

// Where many networks fill it, the one that has most makes room for a newcomer.
func TestTheQueueInMemoryHasRoomForANewcomer(t *testing.T) {
	t.Parallel()
	l := newQueue(20, 4, share.Rule{Part: 8})
	for i := range queueLength {
		l.add(of(fmt.Sprint(i), fmt.Sprintf("192.0.%d.1", i%20), fmt.Sprintf("x@d%d.example", i)), time.Time{})
	}
	l.add(of("honest", "198.51.100.1", "ann@honest.example"), time.Time{})
	back := l.returns()
	if len(l.waiting) != queueLength || !slices.Equal(back, []string{"499"}) || l.waiting[queueLength-1].ID != "honest" {
		t.Errorf("%d wait, %q go back", len(l.waiting), back)
	}
	if _, known := l.known["499"]; known {
		t.Error("what went back is taken for one that is here")
	}
	for i := range 30 {
		l.add(of(fmt.Sprint("unbounded", i), "", fmt.Sprintf("ann@o%d.example", i)), time.Time{})
	}
	if n := l.waits[""]; n < 20 || n > 25 || len(l.waiting) != queueLength {
		t.Errorf("%d without a bound wait of %d, want as many as of one network", n, len(l.waiting))
	}
}
