package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"checkauth/verify/dns"
	"checkauth/verify/dns/client"
	"checkauth/verify/dns/dnstest"
)

// failing asks a question that must fail.
func failing(t *testing.T, r dns.Resolver, name string) *dns.Error {
	t.Helper()
	a, err := r.Resolve(t.Context(), dns.Ask(name, dns.TXT))
	e, ok := errors.AsType[*dns.Error](err)
	if !ok {
		t.Fatalf("%s: got %+v and error %v, want a *dns.Error", name, a, err)
	}
	return e
}

func TestErrors_have_their_kind(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, `
*.example.org. TXT "x"
;FAULT SERVFAIL servfail.example.org. TXT
;FAULT BOGUS bogus.example.org. TXT
;FAULT BOGUS-MUTE mute.example.org. TXT
;FAULT LAME lame.example.org. TXT
;FAULT REFUSED refused.example.org. TXT
;FAULT RCODE=9 notauth.example.org. TXT
;FAULT RCODE=1 formerr.example.org. TXT
;FAULT RCODE=15 fifteen.example.org. TXT
;FAULT TIMEOUT timeout.example.org. TXT
;FAULT ALLGARBAGE garbage.example.org. TXT
;FAULT TRUNCATE tcp.example.org. TXT
;FAULT TIMEOUT-TCP tcp.example.org. TXT
loop.example.org. CNAME loop.example.org.
`)
	r := s.Client(t, dnstest.WithClient(func(c *client.Config) { c.Timeout = 300 * time.Millisecond }))
	for _, c := range []struct {
		name   string
		kind   dns.Kind
		detail string
	}{
		{"servfail", dns.ServFail, ""},
		{"bogus", dns.Bogus, "extended error 6 (DNSSEC Bogus): validation failure"},
		{"mute", dns.Bogus, "answered with checking disabled"},
		{"lame", dns.Lame, "extended error 22 (No Reachable Authority): no server answers"},
		{"refused", dns.Refused, "REFUSED"},
		{"notauth", dns.Refused, "NOTAUTH"},
		{"formerr", dns.Refused, "FORMERR"},
		{"fifteen", dns.Refused, "code 15"},
		{"timeout", dns.Timeout, ""},
		{"garbage", dns.Malformed, ""},
		{"tcp", dns.Timeout, ""},
		{"loop", dns.Chain, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := failing(t, r, c.name+".example.org")
			if e.Kind != c.kind || e.Detail != c.detail {
				t.Errorf("got %s, detail %q; want %s, %q", e.Kind, e.Detail, c.kind, c.detail)
			}
			if c.kind != dns.Chain && e.Server != s.Addr().String() {
				t.Errorf("got server %q, want %s", e.Server, s.Addr())
			}
		})
	}
}

// closedPort is an address on loopback where nobody listens.
func closedPort(t *testing.T) netip.AddrPort {
	t.Helper()
	s, err := dnstest.Start("")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return s.Addr()
}

func newClient(t *testing.T, change func(*client.Config), servers ...netip.AddrPort) *client.Client {
	t.Helper()
	config := client.Defaults()
	config.Servers, config.Timeout = servers, 300*time.Millisecond
	if change != nil {
		change(&config)
	}
	c, err := client.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestUnreachable_where_nobody_listens(t *testing.T) {
	t.Parallel()
	if e := failing(t, newClient(t, nil, closedPort(t)), "example.org"); e.Kind != dns.Unreachable {
		t.Errorf("got %s (%v), want unreachable", e.Kind, e)
	}
}

func TestNext_server_answers(t *testing.T) {
	t.Parallel()
	good := dnstest.New(t, `example.org. TXT "x"`)
	first := map[string]netip.AddrPort{"closed": closedPort(t)}
	for _, kind := range []string{"SERVFAIL", "BOGUS", "REFUSED", "TIMEOUT", "ALLGARBAGE"} {
		first[kind] = dnstest.New(t, "example.org. TXT \"wrong\"\n;FAULT "+kind+" example.org. TXT\n").Addr()
	}
	for kind, addr := range first {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, nil, addr, good.Addr())
			a, err := c.Resolve(t.Context(), dns.Ask("example.org", dns.TXT))
			if err != nil || !slices.Equal(a.Texts(), []string{"x"}) || a.Server != good.Addr().String() {
				t.Errorf("got %q of %s, error %v; want the second server's answer", a.Texts(), a.Server, err)
			}
		})
	}
}

