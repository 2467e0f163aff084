package deliver

import (
	"context"
	"errors"
	"fmt"
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
}

// roads is a Dial.
type roads struct {
	by map[string]road

	mu    sync.Mutex
	began []string
	start time.Time
}

func (r *roads) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	r.mu.Lock()
	r.began = append(r.began, addr[:strings.LastIndexByte(addr, ':')]+" "+time.Since(r.start).String())
	r.mu.Unlock()
	at := r.by[addr]
	after := time.NewTimer(at.after)
	defer after.Stop()
	if at.mute {
		after.Stop()
	}
	select {
	case <-after.C:
		if at.err != nil {
			return nil, at.err
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	ours, theirs := net.Pipe()
	go (&stub{}).serve(theirs)
	return ours, nil
}

// No connection begins before the one in front of it has failed, and one that hangs leaves time for the others.
func TestAddressesAreTriedOneAfterTheOther(t *testing.T) {
	t.Parallel()
	mute, refuses := road{mute: true}, road{err: errors.New("connection refused")}
	const whole = time.Hour
	for _, c := range []struct {
		name  string
		roads []road
		try   time.Duration // the time for all
		began string
		taken bool
	}{
		{"the first answers", []road{{}, {}}, whole, "192.0.2.0 0s", true},
		{"the first is slow, and nobody overtakes it", []road{{after: 19 * time.Second}, {}}, whole, "192.0.2.0 0s", true},
		{"the first refuses", []road{refuses, {}}, whole, "192.0.2.0 0s, 192.0.2.1 0s", true},
		{"the first hangs", []road{mute, {}}, whole, "192.0.2.0 0s, 192.0.2.1 20s", true},
		{"all hang", []road{mute, mute}, whole, "192.0.2.0 0s, 192.0.2.1 20s", false},
		{"little time, and three hang", []road{mute, mute, mute, {}}, 50 * time.Second, "192.0.2.0 0s, 192.0.2.1 10s, 192.0.2.2 20s, 192.0.2.3 30s", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := &roads{by: map[string]road{}, start: time.Now()}
				var servers []server
				for i, road := range c.roads {
					addr := fmt.Sprintf("192.0.2.%d:25", i)
					r.by[addr] = road
					servers = append(servers, server{host: "mx.example.org", addr: addr, network: "tcp4"})
				}
				cfg := config(t)
				cfg.Dial = r.dial
				d := newDeliverer(t, cfg, nil, silent)
				ctx, cancel := context.WithTimeout(t.Context(), c.try)
				defer cancel()
				what, failed := d.servers(ctx, "example.org", servers, d.attempt(entry("one"), nil))
				if what.bye != nil {
					what.bye()
				}
				d.idle.close()
				if got := strings.Join(r.began, ", "); got != c.began || (what.bye != nil) != c.taken {
					t.Errorf("got %s, %v, %v; want %s", got, what, failed, c.began)
				}
			})
		})
	}
}

// bothFamilies is a host with an address of each.
const bothFamilies = "example.org. MX 0 mx.example.org.\nmx.example.org. A 192.0.2.1\nmx.example.org. AAAA 2001:db8::1\n"

