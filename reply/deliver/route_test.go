package deliver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
)

// hostsOf gives the names of a route, in order.
func hostsOf(t *testing.T, zone, to string) (names []string, err error) {
	t.Helper()
	hosts, err := route(t.Context(), dnstest.Zone(t, zone, patient()), to)
	for _, h := range hosts {
		names = append(names, h.name)
	}
	return names, err
}

func TestRFC5321_5_1_where_mail_goes(t *testing.T) {
	t.Parallel()
	zone := `
mx.example.          MX 20 b.example.
mx.example.          MX 10 a.example.
mx.example.          MX 30 a.example.
alias.example.       CNAME mx.example.
host.example.        A 192.0.2.1
null.example.        MX 0 .
both.example.        MX 0 .
both.example.        MX 10 a.example.
xn--bcher-kva.example. MX 0 a.example.
under_score.example. MX 0 a.example.
;FAULT SERVFAIL broken.example. MX
;FAULT REFUSED refused.example. MX
`
	for _, c := range []struct {
		to, hosts, fate, reason string
	}{
		{"a@mx.example", "a.example b.example", "taken", ""},
		{"a@MX.Example.", "a.example b.example", "taken", ""},
		{`"a@b"@mx.example`, "a.example b.example", "taken", ""},
		{"a@alias.example", "a.example b.example", "taken", ""},
		{"a@host.example", "host.example", "taken", ""},
		{"a@both.example", "a.example", "taken", ""},
		{"a@bücher.example", "a.example", "taken", ""},
		{"a@BÜCHER.example", "a.example", "taken", ""},
		{"a@under_score.example", "a.example", "taken", ""},
		{"a@[192.0.2.1]", "[192.0.2.1]", "taken", ""},
		{"a@[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]", "taken", ""},
		{"a@null.example", "", "permanent", "5.1.10"},
		{"a@nowhere.example", "", "permanent", "5.1.2"},
		{"a@broken.example", "", "temporary", "servfail"},
		{"a@refused.example", "", "temporary", "refused"},
		{"a@", "", "permanent", "5.1.3"},
		{"a", "", "permanent", "5.1.3"},
		{"@mx.example", "", "permanent", "5.1.3"},
		{"a@mx..example", "", "permanent", "5.1.3"},
		{"a@" + strings.Repeat("a", 64) + ".example", "", "permanent", "5.1.3"},
		{"a@ü" + strings.Repeat("a", 64) + ".example", "", "permanent", "5.1.3"},
		{"a@[192.0.2.1", "", "permanent", "5.1.3"},
		{"a@[192.0.2.300]", "", "permanent", "5.1.3"},
		{"a@[2001:db8::1]", "", "permanent", "5.1.3"},
		{"a@[IPv6:192.0.2.1]", "", "permanent", "5.1.3"},
		{"a@[IPv6:fe80::1%eth0]", "", "permanent", "5.1.3"},
		{"a@[]", "", "permanent", "5.1.3"},
		{"a@[", "", "permanent", "5.1.3"},
	} {
		t.Run(c.to, func(t *testing.T) {
			t.Parallel()
			got, err := hostsOf(t, zone, c.to)
			want(t, err, c.fate, c.reason)
			if strings.Join(got, " ") != c.hosts {
				t.Errorf("got %q, want %q", got, c.hosts)
			}
		})
	}
}

func TestRFC5321_5_1_equal_preferences_are_shuffled(t *testing.T) {
	t.Parallel()
	resolver := dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
		a := dns.Answer{Question: q}
		for i := range 20 {
			a.Records = append(a.Records, dns.Record{Target: fmt.Sprintf("mx%d.example", i), Pref: uint16(i / 18)})
		}
		return a, nil
	})
	first := map[string]bool{}
	for range 200 {
		hosts, err := route(t.Context(), resolver, "a@example.org")
		if err != nil || len(hosts) != maxHosts {
			t.Fatalf("got %d hosts, %v, want %d", len(hosts), err, maxHosts)
		}
		for _, h := range hosts {
			if h.name == "mx18.example" || h.name == "mx19.example" {
				t.Fatalf("%s of the higher preference is among the first %d", h.name, maxHosts)
			}
		}
		first[hosts[0].name] = true
	}
	// Which ones are within the bound is the same each time: Destination names these.
	if len(first) != maxHosts {
		t.Errorf("%d different hosts were first in 200 tries: want each of %d", len(first), maxHosts)
	}
}

