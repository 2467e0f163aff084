package deliver

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"checkauth/verify/dns"
)

// wrong is a clock that is off until it is set right. Time goes on in the bubble.
type wrong struct{ off atomic.Int64 }

func (w *wrong) now() time.Time { return time.Now().Add(time.Duration(w.off.Load())).Round(0) }

const years = 2 * 365 * 24 * time.Hour

// A reply that is greylisted while the clock is years off is delivered soon after the clock is set right, with its tries
// spread as ever: nothing is expired by that, and nothing waits for years.
func TestClockSetRight(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"behind": -years, "ahead": years} {
		for _, moment := range []string{"while it waits", "while it is tried"} {
			t.Run(name+", "+moment, func(t *testing.T) {
				t.Parallel()
				s := &stub{script: map[string][]string{".": {"451 4.7.1 greylisted", "451 4.7.1 greylisted", "250 2.0.0 welcome"}}, slow: 20 * time.Second}
				clock := &wrong{}
				clock.off.Store(int64(off))
				bubble(t, map[string]*stub{"192.0.2.1": s}, oneDomain, func(c *Config) { c.Now = clock.now }, func(t *testing.T, d *Deliverer, k *kept, _ func()) {
					e := entry("one")
					e.Created, e.Expires = clock.now(), clock.now().Add(24*time.Hour)
					if _, err := k.Put(t.Context(), e, nil, clock.now()); err != nil {
						t.Fatal(err)
					}
					d.Enqueue(e)
					if moment == "while it is tried" {
						time.Sleep(10 * time.Second)
						clock.off.Store(0)
						k.next(t, "release one")
					} else {
						k.next(t, "retry one")
						clock.off.Store(0)
					}
					set := time.Now()
					k.next(t, "retry one")
					if took := time.Since(set); took > 90*time.Second { // the look, and the server's 20 s
						t.Errorf("its next try was over %s after the clock was set, want about a minute", took)
					}
					k.next(t, "done one")
					for _, what := range k.history() {
						if strings.Contains(what, "expired") {
							t.Errorf("%s", what)
						}
					}
				})
			})
		}
	}
}

// What could not be delivered because our own resolver is down has not been tried, and does not expire.
func TestResolverDown(t *testing.T) {
	t.Parallel()
	s := &stub{}
	var down atomic.Bool
	down.Store(true)
	resolver := dns.ResolverFunc(func(ctx context.Context, q dns.Question) (dns.Answer, error) {
		if down.Load() {
			return dns.Answer{}, &dns.Error{Question: q, Kind: dns.Timeout}
		}
		return oneDomain.Resolve(ctx, q)
	})
	health := &dns.Health{Now: time.Now, Probe: func(context.Context) error {
		if down.Load() {
			return errors.New("no answer")
		}
		return nil
	}}
	bubble(t, map[string]*stub{"192.0.2.1": s}, resolver, func(c *Config) { c.Health = health }, func(t *testing.T, d *Deliverer, k *kept, _ func()) {
		e := entry("one")
		put(t, k, e)
		d.Enqueue(e)
		time.Sleep(30 * time.Hour)
		if got := k.history(); len(got) != 1 || got[0] != "release one" {
			t.Fatalf("while the resolver is down: %q, want it given back", got)
		}
		down.Store(false)
		back := time.Now()
		k.next(t, "release one")
		k.next(t, "done one")
		if took := time.Since(back); took > time.Minute {
			t.Errorf("delivered %s after its return", took)
		}
	})
}

// Where the resolver is well, a domain whose servers fail is tried and expires as ever.
func TestResolverIsWell(t *testing.T) {
	t.Parallel()
	failing := dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
		return dns.Answer{}, &dns.Error{Question: q, Kind: dns.ServFail, Err: errors.New("lame")}
	})
	bubble(t, nil, failing, func(c *Config) {
		c.Health = &dns.Health{Now: time.Now, Probe: func(context.Context) error { return nil }}
	}, func(t *testing.T, d *Deliverer, k *kept, _ func()) {
		e := entry("one")
		put(t, k, e)
		d.Enqueue(e)
		k.next(t, "retry one: DNS")
		time.Sleep(25 * time.Hour)
		if h := k.history(); !strings.HasPrefix(h[len(h)-1], "fail one: expired") {
			t.Errorf("at last: %s", h[len(h)-1])
		}
	})
}
