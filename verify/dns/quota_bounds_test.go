package dns

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"checkauth/verify/share"
)

// No map of a minute grows without end, and beyond its most nothing panics and the bounds of names hold.
func TestQuotasAreBounded(t *testing.T) {
	t.Parallel()
	quota := &Quotas{PerNetwork: 1 << 30, PerTarget: 1 << 30, Made: 100, PerServer: 60, Share: share.Rule{Part: 8}, Now: func() time.Time { return time.Unix(1e9, 0) }}
	for i := range maxNames + 5000 {
		a := quota.For(netip.AddrFrom4([4]byte{byte(i >> 16), byte(i >> 8), byte(i), 1}), "sender.example")
		r := a.Over(ResolverFunc(func(_ context.Context, q Question) (Answer, error) {
			data := Record{Type: TXT, Strings: []string{q.Name}}
			link := Record{Type: CNAME, Target: fmt.Sprintf("x.linked%d.example", i)}
			return Answer{Records: []Record{data}, Chain: []Record{link}}, nil
		}))
		_, _ = r.Resolve(t.Context(), Question{Name: fmt.Sprintf("x.d%d.example", i), Type: TXT})
	}
	m := quota.minute
	for what, full := range map[string]bool{
		"counts": len(m.counts) == maxCounts, "names": len(m.names) == maxNames, "same": len(m.same) == maxSame, "pots": len(m.pots) == maxPots,
	} {
		if !full {
			t.Errorf("%s: %d, %d, %d and %d entries, want the most", what, len(m.counts), len(m.names), len(m.same), len(m.pots))
		}
	}
	got := 0
	for i := range 300 {
		a := quota.For(netip.AddrFrom4([4]byte{byte(i >> 8), byte(i), 250, 1}), "sender.example")
		a.Expanded(fmt.Sprintf("%d.d1.example", i))
		if _, err := a.Over(ResolverFunc(func(context.Context, Question) (Answer, error) { return Answer{NX: true}, nil })).Resolve(t.Context(), Question{Name: fmt.Sprintf("%d.d1.example", i), Type: A}); err == nil {
			got++
		}
	}
	if got > 100 {
		t.Errorf("%d made names of one domain, want at most 100", got)
	}
}
