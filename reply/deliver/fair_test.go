package deliver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"checkauth/reply"
	"checkauth/reply/store"
	"checkauth/verify/share"
)

// of is an entry that waits, and whose test it answers.
func of(id, client, to string) store.Claimed {
	c := waiting(id, to)
	if client != "" {
		c.Client = netip.MustParseAddr(client)
	}
	return c
}

// hang takes all places that there are, each for a try that takes long, and counts them.
func hang(l *line) (n int) {
	for {
		_, ok := l.next()
		if !ok {
			return n
		}
		l.slowed()
		n++
	}
}

// Testers from five /56 name servers that hang: each network has a tenth of the places, and an honest reply goes next.
func TestTarpitsLeaveRoom(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		client func(i int) string
		to     func(i int) string
		want   int // places that they get
	}{
		"five /56 of five /48":    {func(i int) string { return fmt.Sprintf("2001:db8:%x:%x::1", i%5, i) }, func(i int) string { return fmt.Sprintf("x@d%d.example", i) }, 100},
		"five /56 of one /48":     {func(i int) string { return fmt.Sprintf("2001:db8:0:%x%02x::1", i%5, i/5) }, func(i int) string { return fmt.Sprintf("x@d%d.example", i) }, 20},
		"one organisation":        {func(i int) string { return fmt.Sprintf("192.0.%d.1", i) }, func(i int) string { return fmt.Sprintf("x@d%d.evil.org", i) }, 20},
		"a network for each mail": {func(i int) string { return fmt.Sprintf("192.0.%d.1", i) }, func(i int) string { return fmt.Sprintf("x@d%d.example", i) }, 180},
	} {
		l := newLine(20, 4, share.Rule{Part: 8})
		for i := range 230 {
			l.add(of(fmt.Sprint(i), c.client(i), c.to(i)), time.Time{})
		}
		if got := hang(l); got != c.want {
			t.Errorf("%s: %d places hang, want %d", name, got, c.want)
		}
		if l.behind(time.Time{}.Add(time.Hour)) && c.want < 180 {
			t.Errorf("%s: everybody is put off", name)
		}
		l.delivered("ann@honest.net")
		l.add(of("honest", "198.51.100.1", "ann@honest.net"), time.Time{})
		if got, ok := l.next(); !ok || got.ID != "honest" {
			t.Errorf("%s: the honest reply has no place: %v %t", name, got.ID, ok)
		}
	}
}

// Testers' networks take turns, however many entries one of them has.
func TestNetworksTakeTurns(t *testing.T) {
	t.Parallel()
	l := newLine(20, 4, share.Rule{Part: 8})
	for i := range 40 {
		l.add(of(fmt.Sprint(i), "192.0.2.1", fmt.Sprintf("x@d%d.example", i)), time.Time{})
	}
	l.add(of("other", "198.51.100.1", "ann@honest.net"), time.Time{})
	l.next()
	if got, _ := l.next(); got.ID != "other" {
		t.Errorf("second is %s, want the other network's", got.ID)
	}
}

// One network's entries wait in the store where they are many, so that the others' have room.
func TestOneNetworkDoesNotFillTheQueueInMemory(t *testing.T) {
	t.Parallel()
	l := newLine(20, 4, share.Rule{Part: 8})
	for i := range 2 * lineLength {
		l.add(of(fmt.Sprint(i), "192.0.2.1", fmt.Sprintf("x@d%d.example", i)), time.Time{})
	}
	if n := len(l.waiting); n != lineLength/part || l.room() == 0 {
		t.Errorf("%d wait, want %d", n, lineLength/part)
	}
	if back := l.returns(); len(back) != 2*lineLength-lineLength/part {
		t.Errorf("%d go back to the store", len(back))
	}
}

func TestConnectionsOfATryAreBounded(t *testing.T) {
	t.Parallel()
	a := newAttempt(entry("a"))
	for n := range mostConnections {
		if err := a.connects(); err != nil {
			t.Fatalf("connection %d: %v", n+1, err)
		}
	}
	if err := a.connects(); !errors.Is(err, errConnections) || !isFinal(err) || isPermanent(err) {
		t.Errorf("one more: %v", err)
	}
}

// A full counter at connect postpones the try; the entry is neither lost nor has it used up a try.
func TestAFullCounterPostponesTheTry(t *testing.T) {
	t.Parallel()
	until := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	err := &failure{err: &postponed{"destination-hour/192.0.2.1", until}, stop: true}
	if got := postponedUntil(together([]error{errors.New("x"), err})); !got.Equal(until) {
		t.Errorf("until %s", got)
	}
	if !postponedUntil(errors.New("x")).IsZero() {
		t.Error("any error postpones")
	}
}

// Two hosts of five addresses whose TLS is broken get six connections at most, and a handshake each.
func TestOneTryAgainstManyAddressesWithBrokenTLS(t *testing.T) {
	t.Parallel()
	zone, stubs := "example.org. MX 10 mx0.example.org.\nexample.org. MX 20 mx1.example.org.\n", map[string]*stub{}
	for n := range 10 {
		ip := fmt.Sprintf("127.0.17.%d", n+1)
		stubs[ip] = &stub{script: map[string][]string{
			"EHLO": slices.Repeat([]string{"250-mx.example.org\r\n250 STARTTLS"}, 9),
			"MAIL": slices.Repeat([]string{"451 4.3.0 later"}, 9),
		}}
		zone += fmt.Sprintf("mx%d.example.org. A %s\n", n%2, ip)
	}
	c := config(t)
	c.Port = listen(t, stubs)
	_, err := deliverer(t, c, zone).try(t.Context(), entry("a"))
	connections, handshakes := 0, 0
	for _, s := range stubs {
		handshakes += count(s, "STARTTLS")
		s.mu.Lock()
		connections += len(s.began)
		s.mu.Unlock()
	}
	if !errors.Is(err, errConnections) || connections != mostConnections || handshakes > 2 {
		t.Errorf("%d connections, %d handshakes: %v", connections, handshakes, err)
	}
}

// What was not counted when the reply was stored is counted before the connection; a full counter makes none.
func TestAServerIsCountedBeforeItIsConnectedTo(t *testing.T) {
	t.Parallel()
	s := &stub{}
	c := config(t)
	c.Port = listen(t, map[string]*stub{"127.0.0.1": s})
	until := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	counted := 0
	c.Count = func(_ context.Context, e reply.Entry, host string, at netip.Addr) (reply.Full, error) {
		if e.ID == "a" && host == "mx.example.org" && at == netip.MustParseAddr("127.0.0.1") {
			counted++
		}
		return reply.Full{Key: "destination-hour/127.0.0.1", Until: until}, nil
	}
	_, err := deliverer(t, c, oneHost).try(t.Context(), entry("a"))
	if counted != 1 || !postponedUntil(err).Equal(until) || isPermanent(err) || len(s.began) != 0 {
		t.Errorf("counted %d times, %d connections: %v", counted, len(s.began), err)
	}
}
