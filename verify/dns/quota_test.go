package dns_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"checkauth/verify/dns"
	"checkauth/verify/share"
)

// world answers as some organisations would.
type world struct {
	mu    sync.Mutex
	asked map[string]int // by organisation
	names map[string]bool
}

func (w *world) Resolve(_ context.Context, q dns.Question) (dns.Answer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	label, _, _ := strings.Cut(q.Name, ".")
	org := q.Name[strings.LastIndexByte(strings.TrimSuffix(q.Name, ".example"), '.')+1:]
	w.asked[org]++
	w.names[q.Name] = true
	a := dns.Answer{Question: q}
	address := func(last byte) dns.Record {
		return dns.Record{Name: q.Name, Type: q.Type, Addr: netip.AddrFrom4([4]byte{192, 0, 2, last})}
	}
	switch org {
	case "wild.example": // in whatever order
		a.Records = []dns.Record{address(1), address(2)}
		if len(w.names)%2 == 0 {
			a.Records[0], a.Records[1] = a.Records[1], a.Records[0]
		}
	case "void.example":
		a.NX = true
	case "real.example":
		if q.Type == dns.AAAA {
			break
		}
		a.Records = []dns.Record{{Name: q.Name, Type: q.Type, Strings: []string{q.Name}, Target: q.Name, Addr: netip.AddrFrom4([4]byte([]byte(q.Name)[:4]))}}
	case "links.example":
		a.Chain = []dns.Record{{Name: q.Name, Type: dns.CNAME, Target: label + ".wild.example"}}
		a.Records = []dns.Record{address(1), address(2)}
		w.asked["wild.example"]++
	case "silent.example":
		return a, &dns.Error{Question: q, Kind: dns.Timeout}
	}
	return a, nil
}

func newWorld() *world { return &world{asked: map[string]int{}, names: map[string]bool{}} }

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// defaults are those of serve.
func defaults() *dns.Quotas {
	q := dns.DefaultQuotas()
	q.Now = func() time.Time { return noon }
	return q
}

// spent is the quota that refused a question.
func spent(t *testing.T, err error) *dns.QuotaError {
	t.Helper()
	e, ok := errors.AsType[*dns.QuotaError](err)
	if err != nil && (!ok || dns.AsError(dns.Question{}, err).Kind != dns.Quota) {
		t.Fatalf("got %v, want a quota or no error", err)
	}
	return e
}

func network(i int) netip.Addr { return netip.AddrFrom4([4]byte{203, 0, byte(i), 7}) }

// 65: mail from many networks makes up names below somebody else's domain.
func TestHostile_65(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what    string
		victim  string
		sender  string
		macro   bool
		client  func(i int) netip.Addr
		atLeast int
		most    int
	}{
		{"macros, 40 /24", "real.example", "attacker.example", true, network, 90, 100},
		{"a wildcard, 40 /24", "wild.example", "attacker.example", false, network, 90, 108},
		{"names that do not exist, 40 /24", "void.example", "attacker.example", false, network, 90, 100},
		{"servers that do not answer, 40 /24", "silent.example", "attacker.example", false, network, 90, 100},
		{"names that CNAMEs lead to, 40 /24", "links.example", "attacker.example", false, network, 90, 160},
		{"macros, 40 /64 of one /48", "real.example", "attacker.example", true, func(i int) netip.Addr {
			return netip.MustParseAddr(fmt.Sprintf("2001:db8:1:%x::1", i))
		}, 11, 12},
		{"macros, one /24", "real.example", "attacker.example", true, func(int) netip.Addr { return network(1) }, 11, 12},
		{"in the victim's name", "wild.example", "wild.example", false, network, 90, 40*3*4 + 108},
	} {
		w, quota := newWorld(), defaults()
		for i := range 40 {
			for mail := range 3 {
				a := quota.For(c.client(i), c.sender)
				r := a.Over(w)
				for n := range 74 {
					name := fmt.Sprintf("x%d-%d-%d.%s", i, mail, n, c.victim)
					if c.macro {
						a.Expanded(name)
					}
					if _, err := r.Resolve(t.Context(), dns.Ask(name, dns.A)); dns.AsError(dns.Question{}, err).Kind != dns.Timeout {
						spent(t, err)
					}
				}
			}
		}
		victim := c.victim
		if victim == "links.example" {
			victim = "wild.example"
		}
		if got := w.asked[victim]; got < c.atLeast || got > c.most {
			t.Errorf("%s: %d of 8880 questions, want %d to %d", c.what, got, c.atLeast, c.most)
		}
	}
}

