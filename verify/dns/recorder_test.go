package dns_test

import (
	"bytes"
	"testing"

	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
)

// What was said can be written out, served again, and is said again.
func TestRecorder(t *testing.T) {
	t.Parallel()
	first := dns.NewRecorder(dnstest.Zone(t, `
example.org.            120 IN TXT   "v=spf1 -all" "second \"quoted\" \200"
example.org.            60  IN TXT   "other"
example.org.            MX    10 mx.example.org.
mx.example.org.         A     192.0.2.1
mx.example.org.         AAAA  2001:db8::1
alias.example.org.      CNAME target.example.net.
target.example.net.     TXT   "target"
dangling.example.org.   CNAME nowhere.example.net.
loop.example.org.       CNAME loop.example.org.
below.empty.example.org. A    192.0.2.2
1.2.0.192.in-addr.arpa. PTR   mx.example.org.
old.example.org.        SPF   "v=spf1 -all"
;FAULT AD mx.example.org A
;FAULT SERVFAIL servfail.example.org TXT
;FAULT BOGUS bogus.example.org TXT
;FAULT LAME lame.example.org TXT
;FAULT REFUSED refused.example.org TXT
;FAULT TIMEOUT timeout.example.org TXT
;FAULT ALLGARBAGE garbage.example.org TXT
`))
	questions := []dns.Question{
		dns.Ask("example.org", dns.TXT), dns.Ask("example.org", dns.MX), dns.Ask("example.org", dns.A),
		dns.Ask("mx.example.org", dns.A), dns.Ask("mx.example.org", dns.AAAA), dns.Ask("alias.example.org", dns.TXT),
		dns.Ask("alias.example.org", dns.A), dns.Ask("dangling.example.org", dns.TXT), dns.Ask("loop.example.org", dns.TXT),
		dns.Ask("empty.example.org", dns.TXT), dns.Ask("nothing.example.org", dns.TXT), dns.Ask("1.2.0.192.in-addr.arpa", dns.PTR),
		dns.Ask("old.example.org", dns.SPF), dns.Ask("servfail.example.org", dns.TXT), dns.Ask("bogus.example.org", dns.TXT),
		dns.Ask("lame.example.org", dns.TXT), dns.Ask("refused.example.org", dns.TXT), dns.Ask("timeout.example.org", dns.TXT),
		dns.Ask("garbage.example.org", dns.TXT), dns.Ask(`odd\;name"x.example.org`, dns.TXT),
	}
	want := map[dns.Question]string{}
	for _, q := range questions {
		a, err := first.Resolve(t.Context(), q)
		want[q] = said(a, err)
	}
	var zone bytes.Buffer
	if err := first.WriteZone(&zone); err != nil {
		t.Fatal(err)
	}
	second := dns.NewRecorder(dnstest.Zone(t, zone.String()))
	for _, q := range questions {
		a, err := second.Resolve(t.Context(), q)
		if got := said(a, err); got != want[q] {
			t.Errorf("%s: got %s, want %s", q, got, want[q])
		}
	}
	var again bytes.Buffer
	if err := second.WriteZone(&again); err != nil || again.String() != zone.String() {
		t.Errorf("written again (%v):\n%s\nwant\n%s", err, again.String(), zone.String())
	}
}

// said is an answer with the types and owners of its records, and AD. What is written again has the TTLs.
func said(a dns.Answer, err error) string {
	out := shown(a, err)
	for _, r := range a.Records {
		out += " " + r.Type.String() + " " + r.Name
	}
	if a.AD {
		out += " AD"
	}
	return out
}
