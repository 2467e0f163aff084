package client_test

import (
	"net/netip"
	"testing"
	"time"

	"checkauth/verify/dns"
	"checkauth/verify/dns/client"
	"checkauth/verify/dns/dnstest"
)

// Other servers take over between two questions; the AD bit is believed as they deserve.
func TestUse_other_servers(t *testing.T) {
	t.Parallel()
	const validated = "\n;FAULT AD example.org. TXT\n"
	before, after := dnstest.New(t, `example.org. TXT "before"`+validated), dnstest.New(t, `example.org. TXT "after"`+validated)
	c := before.Client(t)
	ask := func(want string, ad bool) {
		t.Helper()
		a, err := c.Resolve(t.Context(), dns.Ask("example.org", dns.TXT))
		if err != nil || len(a.Records) != 1 || a.Records[0].Text() != want || a.AD != ad {
			t.Errorf("got %+v, AD %t, error %v; want %q, AD %t", a.Records, a.AD, err, want, ad)
		}
	}
	use := func(servers []netip.AddrPort, trust, want bool) {
		t.Helper()
		if changed, err := c.Use(servers, trust); err != nil || changed != want {
			t.Errorf("use of %s: changed %t, error %v; want %t", servers, changed, err, want)
		}
	}
	ask("before", true)
	use([]netip.AddrPort{before.Addr()}, false, false)
	use([]netip.AddrPort{after.Addr()}, false, true)
	ask("after", true)
	// One server that is not on this machine takes the trust from all; trust-ad gives it back.
	far := netip.MustParseAddrPort("192.0.2.53:53")
	use([]netip.AddrPort{after.Addr(), far}, false, true)
	ask("after", false)
	use([]netip.AddrPort{after.Addr(), far}, true, true)
	ask("after", true)
	for name, bad := range map[string][]netip.AddrPort{"none": nil, "no port": {netip.AddrPortFrom(far.Addr(), 0)}} {
		if _, err := c.Use(bad, false); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	ask("after", true)
}

// A question that runs ends with the servers that it began with.
func TestUse_keeps_running_questions(t *testing.T) {
	t.Parallel()
	before := dnstest.New(t, "slow.example.org. TXT \"before\"\n;FAULT DROP=1 slow.example.org. TXT\n")
	after := dnstest.New(t, `slow.example.org. TXT "after"`)
	c := before.Client(t, dnstest.WithClient(func(c *client.Config) { c.Tries = 20 }))
	type said struct {
		a   dns.Answer
		err error
	}
	heard := make(chan said)
	go func() {
		a, err := c.Resolve(t.Context(), dns.Ask("slow.example.org", dns.TXT))
		heard <- said{a, err}
	}()
	for len(before.Queries()) == 0 {
		select {
		case s := <-heard:
			t.Fatalf("answered without a question: %+v", s)
		case <-time.After(time.Millisecond):
		}
	}
	// Its first try was dropped: the next one comes after this.
	if _, err := c.Use([]netip.AddrPort{after.Addr()}, false); err != nil {
		t.Fatal(err)
	}
	if s := <-heard; s.err != nil || s.a.Records[0].Text() != "before" || s.a.Server != before.Addr().String() {
		t.Errorf("got %+v of %s, error %v; want the answer of %s", s.a.Records, s.a.Server, s.err, before.Addr())
	}
	if a, err := c.Resolve(t.Context(), dns.Ask("slow.example.org", dns.TXT)); err != nil || a.Records[0].Text() != "after" {
		t.Errorf("then got %+v, error %v; want the answer of %s", a.Records, err, after.Addr())
	}
}
