package evaluate

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"checkauth/verify"
	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/dnsbl"
	"checkauth/verify/naming"
	"checkauth/verify/result"
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

// faulty is a resolver that gives errors of these kinds for names, "*.x" being x and all below, and else what up says.
func faulty(up dns.Resolver, faults map[string]dns.Kind) dns.Resolver {
	return dns.ResolverFunc(func(ctx context.Context, q dns.Question) (dns.Answer, error) {
		for name, kind := range faults {
			if domain, below := strings.CutPrefix(name, "*."); name == q.Name || below && naming.Below(q.Name, domain) {
				return dns.Answer{}, &dns.Error{Question: q, Kind: kind}
			}
		}
		return up.Resolve(ctx, q)
	})
}

// HOSTILE 60: the silence of a domain's own servers is its own trouble, and its administrator gets the whole report.
// Where they answer some questions and not the one for the DMARC record, or where our own bound of questions is met,
// what looks open may be refuted.
func TestHostile_60_silence_leaves_the_report_whole(t *testing.T) {
	t.Parallel()
	const zone = `
victim.example.      A   192.0.2.9
victim.example.      TXT "v=spf1 include:spf.example.net ~all"
spf.example.net.     TXT "v=spf1 ip4:198.51.100.1 -all"
_dmarc.example.net.  TXT "v=DMARC1; p=none"
`
	for name, c := range map[string]struct {
		author    string
		faults    map[string]dns.Kind
		undecided bool
	}{
		"no fault":                              {"victim.example", nil, false},
		"all servers are silent":                {"victim.example", map[string]dns.Kind{"*.victim.example": dns.Timeout}, false},
		"no server is reached":                  {"victim.example", map[string]dns.Kind{"*.victim.example": dns.Lame}, false},
		"the DMARC record alone":                {"victim.example", map[string]dns.Kind{"_dmarc.victim.example": dns.Timeout}, true},
		"the DMARC record and what SPF names":   {"victim.example", map[string]dns.Kind{"_dmarc.victim.example": dns.Timeout, "spf.example.net": dns.Timeout}, true},
		"what SPF names is silent":              {"victim.example", map[string]dns.Kind{"spf.example.net": dns.Timeout}, false},
		"SERVFAIL of the SPF record":            {"victim.example", map[string]dns.Kind{"victim.example": dns.ServFail}, false},
		"our bound, at the SPF record":          {"victim.example", map[string]dns.Kind{"victim.example": dns.Budget}, true},
		"our bound, at what SPF names":          {"victim.example", map[string]dns.Kind{"spf.example.net": dns.Budget}, true},
		"our bound, at the DMARC record":        {"victim.example", map[string]dns.Kind{"_dmarc.victim.example": dns.Budget}, true},
		"our bound, at the author's record":     {"example.net", map[string]dns.Kind{"_dmarc.example.net": dns.Budget}, true},
		"SERVFAIL of the author's record":       {"example.net", map[string]dns.Kind{"_dmarc.example.net": dns.ServFail}, true},
		"the sender is silent, the author asks": {"example.net", map[string]dns.Kind{"*.victim.example": dns.Timeout}, false},
		"all servers of the author are silent":  {"example.net", map[string]dns.Kind{"*.example.net": dns.Timeout}, true},
		"our bound, at the mail servers":        {"victim.example", map[string]dns.Kind{"mx.victim.example": dns.Budget}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := message(t, "192.0.2.1", strings.ReplaceAll(plain, "example.org", c.author))
			m.Envelope.MailFrom = "a@victim.example"
			ev := Evaluator{Config: Defaults(), DNS: faulty(dnstest.Zone(t, zone), c.faults), Now: time.Now}
			if r := ev.Evaluate(t.Context(), m); r.Class != standing.Open || r.Sender.Undecided != c.undecided {
				t.Errorf("class %s, undecided %t, want B, %t; spf %s (%s), dmarc %s (%s)", r.Class, r.Sender.Undecided, c.undecided,
					r.Check(verify.MethodSPF).Result, r.Check(verify.MethodSPF).Reason, r.Check(verify.MethodDMARC).Result, r.Check(verify.MethodDMARC).Reason)
			}
		})
	}
}

