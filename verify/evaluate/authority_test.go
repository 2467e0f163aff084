package evaluate

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"checkauth/verify"
	"checkauth/verify/dns"
	"checkauth/verify/dns/client"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/result"
	"checkauth/verify/share"
)

// What a zone's own servers say names the cause where a record that they have would pass; it changes no
// result, and who must not be asked is not.
func TestAuthorities(t *testing.T) {
	t.Parallel()
	const world = `
example.org.             SOA ns1.example.org. hostmaster.example.org. 7 1 1 1 1
example.org.             NS  ns1.example.org.
example.org.             NS  ns2.example.org.
ns1.example.org.         A   127.53.201.1
ns2.example.org.         A   127.53.201.2
example.org.             1800 IN TXT "v=spf1 ip4:198.51.100.1 -all"
mx.example.org.          A   192.0.2.1
1.2.0.192.in-addr.arpa.  PTR mx.example.org.
`
	const right, wrong = `example.org. 3600 IN TXT "v=spf1 ip4:192.0.2.1 -all"`, `example.org. 3600 IN TXT "v=spf1 ip4:198.51.100.2 -all"`
	for _, c := range []struct {
		name, zone string
		permit     func(netip.Addr) bool
		want       result.Code
		says       string      // in its arguments
		states     result.Code // of what the servers said together
	}{
		{"both have what we have", "", netip.Addr.IsLoopback, "spf-sender-not-listed", "", "authority-same"},
		{"both have a record that passes", ";AUTH ns1.example.org " + right + "\n;AUTH ns2.example.org " + right, netip.Addr.IsLoopback, "dns-stale-cache", `seconds="1800"`, "authority-newer"},
		{"both have another that fails", ";AUTH ns1.example.org " + wrong + "\n;AUTH ns2.example.org " + wrong, netip.Addr.IsLoopback, "spf-sender-not-listed", "", "authority-newer"},
		{"one has a record that passes", ";AUTH ns1.example.org " + right + "\n;AUTH ns2.example.org example.org. SOA ns1.example.org. h.example.org. 6 1 1 1 1", netip.Addr.IsLoopback, "dns-secondary-stale", `servers="ns2.example.org"`, "authority-differ"},
		{"they differ and both fail", ";AUTH ns1.example.org " + wrong, netip.Addr.IsLoopback, "spf-sender-not-listed", "", "authority-differ"},
		{"the one that answers has it", ";AUTH ns1.example.org " + right + "\n;AUTHFAULT ns2.example.org SERVFAIL", netip.Addr.IsLoopback, "dns-stale-cache", "", "authority-newer"},
		{"nobody may be asked", ";AUTH ns1.example.org " + right + "\n;AUTH ns2.example.org " + right, func(netip.Addr) bool { return false }, "spf-sender-not-listed", "", "authority-silent"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := dnstest.New(t, world+c.zone+"\n", dnstest.WithAuthoritative())
			authorities := client.Authorities(server.Addr().Port(), c.permit)
			ev := Evaluator{Config: Defaults(), DNS: server.Client(t), Authorities: &authorities, Now: time.Now}
			r := ev.Evaluate(t.Context(), message(t, "192.0.2.1", plain))
			if got := r.Check(verify.MethodSPF).Result; got != result.Fail {
				t.Errorf("spf: got %s, want fail: the zone's servers change no result", got)
			}
			checkStatements(t, r, c.states)
			var codes []string
			said := ""
			for _, f := range r.Findings {
				if f.Check == verify.MethodSPF && f.Severity == result.Error {
					codes = append(codes, string(f.Code))
					said = result.Reason{Code: f.Code, Args: f.Args}.String()
				}
			}
			if len(codes) != 1 || codes[0] != string(c.want) || !strings.Contains(said, c.says) {
				t.Errorf("got %v (%s), want %s with %s", codes, said, c.want, c.says)
			}
			asked := strings.Contains(strings.Join(server.Queries(), "\n"), " @127.53.201.")
			if may := c.permit(netip.MustParseAddr("127.53.201.1")); asked != may {
				t.Errorf("the zone's servers were asked: %t, want %t", asked, may)
			}
		})
	}
}