// Who has not asked yet has his share while anything is left, whatever others do.
func TestMadeNamesAreShared(t *testing.T) {
	t.Parallel()
	w, quota := newWorld(), defaults()
	flood := func(client netip.Addr) (last *dns.QuotaError) {
		r := quota.For(client, "attacker.example").Over(w)
		for n := range 200 {
			_, err := r.Resolve(t.Context(), dns.Ask(fmt.Sprintf("%s-%d.void.example", client, n), dns.TXT))
			if e := spent(t, err); e != nil {
				last = e
			}
		}
		return last
	}
	for i := range 12 {
		e := flood(network(i))
		if e == nil || e.Bound != dns.Made || e.Network != netip.PrefixFrom(network(i), 24).Masked() || e.Bound.Key() != "resolver.made-names" || !e.Until.Equal(noon.Add(time.Minute)) {
			t.Fatalf("network %d: %+v, want the bound of made names", i, e)
		}
	}
	honest := quota.For(network(200), "honest.example").Over(w)
	for _, name := range []string{"one.void.example", "void.example", "_dmarc.void.example"} {
		if _, err := honest.Resolve(t.Context(), dns.Ask(name, dns.TXT)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Names that have records of their own are none that a macro or wildcard made: a large provider has one for each
// customer and server. Neither is one that has an A record and no AAAA record.
func TestRealNamesAreNotCounted(t *testing.T) {
	t.Parallel()
	w, quota := newWorld(), defaults()
	quota.PerNetwork = 10_000
	for n := range 300 {
		r := quota.For(network(n%3), "customer.example").Over(w)
		for _, kind := range []dns.Type{dns.AAAA, dns.A, dns.MX} {
			if _, err := r.Resolve(t.Context(), dns.Ask(fmt.Sprintf("%03dmx.real.example", n), kind)); err != nil {
				t.Fatalf("name %d: %v", n, err)
			}
		}
	}
}

// A name that was there in the minute before is asked for although strangers have taken all that may be made up.
func TestKnownNamesAreAskedInAFlood(t *testing.T) {
	t.Parallel()
	w, quota := newWorld(), defaults()
	clock := noon
	quota.Now = func() time.Time { return clock }
	ask := func(client netip.Addr, name string) error {
		_, err := quota.For(client, "customer.example").Over(w).Resolve(t.Context(), dns.Ask(name, dns.TXT))
		return err
	}
	if err := ask(network(0), "_spf.real.example"); err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(time.Minute)
	quota.Made = 0
	if err := ask(network(1), "_spf.real.example"); err != nil {
		t.Error(err)
	}
	if err := ask(network(1), "other.real.example"); spent(t, err) == nil {
		t.Error("a name that nobody knows was asked for")
	}
	clock = clock.Add(time.Minute)
	if err := ask(network(2), "_spf.real.example"); err != nil {
		t.Errorf("a minute later: %v", err)
	}
	clock = clock.Add(3 * time.Minute)
	if err := ask(network(2), "_spf.real.example"); spent(t, err) == nil {
		t.Error("it is known for ever")
	}
}

// A thousand forged mails in a domain's name, each from another network, keep nobody of it from his test.
func TestAForgedDomainIsTested(t *testing.T) {
	t.Parallel()
	w, quota := newWorld(), defaults()
	for i := range 1000 {
		a := quota.For(netip.AddrFrom4([4]byte{45, byte(i >> 8), byte(i), 9}), "void.example")
		r := a.Over(w)
		macro := fmt.Sprintf("n%d._spf.void.example", i)
		a.Expanded(macro)
		for _, q := range []dns.Question{
			dns.Ask("void.example", dns.TXT), dns.Ask("void.example", dns.MX), dns.Ask("_dmarc.void.example", dns.TXT), dns.Ask("_mta-sts.void.example", dns.TXT),
			dns.Ask("_smtp._tls.void.example", dns.TXT), dns.Ask(fmt.Sprintf("s%d._domainkey.void.example", i), dns.TXT), dns.Ask("mail.void.example", dns.AAAA), dns.Ask(macro, dns.A),
		} {
			if _, err := r.Resolve(t.Context(), q); err != nil {
				t.Fatalf("mail %d: %v", i, err)
			}
		}
	}
}

// What every mail asks for is no flood of names: all customers of a large provider ask for the same.
func TestQuotaOfWhatEveryMailAsks(t *testing.T) {
	t.Parallel()
	quota := defaults()
	quota.PerTarget, quota.Made = 1, 1
	r := quota.For(network(1), "customer.example").Over(newWorld())
	for _, ask := range []dns.Question{
		dns.Ask("void.example", dns.A), dns.Ask("_dmarc.void.example", dns.TXT), dns.Ask("_mta-sts.void.example", dns.TXT),
		dns.Ask("_smtp._tls.void.example", dns.TXT), dns.Ask("default._bimi.void.example", dns.TXT),
		dns.Ask("1.2.0.192.in-addr.arpa", dns.PTR), dns.Ask("2.2.0.192.in-addr.arpa", dns.PTR),
		dns.Ask("random.void.example", dns.TXT), dns.Ask("_25._tcp.random.void.example", dns.TLSA), dns.Ask("_dmarc.random.void.example", dns.TXT),
	} {
		if _, err := r.Resolve(t.Context(), ask); err != nil {
			t.Errorf("%s: %v", ask, err)
		}
	}
	for _, name := range []string{"other.void.example", "_dmarc.other.void.example"} {
		if _, err := r.Resolve(t.Context(), dns.Ask(name, dns.TXT)); spent(t, err) == nil {
			t.Errorf("%s: a second name that does not exist was asked for", name)
		}
	}
}

// Questions are counted for each network that a client may be given.
func TestQuotaOfANetwork(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		second string
		full   bool
	}{
		{"2001:db8:1:1::2", true}, {"2001:db8:1:2::1", true}, {"2001:db8:1:ff01::1", true}, {"2001:db8:2::1", false}, {"192.0.2.1", false},
	} {
		quota := defaults()
		quota.PerNetwork = 3
		for i, want := range []bool{false, false, false, true} {
			_, err := quota.For(netip.MustParseAddr("2001:db8:1:1::1"), "a.example").Over(newWorld()).Resolve(t.Context(), dns.Ask("a.example", dns.A))
			if e := spent(t, err); (e != nil) != want || want && e.Bound != dns.PerNetwork {
				t.Fatalf("question %d: %v", i, err)
			}
		}
		_, err := quota.For(netip.MustParseAddr(c.second), "b.example").Over(newWorld()).Resolve(t.Context(), dns.Ask("b.example", dns.A))
		if (spent(t, err) != nil) != c.full {
			t.Errorf("%s: %v, want full %t", c.second, err, c.full)
		}
	}
}

// Made names of the sender's own organisation are charged to the client's network alone.
func TestQuotaOfATarget(t *testing.T) {
	t.Parallel()
	quota := defaults()
	ask := func(client netip.Addr) (got int) {
		for n := range 30 {
			a := quota.For(client, "void.example")
			for k := range 5 {
				_, err := a.Over(newWorld()).Resolve(t.Context(), dns.Ask(fmt.Sprintf("%s-%d-%d.void.example", client, n, k), dns.TXT))
				if e := spent(t, err); e == nil {
					got++
				} else if e.Bound != dns.PerTarget {
					t.Fatalf("got %+v", e)
				}
			}
		}
		return got
	}
	for i := range 5 {
		if got := ask(network(i)); got != 100 {
			t.Errorf("network %d: %d were asked, want 100", i, got)
		}
	}
}

// A minute that lies in the future was begun by a clock that has been set back since.
func TestQuotaAfterTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	clock := time.Date(2029, 11, 24, 12, 0, 0, 0, time.UTC)
	quota := &dns.Quotas{PerNetwork: 1, PerTarget: 1, Made: 1, PerServer: 1, Now: func() time.Time { return clock }}
	r := quota.For(netip.MustParseAddr("192.0.2.1"), "a.example").Over(newWorld())
	ask := func() *dns.QuotaError {
		_, err := r.Resolve(t.Context(), dns.Ask("a.example", dns.A))
		return spent(t, err)
	}
	if ask() != nil || ask() == nil {
		t.Fatal("want one question, then none")
	}
	clock = clock.AddDate(-3, 0, 0)
	if e := ask(); e != nil {
		t.Errorf("after the clock was set back: %v", e)
	}
	if e := ask(); e == nil || !e.Until.Equal(clock.Add(time.Minute)) || e.Network != netip.MustParsePrefix("192.0.2.0/24") {
		t.Errorf("the second in the new minute: %+v, want it full until the minute's end", e)
	}
}

// The operator's block lists say nearly always that there is nothing: that floods nobody.
func TestQuotaOfFreeZones(t *testing.T) {
	t.Parallel()
	quota := defaults()
	quota.PerTarget, quota.Free = 2, []string{"zen.void.example"}
	r := quota.For(netip.MustParseAddr("192.0.2.1"), "a.example").Over(newWorld())
	for name, want := range map[string]int{"%d.zen.void.example": 10, "%d.other.void.example": 2} {
		answered := 0
		for i := range 10 {
			if _, err := r.Resolve(t.Context(), dns.Ask(fmt.Sprintf(name, i), dns.A)); err == nil {
				answered++
			}
		}
		if answered != want {
			t.Errorf("%s: %d of 10 were asked, want %d", name, answered, want)
		}
	}
}

// While the first answers are out, no more names are asked for than there may be; they go on when these turn out to be
// real ones, and end when not.
func TestNamesWaitForTheFirstAnswers(t *testing.T) {
	t.Parallel()
	for _, org := range []string{"real.example", "void.example"} {
		synctest.Test(t, func(t *testing.T) {
			w, quota := newWorld(), defaults()
			quota.Share = share.Rule{}
			slow := dns.ResolverFunc(func(ctx context.Context, q dns.Question) (dns.Answer, error) {
				a, err := w.Resolve(ctx, q)
				time.Sleep(500 * time.Millisecond)
				return a, err
			})
			var all sync.WaitGroup
			var mu sync.Mutex
			answered, began := 0, time.Now()
			for i := range 250 {
				all.Go(func() {
					_, err := quota.For(network(i), "a.example").Over(slow).Resolve(t.Context(), dns.Ask(fmt.Sprintf("n%d.%s", i, org), dns.TXT))
					mu.Lock()
					defer mu.Unlock()
					if spent(t, err) == nil {
						answered++
					}
				})
			}
			synctest.Wait()
			w.mu.Lock()
			if n := w.asked[org]; n != 100 {
				t.Errorf("%s: %d names are out, want 100", org, n)
			}
			w.mu.Unlock()
			all.Wait()
			want, took := 250, 1500*time.Millisecond
			if org == "void.example" {
				want, took = 100, 500*time.Millisecond
			}
			if answered != want || time.Since(began) != took {
				t.Errorf("%s: %d were asked in %s, want %d in %s", org, answered, time.Since(began), want, took)
			}
		})
	}
}

// A question that waits ends with its message, and with its patience.
func TestAWaitingNameEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		quota := defaults()
		quota.Made, quota.Share = 1, share.Rule{}
		never := dns.ResolverFunc(func(ctx context.Context, q dns.Question) (dns.Answer, error) {
			<-ctx.Done()
			return dns.Answer{}, &dns.Error{Question: q, Kind: dns.Canceled, Err: context.Cause(ctx)}
		})
		ctx, end := context.WithCancel(t.Context())
		ask := func(ctx context.Context, name string) error {
			_, err := quota.For(network(1), "a.example").Over(never).Resolve(ctx, dns.Ask(name, dns.TXT))
			return err
		}
		go func() { _ = ask(ctx, "one.void.example") }()
		synctest.Wait()
		if err := ask(t.Context(), "two.void.example"); spent(t, err) == nil {
			t.Errorf("got %v, want a full quota", err)
		}
		soon, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := ask(soon, "three.void.example"); dns.AsError(dns.Question{}, err).Kind != dns.Canceled {
			t.Errorf("got %v, want the context's end", err)
		}
		end()
		synctest.Wait()
		if _, err := quota.For(network(1), "a.example").Over(newWorld()).Resolve(t.Context(), dns.Ask("four.void.example", dns.TXT)); err != nil {
			t.Errorf("a question that was given up holds its place: %v", err)
		}
	})
}

