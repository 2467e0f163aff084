package deliver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
)

// road is how one address answers a connection.
type road struct {
	after time.Duration
	err   error
	mute  bool // never
	late  bool // connects at the moment when nobody wants it any more
}

// roads is a Dial; open are the connections that were made and not closed.
type roads struct {
	by map[string]road

	mu    sync.Mutex
	began map[string]time.Duration
	start time.Time
	far   []net.Conn
}

func (r *roads) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	r.mu.Lock()
	r.began[addr] = time.Since(r.start)
	r.mu.Unlock()
	at := r.by[addr]
	after := time.NewTimer(at.after)
	defer after.Stop()
	if at.mute || at.late {
		after.Stop()
	}
	select {
	case <-after.C:
		if at.err != nil {
			return nil, at.err
		}
	case <-ctx.Done():
		if !at.late {
			return nil, ctx.Err()
		}
	}
	ours, theirs := net.Pipe()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.far = append(r.far, theirs)
	return ours, nil
}

// open counts the connections that we have not closed.
func (r *roads) open() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.far {
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			n++
		}
	}
	return n
}

func TestRFC8305_5_one_address_after_another(t *testing.T) {
	t.Parallel()
	no := errors.New("connection refused")
	mute, refuses := road{mute: true}, road{err: no}
	for _, c := range []struct {
		name  string
		roads []road
		at    int // that is connected to, or -1
		took  time.Duration
		began string
		fails int
	}{
		{"the first answers", []road{{}, {}}, 0, 0, "0s", 0},
		{"the first answers within the time", []road{{after: stagger - 1}, {}}, 0, stagger - 1, "0s", 0},
		{"the first hangs", []road{mute, {}}, 1, stagger, "0s 250ms", 0},
		{"two hang", []road{mute, mute, {after: time.Second}}, 2, 1500 * time.Millisecond, "0s 250ms 500ms", 0},
		{"the first refuses", []road{refuses, {}}, 1, 0, "0s 0s", 1},
		{"the first refuses late", []road{{after: 100 * time.Millisecond, err: no}, {}}, 1, 100 * time.Millisecond, "0s 100ms", 1},
		{"the slow one is first after all", []road{{after: 300 * time.Millisecond}, {after: time.Second}}, 0, 300 * time.Millisecond, "0s 250ms", 0},
		{"both connect, the loser is closed", []road{{late: true}, {}}, 1, stagger, "0s 250ms", 0},
		{"a refusal begins the time anew", []road{mute, {after: 100 * time.Millisecond, err: no}, mute, {}}, 3, 600 * time.Millisecond, "0s 250ms 350ms 600ms", 1},
		{"all refuse", []road{refuses, refuses, refuses}, -1, 0, "0s 0s 0s", 3},
		{"all hang", []road{mute, mute}, -1, 20*time.Second + stagger, "0s 250ms", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := &roads{by: map[string]road{}, began: map[string]time.Duration{}, start: time.Now()}
				var servers []server
				for i, road := range c.roads {
					addr := fmt.Sprintf("192.0.2.%d:25", i)
					r.by[addr] = road
					servers = append(servers, server{host: "mx.example.org", addr: addr})
				}
				cfg := config(t)
				cfg.Dial = r.dial
				conn, at, failed := newDeliverer(t, cfg, nil, silent).reach(t.Context(), servers)
				took, began := time.Since(r.start), ""
				for _, s := range servers {
					if b, ok := r.began[s.addr]; ok {
						began += " " + b.String()
					}
				}
				if at != c.at || took != c.took || began != " "+c.began || len(failed) != c.fails || (conn == nil) != (at < 0) {
					t.Errorf("got %d after %s, begun at%s, %d failures; want %d after %s, %s, %d", at, took, began, len(failed), c.at, c.took, c.began, c.fails)
				}
				if n := r.open(); n != min(c.at+1, 1) {
					t.Errorf("%d connections are open", n)
				}
				if conn != nil {
					_ = conn.Close()
				}
			})
		})
	}
}

// The whole try, over the network: a host's first address refuses, its second takes the mail.
func TestRFC8305_5_within_a_try(t *testing.T) {
	t.Parallel()
	s := &stub{}
	c := config(t)
	c.Port = listen(t, map[string]*stub{"127.0.0.2": s})
	what, err := deliverer(t, c, "example.org. A 127.0.0.1\nexample.org. A 127.0.0.2\n").tryWhole(t.Context(), entry("one"))
	want(t, err, "taken", "")
	if what.host != "example.org [127.0.0.2]" || s.connections() != 1 {
		t.Errorf("got %+v after %d connections", what, s.connections())
	}
}

