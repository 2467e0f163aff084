package advise_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"checkauth/verify"
	"checkauth/verify/advise"
	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/known"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

// brokenZone is a zone whose record was meant to let some networks pass.
type brokenZone struct {
	text  string
	meant []netip.Prefix
}

// pieces of records: what stands there, and the network that was meant by it.
var pieces = []struct{ term, network string }{
	{"ip4:192.0.2.0/28", "192.0.2.0/28"}, {"ipv4:192.0.2.64/28", "192.0.2.64/28"}, {"ip4: 192.0.2.96/28", "192.0.2.96/28"},
	{"ip4:192.0.2.128/28,", "192.0.2.128/28"}, {"ip6:2001:db8:2::/48", "2001:db8:2::/48"}, {"ip4:2001:db8:3::1", "2001:db8:3::1/128"},
	{"inlcude:flat.example.net", "198.51.100.0/28"}, {"include:flat.example.net", "198.51.100.0/28"}, {"include:deep.example.net", "198.51.100.32/28"},
	{"include:host.example.net", "198.51.100.65/32"}, {"a:host.example.net", "198.51.100.65/32"}, {"mx:mx.example.net", "198.51.100.66/32"},
	{"include:gone.example.net", ""}, {"a:gone1.example.net", ""}, {"a:gone2.example.net", ""}, {"a:gone3.example.net", ""}, {"ip4:10.0.0.0/8", ""},
	{"include:example.org", ""}, {"frobnicate(7)", ""}, {"include:macro.example.net", "198.51.100.80/28"},
}

const piecesZone = `
$TTL 300
25.113.0.203.in-addr.arpa. PTR mail.example.org.
mail.example.org. A 203.0.113.25
flat.example.net. TXT "v=spf1 ip4:198.51.100.0/28 -all"
deep.example.net. TXT "v=spf1 include:deep1.example.net include:deep2.example.net ~all"
deep1.example.net. TXT "v=spf1 ip4:198.51.100.32/29 include:deep3.example.net -all"
deep2.example.net. TXT "v=spf1 ip4:198.51.100.40/29 -all"
deep3.example.net. TXT "v=spf1 ?all"
host.example.net. A 198.51.100.65
host.example.net. TXT "v=spf1 a ~all"
mx.example.net. MX 10 mx1.example.net.
mx1.example.net. A 198.51.100.66
gone.example.net. A 192.0.2.250
macro.example.net. TXT "v=spf1 exists:%{i}.never.example.net a:%{l}.never.example.net ip4:198.51.100.80/28 -all"
`

func aBrokenZone(r *rand.Rand) brokenZone {
	var b brokenZone
	var records [][]string
	for range 1 + r.IntN(2) {
		record := []string{[]string{"v=spf1", "v=spf1", "v=spf", "V=spf1"}[r.IntN(4)]}
		for range 1 + r.IntN(7) {
			p := pieces[r.IntN(len(pieces))]
			record = append(record, p.term)
			if p.network != "" {
				b.meant = append(b.meant, netip.MustParsePrefix(p.network))
			}
		}
		end := []string{"-all", "~all", "?all", "", "- all"}[r.IntN(5)]
		at := len(record)
		if r.IntN(4) == 0 {
			at = 1
		}
		records = append(records, slices.Insert(record, at, end))
	}
	b.text = piecesZone
	for _, record := range records {
		b.text += fmt.Sprintf("example.org. TXT %q\n", strings.TrimSpace(strings.Join(record, " ")))
	}
	return b
}

// probes are the first and last addresses of each network, and their neighbours.
func probes() (out []netip.Addr) {
	for _, p := range pieces {
		if p.network == "" {
			continue
		}
		n := netip.MustParsePrefix(p.network)
		out = append(out, n.Addr(), n.Addr().Prev())
	}
	return append(out, netip.MustParseAddr("203.0.113.26"), netip.MustParseAddr("10.1.1.1"))
}

