package client_test

import (
	"fmt"
	"net/netip"
	"testing"

	"checkauth/verify/dns"
	"checkauth/verify/dns/client"
	"checkauth/verify/dns/dnstest"
)

// BenchmarkResolve is one question over loopback, the server's part included.
func BenchmarkResolve(b *testing.B) {
	s, err := dnstest.Start("example.org. TXT \"v=spf1 -all\"\n")
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	config := client.Defaults()
	config.Servers = []netip.AddrPort{s.Addr()}
	c, err := client.New(config)
	if err != nil {
		b.Fatal(err)
	}
	for _, parallel := range []int{1, 8} {
		b.Run(fmt.Sprintf("parallel=%d", parallel), func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(parallel)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if _, err := c.Resolve(b.Context(), dns.Ask("example.org", dns.TXT)); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
