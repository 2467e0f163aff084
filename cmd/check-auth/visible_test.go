package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"checkauth/verify/dns/dnstest"
	"checkauth/verify/result"
	"checkauth/verify/visible"
)

// visibleZoneText has two servers with the same zone; the resolver has it too.
const visibleZoneText = `
example.org.      SOA ns1.example.org. h.example.org. 8 1 1 1 60
example.org.      NS  ns1.example.org.
example.org.      NS  ns2.example.org.
ns1.example.org.  A   127.53.74.1
ns2.example.org.  A   127.53.74.2
example.org.      1800 IN TXT "v=spf1 -all"
example.org.      1800 IN TXT "other"
mail.example.org. A   192.0.2.1
mail.example.org. AAAA 2001:db8::1
example.org.      MX  10 mail.example.org.
1.2.0.192.in-addr.arpa. PTR mail.example.org.
2.0.192.in-addr.arpa. NS ns1.example.org.
2.0.192.in-addr.arpa. SOA ns1.example.org. h.example.org. 8 1 1 1 60
s1._domainkey.example.org. CNAME s1.vendor.example.
vendor.example.   NS  ns1.vendor.example.
vendor.example.   SOA ns1.vendor.example. h.vendor.example. 3 1 1 1 60
ns1.vendor.example. A 127.53.74.3
s1.vendor.example. TXT "v=DKIM1; p=AAAA"
octets.example.org. TXT "\027[2J\255"
`

func visibleServer(t *testing.T, more string) *dnstest.Server {
	t.Helper()
	return dnstest.New(t, visibleZoneText+more, dnstest.WithAuthoritative())
}

