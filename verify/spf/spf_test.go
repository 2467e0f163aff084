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
