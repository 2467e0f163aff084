package client

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"checkauth/verify/dns"
)

func testClient(t testing.TB, change func(*Config)) *Client {
	t.Helper()
	config := Defaults()
	config.Servers, config.Timeout = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:9")}, time.Second
	if change != nil {
		change(&config)
	}
	c, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// message reads a reply to a question from a zone's lines: those after "--" are the authority section.
func message(t *testing.T, rcode int, lines ...string) *mdns.Msg {
	t.Helper()
	m := new(mdns.Msg)
	m.Response, m.Rcode = true, rcode
	section := &m.Answer
	for _, line := range lines {
		if line == "--" {
			section = &m.Ns
			continue
		}
		rr, err := mdns.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		*section = append(*section, rr)
	}
	packed, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	// Over the wire and back: Rdlength and escapes are then as they come from a server.
	m = new(mdns.Msg)
	if err := m.Unpack(packed); err != nil {
		t.Fatal(err)
	}
	return m
}

func take(t *testing.T, m *mdns.Msg) (*walk, *dns.Error) {
	t.Helper()
	w := newWalk(dns.Ask("example.org", dns.TXT))
	return w, w.take(m)
}

// RFC 2181, 5: a set holds no record twice.
func TestRFC2181_5_duplicates(t *testing.T) {
	t.Parallel()
	w, err := take(t, message(t, 0,
		`example.org. 300 TXT "v=spf1 -all"`,
		`example.org. 200 TXT "v=spf1 -all"`,
		`example.org. 300 TXT "v=spf1" " -all"`))
	if err != nil || len(w.answer.Records) != 2 {
		t.Errorf("got %+v, error %v; want two records: the third has other strings", w.answer.Records, err)
	}
}

// As many records as a message can hold are read in the blink of an eye.
func TestRFC1035_4_2_2_message_full_of_records(t *testing.T) {
	t.Parallel()
	query := testClient(t, nil).query(dns.Ask("example.org", dns.TXT), false)
	packed, err := new(mdns.Msg).SetReply(query).Pack()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; len(packed) < 65_000; n++ {
		packed = append(packed, 0xc0, 12, 0, 16, 0, 1, 0, 0, 1, 44, 0, 3, 2, byte(n>>8), byte(n)) // two octets of text
	}
	binary.BigEndian.PutUint16(packed[6:], uint16(n))
	began := time.Now()
	m, err := match(query, packed)
	if err != nil {
		t.Fatal(err)
	}
	w := newWalk(dns.Ask("example.org", dns.TXT))
	if e := w.take(m); e != nil || len(w.answer.Records) != n {
		t.Errorf("got %d records, error %v; want %d", len(w.answer.Records), e, n)
	}
	// It took 2 s while each record was compared with each.
	if took := time.Since(began); took > time.Second {
		t.Errorf("%d records took %s", n, took)
	}
}

// RFC 2181, 8: a TTL with the highest bit set is zero.
func TestRFC2181_8_TTL(t *testing.T) {
	t.Parallel()
	m := message(t, 0, `example.org. 300 TXT "x"`)
	for ttl, want := range map[uint32]uint32{300: 300, 1<<31 - 1: 1<<31 - 1, 1 << 31: 0, 1<<32 - 1: 0} {
		m.Answer[0].Header().Ttl = ttl
		if w, err := take(t, m); err != nil || w.answer.Records[0].TTL != want {
			t.Errorf("%d: got %+v, error %v; want %d", ttl, w.answer.Records, err, want)
		}
	}
}

// RFC 2308, 2.2.1: a referral does not say that there is nothing.
func TestRFC2308_2_2_1_referral(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*mdns.Msg)
		lines  []string
		want   dns.Kind
	}{
		{"NS alone, no authority", nil, []string{"--", "example.org. NS ns1.example.org."}, dns.Refused},
		{"from the zone's own server", func(m *mdns.Msg) { m.Authoritative = true }, []string{"--", "example.org. NS ns1.example.org."}, ""},
		{"from a resolver", func(m *mdns.Msg) { m.RecursionAvailable = true }, []string{"--", "org. NS ns1.example.org."}, ""},
		{"with SOA", nil, []string{"--", "example.org. NS ns1.example.org.", "example.org. SOA a. b. 1 2 3 4 5"}, ""},
		{"nothing at all", nil, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := message(t, 0, c.lines...)
			if c.change != nil {
				c.change(m)
			}
			w, err := take(t, m)
			if (err == nil) != (c.want == "") || err != nil && err.Kind != c.want || !w.done {
				t.Errorf("got %v, done %t; want kind %q", err, w.done, c.want)
			}
		})
	}
}