func TestVisible(t *testing.T) {
	t.Parallel()
	const (
		same    = `;AUTH ns2.example.org example.org. 1800 IN TXT "v=spf1 mx -all"` + "\n"
		older   = same + ";AUTH ns2.example.org example.org. SOA ns1.example.org. h.example.org. 7 1 1 1 60\n"
		changed = same + `;AUTH ns1.example.org example.org. 1800 IN TXT "v=spf1 mx -all"` + "\n"
	)
	for _, c := range []struct {
		name, zone string
		args       []string
		code       int
		why        result.Code
		say        []string
	}{
		{"all have the same", "", []string{"Example.ORG.", "txt"}, exitPass, "visible-everywhere", []string{
			"Name:           example.org TXT\nZone:           example.org\n  ok       ns1.example.org (127.53.74.1), serial 8, TTL 1800: \"v=spf1 -all\"\n           \"other\"\n  ok       ns2.",
			"Resolvers:\n  ok       127.0.0.1:", "1800 s left: \"v=spf1 -all\""}},
		{"and what is wanted", "", []string{"example.org", "TXT", "--want=v=spf1 -all"}, exitPass, "visible-everywhere", []string{"Wanted:         v=spf1 -all\n"}},
		{"as in a zone file", "", []string{"example.org", "TXT", `--want="v=spf1" " -\097ll"`}, exitPass, "visible-everywhere", nil},
		{"the change was not made", "", []string{"example.org", "TXT", "--want=v=spf1 mx -all"}, exitFail, "visible-not-made", []string{"not yet  ns1"}},
		{"an older zone", older, []string{"example.org", "TXT"}, exitFail, "visible-servers-behind", []string{"not yet  ns2.example.org (127.53.74.2), serial 7 (an older zone), TTL 1800: \"v=spf1 mx -all\""}},
		{"the older zone has what is wanted", older, []string{"example.org", "TXT", "--want=v=spf1 mx -all"}, exitFail, "visible-servers-differ", nil},
		{"the same serial and not the same", same, []string{"example.org", "TXT"}, exitFail, "visible-servers-differ", nil},
		{"an old cache", changed, []string{"example.org", "TXT", "--want=v=spf1 mx -all"}, exitFail, "visible-caches", []string{
			"ok       ns1.", "ok       ns2.", "not yet  127.0.0.1:", "1800 s left, drops the old value by ", " UTC: \"v=spf1 -all\""}},
		{"a lame server", ";AUTHFAULT ns2.example.org REFUSED\n", []string{"example.org", "TXT"}, exitFail, "visible-servers-failing", []string{"ok       ns1", "fails    ns2.example.org (127.53.74.2)"}},
		{"a silent server", ";AUTHFAULT ns2.example.org TIMEOUT\n", []string{"example.org", "TXT"}, exitFail, "visible-servers-failing", []string{"fails    ns2.example.org (127.53.74.2)"}},
		{"a server that must not be asked", "example.org. NS ns3.example.org.\nns3.example.org. A 192.0.2.9\n", []string{"example.org", "TXT"}, exitPass, "visible-everywhere", []string{"unknown  ns3.example.org (192.0.2.9): "}},
		{"no server answers", ";AUTHFAULT ns1.example.org SERVFAIL\n;AUTHFAULT ns2.example.org NOAA\n", []string{"example.org", "TXT"}, exitUnknown, "visible-unknown", []string{"fails    ns1"}},
		{"nobody tells the zone", ";FAULT SERVFAIL *.example.net. ANY\n", []string{"a.example.net", "TXT"}, exitUnknown, "visible-no-zone", nil},
		{"the resolver fails", ";FAULT BOGUS example.org. TXT\n", []string{"example.org", "TXT"}, exitFail, "visible-resolvers-failing", []string{"fails    127.0.0.1:"}},
		{"the resolver refuses", ";FAULT REFUSED example.org. TXT\n", []string{"example.org", "TXT"}, exitPass, "visible-everywhere", []string{"unknown  127.0.0.1:"}},
		{"a name that does not exist", "", []string{"no.example.org", "TXT"}, exitPass, "visible-everywhere", []string{"serial 8, negative TTL 60: no such name", "60 s left: no such name"}},
		{"and is remembered by the resolver", ";FAULT NXDOMAIN new.example.org. TXT\nnew.example.org. TXT \"x\"\nnew.example.org. A 192.0.2.1\n", []string{"new.example.org", "TXT"}, exitFail, "visible-caches", []string{"s left, forgets by "}},
		{"no record of the type", "", []string{"mail.example.org", "TXT"}, exitPass, "visible-everywhere", []string{"negative TTL 60: no record of this type"}},
		{"an address", "", []string{"mail.example.org", "A", "--want=192.0.2.1"}, exitPass, "visible-everywhere", nil},
		{"an address in another form", "", []string{"mail.example.org", "aaaa", "--want=2001:DB8:0::1"}, exitPass, "visible-everywhere", nil},
		{"MX", "", []string{"example.org", "mx", "--want=10  Mail.Example.Org."}, exitPass, "visible-everywhere", nil},
		{"NS", "", []string{"example.org", "ns", "--want=ns2.example.org"}, exitPass, "visible-everywhere", nil},
		{"PTR of an address", "", []string{"192.0.2.1", "PTR", "--want=mail.example.org."}, exitPass, "visible-everywhere", []string{"Name:           1.2.0.192.in-addr.arpa PTR\n", "Zone:           2.0.192.in-addr.arpa\n"}},
		{"a CNAME itself", "", []string{"s1._domainkey.example.org", "CNAME", "--want=s1.vendor.example"}, exitPass, "visible-everywhere", nil},
		{"what a CNAME leads to", "", []string{"s1._domainkey.example.org", "TXT", "--want=v=DKIM1; p=AAAA"}, exitPass, "visible-everywhere", []string{
			"TTL 300: CNAME s1.vendor.example.\n", "CNAME:          s1.vendor.example\nZone:           vendor.example\n  ok       ns1.vendor.example (127.53.74.3), serial 3, TTL 300: \"v=DKIM1; p=AAAA\"\n"}},
		{"a CNAME of which the resolver has the old one", `;AUTH ns1.example.org s1._domainkey.example.org. CNAME s1.example.org.
;AUTH ns2.example.org s1._domainkey.example.org. CNAME s1.example.org.
s1.example.org. TXT "v=DKIM1; p=AAAA"
`, []string{"s1._domainkey.example.org", "TXT"}, exitFail, "visible-caches", nil},
		{"octets", "", []string{"octets.example.org", "TXT"}, exitPass, "visible-everywhere", []string{`"\027[2J\255"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			resolver := "--resolver=" + visibleServer(t, c.zone).Addr().String()
			args := append([]string{"visible", resolver}, c.args...)
			got := play(t, t.Context(), "", args...)
			if got.code != c.code || got.err != "" {
				t.Errorf("got exit %d, want %d; stderr %q", got.code, c.code, got.err)
			}
			for _, want := range c.say {
				if !strings.Contains(got.out, want) {
					t.Errorf("it does not say %q:\n%s", want, got.out)
				}
			}
			if strings.ContainsAny(got.out, "\x1b\x00\r") || !utf8.ValidString(got.out) {
				t.Errorf("a control character reached the terminal:\n%q", got.out)
			}
			var v visible.Round
			printed := play(t, t.Context(), "", append(args, "--json")...)
			if err := json.Unmarshal([]byte(printed.out), &v); err != nil || v.Reason.Code != c.why || printed.code != c.code {
				t.Errorf("JSON: %v, exit %d, reason %s, want %s\n%s", err, printed.code, v.Reason, c.why, printed.out)
			}
			if strings.ContainsFunc(printed.out, func(r rune) bool { return r > '~' }) {
				t.Error("the JSON is not ASCII")
			}
		})
	}
}

// DNSSEC is broken, so that no resolver tells where the zone is: its servers are found from above.
func TestVisibleOfABrokenZone(t *testing.T) {
	t.Parallel()
	s := visibleServer(t, `
org.       NS a.nic.org.
a.nic.org. A  127.53.74.9
;AUTHREFER a.nic.org example.org
;FAULT BOGUS *.example.org. ANY
`)
	got := play(t, t.Context(), "", "visible", "example.org", "TXT", "--resolver="+s.Addr().String())
	if got.code != exitFail || !strings.Contains(got.out, "ok       ns2.example.org (127.53.74.2)") || !strings.Contains(got.out, "fails    127.0.0.1:") {
		t.Errorf("exit %d\n%s%s", got.code, got.out, got.err)
	}
}

func TestVisibleBadInput(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		args []string
		say  string
	}{
		{"nothing", nil, "expected"},
		{"another type", []string{"example.org", "SOA"}, "give one of TXT, CNAME, A, AAAA, MX, PTR, NS"},
		{"no name", []string{"exa mple.org", "TXT"}, `"exa mple.org" is no name`},
		{"octets", []string{"\x1b[2J", "TXT"}, `"\x1b[2J" is no name`},
		{"an address for a name", []string{"192.0.2.1", "TXT"}, "is an IP address"},
		{"no address", []string{"example.org", "A", "--want=2001:db8::1"}, `--want "2001:db8::1"`},
		{"no MX", []string{"example.org", "MX", "--want=mx.example.org"}, `"10 mx.example.org"`},
		{"no host", []string{"example.org", "CNAME", "--want=a b"}, `--want "a b"`},
		{"quotes without an end", []string{"example.org", "TXT", `--want="a`}, "not in pairs"},
		{"no time", []string{"example.org", "TXT", "--timeout=0s"}, "more than zero"},
		{"no resolver", []string{"example.org", "TXT", "--resolver=x"}, `--resolver "x"`},
		{"no resolver beside it", []string{"example.org", "TXT", "--resolver=127.0.0.1:9", "--also=none", "--also=192.0.2.1"}, `--also "none"`},
	} {
		got := play(t, t.Context(), "", append([]string{"visible"}, c.args...)...)
		if got.code != exitUsage || !strings.Contains(lastLine(got.err), c.say) || strings.ContainsAny(got.err, "\x1b\r") {
			t.Errorf("%s: got exit %d, %q, want exit %d and %q", c.name, got.code, got.err, exitUsage, c.say)
		}
	}
}

// waiting runs visible --wait; between two rounds it calls next, which stands for the time that passes.
func waiting(t *testing.T, ctx context.Context, c visibleCmd, next func(round int, d time.Duration) error) ended {
	t.Helper()
	var out, errs bytes.Buffer
	round := 0
	c.Wait = true
	if c.Timeout == 0 {
		c.Timeout = time.Hour
	}
	c.pause = func(_ context.Context, d time.Duration) error {
		round++
		return next(round, d)
	}
	e := env{in: strings.NewReader(""), out: &out, err: &errs, now: time.Now, getenv: func(string) string { return "" }}
	code := fail(e, c.Run(ctx, e))
	return ended{code, out.String(), errs.String()}
}

// A change goes to one server, to the other, to the resolver; each round sees how far it is, and the
// resolver is not asked about the name before the servers have it.
func TestVisibleWaits(t *testing.T) {
	t.Parallel()
	const added, on = "new.example.org. 120 IN TXT \"x\"\n", `;AUTH %s new.example.org. 120 IN TXT "x"` + "\n"
	s := visibleServer(t, "")
	at := s.Addr().String()
	zones := []string{
		fmt.Sprintf(on, "ns1.example.org"),
		fmt.Sprintf(on+on, "ns1.example.org", "ns2.example.org") + ";FAULT NXDOMAIN new.example.org. TXT\n",
		added,
	}
	asked := func() int {
		n := 0
		for _, q := range s.Queries() {
			if strings.HasPrefix(q, "new.example.org ") && !strings.Contains(q, "@") {
				n++
			}
		}
		return n
	}
	var pauses []time.Duration
	var askedAt []int
	got := waiting(t, t.Context(), visibleCmd{Name: "new.example.org", Type: "TXT", Want: "x", Resolver: at}, func(round int, d time.Duration) error {
		pauses, askedAt = append(pauses, d), append(askedAt, asked())
		if round > len(zones) {
			return errors.New("too many rounds")
		}
		return s.Replace(visibleZoneText + zones[round-1])
	})
	if got.code != exitPass || !strings.Contains(got.out, "ok       ns2.example.org") {
		t.Errorf("exit %d\n%s%s", got.code, got.out, got.err)
	}
	// The third pause follows the TTL that the resolver has left of the name's absence.
	if want := []time.Duration{30 * time.Second, 30 * time.Second, time.Minute}; !slices.Equal(pauses, want) {
		t.Errorf("pauses %v, want %v", pauses, want)
	}
	if want := []int{0, 0, 1}; !slices.Equal(askedAt, want) {
		t.Errorf("the resolver was asked about the name %v times before each pause, want %v", askedAt, want)
	}
	lines := strings.Split(strings.TrimSpace(got.err), "\n")
	for i, want := range []string{
		"0 of 2 name servers, resolvers not asked yet; again in 30s; missing: ns1.example.org, ns2.example.org",
		"1 of 2 name servers, resolvers not asked yet; again in 30s; missing: ns2.example.org",
		"2 of 2 name servers, 0 of 1 resolvers; again in 1m0s; missing: " + at,
	} {
		if len(lines) != 3 || !strings.HasSuffix(lines[i], want) {
			t.Fatalf("progress:\n%s\nwant in line %d: %s", got.err, i+1, want)
		}
	}
}

func TestVisibleWaitEnds(t *testing.T) {
	t.Parallel()
	s := visibleServer(t, "")
	c := visibleCmd{Name: "example.org", Type: "TXT", Want: "y", Resolver: s.Addr().String()}
	t.Run("with the context", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		got := waiting(t, ctx, c, func(int, time.Duration) error { cancel(); return nil })
		if got.code != exitFail || !strings.Contains(got.out, "not yet  ns1") {
			t.Errorf("exit %d\n%s%s", got.code, got.out, got.err)
		}
	})
	t.Run("when its time is over", func(t *testing.T) {
		t.Parallel()
		c := c
		c.Timeout = 300 * time.Millisecond
		c.Wait = true
		var out, errs bytes.Buffer
		e := env{in: strings.NewReader(""), out: &out, err: &errs, now: time.Now, getenv: func(string) string { return "" }}
		code := fail(e, c.Run(t.Context(), e)) // on the real timer, which the context ends
		if code != exitUnknown || !strings.Contains(lastLine(errs.String()), "300ms are over: missing: ns1.example.org, ns2.example.org") {
			t.Errorf("exit %d\n%s%s", code, out.String(), errs.String())
		}
	})
}

// Without --resolver the three public resolvers are asked, with one on a port of its own nobody else.
func TestVisibleAsksWhom(t *testing.T) {
	t.Parallel()
	e := env{now: time.Now, getenv: func(string) string { return "" }}
	for _, c := range []struct {
		resolver string
		also     []string
		want     string
	}{
		{"127.0.0.1:5353", nil, "127.0.0.1:5353"},
		{"127.0.0.1:5353", []string{"192.0.2.1", "192.0.2.2:54"}, "127.0.0.1:5353 192.0.2.1 192.0.2.2:54"},
		{"192.0.2.53", []string{"none"}, "192.0.2.53"},
	} {
		r, err := (&visibleCmd{Name: "example.org", Type: "TXT", Timeout: time.Second, Resolver: c.resolver, Also: c.also}).rounds(e)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, x := range r.Resolvers {
			got = append(got, x.Name)
		}
		loopback := netip.MustParseAddr("127.0.0.1")
		if own := strings.Contains(c.resolver, ":5353"); strings.Join(got, " ") != c.want || r.Servers.Permit(loopback) != own {
			t.Errorf("%s: got %v, loopback may be asked: %t", c.resolver, got, r.Servers.Permit(loopback))
		}
	}
	help := play(t, t.Context(), "", "visible", "--help").out
	for _, p := range publicResolvers {
		if !strings.Contains(inOneLine(help), p.address+" ("+p.name+")") {
			t.Errorf("the help does not say that %s is asked:\n%s", p.address, help)
		}
	}
}

// On a terminal the line is rewritten in place, and is not broken in two.
func TestVisibleProgressInPlace(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	p := progress{&out, true}
	p.say(strings.Repeat("x", 100) + "\n")
	p.say("\x1b[2J")
	p.clear()
	want := "\r\x1b[K" + strings.Repeat("x", 75) + "...\r\x1b[K" + `\x1b[2J` + "\r\x1b[K"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
