package conformance

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"

	peer "blitiri.com.ar/go/spf"

	"checkauth/verify/dns"
	"checkauth/verify/spf"
)

// peerCases are random zones whose records both sides can read. What is left out, for the peer reads
// RFC 7208 otherwise there:
//   - a syntax error behind a term that matches: 4.6 wants permerror, the peer has it matched;
//   - %{p}: the peer always says "unknown" (7.3);
//   - values with two delimiters in a row, and "/" as one: the peer drops empty parts and refuses "/" (7.3);
//   - more than ten MX hosts, and one that DNS fails for: the peer asks for all before it compares (5.4);
//   - a name without PTR that several ptr ask for: the peer counts it once (4.6.4).
const peerCases = 20000

func TestSPFAgreesWithAPeer(t *testing.T) {
	t.Parallel()
	words := map[string]int{}
	for n := range uint64(peerCases) {
		g := &generator{rand.New(rand.NewPCG(7208, n)), newZone()}
		q := g.world()
		got := spf.Evaluator{DNS: g.zone}.Check(t.Context(), q)
		words[string(got.Word)]++
		want, why := peer.CheckHostWithSender(q.IP.AsSlice(), q.Helo, q.MailFrom, peer.WithResolver(peerDNS{g.zone, q.IP}))
		if string(got.Word) != string(want) {
			t.Errorf("case %d, %+v: got %s (%s), the peer %s (%v)", n, q, got.Word, got.Reason, want, why)
			for _, name := range domains {
				for _, r := range g.zone.records[name] {
					t.Logf("%s %s %s", name, r.Type, r.Data())
				}
			}
		}
	}
	for _, word := range []string{"none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"} {
		if words[word] < peerCases/100 {
			t.Errorf("%s: got it %d times of %d, too seldom to say anything", word, words[word], peerCases)
		}
	}
}

// peerDNS answers the peer from the same zone. It asks for addresses of both families at once, where
// RFC 7208, 5 has one: it gets that one, and for exists A.
type peerDNS struct {
	zone dns.Resolver
	ip   netip.Addr
}

func (p peerDNS) get(name string, kind dns.Type) ([]dns.Record, error) {
	fault := &net.DNSError{Err: "no such name", Name: name, IsNotFound: true}
	if !dns.Askable(name) {
		return nil, fault
	}
	a, err := p.zone.Resolve(context.Background(), dns.Ask(name, kind))
	if err != nil {
		return nil, &net.DNSError{Err: err.Error(), Name: name, IsTemporary: true}
	}
	if len(a.Records) == 0 {
		return nil, fault
	}
	return a.Records, nil
}

func (p peerDNS) LookupTXT(_ context.Context, name string) (out []string, err error) {
	records, err := p.get(name, dns.TXT)
	for _, r := range records {
		out = append(out, r.Text())
	}
	return out, err
}

func (p peerDNS) LookupMX(_ context.Context, name string) (out []*net.MX, err error) {
	records, err := p.get(name, dns.MX)
	for _, r := range records {
		out = append(out, &net.MX{Host: r.Target, Pref: r.Pref})
	}
	return out, err
}

func (p peerDNS) LookupIPAddr(_ context.Context, name string) (out []net.IPAddr, err error) {
	kind := dns.A
	if !p.ip.Is4() && !strings.Contains(strings.ToLower(name), "exists") {
		kind = dns.AAAA
	}
	records, err := p.get(name, kind)
	for _, r := range records {
		out = append(out, net.IPAddr{IP: r.Addr.AsSlice()})
	}
	return out, err
}

func (p peerDNS) LookupAddr(_ context.Context, addr string) (out []string, err error) {
	records, err := p.get(dns.ReverseName(netip.MustParseAddr(addr)), dns.PTR)
	for _, r := range records {
		out = append(out, r.Target+".")
	}
	return out, err
}

// generator makes one zone and one query; its random numbers follow from the case's number alone.
type generator struct {
	*rand.Rand
	zone *zone
}

var (
	domains = []string{"a.example", "b.example", "c.example", "sub.a.example"}
	hosts   = []string{"h1.a.example", "h2.b.example", "alias.a.example", "nothing.a.example", "none.example"}
	clients = []string{"192.0.2.1", "192.0.2.129", "198.51.100.7", "2001:db8::1", "2001:db8:0:1::1"}
)

func (g *generator) one(of ...string) string    { return of[g.IntN(len(of))] }
func (g *generator) often(percent int) bool     { return g.IntN(100) < percent }
func (g *generator) bits(n int) string          { return fmt.Sprint(g.IntN(n + 1)) }
func (g *generator) fails(n string, t dns.Type) { g.zone.silent[dns.Question{Name: n, Type: t}] = true }

func (g *generator) addresses(name string) {
	for range 1 + g.IntN(2) {
		if err := g.zone.address(name, g.one(clients...)); err != nil {
			panic(err)
		}
	}
}

