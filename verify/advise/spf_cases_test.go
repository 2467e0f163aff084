package advise_test

import (
	"slices"
	"strings"
	"testing"

	"checkauth/verify/dns/dnstest"
	"checkauth/verify/result"
)

const own = `
$TTL 300
25.2.0.192.in-addr.arpa. PTR mail.example.org.
mail.example.org.        A   192.0.2.25
`

// ours is a mail from the domain's own server.
var ours = session{ip: "192.0.2.25", helo: "mail.example.org", from: "a@example.org"}

// What somebody else has to mend is not said of the record that leads there.
func TestRFC7208_5_2_a_broken_record_of_another_is_called_his(t *testing.T) {
	t.Parallel()
	for name, theirs := range map[string]string{
		"two records": "a.example.net. TXT \"v=spf1 ip4:198.51.100.1 -all\"\na.example.net. TXT \"v=spf1 ip4:198.51.100.2 -all\"\n",
		"syntax":      "a.example.net. TXT \"v=spf1 ipv4:198.51.100.1 -all\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, actions := ours.adviseSPF(t, dnstest.Zone(t, own+theirs+`example.org. TXT "v=spf1 include:a.example.net ip4:192.0.2.25 ~all"`+"\n"))
			if len(actions) == 0 || actions[0].Code != "action-spf-mend" || actions[0].Why.Code != "why-spf-owner" ||
				actions[0].Why.Args.Get("owner") != "a.example.net" || actions[0].Value != "v=spf1 ip4:192.0.2.25 ~all" {
				t.Errorf("%+v", actions)
			}
		})
	}
}

// A record that is put in order and with it lets the mail pass goes before what makes it better, and answers
// that the client was not listed.
func TestSPF_what_lets_the_mail_pass_comes_first(t *testing.T) {
	t.Parallel()
	r := advised(t, own+`
example.org.        TXT "v=spf1 ip4:192.0.2.7 -all ip4:192.0.2.25"
_dmarc.example.org. TXT "v=DMARC1; p=none"
`, from("192.0.2.25", "mail.example.org", "a@example.org"))
	if len(r.Actions) == 0 || r.Actions[0].Value != "v=spf1 ip4:192.0.2.7 ip4:192.0.2.25 -all" || !slices.Contains(r.Actions[0].For, "spf-sender-not-listed") {
		t.Errorf("%+v", r.Actions)
	}
}

// Whoever is put into a record beside its mending is told of.
func TestSPF_a_sender_is_not_added_in_silence(t *testing.T) {
	t.Parallel()
	check(t, []wanted{{name: "a redirect without a record", session: ours, zone: own + `
example.org. TXT "v=spf1 redirect=gone.example.net"
gone.example.net. A 192.0.2.7
`, code: "action-spf-mend", value: "v=spf1 ip4:192.0.2.25 ~all", before: []string{"why-spf-name", "before-spf-target"}, word: result.Pass}})
}

// RFC 7208, 6.1: beside all, redirect is ignored, and what it leads to is not let in with the networks.
func TestRFC7208_6_1_networks_are_without_an_ignored_redirect(t *testing.T) {
	t.Parallel()
	_, actions := ours.adviseSPF(t, dnstest.Zone(t, own+`
example.org.   TXT "v=spf1 include:a.example.net include:b.example.net include:c.example.net include:r.example.net a:mail.example.org -all"
a.example.net. TXT "v=spf1 a:h.example.net a:h.example.net exists:%{i}.example.net -all"
b.example.net. TXT "v=spf1 a:h.example.net a:h.example.net exists:%{l}.example.net -all"
c.example.net. TXT "v=spf1 a:h.example.net exists:%{l}.example.net -all"
h.example.net. A 198.51.100.7
*.example.net. TXT "x"
r.example.net. TXT "v=spf1 redirect=s.example.net ip4:198.51.100.1 -all"
s.example.net. TXT "v=spf1 ip4:198.51.100.9 -all"
`))
	if len(actions) == 0 || strings.Contains(actions[0].Value, "198.51.100.9") || !strings.Contains(actions[0].Value, "198.51.100.1") {
		t.Errorf("%+v", actions)
	}
}

