package dns_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"checkauth/verify/dns"
	"checkauth/verify/dns/client"
	"checkauth/verify/dns/dnstest"
)

// serve starts a zone and a client that is patient: these tests count questions, and a retry on a busy
// machine would be one more.
func serve(t *testing.T, zone string) (*dnstest.Server, dns.Resolver) {
	t.Helper()
	s := dnstest.New(t, zone)
	return s, s.Client(t, dnstest.WithClient(func(c *client.Config) { c.Tries, c.Timeout = 1, 20*time.Second }))
}

func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "n%d.example.org. TXT \"%d\"\n", i, i)
	}
	return b.String()
}

func number(i int) dns.Question { return dns.Ask(fmt.Sprintf("n%d.example.org", i), dns.TXT) }

func TestMemo_asks_once(t *testing.T) {
	t.Parallel()
	s, r := serve(t, "example.org. TXT \"x\"\n;FAULT DELAY=50ms example.org. TXT\n")
	memo := dns.NewMemo(t.Context(), r)
	var all sync.WaitGroup
	for range 20 {
		view := memo.View(1)
		all.Go(func() {
			a, err := view.Resolve(t.Context(), dns.Ask("example.org", dns.TXT))
			if err != nil || !slices.Equal(a.Texts(), []string{"x"}) || len(view.Evidence()) != 1 {
				t.Errorf("got %q, error %v, %d pieces of evidence", a.Texts(), err, len(view.Evidence()))
			}
		})
	}
	all.Wait()
	if got := s.Queries(); len(got) != 1 {
		t.Errorf("asked %q, want it once", got)
	}
}

func TestMemo_keeps_errors_too(t *testing.T) {
	t.Parallel()
	s, r := serve(t, "example.org. TXT \"x\"\n;FAULT REFUSED example.org. TXT\n")
	memo := dns.NewMemo(t.Context(), r)
	q := dns.Ask("example.org", dns.TXT)
	_, first := memo.View(1).Resolve(t.Context(), q)
	if err := s.Replace("example.org. TXT \"x\"\n"); err != nil {
		t.Fatal(err)
	}
	// Mended in between: one report must not say both.
	if _, again := memo.View(1).Resolve(t.Context(), q); first == nil || again != first {
		t.Errorf("first %v, then %v; want the same error", first, again)
	}
	if a, err := dns.NewMemo(t.Context(), r).View(1).Resolve(t.Context(), q); err != nil || len(a.Records) != 1 {
		t.Errorf("the next message: got %v, error %v; want the mended record", a.Records, err)
	}
}

func TestMemo_one_cancel_does_not_answer_the_others(t *testing.T) {
	t.Parallel()
	_, r := serve(t, "example.org. TXT \"x\"\n;FAULT DELAY=200ms example.org. TXT\n")
	memo := dns.NewMemo(t.Context(), r)
	q := dns.Ask("example.org", dns.TXT)
	gone := errors.New("this check is over")
	ctx, cancel := context.WithCancelCause(t.Context())
	canceled := make(chan error, 1)
	go func() {
		_, err := memo.View(1).Resolve(ctx, q)
		canceled <- err
	}()
	cancel(gone)
	if e := dns.AsError(q, <-canceled); e.Kind != dns.Canceled || !errors.Is(e, gone) {
		t.Errorf("who went: got %v, want canceled by %q", e, gone)
	}
	if a, err := memo.View(1).Resolve(t.Context(), q); err != nil || len(a.Records) != 1 {
		t.Errorf("who stayed: got %v, error %v; want the answer", a.Records, err)
	}
	if a, err := memo.View(1).Resolve(ctx, q); err != nil || len(a.Records) != 1 {
		t.Errorf("an answer that is there: got %v, error %v; want it whatever the context", a.Records, err)
	}
}

func TestMemo_ends_with_its_own_context(t *testing.T) {
	t.Parallel()
	_, r := serve(t, ";FAULT TIMEOUT example.org. TXT\n")
	over := errors.New("the 30 s for one message are over")
	ctx, cancel := context.WithCancelCause(t.Context())
	memo := dns.NewMemo(ctx, r)
	q := dns.Ask("example.org", dns.TXT)
	memo.Prefetch(q)
	cancel(over)
	_, err := memo.View(1).Resolve(t.Context(), q)
	if e := dns.AsError(q, err); e.Kind != dns.Canceled || !errors.Is(e, over) {
		t.Errorf("got %v, want canceled by %q", err, over)
	}
}

func TestMemo_prefetched_answers_are_used(t *testing.T) {
	t.Parallel()
	s, r := serve(t, numbered(2))
	memo := dns.NewMemo(t.Context(), r)
	memo.Prefetch(number(0))
	memo.Prefetch(number(0))
	view := memo.View(2)
	for i := range 2 {
		if a, err := view.Resolve(t.Context(), number(i)); err != nil || !slices.Equal(a.Texts(), []string{fmt.Sprint(i)}) {
			t.Errorf("n%d: got %q, error %v", i, a.Texts(), err)
		}
	}
	if got := s.Queries(); len(got) != 2 {
		t.Errorf("asked %q, want each once", got)
	}
}

