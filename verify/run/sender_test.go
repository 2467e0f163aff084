package run

import (
	"context"
	"strings"
	"testing"
	"time"

	"checkauth/verify"
	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/standing"
)

// The class is in the report: from the checks and from what the domain of MAIL FROM says, whoever the author is.
func TestTheClassIsDecidedOnce(t *testing.T) {
	t.Parallel()
	const sender = `
victim.example.          MX  10 mx.victim.example.
mx.victim.example.       A   192.0.2.7
7.2.0.192.in-addr.arpa.  PTR mx.victim.example.
`
	for name, c := range map[string]struct {
		zone      string
		ip        string
		class     verify.Class
		undecided bool
	}{
		"nothing published":          {sender, "192.0.2.1", standing.Open, false},
		"its MX":                     {sender, "192.0.2.7", standing.Proved, false},
		"its MX, under p=reject":     {sender + `_dmarc.victim.example. TXT "v=DMARC1; p=reject"`, "192.0.2.7", standing.Refuted, false},
		"p=quarantine":               {sender + `_dmarc.victim.example. TXT "v=DMARC1; p=quarantine"`, "192.0.2.1", standing.Refuted, false},
		"p=none":                     {sender + `_dmarc.victim.example. TXT "v=DMARC1; p=none"`, "192.0.2.1", standing.Open, false},
		"-all":                       {sender + `victim.example. TXT "v=spf1 -all"`, "192.0.2.7", standing.Refuted, false},
		"_dmarc fails":               {sender + ";FAULT SERVFAIL _dmarc.victim.example. TXT", "192.0.2.1", standing.Open, true},
		"_dmarc fails, by its MX":    {sender + ";FAULT SERVFAIL _dmarc.victim.example. TXT", "192.0.2.7", standing.Open, true},
		"_dmarc of somebody is late": {sender + ";FAULT SERVFAIL _dmarc.example.org. TXT", "192.0.2.1", standing.Open, true},
		"SPF fails to be read":       {sender + ";FAULT SERVFAIL victim.example. TXT", "192.0.2.1", standing.Open, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := message(t, c.ip, plain)
			m.Envelope.MailFrom = "a@victim.example"
			ev := Evaluator{Config: Defaults(), DNS: dnstest.Zone(t, c.zone), Now: time.Now}
			if r := ev.Evaluate(t.Context(), m); r.Class != c.class || r.Sender.Undecided != c.undecided {
				t.Errorf("class %s, undecided %t (%+v); want %s, %t", r.Class, r.Sender.Undecided, r.Sender, c.class, c.undecided)
			}
		})
	}
}

// Silence is a domain's own trouble: its administrator gets the whole report.
func TestHostile_60_silence_leaves_the_report_whole(t *testing.T) {
	t.Parallel()
	zone := dnstest.Zone(t, "victim.example. A 192.0.2.9")
	silent := dns.ResolverFunc(func(ctx context.Context, q dns.Question) (dns.Answer, error) {
		if strings.HasPrefix(q.Name, "_dmarc.") {
			return dns.Answer{}, &dns.Error{Question: q, Kind: dns.Timeout}
		}
		return zone.Resolve(ctx, q)
	})
	m := message(t, "192.0.2.1", plain)
	m.Envelope.MailFrom = "a@victim.example"
	if r := (Evaluator{Config: Defaults(), DNS: silent, Now: time.Now}).Evaluate(t.Context(), m); r.Class != standing.Open || r.Sender.Undecided {
		t.Errorf("class %s, undecided %t", r.Class, r.Sender.Undecided)
	}
}

// A panic in what others ask beside the checks is no end of the process.
func TestAPanicBesideTheChecksIsNoEnd(t *testing.T) {
	t.Parallel()
	var told string
	ev := Evaluator{Config: Defaults(), DNS: dnstest.Zone(t, zone), Now: time.Now, Panicked: func(_, what string, _ any, _ []byte) { told = what }}
	m := message(t, "192.0.2.1", plain)
	e := ev.Begin(t.Context(), m.Envelope)
	e.Beside(3, func(context.Context, dns.Resolver) { panic("injected") })
	r, err := e.Finish(m)
	if err != nil || r.Class != standing.Proved || told != "beside" {
		t.Errorf("%v, class %s, told of %q", err, r.Class, told)
	}
}