// The line of an access provider's customer does not stand in the place of the provider's ptr.
func TestSPF_ptr_is_not_replaced_by_a_customers_line(t *testing.T) {
	t.Parallel()
	line := session{ip: "192.0.2.77", helo: "x", from: "a@example.org"}
	_, actions := line.adviseSPF(t, dnstest.Zone(t, `
77.2.0.192.in-addr.arpa.   PTR c-192-0-2-77.example.org.
c-192-0-2-77.example.org.  A   192.0.2.77
example.org.               TXT "v=spf1 ptr ~all"
`))
	for _, a := range actions {
		if strings.Contains(a.Value, "192.0.2.77") {
			t.Errorf("%s", a.Value)
		}
	}
}

// RFC 7208, 5.2: whom an included record lets pass passes. A record that so lets everybody pass is included by nobody.
func TestRFC7208_5_2_a_record_open_to_all_is_not_advised(t *testing.T) {
	t.Parallel()
	relay := session{ip: "192.0.2.25", helo: "out1.hoster.example", from: "a@example.org"}
	const zone = `
25.2.0.192.in-addr.arpa. PTR out1.hoster.example.
out1.hoster.example.     A   192.0.2.25
example.org.             MX  10 mx.hoster.example.
mx.hoster.example.       A   192.0.2.26
example.org.             TXT "v=spf1 ip4:198.51.100.1 ~all"
hoster.example.          TXT "v=spf1 include:small.hoster.example -all"
`
	check(t, []wanted{
		{name: "open by all", session: relay, zone: zone + "small.hoster.example. TXT \"v=spf1 ip4:198.51.100.9 +all\"\n",
			code: "action-spf-add", value: "v=spf1 ip4:198.51.100.1 ip4:192.0.2.25 ~all", word: result.Pass},
		{name: "open by exists", session: relay, zone: zone + "small.hoster.example. TXT \"v=spf1 exists:out1.hoster.example -all\"\n",
			code: "action-spf-add", value: "v=spf1 ip4:198.51.100.1 ip4:192.0.2.25 ~all", word: result.Pass},
		{name: "not open", session: relay, zone: zone + "small.hoster.example. TXT \"v=spf1 ip4:192.0.2.0/24 -all\"\n",
			code: "action-spf-add", value: "v=spf1 ip4:198.51.100.1 include:hoster.example ~all", word: result.Pass},
	})
}

// What the record says against the client is not left beside what says the contrary, and its owner is asked.
func TestSPF_an_exclusion_is_told_of(t *testing.T) {
	t.Parallel()
	check(t, []wanted{{name: "by address", session: ours, zone: own + `
example.org. TXT "v=spf1 -ip4:192.0.2.25 ip4:198.51.100.1 ~all"
`, code: "action-spf-add", value: "v=spf1 ip4:192.0.2.25 ip4:198.51.100.1 ~all", before: []string{"before-spf-excluded"}, word: result.Pass}})
}

// RFC 7208, 2.4: a bounce is judged by HELO. A record for the bare domain is one for all that send as it.
func TestRFC7208_2_4_a_bounce_forbids_no_mail_of_the_domain(t *testing.T) {
	t.Parallel()
	check(t, []wanted{
		{name: "the bare domain", session: session{ip: "192.0.2.25", helo: "example.org"}, zone: `
example.org. A 192.0.2.25
example.org. MX 10 mx.example.net.
`, code: "action-spf-publish", value: "v=spf1 a ~all", before: []string{"before-spf-list"}, word: result.Pass},
		{name: "a host", session: session{ip: "192.0.2.25", helo: "mail.example.org"}, zone: own,
			code: "action-spf-publish", value: "v=spf1 a -all", word: result.Pass},
	})
}