func TestMemo_prefetch_ends_at_its_budget(t *testing.T) {
	t.Parallel()
	s, r := serve(t, numbered(dns.PrefetchBudget+10))
	memo := dns.NewMemo(t.Context(), r)
	for i := range dns.PrefetchBudget + 10 {
		memo.Prefetch(number(i))
	}
	view := memo.View(dns.PrefetchBudget)
	for i := range dns.PrefetchBudget { // waits for all that was asked
		if _, err := view.Resolve(t.Context(), number(i)); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(s.Queries()); got != dns.PrefetchBudget {
		t.Errorf("%d questions, want %d", got, dns.PrefetchBudget)
	}
}

// The budget is that of the check's own walk, so that what others asked changes no result.
func TestView_budget_does_not_depend_on_timing(t *testing.T) {
	t.Parallel()
	_, r := serve(t, numbered(4))
	walk := func(view *dns.View) string {
		var kinds []string
		for _, i := range []int{0, 1, 0, 2, 3, 1} {
			_, err := view.Resolve(t.Context(), number(i))
			kind := "ok"
			if err != nil {
				kind = string(dns.AsError(number(i), err).Kind)
			}
			kinds = append(kinds, kind)
		}
		return strings.Join(kinds, " ")
	}
	cold := dns.NewMemo(t.Context(), r)
	warm := dns.NewMemo(t.Context(), r)
	for i := range 4 {
		warm.Prefetch(number(i))
		_, _ = warm.View(1).Resolve(t.Context(), number(i))
	}
	const want = "ok ok ok budget budget ok" // a question again is no new one
	for name, memo := range map[string]*dns.Memo{"cold": cold, "warm": warm} {
		view := memo.View(2)
		if got := walk(view); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
		if got := len(view.Evidence()); got != 2 {
			t.Errorf("%s: %d pieces of evidence, want 2", name, got)
		}
	}
}

func TestView_evidence_is_in_the_order_of_the_walk(t *testing.T) {
	t.Parallel()
	_, r := serve(t, numbered(3)+";FAULT DELAY=50ms n0.example.org. TXT\n;FAULT REFUSED n1.example.org. TXT\n")
	memo := dns.NewMemo(t.Context(), r)
	for i := range 3 {
		memo.Prefetch(number(2 - i)) // answered in another order than asked
	}
	view := memo.View(10)
	for _, i := range []int{0, 1, 2, 0} {
		_, _ = view.Resolve(t.Context(), number(i))
	}
	var got []string
	for _, e := range view.Evidence() {
		got = append(got, e.Name+" "+e.Rcode+" "+strings.Join(e.Data, ""))
	}
	want := []string{`n0.example.org NOERROR "0"`, "n1.example.org REFUSED ", `n2.example.org NOERROR "2"`}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestMemo_survives_a_panic_of_the_resolver(t *testing.T) {
	t.Parallel()
	memo := dns.NewMemo(t.Context(), dns.ResolverFunc(func(context.Context, dns.Question) (dns.Answer, error) { panic("boom") }))
	q := dns.Ask("example.org", dns.TXT)
	for range 2 {
		_, err := memo.View(1).Resolve(t.Context(), q)
		if e := dns.AsError(q, err); e.Kind != dns.Malformed || !strings.Contains(e.Error(), "boom") {
			t.Errorf("got %v, want malformed with the panic's words", err)
		}
	}
}

// What an answer leads to is asked ahead, whoever asked first, within the budget; a fault there spoils
// nothing.
func TestMemo_follows_answers(t *testing.T) {
	t.Parallel()
	s, r := serve(t, numbered(60))
	memo := dns.NewMemo(t.Context(), r)
	memo.Follow(func(a dns.Answer) []dns.Question {
		var n int
		if _, err := fmt.Sscan(a.Texts()[0], &n); err != nil || n == 3 {
			panic("a fault")
		}
		return []dns.Question{number(n + 1), number(n + 10)}
	})
	a, err := memo.View(1).Resolve(t.Context(), number(0))
	if err != nil || a.Texts()[0] != "0" {
		t.Errorf("got %q, %v", a.Texts(), err)
	}
	if a, err := memo.View(1).Resolve(t.Context(), number(3)); err != nil || a.Texts()[0] != "3" {
		t.Errorf("where the follower fails: got %q, %v", a.Texts(), err)
	}
	memo.Wait()
	if got := s.Queries(); len(got) > 2+dns.PrefetchBudget || !slices.Contains(got, number(12).String()) {
		t.Errorf("%d questions: %q", len(got), got)
	}
}
