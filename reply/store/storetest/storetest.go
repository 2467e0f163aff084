// Package storetest is the conformance test of a store: each kind of store passes Run.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"checkauth/reply"
	"checkauth/reply/store"
)

// Lease is the lease that open has to set.
const Lease = 20 * time.Minute

// Start is the first moment in all tests; nothing here asks the real clock.
var Start = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// Entry makes an entry with that id, which lives for a day.
func Entry(id string) reply.Entry {
	return reply.Entry{
		ID: id, To: "a@example.org", MessageID: "<" + id + "@verifier.example.org>",
		Body: []byte("Subject: report\r\n\r\n" + id + "\r\n"), Digest: []byte("digest of " + id),
		Created: Start, Expires: Start.Add(24 * time.Hour),
	}
}

// Run tests a store; open gives an empty one, closed by the test's end.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, store.Store)
	}{
		{"an entry comes back as it was put", roundTrip},
		{"an entry is born leased, and due when its lease is over", bornLeased},
		{"a full bucket refuses the whole entry", allOrNothing},
		{"a refused entry leaves its neighbours", neighbours},
		{"a limit holds under many producers", limit},
		{"a counter starts again when its window is over", window},
		{"a window begins with its first one and is not drawn out", firstWindow},
		{"a bucket named twice counts once", twice},
		{"a network has its share of what is free in a pot", shares},
		{"a pot has one for each network while there is one", lastShares},
		{"of the last fifth of a pot each network has a few", fewShares},
		{"shares hold under many producers", sharesAtOnce},
		{"what is counted without an entry is counted, and given back", counts},
		{"counts and returns of many keys at once come out even", countsAtOnce},
		{"the same id is an error, once", sameID},
		{"the same message is seen for as long as asked", seen},
		{"a retry comes when it is due, and is counted", retry},
		{"a release is not counted", release},
		{"a lease is renewed as long as it is this node's", renew},
		{"what is finished does not come back", finished},
		{"an unknown entry is an error", unknown},
		{"claims share nothing", claims},
		{"networks take turns where more is due than is asked for", turns},
		{"organisations take turns within a network", turnsInside},
		{"an entry without a network takes its turn", turnsOfNobody},
		{"one whose lease is over takes its turn", turnsOfLeases},
		{"a secret is the first one's, for all", secrets},
		{"a stopped address stays so until it is resumed", stops},
		{"a reply that did not arrive is remembered for whom it was", undelivered},
		{"sweep forgets what expired, and nothing else", sweep},
		{"an ended context begins nothing", ended},
		{"a window that a clock of the future began is void", windowOfTheFuture},
		{"a secret outlasts a sweep by a clock that is ahead", secretAhead},
		{"what was made in the future was not seen", seenAhead},
		{"a clock set back leaves no entry waiting", setBack},
		{"a clock set back leaves an older entry its life", setBackOlder},
		{"an entry is put right once", healedOnce},
		{"a clock set ahead expires no entry", setAhead},
		{"an entry that is looked at in time expires", expires},
		{"what ended in the future is forgotten", endedAhead},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, open(t))
		})
	}
}

func put(t *testing.T, s store.Store, e reply.Entry, buckets ...reply.Bucket) string {
	t.Helper()
	full, err := s.Put(t.Context(), e, buckets, Start)
	if err != nil {
		t.Fatalf("put %s: %v", e.ID, err)
	}
	return full.Key
}