// That a service uses a return path of its own is usual and not certain, where it has its customers publish a term.
func TestSPF_a_term_that_a_service_asks_for_is_not_taken_for_idle(t *testing.T) {
	t.Parallel()
	_, actions := ours.adviseSPF(t, dnstest.Zone(t, own+`
example.org.         TXT "v=spf1 include:_spf.salesforce.com include:servers.mcsv.net include:a.example.net include:b.example.net include:c.example.net a:mail.example.org -all"
_spf.salesforce.com. TXT "v=spf1 exists:%{i}._spf.mta.salesforce.com -all"
servers.mcsv.net.    TXT "v=spf1 ip4:198.51.100.4 -all"
a.example.net.       TXT "v=spf1 a:h.example.net a:h.example.net exists:%{i}.example.net -all"
b.example.net.       TXT "v=spf1 a:h.example.net a:h.example.net -all"
c.example.net.       TXT "v=spf1 ip4:198.51.100.6 -all"
h.example.net.       A 198.51.100.7
*.example.net.       TXT "x"
`))
	if len(actions) == 0 || !strings.Contains(actions[0].Value, "include:_spf.salesforce.com") || strings.Contains(actions[0].Value, "mcsv.net") {
		t.Errorf("%+v", actions)
	}
}

func TestSPF_ptr_of_another_domain_is_called_so(t *testing.T) {
	t.Parallel()
	_, actions := ours.adviseSPF(t, dnstest.Zone(t, own+`example.org. TXT "v=spf1 ip4:192.0.2.25 ptr:example.net ~all"`+"\n"))
	if len(actions) == 0 || len(actions[0].Before) == 0 || actions[0].Before[0].Args.Get("domain") != "example.net" {
		t.Errorf("%+v", actions)
	}
}

