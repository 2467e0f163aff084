package deliver

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkauth/reply"
	"checkauth/verify/dns"
)

func mustAddr(s string) netip.Addr { return netip.MustParseAddr(s) }

// still is a zone without a network: a goroutine that waits for one would stop the bubble's clock.
// Each domain is its own host at the address.
func still(addrs map[string]string) dns.Resolver {
	return dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
		a := dns.Answer{Question: q}
		if ip, ok := addrs[q.Name]; ok && q.Type == dns.A {
			a.Records = []dns.Record{{Name: q.Name, Type: dns.A, Addr: mustAddr(ip)}}
		}
		return a, nil
	})
}

// bubble runs a test under a clock of its own, with the store on disk, opened and closed in there.
func bubble(t *testing.T, stubs map[string]*stub, resolver dns.Resolver, change func(*Config), test func(t *testing.T, d *Deliverer, k *kept, end func())) {
	t.Helper()
	dir := t.TempDir() // its removal is not the bubble's
	synctest.Test(t, func(t *testing.T) {
		c := Defaults()
		c.Log, c.Hostname, c.AllowPrivate = config(t).Log, "verifier.example.net", true
		c.Dial, c.Every = inMemory(stubs), 10*time.Second
		change(&c)
		k := openStore(t, dir, 20*time.Minute)
		k.wait = time.Hour
		d := newDeliverer(t, c, k, resolver)
		end := start(t, d, k)
		test(t, d, k, end)
		end()
		time.Sleep(time.Minute) // for servers that have something to finish
	})
}

var oneDomain = still(map[string]string{"example.org": "192.0.2.1", "other.example": "192.0.2.2"})

// The tries of 24 hours: after 1, 5, 10 and 20 minutes, then hourly, each up to a tenth later; then the
// entry expires with its last reason.
func TestRFC5321_4_5_4_1_schedule(t *testing.T) {
	t.Parallel()
	s := &stub{script: map[string][]string{"RCPT": {"450 4.2.0 never today"}}}
	every := time.Minute
	bubble(t, map[string]*stub{"192.0.2.1": s}, oneDomain, func(c *Config) { c.Every = every }, func(t *testing.T, d *Deliverer, k *kept, end func()) {
		e := entry("one")
		put(t, k, e)
		d.Enqueue(e)
		time.Sleep(25 * time.Hour)
		end()
		history := k.history()
		if got, want := history[len(history)-1], "fail one: expired: example.org [192.0.2.1]: RCPT: 450 4.2.0 never today"; got != want {
			t.Errorf("at last: got %q, want %q", got, want)
		}
		retries := Defaults().Retries
		for i := 1; i < len(s.began); i++ {
			base := retries[min(i-1, len(retries)-1)]
			if took := s.began[i].Sub(s.began[i-1]); took < base || took > base+base/10+every {
				t.Errorf("try %d came %s after the one before, want %s to %s", i+1, took, base, base+base/10)
			}
		}
		// 36 minutes and 22 to 23 hours, at 60 to 66 minutes.
		if n := len(s.began); n < 26 || n > 29 || n != len(history) {
			t.Errorf("%d tries and %d outcomes, want about 27 of both", n, len(history))
		}
		if lasted := s.began[len(s.began)-1].Sub(e.Created); lasted > 24*time.Hour || lasted < 22*time.Hour {
			t.Errorf("the last try was after %s, want it in the last hours of 24", lasted)
		}
	})
}

// The schedule goes on where it was when the service is started again.
func TestScheduleSurvivesAStart(t *testing.T) {
	t.Parallel()
	s := &stub{script: map[string][]string{"RCPT": {"450 4.2.0 no", "450 4.2.0 no", "250 yes"}}}
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := Defaults()
		c.Log, c.AllowPrivate, c.Dial = config(t).Log, true, inMemory(map[string]*stub{"192.0.2.1": s})
		c.Every = 10 * time.Second
		k := openStore(t, dir, 20*time.Minute)
		d := newDeliverer(t, c, k, oneDomain)
		end := start(t, d, k)
		put(t, k, entry("one"))
		d.Enqueue(entry("one"))
		time.Sleep(30 * time.Second)
		end()
		time.Sleep(10 * time.Second)
		k = openStore(t, dir, 20*time.Minute)
		end = start(t, newDeliverer(t, c, k, oneDomain), k)
		time.Sleep(10 * time.Second)
		if n := s.connections(); n != 1 {
			t.Errorf("50 s after the first try: %d tries, want 1", n)
		}
		time.Sleep(10 * time.Minute)
		end()
		if got := k.history(); len(got) != 2 || got[1] != "done one" || s.began[2].Sub(s.began[1]) < 5*time.Minute {
			t.Errorf("got %q at %v, want the third try 5 minutes after the second", got, s.began)
		}
	})
}