// RFC 9989, 4.4 and 4.10.2: whether a signature speaks for the sender's domain its own DMARC record says: psd= and adkim=
// count, and the public suffix list where there is no record.
func TestRFC9989_4_4_signatures_align_by_the_senders_record(t *testing.T) {
	t.Parallel()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	record := `._domainkey.%s. TXT "v=DKIM1; k=ed25519; p=` + base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey)) + "\"\n"
	const hoster = `_dmarc.hoster.example. TXT "v=DMARC1; p=none; psd=y"` + "\n"
	for name, c := range map[string]struct {
		zone, sender, signer string
		class                verify.Class
	}{
		"the domain itself":                         {`_dmarc.victim.example. TXT "v=DMARC1; p=reject"`, "a@victim.example", "victim.example", standing.Proved},
		"a name below, relaxed":                     {`_dmarc.victim.example. TXT "v=DMARC1; p=reject"`, "a@victim.example", "news.victim.example", standing.Proved},
		"a name below, strict":                      {`_dmarc.victim.example. TXT "v=DMARC1; p=reject; adkim=s"`, "a@victim.example", "news.victim.example", standing.Refuted},
		"another mailbox, relaxed":                  {`_dmarc.victim.example. TXT "v=DMARC1; p=reject"`, "b@victim.example", "news.victim.example", standing.Open},
		"another mailbox, strict":                   {`_dmarc.victim.example. TXT "v=DMARC1; p=reject; adkim=s"`, "b@victim.example", "news.victim.example", standing.Refuted},
		"another customer of a public suffix":       {hoster + `_dmarc.victim.hoster.example. TXT "v=DMARC1; p=reject"`, "a@victim.hoster.example", "evil.hoster.example", standing.Refuted},
		"another customer, who writes to us as one": {hoster + `_dmarc.victim.hoster.example. TXT "v=DMARC1; p=none"`, "a@victim.hoster.example", "evil.hoster.example", standing.Open},
		"no record, by the list":                    {"", "a@victim.example", "news.victim.example", standing.Proved},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, domain, _ := strings.Cut(c.sender, "@")
			var raw bytes.Buffer
			mail := "From: a@" + domain + "\r\nTo: check-auth@verifier.example\r\nSubject: x\r\n\r\nbody\r\n"
			if err := dkim.Sign(&raw, strings.NewReader(mail), &dkim.SignOptions{Domain: c.signer, Selector: "s", Signer: key, HeaderKeys: []string{"From", "To"}}); err != nil {
				t.Fatal(err)
			}
			m := message(t, "192.0.2.1", raw.String())
			m.Envelope.MailFrom, m.Envelope.RcptTo = c.sender, []string{"check-auth@verifier.example"}
			ev := Evaluator{Config: Defaults(), DNS: dnstest.Zone(t, c.zone+"\ns"+fmt.Sprintf(record, c.signer)), Now: time.Now}
			r := ev.Evaluate(t.Context(), m)
			if r.Check(verify.MethodDKIM).Result != result.Pass || r.Class != c.class {
				t.Errorf("dkim %s, class %s, want %s; %+v", r.Check(verify.MethodDKIM).Result, r.Class, c.class, r.Sender)
			}
		})
	}
}

// A panic in what others ask beside the checks is no end of the process.
func TestAPanicBesideTheChecksIsNoEnd(t *testing.T) {
	t.Parallel()
	var told string
	ev := Evaluator{Config: Defaults(), DNS: dnstest.Zone(t, zone), Now: time.Now, Panicked: func(_, what string, _ any, _ []byte) { told = what }}
	m := message(t, "192.0.2.1", plain)
	e := ev.Begin(t.Context(), m.Envelope)
	e.Ask(3, func(context.Context, dns.Resolver) { panic("injected") })
	r, err := e.Finish(m)
	if err != nil || r.Class != standing.Proved || told != "beside" {
		t.Errorf("%v, class %s, told of %q", err, r.Class, told)
	}
}

// RFC 5890, 2.3.2.1: whatever the spelling of an address, the DNS is asked in A-labels, and for the same names.
func TestRFC5890_2_3_2_1_questions_are_asked_in_A_labels(t *testing.T) {
	t.Parallel()
	up := dnstest.Zone(t, "xn--bcher-kva.example. MX 10 mx.xn--bcher-kva.example.\n")
	var first []string
	for _, domain := range []string{"xn--bcher-kva.example", "b\u00fccher.example", "B\u00dcCHER.example", "b\u00fccher\u3002example", "b\u00fccher\uff0eexample", "xn--bcher-kva\uff61example"} {
		var mu sync.Mutex
		asked := map[string]bool{}
		r := dns.ResolverFunc(func(ctx context.Context, q dns.Question) (dns.Answer, error) {
			mu.Lock()
			asked[q.Name] = true
			mu.Unlock()
			return up.Resolve(ctx, q)
		})
		m := message(t, "192.0.2.1", strings.ReplaceAll(plain, "example.org", "b\u00fccher.example"))
		m.Envelope.MailFrom = "a@" + domain
		ev := Evaluator{Config: Defaults(), DNS: r, Now: time.Now, Lists: []dnsbl.List{{Zone: "list.example.net", Of: dnsbl.Domain, Name: "x"}}}
		ev.Evaluate(t.Context(), m)
		names := slices.Sorted(maps.Keys(asked))
		if first == nil {
			first = names
		}
		if !slices.Equal(names, first) || !slices.Contains(names, "xn--bcher-kva.example.list.example.net") {
			t.Errorf("%s: asked for %q, others for %q", domain, names, first)
		}
	}
}