// RFC 5452, 6: what is not on the way from the question is not believed.
func TestRFC5452_6_what_else_a_message_brings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		lines []string
		want  string // texts
		chain string
		again string // what is asked next
	}{
		{"another owner", []string{`example.net. TXT "forged"`}, "", "", ""},
		{"a suffix is another owner", []string{`notexample.org. TXT "forged"`}, "", "", ""},
		{"another type", []string{`example.org. A 192.0.2.1`, `example.org. SPF "x"`}, "", "", ""},
		{"another class", []string{`example.org. CH TXT "forged"`}, "", "", ""},
		{"a CNAME that hangs on nothing", []string{`example.net. CNAME example.com.`, `example.com. TXT "forged"`}, "", "", ""},
		{"links in any order", []string{`b.example. TXT "right"`, `a.example. CNAME b.example.`, `example.org. CNAME a.example.`}, "right", "a.example b.example", ""},
		{"data beats a CNAME beside it", []string{`example.org. CNAME a.example.`, `example.org. TXT "right"`}, "right", "", ""},
		{"an unfinished chain", []string{`example.org. CNAME a.example.`}, "", "a.example", "a.example"},
		{"an unfinished chain with another zone's SOA", []string{`example.org. CNAME a.example.`, "--", "example.org. SOA a. b. 1 2 3 4 5"}, "", "a.example", "a.example"},
		{"a finished one with nothing at its end", []string{`example.org. CNAME a.example.`, "--", "example. SOA a. b. 1 2 3 4 5"}, "", "a.example", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, err := take(t, message(t, 0, c.lines...))
			if err != nil {
				t.Fatal(err)
			}
			again := ""
			if !w.done {
				again = w.question().Name
			}
			texts, chain := strings.Join(w.answer.Texts(), " "), strings.Join(w.answer.Evidence().Chain, " ")
			if texts != c.want || chain != c.chain || again != c.again {
				t.Errorf("got %q by %q, asks %q next; want %q by %q, %q", texts, chain, again, c.want, c.chain, c.again)
			}
		})
	}
}

// RFC 1035, 3.3 and 3.4: none of these types has empty data, which miekg/dns lets through.
func TestRFC1035_3_3_records_without_data(t *testing.T) {
	t.Parallel()
	for _, kind := range []dns.Type{dns.A, dns.AAAA, dns.NS, dns.PTR, dns.MX, dns.TXT, dns.SPF, dns.CNAME} {
		query := testClient(t, nil).query(dns.Ask("example.org", kind), false)
		packed, err := new(mdns.Msg).SetReply(query).Pack()
		if err != nil {
			t.Fatal(err)
		}
		binary.BigEndian.PutUint16(packed[6:], 1)                                 // one answer
		packed = append(packed, 0xc0, 12, 0, byte(kind), 0, 1, 0, 0, 1, 44, 0, 0) // owner, type, IN, 300 s, no data
		m, err := match(query, packed)
		if err != nil {
			continue // miekg/dns refused it by itself
		}
		w := newWalk(dns.Ask("example.org", kind))
		if e := w.take(m); e == nil || e.Kind != dns.Malformed {
			t.Errorf("%s: got %+v, error %v; want malformed", kind, w.answer.Records, e)
		}
	}
}

// RFC 4035, 4.9.3: AD counts on a way that nobody else can write to.
func TestRFC4035_4_9_3_trust_in_AD(t *testing.T) {
	t.Parallel()
	for servers, want := range map[string]bool{"127.0.0.1:53": true, "[::1]:53": true, "[::ffff:127.0.0.1]:53": true, "192.0.2.53:53": false,
		"127.0.0.1:53 [::1]:53": true, "127.0.0.1:53 192.0.2.53:53": false} {
		at := func(c *Config) {
			c.Servers = nil
			for s := range strings.FieldsSeq(servers) {
				c.Servers = append(c.Servers, netip.MustParseAddrPort(s))
			}
		}
		if got := testClient(t, at).upstream.Load().trusts(); got != want {
			t.Errorf("%s: got %t, want %t", servers, got, want)
		}
		if !testClient(t, func(c *Config) { at(c); c.TrustAD = true }).upstream.Load().trusts() {
			t.Errorf("%s with TrustAD: got false", servers)
		}
	}
}

