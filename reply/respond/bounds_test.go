package respond_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"checkauth/reply"
	"checkauth/reply/policy"
	"checkauth/reply/respond"
	"checkauth/verify"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/share"
)

// hanging is a store that does not answer for the keys of tokens until it is let go.
type hanging struct {
	*kept
	asked atomic.Int64
	held  chan struct{} // closed: it answers
	fault error
}

func (h *hanging) Secrets(ctx context.Context, name string, offer []byte, expires, now time.Time) (map[string][]byte, error) {
	h.asked.Add(1)
	<-h.held
	if h.fault != nil {
		return nil, h.fault
	}
	return h.kept.Secrets(ctx, name, offer, expires, now)
}

// While the store hangs, everybody waits for one answer until his own time is over, and nobody for a lock.
func TestKeysOfAStoreThatHangs(t *testing.T) {
	t.Parallel()
	h := build(t)
	var mu sync.Mutex
	h.Enqueue = func(e reply.Entry) { mu.Lock(); defer mu.Unlock(); h.kicked = append(h.kicked, e) }
	s := &hanging{kept: h.store, held: make(chan struct{})}
	h.Responder.Store = s
	over := errors.New("the time for this message is over")
	var all sync.WaitGroup
	for i := range 5 {
		m := h.message(t, letter+fmt.Sprint(i), func(e *verify.Envelope) { e.MailFrom = fmt.Sprintf("a%d@example.org", i) })
		all.Go(func() {
			ctx, cancel := context.WithTimeoutCause(t.Context(), 200*time.Millisecond, over)
			defer cancel()
			began := time.Now()
			if _, err := h.takes(t, ctx, m); !errors.Is(err, over) {
				t.Errorf("message %d: got %v, want %v", i, err, over)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("message %d heard of its end after %s", i, took)
			}
		})
	}
	all.Wait()
	if n := s.asked.Load(); n != 1 {
		t.Errorf("the store was asked %d times, want once", n)
	}
	// Who still has time gets the answer of the question that was asked before.
	m := h.message(t, letter, nil)
	all.Go(func() { h.answers(t, m, 250, "to <a@example.org>") })
	close(s.held)
	all.Wait()
	h.answers(t, h.message(t, letter+"b", func(e *verify.Envelope) { e.MailFrom = "b@example.org" }), 250, "to <b@example.org>")
	if n := s.asked.Load(); n != 1 {
		t.Errorf("the store was asked %d times, want once", n)
	}
}

// An error is nobody's for ever.
func TestKeysOfAStoreThatFails(t *testing.T) {
	t.Parallel()
	h := build(t)
	s := &hanging{kept: h.store, held: make(chan struct{}), fault: errors.New("the database is away")}
	close(s.held)
	h.Responder.Store = s
	if _, err := h.takes(t, t.Context(), h.message(t, letter, nil)); !errors.Is(err, s.fault) {
		t.Errorf("got %v, want %v", err, s.fault)
	}
	s.fault = nil
	h.answers(t, h.message(t, letter, nil), 250, "to <a@example.org>")
}

// Mail for the operator: three an hour from one network, of any size of IPv6, and shares of the whole.
func TestOperatorMailFromOneNetwork(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.Policy.Share = share.Rule{Part: 8, Unlimited: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}
	from := func(ip string) func(*verify.Envelope) {
		return func(e *verify.Envelope) {
			e.Purpose, e.RcptTo = verify.ForOperator, []string{"abuse@" + host}
			e.Client = netip.AddrPortFrom(netip.MustParseAddr(ip), 4025)
		}
	}
	send := func(n int, ip func(i int) string) (taken int) {
		for i := range n {
			a, err := h.takes(t, t.Context(), h.message(t, letter, from(ip(i))))
			switch {
			case err != nil:
				t.Error(err)
			case a.Code == 250:
				taken++
			case a.Code != 452 || a.Enhanced != [3]int{4, 3, 1} || !strings.Contains(strings.Join(a.Lines, "\n"), "try again later"):
				t.Errorf("got %d %v %q", a.Code, a.Enhanced, a.Lines)
			}
		}
		return taken
	}
	for _, c := range []struct {
		name string
		n    int
		ip   func(i int) string
		want int
	}{
		{"one host", 20, func(int) string { return "203.0.113.1" }, 3},
		{"its network", 20, func(i int) string { return fmt.Sprintf("203.0.113.%d", i) }, 0},
		{"a whole /48", 300, func(i int) string { return fmt.Sprintf("2001:db8:1:%x::1", i) }, 3},
		{"somebody else", 1, func(int) string { return "192.0.2.1" }, 1},
		{"a trusted network", 5, func(int) string { return "198.51.100.1" }, 5},
		{"many networks", 50, func(i int) string { return fmt.Sprintf("10.%d.0.1", i) }, 30 - 12},
	} {
		if got := send(c.n, c.ip); got != c.want {
			t.Errorf("%s: %d are passed on, want %d", c.name, got, c.want)
		}
	}
	h.now = h.now.Add(time.Hour)
	if got := send(1, func(int) string { return "203.0.113.1" }); got != 1 {
		t.Error("an hour later it is still refused")
	}
}

