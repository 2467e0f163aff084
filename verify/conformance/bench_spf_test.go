package conformance

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	peer "blitiri.com.ar/go/spf"

	"checkauth/verify/dns"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

// benchRecords are the records of the benchmark: domain of each, how deep the tree of its questions is,
// and what comes of it.
var benchRecords = []struct {
	name, domain string
	depth        int
	want         result.Word
}{
	{"a_literal", "a.example", 1, result.Pass},
	{"b_includes", "b.example", 3, result.Pass},
	{"c_nine", "c.example", 5, result.Pass},
	{"d_voids", "d.example", 2, result.PermError},
	{"e_exists", "e.example", 2, result.Pass},
}

const benchZone = `
a.example TXT v=spf1 ip4:192.0.2.0/24 -all
b.example TXT v=spf1 include:spf.b.example -all
spf.b.example TXT v=spf1 include:1.b.example include:2.b.example include:3.b.example ~all
1.b.example TXT v=spf1 ip4:198.51.100.0/26 ip4:198.51.100.64/26 ip4:198.51.100.128/25 ~all
2.b.example TXT v=spf1 ip4:203.0.113.0/26 ip4:203.0.113.64/26 ip4:203.0.113.128/25 ip6:2001:db8::/32 ~all
3.b.example TXT v=spf1 ip4:192.0.2.0/24 ip6:2001:db8:1::/48 ~all
c.example TXT v=spf1 a mx include:1.c.example include:3.c.example a:last.c.example -all
c.example A 198.51.100.1
c.example MX mx1.c.example
c.example MX mx2.c.example
mx1.c.example A 198.51.100.2
mx2.c.example A 198.51.100.3
1.c.example TXT v=spf1 include:2.c.example -all
2.c.example TXT v=spf1 mx:m.c.example -all
m.c.example MX mx3.c.example
m.c.example MX mx4.c.example
mx3.c.example A 198.51.100.4
mx4.c.example A 198.51.100.5
3.c.example TXT v=spf1 a:x.c.example a:y.c.example -all
x.c.example A 198.51.100.6
y.c.example A 198.51.100.7
last.c.example A 192.0.2.1
d.example TXT v=spf1 a:n1.d.example a:n2.d.example a:n3.d.example a:n4.d.example a:n5.d.example a:n6.d.example -all
e.example TXT v=spf1 exists:%{ir}.%{v}._spf.%{d} -all
1.2.0.192.in-addr._spf.e.example A 127.0.0.2
`

func newBenchZone(b *testing.B) *zone {
	z := newZone()
	for line := range strings.Lines(strings.TrimSpace(benchZone)) {
		f := strings.SplitN(strings.TrimSpace(line), " ", 3)
		switch f[1] {
		case "TXT":
			z.add(f[0], dns.Record{Type: dns.TXT, Strings: []string{f[2]}})
		case "MX":
			z.add(f[0], dns.Record{Type: dns.MX, Pref: 10, Target: f[2]})
		default:
			if err := z.address(f[0], f[2]); err != nil {
				b.Fatal(err)
			}
		}
	}
	return z
}

// late answers after a while and counts.
type late struct {
	up    dns.Resolver
	delay time.Duration
	asked atomic.Int64
}

func (l *late) Resolve(ctx context.Context, q dns.Question) (dns.Answer, error) {
	l.asked.Add(1)
	if l.delay > 0 {
		t := time.NewTimer(l.delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return dns.Answer{}, &dns.Error{Question: q, Kind: dns.Canceled, Err: context.Cause(ctx)}
		}
	}
	return l.up.Resolve(ctx, q)
}

// BenchmarkSPF compares with a peer that is given the same resolver, in the same run. Ours records the
// tree and the evidence: "alone" is the evaluator without a memo, "in_order" with one and nothing asked
// ahead, "ahead" is what a message gets.
func BenchmarkSPF(b *testing.B) {
	z := newBenchZone(b)
	ours := func(ahead bool) func(*late, spf.Query) string {
		return func(l *late, q spf.Query) string { return checkThroughMemo(l, q, ahead) }
	}
	theirs := func(l *late, q spf.Query) string {
		word, _ := peer.CheckHostWithSender(q.IP.AsSlice(), q.Helo, q.MailFrom, peer.WithResolver(peerDNS{l, q.IP}))
		return string(word)
	}
	for _, delay := range []time.Duration{0, 20 * time.Millisecond, 50 * time.Millisecond} {
		for _, r := range benchRecords {
			for _, side := range []struct {
				name  string
				check func(*late, spf.Query) string
			}{{"ahead", ours(true)}, {"in_order", ours(false)}, {"alone", alone}, {"peer", theirs}} {
				b.Run(fmt.Sprintf("%s/%s/%s", delay, r.name, side.name), func(b *testing.B) {
					q := spf.Query{IP: netip.MustParseAddr("192.0.2.1"), Helo: "mail.example", MailFrom: "joe@" + r.domain}
					l := &late{up: z, delay: delay}
					b.ReportAllocs()
					began := cpu()
					for b.Loop() {
						if got := side.check(l, q); got != string(r.want) {
							b.Fatalf("got %s, want %s", got, r.want)
						}
					}
					b.ReportMetric(float64(cpu()-began)/float64(b.N), "cpu-ns/op")
					b.ReportMetric(float64(l.asked.Load())/float64(b.N), "questions/op")
					if delay > 0 {
						b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(delay), "rounds/op")
						b.ReportMetric(float64(r.depth), "depth")
					}
				})
			}
		}
	}
}

// cpu is what the process has used, that of the garbage collector included.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func checkThroughMemo(up dns.Resolver, q spf.Query, ahead bool) string {
	ctx, cancel := context.WithCancel(context.Background())
	memo := dns.NewMemo(ctx, up)
	defer memo.Wait()
	defer cancel()
	if ahead {
		a := spf.Evaluator{}.Ahead(q)
		memo.Follow(a.Follow)
		for _, first := range a.First() {
			memo.Prefetch(first)
		}
	}
	view := memo.View(112)
	r := spf.Evaluator{DNS: view}.Check(ctx, q)
	if len(view.Evidence()) == 0 || r.Root == nil {
		return "nothing recorded"
	}
	return string(r.Word)
}

// evidence keeps what was answered, as a view of the memo does.
type evidence struct {
	up  dns.Resolver
	all []result.Evidence
}

func (e *evidence) Resolve(ctx context.Context, q dns.Question) (dns.Answer, error) {
	a, err := e.up.Resolve(ctx, q)
	if err != nil {
		e.all = append(e.all, dns.AsError(q, err).Evidence())
	} else {
		e.all = append(e.all, a.Evidence())
	}
	return a, err
}

func alone(l *late, q spf.Query) string {
	e := &evidence{up: l, all: make([]result.Evidence, 0, 2)}
	r := spf.Evaluator{DNS: e}.Check(context.Background(), q)
	if len(e.all) == 0 || r.Root == nil {
		return "nothing recorded"
	}
	return string(r.Word)
}
