package advise_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"checkauth/verify"
	"checkauth/verify/dns/client"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/evaluate"
	"checkauth/verify/known"
	"checkauth/verify/mail"
	"checkauth/verify/receivers"
)

// atlas is what is known, as it is shipped.
func atlas(t testing.TB) *known.Atlas {
	t.Helper()
	a, err := known.Load()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// option changes the transaction of a test: by default 192.0.2.1, mx.example.org, a@example.org.
type option func(*verify.Envelope)

func from(ip, helo, mailFrom string) option {
	return func(e *verify.Envelope) {
		e.Client, e.Helo, e.MailFrom = netip.AddrPortFrom(netip.MustParseAddr(ip), 25), helo, mailFrom
	}
}

// message is one as it came in.
func message(t testing.TB, env verify.Envelope, raw string) *verify.Message {
	t.Helper()
	m := &verify.Message{Envelope: env, Whole: mail.Data{At: strings.NewReader(raw), Size: int64(len(raw))}}
	var err error
	if m.Fields, m.Body, err = mail.Split(m.Whole, mail.DefaultBounds()); err != nil {
		t.Fatal(err)
	}
	return m
}

// plain is a message of a@example.org without a signature.
const plain = "From: <a@example.org>\r\nTo: <check-auth@verifier.example>\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.org>\r\nSubject: test\r\n\r\ntest\r\n"

// advised evaluates a message against a zone, with the receivers' rules.
func advised(t *testing.T, zone string, options ...option) *verify.Report {
	t.Helper()
	return advisedOf(t, zone, plain, options...)
}

func advisedOf(t *testing.T, zone, raw string, options ...option) *verify.Report {
	t.Helper()
	env := verify.Envelope{ID: "test", Host: "verifier.example", Time: time.Now(), Helo: "mx.example.org", MailFrom: "a@example.org",
		Client: netip.MustParseAddrPort("192.0.2.1:25"), RcptTo: []string{"check-auth@verifier.example"}, Purpose: verify.ForTest, TLS: &verify.TLS{}}
	for _, o := range options {
		o(&env)
	}
	m := message(t, env, raw)
	server := dnstest.New(t, zone, dnstest.WithAuthoritative())
	authorities := client.Authorities(server.Addr().Port(), netip.Addr.IsLoopback)
	rules, err := receivers.Load()
	if err != nil {
		t.Fatal(err)
	}
	ev := evaluate.Evaluator{Config: evaluate.Defaults(), DNS: server.Client(t), Authorities: &authorities, Now: time.Now, Receivers: rules, Atlas: atlas(t),
		Panicked: func(_, method string, v any, stack []byte) { t.Errorf("%s panicked: %v\n%s", method, v, stack) }}
	return ev.Evaluate(t.Context(), m)
}