func TestSecond_try_is_answered(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, "example.org. TXT \"x\"\n;FAULT DROP=1 example.org. TXT\n")
	if got := resolve(t, s.Client(t), "example.org", dns.TXT); got != `"x"` || len(s.Queries()) != 2 {
		t.Errorf("got %s after %d queries, want the answer at the second", got, len(s.Queries()))
	}
}

func TestError_that_says_most_is_reported(t *testing.T) {
	t.Parallel()
	lame := dnstest.New(t, ";FAULT LAME example.org. TXT\n").Addr()
	silent := dnstest.New(t, ";FAULT TIMEOUT example.org. TXT\n").Addr()
	for _, servers := range [][]netip.AddrPort{{lame, silent, closedPort(t)}, {closedPort(t), silent, lame}} {
		if e := failing(t, newClient(t, nil, servers...), "example.org"); e.Kind != dns.Lame || e.Server != lame.String() {
			t.Errorf("servers %v: got %s of %s, want lame of %s", servers, e.Kind, e.Server, lame)
		}
	}
}

func TestCanceled_carries_the_cause(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, ";FAULT TIMEOUT *.example.org. ANY\n")
	r := newClient(t, func(c *client.Config) { c.Timeout = time.Minute }, s.Addr())
	over := errors.New("the 30 s for one message are over")
	for _, c := range []struct {
		name string
		ctx  func(context.Context) (context.Context, context.CancelFunc)
	}{
		{"while it waits", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeoutCause(ctx, 50*time.Millisecond, over)
		}},
		{"before it asks", func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			cancel(over)
			return ctx, func() {}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := c.ctx(t.Context())
			defer cancel()
			began := time.Now()
			_, err := r.Resolve(ctx, dns.Ask("example.org", dns.TXT))
			e, ok := errors.AsType[*dns.Error](err)
			if !ok || e.Kind != dns.Canceled || !errors.Is(err, over) {
				t.Errorf("got %v, want canceled with %q", err, over)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %s to notice", took)
			}
		})
	}
}

func TestMany_goroutines(t *testing.T) {
	t.Parallel()
	var zone strings.Builder
	for i := range 200 {
		fmt.Fprintf(&zone, "n%d.example.org. TXT \"%d\"\n", i, i)
	}
	// A long timeout: a loaded machine may be slow, and this is not about slowness.
	r := dnstest.Zone(t, zone.String(), dnstest.WithClient(func(c *client.Config) { c.Timeout = 5 * time.Second }))
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			a, err := r.Resolve(t.Context(), dns.Ask(fmt.Sprintf("n%d.example.org", i), dns.TXT))
			if err != nil || !slices.Equal(a.Texts(), []string{fmt.Sprint(i)}) {
				t.Errorf("n%d: got %q, error %v", i, a.Texts(), err)
			}
		})
	}
	all.Wait()
}

func TestAuthoritative_takes_only_the_servers_own_word(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, `
example.org. NS ns1.example.org.
ns1.example.org. A 127.53.98.1
example.org. TXT "own"
alias.example.org. CNAME key.vendor.example.
key.vendor.example. TXT "the vendor's"
;AUTHFAULT ns1.example.org NOCHASE
`, dnstest.WithAuthoritative())
	authoritative := func(c *client.Config) { c.Authoritative = true }
	ns1 := netip.AddrPortFrom(netip.MustParseAddr("127.53.98.1"), s.Addr().Port())
	if got := resolve(t, newClient(t, authoritative, ns1), "example.org", dns.TXT); got != `"own"` {
		t.Errorf("ns1: got %s, want its answer", got)
	}
	a, err := newClient(t, authoritative, ns1).Resolve(t.Context(), dns.Ask("alias.example.org", dns.TXT))
	if err != nil || a.NX || len(a.Records) != 0 || len(a.Chain) != 1 || a.Chain[0].Target != "key.vendor.example" {
		t.Errorf("a CNAME to another's zone: got %+v, error %v; want the CNAME alone", a, err)
	}
	if e := failing(t, newClient(t, authoritative, s.Addr()), "example.org"); e.Kind != dns.Lame {
		t.Errorf("a server without authority: got %s, want lame", e.Kind)
	}
}