func TestSPF_what_was_meant_is_published(t *testing.T) {
	t.Parallel()
	check(t, []wanted{
		{name: "two records become one, with the weaker end", session: ours, zone: own + `
example.org. TXT "v=spf1 ip4:192.0.2.25 include:a.example.net -all"
example.org. TXT "v=spf1 include:b.example.net ip4:192.0.2.25 ~all"
example.org. TXT "MS=ms1"
a.example.net. TXT "v=spf1 ip4:198.51.100.1 -all"
b.example.net. TXT "v=spf1 ip4:198.51.100.2 -all"
`, code: "action-spf-merge", value: "v=spf1 ip4:192.0.2.25 include:a.example.net include:b.example.net ~all", word: result.Pass},
		{name: "strings joined without a space", session: ours, zone: own + `
example.org. TXT "v=spf1 ip4:198.51.100.0/26" "ip4:192.0.2.25 -all"
`, code: "action-spf-mend", value: "v=spf1 ip4:198.51.100.0/26 ip4:192.0.2.25 -all", word: result.Pass},
		{name: "a wrong mechanism", session: ours, zone: own + `
example.org. TXT "v=spf1 ipv4:192.0.2.25 -all"
`, code: "action-spf-mend", value: "v=spf1 ip4:192.0.2.25 -all", word: result.Pass},
		{name: "a space within a term", session: ours, zone: own + `
example.org. TXT "v=spf1 ip4: 192.0.2.25 - all"
`, code: "action-spf-mend", value: "v=spf1 ip4:192.0.2.25 -all", word: result.Pass},
		{name: "what cannot be understood is named", session: ours, zone: own + `
example.org. TXT "v=spf1 ip4:192.0.2.25 frobnicate(7) -all"
`, code: "action-spf-mend", value: "v=spf1 ip4:192.0.2.25 -all", before: []string{"before-spf-dropped", "before-spf-forbids"}, word: result.Pass},
		{name: "quotes", session: ours, zone: own + `
example.org. TXT "\"v=spf1 ip4:192.0.2.25 -all\""
`, code: "action-spf-mend", value: "v=spf1 ip4:192.0.2.25 -all", word: result.Pass},
		{name: "a dash of a word processor", session: ours, zone: own + `
example.org. TXT "v=spf1 ip4:192.0.2.25 \226\128\147all"
`, code: "action-spf-mend", value: "v=spf1 ip4:192.0.2.25 -all", word: result.Pass},
		{name: "a wrong version", session: ours, zone: own + `
example.org. TXT "v=spf ip4:192.0.2.25 -all"
`, code: "action-spf-mend", value: "v=spf1 ip4:192.0.2.25 -all", word: result.Pass},
		{name: "type 99", session: ours, zone: own + `
example.org. SPF "v=spf1 ip4:192.0.2.25 -all"
`, code: "action-spf-publish", value: "v=spf1 ip4:192.0.2.25 -all", word: result.Pass},
		{name: "a wrong name", session: ours, zone: own + `
example.org. A 192.0.2.1
_spf.example.org. TXT "v=spf1 ip4:192.0.2.25 -all"
`, code: "action-spf-publish", value: "v=spf1 ip4:192.0.2.25 -all", before: []string{"before-delete-wrong-name"}, word: result.Pass},
		{name: "an include without a record", session: ours, zone: own + `
example.org. TXT "v=spf1 include:gone.example.net ip4:192.0.2.25 ~all"
gone.example.net. A 192.0.2.7
`, code: "action-spf-mend", value: "v=spf1 ip4:192.0.2.25 ~all", before: []string{"before-spf-target"}, word: result.Pass},
		{name: "an include without a record behind the match", session: ours, zone: own + `
example.org. TXT "v=spf1 ip4:192.0.2.25 include:gone.example.net ~all"
gone.example.net. A 192.0.2.7
`, code: "action-spf-mend", value: "v=spf1 ip4:192.0.2.25 ~all", before: []string{"before-spf-target"}, word: result.Pass},
		{name: "a redirect without a record", session: ours, zone: own + `
example.org. TXT "v=spf1 ip4:192.0.2.25 redirect=gone.example.net"
gone.example.net. A 192.0.2.7
`, code: "action-spf-mend", value: "v=spf1 ip4:192.0.2.25 ~all", word: result.Pass},
		{name: "a loop", session: ours, zone: own + `
example.org. TXT "v=spf1 include:example.org ip4:192.0.2.25 ~all"
`, code: "action-spf-mend", value: "v=spf1 ip4:192.0.2.25 ~all", word: result.Pass},
		{name: "a loop through somebody else", session: ours, zone: own + `
example.org. TXT "v=spf1 include:a.example.net ip4:192.0.2.25 ~all"
a.example.net. TXT "v=spf1 ip4:198.51.100.7 include:example.org ~all"
`, code: "action-spf-mend", value: "v=spf1 ip4:198.51.100.7 ip4:192.0.2.25 ~all", before: []string{"before-spf-literals"}, word: result.Pass},
		{name: "ptr", session: ours, zone: own + `
example.org. TXT "v=spf1 ptr -all"
`, code: "action-spf-mend", value: "v=spf1 ip4:192.0.2.25 -all", before: []string{"before-spf-ptr"}, word: result.Pass},
		{name: "terms behind all, in capitals", session: ours, zone: own + `
example.org. TXT "V=SPF1 -all ip4:192.0.2.25"
`, code: "action-spf-mend", value: "v=spf1 ip4:192.0.2.25 -all", word: result.Pass},
		{name: "redirect beside all", session: ours, zone: own + `
example.org. TXT "v=spf1 ip4:192.0.2.25 redirect=a.example.net ~all"
a.example.net. TXT "v=spf1 -all"
`, code: "action-spf-mend", value: "v=spf1 ip4:192.0.2.25 ~all", word: result.Pass},
		{name: "private, dead and repeated terms", session: ours, zone: own + `
example.org. TXT "v=spf1 ip4:192.0.2.25 ip4:10.0.0.0/8 a:gone.example.org ip4:192.0.2.25 ?all"
`, code: "action-spf-mend", value: "v=spf1 ip4:192.0.2.25 ~all", before: []string{"before-spf-dead", "before-spf-list"}, word: result.Pass},
		{name: "private terms, and a client that is private itself", session: session{ip: "127.0.0.1", helo: "mail.example.org", from: "a@example.org"}, zone: own + `
mail.example.net. A 127.0.0.1
example.org. TXT "v=spf1 a:mail.example.net ip4:10.0.0.0/8 -all"
`},
		{name: "no end", session: ours, zone: own + `
example.org. TXT "v=spf1 ip4:192.0.2.25"
`, code: "action-spf-mend", value: "v=spf1 ip4:192.0.2.25 ~all", before: []string{"before-spf-list"}, word: result.Pass},
		{name: "+all with the domain's own server behind it", session: ours, zone: own + `
example.org. TXT "v=spf1 include:a.example.net +all"
a.example.net. TXT "v=spf1 ip4:198.51.100.7 ~all"
`, code: "action-spf-add", value: "v=spf1 ip4:192.0.2.25 include:a.example.net ~all", before: []string{"before-spf-list"}, word: result.Pass},
		{name: "+all and a stranger", session: session{ip: "203.0.113.9", helo: "x.example.net", from: "a@example.org"}, zone: own + `
example.org. TXT "v=spf1 ip4:192.0.2.25 +all"
`, code: "action-spf-networks"},
		{name: "more than two void look-ups", session: ours, zone: own + `
example.org. TXT "v=spf1 a:g1.example.org a:g2.example.org mx:g3.example.org ip4:192.0.2.25 -all"
`, code: "action-spf-mend", value: "v=spf1 ip4:192.0.2.25 -all", before: []string{"before-spf-dead"}, word: result.Pass},
		{name: "a record that is as it should be", session: ours, zone: own + `
example.org. TXT "v=spf1 ip4:192.0.2.25 -all"
`},
	})
}

