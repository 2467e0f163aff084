package evaluate

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"checkauth/verify"
	"checkauth/verify/dns"
	"checkauth/verify/dns/client"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/result"
)

// A fault of ours in any goroutine that works for a message costs what that one would have found, and is told with
// the stack of the place. The process would end here if one of them were not recovered.
func TestAPanicInAGoroutineCostsOnlyItsOwn(t *testing.T) {
	t.Parallel()
	const world = `
example.org.             SOA ns1.example.org. hostmaster.example.org. 7 1 1 1 1
example.org.             NS  ns1.example.org.
example.org.             NS  ns2.example.org.
ns1.example.org.         A   127.53.202.1
ns2.example.org.         A   127.53.202.2
mx.example.org.          A   192.0.2.1
1.2.0.192.in-addr.arpa.  PTR mx.example.org.
`
	const record = `example.org. 1800 IN TXT "v=spf1 ip4:198.51.100.1 -all"` + "\n"
	for _, c := range []struct {
		name, zone string
		spoil      func(*Evaluator, *dns.Authorities)
		want       result.Word // of SPF
		told       string      // whose fault was told
	}{
		{"a zone's server is asked (dns/authority.go)", record, func(_ *Evaluator, a *dns.Authorities) {
			a.Ask = func(context.Context, netip.Addr, dns.Question) (dns.Answer, error) { return place[dns.Answer]() }
		}, result.Fail, "diagnose"},
		{"a referral is asked for (dns/zonecut.go)", record + "org. NS ns1.example.org.\n;FAULT BOGUS example.org. NS\n", func(_ *Evaluator, a *dns.Authorities) {
			a.Refer = func(context.Context, netip.Addr, string) (dns.Delegation, error) { return place[dns.Delegation]() }
		}, result.Fail, "diagnose"},
		{"a zone's servers are looked up (diagnose/zone.go)", record, func(_ *Evaluator, a *dns.Authorities) {
			a.Permit = func(netip.Addr) bool { _, _ = place[int](); return false }
		}, result.Fail, "diagnose"},
		{"the resolver", record, func(ev *Evaluator, _ *dns.Authorities) {
			up := ev.DNS
			ev.DNS = dns.ResolverFunc(func(ctx context.Context, q dns.Question) (dns.Answer, error) {
				if q == dns.Ask("example.org", dns.TXT) {
					return place[dns.Answer]()
				}
				return up.Resolve(ctx, q)
			})
		}, result.TempError, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := dnstest.New(t, world+c.zone, dnstest.WithAuthoritative())
			authorities := client.Authorities(server.Addr().Port(), netip.Addr.IsLoopback)
			var faults faults
			ev := Evaluator{Config: Defaults(), DNS: server.Client(t), Authorities: &authorities, Now: time.Now, Panicked: faults.note}
			c.spoil(&ev, &authorities)
			r := ev.Evaluate(t.Context(), message(t, "192.0.2.1", plain))
			if got := r.Check(verify.MethodSPF); got.Result != c.want {
				t.Errorf("spf: got %s (%s), want %s", got.Result, got.Reason, c.want)
			}
			if got := r.Check(verify.MethodIPRev).Result; got != result.Pass {
				t.Errorf("iprev: got %s, want pass", got)
			}
			faults.check(t, c.told)
		})
	}
}

func TestAPanicBesideTheChecksCostsNoReport(t *testing.T) {
	t.Parallel()
	var faults faults
	ev := Evaluator{Config: Defaults(), DNS: dnstest.Zone(t, zone), Now: time.Now, Panicked: faults.note}
	m := message(t, "192.0.2.1", plain)
	e := ev.Begin(t.Context(), m.Envelope)
	e.Ask(1, func(context.Context, dns.Resolver) { _, _ = place[int]() })
	e.Header(m.Fields)
	r, err := e.Finish(m)
	if err != nil || r.Check(verify.MethodSPF).Result != result.Pass {
		t.Errorf("spf: got %s, %v, want pass", r.Check(verify.MethodSPF).Result, err)
	}
	faults.check(t, "beside")
}

// place is where these faults are.
func place[T any]() (T, error) { panic("oops") }

// faults are those that the evaluator told of.
type faults struct {
	mu     sync.Mutex
	what   []string
	stacks string
}

func (f *faults) note(_, what string, _ any, stack []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.what = append(f.what, what)
	f.stacks += string(stack)
}

func (f *faults) check(t *testing.T, want string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if want == "" && len(f.what) == 0 {
		return // the error says it
	}
	if !slices.Contains(f.what, want) || !strings.Contains(f.stacks, "evaluate.place[") {
		t.Errorf("told of %q, want %q and the stack of the place", f.what, want)
	}
}