// Every network that a record was meant to let pass passes once it is mended, and no other but the client.
func TestSPF_nothing_is_lost_and_nobody_let_in(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7208, 46))
	mended := 0
	for range 80 {
		b := aBrokenZone(r)
		client := []string{"203.0.113.25", "198.51.100.33", "192.0.2.1"}[r.IntN(3)]
		s := session{ip: client, helo: "mail.example.org", from: "a@example.org"}
		zone := dnstest.Zone(t, b.text)
		_, actions := s.adviseSPF(t, zone)
		for _, a := range actions {
			if a.Name == "" || a.Value == "" {
				continue
			}
			mended++
			after := changedBy(zone, a)
			for _, ip := range probes() {
				want := ip.String() == client && client == "203.0.113.25" && a.Proof.SPF == result.Pass ||
					slices.ContainsFunc(b.meant, func(n netip.Prefix) bool { return n.Contains(ip) })
				got := spf.Evaluator{DNS: after}.Check(t.Context(), spf.Query{IP: ip, Helo: "x.example", MailFrom: "a@example.org"})
				if ip.Is6() && got.Reason.Code == "spf-void-limit" {
					continue // as it was meant: the names that it has are of hosts without IPv6
				}
				if (got.Word == result.Pass) != want {
					t.Errorf("%s: got %s (%s), want pass: %v, with %q\nof%s", ip, got.Word, got.Reason, want, a.Value, b.text[len(piecesZone):])
				}
			}
		}
	}
	if mended < 60 {
		t.Errorf("only %d records of 80 were mended", mended)
	}
}

// Records that include each other, forty of them, are walked within bounds.
func TestSPF_a_thicket_of_includes_ends(t *testing.T) {
	t.Parallel()
	const domains = 40
	all := ""
	for i := range domains {
		all += fmt.Sprintf(" include:t%d.example.net", i)
	}
	quoted := fmt.Sprintf("%q %q %q %q", "v=spf1", all[:250], all[250:500], all[500:]+" a:none.example.net ~all")
	zone := own + "\nexample.org. TXT " + strings.Replace(quoted, "v=spf1", "v=spf1 ip4:10.0.0.1", 1) + "\n"
	for i := range domains {
		zone += fmt.Sprintf("t%d.example.net. TXT %s\n", i, quoted)
	}
	asked := 0
	server := dnstest.Zone(t, zone)
	report := ours.evaluate(t, server)
	counting := dns.ResolverFunc(func(ctx context.Context, q dns.Question) (dns.Answer, error) {
		asked++
		return server.Resolve(ctx, q)
	})
	advise.RunSPF(t.Context(), advise.Query{Report: report, Resolver: counting, Atlas: &known.Atlas{},
		Try: func(_ context.Context, changes []advise.Change) *verify.Report {
			return ours.evaluate(t, changed(server, changes))
		}})
	if asked > 20000 {
		t.Errorf("the records were read %d times", asked)
	}
}

func changedBy(r dns.Resolver, a verify.Action) dns.Resolver {
	over := dns.Over(r, time.Now)
	over.Set(a.Name, dns.TXT, dns.Record{TTL: 300, Strings: []string{a.Value}})
	return over
}

// A forger chooses HELO and the name of his address, and gets no record that lets him pass.
func TestSPF_no_forger_is_let_in(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5321, 4))
	pick := func(all ...string) string { return all[r.IntN(len(all))] }
	for range 80 {
		s := session{ip: "203.0.113.66", helo: pick("mail.example.org", "mx.host.example", "evil.example.net", "?192.168.1.5?"),
			from: pick("a@example.org", "a@sub.example.org", "")}
		zone := "\n$TTL 300\n66.113.0.203.in-addr.arpa. PTR " + pick("mail.example.org.", "mx.host.example.", "evil.example.net.", "example.org.") + `
evil.example.net. A 203.0.113.66
evil.example.net. TXT "v=spf1 ip4:203.0.113.66 -all"
mail.example.org. A 192.0.2.25
mx.host.example. A 198.51.100.10
host.example. TXT "v=spf1 ip4:198.51.100.0/28 -all"
example.org. MX 10 ` + pick("mail.example.org.", "mx.host.example.") + "\n"
		if record := pick("", "v=spf1 mx ~all", "v=spf1 include:host.example -all", "v=spf1 ipv4:192.0.2.25 ?all", "v=spf1 a mx ptr ~all"); record != "" {
			zone += fmt.Sprintf("example.org. TXT %q\n", record)
		}
		_, actions := s.adviseSPF(t, dnstest.Zone(t, zone))
		for _, a := range actions {
			if a.Proof != nil && a.Proof.SPF == result.Pass || strings.Contains(a.Value, "203.0.113.66") || strings.Contains(a.Value, "evil") {
				t.Errorf("%+v: got %s %q (class by %v) in%s", s, a.Code, a.Value, a.Why, zone)
			}
		}
	}
}