// Who has had his share is told to the operator once a minute, by network, and no more than twenty of them.
func TestSharesAreLogged(t *testing.T) {
	t.Parallel()
	h := build(t)
	var log bytes.Buffer
	h.Config.Log = slog.New(slog.NewTextHandler(&log, nil))
	h.Policy.Quotas.TotalHour, h.Policy.Share = 1, share.Rule{Part: 8}
	h.Policy.Quotas.OpenDomainHour = policy.Unlimited
	h.Run.DNS = dnstest.Zone(t, "bare.example. MX 10 mx.bare.example.\nmx.bare.example. A 192.0.2.77\n", patient)
	n := 0
	test := func(ip string, code int) {
		t.Helper()
		n++
		h.answers(t, h.message(t, "From: a@bare.example\r\n\r\n"+fmt.Sprint(n), func(e *verify.Envelope) {
			e.MailFrom, e.Client = fmt.Sprintf("a%d@bare.example", n), netip.AddrPortFrom(netip.MustParseAddr(ip), 4025)
		}), code, "")
	}
	lines := func(text string) int { return strings.Count(log.String(), text) }
	test("192.0.2.1", 250)
	for range 3 {
		test("192.0.2.1", 550)
	}
	if got := lines(`level=WARN msg="a network had its share"`); got != 1 || lines("network=192.0.2.0/24 counter=") != 1 {
		t.Errorf("%d lines, want one with the network:\n%s", got, &log)
	}
	for i := range 40 {
		test(fmt.Sprintf("10.0.%d.1", i), 550)
	}
	if got := lines(`msg="a network had its share"`); got != 20 {
		t.Errorf("%d lines, want 20:\n%s", got, &log)
	}
	h.now = h.now.Add(time.Minute)
	test("192.0.2.1", 550)
	if got := lines(`msg="a network had its share"`); got != 21 || lines(`msg="more networks had their share in the minute before" refused=21`) != 1 {
		t.Errorf("a minute later: %d lines, want 21 and one of the others:\n%s", got, &log)
	}
	// One's own quota is nobody else's matter.
	h.Policy.Quotas.TotalHour = policy.Unlimited
	test("192.0.2.2", 250)
	before := lines("level=WARN")
	h.answers(t, h.message(t, "From: a@bare.example\r\n\r\nagain", func(e *verify.Envelope) { e.MailFrom = fmt.Sprintf("a%d@bare.example", n) }), 550, "quota address-day")
	if lines("level=WARN") != before {
		t.Errorf("one's own quota is a warning:\n%s", &log)
	}
}

// RFC 5321, 5.1: a domain whose first mail server is ours gets no report; one whose later server is ours is written to at
// the first.
func TestTheWayLeadsToOurselves(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.Policy.Ours = func(a netip.Addr) bool { return a == netip.MustParseAddr("192.0.2.99") }
	h.Run.DNS = dnstest.Zone(t, zone+`loop.example. MX 10 us.loop.example.
loop.example. MX 20 mx.loop.example.
us.loop.example. A 192.0.2.99
mx.loop.example. A 192.0.2.98
backup.example. MX 10 mx.backup.example.
backup.example. MX 20 us.backup.example.
mx.backup.example. A 192.0.2.97
us.backup.example. A 192.0.2.99
`, patient)
	from := func(domain string) func(*verify.Envelope) {
		return func(e *verify.Envelope) { e.MailFrom = "a@" + domain }
	}
	if a := h.answers(t, h.message(t, "From: a@loop.example\r\n\r\n", from("loop.example")), 550, "No report is mailed: mail server is this service"); a.Enhanced != [3]int{5, 4, 6} {
		t.Errorf("got %v, want 5.4.6", a.Enhanced)
	}
	h.answers(t, h.message(t, "From: a@backup.example\r\n\r\n", from("backup.example")), 250, "to <a@backup.example>")
	if got := h.kicked[0].Counted; len(got) != 1 || got[0].At != netip.MustParseAddr("192.0.2.97") {
		t.Errorf("counted at %v", got)
	}
}

