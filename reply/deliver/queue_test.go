package deliver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"checkauth/reply"
	"checkauth/reply/store"
	"checkauth/verify/share"
)

func waiting(id, to string) store.Claimed {
	return store.Claimed{Entry: reply.Entry{ID: id, To: to}}
}

// take gives the ids of all that have a place now.
func take(l *queue) (ids []string, all []*slot) {
	for {
		c, ok := l.next()
		if !ok {
			return ids, all
		}
		ids, all = append(ids, c.ID), append(all, c)
	}
}

// Organisations take turns; what one has waits in its order.
func TestLineKeepsOrderAndOvertakesAFullDomain(t *testing.T) {
	t.Parallel()
	l := newQueue(10, 2, share.Rule{})
	for i, domain := range []string{"a.example", "A.example", "a.example", "b.example", "b.example"} {
		l.add(waiting(fmt.Sprint(i), "x@"+domain), time.Time{})
	}
	got, all := take(l)
	if want := []string{"0", "3", "1", "4"}; !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	l.end(all[2])
	if got, _ := take(l); !slices.Equal(got, []string{"2"}) {
		t.Errorf("after an end: got %v, want 2", got)
	}
}

func TestLineHasAnEntryOnce(t *testing.T) {
	t.Parallel()
	l := newQueue(10, 10, share.Rule{})
	e := waiting("1", "x@a.example")
	l.add(e, time.Time{})
	l.add(e, time.Time{})
	got, all := take(l)
	l.add(e, time.Time{}) // while it runs
	again, _ := take(l)
	if len(got) != 1 || len(again) != 0 || l.returns() != nil {
		t.Errorf("got %v, then %v", got, again)
	}
	l.tried(e.ID)
	l.add(e, time.Time{}) // as it is due again
	l.end(all[0])
	l.add(e, time.Time{})
	if got, _ := take(l); len(got) != 1 {
		t.Errorf("after its try: got %v, want it again, once", got)
	}
}

func TestLineGivesTheSlowTheirOwnPlaces(t *testing.T) {
	t.Parallel()
	l := newQueue(1, 1, share.Rule{})
	for i := range 2 * hanging {
		to := fmt.Sprintf("x@d%d.example", i)
		l.add(waiting(fmt.Sprint(i), to), time.Time{})
		l.took.add(domainOf(to))
	}
	var running []*slot
	for range hanging {
		_, all := take(l)
		if len(all) != 1 {
			t.Fatalf("got %d places, want 1", len(all))
		}
		running = append(running, all...)
		l.slowed(all[0])
	}
	if got, _ := take(l); got != nil {
		t.Errorf("with %d that hang: got %v, want none", hanging, got)
	}
	l.end(running[0])
	if got, _ := take(l); len(got) != 1 {
		t.Errorf("after one ended: got %v, want one", got)
	}
}

func TestLineIsBounded(t *testing.T) {
	t.Parallel()
	l := newQueue(1, 1, share.Rule{})
	for i := range queuePerDomain + 5 {
		l.add(waiting(fmt.Sprint("a", i), "x@a.example"), time.Time{})
	}
	if got := l.returns(); len(got) != 5 || l.room() != queueLength-queuePerDomain {
		t.Errorf("one domain: %d go back and %d have room, want 5 and %d", len(got), l.room(), queueLength-queuePerDomain)
	}
	for i := range queueLength {
		l.add(waiting(fmt.Sprint("b", i), fmt.Sprintf("x@b%d.example", i)), time.Time{})
	}
	if len(l.waiting) != queueLength || l.room() != queuePerNetwork || len(l.back) != queuePerDomain {
		t.Errorf("full: %d wait, %d are asked for, %d go back, want %d, %d and %d", len(l.waiting), l.room(), len(l.back), queueLength, queuePerNetwork, queuePerDomain)
	}
	for i := range returnedLength + 5 {
		l.add(waiting(fmt.Sprint("c", i), "x@c.example"), time.Time{})
	}
	if got := l.drain(); len(got) != returnedLength+queueLength {
		t.Errorf("drain: got %d, want %d", len(got), returnedLength+queueLength)
	}
	if len(l.known)+len(l.domains)+len(l.waits)+len(l.waiting) != 0 || l.room() != queueLength {
		t.Errorf("after it: %d known, %d domains, %d groups", len(l.known), len(l.domains), len(l.waits))
	}
}