func TestSPF_the_sender_is_added(t *testing.T) {
	t.Parallel()
	hosted := session{ip: "198.51.100.9", helo: "?192.168.1.5?", from: "a@example.org"}
	check(t, []wanted{
		{name: "the domain's MX", session: session{ip: "192.0.2.25", helo: "x", from: "a@example.org"}, zone: `
example.org. MX 10 mail.host.example.
mail.host.example. A 192.0.2.25
`, code: "action-spf-publish", value: "v=spf1 mx ~all", before: []string{"before-spf-list", "before-spf-shared-host"}, word: result.Pass},
		{name: "the hoster's record covers it", session: hosted, zone: `
9.100.51.198.in-addr.arpa. PTR web7.host.example.
web7.host.example. A 198.51.100.9
example.org. MX 10 mx.host.example.
mx.host.example. A 198.51.100.10
host.example. TXT "v=spf1 ip4:198.51.100.8/29 -all"
`, code: "action-spf-publish", value: "v=spf1 include:host.example ~all", before: []string{"before-spf-list"}, word: result.Pass},
		{name: "the hoster has no record", session: hosted, zone: `
9.100.51.198.in-addr.arpa. PTR web7.host.example.
web7.host.example. A 198.51.100.9
example.org. MX 10 mx.host.example.
mx.host.example. A 198.51.100.10
`, code: "action-spf-publish", value: "v=spf1 ip4:198.51.100.9 ~all", before: []string{"before-spf-shared-host"}, word: result.Pass},
		{name: "the hoster lets the whole world pass", session: hosted, zone: `
9.100.51.198.in-addr.arpa. PTR web7.host.example.
web7.host.example. A 198.51.100.9
example.org. MX 10 mx.host.example.
mx.host.example. A 198.51.100.10
host.example. TXT "v=spf1 +all"
`, code: "action-spf-publish", value: "v=spf1 ip4:198.51.100.9 ~all", word: result.Pass},
		{name: "a host of its own that the record does not list", session: ours, zone: own + `
example.org. TXT "v=spf1 include:a.example.net ~all"
a.example.net. TXT "v=spf1 ip4:198.51.100.7 ~all"
`, code: "action-spf-add", value: "v=spf1 ip4:192.0.2.25 include:a.example.net ~all", word: result.Pass},
		{name: "IPv6 of a listed host", session: session{ip: "2001:db8::25", helo: "mail.example.org", from: "a@example.org"}, zone: own + `
mail.example.org. AAAA 2001:db8::25
example.org. TXT "v=spf1 ip4:192.0.2.25 ~all"
`, code: "action-spf-add", value: "v=spf1 ip4:192.0.2.25 ip6:2001:db8::25 ~all", word: result.Pass},
		{name: "a term that excludes it", session: ours, zone: own + `
_dmarc.example.org. TXT "v=DMARC1; p=none"
example.org. TXT "v=spf1 ?ip4:192.0.2.0/24 ~all"
`, code: "action-spf-add", value: "v=spf1 ip4:192.0.2.25 ?ip4:192.0.2.0/24 ~all", word: result.Pass},
		{name: "the record of the domain above", session: session{ip: "192.0.2.25", helo: "x", from: "a@news.example.org"}, zone: `
example.org. TXT "v=spf1 ip4:192.0.2.25 -all"
news.example.org. A 192.0.2.1
`, code: "action-spf-publish", value: "v=spf1 include:example.org ~all", word: result.Pass},
		{name: "no link, no record", session: session{ip: "203.0.113.9", helo: "x.example.net", from: "a@example.org"}, zone: `
example.org. A 192.0.2.1
`, code: "action-spf-ask-first", before: []string{"before-spf-never"}},
		{name: "no link, a record", session: session{ip: "203.0.113.9", helo: "x.example.net", from: "a@example.org"}, zone: `
example.org. TXT "v=spf1 ip4:192.0.2.1 ~all"
`, code: "action-spf-ask"},
		{name: "refuted, though the name of its address is the domain's", session: session{ip: "203.0.113.9", helo: "x.example.net", from: "a@example.org"}, zone: `
example.org. TXT "v=spf1 ip4:192.0.2.1 -all"
example.org. MX 10 x.example.org.
x.example.org. A 203.0.113.9
`, code: "action-spf-ask-refuted"},
		{name: "a bounce", session: session{ip: "192.0.2.25", helo: "mail.example.org"}, zone: own + `
_dmarc.example.org. TXT "v=DMARC1; p=reject"
example.org. TXT "v=spf1 ip4:192.0.2.25 -all"
`, code: "action-spf-publish", value: "v=spf1 a -all", word: result.Pass},
		{name: "a bounce with somebody else's name", session: session{ip: "203.0.113.9", helo: "mail.example.org"}, zone: own},
	})
}

