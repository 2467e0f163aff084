package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"checkauth/reply"
	"checkauth/reply/store"
)

// RunAdmin tests a store with its admin; open gives an empty one with both, closed by the test's end.
func RunAdmin(t *testing.T, open func(t *testing.T) (store.Store, store.Admin)) {
	for _, c := range []struct {
		name string
		test func(*testing.T, store.Store, store.Admin)
	}{
		{"an entry is shown with its last outcome, which its end keeps for a day", shown},
		{"entries are listed by state and domain, in their order", listed},
		{"counts are by state, with the oldest on its way", counted},
		{"a retry is for what waits", hurried},
		{"all that wait are due at once", hurriedAll},
		{"what waits is dropped, and comes no more", dropped},
		{"what is leased is not dropped until its lease is over", droppedLease},
		{"what is dropped and claimed at once is one of the two", raced},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, k := open(t)
			c.test(t, s, k)
		})
	}
}

var (
	greylisted = store.Outcome{Reason: "mx.example.org: RCPT: 450 4.2.0 later", Answer: "4.2.0 later", TLS: "TLS 1.3 MTA-STS", Host: "mx.example.org [192.0.2.1]"}
	welcome    = store.Outcome{Answer: "2.0.0 queued", TLS: "no: not offered", Host: "mx2.example.org"}
)

func show(t *testing.T, k store.Admin, id string) store.Stored {
	t.Helper()
	s, err := k.Show(t.Context(), id)
	if err != nil || s.Fault != nil {
		t.Fatalf("show %s: %v, %v", id, err, s.Fault)
	}
	return s
}

// wantStored compares what is known of an entry, its content too where it has one.
func wantStored(t *testing.T, when string, got, want store.Stored) {
	t.Helper()
	if want.Node == "" {
		want.Node = got.Node // the store's own name for itself
	}
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		t.Errorf("%s: got\n%s\nwant\n%s", when, g, w)
	}
}

func shown(t *testing.T, s store.Store, k store.Admin) {
	e := Entry("one")
	e.From, e.UTF8, e.EightBit = "operator@example.org", true, true
	put(t, s, e)
	wantStored(t, "new", show(t, k, "one"), store.Stored{Entry: e, State: reply.Leased, Due: Start.Add(Lease)})
	must(t, s.Retry(t.Context(), "one", Start.Add(time.Minute), greylisted))
	waits := store.Stored{Entry: e, State: reply.Waiting, Due: Start.Add(time.Minute), Tries: 1, Outcome: greylisted}
	wantStored(t, "greylisted", show(t, k, "one"), waits)
	wantClaimed(t, s, time.Minute, 1)
	must(t, s.Release(t.Context(), "one", Start.Add(2*time.Minute)))
	waits.Due = Start.Add(2 * time.Minute)
	wantStored(t, "given back", show(t, k, "one"), waits)
	must(t, s.Done(t.Context(), "one", Start, welcome))
	done := store.Stored{Entry: reply.Entry{ID: "one", UTF8: true, EightBit: true, Digest: e.Digest, Created: e.Created, Expires: e.Expires},
		State: reply.Done, Due: Start.Add(24 * time.Hour), Tries: 2, Outcome: welcome}
	wantStored(t, "done", show(t, k, "one"), done)
	put(t, s, Entry("two"))
	must(t, s.Fail(t.Context(), "two", Start, greylisted))
	if got := show(t, k, "two"); got.State != reply.Failed || got.Outcome != greylisted || got.Body != nil || got.To != "" || got.Tries != 1 {
		t.Errorf("failed: got %+v", got)
	}
	put(t, s, Entry("three"))
	must(t, s.Fail(t.Context(), "three", Start, store.Outcome{Reason: "expired", Untried: true}))
	put(t, s, Entry("four"))
	must(t, s.Done(t.Context(), "four", Start, welcome))
	for id, want := range map[string]int{"three": 0, "four": 1} {
		if got := show(t, k, id); got.Tries != want {
			t.Errorf("%s: %d tries, want %d", id, got.Tries, want)
		}
	}
	must(t, s.Sweep(t.Context(), Start.Add(24*time.Hour)))
	for _, id := range []string{"one", "never"} {
		if _, err := k.Show(t.Context(), id); !errors.Is(err, store.ErrUnknown) {
			t.Errorf("%s: got %v, want %v", id, err, store.ErrUnknown)
		}
	}
}

func ids(t *testing.T, k store.Admin, f store.Filter, limit int) string {
	t.Helper()
	found, err := k.List(t.Context(), f, limit)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, s := range found {
		if s.Body != nil {
			t.Errorf("%s is listed with its content", s.ID)
		}
		out = append(out, s.ID)
	}
	return fmt.Sprint(out)
}