func TestExpiredBeforeItsTurn(t *testing.T) {
	t.Parallel()
	s := &stub{}
	bubble(t, map[string]*stub{"192.0.2.1": s}, oneDomain, func(*Config) {}, func(t *testing.T, d *Deliverer, k *kept, _ func()) {
		e := entry("one")
		e.Expires = time.Now()
		put(t, k, e)
		d.Enqueue(e)
		k.next(t, "fail one: expired")
		k.mu.Lock()
		defer k.mu.Unlock()
		if o := k.outcomes[0]; !o.Untried {
			t.Errorf("a try is counted: %+v", o)
		}
		if n := s.connections(); n != 0 {
			t.Errorf("%d connections", n)
		}
	})
}

// A place that a hanging server holds is given to others after a while.
func TestPatience(t *testing.T) {
	t.Parallel()
	bad, good := &stub{script: map[string][]string{"greeting": {hangs}}}, &stub{}
	bubble(t, map[string]*stub{"192.0.2.1": bad, "192.0.2.2": good}, oneDomain, func(c *Config) { c.Concurrency = 1 }, func(t *testing.T, d *Deliverer, k *kept, _ func()) {
		first, second := entry("hangs"), entry("good")
		second.To = "a@other.example"
		for _, e := range []reply.Entry{first, second} {
			put(t, k, e)
			d.Enqueue(e)
		}
		began := time.Now()
		k.next(t, "done good")
		if took := time.Since(began); took < patience || took > patience+time.Second {
			t.Errorf("the second waited %s, want %s", took, patience)
		}
		k.next(t, "retry hangs: example.org [192.0.2.1]: greeting: read pipe: i/o timeout")
		if took := time.Since(began); took != d.cfg.Command {
			t.Errorf("the first took %s, want %s", took, d.cfg.Command)
		}
	})
}

// A retry may be due and claimed before the try that asked for it has given its place back.
func TestARetryThatIsDueAtOnceIsNotLost(t *testing.T) {
	t.Parallel()
	s := &stub{script: map[string][]string{"RCPT": {"450 4.2.0 no", "250 yes"}}}
	due := func(c *Config) { c.Every, c.Retries = time.Second, []time.Duration{time.Second} }
	bubble(t, map[string]*stub{"192.0.2.1": s}, oneDomain, due, func(t *testing.T, d *Deliverer, k *kept, _ func()) {
		k.onRetry = func() { time.Sleep(10 * time.Second) }
		began := time.Now()
		put(t, k, entry("one"))
		d.Enqueue(entry("one"))
		k.next(t, "done one")
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("it took %s, want a second or two", took)
		}
		k.next(t, "retry one")
	})
}

// DNS that never answers ends with the time for one try.
func TestAttemptBoundsTheWholeTry(t *testing.T) {
	t.Parallel()
	bubble(t, nil, silent, func(*Config) {}, func(t *testing.T, d *Deliverer, k *kept, _ func()) {
		began := time.Now()
		put(t, k, entry("one"))
		d.Enqueue(entry("one"))
		k.next(t, `retry one: DNS: "example.org" MX: canceled: the 15m0s for one try are over`)
		if took := time.Since(began); took != d.cfg.Attempt {
			t.Errorf("it took %s, want %s", took, d.cfg.Attempt)
		}
	})
}

