package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"checkauth/reply/store"
	"checkauth/verify/dns/dnstest"
)

// leases is a store that answers Renew.
type leases struct {
	Store
	err   error
	asked int
}

func (l *leases) Renew(context.Context, string, time.Time) error {
	l.asked++
	return l.err
}

// What waited until its lease may end before its try does is sent where a new lease is had, and only there.
func TestAnEntryIsSentUnderALease(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		left  time.Duration // of the lease
		err   error
		ok    bool
		asked int
	}{
		{"time enough", Defaults().Attempt + time.Second, errors.New("not asked"), true, 0},
		{"renewed", Defaults().Attempt, nil, true, 1},
		{"dropped, or another node's", 0, store.ErrUnknown, false, 1},
		{"not to be had", -time.Hour, errors.New("database or disk is full"), false, 1},
	} {
		cfg, l := config(t), &leases{err: c.err}
		cfg.Attempt = Defaults().Attempt
		now := time.Now()
		cfg.Now = func() time.Time { return now }
		d := newDeliverer(t, cfg, l, silent)
		claimed := store.Claimed{Entry: entry("one"), Until: now.Add(c.left)}
		d.queue.add(claimed, now)
		ok := d.ours(t.Context(), claimed)
		if _, known := d.queue.known["one"]; ok != c.ok || l.asked != c.asked || known != c.ok {
			t.Errorf("%s: got %t after %d questions, known %t; want %t after %d", c.name, ok, l.asked, known, c.ok, c.asked)
		}
	}
}

func (l *leases) Claim(context.Context, time.Time, int) ([]store.Claimed, error) {
	return []store.Claimed{
		{Entry: entry("waits"), Until: time.Now().Add(time.Hour)},
		{Entry: entry("hurried"), Until: time.Now().Add(time.Hour), Hurried: true},
	}, l.err
}

// An entry that the operator wants sent now is tried though its domain rests.
func TestTheOperatorEndsARest(t *testing.T) {
	t.Parallel()
	d := newDeliverer(t, config(t), &leases{}, silent)
	now := d.cfg.Now()
	d.queue.backsOff("a@example.org", now, now.Add(time.Hour))
	d.claim(t.Context())
	got, _ := take(d.queue)
	if back := d.queue.returns(); !slices.Equal(got, []string{"hurried"}) || !slices.Equal(back, []string{"waits"}) {
		t.Errorf("tried %q, sent back %q", got, back)
	}
}

func TestDestination(t *testing.T) {
	t.Parallel()
	zone := threeHosts + "lost.example. MX 0 gone.example.\nhalf.example. MX 0 gone.example.\nhalf.example. MX 9 one.example.org.\n" +
		"sick.example. MX 0 sick.example.org.\nsick.example. MX 9 one.example.org.\n;FAULT SERVFAIL sick.example.org. ANY\n"
	for _, c := range []struct{ to, want, fate string }{
		{"a@example.org", "[{one.example.org [127.0.0.1] false false} {two.example.org [127.0.0.2] false false} {three.example.org [127.0.0.3] false false}]", "taken"},
		{"a@lost.example", "[]", "permanent"},
		{"a@half.example", "[{one.example.org [127.0.0.1] false false}]", "taken"},
		{"a@sick.example", "[{one.example.org [127.0.0.1] false false}]", "temporary"},
		{"a@nowhere.example", "[]", "permanent"},
	} {
		got, err := Destination(t.Context(), dnstest.Zone(t, zone, patient()), c.to)
		if fmt.Sprint(got) != c.want || fate(err) != c.fate {
			t.Errorf("%s: got %v, %v, want %s, %s", c.to, got, err, c.want, c.fate)
		}
	}
}
