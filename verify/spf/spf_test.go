package spf_test

import (
	"net/netip"
	"testing"

	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

// row is one line of a table: who sends from where, and what comes of it.
type row struct {
	name, ip, from string
	want           result.Word
	why            result.Code // empty where it does not matter
}

func query(ip, from string) spf.Query {
	return spf.Query{IP: netip.MustParseAddr(ip), Helo: "mail.example.org", MailFrom: from}
}

// rows runs a table over a zone.
func rows(t *testing.T, zone string, table []row) {
	t.Helper()
	t.Parallel()
	r := dnstest.Zone(t, zone)
	for _, c := range table {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := spf.Evaluator{DNS: r}.Check(t.Context(), query(c.ip, c.from))
			if got.Word != c.want || c.why != "" && got.Reason.Code != c.why {
				t.Errorf("%s from %s: got %s (%s), want %s (%s)", c.from, c.ip, got.Word, got.Reason, c.want, c.why)
			}
			if wrong := (got.Word == result.TempError || got.Word == result.PermError) != (got.Cause != nil); wrong {
				t.Errorf("%s: got cause %v", got.Word, got.Cause)
			}
		})
	}
}

// evaluate checks one mail.
func evaluate(t *testing.T, r dns.Resolver, ip, from string) spf.Result {
	t.Helper()
	return spf.Evaluator{DNS: r}.Check(t.Context(), query(ip, from))
}

// The tree tells how long what a term used may be remembered: the shortest of its records.
func TestTermsHaveTheirTTL(t *testing.T) {
	t.Parallel()
	zone := dnstest.Zone(t, `
example.org.     3600 IN TXT "v=spf1 ip4:198.51.100.1 a:none.example.org mx -all"
example.org.     900  IN MX  10 mx1.example.org.
example.org.     900  IN MX  20 mx2.example.org.
mx1.example.org. 120  IN A   198.51.100.2
mx2.example.org. 1800 IN A   192.0.2.1
`)
	r := spf.Evaluator{DNS: zone}.Check(t.Context(), spf.Query{IP: netip.MustParseAddr("192.0.2.1"), MailFrom: "a@example.org"})
	if r.Root == nil || r.Root.TTL != 3600 || len(r.Root.Terms) != 4 {
		t.Fatalf("got %s with %+v", r.Word, r.Root)
	}
	if terms := r.Root.Terms; terms[0].TTL != nil || terms[1].TTL != nil || terms[2].TTL == nil || *terms[2].TTL != 120 {
		t.Errorf("got %v, %v, %v; want none, none, 120", terms[0].TTL, terms[1].TTL, terms[2].TTL)
	}
}