func claimAt(t *testing.T, s store.Store, after time.Duration) []store.Claimed {
	t.Helper()
	got, err := s.Claim(t.Context(), Start.Add(after), 100)
	if err != nil {
		t.Fatalf("claim: %v", err)
	}
	return got
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantClaimed(t *testing.T, s store.Store, after time.Duration, want int) []store.Claimed {
	t.Helper()
	got := claimAt(t, s, after)
	if len(got) != want {
		t.Fatalf("claimed after %s: got %d entries, want %d", after, len(got), want)
	}
	return got
}

func bucket(key string, limit int64) reply.Bucket {
	return reply.Bucket{Key: key, Limit: limit, Expires: Start.Add(time.Hour)}
}

func roundTrip(t *testing.T, s store.Store) {
	e := Entry("one")
	e.From, e.UTF8, e.EightBit = "operator@example.org", true, true
	e.Client = netip.MustParseAddr("2001:db8:1:2::") // the first of its /64
	e.Body = bytes.Repeat([]byte("\x00\xff\r\n."), 20000)
	put(t, s, e)
	got := wantClaimed(t, s, Lease, 1)[0]
	if g, w := fmt.Sprintf("%+v", got.Entry), fmt.Sprintf("%+v", e); g != w || got.Tries != 0 {
		t.Errorf("got %.300s (%d tries), want %.300s", g, got.Tries, w)
	}
}

func bornLeased(t *testing.T, s store.Store) {
	put(t, s, Entry("one"))
	wantClaimed(t, s, 0, 0)
	wantClaimed(t, s, Lease-time.Nanosecond, 0)
	wantClaimed(t, s, Lease, 1)
	wantClaimed(t, s, 2*Lease-time.Nanosecond, 0)
	wantClaimed(t, s, 2*Lease, 1)
}

func allOrNothing(t *testing.T, s store.Store) {
	if full := put(t, s, Entry("one"), bucket("b", 1), bucket("a", 2)); full != "" {
		t.Fatalf("first: %q is full", full)
	}
	for range 3 { // the refused ones must not count in a
		if full := put(t, s, Entry("two"), bucket("a", 2), bucket("b", 1)); full != "b" {
			t.Fatalf("second: got %q full, want b", full)
		}
	}
	if full := put(t, s, Entry("three"), bucket("a", 2)); full != "" {
		t.Errorf("third: %q is full", full)
	}
	full, err := s.Peek(t.Context(), []reply.Bucket{bucket("c", 1), bucket("b", 1), bucket("a", 2)}, Start)
	if full.Key != "a" || full.Until != Start.Add(time.Hour) || err != nil {
		t.Errorf("peek: got %v, %v, want a until an hour later: the first by key", full, err)
	}
	if full := put(t, s, Entry("four"), bucket("none", 0)); full != "none" {
		t.Errorf("limit 0: got %q full, want none", full)
	}
	wantClaimed(t, s, Lease, 2)
}

func neighbours(t *testing.T, s store.Store) {
	put(t, s, Entry("first"), bucket("full", 1))
	var all sync.WaitGroup
	for i := range 60 {
		all.Go(func() {
			buckets := []reply.Bucket{bucket("mine", 1000)}
			if i%3 == 0 {
				buckets = append(buckets, bucket("full", 1))
			}
			full, err := s.Put(t.Context(), Entry(fmt.Sprint("e", i)), buckets, Start)
			if err != nil || (full.Key == "full") != (i%3 == 0) {
				t.Errorf("entry %d: got %q full, %v", i, full, err)
			}
		})
	}
	all.Wait()
	wantClaimed(t, s, Lease, 41)
	for limit, want := range map[int64]string{40: "mine", 41: ""} {
		if full, err := s.Peek(t.Context(), []reply.Bucket{bucket("mine", limit)}, Start); full.Key != want || err != nil {
			t.Errorf("peek at limit %d: got %q, %v, want %q", limit, full, err, want)
		}
	}
}

func limit(t *testing.T, s store.Store) {
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			if _, err := s.Put(t.Context(), Entry(fmt.Sprint("e", i)), []reply.Bucket{bucket("day", 12)}, Start); err != nil {
				t.Errorf("entry %d: %v", i, err)
			}
		})
	}
	all.Wait()
	wantClaimed(t, s, Lease, 12)
}

func window(t *testing.T, s store.Store) {
	b := bucket("minute", 1)
	put(t, s, Entry("one"), b)
	for _, c := range []struct {
		after time.Duration
		want  string
	}{{time.Hour - 1, "minute"}, {time.Hour, ""}, {time.Hour, "minute"}} {
		now := Start.Add(c.after)
		renewed := reply.Bucket{Key: b.Key, Limit: 1, Expires: now.Add(time.Hour)}
		peek, err := s.Peek(t.Context(), []reply.Bucket{renewed}, now)
		must(t, err)
		full, err := s.Put(t.Context(), Entry("later"+c.want+c.after.String()), []reply.Bucket{renewed}, now)
		must(t, err)
		if full.Key != c.want || peek.Key != c.want {
			t.Errorf("after %s: got %v full (peek: %v), want %q", c.after, full, peek, c.want)
		}
	}
}

