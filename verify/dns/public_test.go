package dns_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"checkauth/verify/dns"
)

// 48: a record that names internal hosts must not make us ask for them.
func TestHostile_48(t *testing.T) {
	t.Parallel()
	asked := false
	p := dns.Public{Now: time.Now, Up: dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
		asked = true
		return dns.Answer{Question: q}, nil
	})}
	for name, want := range map[string]bool{
		"intranet.local": false, "user.internal.corp": false, "db.internal": false, "router.lan": false, "localhost": false,
		"mailhost": false, "nas.home.arpa": false, "x.LOCAL.": false, "1.0.0.10.in-addr.arpa": false, "168.192.in-addr.arpa": false,
		"5.20.172.in-addr.arpa": false, "a.b.c.d.1.0.0.10.in-addr.arpa": false, "64.100.in-addr.arpa": false,
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.e.f.ip6.arpa": false, "d.f.ip6.arpa": false,
		"example.org": true, "local.example.org": true, "mylocal.example": true, "1.2.0.192.in-addr.arpa": true,
		"1.15.172.in-addr.arpa": true, "10.in-addr.arpa.example.org": true, "x.10.in-addr.arpa": false,
		"1.0.0.127.in-addr.arpa": true, "_dmarc.uk": true, "300.10.in-addr.arpa": false, "300.in-addr.arpa": true,
		"8.b.d.0.1.0.0.2.ip6.arpa": true, "in-addr.arpa": true,
	} {
		asked = false
		a, err := p.Resolve(t.Context(), dns.Ask(name, dns.A))
		if err != nil || asked != want || a.NX == want {
			t.Errorf("%s: asked %t, NX %t (%v); want asked %t", name, asked, a.NX, err, want)
		}
	}
}

// Each private address has a reverse name that is local, each other one has not.
func FuzzIsLocal(f *testing.F) {
	f.Add([]byte{10, 1, 2, 3})
	f.Add([]byte{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1})
	f.Add([]byte{8, 8, 8, 8})
	f.Fuzz(func(t *testing.T, b []byte) {
		ip, ok := netip.AddrFromSlice(b)
		if !ok {
			dns.IsLocal(string(b))
			return
		}
		ip = ip.Unmap()
		private := ip.IsPrivate() || ip.IsLinkLocalUnicast()
		if private && !dns.IsLocal(dns.ReverseName(ip)) {
			t.Fatalf("%s is private, %s is not local", ip, dns.ReverseName(ip))
		}
		if ip.Is6() && !private && dns.IsLocal(dns.ReverseName(ip)) {
			t.Fatalf("%s is not private, %s is local", ip, dns.ReverseName(ip))
		}
	})
}