// RFC 6891, 6.1.1 and RFC 6840, 5.7: what a query says.
func TestRFC6891_6_1_1_query(t *testing.T) {
	t.Parallel()
	m := testClient(t, nil).query(dns.Ask("example.org", dns.TXT), false)
	opt := m.IsEdns0()
	if opt == nil || opt.UDPSize() != 1232 || opt.Do() || !m.RecursionDesired || !m.AuthenticatedData || m.CheckingDisabled {
		t.Errorf("got %v; want EDNS of 1232 octets without DO, RD and AD set, CD clear", m)
	}
	m = testClient(t, func(c *Config) { c.Authoritative = true }).query(dns.Ask("example.org", dns.TXT), true)
	if m.RecursionDesired || !m.CheckingDisabled {
		t.Errorf("got %v; want RD clear and CD set", m)
	}
}

// The second half of the case: nobody can guess the source port (RFC 5452, 10).
func TestHostile_64(t *testing.T) {
	t.Parallel()
	const questions = 10_000
	c := testClient(t, nil)
	ports := map[string]bool{}
	for range questions {
		conn, err := c.dialUDP(t.Context(), c.upstream.Load().servers[0])
		if err != nil {
			t.Fatal(err)
		}
		ports[conn.LocalAddr().String()] = true
		_ = conn.Close()
	}
	if len(ports) < questions*9/10 {
		t.Errorf("%d questions came from %d ports, want 90 %%", questions, len(ports))
	}
}

// RFC 5452, 9.1: each of these datagrams is skipped.
func TestRFC5452_9_1_match(t *testing.T) {
	t.Parallel()
	query := testClient(t, nil).query(dns.Ask("example.org", dns.TXT), false)
	query.Id = 4711
	for _, c := range []struct {
		name   string
		change func(*mdns.Msg)
		ok     bool
	}{
		{"the answer", func(*mdns.Msg) {}, true},
		{"another spelling", func(m *mdns.Msg) { m.Question[0].Name = "eXample.ORG." }, true},
		{"another id", func(m *mdns.Msg) { m.Id++ }, false},
		{"a query", func(m *mdns.Msg) { m.Response = false }, false},
		{"another name", func(m *mdns.Msg) { m.Question[0].Name = "example.net." }, false},
		{"another type", func(m *mdns.Msg) { m.Question[0].Qtype = mdns.TypeA }, false},
		{"another class", func(m *mdns.Msg) { m.Question[0].Qclass = mdns.ClassCHAOS }, false},
		{"another opcode", func(m *mdns.Msg) { m.Opcode = mdns.OpcodeNotify }, false},
		{"no question", func(m *mdns.Msg) { m.Question = nil }, false},
		{"no question in FORMERR", func(m *mdns.Msg) { m.Question, m.Rcode = nil, mdns.RcodeFormatError }, true},
		{"two questions", func(m *mdns.Msg) { m.Question = append(m.Question, m.Question[0]) }, false},
	} {
		m := new(mdns.Msg).SetReply(query)
		c.change(m)
		packed, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := match(query, packed); (err == nil) != c.ok {
			t.Errorf("%s: got %v, want taken %t", c.name, err, c.ok)
		}
	}
}

// RFC 2181, 9: of a cut message nothing counts, so it may end anywhere behind its question.
func TestRFC2181_9_cut_in_a_record(t *testing.T) {
	t.Parallel()
	query := testClient(t, nil).query(dns.Ask("example.org", dns.TXT), false)
	m := new(mdns.Msg).SetReply(query)
	m.Truncated = true
	rr, err := mdns.NewRR(`example.org. TXT "` + strings.Repeat("x", 200) + `"`)
	if err != nil {
		t.Fatal(err)
	}
	m.Answer = []mdns.RR{rr}
	packed, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := match(query, packed[:len(packed)-100]); err != nil || !got.Truncated {
		t.Errorf("got %v, error %v; want the message with TC", got, err)
	}
}

func TestNames_survive_the_wire(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"example.org", "", "a b.example", `back\slash`, "\x00\xff.example", `"quoted";(x)@$'`, `a\046b`} {
		if got := overWire(t, name); got != name {
			t.Errorf("%q: got %q", name, got)
		}
	}
}

func overWire(t *testing.T, name string) string {
	t.Helper()
	var wire [256]byte
	n, err := mdns.PackDomainName(toWire(name), wire[:], 0, nil, false)
	if err != nil {
		t.Fatalf("%q as %q: %v", name, toWire(name), err)
	}
	back, _, err := mdns.UnpackDomainName(wire[:n], 0)
	if err != nil {
		t.Fatalf("%q: %v", name, err)
	}
	return fromWire(back)
}