func TestRFC5321_5_1_addresses_of_a_host(t *testing.T) {
	t.Parallel()
	zone := `
v4.example.    A 192.0.2.1
v6.example.    AAAA 2001:db8::1
both.example.  AAAA 2001:db8::1
both.example.  A 192.0.2.1
alias.example. CNAME both.example.
half.example.  A 192.0.2.1
;FAULT SERVFAIL half.example. AAAA
;FAULT SERVFAIL other.example. A
text.example.  TXT "no address"
`
	for i := range 9 {
		zone += fmt.Sprintf("many.example. A 192.0.2.%d\n", i)
	}
	for _, c := range []struct{ host, addrs, alias, fate string }{
		{"v4.example", "[192.0.2.1]", "", "taken"},
		{"v6.example", "[2001:db8::1]", "", "taken"},
		{"both.example", "[192.0.2.1 2001:db8::1]", "", "taken"},
		{"alias.example", "[192.0.2.1 2001:db8::1]", "both.example", "taken"},
		{"half.example", "[192.0.2.1]", "", "taken"},
		{"many.example", "[192.0.2.0 192.0.2.1 192.0.2.2 192.0.2.3]", "", "taken"},
		{"other.example", "[]", "", "temporary"},
		{"text.example", "[]", "", "permanent"},
		{"nowhere.example", "[]", "", "permanent"},
	} {
		addrs, alias, err := addresses(t.Context(), dnstest.Zone(t, zone, patient()), host{name: c.host})
		slices.SortFunc(addrs, netip.Addr.Compare)
		if got := fmt.Sprint(addrs); got != c.addrs || alias != c.alias || fate(err) != c.fate {
			t.Errorf("%s: got %s, alias %q, %v, want %s, %q, %s", c.host, got, alias, err, c.addrs, c.alias, c.fate)
		}
	}
}

const threeHosts = `
example.org.       MX 10 one.example.org.
example.org.       MX 20 two.example.org.
example.org.       MX 30 three.example.org.
one.example.org.   A 127.0.0.1
two.example.org.   A 127.0.0.2
three.example.org. A 127.0.0.3
`