// When the service is told to stop, what runs may finish within Grace, what hangs is cut and given
// back, and so is what waits; none of it is counted as a try.
func TestStop(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		slow    time.Duration // the server's answer to the final dot
		took    time.Duration
		outcome string
		mails   int
	}{
		{"what runs has its time", 9 * time.Second, 8 * time.Second, "done runs", 1},
		{"what hangs is cut", 12 * time.Second, 10 * time.Second, "release runs", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &stub{slow: c.slow}
			bubble(t, map[string]*stub{"192.0.2.1": s}, oneDomain, func(cfg *Config) { cfg.PerDomain = 1 }, func(t *testing.T, d *Deliverer, k *kept, end func()) {
				for _, id := range []string{"runs", "waits"} {
					put(t, k, entry(id))
					d.Enqueue(entry(id))
				}
				time.Sleep(time.Second)
				told := time.Now()
				k.onClose = func() {
					got, err := k.Claim(context.Background(), time.Now(), 10)
					for _, e := range got {
						if e.Tries != 0 {
							t.Errorf("%s: %d tries are counted", e.ID, e.Tries)
						}
					}
					if n := 2 - c.mails; err != nil || len(got) != n {
						t.Errorf("afterwards %d wait, %v, want %d", len(got), err, n)
					}
				}
				end()
				if took := time.Since(told); took < c.took || took > c.took+time.Second {
					t.Errorf("it took %s, want %s", took, c.took)
				}
				if got := k.history(); !slices.Equal(got, []string{c.outcome, "release waits"}) {
					t.Errorf("got %q, want %q and the other one released", got, c.outcome)
				}
			})
			if _, mails := s.got(); len(mails) != c.mails {
				t.Errorf("%d mails, want %d", len(mails), c.mails)
			}
		})
	}
}

// That a mail was taken is stored before QUIT, whose answer may be long in coming: a process that ends
// between the two would send it again.
func TestTheEndIsStoredBeforeQUIT(t *testing.T) {
	t.Parallel()
	s := &stub{script: map[string][]string{"QUIT": {hangs}}}
	bubble(t, map[string]*stub{"192.0.2.1": s}, oneDomain, func(*Config) {}, func(t *testing.T, d *Deliverer, k *kept, _ func()) {
		put(t, k, entry("one"))
		began := time.Now()
		d.Enqueue(entry("one"))
		k.next(t, "done one")
		if took := time.Since(began); took > 0 {
			t.Errorf("it was stored after %s", took)
		}
		time.Sleep(2*farewell + linger)
		if heard, _ := s.got(); heard[len(heard)-1] != "QUIT" {
			t.Errorf("heard %q, want QUIT at the end", heard)
		}
	})
}

// What was delivered is not delivered again because a full disk did not let us write that down, though
// its lease runs out meanwhile.
func TestAnEndThatCannotBeStoredIsKept(t *testing.T) {
	t.Parallel()
	s := &stub{}
	bubble(t, map[string]*stub{"192.0.2.1": s}, oneDomain, func(*Config) {}, func(t *testing.T, d *Deliverer, k *kept, _ func()) {
		full := time.Now().Add(90 * time.Minute)
		k.onDone = func() error {
			if time.Now().Before(full) {
				return errors.New("database or disk is full")
			}
			return nil
		}
		for _, id := range []string{"one", "two"} {
			put(t, k, entry(id))
			d.Enqueue(entry(id))
		}
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if got := k.history(); !slices.Equal(slices.Sorted(slices.Values(got)), []string{"done one", "done two"}) {
			t.Errorf("got %q, want both done once", got)
		}
		if _, mails := s.got(); len(mails) != 2 {
			t.Errorf("%d mails, want 2", len(mails))
		}
		if len(d.queue.known) != 0 || len(d.queue.kept) != 0 {
			t.Errorf("left in memory: %v, %d kept", d.queue.known, len(d.queue.kept))
		}
	})
}

// More than the line holds goes back to the store and comes again.
func TestAFloodOfOneDomainIsGivenBack(t *testing.T) {
	t.Parallel()
	s := &stub{}
	n := queuePerDomain + 30
	bubble(t, map[string]*stub{"192.0.2.1": s}, oneDomain, func(*Config) {}, func(t *testing.T, d *Deliverer, k *kept, _ func()) {
		for i := range n {
			put(t, k, entry(string(rune('A'+i/26))+string(rune('a'+i%26))))
		}
		for i := range n {
			d.Enqueue(entry(string(rune('A'+i/26)) + string(rune('a'+i%26))))
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		done := 0
		for _, line := range k.history() {
			if strings.HasPrefix(line, "done ") {
				done++
			}
		}
		if _, mails := s.got(); done != n || len(mails) != n {
			t.Errorf("%d done, %d mails, want %d of both", done, len(mails), n)
		}
	})
}