func TestRFC7208_4_6_4_the_record_comes_under_ten_lookups(t *testing.T) {
	t.Parallel()
	const vendors = `
example.org. A 192.0.2.80
example.org. MX 10 mail.example.org.
a.example.net. TXT "v=spf1 include:a1.example.net include:a2.example.net include:a3.example.net ~all"
a1.example.net. TXT "v=spf1 ip4:198.51.100.0/27 ~all"
a2.example.net. TXT "v=spf1 ip4:198.51.100.32/27 ~all"
a3.example.net. TXT "v=spf1 ip6:2001:db8:1::/48 ~all"
b.example.com. TXT "v=spf1 include:b1.example.com exists:%{i}.b.example.com ~all"
b1.example.com. TXT "v=spf1 ip4:198.51.100.96/28 ~all"
c.example.net. TXT "v=spf1 include:c1.example.net ~all"
c1.example.net. TXT "v=spf1 ip4:198.51.100.128/28 ~all"
t.example.edu. TXT "v=spf1 ip4:203.0.113.64/28 ~all"
`
	ticket := session{ip: "203.0.113.70", helo: "x", from: "a@example.org"}
	check(t, []wanted{
		{name: "the costliest include", session: ticket, zone: own + vendors + `
example.org. TXT "v=spf1 a mx include:a.example.net include:b.example.com include:c.example.net include:t.example.edu ~all"
`, code: "action-spf-shorten",
			value:  "v=spf1 a mx ip4:198.51.100.0/27 ip4:198.51.100.32/27 ip6:2001:db8:1::/48 include:b.example.com include:c.example.net include:t.example.edu ~all",
			before: []string{"before-spf-literals"}, word: result.Pass},
		{name: "a vendor with its own return path goes first", session: ticket, zone: own + vendors + `
servers.mcsv.net. TXT "v=spf1 ip4:205.201.128.0/20 ?all"
example.org. TXT "v=spf1 include:servers.mcsv.net include:a.example.net include:b.example.com include:c.example.net include:t.example.edu ~all"
`, code: "action-spf-shorten",
			value:  "v=spf1 include:a.example.net include:b.example.com include:c.example.net include:t.example.edu ~all",
			before: []string{"before-spf-own-bounce"}, word: result.Pass},
		{name: "own hosts last", session: ticket, zone: own + vendors + `
d.example.com. TXT "v=spf1 a:%{i}.d1.example.com a:%{i}.d2.example.com a:%{i}.d3.example.com a:%{i}.d4.example.com a:%{i}.d5.example.com a:%{i}.d6.example.com a:%{i}.d7.example.com ~all"
example.org. TXT "v=spf1 a mx include:t.example.edu include:d.example.com ~all"
`, code: "action-spf-shorten",
			value: "v=spf1 a mx ip4:203.0.113.64/28 include:d.example.com ~all", before: []string{"before-spf-literals"}, word: result.Pass},
	})
}
