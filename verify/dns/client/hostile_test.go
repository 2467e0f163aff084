package client_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"checkauth/verify/dns"
	"checkauth/verify/dns/client"
	"checkauth/verify/dns/dnstest"
)

// resolve asks and gives the answer in one line: NXDOMAIN, the records' data, or the error's kind.
func resolve(t *testing.T, r dns.Resolver, name string, kind dns.Type) string {
	t.Helper()
	a, err := r.Resolve(t.Context(), dns.Ask(name, kind))
	if err != nil {
		e, ok := errors.AsType[*dns.Error](err)
		if !ok {
			t.Fatalf("%s %s: the error %v is no *dns.Error", name, kind, err)
		}
		if e.Question != dns.Ask(name, kind) {
			t.Errorf("%s %s: the error names the question %s", name, kind, e.Question)
		}
		return string(e.Kind)
	}
	if a.NX {
		return "NXDOMAIN"
	}
	var out []string
	for _, rec := range a.Records {
		out = append(out, rec.Data())
	}
	return strings.Join(out, ", ")
}

// patient is for tests that count queries: on a busy machine a try more would be no fault.
func patient() dnstest.Option {
	return dnstest.WithClient(func(c *client.Config) { c.Timeout = 10 * time.Second })
}

// chain is a zone of n CNAMEs, c0 to cn, with a TXT at the end.
func chain(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "c%d.example.org. CNAME c%d.example.org.\n", i, i+1)
	}
	fmt.Fprintf(&b, "c%d.example.org. TXT \"end\"\n", n)
	return b.String()
}

func TestHostile_57(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, zone, want string }{
		{"8 links", chain(8), `"end"`},
		{"9 links", chain(9), "chain"},
		{"20 links", chain(20), "chain"},
		{"a loop of one", "c0.example.org. CNAME c0.example.org.\n", "chain"},
		{"a loop of two", "c0.example.org. CNAME c1.example.org.\nc1.example.org. CNAME c0.example.org.\n", "chain"},
		{"8 links, each asked for", chain(8) + ";FAULT NOCHASE *.example.org. ANY\n", `"end"`},
		{"9 links, each asked for", chain(9) + ";FAULT NOCHASE *.example.org. ANY\n", "chain"},
		{"a loop of two, each asked for", "c0.example.org. CNAME c1.example.org.\nc1.example.org. CNAME c0.example.org.\n;FAULT NOCHASE *.example.org. ANY\n", "chain"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := dnstest.New(t, c.zone)
			if got := resolve(t, s.Client(t, patient()), "c0.example.org", dns.TXT); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if n := len(s.Queries()); n > 9 {
				t.Errorf("%d questions, want at most 9", n)
			}
		})
	}
}

func TestHostile_58(t *testing.T) {
	t.Parallel()
	r := dnstest.Zone(t, ";FAULT SERVFAIL example.org. ANY\n")
	if got := resolve(t, r, "example.org", dns.TXT); got != "servfail" {
		t.Errorf("SERVFAIL: got %s, want the kind servfail", got)
	}
}

func TestHostile_59(t *testing.T) {
	t.Parallel()
	r := dnstest.Zone(t, "example.org. A 192.0.2.1\n")
	if got := resolve(t, r, "no.example.org", dns.TXT); got != "NXDOMAIN" {
		t.Errorf("no such name: got %s, want NXDOMAIN and no error", got)
	}
}

func TestHostile_60(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, ";FAULT TIMEOUT example.org. TXT\n")
	r := s.Client(t, dnstest.WithClient(func(c *client.Config) { c.Timeout = 50 * time.Millisecond }))
	began := time.Now()
	got := resolve(t, r, "example.org", dns.TXT)
	if took := time.Since(began); got != "timeout" || took < 100*time.Millisecond || took > 5*time.Second {
		t.Errorf("silence: got %s after %s, want timeout after two tries of 50ms", got, took)
	}
	if want := []string{"example.org TXT", "example.org TXT"}; !slices.Equal(s.Queries(), want) {
		t.Errorf("asked %q, want %q", s.Queries(), want)
	}
}

func TestHostile_61(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"WRONGID", "WRONGNAME", "NOTRESPONSE", "GARBAGE", "FOREIGN"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := dnstest.New(t, "example.org. TXT \"right\"\nexample.org. A 192.0.2.1\n;FAULT "+kind+" *.example.org. ANY\n")
			r := s.Client(t, patient())
			if got := resolve(t, r, "example.org", dns.TXT); got != `"right"` {
				t.Errorf("TXT: got %s, want the right answer", got)
			}
			if got := resolve(t, r, "example.org", dns.A); got != "192.0.2.1" {
				t.Errorf("A: got %s, want the right answer", got)
			}
			if got := resolve(t, r, "no.example.org", dns.A); got != "NXDOMAIN" {
				t.Errorf("no such name: got %s, want NXDOMAIN", got)
			}
			if n := len(s.Queries()); n != 3 {
				t.Errorf("%d queries, want 3: a wrong datagram must not cost a try", n)
			}
		})
	}
}

func TestHostile_62(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, "example.org. TXT \"whole\"\n;FAULT TRUNCATE example.org. TXT\n")
	if got := resolve(t, s.Client(t, patient()), "example.org", dns.TXT); got != `"whole"` {
		t.Errorf("TC: got %s, want the answer of TCP", got)
	}
}

func TestHostile_63(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"FORMERR-EDNS", "NOTIMP-EDNS", "BADVERS-EDNS"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := dnstest.New(t, "example.org. TXT \"right\"\n;FAULT "+kind+" example.org. TXT\n")
			if got := resolve(t, s.Client(t, patient()), "example.org", dns.TXT); got != `"right"` {
				t.Errorf("got %s, want the answer without EDNS", got)
			}
			if n := len(s.Queries()); n != 2 {
				t.Errorf("%d queries, want 2: with EDNS, then without", n)
			}
		})
	}
}
