package main

import (
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"checkauth/reply/sign"
)

// story is one mail of the demo and what must come of it.
type story struct {
	name, about    string
	ip, helo, from string // of the session
	message        []byte
	code           int      // of the answer at the final dot
	answer         []string // that the answer must hold
	reply          []string // that the reply's text must hold; none: no reply is mailed
}

// host of the demo's verifier.
const demoHost = "verifier.example"

// demoZone is what the demo's DNS says, but for the keys.
const demoZone = `
; all well
wellkept.example.            3600 IN SOA ns.wellkept.example. hostmaster.wellkept.example. 2026112401 3600 900 1209600 300
wellkept.example.            3600 IN MX  10 mail.wellkept.example.
wellkept.example.            3600 IN TXT "v=spf1 mx -all"
_dmarc.wellkept.example.     3600 IN TXT "v=DMARC1; p=reject; rua=mailto:dmarc@wellkept.example"
mail.wellkept.example.       3600 IN A   192.0.2.10
mail.wellkept.example.       3600 IN TXT "v=spf1 a -all"
10.2.0.192.in-addr.arpa.     3600 IN PTR mail.wellkept.example.
; the founding story
distillate.co.uk.            300  IN SOA ns1.mediatemple.net. dnsadmin.mediatemple.net. 2026112401 3600 900 1209600 300
distillate.co.uk.            300  IN MX  10 mail.distillate-hosting.net.
distillate-hosting.net.      300  IN SOA ns1.mediatemple.net. dnsadmin.mediatemple.net. 2026112401 3600 900 1209600 300
distillate-hosting.net.      300  IN A   216.70.127.122
mail.distillate-hosting.net. 300  IN A   216.70.127.122
122.127.70.216.in-addr.arpa. 300  IN PTR distillate-hosting.net.
; a footer added after signing
orchard.example.             3600 IN SOA ns.orchard.example. hostmaster.orchard.example. 2026112401 3600 900 1209600 300
orchard.example.             3600 IN MX  10 mx1.orchard.example.
orchard.example.             3600 IN TXT "v=spf1 ip4:192.0.2.61 -all"
_dmarc.orchard.example.      3600 IN TXT "v=DMARC1; p=none"
mx1.orchard.example.         3600 IN A   192.0.2.61
mx1.orchard.example.         3600 IN TXT "v=spf1 a -all"
61.2.0.192.in-addr.arpa.     3600 IN PTR mx1.orchard.example.
; eleven look-ups
bakery.example.              3600 IN SOA ns.bakery.example. hostmaster.bakery.example. 2026112401 3600 900 1209600 300
bakery.example.              3600 IN MX  10 mail.bakery.example.
bakery.example.              3600 IN A   192.0.2.80
bakery.example.              3600 IN TXT "v=spf1 a mx include:_spf.office.example include:news.example include:crm.example include:tickets.example ~all"
mail.bakery.example.         3600 IN A   192.0.2.25
_spf.office.example.         3600 IN TXT "v=spf1 include:_a.office.example include:_b.office.example include:_c.office.example ~all"
_a.office.example.           3600 IN TXT "v=spf1 ip4:198.51.100.0/27 ~all"
_b.office.example.           3600 IN TXT "v=spf1 ip4:198.51.100.32/27 ~all"
_c.office.example.           3600 IN TXT "v=spf1 ip4:198.51.100.64/27 ~all"
news.example.                3600 IN TXT "v=spf1 include:_a.news.example ~all"
_a.news.example.             3600 IN TXT "v=spf1 ip4:198.51.100.96/28 ~all"
crm.example.                 3600 IN TXT "v=spf1 include:_out.crm.example ~all"
_out.crm.example.            3600 IN TXT "v=spf1 ip4:198.51.100.112/28 ~all"
tickets.example.             3600 IN TXT "v=spf1 ip4:203.0.113.64/28 ~all"
out3.tickets.example.        3600 IN A   203.0.113.70
70.113.0.203.in-addr.arpa.   3600 IN PTR out3.tickets.example.
; a forgery
bank.example.                3600 IN SOA ns.bank.example. hostmaster.bank.example. 2026112401 3600 900 1209600 300
bank.example.                3600 IN MX  10 mail.bank.example.
bank.example.                3600 IN TXT "v=spf1 ip4:192.0.2.99 -all"
_dmarc.bank.example.         3600 IN TXT "v=DMARC1; p=reject"
mail.bank.example.           3600 IN A   192.0.2.99
66.100.51.198.in-addr.arpa.  3600 IN PTR dsl-66.access.example.
dsl-66.access.example.       3600 IN A   198.51.100.66
; for who sends from this machine
yours.example.               3600 IN SOA ns.yours.example. hostmaster.yours.example. 2026112401 3600 900 1209600 300
yours.example.               3600 IN MX  10 here.yours.example.
yours.example.               3600 IN TXT "v=spf1 ip4:127.0.0.0/8 -all"
here.yours.example.          3600 IN A   127.0.0.1
1.0.0.127.in-addr.arpa.      3600 IN PTR here.yours.example.
`

