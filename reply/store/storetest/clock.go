package storetest

import (
	"testing"
	"time"

	"checkauth/reply"
	"checkauth/reply/store"
)

// years is how far a clock is off in these tests.
const years = 3 * 365 * 24 * time.Hour

// life of what Entry makes.
const life = 24 * time.Hour

func windowOfTheFuture(t *testing.T, s store.Store) {
	at := func(now time.Time) reply.Bucket {
		return reply.Bucket{Key: "day", Limit: 1, Expires: now.Add(life)}
	}
	count := func(id string, now time.Time) string {
		t.Helper()
		b := []reply.Bucket{at(now)}
		peek, err := s.Peek(t.Context(), b, now)
		must(t, err)
		full, err := s.Put(t.Context(), Entry(id), b, now)
		must(t, err)
		if full.Key != peek.Key {
			t.Errorf("%s: put finds %q full, peek %q", id, full.Key, peek.Key)
		}
		return full.Key
	}
	for _, c := range []struct {
		id   string
		now  time.Time
		want string
	}{
		{"ahead", Start.Add(years), ""},
		{"ahead again", Start.Add(years + time.Hour), "day"},
		{"set right", Start, ""},
		{"right again", Start.Add(time.Hour), "day"},
		{"a little back", Start.Add(-30 * time.Second), "day"}, // as clocks are corrected all the time
		{"behind", Start.Add(-years), ""},
		{"behind again", Start.Add(time.Hour - years), "day"},
		{"right at last", Start.Add(2 * time.Hour), ""},
	} {
		if got := count(c.id, c.now); got != c.want {
			t.Errorf("%s: got %q full, want %q", c.id, got, c.want)
		}
	}
}

func secretAhead(t *testing.T, s store.Store) {
	names := func(name string, expires, now time.Time) map[string][]byte {
		t.Helper()
		m, err := s.Secrets(t.Context(), name, []byte(name), expires, now)
		must(t, err)
		return m
	}
	names("now", Start.Add(62*life), Start)
	names("ahead", Start.Add(years+62*life), Start.Add(years))
	must(t, s.Sweep(t.Context(), Start.Add(years)))
	if m := names("now", Start.Add(62*life), Start); string(m["now"]) != "now" {
		t.Errorf("after the clock was set right: %q, want the secret of before", m)
	}
	// Where there are newer ones it goes.
	for _, name := range []string{"a", "b"} {
		names(name, Start.Add(90*life), Start)
	}
	must(t, s.Sweep(t.Context(), Start.Add(63*life)))
	if m := names("b", Start, Start); m["now"] != nil {
		t.Errorf("it is there after its time, with three newer ones: %q", m)
	}
}

func seenAhead(t *testing.T, s store.Store) {
	e := Entry("one")
	e.Created, e.Expires = e.Created.Add(years), e.Expires.Add(years)
	_, err := s.Put(t.Context(), e, nil, e.Created)
	must(t, err)
	for now, want := range map[time.Time]string{e.Created: "one", Start: ""} {
		if id, err := s.Seen(t.Context(), e.Digest, now.Add(-time.Hour), now); id != want || err != nil {
			t.Errorf("at %s: got %q, %v, want %q", now, id, err, want)
		}
	}
}

// claimOne wants one entry, and its remaining life.
func claimOne(t *testing.T, s store.Store, now time.Time, remains time.Duration) store.Claimed {
	t.Helper()
	got, err := s.Claim(t.Context(), now, 10)
	must(t, err)
	if len(got) != 1 {
		t.Fatalf("at %s: claimed %d entries, want 1", now, len(got))
	}
	if left := got[0].Expires.Sub(now); left != remains {
		t.Errorf("at %s: it lives %s longer, want %s", now, left, remains)
	}
	return got[0]
}

func setBack(t *testing.T, s store.Store) {
	ahead := Start.Add(years)
	for _, id := range []string{"leased", "waiting"} {
		e := Entry(id)
		e.Created, e.Expires = ahead, ahead.Add(life)
		_, err := s.Put(t.Context(), e, nil, ahead)
		must(t, err)
	}
	must(t, s.Retry(t.Context(), "waiting", ahead.Add(time.Hour), store.Outcome{}))
	_, err := s.Claim(t.Context(), ahead.Add(time.Minute), 10)
	must(t, err)
	got, err := s.Claim(t.Context(), Start, 10)
	must(t, err)
	if len(got) != 2 {
		t.Fatalf("claimed %d entries when the clock was set back, want both", len(got))
	}
	for _, c := range got {
		if !c.Created.Equal(Start) || !c.Expires.Equal(Start.Add(life)) {
			t.Errorf("%s: made %s, until %s, want now and a day", c.ID, c.Created, c.Expires)
		}
	}
	if again, err := s.Claim(t.Context(), Start.Add(time.Second), 10); len(again) != 0 || err != nil {
		t.Errorf("claimed %d again, %v", len(again), err)
	}
}

// An entry of before waits by the clock that was ahead.
func setBackOlder(t *testing.T, s store.Store) {
	put(t, s, Entry("one"))
	must(t, s.Retry(t.Context(), "one", Start.Add(time.Hour), store.Outcome{}))
	claimOne(t, s, Start.Add(years), life-time.Hour) // 23 hours were left at the look that was planned
	must(t, s.Retry(t.Context(), "one", Start.Add(years+time.Hour), store.Outcome{}))
	claimOne(t, s, Start.Add(2*time.Hour), life-2*time.Hour)
}

// A try that began before the clock was set back ends after the entry was put right.
func healedOnce(t *testing.T, s store.Store) {
	e, ahead := Entry("one"), Start.Add(years)
	e.Created, e.Expires = ahead, ahead.Add(life)
	_, err := s.Put(t.Context(), e, nil, ahead)
	must(t, err)
	claimOne(t, s, Start, life)
	must(t, s.Release(t.Context(), "one", ahead))
	claimOne(t, s, Start.Add(time.Minute), life-time.Minute)
}

func setAhead(t *testing.T, s store.Store) {
	put(t, s, Entry("one"))
	must(t, s.Retry(t.Context(), "one", Start.Add(time.Minute), store.Outcome{}))
	if c := claimOne(t, s, Start.Add(years), life-time.Minute); c.Tries != 1 {
		t.Errorf("%d tries, want 1", c.Tries)
	}
	// It is tried over its whole life from here.
	must(t, s.Retry(t.Context(), "one", Start.Add(years+5*time.Minute), store.Outcome{}))
	claimOne(t, s, Start.Add(years+5*time.Minute), life-6*time.Minute)
}

// Time that passes with somebody there counts.
func expires(t *testing.T, s store.Store) {
	put(t, s, Entry("one"))
	now := Start
	for now.Before(Start.Add(25 * time.Hour)) {
		now = now.Add(time.Hour)
		must(t, s.Retry(t.Context(), "one", now, store.Outcome{}))
		claimOne(t, s, now.Add(time.Minute), Start.Add(life).Sub(now.Add(time.Minute)))
	}
}

func endedAhead(t *testing.T, s store.Store) {
	e := Entry("one")
	put(t, s, e)
	must(t, s.Done(t.Context(), "one", Start.Add(years), store.Outcome{}))
	must(t, s.Sweep(t.Context(), Start.Add(time.Minute)))
	if id, err := s.Seen(t.Context(), e.Digest, Start, Start); id != "" || err != nil {
		t.Errorf("got %q, %v, want it forgotten", id, err)
	}
}