func twice(t *testing.T, s store.Store) {
	if full := put(t, s, Entry("one"), bucket("a", 5), bucket("a", 1)); full != "" {
		t.Errorf("first: got %q full", full)
	}
	if full := put(t, s, Entry("two"), bucket("a", 5), bucket("a", 1)); full != "a" {
		t.Errorf("second: got %q full, want a: the smallest limit counts", full)
	}
}

func sameID(t *testing.T, s store.Store) {
	put(t, s, Entry("one"))
	if _, err := s.Put(t.Context(), Entry("one"), []reply.Bucket{bucket("a", 1)}, Start); err == nil {
		t.Error("the same id again: got no error")
	}
	if full := put(t, s, Entry("two"), bucket("a", 1)); full != "" {
		t.Errorf("%q is full: the failed entry was counted", full)
	}
	if _, err := s.Put(t.Context(), Entry(""), nil, Start); err == nil {
		t.Error("an empty id: got no error")
	}
}

func seen(t *testing.T, s store.Store) {
	e := Entry("one")
	put(t, s, e)
	plain := Entry("two")
	plain.Digest = nil
	put(t, s, plain)
	check := func(when string, digest []byte, since time.Time, want string) {
		t.Helper()
		if got, err := s.Seen(t.Context(), digest, since, Start); got != want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", when, got, err, want)
		}
	}
	check("on its way", e.Digest, Start.Add(-time.Hour), "one")
	check("made right then", e.Digest, Start, "one")
	check("made before", e.Digest, Start.Add(1), "")
	check("another digest", []byte("other"), Start, "")
	check("no digest", nil, Start, "")
	must(t, s.Done(t.Context(), "one", Start, store.Outcome{}))
	check("done", e.Digest, Start, "one")
	again := Entry("three")
	again.Digest = []byte("third")
	put(t, s, again)
	must(t, s.Fail(t.Context(), "three", Start, store.Outcome{Reason: "no such user"}))
	check("failed", again.Digest, Start, "")
}

func retry(t *testing.T, s store.Store) {
	put(t, s, Entry("one"))
	must(t, s.Retry(t.Context(), "one", Start.Add(time.Minute), store.Outcome{Reason: "greylisted"}))
	wantClaimed(t, s, time.Minute-1, 0)
	if got := wantClaimed(t, s, time.Minute, 1)[0]; got.Tries != 1 || string(got.Body) != string(Entry("one").Body) {
		t.Errorf("got %d tries, body %q", got.Tries, got.Body)
	}
	must(t, s.Retry(t.Context(), "one", Start.Add(2*time.Minute), store.Outcome{Reason: "greylisted"}))
	if got := wantClaimed(t, s, 2*time.Minute, 1)[0]; got.Tries != 2 {
		t.Errorf("got %d tries, want 2", got.Tries)
	}
}

func undelivered(t *testing.T, s store.Store) {
	check := func(when, whom string, want store.Undelivered) {
		t.Helper()
		if got, err := s.Undelivered(t.Context(), whom); got != want || err != nil {
			t.Errorf("%s: got %+v, %v, want %+v", when, got, err, want)
		}
	}
	none := store.Undelivered{}
	e := Entry("one")
	e.Whom = "a@example.org"
	put(t, s, e)
	check("on its first try", e.Whom, none)
	must(t, s.Release(t.Context(), "one", Start))
	check("not tried", e.Whom, none)
	wantClaimed(t, s, 0, 1)
	must(t, s.Retry(t.Context(), "one", Start.Add(time.Minute), store.Outcome{Reason: "450 later", Kind: "later"}))
	check("it waits", e.Whom, store.Undelivered{Created: e.Created, Tries: 1, Kind: "later"})
	check("another's", "b@example.org", none)
	check("nobody's", "", none)
	newer := Entry("two")
	newer.Whom, newer.Created = e.Whom, e.Created.Add(time.Second)
	put(t, s, newer)
	must(t, s.Done(t.Context(), "two", Start, store.Outcome{}))
	check("a later one arrived", e.Whom, store.Undelivered{Created: e.Created, Tries: 1, Kind: "later"})
	wantClaimed(t, s, time.Minute, 1)
	must(t, s.Fail(t.Context(), "one", Start, store.Outcome{Reason: "550 no such user", Kind: "recipient"}))
	check("it has failed", e.Whom, store.Undelivered{Created: e.Created, Tries: 2, Kind: "recipient", Ended: true})
	must(t, s.Sweep(t.Context(), Start.Add(25*time.Hour)))
	check("forgotten", e.Whom, none)
	plain := Entry("three")
	put(t, s, plain)
	must(t, s.Fail(t.Context(), "three", Start, store.Outcome{Kind: "recipient"}))
	check("an entry of nobody", "", none)
}