func TestLineForgetsDomains(t *testing.T) {
	t.Parallel()
	l := newQueue(5, 5, share.Rule{})
	for i := range 5 {
		l.add(waiting(fmt.Sprint(i), fmt.Sprintf("x@d%d.example", i)), time.Time{})
	}
	_, all := take(l)
	for _, c := range all {
		l.tried(c.ID)
		l.end(c)
	}
	if n := len(l.domains) + len(l.waits) + len(l.known) + len(l.slots.domains) + len(l.slots.by) + len(l.slots.quickBy) + len(l.slots.held); n != 0 {
		t.Errorf("%d are left: %+v", n, l.slots)
	}
	if l.slots.quick+l.slots.used != 0 {
		t.Errorf("%d places are used, %d quick", l.slots.used, l.slots.quick)
	}
}

func TestDomainOf(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a@Example.ORG": "example.org", `"a@b"@example.org`: "example.org", "a@[192.0.2.1]": "[192.0.2.1]", "a@": "", "a": "", "": "", "j\u00fc@B\u00fccher\u3002example": "xn--bcher-kva.example",
	} {
		if got := domainOf(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// Where a domain's servers cannot be reached its entries go back together, and new ones do not wait in line.
func TestLineOfADomainThatRests(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	l := newQueue(10, 1, share.Rule{})
	for i, domain := range []string{"a.example", "a.example", "b.example"} {
		l.add(waiting(fmt.Sprint(i), "x@"+domain), now)
	}
	got, all := take(l)
	l.tried(all[0].ID)
	l.backsOff("x@a.example", now, now.Add(time.Minute))
	l.backsOff("x@a.example", now, now.Add(time.Hour)) // another that ran's later try
	l.end(all[0])
	l.add(waiting("3", "x@a.example"), now.Add(time.Minute-1))
	if back := l.returns(); !slices.Equal(got, []string{"0", "2"}) || !slices.Equal(back, []string{"1", "3"}) {
		t.Errorf("tried %v, sent back %v", got, back)
	}
	l.add(waiting("1", "x@a.example"), now.Add(time.Minute))
	if got, _ := take(l); !slices.Equal(got, []string{"1"}) {
		t.Errorf("after the rest: got %v, want 1", got)
	}
	l.backsOff("x@a.example", now, now.Add(time.Hour))
	l.reached("x@A.example")
	l.add(waiting("4", "x@a.example"), now)
	if n := len(l.returns()); n != 0 {
		t.Errorf("after its servers were reached %d go back", n)
	}
}

// Everything rests with the relay, whatever its domain.
func TestLineOfARelayThatRests(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	l := newQueue(10, 1, share.Rule{})
	l.relayed = true
	l.add(waiting("1", "x@a.example"), now)
	l.backsOff("x@b.example", now, now.Add(time.Minute))
	l.add(waiting("2", "x@c.example"), now)
	if got, _ := take(l); len(got) != 0 {
		t.Errorf("tried %v while the relay rests", got)
	}
	l.reached("x@d.example")
	l.add(waiting("2", "x@c.example"), now)
	if got, _ := take(l); !slices.Equal(got, []string{"2"}) {
		t.Errorf("after it was reached: got %v, want 2", got)
	}
	if n := len(l.domains); n != 0 {
		t.Errorf("%d domains are left", n)
	}
}

func TestLineForgetsThoseThatRest(t *testing.T) {
	t.Parallel()
	now := time.Now()
	l := newQueue(1, 1, share.Rule{})
	for i := range 2*mostResting + 1 {
		l.backsOff(fmt.Sprintf("x@d%d.example", i), now, now.Add(time.Hour))
	}
	if n := len(l.backOffs); n > mostResting {
		t.Errorf("%d rest, want at most %d", n, mostResting)
	}
}

// What has a place but for others makes replies slow; what its own domain holds up, or is tried again, does not.
func TestRepliesThatLeaveTooSlowly(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	before := now.Add(-time.Hour)
	l := newQueue(1, 1, share.Rule{})
	l.add(waiting("runs", "x@slow.example"), before)
	if got, _ := take(l); len(got) != 1 {
		t.Fatalf("got %v", got)
	}
	l.add(waiting("its own", "x@slow.example"), before)
	for i := range longLine {
		again := waiting(fmt.Sprint("again ", i), fmt.Sprintf("x@d%d.example", i%20))
		again.Tries = 1
		l.add(again, before)
	}
	old := waiting("old", "x@other.example") // of before a restart
	old.Created = before
	l.add(old, now)
	if l.slowly(now) {
		t.Error("an entry that its own domain holds up counts, or a further try, or how old one is")
	}
	if now := now.Add(longStand); l.slowly(now) || !l.slowly(now.Add(1)) {
		t.Error("one that stands here too long does not count, or too early")
	}
	l = newQueue(1, 1, share.Rule{})
	for i := range longLine {
		if l.slowly(now) {
			t.Fatalf("%d are too many", i)
		}
		l.add(waiting(fmt.Sprint(i), fmt.Sprintf("x@d%d.example", i)), now)
	}
	if !l.slowly(now) {
		t.Errorf("%d are not too many", longLine)
	}
}

// crowd has entries of one network and one organisation stand here since long ago.
func crowd(l *queue, n int, now time.Time) {
	for i := range n {
		l.add(of(fmt.Sprint("crowd", i), "2001:db8:1:100::1", fmt.Sprintf("x@d%d.evil.example", i)), now.Add(-time.Hour))
	}
}

// Where replies leave too slowly those are put off whose network or organisation causes it, and nobody else.
func TestWhoIsPutOff(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, c := range []struct {
		name, client, to string
		want             bool
	}{
		{"the network", "2001:db8:1:100::2", "ann@honest.example", true},
		{"another /64 of the /56", "2001:db8:1:1ff::1", "ann@honest.example", true},
		{"another /56 of the /48", "2001:db8:1:200::1", "ann@honest.example", true},
		{"the organisation", "192.0.2.1", "y@d99.evil.example", true},
		{"another network and organisation", "2001:db8:2:100::1", "ann@honest.example", false},
		{"nothing is known of it", "", "", false},
	} {
		l := newQueue(1, 1, share.Rule{Part: 8})
		crowd(l, 50, now)
		l.add(of("waits", "192.0.2.1", "ann@honest.example"), now.Add(-time.Hour)) // for who has caused it
		var client netip.Addr
		if c.client != "" {
			client = netip.MustParseAddr(c.client)
		}
		if got := l.isBehind(client, c.to, now); got != c.want {
			t.Errorf("%s: put off %t, want %t", c.name, got, c.want)
		}
	}
}

func TestEase(t *testing.T) {
	t.Parallel()
	client := netip.MustParseAddr("2001:db8:1:100::1")
	d := &Deliverer{cfg: Config{Now: time.Now}, queue: newQueue(1, 1, share.Rule{Part: 8})}
	if err := d.Admit(t.Context(), client, "x@evil.example"); err != nil {
		t.Fatal(err)
	}
	crowd(d.queue, 50, time.Now())
	ctx, cancel := context.WithCancelCause(t.Context())
	left := errors.New("left")
	time.AfterFunc(2*easeLook, func() { cancel(left) })
	if err := d.Admit(ctx, client, "x@evil.example"); !errors.Is(err, left) {
		t.Errorf("got %v, want %v", err, left)
	}
	if err := d.Admit(t.Context(), netip.MustParseAddr("192.0.2.1"), "ann@honest.example"); err != nil {
		t.Errorf("who has not caused it waits: %v", err)
	}
	time.AfterFunc(2*easeLook, func() { d.queue.drain() })
	if err := d.Admit(t.Context(), client, "x@evil.example"); err != nil {
		t.Errorf("it does not end with the wait: %v", err)
	}
}