func TestRFC5321_5_1_the_next_host(t *testing.T) {
	t.Parallel()
	say := func(verb, answer string) *stub { return &stub{script: map[string][]string{verb: {answer}}} }
	for _, c := range []struct {
		name             string
		one, two, three  *stub
		fate, reason     string
		connected, mails string // a digit for each host
	}{
		{"the first takes it", say("", ""), say("", ""), say("", ""), "taken", "", "100", "100"},
		{"5xx in the greeting", say("greeting", "554 no"), say("", ""), say("", ""), "taken", "", "110", "010"},
		{"5xx to EHLO and HELO", &stub{script: map[string][]string{"EHLO": {"550 no"}, "HELO": {"550 no"}}}, say("", ""), say("", ""), "taken", "", "110", "010"},
		{"4xx in the greeting", say("greeting", "421 later"), say("greeting", "421 later"), say("", ""), "taken", "", "111", "001"},
		{"4xx to MAIL, RCPT", say("MAIL", "451 later"), say("RCPT", "450 later"), say("", ""), "taken", "", "111", "001"},
		{"4xx to DATA", say("DATA", "451 later"), say("", ""), say("", ""), "taken", "", "110", "010"},
		{"closes", say("greeting", closes), say("EHLO", closes), say("DATA", closes), "temporary", "one.example.org [127.0.0.1]: greeting: ", "111", "000"},
		{"all say 5xx in the greeting", say("greeting", "554 no"), say("greeting", "554 no"), say("greeting", "554 never"), "temporary", "554 never", "111", "000"},
		{"all take no mail", say("greeting", "521 no"), say("greeting", "521 no"), say("greeting", "521 never"), "permanent", "521 never", "111", "000"},
		{"5xx to MAIL", say("MAIL", "550 no"), say("", ""), say("", ""), "taken", "", "110", "010"},
		{"one of them says 4xx", say("greeting", "554 no"), say("greeting", "421 later"), say("greeting", "554 no"), "temporary", "421 later", "111", "000"},
		{"5xx to RCPT is final", say("RCPT", "550 no such user"), say("", ""), say("", ""), "permanent", "550 no such user", "100", "000"},
		{"5xx to RCPT of the second is final", say("greeting", "421 later"), say("RCPT", "550 no such user"), say("", ""), "permanent", "550 no such user", "110", "000"},
		// RFC 1047: the first may have the mail.
		{"4xx to the message", say(".", "451 later"), say("", ""), say("", ""), "temporary", "451 later", "100", "000"},
		{"closes behind the final dot", say(".", closes), say("", ""), say("", ""), "temporary", "closed", "100", "000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t)
			stubs := []*stub{c.one, c.two, c.three}
			cfg.Port = listen(t, map[string]*stub{"127.0.0.1": c.one, "127.0.0.2": c.two, "127.0.0.3": c.three})
			_, err := deliverer(t, cfg, threeHosts).tryWhole(t.Context(), entry("one"))
			want(t, err, c.fate, c.reason)
			var connected, mails string
			for _, s := range stubs {
				_, m := s.got()
				connected += fmt.Sprint(s.connections())
				mails += fmt.Sprint(len(m))
			}
			if connected != c.connected || mails != c.mails {
				t.Errorf("connections %s, mails %s, want %s, %s", connected, mails, c.connected, c.mails)
			}
		})
	}
}

func TestRFC5321_5_1_the_next_address(t *testing.T) {
	t.Parallel()
	first, second := &stub{script: map[string][]string{"greeting": {"421 later", "421 later"}}}, &stub{}
	c := config(t)
	c.Port = listen(t, map[string]*stub{"127.0.0.1": first, "127.0.0.3": second})
	// 127.0.0.2 refuses the connection.
	zone := "example.org. A 127.0.0.1\nexample.org. A 127.0.0.2\nexample.org. A 127.0.0.3\n"
	_, err := deliverer(t, c, zone).tryWhole(t.Context(), entry("one"))
	want(t, err, "taken", "")
	if _, mails := second.got(); len(mails) != 1 {
		t.Errorf("the last address got %d mails, want 1", len(mails))
	}
}

func TestRFC5321_4_1_3_address_literal(t *testing.T) {
	t.Parallel()
	s, e := &stub{}, entry("one")
	c := config(t)
	c.Port = listen(t, map[string]*stub{"127.0.0.1": s})
	e.To = "a@[127.0.0.1]"
	what, err := deliverer(t, c, "").tryWhole(t.Context(), e)
	want(t, err, "taken", "")
	if what.host != "[127.0.0.1]" {
		t.Errorf("got %+v", what)
	}
	c.AllowPrivate = false
	for _, literal := range []string{"[127.0.0.1]", "[IPv6:::1]", "[IPv6:::ffff:127.0.0.1]", "[10.0.0.1]", "[IPv6:64:ff9b::7f00:1]"} {
		e.To = "a@" + literal
		_, err := deliverer(t, c, "").tryWhole(t.Context(), e)
		want(t, err, "permanent", "unroutable (")
	}
	if n := s.connections(); n != 1 {
		t.Errorf("%d connections, want the first alone", n)
	}
}