func (g *generator) world() spf.Query {
	for _, d := range domains {
		g.domain(d)
	}
	g.addresses("h1.a.example")
	g.addresses("h2.b.example")
	g.addresses("exists.a.example")
	g.zone.add("alias.a.example", dns.Record{Type: dns.CNAME, Target: g.one("h1.a.example", "none.example", "nothing.a.example")})
	g.zone.add("nothing.a.example", dns.Record{Type: dns.TXT, Strings: []string{"no record"}})
	g.zone.add("neutral.example", dns.Record{Type: dns.TXT, Strings: []string{"v=spf1"}})
	g.fails("broken.example", dns.A)
	g.fails("broken.example", dns.AAAA)
	g.fails("broken.example", dns.TXT)
	ip := netip.MustParseAddr(g.one(clients...))
	for range 1 + g.IntN(3) {
		g.zone.add(dns.ReverseName(ip), dns.Record{Type: dns.PTR, Target: g.one("h1.a.example", "h2.b.example", "b.example", "alias.a.example", "nota.example")})
	}
	q := spf.Query{IP: ip, Helo: g.one("h1.a.example", "b.example", "A.Example"), MailFrom: g.one("joe", "strong-bad", "a.b.c", "x=y", "MiXed") + "@" + g.one(append(domains, "none.example", "A.EXAMPLE")...)}
	return q
}

func (g *generator) domain(name string) {
	if g.often(95) {
		g.zone.add(name, dns.Record{Type: dns.TXT, Strings: []string{g.record()}})
	}
	if g.often(3) {
		g.zone.add(name, dns.Record{Type: dns.TXT, Strings: []string{g.one("v=spf1 -all", "v=spf10 -all", "other")}})
	}
	if g.often(60) {
		g.addresses(name)
	}
	for i := range g.IntN(4) {
		g.zone.add(name, dns.Record{Type: dns.MX, Pref: uint16(i), Target: g.one(hosts...)})
	}
	if g.often(2) {
		g.fails(name, dns.TXT)
	}
}

func (g *generator) record() string {
	terms := []string{g.one("v=spf1", "V=SPF1")}
	count := g.IntN(5)
	if g.often(10) {
		count = 9 + g.IntN(4)
	}
	for range count {
		terms = append(terms, g.one("", "", "+", "-", "~", "?")+g.mechanism(count > 5))
	}
	if g.often(30) {
		terms = append(terms, g.one("redirect=", "Redirect=")+g.one(append(domains, "%{o}", "none.example")...))
	}
	if g.often(20) {
		terms = append(terms, g.one("exp=why.a.example", "x-y.z=%{d}", "moo="))
	}
	if g.often(20) {
		g.Shuffle(len(terms)-1, func(i, j int) { terms[i+1], terms[j+1] = terms[j+1], terms[i+1] })
	}
	if g.often(60) {
		terms = append(terms, g.one("-all", "~all", "?all", "all", "-ALL"))
	}
	return strings.Join(terms, g.one(" ", " ", "  "))
}

// mechanism gives one that can be read; where there are many, one that seldom matches and finds something.
func (g *generator) mechanism(many bool) string {
	if many {
		return g.one("a:h1.a.example/32", "include:neutral.example", "mx:c.example", "ptr:none.example", "exists:exists.a.example")
	}
	switch g.IntN(8) {
	case 0:
		return g.one("a", "A") + g.one("", ":"+g.host()) + g.masks()
	case 1:
		return "mx" + g.one("", ":"+g.one(domains...)) + g.masks()
	case 2:
		return g.one("include:", "Include:") + g.one(append(domains, "%{o}", "%{d2}", "neutral.example", "broken.example")...)
	case 3:
		return "exists:" + g.one("exists.a.example", g.macro()+".exists.a.example", "no-exists.a.example", g.macro()+".exists.%{d}")
	case 4:
		return "ptr" + g.one("", ":"+g.one("a.example", "A.EXAMPLE", "h2.b.example"))
	case 5, 6:
		return "ip4:" + g.one(clients[:3]...) + g.one("", "/"+g.bits(32))
	}
	return "ip6:" + g.one(clients[3:]...) + g.one("", "/"+g.bits(128))
}

func (g *generator) host() string {
	return g.one(append(hosts, "%{h}", "h1.%{o}", "%{L}.a.example", "h1.%{d2}", g.macro()+".a.example", "broken.example", "h1.a.example.")...)
}

func (g *generator) macro() string {
	return "%{" + g.one("s", "l", "o", "d", "i", "v", "h", "S", "I") + g.one("", "1", "2", "9", "128") + g.one("", "r", "R") + g.one("", "-", ".", "-.", "+,_=") + "}"
}

func (g *generator) masks() string {
	return g.one("", "", "/"+g.bits(32)) + g.one("", "", "//"+g.bits(128))
}