// A server that refuses one address of ours for its missing name is asked over the other family before that is the
// last word.
func TestAnAddressOfOursWithoutAName(t *testing.T) {
	t.Parallel()
	const own = "2001:db8::53"
	named := "mail.example.net. AAAA 2001:db8::53\n" + dns.ReverseName(netip.MustParseAddr(own)) + ". PTR mail.example.net.\n"
	for _, c := range []struct {
		name, verb, answer string
		zone               string
		both               bool // the other family is refused, too
		fate               string
		one, two           int // connections to the family that comes first, and to the other
	}{
		{"the code, at the greeting", "greeting", "554 5.7.25 no name", bothFamilies, false, "taken", 1, 1},
		{"the code, at EHLO", "EHLO", "550 5.7.25 no name", bothFamilies, false, "taken", 1, 1},
		{"the code, at MAIL", "MAIL", "550 5.7.25 no name", bothFamilies, false, "taken", 1, 1},
		{"the code, at RCPT", "RCPT", "550 5.7.25 no name", bothFamilies, false, "taken", 1, 1},
		{"the code, at the final dot", ".", "550-5.7.25 no name\r\n550 5.7.25 of yours", bothFamilies, false, "taken", 1, 1},
		{"words about a PTR record", ".", "550-5.7.1 this message does not meet IPv6 sending guidelines regarding PTR records\r\n550 5.7.1 and authentication", bothFamilies, false, "taken", 1, 1},
		{"words about reverse DNS", "MAIL", "550 Your host has no reverse DNS", bothFamilies, false, "taken", 1, 1},
		{"words about a reverse hostname", "RCPT", "550 5.7.1 Client host rejected: cannot find your reverse hostname, [2001:db8::53]", bothFamilies, false, "taken", 1, 1},
		{"both are refused", "RCPT", "550 5.7.25 no name", bothFamilies, true, "temporary", 1, 1},
		{"there is no other", "RCPT", "550 5.7.25 no name", "example.org. MX 0 mx.example.org.\nmx.example.org. AAAA 2001:db8::1\n", false, "temporary", 1, 0},
		{"the next host is asked too", "RCPT", "550 5.7.25 no name", bothFamilies + "example.org. MX 9 two.example.org.\ntwo.example.org. AAAA 2001:db8::1\n", true, "temporary", 2, 1},
		{"a mailbox whose name holds the word is no address of ours", "RCPT", "550 5.1.1 <ptr@example.org> unknown", bothFamilies, false, "permanent", 1, 0},
		{"another refusal is the last word", "RCPT", "550 5.1.1 no such user", bothFamilies, false, "permanent", 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			answers := func() map[string][]string {
				m := map[string][]string{c.verb: {c.answer}}
				if c.verb == "EHLO" {
					m["HELO"] = m["EHLO"]
				}
				return m
			}
			six, four := &stub{script: answers()}, &stub{}
			if c.both {
				four.script = answers()
			}
			cfg := config(t)
			cfg.Six = netip.MustParseAddr(own)
			cfg.Dial = inMemory(map[string]*stub{"2001:db8::1": six, "192.0.2.1": four})
			_, err := deliverer(t, cfg, c.zone+named).tryWhole(t.Context(), entry("one"))
			want(t, err, c.fate, "")
			if six.connections() != c.one || four.connections() != c.two {
				t.Errorf("connections: %d and %d, want %d and %d", six.connections(), four.connections(), c.one, c.two)
			}
		})
	}
}

// The whole try, over the network: a host's first address refuses, its second takes the mail.
func TestTheSecondAddressTakesTheMail(t *testing.T) {
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
		r := &roads{by: map[string]road{"192.0.2.1:25": {mute: true}}, start: time.Now()}
		cfg := config(t)
		cfg.Dial = r.dial
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(over) })
		what, err := newDeliverer(t, cfg, nil, oneDomain).tryWhole(ctx, entry("one"))
		want(t, err, "temporary", "example.org [192.0.2.1]: "+over.Error())
		if took := time.Since(r.start); took != time.Second || what.talked || what.host != "example.org [192.0.2.1]" {
			t.Errorf("it took %s, %+v", took, what)
		}
	})
}

func TestOrderOfAddresses(t *testing.T) {
	t.Parallel()
	const own, v4, v6 = "2001:db8::53", "192.0.2.1 192.0.2.2", "2001:db8::1 2001:db8::2"
	named := "mail.example.net. AAAA 2001:db8::53\n" + dns.ReverseName(netip.MustParseAddr(own)) + ". PTR mail.example.net.\n"
	for _, c := range []struct{ name, family, own, zone, addrs, want string }{
		{"no IPv6 of our own", AnyFamily, "", named, v4 + " " + v6, "[192.0.2.1 192.0.2.2 2001:db8::1 2001:db8::2]"},
		{"ours has a name that leads back", AnyFamily, own, named, v4 + " " + v6, "[2001:db8::1 2001:db8::2 192.0.2.1 192.0.2.2]"},
		{"ours has none", AnyFamily, own, "", v4 + " " + v6, "[192.0.2.1 192.0.2.2 2001:db8::1 2001:db8::2]"},
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
		network, to string
		source      []netip.Addr
		want        string
	}{
		{"tcp", "192.0.2.1:25", []netip.Addr{six, four}, "192.0.2.9:0"},
		{"tcp", "[2001:db8::1]:25", []netip.Addr{four, six}, "[2001:db8::9]:0"},
		{"tcp", "[::ffff:192.0.2.1]:25", []netip.Addr{six, four}, "192.0.2.9:0"},
		{"tcp", "[2001:db8::1]:25", []netip.Addr{four}, "<nil>"},
		{"tcp", "192.0.2.1:25", nil, "<nil>"},
		{"tcp6", "relay.example.org:25", []netip.Addr{four, six}, "[2001:db8::9]:0"},
		{"tcp4", "relay.example.org:25", []netip.Addr{six, four}, "192.0.2.9:0"},
	} {
		if got := fmt.Sprint(Config{Source: c.source}.source(c.network, c.to)); got != c.want {
			t.Errorf("%s, %s: got %s, want %s", c.network, c.to, got, c.want)
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
