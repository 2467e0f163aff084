package deliver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"checkauth/verify/dane"
	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/mtasts"
)

// ofNothing is the SHA-256 of an empty input, which is published where a command read nothing.
const ofNothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// What the DNS alone says of DANE before anybody connects.
func TestWhatDANELetsForesee(t *testing.T) {
	t.Parallel()
	good := strings.Repeat("0123456789abcdef", 4)
	record := func(data string) string { return "_25._tcp.mx.example.org. TLSA " + data + "\n" }
	for _, c := range []struct {
		name, zone       string
		dane, impossible bool
	}{
		{"no records", validated, false, false},
		{"a digest", record("3 1 1 "+good) + validated, true, false},
		{"the digest of nothing", record("3 1 1 "+ofNothing) + validated, true, true},
		{"zeros", record("3 1 1 "+strings.Repeat("00", 32)) + validated, true, true},
		{"zeros of 64 octets", record("2 0 2 "+strings.Repeat("00", 64)) + validated, true, true},
		{"one of two may match", record("3 1 1 "+ofNothing) + record("2 0 1 "+good) + validated, true, false},
		{"what cannot be used asks for no certificate", record("1 1 1 "+ofNothing) + validated, false, false},
		{"not validated: nobody looks at it", record("3 1 1 " + ofNothing), false, false},
		{"it cannot be asked: the delivery waits for it", ";FAULT SERVFAIL _25._tcp.mx.example.org TLSA\n" + validated, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t)
			cfg.DANE = true
			zone := dnstest.Zone(t, oneHost+c.zone, patient())
			places, err := newDeliverer(t, cfg, nil, zone).Destination(t.Context(), zone, "a@example.org")
			if err != nil || len(places) != 1 || places[0].DANE != c.dane || places[0].Impossible != c.impossible {
				t.Errorf("got %+v, %v; want %t, %t", places, err, c.dane, c.impossible)
			}
			cfg.DANE = false
			places, err = newDeliverer(t, cfg, nil, zone).Destination(t.Context(), zone, "a@example.org")
			if err != nil || len(places) != 1 || places[0].DANE || places[0].Impossible {
				t.Errorf("DANE is not obeyed: got %+v, %v", places, err)
			}
		})
	}
}

// A policy is fetched where that is wanted, and is known from then on.
func TestWhatMTASTSLetsForesee(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	policyHost(t, newAuthority(t), http.StatusOK, policyFor("enforce", "other.example.org"))(&cfg)
	d := deliverer(t, cfg, announced)
	t.Cleanup(d.sts.Close)
	for _, c := range []struct {
		name, domain string
		fetch        bool
		mode         mtasts.Mode
	}{
		{"nothing is remembered", "example.org", false, ""},
		{"fetched", "example.org", true, mtasts.Enforce},
		{"remembered", "Example.org", false, mtasts.Enforce},
		{"an address literal", "[127.0.0.1]", true, ""},
		{"no domain", "", false, ""},
	} {
		if p := d.Promised(t.Context(), c.domain, c.fetch); p.Mode != c.mode || c.mode != "" && p.Allows("mx.example.org") {
			t.Errorf("%s: got %+v, want mode %q", c.name, p, c.mode)
		}
	}
	cfg.MTASTS = false
	if p := deliverer(t, cfg, announced).Promised(t.Context(), "example.org", true); p.Mode != "" {
		t.Errorf("MTA-STS is not obeyed: got %+v", p)
	}
}

// A policy host that hangs costs no more than its asker's time.
func TestAPolicyThatDoesNotComeInTime(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	cfg.MTASTS = true
	hangs := make(chan struct{})
	cfg.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		close(hangs)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	d := deliverer(t, cfg, announced)
	t.Cleanup(d.sts.Close)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-hangs; cancel() }()
	if p := d.Promised(ctx, "example.org", true); p.Mode != "" {
		t.Errorf("got %+v", p)
	}
}

func TestKindOfAFailure(t *testing.T) {
	t.Parallel()
	said := func(command string, code int, text string) error {
		return &refusal{command, answer{code: code, lines: []string{text}}}
	}
	open := &session{cfg: config(t), conn: nil}
	wrap := func(err error) error { return blame(t.Context(), "mx.example.org [192.0.2.1]", err) }
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"none", nil, ""},
		{"a promise", wrap(fmt.Errorf("%w: %w", errPromise, errHandshake)), KindPromise},
		{"a handshake, and in clear nothing", inClear(wrap(errHandshake), wrap(open.ofEntry(said("MAIL", 530, "5.7.0 Must issue a STARTTLS command first")))), KindTLS},
		{"a handshake, and in clear later", inClear(wrap(errHandshake), wrap(open.ofEntry(said("RCPT", 450, "4.7.1 greylisted")))), KindLater},
		{"a handshake, and in clear the recipient", inClear(wrap(errHandshake), wrap(open.ofEntry(said("RCPT", 550, "5.1.1 no")))), KindRecipient},
		{"our address, at both addresses of a host", together([]error{wrap(open.ofEntry(said("RCPT", 550, "5.7.25 no"))), wrap(open.ofEntry(said("RCPT", 550, "5.7.25 no")))}), KindOurs},
		{"TLSA records that cannot be asked", fmt.Errorf("%w: %w", dane.ErrLookup, &dns.Error{Kind: dns.ServFail}), KindDNS},
		{"over before it was tried", permanent(errExpired), ""},
		{"our sender", wrap(open.ofEntry(said("MAIL", 501, "no"))), KindOurs},
		{"our address", wrap(open.ofEntry(said("RCPT", 550, "5.7.25 no"))), KindOurs},
		{"the recipient", wrap(open.ofEntry(said("RCPT", 550, "5.1.1 no"))), KindRecipient},
		{"later", wrap(open.ofEntry(said("RCPT", 450, "4.2.0 later"))), KindLater},
		{"the greeting", wrap(ofHost(said("greeting", 554, "no"))), KindLater},
		{"the message", wrap(ofMessage(said("message", 554, "spam"))), KindContent},
		{"an extension", wrap(permanent(errNoUTF8)), KindNeeds},
		{"no MX", permanent(ErrNullMX), KindNowhere},
		{"the DNS", &dns.Error{Kind: dns.ServFail}, KindDNS},
		{"nobody there", wrap(errors.New("connection refused")), KindReach},
		{"two hosts", together([]error{wrap(errors.New("connection refused")), wrap(open.ofEntry(said("RCPT", 450, "later")))}), KindLater},
		{"too long", context.DeadlineExceeded, KindReach},
	} {
		if got := kindOf(c.err); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