func TestTheEndOfATryEndsItsConnecting(t *testing.T) {
	t.Parallel()
	over := errors.New("the time for one try is over")
	synctest.Test(t, func(t *testing.T) {
		r := &roads{by: map[string]road{"192.0.2.1:25": {mute: true}}, began: map[string]time.Duration{}, start: time.Now()}
		cfg := config(t)
		cfg.Dial = r.dial
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, over)
		defer cancel()
		what, err := newDeliverer(t, cfg, nil, oneDomain).tryWhole(ctx, entry("one"))
		want(t, err, "temporary", "example.org [192.0.2.1]: "+over.Error())
		if took := time.Since(r.start); took != time.Second || what.talked || what.host != "example.org [192.0.2.1]" {
			t.Errorf("it took %s, %+v", took, what)
		}
	})
}

func TestRFC8305_4_order_of_addresses(t *testing.T) {
	t.Parallel()
	const own, v4, v6 = "2001:db8::53", "192.0.2.1 192.0.2.2", "2001:db8::1 2001:db8::2"
	named := "mail.example.net. AAAA 2001:db8::53\n" + dns.ReverseName(netip.MustParseAddr(own)) + ". PTR mail.example.net.\n"
	for _, c := range []struct{ name, family, own, zone, addrs, want string }{
		{"no IPv6 of our own", AnyFamily, "", named, v4 + " " + v6, "[192.0.2.1 2001:db8::1 192.0.2.2 2001:db8::2]"},
		{"ours has a name that leads back", AnyFamily, own, named, v4 + " " + v6, "[2001:db8::1 192.0.2.1 2001:db8::2 192.0.2.2]"},
		{"ours has none", AnyFamily, own, "", v4 + " " + v6, "[192.0.2.1 2001:db8::1 192.0.2.2 2001:db8::2]"},
		{"the name leads elsewhere", AnyFamily, "2001:db8::54", dns.ReverseName(netip.MustParseAddr("2001:db8::54")) + ". PTR mail.example.net.\n" + named,
			"192.0.2.1 2001:db8::1", "[192.0.2.1 2001:db8::1]"},
		{"more of one", AnyFamily, "", "", "2001:db8::1 2001:db8::2 192.0.2.1", "[192.0.2.1 2001:db8::1 2001:db8::2]"},
		{"IPv6 alone", AnyFamily, "", "", v6, "[2001:db8::1 2001:db8::2]"},
		{"a mapped address is IPv4", IPv6, "", "", "::ffff:192.0.2.1 2001:db8::1", "[2001:db8::1]"},
		{"the operator wants IPv4", IPv4, own, named, v4 + " " + v6, "[192.0.2.1 192.0.2.2]"},
		{"the operator wants IPv6", IPv6, "", "", v4 + " " + v6, "[2001:db8::1 2001:db8::2]"},
		{"there is none of what the operator wants", IPv6, "", "", v4, "[]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t)
			cfg.Family = c.family
			if c.own != "" {
				cfg.Six = netip.MustParseAddr(c.own)
			}
			var addrs []netip.Addr
			for _, a := range strings.Fields(c.addrs) {
				addrs = append(addrs, netip.MustParseAddr(a))
			}
			if got := fmt.Sprint(deliverer(t, cfg, c.zone).inOrder(t.Context(), addrs)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestAHostWithoutTheWantedFamilyIsWaitedFor(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.Family = IPv6
	_, err := deliverer(t, c, oneHost).tryWhole(t.Context(), entry("one"))
	want(t, err, "temporary", "of the family ipv6")
}

// Many addresses of one family do not hide those of the other.
func TestBothFamiliesHavePlaces(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ four, six, wantFour, wantSix int }{
		{9, 9, 2, 2}, {9, 1, 3, 1}, {9, 0, 4, 0}, {1, 9, 1, 3}, {0, 9, 0, 4}, {2, 2, 2, 2}, {1, 1, 1, 1},
	} {
		zone := "mx.example.org. TXT x\n"
		for i := range c.four {
			zone += fmt.Sprintf("mx.example.org. A 192.0.2.%d\n", i)
		}
		for i := range c.six {
			zone += fmt.Sprintf("mx.example.org. AAAA 2001:db8::%d\n", i)
		}
		addrs, _, err := addresses(t.Context(), dnstest.Zone(t, zone, patient()), host{name: "mx.example.org"})
		four := 0
		for _, a := range addrs {
			if a.Is4() {
				four++
			}
		}
		if err != nil || four != c.wantFour || len(addrs)-four != c.wantSix {
			t.Errorf("%d and %d: got %d and %d, %v, want %d and %d", c.four, c.six, four, len(addrs)-four, err, c.wantFour, c.wantSix)
		}
	}
}

// Whether our own address has a name is asked once an hour; what could not be learnt, again after a minute.
func TestOurOwnNameIsRemembered(t *testing.T) {
	t.Parallel()
	own := netip.MustParseAddr("2001:db8::53")
	synctest.Test(t, func(t *testing.T) {
		asked, fails := 0, true
		cfg := config(t)
		cfg.Six = own
		d := newDeliverer(t, cfg, nil, dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
			asked++
			switch {
			case fails:
				return dns.Answer{}, &dns.Error{Question: q, Kind: dns.Timeout}
			case q.Type == dns.PTR:
				return dns.Answer{Records: []dns.Record{{Target: "mail.example.net"}}}, nil
			}
			return dns.Answer{Records: []dns.Record{{Addr: own}}}, nil
		}))
		check := func(ok bool, n int) {
			t.Helper()
			if got := d.six.good(t.Context(), d); got != ok || asked != n {
				t.Errorf("got %t after %d questions, want %t after %d", got, asked, ok, n)
			}
		}
		check(false, 1)
		time.Sleep(unlearnt - 1)
		check(false, 1)
		time.Sleep(time.Nanosecond)
		fails = false
		check(true, 3)
		fails = true
		time.Sleep(believed - 1)
		check(true, 3)
		time.Sleep(time.Nanosecond)
		check(false, 4)
	})
}

// A question that hangs holds up the delivery that asks it alone.
func TestOurOwnNameIsNotWaitedForByAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t)
		cfg.Six = netip.MustParseAddr("2001:db8::53")
		d := newDeliverer(t, cfg, nil, silent)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		go d.six.good(ctx, d)
		synctest.Wait()
		began := time.Now()
		if d.six.good(ctx, d) || time.Since(began) != 0 {
			t.Errorf("it took %s", time.Since(began))
		}
		time.Sleep(2 * time.Minute)
	})
}

