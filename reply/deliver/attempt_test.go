package deliver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"checkauth/reply"
)

// tryOnce makes one try, with what a try keeps in mind.
func tryOnce(t *testing.T, d *Deliverer, e reply.Entry) (outcome, error) {
	t.Helper()
	return d.tryWhole(t.Context(), e)
}

// met counts connections and STARTTLS commands.
func met(stubs map[string]*stub) (connections, handshakes int) {
	for _, s := range stubs {
		handshakes += count(s, "STARTTLS")
		connections += s.connections()
	}
	return connections, handshakes
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
	_, err := tryOnce(t, deliverer(t, c, zone), entry("a"))
	connections, handshakes := met(stubs)
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
	_, err := tryOnce(t, deliverer(t, c, oneHost), entry("a"))
	if counted != 1 || !postponedUntil(err).Equal(until) || isPermanent(err) || len(s.began) != 0 {
		t.Errorf("counted %d times, %d connections: %v", counted, len(s.began), err)
	}
}

// brokenTLS offers STARTTLS, sends no TLS behind it, and in clear puts off.
func brokenTLS() *stub {
	return &stub{script: map[string][]string{"EHLO": {"250-mx.example.org\r\n250 STARTTLS"}, "MAIL": {"451 4.3.0 later"}}}
}

// Five hosts of four addresses, all with broken TLS, get six connections; none of the hosts is left out.
func TestEveryHostHasItsTurn(t *testing.T) {
	t.Parallel()
	zone, stubs := "", map[string]*stub{}
	for host := range 5 {
		zone += fmt.Sprintf("example.org. MX %d mx%d.example.org.\n", host, host)
		for n := range 4 {
			ip := fmt.Sprintf("127.0.18.%d", 10*host+n+1)
			stubs[ip] = brokenTLS()
			zone += fmt.Sprintf("mx%d.example.org. A %s\n", host, ip)
		}
	}
	c := config(t)
	c.Port = listen(t, stubs)
	_, err := tryOnce(t, deliverer(t, c, zone), entry("a"))
	connections, _ := met(stubs)
	if connections != mostConnections || isPermanent(err) {
		t.Errorf("%d connections, want %d: %v", connections, mostConnections, err)
	}
	for host := range 5 {
		n := 0
		for ip, s := range stubs {
			if last, _ := strings.CutPrefix(ip, "127.0.18."); len(last) == len(fmt.Sprint(10*host+1)) && fmt.Sprint(10*host) <= last && last <= fmt.Sprint(10*host+9) {
				n += s.connections()
			}
		}
		if want := map[bool]int{true: 2, false: 1}[host == 0]; n != want {
			t.Errorf("host %d: %d connections, want %d", host, n, want)
		}
	}
}

// A backup server takes the mail in the first try, however many addresses the servers before it have that nobody answers
// at.
func TestABackupServerIsNotHidden(t *testing.T) {
	t.Parallel()
	s := &stub{}
	zone := "example.org. MX 1 dead.example.org.\nexample.org. MX 2 dying.example.org.\nexample.org. MX 3 mx.example.org.\nmx.example.org. A 127.0.0.1\n"
	for n := range 9 {
		zone += fmt.Sprintf("dead.example.org. A 127.0.19.%d\ndying.example.org. A 127.0.20.%d\n", n+1, n+1)
	}
	c := config(t)
	c.Port = listen(t, map[string]*stub{"127.0.0.1": s})
	if _, err := tryOnce(t, deliverer(t, c, zone), entry("a")); err != nil {
		t.Error(err)
	}
}