// brought is what became of one connection to a mail server.
func brought(t *testing.T, d respond.Destinations, e reply.Entry, at string) (full string) {
	t.Helper()
	got, err := d.Connect(t.Context(), e, "mx."+strings.TrimPrefix(e.To, "a@"), netip.MustParseAddr(at))
	if err != nil {
		t.Fatal(err)
	}
	return got.Key
}

// The same from the message on: the first report of an organisation is counted at all addresses of its server, and when
// one has taken it nothing is counted before it is connected to.
func TestAVictimBesideAServerThatTakes(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.Policy.Share = share.Rule{Part: 8}
	h.Run.DNS = dnstest.Zone(t, zone+"two.example. MX 10 mx.two.example.\nmx.two.example. A 192.0.2.61\nmx.two.example. A 192.0.2.62\n", patient)
	d := respond.Destinations{Policy: h.Policy, Store: h.store, Now: h.Config.Now}
	taker, victim := netip.MustParseAddr("192.0.2.61"), netip.MustParseAddr("192.0.2.62")
	connections := 0
	for i := range 20 {
		from := fmt.Sprintf("a%d@two.example", i)
		h.kicked = nil
		h.answers(t, h.message(t, "From: "+from+"\r\n\r\n", func(e *verify.Envelope) {
			e.MailFrom, e.Client = from, netip.AddrPortFrom(netip.MustParseAddr(fmt.Sprintf("10.0.%d.1", i)), 4025)
		}), 250, "to <"+from+">")
		e := h.kicked[0]
		if want := map[bool]int{true: 2, false: 0}[i == 0]; len(e.Counted) != want {
			t.Errorf("report %d was counted at %d addresses, want %d", i, len(e.Counted), want)
		}
		if i == 0 {
			if err := d.Took(t.Context(), e, "mx.two.example", taker, []netip.Addr{taker}); err != nil {
				t.Fatal(err)
			}
			continue
		}
		// From now on the attacker's own address does not answer, so that each try comes to the victim's.
		if full, err := d.Connect(t.Context(), e, "mx.two.example", victim); err != nil {
			t.Fatal(err)
		} else if full.Key == "" {
			connections++
		}
	}
	if connections != 6 {
		t.Errorf("%d connections to the victim for one organisation, want 6", connections)
	}
}

// A name server that says another address each time leads 400 reports to one server, which takes none.
func TestDestinationsOfChangingNames(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.Policy.Share = share.Rule{Part: 8}
	d := respond.Destinations{Policy: h.Policy, Store: h.store, Now: h.Config.Now}
	tries := 0
	for i := range 400 {
		e := reply.Entry{ID: fmt.Sprint(i), To: fmt.Sprintf("a@d%d.example", i%100),
			Counted: []reply.Counted{{At: netip.MustParseAddr("198.51.100.1")}}}
		if full := brought(t, d, e, "198.51.100.200"); full == "" {
			tries++
		}
		if full := brought(t, d, e, "198.51.100.1"); full != "" {
			t.Fatalf("what was counted when it was stored is counted again: %s", full)
		}
	}
	if tries != 60 {
		t.Errorf("%d connections to a server that takes nothing, want 60", tries)
	}
	h.now = h.now.Add(time.Hour)
	if full := brought(t, d, reply.Entry{To: "a@d1.example"}, "198.51.100.200"); full != "" {
		t.Errorf("an hour later %q is full", full)
	}
	// One organisation alone has its share.
	tries = 0
	for range 20 {
		if full := brought(t, d, reply.Entry{To: "a@one.example"}, "198.51.100.201"); full == "" {
			tries++
		}
	}
	if tries != 6 {
		t.Errorf("%d connections for one organisation, want 6", tries)
	}
}

