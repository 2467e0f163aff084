package share_test

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"checkauth/verify/share"
)

// What grows is bounded like what comes at once, and is given back in parts or as a whole.
func TestHold(t *testing.T) {
	t.Parallel()
	p := share.NewPot(90, share.Rule{Part: 8})
	a, b := p.Hold(netip.MustParseAddr("2001:db8::1")), p.Hold(netip.MustParseAddr("2001:db8:0:ffff::1"))
	for _, step := range []struct {
		hold *share.Hold
		take int
		ok   bool
	}{{a, 12, false}, {a, 8, true}, {a, 3, false}, {a, 2, true}, {b, 1, false}} { // 90/8 is 11, 80/8 is 10
		if err := step.hold.Take(step.take); (err == nil) != step.ok {
			t.Errorf("taking %d: %v", step.take, err)
		}
	}
	a.Return(4)
	if err := b.Take(4); err != nil || p.Used() != 10 {
		t.Errorf("%v, %d taken", err, p.Used())
	}
	a.Give()
	a.Give()
	b.Give()
	if p.Used() != 0 {
		t.Errorf("%d are still taken", p.Used())
	}
}

// Where nothing is free, who has one hears of his share, and who has none that all are taken: the one may make room for
// himself, the other is made room for by anybody.
func TestWhoHearsWhatOfAnEmptyPot(t *testing.T) {
	t.Parallel()
	p := share.NewPot(2, share.Rule{Part: 8})
	one := p.Hold(netip.MustParseAddr("192.0.2.1"))
	for _, h := range []*share.Hold{one, p.Hold(netip.MustParseAddr("198.51.100.1"))} {
		if err := h.Take(1); err != nil {
			t.Fatal(err)
		}
	}
	var full *share.Error
	if _, err := p.Take(netip.MustParseAddr("192.0.2.77")); !errors.As(err, &full) || full.Network.String() != "192.0.2.0/24" || full.Have != 1 {
		t.Errorf("who has one hears %v", err)
	}
	third := p.Hold(netip.MustParseAddr("203.0.113.1"))
	if err := third.Take(1); !errors.As(err, &full) || full.Network.IsValid() {
		t.Errorf("who has none hears %v", err)
	}
	third.Instead(one)
	if _, err := p.Take(netip.MustParseAddr("203.0.113.77")); err == nil || p.Used() != 2 {
		t.Errorf("%v, %d taken: the place has not passed on", err, p.Used())
	}
	one.Give()
	if p.Used() != 2 {
		t.Error("who has nothing left gave something back")
	}
	third.Give()
	if _, err := p.Take(netip.MustParseAddr("192.0.2.77")); err != nil {
		t.Error(err)
	}
}

func TestNotices(t *testing.T) {
	t.Parallel()
	var n share.Notices
	now := time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC)
	told := 0
	for i := range 100 {
		for range 3 {
			if due, others := n.Due(strconv.Itoa(i), now); due {
				told++
			} else if others != 0 {
				t.Errorf("%d others of a minute before the first", others)
			}
		}
	}
	if told != 20 {
		t.Errorf("told of %d, want 20", told)
	}
	if due, others := n.Due("0", now.Add(time.Minute)); !due || others != 240 {
		t.Errorf("a minute later: %t, %d others", due, others)
	}
	if due, _ := n.Due("0", now.AddDate(-3, 0, 0)); !due {
		t.Error("a clock that was set back silences it")
	}
}

func TestTurns(t *testing.T) {
	t.Parallel()
	var none share.Turns
	ran := 0
	none.Do(t.Context(), func() { none.Do(t.Context(), func() { ran++ }) })
	one := share.NewTurns(1)
	over, end := context.WithCancel(t.Context())
	end()
	one.Do(t.Context(), func() {
		ran++
		if one.Take(over) {
			t.Error("two have a turn")
		}
		one.Do(over, func() { ran++ }) // it is told by its context
	})
	func() {
		defer func() { _ = recover() }()
		one.Do(t.Context(), func() { panic("oops") })
	}()
	if !one.Take(t.Context()) || ran != 3 {
		t.Errorf("ran %d, want 3", ran)
	}
}
