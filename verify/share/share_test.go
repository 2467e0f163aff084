package share_test

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"checkauth/verify/share"
)

// fill takes units for client after client until one is refused, and gives how many it got.
func fill(p *share.Pot, client func(i int) string) (n int, last error) {
	for ; n < 100_000; n++ {
		if _, err := p.Take(netip.MustParseAddr(client(n))); err != nil {
			return n, err
		}
	}
	return n, nil
}

func TestNoNetworkTakesMoreThanAnEighthOfWhatIsFree(t *testing.T) {
	t.Parallel()
	for name, client := range map[string]func(i int) string{
		"one address": func(int) string { return "192.0.2.1" },
		"one /24":     func(i int) string { return fmt.Sprintf("192.0.2.%d", i%256) },
		"one /64":     func(i int) string { return fmt.Sprintf("2001:db8::%x", i+1) },
		"one /57":     func(i int) string { return fmt.Sprintf("2001:db8:0:%x::1", i%128) },
		"one /48":     func(i int) string { return fmt.Sprintf("2001:db8:0:%x::1", i%65536) },
	} {
		p := share.NewPot(256, share.Rule{Part: 8})
		n, err := fill(p, client)
		var full *share.Error
		if n != 28 || !errors.As(err, &full) || !full.Network.IsValid() || full.Have != 28 || full.Free != 228 {
			t.Errorf("%s: took %d of 256: %v", name, n, err)
		}
		if _, err := p.Take(netip.MustParseAddr("198.51.100.7")); err != nil {
			t.Errorf("%s: another network gets %v", name, err)
		}
	}
}

func TestEveryNetworkHasOneWhileThereIsOne(t *testing.T) {
	t.Parallel()
	p := share.NewPot(8, share.Rule{Part: 8})
	n, err := fill(p, func(i int) string { return fmt.Sprintf("192.0.%d.1", i) })
	var full *share.Error
	if n != 8 || !errors.As(err, &full) || full.Network.IsValid() {
		t.Errorf("%d networks got one of 8: %v", n, err)
	}
}

func TestUnlimited(t *testing.T) {
	t.Parallel()
	rule := share.Rule{Part: 8, Unlimited: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	for _, client := range []string{"127.0.0.1", "::ffff:127.0.0.1"} {
		if n, _ := fill(share.NewPot(100, rule), func(int) string { return client }); n != 100 {
			t.Errorf("%s got %d of 100", client, n)
		}
	}
	if n, _ := fill(share.NewPot(100, share.Rule{}), func(int) string { return "192.0.2.1" }); n != 100 {
		t.Errorf("without a rule: %d of 100", n)
	}
}

func TestGivingBack(t *testing.T) {
	t.Parallel()
	p := share.NewPot(4, share.Rule{Part: 8})
	a := netip.MustParseAddr("2001:db8::1")
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			if give, err := p.Take(a); err == nil {
				give()
				give()
			}
		})
	}
	wait.Wait()
	if p.Used() != 0 {
		t.Fatalf("%d are still taken", p.Used())
	}
	if _, err := p.Take(a); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Take(netip.MustParseAddr("2001:db8:0:ffff::1")); err == nil {
		t.Error("another /64 of the same /48 gets a second unit")
	}
}