// What a server takes does not count at it, from then on and for that organisation; what it refuses does, and so does
// what was sent to another server before.
func TestDestinationsThatTake(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.Policy.Share = share.Rule{Part: 8}
	d := respond.Destinations{Policy: h.Policy, Store: h.store, Now: h.Config.Now}
	const here, there = "198.51.100.1", "198.51.100.2"
	counted := func(to, at string) reply.Counted {
		a := netip.MustParseAddr(at)
		in := h.Policy.Destination("mx.example", a, to, netip.MustParseAddr("203.0.113.1"), h.now)
		if full, err := h.store.Count(t.Context(), in, nil, h.now); full.Key != "" || err != nil {
			t.Fatalf("%v, %v", full, err)
		}
		return reply.Counted{At: a, In: in}
	}
	took := func(e reply.Entry, at string, met ...string) {
		t.Helper()
		var all []netip.Addr
		for _, m := range met {
			all = append(all, netip.MustParseAddr(m))
		}
		if err := d.Took(t.Context(), e, "mx.example", netip.MustParseAddr(at), all); err != nil {
			t.Fatal(err)
		}
	}
	// left is how many of an organisation that is not known have room at an address.
	left := func(at string) (n int) {
		t.Helper()
		for ; n < 100; n++ {
			if brought(t, d, reply.Entry{To: fmt.Sprintf("a@left%d.example", n)}, at) != "" {
				break
			}
		}
		for i := range n {
			in := h.Policy.Destination("mx.example", netip.MustParseAddr(at), fmt.Sprintf("a@left%d.example", i), netip.Addr{}, h.now)
			if _, err := h.store.Count(t.Context(), nil, in, h.now); err != nil {
				t.Fatal(err)
			}
		}
		return n
	}
	if left(here) != 60 {
		t.Fatalf("at first %d have room", left(here))
	}
	// A report that is taken where it was counted.
	e := reply.Entry{To: "a@one.example", Counted: []reply.Counted{counted("a@one.example", here), counted("a@one.example", there)}}
	if left(here) != 59 || left(there) != 59 {
		t.Errorf("counted: %d and %d have room, want 59", left(here), left(there))
	}
	took(e, here, here)
	if left(here) != 60 || left(there) != 60 {
		t.Errorf("taken: %d and %d have room, want 60", left(here), left(there))
	}
	for range 100 {
		if full := brought(t, d, reply.Entry{To: "b@mail.one.example"}, here); full != "" {
			t.Fatalf("the server takes that organisation's: %s is full", full)
		}
	}
	if full := brought(t, d, reply.Entry{To: "a@one.example"}, there); full != "" || left(there) != 59 {
		t.Errorf("another server is not known to take it: %q, %d have room", full, left(there))
	}
	// What the first server refused counts there, though another one took it.
	e = reply.Entry{To: "a@two.example", Counted: []reply.Counted{counted("a@two.example", here)}}
	if full := brought(t, d, e, there); full != "" {
		t.Fatal(full)
	}
	took(e, there, here, there)
	if left(here) != 59 || left(there) != 58 {
		t.Errorf("refused by one, taken by another that was counted when it was connected to: %d and %d have room, want 59 and 58", left(here), left(there))
	}
	// A second report of who is known gives nothing back that was not counted.
	took(reply.Entry{To: "a@two.example", Counted: []reply.Counted{{At: netip.MustParseAddr(there)}}}, there, there)
	took(reply.Entry{To: "a@two.example"}, there, there)
	if left(there) != 58 {
		t.Errorf("%d have room, want 58", left(there))
	}
	// A victim who takes everything, to whose address a name leads only when its mail server is connected to.
	for i := range 100 {
		e := reply.Entry{To: fmt.Sprintf("a@moves%d.example", i), Counted: []reply.Counted{counted(fmt.Sprintf("a@moves%d.example", i), "198.51.100.9")}}
		full := brought(t, d, e, "198.51.100.10")
		if full != "" {
			if i != 60 {
				t.Errorf("the victim was brought %d, want 60", i)
			}
			break
		}
		took(e, "198.51.100.10", "198.51.100.10")
	}
	// A victim's address beside one that takes the organisation's reports, in one name: whatever the decision found, the
	// connection to it counts.
	e = reply.Entry{ID: "x", To: "a@one.example"}
	if full := brought(t, d, e, "198.51.100.3"); full != "" || left("198.51.100.3") != 59 {
		t.Errorf("a victim beside a server that takes: %q, %d have room", full, left("198.51.100.3"))
	}
	// It is forgotten after a week.
	h.now = h.now.Add(8 * 24 * time.Hour)
	if brought(t, d, reply.Entry{To: "a@one.example"}, here); left(here) != 59 {
		t.Errorf("a week later %d have room, want 59", left(here))
	}
}