func listed(t *testing.T, s store.Store, k store.Admin) {
	for i, to := range []string{"a@example.org", "b@Example.ORG", `"x@example.org"@other.example`, "c@sub.example.org", "d@exa_ple.org", "e@exa%.org"} {
		e := Entry(fmt.Sprint("e", i))
		e.To, e.Created = to, Start.Add(time.Duration(-i)*time.Minute)
		put(t, s, e)
	}
	must(t, s.Retry(t.Context(), "e0", Start, greylisted))
	must(t, s.Done(t.Context(), "e3", Start, welcome))
	for _, c := range []struct {
		name   string
		filter store.Filter
		limit  int
		want   string
	}{
		{"all, the oldest first", store.Filter{}, 100, "[e5 e4 e3 e2 e1 e0]"},
		{"two", store.Filter{}, 2, "[e5 e4]"},
		{"waiting", store.Filter{States: []reply.State{reply.Waiting}}, 100, "[e0]"},
		{"waiting or done", store.Filter{States: []reply.State{reply.Waiting, reply.Done}}, 100, "[e3 e0]"},
		{"a domain in any case", store.Filter{Domain: "exAMPLE.org"}, 100, "[e1 e0]"},
		{"a domain with a pattern's letter", store.Filter{Domain: "exa_ple.org"}, 100, "[e4]"},
		{"a domain with another", store.Filter{Domain: "exa%.org"}, 100, "[e5]"},
		{"a domain and a state", store.Filter{Domain: "example.org", States: []reply.State{reply.Leased}}, 100, "[e1]"},
		{"nobody's domain", store.Filter{Domain: `org' OR '1'='1`}, 100, "[]"},
	} {
		if got := ids(t, k, c.filter, c.limit); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func counted(t *testing.T, s store.Store, k store.Admin) {
	check := func(when string, want store.Stats) {
		t.Helper()
		if got, err := k.Stats(t.Context()); got != want || err != nil {
			t.Errorf("%s: got %+v, %v, want %+v", when, got, err, want)
		}
	}
	check("empty", store.Stats{})
	for i := range 5 {
		e := Entry(fmt.Sprint("e", i))
		e.Created = Start.Add(time.Duration(i) * time.Minute)
		put(t, s, e)
	}
	check("five", store.Stats{Leased: 5, Oldest: Start})
	must(t, s.Done(t.Context(), "e0", Start, welcome))
	must(t, s.Fail(t.Context(), "e1", Start, greylisted))
	must(t, s.Retry(t.Context(), "e3", Start, greylisted))
	check("two ended", store.Stats{Leased: 2, Waiting: 1, Done: 1, Failed: 1, Oldest: Start.Add(2 * time.Minute)})
}

// refuses checks what a retry and a drop of an entry say at that time.
func refuses(t *testing.T, k store.Admin, id string, after time.Duration, want error) {
	t.Helper()
	if err := k.Retry(t.Context(), id, Start.Add(after)); !errors.Is(err, want) {
		t.Errorf("retry %s: got %v, want %v", id, err, want)
	}
	if err := k.Drop(t.Context(), id, Start.Add(after), "dropped"); !errors.Is(err, want) {
		t.Errorf("drop %s: got %v, want %v", id, err, want)
	}
}

func hurried(t *testing.T, s store.Store, k store.Admin) {
	put(t, s, Entry("one"))
	refuses(t, k, "one", 0, store.ErrLeased)
	refuses(t, k, "never", 0, store.ErrUnknown)
	must(t, s.Retry(t.Context(), "one", Start.Add(time.Hour), greylisted))
	wantClaimed(t, s, time.Minute, 0)
	must(t, k.Retry(t.Context(), "one", Start.Add(time.Minute)))
	must(t, k.Retry(t.Context(), "one", Start.Add(time.Minute))) // twice is once
	if got := wantClaimed(t, s, time.Minute, 1)[0]; got.Tries != 1 || !got.Hurried {
		t.Errorf("got %d tries, hurried %t, want 1 and hurried", got.Tries, got.Hurried)
	}
	refuses(t, k, "one", 2*time.Minute, store.ErrLeased)
	if got := show(t, k, "one"); got.Outcome != greylisted {
		t.Errorf("the outcome is now %+v", got.Outcome)
	}
	must(t, s.Retry(t.Context(), "one", Start.Add(time.Hour), greylisted))
	if got := wantClaimed(t, s, time.Hour, 1)[0]; got.Tries != 2 || got.Hurried {
		t.Errorf("got %d tries, hurried %t, want 2 in its own time", got.Tries, got.Hurried)
	}
	must(t, s.Done(t.Context(), "one", Start, welcome))
	refuses(t, k, "one", 0, store.ErrEnded)
}

func hurriedAll(t *testing.T, s store.Store, k store.Admin) {
	for i := range 1200 {
		id := fmt.Sprint("e", i)
		put(t, s, Entry(id))
		if i%6 != 0 {
			must(t, s.Retry(t.Context(), id, Start.Add(time.Hour), greylisted))
		}
	}
	for _, want := range []int64{1000, 0} {
		if n, err := k.RetryAll(t.Context(), Start.Add(time.Minute)); n != want || err != nil {
			t.Errorf("got %d, %v, want %d", n, err, want)
		}
	}
	if got, err := s.Claim(t.Context(), Start.Add(time.Minute), 2000); len(got) != 1000 || err != nil {
		t.Errorf("claimed %d, %v, want 1000", len(got), err)
	}
}

func dropped(t *testing.T, s store.Store, k store.Admin) {
	e := Entry("one")
	put(t, s, e)
	must(t, s.Retry(t.Context(), "one", Start.Add(time.Hour), greylisted))
	must(t, k.Drop(t.Context(), "one", Start, "dropped by the operator"))
	ended := greylisted
	ended.Reason = "dropped by the operator"
	wantStored(t, "dropped", show(t, k, "one"), store.Stored{
		Entry: reply.Entry{ID: "one", Digest: e.Digest, Created: e.Created, Expires: e.Expires},
		State: reply.Failed, Due: Start.Add(24 * time.Hour), Tries: 1, Outcome: ended})
	refuses(t, k, "one", 0, store.ErrEnded)
	wantClaimed(t, s, 100*time.Hour, 0)
	if id, err := s.Seen(t.Context(), e.Digest, Start, Start); id != "" || err != nil {
		t.Errorf("its message counts as answered by %q, %v", id, err)
	}
	must(t, s.Sweep(t.Context(), Start.Add(24*time.Hour)))
	refuses(t, k, "one", 0, store.ErrUnknown)
}

func droppedLease(t *testing.T, s store.Store, k store.Admin) {
	put(t, s, Entry("one"))
	refuses(t, k, "one", Lease-1, store.ErrLeased)
	must(t, k.Drop(t.Context(), "one", Start.Add(Lease), "dropped"))
	// The node that still has it in memory hears of it before it tries, and after.
	for name, err := range map[string]error{
		"Renew": s.Renew(t.Context(), "one", Start.Add(Lease)),
		"Done":  s.Done(t.Context(), "one", Start, welcome),
		"Retry": s.Retry(t.Context(), "one", Start, greylisted),
	} {
		if !errors.Is(err, store.ErrUnknown) {
			t.Errorf("%s: got %v, want %v", name, err, store.ErrUnknown)
		}
	}
	if got := show(t, k, "one"); got.State != reply.Failed || got.Reason != "dropped" {
		t.Errorf("got %s, %q", got.State, got.Reason)
	}
}

func raced(t *testing.T, s store.Store, k store.Admin) {
	const n = 100
	for i := range n {
		put(t, s, Entry(fmt.Sprint("e", i)))
		must(t, s.Retry(t.Context(), fmt.Sprint("e", i), Start, greylisted))
	}
	var all sync.WaitGroup
	var drops, leased atomic.Int64
	claimed := make(chan string, n)
	all.Go(func() {
		for i := range n {
			switch err := k.Drop(t.Context(), fmt.Sprint("e", i), Start, "dropped"); {
			case err == nil:
				drops.Add(1)
			case errors.Is(err, store.ErrLeased):
				leased.Add(1)
			default:
				t.Error(err)
			}
		}
	})
	all.Go(func() {
		for range n {
			got, err := s.Claim(t.Context(), Start, 1)
			if err != nil {
				t.Error(err)
			}
			for _, c := range got {
				claimed <- c.ID
			}
		}
	})
	all.Wait()
	close(claimed)
	if drops.Load()+leased.Load() != n || int64(len(claimed)) != leased.Load() {
		t.Errorf("%d dropped, %d were leased, %d claimed: want %d in all", drops.Load(), leased.Load(), len(claimed), n)
	}
	for id := range claimed {
		if got := show(t, k, id); got.State != reply.Leased || len(got.Body) == 0 {
			t.Errorf("%s was claimed and is %s", id, got.State)
		}
	}
}