func TestSourceAddress(t *testing.T) {
	t.Parallel()
	four, six := netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("2001:db8::9")
	for _, c := range []struct {
		family, to string
		source     []netip.Addr
		want       string
	}{
		{AnyFamily, "192.0.2.1:25", []netip.Addr{six, four}, "192.0.2.9:0"},
		{AnyFamily, "[2001:db8::1]:25", []netip.Addr{four, six}, "[2001:db8::9]:0"},
		{AnyFamily, "[::ffff:192.0.2.1]:25", []netip.Addr{six, four}, "192.0.2.9:0"},
		{AnyFamily, "[2001:db8::1]:25", []netip.Addr{four}, "<nil>"},
		{AnyFamily, "192.0.2.1:25", nil, "<nil>"},
		{AnyFamily, "relay.example.org:25", []netip.Addr{four, six}, "<nil>"},
		{IPv6, "relay.example.org:25", []netip.Addr{four, six}, "[2001:db8::9]:0"},
		{IPv4, "relay.example.org:25", []netip.Addr{six, four}, "192.0.2.9:0"},
	} {
		if got := fmt.Sprint(Config{Family: c.family, Source: c.source}.source(c.to)); got != c.want {
			t.Errorf("%s, %s: got %s, want %s", c.family, c.to, got, c.want)
		}
	}
}

func TestMailComesFromTheSourceAddress(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, from := &stub{}, make(chan string, 2)
	accept(t, l, func(conn net.Conn) {
		from <- netip.MustParseAddrPort(conn.RemoteAddr().String()).Addr().String()
		s.serve(conn)
	})
	c := config(t)
	c.Port, c.Source = l.Addr().(*net.TCPAddr).Port, []netip.Addr{netip.MustParseAddr("127.0.0.7")}
	_, err = deliverer(t, c, oneHost).tryWhole(t.Context(), entry("one"))
	want(t, err, "taken", "")
	c.Relay, c.Family = fmt.Sprint("localhost:", c.Port), IPv4
	_, err = deliverer(t, c, "").tryWhole(t.Context(), entry("one"))
	want(t, err, "taken", "")
	for _, way := range []string{"MX", "relay"} {
		if got := <-from; got != "127.0.0.7" {
			t.Errorf("%s: it came from %s, want 127.0.0.7", way, got)
		}
	}
}