// stories makes the five mails, signs two of them, and gives the zone that they live in.
// Their keys are made in dir.
func stories(dir string, now time.Time) ([]story, string, error) {
	well, _, err := sign.Open(dir, "wellkept.example", "mail")
	if err != nil {
		return nil, "", err
	}
	orchard, _, err := sign.Open(dir, "orchard.example", "s1")
	if err != nil {
		return nil, "", err
	}
	signed, err := well.Sign(blank(now, "Anna <anna@wellkept.example>", "Authentication test", "Is all well?\r\n"), now)
	if err != nil {
		return nil, "", err
	}
	footed, err := orchard.Sign(blank(now, "Office <office@orchard.example>", "Offer", "Dear customer,\r\n\r\nhere is our offer.\r\n"), now)
	if err != nil {
		return nil, "", err
	}
	footed = append(footed, "-- \r\nThis e-mail was scanned by MailShield and is believed\r\nto be clean.\r\n"...)
	return []story{
		{name: "well", about: "All is well: SPF, a signature and DMARC pass.",
			ip: "192.0.2.10", helo: "mail.wellkept.example", from: "anna@wellkept.example", message: signed,
			code: 250, answer: []string{"spf=pass dkim=pass dmarc=pass"},
			reply: []string{"\nAUTHENTICATED.", "SPF check:          pass", "DKIM check:         pass", "DMARC check:        pass"}},
		{name: "story", about: "The mail that vanishes at Hotmail: no SPF record, unsigned, and the PC's private address as HELO.",
			ip: "216.70.127.122", helo: "?192.168.1.5?", from: "ian@distillate.co.uk",
			message: blank(now, "Ian <ian@distillate.co.uk>", "test", ""),
			code:    250, answer: []string{"spf=none dkim=none dmarc=none"},
			reply: []string{"\nNOT AUTHENTICATED.", "SPF check:          none", "HELO check:         fail", `"iprev" check:      pass`}},
		{name: "footer", about: "A scanner adds its footer after the mail was signed.",
			ip: "192.0.2.61", helo: "mx1.orchard.example", from: "office@orchard.example", message: footed,
			code: 250, answer: []string{"spf=pass dkim=fail dmarc=pass"},
			reply: []string{"\nAUTHENTICATED.", "DKIM check:         fail", "(differs)"}},
		{name: "lookups", about: "One vendor more in the SPF record, and it needs eleven look-ups.",
			ip: "203.0.113.70", helo: "out3.tickets.example", from: "desk@bakery.example",
			message: blank(now, "Desk <desk@bakery.example>", "Your ticket", "Your order is ready.\r\n"),
			code:    250, answer: []string{"spf=permerror dkim=none dmarc=none"},
			reply: []string{"\nNOT AUTHENTICATED.", "SPF check:          permerror", "11/10"}},
		{name: "forgery", about: "Somebody else writes in the name of a bank.",
			ip: "198.51.100.66", helo: "dsl-66.access.example", from: "service@bank.example",
			message: blank(now, "Your Bank <service@bank.example>", "Confirm your account", "Please log in.\r\n"),
			code:    550, answer: []string{"spf=fail dkim=none dmarc=fail", "No report is mailed to an unproved address"}},
	}, demoZone + well.Record() + "\n" + orchard.Record() + "\n", nil
}

// blank is a test mail as people write it.
func blank(now time.Time, from, subject, body string) []byte {
	_, domain, _ := strings.Cut(strings.TrimSuffix(from, ">"), "@")
	return fmt.Appendf(nil, "From: %s\r\nTo: check-auth@%s\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%s@%s>\r\n\r\n%s",
		from, demoHost, subject, now.UTC().Format(time.RFC1123Z), strings.ToLower(rand.Text()), domain, body)
}