func release(t *testing.T, s store.Store) {
	put(t, s, Entry("one"))
	must(t, s.Release(t.Context(), "one", Start))
	if got := wantClaimed(t, s, 0, 1)[0]; got.Tries != 0 {
		t.Errorf("got %d tries, want 0", got.Tries)
	}
}

func renew(t *testing.T, s store.Store) {
	put(t, s, Entry("one"))
	must(t, s.Renew(t.Context(), "one", Start.Add(Lease)))
	wantClaimed(t, s, 2*Lease-1, 0)
	if got := wantClaimed(t, s, 2*Lease, 1)[0]; got.Until != Start.Add(3*Lease) {
		t.Errorf("got a lease until %s, want %s", got.Until, Start.Add(3*Lease))
	}
	// Whoever still has it in memory from before asks for it in this node's name.
	must(t, s.Renew(t.Context(), "one", Start.Add(2*Lease)))
	must(t, s.Retry(t.Context(), "one", Start.Add(4*Lease), store.Outcome{}))
	if err := s.Renew(t.Context(), "one", Start.Add(2*Lease)); !errors.Is(err, store.ErrUnknown) {
		t.Errorf("it waits: got %v, want %v", err, store.ErrUnknown)
	}
	wantClaimed(t, s, 4*Lease-1, 0)
}

func finished(t *testing.T, s store.Store) {
	put(t, s, Entry("taken"))
	put(t, s, Entry("refused"))
	must(t, s.Done(t.Context(), "taken", Start, store.Outcome{}))
	must(t, s.Fail(t.Context(), "refused", Start, store.Outcome{Reason: "550 5.1.1 no such user"}))
	wantClaimed(t, s, 100*time.Hour, 0)
}

func unknown(t *testing.T, s store.Store) {
	put(t, s, Entry("gone"))
	must(t, s.Done(t.Context(), "gone", Start, store.Outcome{}))
	for _, id := range []string{"gone", "never"} {
		for name, err := range map[string]error{
			"Done":    s.Done(t.Context(), id, Start, store.Outcome{}),
			"Fail":    s.Fail(t.Context(), id, Start, store.Outcome{}),
			"Retry":   s.Retry(t.Context(), id, Start, store.Outcome{}),
			"Release": s.Release(t.Context(), id, Start),
			"Renew":   s.Renew(t.Context(), id, Start),
		} {
			if !errors.Is(err, store.ErrUnknown) {
				t.Errorf("%s %s: got %v, want %v", name, id, err, store.ErrUnknown)
			}
		}
	}
}

