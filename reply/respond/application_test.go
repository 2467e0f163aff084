package respond_test

import (
	"bytes"
	"net/mail"
	"strings"
	"testing"

	"checkauth/reply/policy"
	"checkauth/verify"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/known"
	"checkauth/verify/naming"
)

func to(address string) func(*verify.Envelope) {
	return func(e *verify.Envelope) { e.RcptTo = []string{address} }
}

// free is a letter from a domain that nothing proves and nothing refutes.
var free = strings.ReplaceAll(letter, "example.org", "open.example")

const open = zone + `
open.example.    MX  10 in.open.example.
in.open.example. A   192.0.2.25
open.example.    TXT "v=spf1 ~all"
`

const application = "Auto-Submitted: auto-generated\r\nPrecedence: list\r\nList-Id: <l.example.org>\r\nX-Auto-Response-Suppress: All\r\n" + letter

// The silence names the address that an application's mail is answered at, as the client reads it.
func TestHostile_31_to_33_the_address_for_applications(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.answers(t, h.message(t, application, nil), 250, "no report: Auto-Submitted; an application's mail? send it to check-auth+app@"+host)
	h.Run.DNS = dnstest.Zone(t, open, patient)
	unproved := h.message(t, "Auto-Submitted: auto-generated\r\n"+free, func(e *verify.Envelope) {
		e.MailFrom, e.RcptTo = "a@open.example", []string{"check-auth+app@" + host}
	})
	h.answers(t, unproved, 250,
		"no report: Auto-Submitted; check-auth+app@"+host+" answers an application's mail where SPF, DKIM or the reverse name proves its envelope sender; this one is not proved: spf=softfail dkim=none")
	h.nothing(t)
	m := h.message(t, application, to("check-auth+app@"+host))
	h.answers(t, m, 250, "report "+m.Envelope.ID+" to")
}

// An automatic responder that gets our report on an application's mail has no address to answer to that answers it:
// no field of the report has the address for applications or a token, its addresses are the operator's, and what the
// responder sends is an automatic reply wherever it goes. A bounce has the null sender.
func TestHostile_35_a_responder_finds_no_way_round(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.Policy.Quotas.AddressMinute = policy.Unlimited
	h.answers(t, h.message(t, application, to("check-auth+app@"+host)), 250, "report report1 to")
	h.Run.DNS = dnstest.Zone(t, open, patient)
	h.answers(t, h.message(t, free, func(e *verify.Envelope) { e.MailFrom = "b@open.example" }), 250, "report report2 to") // with a token
	if len(h.kicked) != 2 {
		t.Fatalf("%d reports, want 2", len(h.kicked))
	}
	for _, e := range h.kicked {
		m, err := mail.ReadMessage(bytes.NewReader(e.Body))
		if err != nil {
			t.Fatal(err)
		}
		for name, values := range m.Header {
			if all := strings.ToLower(strings.Join(values, " ")); strings.Contains(all, "check-auth+") || strings.Contains(all, "check-auth@") {
				t.Errorf("%s has an address that is answered: %s", name, all)
			}
		}
		for _, name := range []string{"From", "Reply-To", "Sender", "Return-Path", "Errors-To", "Disposition-Notification-To"} {
			for _, a := range addressesOf(t, m.Header, name) {
				local, domain := naming.Split(a)
				if role, _ := h.Policy.Addresses.Role(local, domain); role != policy.Operator {
					t.Errorf("%s is %s, which is no address of the operator's", name, a)
				}
			}
		}
		if m.Header.Get("Auto-Submitted") != "auto-replied" || e.From != "" {
			t.Errorf("Auto-Submitted is %q, the envelope sender %q", m.Header.Get("Auto-Submitted"), e.From)
		}
	}
	for _, address := range []string{"check-auth@" + host, "check-auth+app@" + host} {
		vacation := "Auto-Submitted: auto-replied (vacation)\r\nSubject: Away\r\nIn-Reply-To: <report1@" + host + ">\r\nFrom: a@example.org\r\n\r\nnot here\r\n"
		h.answers(t, h.message(t, vacation, to(address)), 250, "no report: Auto-Submitted: auto-replied")
		// A mailbox that passes everything on sends our own report.
		h.answers(t, h.message(t, string(h.kicked[0].Body), to(address)), 250, "no report: Auto-Submitted: auto-replied")
		h.answers(t, h.message(t, letter, func(e *verify.Envelope) { to(address)(e); e.MailFrom = "" }), 250, "no report: null sender")
	}
	if len(h.kicked) != 2 {
		t.Errorf("%d mails, want the two reports alone", len(h.kicked))
	}
}

