package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"checkauth/reply"
	"checkauth/reply/store"
)

// potOf is a pot of that size, and shares of an eighth of what is free in it.
func potOf(size int64, of ...string) []reply.Bucket {
	all := []reply.Bucket{bucket("pot", size)}
	for _, whom := range of {
		all = append(all, reply.Bucket{Key: "pot-share/" + whom, Limit: size, Expires: Start.Add(time.Hour), Pot: "pot", Part: 8})
	}
	return all
}

// fill puts entries until one is refused, and tells how many there were and which bucket was full.
func fill(t *testing.T, s store.Store, name string, buckets []reply.Bucket) (n int, full string) {
	t.Helper()
	for ; n < 1000; n++ {
		peek, err := s.Peek(t.Context(), buckets, Start)
		must(t, err)
		full = put(t, s, Entry(fmt.Sprint(name, n)), buckets...)
		if full != peek.Key {
			t.Fatalf("%s: put finds %q full, peek %q", name, full, peek.Key)
		}
		if full != "" {
			return n, full
		}
	}
	return n, ""
}

// The shares of share.Rule, counted one after the other: 7 of 64 leave 57, an eighth of which is 7.
func shares(t *testing.T, s store.Store) {
	for i, c := range []struct {
		of   []string
		n    int
		full string
	}{
		{[]string{"a"}, 7, "pot-share/a"},      // of 64
		{[]string{"a"}, 0, "pot-share/a"},      // and no more
		{[]string{"b", "a"}, 0, "pot-share/a"}, // who is in both is bound by both
		{[]string{"b"}, 6, "pot-share/b"},      // of 57
		{nil, 51, "pot"},                       // without a share there is no bound but the pot
		{[]string{"c"}, 0, "pot"},              // whoever comes then: it is not his share
		{[]string{"a"}, 0, "pot"},
	} {
		if n, full := fill(t, s, fmt.Sprint("e", i, "-"), potOf(64, c.of...)); n != c.n || full != c.full {
			t.Errorf("%d, %v: %d entries until %q is full, want %d until %q", i, c.of, n, full, c.n, c.full)
		}
	}
}

// Everybody has one, while there is one.
func lastShares(t *testing.T, s store.Store) {
	for i := range 8 {
		if n, full := fill(t, s, fmt.Sprint("e", i, "-"), potOf(8, fmt.Sprint("n", i))); n != 1 {
			t.Errorf("network %d: %d entries until %q is full, want 1", i, n, full)
		}
	}
	if full := put(t, s, Entry("late"), potOf(8, "late")...); full != "pot" {
		t.Errorf("the ninth: %q is full, want the pot", full)
	}
}

// Once four fifths are taken, Few is the bound, and Limit always.
func fewShares(t *testing.T, s store.Store) {
	with := func(few, limit int64, whom string) []reply.Bucket {
		b := potOf(100, whom)
		b[1].Few, b[1].Limit = few, limit
		return b
	}
	if n, _ := fill(t, s, "a", with(2, 100, "a")); n != 11 {
		t.Errorf("of 100: %d, want 11", n)
	}
	if n, _ := fill(t, s, "b", with(2, 3, "b")); n != 3 {
		t.Errorf("with a limit of 3: %d", n)
	}
	for i := range 65 { // 79
		put(t, s, Entry(fmt.Sprint("rest", i)), potOf(100)...)
	}
	if full := put(t, s, Entry("c1"), with(1, 100, "c")...); full != "" {
		t.Errorf("the first of a network with 21 of 100 free: %q is full", full)
	}
	if full := put(t, s, Entry("c2"), with(1, 100, "c")...); full != "pot-share/c" {
		t.Errorf("the second with 20 free: %q is full, want the share", full)
	}
	if full := put(t, s, Entry("d1"), with(1, 100, "d")...); full != "" {
		t.Errorf("another network: %q is full", full)
	}
}

// The decision is made with the count: many at once get no more than one after the other.
func sharesAtOnce(t *testing.T, s store.Store) {
	var all sync.WaitGroup
	var mu sync.Mutex
	got := map[string]int{}
	for i := range 120 {
		all.Go(func() {
			whom := fmt.Sprint("n", i%3)
			full, err := s.Put(t.Context(), Entry(fmt.Sprint("e", i)), potOf(64, whom), Start)
			if err != nil {
				t.Errorf("entry %d: %v", i, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if full.Key == "" {
				got[whom]++
				got["all"]++
			}
		})
	}
	all.Wait()
	// Each of three has taken until it had an eighth of what was left by then.
	if got["all"] < 16 || got["all"] > 19 || got["n0"] > 7 || got["n1"] > 7 || got["n2"] > 7 {
		t.Errorf("got %v, want at most 7 each and 16 to 19 in all", got)
	}
}

func counts(t *testing.T, s store.Store) {
	count := func(in, back []reply.Bucket, after time.Duration, want string) {
		t.Helper()
		full, err := s.Count(t.Context(), in, back, Start.Add(after))
		if full.Key != want || err != nil {
			t.Errorf("got %q full, %v, want %q", full.Key, err, want)
		}
	}
	a, b := []reply.Bucket{bucket("a", 2)}, []reply.Bucket{bucket("b", 1)}
	count(a, nil, 0, "")
	if full := put(t, s, Entry("one"), a...); full != "" {
		t.Errorf("%q is full: what is counted without an entry and with one is one", full)
	}
	count(a, nil, 0, "a")
	count(append(b, a...), nil, 0, "a") // all or nothing
	count(b, nil, 0, "")
	count(nil, a, 0, "")
	count(a, nil, 0, "")
	count(a, nil, 0, "a")
	count(b, a, 0, "b") // nothing is given back where nothing is counted
	count(a, nil, 0, "a")
	count(nil, []reply.Bucket{bucket("never", 1)}, 0, "") // there is nothing to give back
	count([]reply.Bucket{bucket("never", 1)}, nil, 0, "")
	count([]reply.Bucket{bucket("never", 1)}, nil, 0, "never")
	count(nil, nil, 0, "")
	// A window that has begun anew since has not counted it.
	renewed := reply.Bucket{Key: "b", Limit: 1, Expires: Start.Add(3 * time.Hour)}
	count([]reply.Bucket{renewed}, nil, 2*time.Hour, "")
	count(nil, b, 2*time.Hour, "")
	count([]reply.Bucket{renewed}, nil, 2*time.Hour, "b")
	count(nil, []reply.Bucket{renewed}, 2*time.Hour, "")
	count([]reply.Bucket{renewed}, nil, 2*time.Hour, "")
	wantClaimed(t, s, Lease, 1)
}

func countsAtOnce(t *testing.T, s store.Store) {
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			b := []reply.Bucket{bucket(fmt.Sprint("k", i%4), 1000), bucket(fmt.Sprint("k", (i+1)%4), 1000)}
			if _, err := s.Count(t.Context(), b, nil, Start); err != nil {
				t.Error(err)
			}
			if _, err := s.Count(t.Context(), nil, b, Start); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for i := range 4 {
		if full, err := s.Peek(t.Context(), []reply.Bucket{bucket(fmt.Sprint("k", i), 1)}, Start); full.Key != "" || err != nil {
			t.Errorf("k%d has something left: %v", i, err)
		}
	}
}
