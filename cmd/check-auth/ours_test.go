package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"checkauth/reply/deliver"
	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
)

// What leads back to this service: what it listens on, what the operator says, and what the DNS says of its name.
func TestOurs(t *testing.T) {
	t.Parallel()
	world := dnstest.New(t, "verifier.example. A 45.0.0.25\nverifier.example. AAAA 2a00::25\n")
	s := defaults(func(string) string { return "" })
	s.Hostname, s.Listen = "verifier.example", []string{"0.0.0.0:25", "45.0.0.26:25", "127.0.0.1:2525", "[2a00::26]:25"}
	s.Proxy.Listen, s.PublicAddresses = []string{"10.0.0.7:25"}, []string{"45.0.0.27", "2a00::27"}
	own := s.ours()
	for _, a := range interfaceAddresses() {
		if !own.has(a) {
			t.Errorf("an interface's address %s is not ours", a)
		}
	}
	has := func(when string, want bool, all ...string) {
		t.Helper()
		for _, a := range all {
			if got := own.has(netip.MustParseAddr(a)); got != want {
				t.Errorf("%s: %s is ours: %t", when, a, got)
			}
		}
	}
	has("before the DNS is asked", true, "45.0.0.26", "::ffff:45.0.0.26", "2a00::26", "10.0.0.7", "45.0.0.27", "2a00::27", "2a00::27%eth0")
	has("before the DNS is asked", false, "45.0.0.25", "2a00::25", "0.0.0.0", "::", "127.0.0.1", "45.0.0.28")
	if err := own.look(t.Context(), world.Client(t)); err != nil {
		t.Fatal(err)
	}
	has("then", true, "45.0.0.25", "2a00::25", "45.0.0.26", "10.0.0.7", "45.0.0.27")
	has("then", false, "45.0.0.28", "127.0.0.1", "0.0.0.0")
	// What is known stays while the DNS does not answer, and changes when it says something else.
	if err := own.look(t.Context(), dns.ResolverFunc(func(context.Context, dns.Question) (dns.Answer, error) { return dns.Answer{}, errNobody })); err == nil {
		t.Error("a resolver that does not answer is no error")
	}
	has("while the DNS is away", true, "45.0.0.25", "2a00::25", "45.0.0.26")
	if err := world.Replace("verifier.example. A 45.0.0.29\n"); err != nil {
		t.Fatal(err)
	}
	if err := own.look(t.Context(), world.Client(t)); err != nil {
		t.Fatal(err)
	}
	has("after a change", true, "45.0.0.29", "45.0.0.26")
	has("after a change", false, "45.0.0.25", "2a00::25")
	// The delivery and the questions to authoritative servers go by it.
	if err := deliver.Routable(netip.MustParseAddr("45.0.0.29"), own.has); err == nil || !strings.Contains(err.Error(), "our own address") {
		t.Errorf("our own address is routable: %v", err)
	}
}

// In a closed network everything is on loopback, and our name leads there too.
func TestOursIsNeverLoopback(t *testing.T) {
	t.Parallel()
	world := dnstest.New(t, "verifier.example. A 127.0.0.1\nverifier.example. AAAA ::1\n")
	s := defaults(func(string) string { return "" })
	s.Hostname, s.PublicAddresses = "verifier.example", []string{"127.0.0.2"}
	own := s.ours()
	if err := own.look(t.Context(), world.Client(t)); err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{"127.0.0.1", "127.0.0.2", "::1"} {
		if own.has(netip.MustParseAddr(a)) {
			t.Errorf("%s is ours", a)
		}
	}
}

func TestPublicAddresses(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{`["45.0.0.25", "2a00::25"]`: true, `[]`: true, `["verifier.example"]`: false, `["fe80::1%eth0"]`: false, `["45.0.0.0/24"]`: false} {
		got := play(t, t.Context(), "", "config", "--config", configFileOf(t, "public-addresses = "+text+"\n"))
		if (got.code == 0) != ok || !ok && !strings.Contains(got.err, "line 1: public-addresses") {
			t.Errorf("%s: exit %d, %s", text, got.code, got.err)
		}
	}
}

// RFC 5321, 5.1: mail that is brought to ourselves is a loop: the DNS alone shows it.
func TestConfigCheck_finds_loops(t *testing.T) {
	t.Parallel()
	world := dnstest.New(t, `verifier.example.org. A 45.0.0.25
example.org. MX 10 mx.example.org.
mx.example.org. A 45.0.0.25
relay.example.org. A 45.0.0.26
fine.example. MX 10 mx.fine.example.
mx.fine.example. A 45.0.0.99
`)
	for _, c := range []struct {
		name string
		more []string
		want string // "": nothing is wrong
	}{
		{"the operator's mail server is this one", nil, "line 2: operator: "},
		{"and the relay takes all", []string{`deliver.relay = "smtp.fine.example:25"`}, ""},
		{"an operator elsewhere", []string{`operator = "you@fine.example"`}, ""},
		{"by an address that is not in the DNS", []string{`operator = "you@fine.example"`, `public-addresses = ["45.0.0.99"]`}, "operator"},
		{"a relay by another name of ours", []string{`deliver.relay = "relay.example.org:25"`, `public-addresses = ["45.0.0.26"]`}, "deliver.relay"},
		{"at another port", []string{`deliver.relay = "relay.example.org:587"`, `public-addresses = ["45.0.0.26"]`}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			lines := []string{`hostname = "verifier.example.org"`, `operator = "you@example.org"`, `listen = ["0.0.0.0:25"]`,
				`state = "` + t.TempDir() + `"`, `resolver.servers = ["` + world.Addr().String() + `"]`}
			for _, m := range c.more {
				if strings.HasPrefix(m, "operator") {
					lines[1] = m
					continue
				}
				lines = append(lines, m)
			}
			got := play(t, t.Context(), "", "config", "--check", "--config", configFileOf(t, strings.Join(lines, "\n")))
			if (got.code == 0) != (c.want == "") || !strings.Contains(got.err, c.want) || c.want != "" && !strings.Contains(got.err, "come back here") {
				t.Errorf("exit %d\n%s%s", got.code, got.out, got.err)
			}
		})
	}
}

var errNobody = errors.New("nobody answers")

// An organisation whose mail server takes its reports has no share at it: all of its people may test at once.
func TestWhatAMailServerTakesDoesNotCountAtIt(t *testing.T) {
	t.Parallel()
	world, replies := dnstest.New(t, serveZone), newSink(t)
	s := defaults(func(string) string { return "" })
	s.Hostname, s.Operator, s.State = "verifier.example", "you@operator.example", t.TempDir()
	s.Listen, s.Resolver.Servers = []string{"127.0.0.1:0"}, []string{world.Addr().String()}
	s.SMTP.Loopback, s.Deliver.AllowPrivate, s.Policy.AddressMinute = loopbackEvaluate, true, unlimited
	port, err := strconv.Atoi(replies.port())
	if err != nil {
		t.Fatal(err)
	}
	s.Deliver.Port = port
	addr := inProcess(t, &s)
	for i := range 12 { // the DNS has bounds too
		if code, text := dialogue(t, addr, fmt.Sprintf("anna%d@sender.example", i), "check-auth@verifier.example", mailOf(i)); code != 250 {
			t.Fatalf("test %d: %d %s", i, code, text)
		}
		replies.next(t)
	}
}