// 11: servers are asked so many times a minute by all messages, and so is their network.
func TestQuotaOfAServer(t *testing.T) {
	t.Parallel()
	quota := defaults()
	q := dns.Ask("a.example", dns.TXT)
	got := map[netip.Addr]int{}
	for i := range 200 {
		a := quota.For(network(i), "a.example")
		for s := range 20 {
			server := netip.AddrFrom4([4]byte{198, 51, 100, byte(s)})
			for range 10 {
				if err := a.Direct(server, q); spent(t, err) == nil {
					got[server]++
				} else if e := spent(t, err); e.Bound != dns.PerServer || e.Limit != 60 {
					t.Fatalf("got %+v", e)
				}
			}
		}
	}
	all := 0
	for server, n := range got {
		if all += n; n > 60 {
			t.Errorf("%s was asked %d times", server, n)
		}
	}
	if all != 240 {
		t.Errorf("the network was asked %d times, want 240", all)
	}
}

func BenchmarkQuota(b *testing.B) {
	quota := defaults()
	quota.PerNetwork = b.N + 1
	nothing := dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) { return dns.Answer{}, nil })
	var r dns.Resolver
	b.ReportAllocs()
	for i := range b.N {
		if i%40 == 0 {
			r = quota.For(netip.MustParseAddr("2001:db8::1"), "a.example").Over(nothing)
		}
		_, _ = r.Resolve(b.Context(), dns.Question{Name: "mx.a.example", Type: dns.A})
	}
}
