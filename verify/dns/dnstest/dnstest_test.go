package dnstest_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	mdns "github.com/miekg/dns"
	"go.uber.org/goleak"

	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
)

const soa = "example.org. SOA ns1.example.org. hostmaster.example.org. 1 3600 900 1209600 60\n"

// Close ends everything that a server started.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ask puts a plain question with miekg/dns alone, so that a fault of our own client cannot hide one of
// the server.
func ask(t *testing.T, at netip.AddrPort, network, name string, kind uint16, change ...func(*mdns.Msg)) *mdns.Msg {
	t.Helper()
	m := new(mdns.Msg).SetQuestion(name, kind)
	for _, c := range change {
		c(m)
	}
	c := mdns.Client{Net: network}
	in, _, err := c.Exchange(m, at.String())
	if err != nil {
		t.Fatalf("%s %s over %s: %v", name, mdns.TypeToString[kind], network, err)
	}
	return in
}

func edns(size uint16) func(*mdns.Msg) { return func(m *mdns.Msg) { m.SetEdns0(size, false) } }

func data(m *mdns.Msg) string {
	var out []string
	for _, rr := range m.Answer {
		out = append(out, strings.Join(strings.Fields(rr.String()), " "))
	}
	return strings.Join(out, "\n")
}

// RFC 2308, 2 and RFC 8020, 2: a name with something below it exists.
func TestRFC2308_2_NXDOMAIN_and_NODATA(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, soa+`
a.b.example.org. A 192.0.2.1
alias.example.org. CNAME nowhere.example.org.
`)
	for _, c := range []struct {
		name, owner string
		kind        uint16
		rcode       int
	}{
		{"the type is missing", "a.b.example.org.", mdns.TypeTXT, mdns.RcodeSuccess},
		{"an empty non-terminal", "b.example.org.", mdns.TypeTXT, mdns.RcodeSuccess},
		{"no such name", "c.example.org.", mdns.TypeTXT, mdns.RcodeNameError},
		{"a CNAME to no such name", "alias.example.org.", mdns.TypeTXT, mdns.RcodeNameError},
		{"the case does not matter", "A.B.eXample.ORG.", mdns.TypeTXT, mdns.RcodeSuccess},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := ask(t, s.Addr(), "udp", c.owner, c.kind)
			if m.Rcode != c.rcode || len(m.Ns) != 1 || m.Ns[0].Header().Rrtype != mdns.TypeSOA {
				t.Errorf("%s: got %s with authority %v, want %s with the SOA",
					c.owner, mdns.RcodeToString[m.Rcode], m.Ns, mdns.RcodeToString[c.rcode])
			}
		})
	}
}