// checkStatements: both servers stand in the report with what they have, or why they said nothing.
func checkStatements(t *testing.T, r *verify.Report, want result.Code) {
	t.Helper()
	if len(r.Authoritative) == 0 {
		t.Fatal("nothing of the zone's servers")
	}
	for _, a := range r.Authoritative {
		if a.Name != "example.org" {
			continue
		}
		if a.Zone != "example.org" || len(a.Servers) != 2 || a.Says.Code != want {
			t.Errorf("got %+v, want two servers and %s", a, want)
		}
		if a.VisibleAt.IsZero() != (want == "authority-same" || want == "authority-silent") {
			t.Errorf("%s: visible at %s", want, a.VisibleAt)
		}
		for _, s := range a.Servers {
			if (len(s.Data) > 0) == !s.Error.IsZero() || s.Serial == nil && s.Error.IsZero() {
				t.Errorf("%s: data %v, serial %v, error %s", s.Server, s.Data, s.Serial, s.Error)
			}
		}
	}
}

// Name servers of a stranger's zone may be anybody's machines: four of them are asked, each so often in a minute whatever
// mail comes, and then that advice is left out.
func TestServersOfAZoneAreAskedSoOften(t *testing.T) {
	t.Parallel()
	var world strings.Builder
	world.WriteString("example.org. TXT \"v=spf1 -all\"\n")
	for i := range 8 {
		fmt.Fprintf(&world, "example.org. NS ns%[1]d.example.org.\nns%[1]d.example.org. A 127.53.205.%[1]d\n;AUTHFAULT ns%[1]d.example.org REFUSED\n", i+1)
	}
	server := dnstest.New(t, world.String(), dnstest.WithAuthoritative())
	authorities := client.Authorities(server.Addr().Port(), netip.Addr.IsLoopback)
	authorities.Servers = 4
	quota := &dns.Quotas{PerNetwork: 1500, PerTarget: 100, Made: 100, PerServer: 60, Share: share.Rule{Part: 8}, Now: time.Now}
	ev := Evaluator{Config: Defaults(), DNS: server.Client(t), Authorities: &authorities, Quota: quota, Now: time.Now}
	spared := 0
	for i := range 60 {
		m := message(t, fmt.Sprintf("198.51.%d.1", i), plain)
		e := ev.Begin(t.Context(), m.Envelope)
		e.Header(m.Fields)
		r, err := e.Finish(m)
		if err != nil || r.Check(verify.MethodSPF).Result != result.Fail {
			t.Fatalf("mail %d: %v, spf %s", i, err, r.Check(verify.MethodSPF).Result)
		}
		if err := e.Spared(); err != nil {
			spent, ok := errors.AsType[*dns.QuotaError](err)
			if !ok || spent.Bound != dns.PerServer {
				t.Fatalf("mail %d: %v", i, err)
			}
			spared++
		}
	}
	asked := map[string]int{}
	for _, q := range server.Queries() {
		if _, at, ok := strings.Cut(q, " @"); ok {
			asked[at]++
		}
	}
	for at, n := range asked {
		if n > 60 {
			t.Errorf("%s was asked %d times, want at most 60", at, n)
		}
	}
	if len(asked) != 4 || spared == 0 || spared == 60 {
		t.Errorf("%v were asked, for %d of 60 mails there was no room; want four", asked, spared)
	}
}

// A server that is silent is asked once more, and each time counts.
func TestASilentServerIsAskedTwice(t *testing.T) {
	t.Parallel()
	const world = `
example.org. TXT "v=spf1 -all"
example.org. NS ns1.example.org.
ns1.example.org. A 127.53.206.1
;AUTHFAULT ns1.example.org TIMEOUT
`
	server := dnstest.New(t, world, dnstest.WithAuthoritative())
	authorities := client.Authorities(server.Addr().Port(), netip.Addr.IsLoopback)
	quota := &dns.Quotas{PerNetwork: 1500, PerTarget: 100, Made: 100, PerServer: 3, Now: time.Now}
	ev := Evaluator{Config: Defaults(), DNS: server.Client(t), Authorities: &authorities, Quota: quota, Now: time.Now}
	ev.Evaluate(t.Context(), message(t, "198.51.100.1", plain))
	if n := strings.Count(strings.Join(server.Queries(), "\n"), " @127.53.206.1"); n != 3 {
		t.Errorf("it was asked %d times, want 3", n)
	}
}