func claims(t *testing.T, s store.Store) {
	for i := range 40 {
		put(t, s, Entry(fmt.Sprint("e", i)))
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	count := map[string]int{}
	for range 10 {
		all.Go(func() {
			got, err := s.Claim(t.Context(), Start.Add(Lease), 5)
			if err != nil || len(got) > 5 {
				t.Errorf("claim: %d entries, %v", len(got), err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, c := range got {
				count[c.ID]++
			}
		})
	}
	all.Wait()
	for id, n := range count {
		if n != 1 {
			t.Errorf("%s was claimed %d times", id, n)
		}
	}
	if len(count) != 40 {
		t.Errorf("claimed %d entries, want 40", len(count))
	}
}

func sweep(t *testing.T, s store.Store) {
	put(t, s, Entry("done"), bucket("a", 1))
	put(t, s, Entry("waiting"))
	must(t, s.Done(t.Context(), "done", Start, store.Outcome{}))
	must(t, s.Sweep(t.Context(), Start.Add(time.Hour-1)))
	if full, err := s.Peek(t.Context(), []reply.Bucket{bucket("a", 1)}, Start); full.Key != "a" || err != nil {
		t.Errorf("a counter within its window is gone: %q, %v", full, err)
	}
	must(t, s.Sweep(t.Context(), Start.Add(time.Hour)))
	if full, err := s.Peek(t.Context(), []reply.Bucket{bucket("a", 1)}, Start); full.Key != "" || err != nil {
		t.Errorf("a counter is there after its window: %q, %v", full, err)
	}
	for _, c := range []struct {
		after time.Duration
		want  string
	}{{24*time.Hour - 1, "done"}, {24 * time.Hour, ""}} {
		must(t, s.Sweep(t.Context(), Start.Add(c.after)))
		if id, err := s.Seen(t.Context(), Entry("done").Digest, Start, Start); id != c.want || err != nil {
			t.Errorf("%s later: got %q, %v, want %q", c.after, id, err, c.want)
		}
	}
	wantClaimed(t, s, 24*time.Hour, 1)
}

func ended(t *testing.T, s store.Store) {
	cause := errors.New("the 30 s for one message are over")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err := s.Put(ctx, Entry("one"), nil, Start); !errors.Is(err, cause) {
		t.Errorf("got %v, want %v", err, cause)
	}
	wantClaimed(t, s, Lease, 0)
}

func firstWindow(t *testing.T, s store.Store) {
	for i, after := range []time.Duration{0, 30 * time.Minute} {
		now := Start.Add(after)
		full, err := s.Put(t.Context(), Entry(fmt.Sprint(i)), []reply.Bucket{{Key: "a", Limit: 2, Expires: now.Add(time.Hour)}}, now)
		if full.Key != "" || err != nil {
			t.Fatalf("put %d: %v, %v", i, full, err)
		}
	}
	now := Start.Add(time.Hour - 1)
	full, err := s.Put(t.Context(), Entry("third"), []reply.Bucket{{Key: "a", Limit: 2, Expires: now.Add(time.Hour)}}, now)
	if full.Key != "a" || full.Until != Start.Add(time.Hour) || err != nil {
		t.Errorf("the third: got %v, %v, want a full until an hour after the first", full, err)
	}
}

func secrets(t *testing.T, s store.Store) {
	var all sync.WaitGroup
	got := make([]string, 20)
	for i := range got {
		all.Go(func() {
			m, err := s.Secrets(t.Context(), "one", fmt.Append(nil, "secret ", i), Start.Add(time.Hour), Start)
			if err != nil {
				t.Error(err)
			}
			got[i] = string(m["one"])
		})
	}
	all.Wait()
	for _, g := range got {
		if g == "" || g != got[0] {
			t.Fatalf("got %q", got)
		}
	}
	m, err := s.Secrets(t.Context(), "two", []byte("next"), Start.Add(2*time.Hour), Start.Add(time.Hour-1))
	if len(m) != 2 || string(m["two"]) != "next" || err != nil {
		t.Errorf("before the first expires: %q, %v", m, err)
	}
	must(t, s.Sweep(t.Context(), Start.Add(time.Hour)))
	m, err = s.Secrets(t.Context(), "two", []byte("other"), Start.Add(2*time.Hour), Start.Add(time.Hour))
	if len(m) != 1 || string(m["two"]) != "next" || err != nil {
		t.Errorf("after the first expired: %q, %v", m, err)
	}
}

func stops(t *testing.T, s store.Store) {
	for _, c := range []struct {
		do   func() error
		want bool
	}{
		{func() error { return nil }, false},
		{func() error { return s.Stop(t.Context(), "a@example.org", Start) }, true},
		{func() error { return s.Stop(t.Context(), "a@example.org", Start) }, true},
		{func() error { return s.Sweep(t.Context(), Start.Add(1000*24*time.Hour)) }, true},
		{func() error { return s.Resume(t.Context(), "b@example.org") }, true},
		{func() error { return s.Resume(t.Context(), "a@example.org") }, false},
	} {
		must(t, c.do())
		if got, err := s.Stopped(t.Context(), "a@example.org"); got != c.want || err != nil {
			t.Fatalf("got %t, %v, want %t", got, err, c.want)
		}
	}
}