func addressesOf(t *testing.T, h mail.Header, name string) (out []string) {
	t.Helper()
	if h.Get(name) == "" {
		return nil
	}
	all, err := h.AddressList(name)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	for _, a := range all {
		out = append(out, a.Address)
	}
	return out
}

// Where MAIL FROM is a sending service's bounce address, or one of a customer's that its servers take, the 250 and
// the report say who reads there.
func TestBounceAddresses(t *testing.T) {
	t.Parallel()
	h := build(t)
	var err error
	if h.Run.Atlas, err = known.Load(); err != nil {
		t.Fatal(err)
	}
	h.Run.DNS = dnstest.Zone(t, open+`
amazonses.com.              MX    10 feedback-smtp.amazonses.com.
feedback-smtp.amazonses.com. A    192.0.2.9
em1.example.org.            CNAME u1.wl1.sendgrid.net.
u1.wl1.sendgrid.net.        MX    10 mx.sendgrid.net.
u1.wl1.sendgrid.net.        TXT   "v=spf1 ip4:192.0.2.1 -all"
mx.sendgrid.net.            A     192.0.2.9
news.example.org.           TXT   "v=spf1 ip4:192.0.2.1 -all"
hosted.example.org.         TXT   "v=spf1 ip4:192.0.2.1 -all"
news.example.org.           MX    10 feedback-smtp.eu-west-1.amazonses.com.
feedback-smtp.eu-west-1.amazonses.com. A 192.0.2.9
hosted.example.org.         MX    10 aspmx.l.google.com.
aspmx.l.google.com.         A     192.0.2.9
`, patient)
	for from, service := range map[string]string{
		"0100018f2a3b4c5d-6e7f8a9b-000000@amazonses.com":    "Amazon SES",
		"bounces+1-abcd-ann=example.net@em1.example.org":    "Twilio SendGrid",
		"0100018f2a3b4c5d-6e7f8a9b-000000@news.example.org": "Amazon SES",
		"bounces+1@hosted.example.org":                      "",
		"ann@news.example.org":                              "",
		"a@example.org":                                     "",
	} {
		h.kicked = nil
		m := h.message(t, free, func(e *verify.Envelope) { e.MailFrom = from })
		lines := strings.Join(h.answers(t, m, 250, "report "+m.Envelope.ID+" to <"+from+">").Lines, "\n")
		said := "<" + from + "> is a bounce address: a program of " + service + " reads it, and a person gets the report only if " + service + " passes it on."
		if strings.Contains(lines, "is a bounce address") != (service != "") || service != "" && !strings.Contains(lines, said) {
			t.Errorf("%s: the client hears %q, want %q", from, lines, service)
		}
		if len(h.kicked) != 1 {
			t.Fatalf("%s: %d reports, want 1", from, len(h.kicked))
		}
		for kind, text := range parts(t, h.kicked[0]) {
			if kind != "text/plain" && kind != "text/html" {
				continue
			}
			text = strings.Join(strings.Fields(text), " ")
			if strings.Contains(text, "is a bounce address: a program of "+service+" reads it") != (service != "") {
				t.Errorf("%s: %s does not say who reads it:\n%.1500s", from, kind, text)
			}
		}
	}
}
