package dns_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"checkauth/verify/dns"
)

// failing is a resolver whose every question fails so.
func failing(kind dns.Kind) dns.Resolver {
	return dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
		return dns.Answer{}, &dns.Error{Question: q, Kind: kind}
	})
}

// A domain whose servers fail costs one question for the root's in five seconds, and says nothing about the resolver.
func TestHealth_a_failing_domain(t *testing.T) {
	t.Parallel()
	clock := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	probes := 0
	h := &dns.Health{Now: func() time.Time { return clock }, Probe: func(context.Context) error { probes++; return nil },
		Changed: func(down error) { t.Errorf("told of %v", down) }}
	for i := range 100 {
		w := h.For(t.Context(), failing(dns.ServFail), func(err error) { t.Errorf("down: %v", err) })
		for n := range 5 {
			_, _ = w.Resolve(t.Context(), dns.Ask(fmt.Sprintf("%d.hostile.example", n), dns.A))
		}
		w.Wait()
		clock = clock.Add(99 * time.Millisecond)
		if want := 1 + i*99/5000; probes < want || probes > want+1 {
			t.Fatalf("after %d messages: %d probes, want %d", i+1, probes, want)
		}
	}
	if probes != 2 {
		t.Errorf("%d probes in 9.9 s, want 2", probes)
	}
}

// What is an answer of a resolver, and what may be the lack of one.
func TestHealth_suspicion(t *testing.T) {
	t.Parallel()
	for kind, want := range map[dns.Kind]int{
		dns.ServFail: 1, dns.Bogus: 1, dns.Lame: 1, dns.Timeout: 1, dns.Unreachable: 1,
		dns.Refused: 0, dns.Malformed: 0, dns.Chain: 0, dns.Canceled: 0,
	} {
		var probes atomic.Int64
		h := &dns.Health{Now: time.Now, Probe: func(context.Context) error { probes.Add(1); return nil }}
		w := h.For(t.Context(), failing(kind), func(error) {})
		_, _ = w.Resolve(t.Context(), dns.Ask("a.example", dns.A))
		if probes.Load() != 0 {
			t.Errorf("%s: one failure asked already", kind)
		}
		_, _ = w.Resolve(t.Context(), dns.Ask("b.example", dns.A))
		if w.Wait(); int(probes.Load()) != want {
			t.Errorf("%s twice: %d probes, want %d", kind, probes.Load(), want)
		}
	}
}

// A resolver that is silent is found out before its questions are given up, told of once, and asked again until it is
// back. Time is the bubble's.
func TestHealth_silence_and_return(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		silent, told := true, []string{}
		began := time.Now()
		h := &dns.Health{Now: time.Now,
			Probe: func(ctx context.Context) error {
				mu.Lock()
				defer mu.Unlock()
				if silent {
					time.Sleep(2 * time.Second)
					return errors.New("no answer")
				}
				return nil
			},
			Changed: func(down error) {
				told = append(told, fmt.Sprint(time.Since(began), " ", down != nil))
			}}
		never := dns.ResolverFunc(func(ctx context.Context, q dns.Question) (dns.Answer, error) {
			<-ctx.Done()
			return dns.Answer{}, &dns.Error{Question: q, Kind: dns.Canceled, Err: context.Cause(ctx)}
		})
		ctx, cancel := context.WithCancelCause(t.Context())
		w := h.For(ctx, never, func(err error) { cancel(err) })
		var asked sync.WaitGroup
		for _, name := range []string{"a.example", "b.example", "c.example"} {
			asked.Go(func() { _, _ = w.Resolve(ctx, dns.Ask(name, dns.A)) })
		}
		asked.Wait()
		w.Wait()
		if took := time.Since(began); took != 5*time.Second || !errors.Is(context.Cause(ctx), dns.ErrDown) {
			t.Errorf("ended after %s with %v, want 5s and ErrDown", took, context.Cause(ctx))
		}
		// The next message hears it at once.
		var heard error
		h.For(t.Context(), never, func(err error) { heard = err })
		if !errors.Is(heard, dns.ErrDown) || time.Since(began) != 5*time.Second {
			t.Errorf("the next message hears %v", heard)
		}
		watch, stop := context.WithCancel(t.Context())
		go h.Watch(watch)
		time.Sleep(20 * time.Second)
		mu.Lock()
		silent = false
		mu.Unlock()
		back := time.Now()
		for {
			if down, sure := h.Known(); down == nil && sure {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if took := time.Since(back); took > 5*time.Second {
			t.Errorf("its return was seen after %s, want at most 5s", took)
		}
		stop()
		synctest.Wait()
		if len(told) != 2 || told[0] != "5s true" {
			t.Errorf("told %q, want down after 5s, and once of its return", told)
		}
	})
}

// An alive resolver that is slow stays what it is.
func TestHostile_60_the_resolver_is_well(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &dns.Health{Now: time.Now, Probe: func(context.Context) error { return nil }}
		slow := dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
			time.Sleep(6 * time.Second)
			return dns.Answer{}, &dns.Error{Question: q, Kind: dns.Timeout}
		})
		w := h.For(t.Context(), slow, func(err error) { t.Errorf("down: %v", err) })
		var asked sync.WaitGroup
		for _, name := range []string{"a.example", "b.example", "c.example"} {
			asked.Go(func() { _, _ = w.Resolve(t.Context(), dns.Ask(name, dns.A)) })
		}
		asked.Wait()
		w.Wait()
	})
}