func TestRelayTakesEverything(t *testing.T) {
	t.Parallel()
	s := &stub{}
	c := config(t)
	// The relay is the operator's choice: on any network, even where private addresses are refused.
	c.AllowPrivate = false
	c.Own = only("127.0.0.1")
	c.Relay = fmt.Sprint("localhost:", listen(t, map[string]*stub{"127.0.0.1": s}))
	dnsServer := dnstest.New(t, "example.org. MX 0 .\n")
	d := newDeliverer(t, c, nil, dnsServer.Client(t, patient()))
	what, err := d.tryWhole(t.Context(), entry("one"))
	want(t, err, "taken", "")
	if _, mails := s.got(); len(mails) != 1 || len(dnsServer.Queries()) != 0 || !strings.HasPrefix(what.host, "localhost") {
		t.Errorf("got %d mails, %+v, and asked %q", len(mails), what, dnsServer.Queries())
	}
}

func TestRelayThatRefusesUsIsWaitedFor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ verb, answer, fate string }{
		{"greeting", "554 5.7.1 not you", "temporary"},
		{"RCPT", "550 5.1.1 no such user", "permanent"},
		{"RCPT", "450 4.1.1 later", "temporary"},
	} {
		s := &stub{script: map[string][]string{c.verb: {c.answer}}}
		cfg := config(t)
		cfg.Relay = fmt.Sprint("127.0.0.1:", listen(t, map[string]*stub{"127.0.0.1": s}))
		_, err := deliverer(t, cfg, "").tryWhole(t.Context(), entry("one"))
		want(t, err, c.fate, c.answer)
	}
}

// Addresses that no public MX may name: refused when the connection is made.
func TestHostile_46(t *testing.T) {
	t.Parallel()
	s := &stub{}
	base := config(t)
	base.Port = listen(t, map[string]*stub{"127.0.0.1": s})
	for _, c := range []struct {
		name    string
		private bool
		own     string
		addrs   string
	}{
		{"loopback", false, "", "A 127.0.0.1"},
		{"private", false, "", "A 10.0.0.1"},
		{"link local", false, "", "A 169.254.169.254"},
		{"mapped", false, "", "AAAA ::ffff:127.0.0.1"},
		{"translated", false, "", "AAAA 64:ff9b::7f00:1"},
		{"our own", true, "127.0.0.1", "A 127.0.0.1"},
		{"several", false, "", "A 127.0.0.1\nmx.example.org. A 192.168.1.1\nmx.example.org. AAAA ::1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := base
			cfg.AllowPrivate = c.private
			if c.own != "" {
				cfg.Own = only(c.own)
			}
			_, err := deliverer(t, cfg, "example.org. MX 10 mx.example.org.\nmx.example.org. "+c.addrs+"\n").tryWhole(t.Context(), entry("one"))
			want(t, err, "permanent", "unroutable (")
			if !errors.Is(err, errUnroutable) {
				t.Errorf("got %v, want %v", err, errUnroutable)
			}
		})
	}
	t.Cleanup(func() {
		if n := s.connections(); n != 0 {
			t.Errorf("%d connections came in", n)
		}
	})
}

// publicly stands for the Internet: 9.9.9.9 is the stub, all else is dialled as in service.
func publicly(c Config, s *stub) func(context.Context, string, string) (net.Conn, error) {
	dial := dialer(c)
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if strings.HasPrefix(addr, "9.9.9.9:") {
			return inMemory(map[string]*stub{"9.9.9.9": s})(ctx, network, addr)
		}
		return dial(ctx, network, addr)
	}
}