func TestAnswer_tells_where_from_and_when(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, "example.org. TXT \"x\"\n;FAULT DELAY=20ms example.org. TXT\n")
	began := time.Now()
	a, err := s.Client(t).Resolve(t.Context(), dns.Question{Name: "Example.ORG.", Type: dns.TXT})
	if err != nil {
		t.Fatal(err)
	}
	if a.Server != s.Addr().String() || a.Took < 20*time.Millisecond || a.Time.Before(began.Add(a.Took)) {
		t.Errorf("got server %s, took %s, time %s; want %s, at least 20ms, after the question", a.Server, a.Took, a.Time, s.Addr())
	}
	if want := dns.Ask("example.org", dns.TXT); a.Question != want {
		t.Errorf("got question %+v, want the canonical %+v", a.Question, want)
	}
}

func TestNew_refuses_what_cannot_work(t *testing.T) {
	t.Parallel()
	server := netip.MustParseAddrPort("127.0.0.1:53")
	for _, c := range []struct {
		name, want string
		change     func(*client.Config)
	}{
		{"no server", "no server", func(c *client.Config) { c.Servers = nil }},
		{"a server without port", "want an address and a port", func(c *client.Config) {
			c.Servers = []netip.AddrPort{netip.AddrPortFrom(server.Addr(), 0)}
		}},
		{"a server without address", "want an address and a port", func(c *client.Config) {
			c.Servers = []netip.AddrPort{{}}
		}},
		{"no try", "0 tries", func(c *client.Config) { c.Tries = 0 }},
		{"no time", "timeout 0s", func(c *client.Config) { c.Timeout = 0 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			config := client.Defaults()
			config.Servers = []netip.AddrPort{server}
			c.change(&config)
			if _, err := client.New(config); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestFromResolvConf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want, fail string }{
		{"servers in order", "# ours\nsearch example.org\nnameserver 192.0.2.53\noptions edns0\nnameserver\t2001:db8::53 # second\n", "192.0.2.53:53 [2001:db8::53]:53", ""},
		{"trusted", "nameserver 192.0.2.53\noptions edns0 trust-ad\n", "192.0.2.53:53", ""},
		{"a comment about trust", "nameserver 192.0.2.53\n# options trust-ad\n", "192.0.2.53:53", ""},
		{"link-local with its zone", "nameserver fe80::1%lo\n", "[fe80::1%lo]:53", ""},
		{"three at most", strings.Repeat("nameserver 127.0.0.1\n", 5), "127.0.0.1:53 127.0.0.1:53 127.0.0.1:53", ""},
		{"a port of its own", "nameserver [127.0.0.1]:5353\nnameserver [::1]:54\n", "127.0.0.1:5353 [::1]:54", ""},
		{"a port that is none", "nameserver [127.0.0.1]:0\n", "", "want 1 to 65535"},
		{"a bracket too many", "nameserver [127.0.0.1]\n", "", "line 1"},
		{"a comment is no server", "#nameserver 192.0.2.1\n; nameserver 192.0.2.2\n", "", "has no line such as"},
		{"no address", "\nnameserver dns.example.org\n", "", "line 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "resolv.conf")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			servers, trust, err := client.FromResolvConf(path)
			if c.fail != "" {
				if err == nil || !strings.Contains(err.Error(), c.fail) || !strings.Contains(err.Error(), path) {
					t.Errorf("%q: got error %v, want one with the path and %q", c.text, err, c.fail)
				}
				return
			}
			if want := strings.Contains(c.text, "\noptions edns0 trust-ad\n"); trust != want {
				t.Errorf("%q: trust-ad %t, want %t", c.text, trust, want)
			}
			if got := strings.Trim(fmt.Sprint(servers), "[]"); err != nil || got != strings.Trim(c.want, "[]") {
				t.Errorf("%q: got %s, error %v; want %s", c.text, got, err, c.want)
			}
		})
	}
	if _, _, err := client.FromResolvConf(filepath.Join(t.TempDir(), "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: got %v, want an error that is os.ErrNotExist", err)
	}
}