func TestRFC4592_wildcards(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, soa+`
*.example.org. TXT "star"
host.example.org. A 192.0.2.1
deep.under.example.org. A 192.0.2.2
`)
	for _, c := range []struct{ name, owner, want string }{
		{"a name that does not exist", "x.example.org.", `x.example.org. 300 IN TXT "star"`},
		{"a name two labels down", "x.y.example.org.", `x.y.example.org. 300 IN TXT "star"`},
		{"an existing name is not covered", "host.example.org.", ""},
		{"nor is an empty non-terminal", "under.example.org.", ""},
		{"nor is what lies below one", "x.under.example.org.", ""},
		{"the asterisk itself", "*.example.org.", `*.example.org. 300 IN TXT "star"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := data(ask(t, s.Addr(), "udp", c.owner, mdns.TypeTXT)); got != c.want {
				t.Errorf("%s: got %q, want %q", c.owner, got, c.want)
			}
		})
	}
}

func TestRFC1034_3_6_2_CNAME_chain(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, `
a.example.org. CNAME b.example.org.
b.example.org. 60 CNAME c.example.org.
c.example.org. A 192.0.2.1
loop.example.org. CNAME pool.example.org.
pool.example.org. CNAME loop.example.org.
`)
	want := "a.example.org. 300 IN CNAME b.example.org.\nb.example.org. 60 IN CNAME c.example.org.\nc.example.org. 300 IN A 192.0.2.1"
	if got := data(ask(t, s.Addr(), "udp", "a.example.org.", mdns.TypeA)); got != want {
		t.Errorf("chain: got\n%s\nwant\n%s", got, want)
	}
	if got := len(ask(t, s.Addr(), "udp", "loop.example.org.", mdns.TypeA).Answer); got != 2 {
		t.Errorf("loop: got %d records, want the two CNAMEs once", got)
	}
	if got := len(ask(t, s.Addr(), "udp", "a.example.org.", mdns.TypeCNAME).Answer); got != 1 {
		t.Errorf("asked for the CNAME: got %d records, want 1", got)
	}
}

// RFC 1035, 4.2.1 and RFC 6891, 6.2.3: the answer is cut at 512 octets or the size of EDNS.
func TestRFC6891_6_2_3_size(t *testing.T) {
	t.Parallel()
	zone := func(n int) string {
		return "big.example.org. TXT" + strings.Repeat(` "`+strings.Repeat("x", 199)+`"`, n)
	}
	for _, c := range []struct {
		name    string
		strings int
		network string
		change  []func(*mdns.Msg)
		cut     bool
	}{
		{"400 octets fit", 2, "udp", nil, false},
		{"600 octets without EDNS", 3, "udp", nil, true},
		{"600 octets with EDNS", 3, "udp", []func(*mdns.Msg){edns(1232)}, false},
		{"1400 octets with EDNS 1232", 7, "udp", []func(*mdns.Msg){edns(1232)}, true},
		{"EDNS of 100 counts as 512", 2, "udp", []func(*mdns.Msg){edns(100)}, false},
		{"64,000 octets over TCP", 320, "tcp", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := dnstest.New(t, zone(c.strings))
			m := ask(t, s.Addr(), c.network, "big.example.org.", mdns.TypeTXT, c.change...)
			if m.Truncated != c.cut || (len(m.Answer) == 0) != c.cut {
				t.Errorf("got TC %t and %d records, want TC %t", m.Truncated, len(m.Answer), c.cut)
			}
		})
	}
}

func TestFaults_as_miekg_sees_them(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, `
example.org. A 192.0.2.1
a.example.org. A 192.0.2.2
;FAULT BOGUS *.example.org. ANY
lame.example. TXT "x"
;FAULT LAME lame.example. TXT
short.example. TXT "x"
;FAULT TRUNCATE short.example. TXT
`)
	code := func(m *mdns.Msg) uint16 {
		if opt := m.IsEdns0(); opt != nil {
			for _, o := range opt.Option {
				if e, ok := o.(*mdns.EDNS0_EDE); ok {
					return e.InfoCode
				}
			}
		}
		return 0xffff
	}
	if m := ask(t, s.Addr(), "udp", "a.example.org.", mdns.TypeA, edns(1232)); m.Rcode != mdns.RcodeServerFailure || code(m) != 6 {
		t.Errorf("BOGUS: got %s, extended error %d; want SERVFAIL and 6", mdns.RcodeToString[m.Rcode], code(m))
	}
	unchecked := func(m *mdns.Msg) { m.CheckingDisabled = true }
	if m := ask(t, s.Addr(), "udp", "example.org.", mdns.TypeA, unchecked); len(m.Answer) != 1 {
		t.Errorf("BOGUS with CD: got %v, want the answer", m)
	}
	if m := ask(t, s.Addr(), "udp", "lame.example.", mdns.TypeTXT, edns(1232)); m.Rcode != mdns.RcodeServerFailure || code(m) != 22 {
		t.Errorf("LAME: got %s, extended error %d; want SERVFAIL and 22", mdns.RcodeToString[m.Rcode], code(m))
	}
	if m := ask(t, s.Addr(), "udp", "lame.example.", mdns.TypeA); m.Rcode != mdns.RcodeSuccess {
		t.Errorf("the other type: got %s, want NOERROR", mdns.RcodeToString[m.Rcode])
	}
	if m := ask(t, s.Addr(), "udp", "short.example.", mdns.TypeTXT); !m.Truncated || len(m.Answer) > 0 {
		t.Errorf("TRUNCATE over UDP: got %v, want TC and nothing", m)
	}
	if m := ask(t, s.Addr(), "tcp", "short.example.", mdns.TypeTXT); m.Truncated || len(m.Answer) != 1 {
		t.Errorf("TRUNCATE over TCP: got %v, want the whole", m)
	}
}

func TestAuthoritative_servers_differ(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, soa+`
example.org. NS ns1.example.org.
example.org. NS ns2.example.org.
example.org. NS ns3.example.org.
ns1.example.org. A 127.53.99.1
ns2.example.org. A 127.53.99.2
ns3.example.org. A 127.53.99.3
example.org. TXT "cached"
old.example.org. TXT "old"
;AUTH ns1.example.org example.org. 60 IN TXT "new one"
;AUTH ns1.example.org example.org. 60 IN TXT "new two"
;AUTHGONE ns2.example.org old.example.org. TXT
;AUTHFAULT ns3.example.org REFUSED
`, dnstest.WithAuthoritative())
	at := func(ip string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(ip), s.Addr().Port()) }
	for _, c := range []struct {
		name, server, owner, want string
		rcode                     int
	}{
		{"the resolver", "127.0.0.1", "example.org.", `example.org. 300 IN TXT "cached"`, mdns.RcodeSuccess},
		{"a set in place of it", "127.53.99.1", "example.org.", "example.org. 60 IN TXT \"new one\"\nexample.org. 60 IN TXT \"new two\"", mdns.RcodeSuccess},
		{"the same elsewhere", "127.53.99.2", "example.org.", `example.org. 300 IN TXT "cached"`, mdns.RcodeSuccess},
		{"gone", "127.53.99.2", "old.example.org.", "", mdns.RcodeNameError},
		{"the whole server", "127.53.99.3", "old.example.org.", "", mdns.RcodeRefused},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, network := range []string{"udp", "tcp"} {
				m := ask(t, at(c.server), network, c.owner, mdns.TypeTXT)
				if data(m) != c.want || m.Rcode != c.rcode || m.Authoritative != (c.server != "127.0.0.1") {
					t.Errorf("%s over %s: got %s %q, AA %t; want %s %q", c.server, network,
						mdns.RcodeToString[m.Rcode], data(m), m.Authoritative, mdns.RcodeToString[c.rcode], c.want)
				}
			}
		})
	}
}

func TestMistakes_are_named_with_their_line(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, zone, want string }{
		{"a bad address", "example.org. A 192.0.2.1\nexample.org. A 192.0.2.300\n", "line: 2"},
		{"an unknown fault", "\n;FAULT SERVFIAL example.org. TXT\n", `line 2: ";FAULT SERVFIAL example.org. TXT": unknown fault "SERVFIAL"`},
		{"an unknown type", ";FAULT SERVFAIL example.org. TEXT", `line 1: ";FAULT SERVFAIL example.org. TEXT": unknown record type "TEXT"`},
		{"a word missing", ";FAULT SERVFAIL example.org.", "want ;FAULT KIND name type"},
		{"a bad delay", ";FAULT DELAY=fast example.org. A", "fault DELAY:"},
		{"a mistyped directive", ";AUTHGON ns1.example.org example.org. TXT", "unknown directive"},
		{"another spelling of a directive", ";; fault example.org. TXT SERVFAIL", "unknown directive"},
		{"a bad record of a server", ";AUTH ns1.example.org example.org. A nonsense", "want ;AUTH server rr:"},
		{"a server without address", ";AUTHFAULT ns1.example.org REFUSED", `"ns1.example.org.", which has no A record`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, err := dnstest.Start(c.zone)
			if err == nil {
				_ = s.Close()
				t.Fatalf("%q was taken, want an error with %q", c.zone, c.want)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q: got error %q, want one with %q", c.zone, err, c.want)
			}
		})
	}
}

func TestQueries_are_logged_in_order(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, `example.org. TXT "x"`)
	c := s.Client(t)
	for _, q := range []dns.Question{dns.Ask("Example.ORG.", dns.TXT), dns.Ask("other.example", dns.AAAA)} {
		if _, err := c.Resolve(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := s.Queries(), []string{"example.org TXT", "other.example AAAA"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReplace_serves_the_new_zone(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, `example.org. TXT "old"`)
	if err := s.Replace(`example.org. TXT "new"`); err != nil {
		t.Fatal(err)
	}
	if got, want := data(ask(t, s.Addr(), "udp", "example.org.", mdns.TypeTXT)), `example.org. 300 IN TXT "new"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if err := s.Replace("example.org. A nonsense"); err == nil {
		t.Error("a malformed zone was taken")
	}
}

func TestClose_ends_what_waits(t *testing.T) {
	t.Parallel()
	s, err := dnstest.Start("example.org. A 192.0.2.1\n;FAULT DELAY=1h example.org. A\n")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		c := mdns.Client{Net: "tcp"}
		_, _, _ = c.Exchange(new(mdns.Msg).SetQuestion("example.org.", mdns.TypeA), s.Addr().String())
	}()
	for len(s.Queries()) == 0 {
		if t.Context().Err() != nil {
			t.Fatal("the question never came")
		}
		time.Sleep(time.Millisecond)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	again, err := dnstest.StartOn(s.Addr().String(), "")
	if err != nil {
		t.Fatalf("the port is not free after Close: %v", err)
	}
	_ = again.Close()
}

// Package testing must not come into the product's binary with the demonstration.
func TestPackage_does_not_import_testing(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(f, "_test.go") && strings.Contains(string(text), "\t\"testing\"\n") {
			t.Errorf("%s imports testing", f)
		}
	}
}