func TestHostile_46_at_the_second_look_up(t *testing.T) {
	t.Parallel()
	outside, inside := &stub{script: map[string][]string{"RCPT": {"450 4.2.0 come again"}}}, &stub{}
	c := config(t)
	c.AllowPrivate = false
	c.Port = listen(t, map[string]*stub{"127.0.0.1": inside})
	c.Dial = publicly(c, outside)
	zone := "example.org. MX 10 mx.example.org.\nmx.example.org. A "
	server := dnstest.New(t, zone+"9.9.9.9\n")
	d := newDeliverer(t, c, nil, server.Client(t, patient()))
	_, err := d.tryWhole(t.Context(), entry("one"))
	want(t, err, "temporary", "450 4.2.0 come again")
	if n := len(slices.DeleteFunc(server.Queries(), func(q string) bool { return q != "mx.example.org A" })); n != 1 {
		t.Errorf("the address was asked for %d times in one try: %q", n, server.Queries())
	}
	if err := server.Replace(zone + "127.0.0.1\n"); err != nil {
		t.Fatal(err)
	}
	_, err = d.tryWhole(t.Context(), entry("one"))
	want(t, err, "permanent", "unroutable (loopback)")
	if n := inside.connections(); n != 0 {
		t.Errorf("%d connections came in", n)
	}
}

// A host that is refused does not stand for those that are only not there now.
func TestUnroutableAmongOthers(t *testing.T) {
	t.Parallel()
	s := &stub{script: map[string][]string{"greeting": {"421 later"}}}
	c := config(t)
	c.AllowPrivate = false
	c.Dial = publicly(c, s)
	zone := "example.org. MX 10 a.example.org.\nexample.org. MX 20 b.example.org.\na.example.org. A 10.0.0.1\nb.example.org. A 9.9.9.9\n"
	_, err := deliverer(t, c, zone).tryWhole(t.Context(), entry("one"))
	want(t, err, "temporary", "421 later")
	s.script["greeting"] = nil
	_, err = deliverer(t, c, zone).tryWhole(t.Context(), entry("one"))
	want(t, err, "taken", "")
}

func TestHostile_47(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, zone, fate, reason, alias string }{
		{"null MX", "example.org. MX 0 .", "permanent", "5.1.10", ""},
		{"MX is an alias", "example.org. MX 0 mx.example.org.\nmx.example.org. CNAME real.example.net.\nreal.example.net. A 127.0.0.1", "taken", "", "real.example.net"},
		{"MX target missing", "example.org. MX 0 gone.example.org.", "permanent", `5.4.4 the host has no address: "gone.example.org"`, ""},
		{"MX target without addresses", "example.org. MX 0 mx.example.org.\nmx.example.org. TXT x", "permanent", "5.4.4", ""},
		{"MX alias to nowhere", "example.org. MX 0 mx.example.org.\nmx.example.org. CNAME gone.example.net.", "permanent", "5.4.4", ""},
		{"MX names an address", "example.org. MX 0 127.0.0.1.", "permanent", "5.4.4", ""},
		{"one of two is missing", "example.org. MX 0 gone.example.org.\nexample.org. MX 10 mx.example.org.\nmx.example.org. A 127.0.0.1", "taken", "", ""},
		{"one is missing, one cannot be asked", "example.org. MX 0 gone.example.org.\nexample.org. MX 10 mx.example.org.\n;FAULT SERVFAIL mx.example.org. ANY", "temporary", "servfail", ""},
		{"no MX and no address", "example.org. TXT x", "permanent", "5.4.4", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t)
			cfg.Port = listen(t, map[string]*stub{"127.0.0.1": {}})
			what, err := deliverer(t, cfg, c.zone+"\n").tryWhole(t.Context(), entry("one"))
			want(t, err, c.fate, c.reason)
			if what.alias != c.alias || (c.alias != "" && !slices.Contains(what.attrs(), any("alias"))) {
				t.Errorf("got alias %q, want %q", what.alias, c.alias)
			}
		})
	}
}

// The time for a try may be over when hosts are left that nobody asked.
func TestHostsThatNobodyAskedAreNoRefusal(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	var once sync.Once
	c := config(t)
	c.Dial = func(context.Context, string, string) (net.Conn, error) {
		once.Do(func() { cancel(errors.New("time is over")) })
		return nil, &net.OpError{Op: "dial", Err: fmt.Errorf("%w (private)", errUnroutable)}
	}
	_, err := deliverer(t, c, threeHosts).tryWhole(ctx, entry("one"))
	want(t, err, "temporary", "time is over")
}
