package evaluate

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"checkauth/verify"
	"checkauth/verify/dns"
	"checkauth/verify/result"
)

// rounds is a resolver in memory that takes 50 ms for each question: in a bubble of synctest that is
// exact.
type rounds struct {
	texts map[string]string // TXT by name; what is missing does not exist
	mx    map[string]string
	a     map[string]string
	ptr   map[string][]string

	mu    sync.Mutex
	asked []string
}

const round = 50 * time.Millisecond

func (r *rounds) Resolve(ctx context.Context, q dns.Question) (dns.Answer, error) {
	r.mu.Lock()
	r.asked = append(r.asked, q.String())
	r.mu.Unlock()
	timer := time.NewTimer(round)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return dns.Answer{}, &dns.Error{Question: q, Kind: dns.Canceled, Err: context.Cause(ctx)}
	}
	a := dns.Answer{Question: q, Server: "192.0.2.53:53"}
	switch text, ok := r.texts[q.Name]; {
	case q.Type == dns.TXT && ok:
		a.Records = []dns.Record{{Name: q.Name, Type: dns.TXT, TTL: 300, Strings: []string{text}}}
	case q.Type == dns.A && r.a[q.Name] != "":
		a.Records = []dns.Record{{Name: q.Name, Type: dns.A, TTL: 300, Addr: netip.MustParseAddr(r.a[q.Name])}}
	case q.Type == dns.MX && r.mx[q.Name] != "":
		a.Records = []dns.Record{{Name: q.Name, Type: dns.MX, TTL: 300, Target: r.mx[q.Name]}}
	case q.Type == dns.PTR:
		for _, name := range r.ptr[q.Name] {
			a.Records = append(a.Records, dns.Record{Name: q.Name, Type: dns.PTR, TTL: 300, Target: name})
		}
	}
	a.NX = len(a.Records) == 0
	return a, nil
}

func deep() *rounds {
	return &rounds{
		texts: map[string]string{
			"example.org":              "v=spf1 mx include:spf.example.org -all",
			"spf.example.org":          "v=spf1 include:a.example.org include:b.example.org ~all",
			"a.example.org":            "v=spf1 ip4:198.51.100.0/24 ~all",
			"b.example.org":            "v=spf1 ip4:192.0.2.0/24 ~all",
			"mx.example.org":           "v=spf1 a -all",
			"_dmarc.example.org":       "v=DMARC1; p=reject",
			"_dmarc.other.example.org": "no record",
		},
		mx:  map[string]string{"example.org": "in.example.org"},
		a:   map[string]string{"in.example.org": "198.51.100.1", "mx.example.org": "192.0.2.1", "second.example.org": "198.51.100.2"},
		ptr: map[string][]string{"1.2.0.192.in-addr.arpa": {"second.example.org", "mx.example.org"}},
	}
}

// A whole message takes as long as the longest chain of questions in any of its checks: here that of
// the includes.
func TestEvaluateTakesAsLongAsItsDeepestTree(t *testing.T) {
	t.Parallel()
	for range 50 { // the races between checks and what is asked ahead
		synctest.Test(t, func(t *testing.T) {
			r := deep()
			began := time.Now()
			ev := Evaluator{Config: Defaults(), DNS: r, Now: time.Now}
			report := ev.Evaluate(t.Context(), message(t, "192.0.2.1", strings.Replace(plain, "a@example.org", "a@x.y.other.example.org", 1)))
			if got := time.Since(began); got != 3*round {
				t.Fatalf("took %s, want %s; asked %v", got, 3*round, r.asked)
			}
			for method, want := range map[string]result.Word{
				verify.MethodSPF: result.Pass, verify.MethodSPFHelo: result.Pass, verify.MethodIPRev: result.Pass, verify.MethodDMARC: result.Pass,
			} {
				if got := report.Check(method); got.Result != want {
					t.Fatalf("%s: got %s (%s), want %s", method, got.Result, got.Reason, want)
				}
			}
			once := slices.Compact(slices.Sorted(slices.Values(r.asked)))
			if len(once) != len(r.asked) {
				t.Fatalf("asked twice: %v", r.asked)
			}
		})
	}
}

// What is asked ahead is no evidence: a check shows what its own walk came to, in its order.
func TestEvidenceIsThatOfTheChecksOwnWalk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := message(t, "192.0.2.1", plain)
		ev := Evaluator{Config: Defaults(), DNS: deep(), Now: time.Now}
		report := ev.Evaluate(t.Context(), m)
		in := input{env: m.Envelope, msg: m, spf: []result.Outcome{report.Check(verify.MethodSPF)}}
		for _, c := range list {
			if c.stage != early && c.stage != last {
				continue
			}
			memo := dns.NewMemo(t.Context(), deep())
			view := memo.View(c.budget)
			in.diagnose = memo.View(c.diagnosis)
			c.run(t.Context(), ev, view, in)
			memo.Wait()
			if got, want := shown(report.Check(c.method).Evidence), shown(view.Evidence()); got != want {
				t.Errorf("%s: got\n%s\nwant what it asks by itself\n%s", c.method, got, want)
			}
		}
	})
}

func shown(evidence []result.Evidence) string {
	var b strings.Builder
	for _, e := range evidence {
		fmt.Fprintln(&b, e.Name, e.Type, e.Rcode, e.Data)
	}
	return b.String()
}