// An address whose TLS failed is spoken to in clear under another name too.
func TestAFailedHandshakeIsRememberedOfTheAddress(t *testing.T) {
	t.Parallel()
	s := brokenTLS()
	stubs := map[string]*stub{"127.0.0.1": s}
	zone := "example.org. MX 1 one.example.org.\nexample.org. MX 2 two.example.org.\none.example.org. A 127.0.0.1\ntwo.example.org. A 127.0.0.1\n"
	c := config(t)
	c.Port = listen(t, stubs)
	_, err := tryOnce(t, deliverer(t, c, zone), entry("a"))
	connections, handshakes := met(stubs)
	if connections != 3 || handshakes != 1 || err == nil {
		t.Errorf("%d connections, %d handshakes, want 3 and 1: %v", connections, handshakes, err)
	}
	// It has not learnt for ever: the next try begins with TLS.
	_, _ = tryOnce(t, deliverer(t, c, zone), entry("b"))
	if _, again := met(stubs); again != 2 {
		t.Errorf("%d handshakes after two tries, want 2", again)
	}
}

// A full counter postpones the try until it has room: nobody is connected to before, no try is used up, and nothing is
// said of the domain.
func TestAFullCounterPostponesTheTry(t *testing.T) {
	t.Parallel()
	s := &stub{}
	var until time.Time
	var asked atomic.Int32
	bubble(t, map[string]*stub{"192.0.2.1": s}, oneDomain, func(c *Config) {
		until = time.Now().Add(40 * time.Minute)
		c.Count = func(_ context.Context, e reply.Entry, host string, at netip.Addr) (reply.Full, error) {
			if asked.Add(1); time.Now().Before(until) {
				return reply.Full{Key: "destination-hour/" + at.String(), Until: until}, nil
			}
			return reply.Full{}, nil
		}
	}, func(t *testing.T, d *Deliverer, k *kept, _ func()) {
		e := entry("one")
		put(t, k, e)
		d.Enqueue(e)
		k.next(t, "release one")
		time.Sleep(39 * time.Minute)
		if n := s.connections(); n != 0 || asked.Load() != 1 {
			t.Errorf("%d connections, asked %d times", n, asked.Load())
		}
		k.next(t, "done one")
		if late := time.Since(until); late < 0 || late > time.Minute {
			t.Errorf("tried %s after the counter had room", late)
		}
		if all, err := k.Claim(t.Context(), time.Now(), 9); err != nil || len(all) > 0 {
			t.Errorf("left: %v, %v", all, err)
		}
	})
}

// Where one address was connected to before the counter of another was full, the try counts, so that an attacker's first
// address is not connected to each minute.
func TestAPostponedTryThatConnectedCounts(t *testing.T) {
	t.Parallel()
	s := &stub{script: map[string][]string{"greeting": {"421 4.3.2 later"}}}
	zone := still(map[string]string{"example.org": "192.0.2.1"})
	bubble(t, map[string]*stub{"192.0.2.1": s}, zone, func(c *Config) {
		c.Every = time.Second
		var n atomic.Int32
		c.Count = func(context.Context, reply.Entry, string, netip.Addr) (reply.Full, error) {
			if n.Add(1) > 1 {
				return reply.Full{}, errors.New("disk I/O error") // nobody's but ours
			}
			return reply.Full{}, nil
		}
	}, func(t *testing.T, d *Deliverer, k *kept, _ func()) {
		e := entry("one")
		put(t, k, e)
		d.Enqueue(e)
		k.next(t, "retry one: example.org [192.0.2.1]: greeting")
		k.next(t, "release one")
		k.next(t, "release one")
		if n := s.connections(); n != 1 {
			t.Errorf("%d connections, want 1", n)
		}
	})
	now := time.Now()
	err := together([]error{errors.New("421"), &failure{err: &postponed{"full", now.Add(time.Hour)}, stop: true}})
	for connections, want := range []bool{true, false} {
		if a := (&attempt{connections: connections}); a.untried(err, now) != want {
			t.Errorf("%d connections: untried %t", connections, !want)
		}
	}
	if a := (&attempt{}); a.untried(errors.New("x"), now) || a.untried(err, now.Add(time.Hour)) {
		t.Error("an error of another kind, or of the past, is no try")
	}
}
