package deliver

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"checkauth/verify/dns"
)

// What is refused about our envelope sender, or about us at a relay, is no word on the entry: it waits, and the
// operator hears of it once an hour.
func TestARefusedSenderIsTheOperatorsMatter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, verb, answer string
		change             func(*Config)
		warning            string
	}{
		{"a relay refuses <>", "MAIL", "501 Invalid MAIL FROM address provided", func(c *Config) { c.Relay = "192.0.2.1:25" }, "set deliver.envelope-from to an address"},
		{"a relay refuses what is set", "MAIL", "553 5.7.1 not yours", func(c *Config) { c.Relay, c.From = "192.0.2.1:25", "bounces@example.net" }, "the relay refuses deliver.envelope-from"},
		{"a relay does not know us", "RCPT", "554 5.7.1 <a@example.org>: Relay access denied", func(c *Config) { c.Relay = "192.0.2.1:25" }, "the relay does not relay for us"},
		{"a receiver refuses <>", "MAIL", "550 5.1.8 null sender not allowed", func(*Config) {}, "a receiver refuses MAIL FROM:<>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			said := &journal{}
			s := &stub{script: map[string][]string{c.verb: {c.answer}}}
			none := func(cfg *Config) {
				c.change(cfg)
				cfg.Retries, cfg.Log = []time.Duration{10 * time.Minute}, slog.New(slog.NewTextHandler(said, nil))
			}
			bubble(t, map[string]*stub{"192.0.2.1": s}, oneDomain, none, func(t *testing.T, d *Deliverer, k *kept, end func()) {
				put(t, k, entry("one"))
				d.Enqueue(entry("one"))
				time.Sleep(150 * time.Minute)
				end()
				for _, told := range k.history() {
					if !strings.HasPrefix(told, "retry one: ") {
						t.Errorf("got %q", told)
					}
				}
				if n := len(k.history()); n < 10 {
					t.Errorf("%d tries in 150 minutes", n)
				}
			})
			var warnings int
			for line := range strings.Lines(said.String()) {
				if strings.Contains(line, "level=WARN") && strings.Contains(line, c.warning) {
					warnings++
				}
				if strings.Contains(line, "a@example.org") {
					t.Errorf("the log has an address: %s", line)
				}
			}
			if warnings != 3 {
				t.Errorf("%d warnings in 150 minutes, want 3:\n%s", warnings, said)
			}
		})
	}
}

func TestEnvelopeSenderAtARelay(t *testing.T) {
	t.Parallel()
	s := &stub{}
	c := config(t)
	c.Relay, c.From = fmt.Sprint("127.0.0.1:", listen(t, map[string]*stub{"127.0.0.1": s})), "bounces@example.net"
	_, err := deliverer(t, c, "").tryWhole(t.Context(), entry("one"))
	want(t, err, "taken", "")
	if heard, _ := s.got(); !strings.HasPrefix(heard[1], "MAIL FROM:<bounces@example.net>") {
		t.Errorf("got %q", heard[1])
	}
	for _, bad := range []Config{{From: "a@example.net"}, {From: "a@example.net\r\nRCPT", Relay: "192.0.2.1:25"}} {
		cfg := config(t)
		cfg.From, cfg.Relay = bad.From, bad.Relay
		if _, err := New(cfg, nil, dns.ResolverFunc(nil)); err == nil {
			t.Errorf("%q without a fault", bad.From)
		}
	}
}

// A relay's name is dialled family by family, and a family that it does not have is no fault.
func TestARelaysNameIsDialledFamilyByFamily(t *testing.T) {
	t.Parallel()
	s := &stub{}
	c := config(t)
	c.Relay = fmt.Sprint("localhost:", listen(t, map[string]*stub{"127.0.0.1": s}))
	what, err := deliverer(t, c, "").tryWhole(t.Context(), entry("one"))
	want(t, err, "taken", "")
	if s.connections() != 1 {
		t.Errorf("%d connections, %+v", s.connections(), what)
	}
	c.Dial = func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "relay.invalid", IsNotFound: true}}
	}
	_, err = deliverer(t, c, "").tryWhole(t.Context(), entry("one"))
	want(t, err, "temporary", "relay.invalid")
	if n := strings.Count(err.Error(), "lookup"); n != 1 {
		t.Errorf("one unknown name is said %d times: %v", n, err)
	}
}
