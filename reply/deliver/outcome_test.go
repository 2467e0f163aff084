package deliver

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"checkauth/reply"
	"checkauth/reply/store"
)

// recorded is the outcome of the one entry of a store.
func recorded(t *testing.T, k *kept) store.Outcome {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.outcomes) == 0 {
		t.Fatal("no outcome was stored")
	}
	return k.outcomes[len(k.outcomes)-1]
}

// What the store is told beside the reason: whom it was tried with, over which TLS, and what was said last.
func TestOutcomeOfATry(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é no such user ", 100)
	const host = "mx.example.org [127.0.0.1]"
	two := "example.org. MX 20 two.example.org.\n"
	for _, c := range []struct {
		name, zone string
		script     map[string][]string
		tls        bool
		told       string
		want       store.Outcome
	}{
		{"taken", oneHost, nil, true, "done", store.Outcome{Answer: "250 2.0.0 queued", TLS: "TLS 1.3", Host: host}},
		{"taken in clear", oneHost, nil, false, "done", store.Outcome{Answer: "250 2.0.0 queued", TLS: "no: not offered", Host: host}},
		{"the recipient is refused", oneHost, map[string][]string{"RCPT": {"550 5.1.1 <a@example.org>: no"}}, true, "fail",
			store.Outcome{Kind: KindRecipient, Answer: "550 5.1.1 <recipient>: no", TLS: "TLS 1.3", Host: host}},
		{"later", oneHost, map[string][]string{"RCPT": {"450 4.2.0 later"}}, true, "retry", store.Outcome{Kind: KindLater, Answer: "450 4.2.0 later", TLS: "TLS 1.3", Host: host}},
		{"the greeting", oneHost, map[string][]string{"greeting": {"421 4.3.2 later"}}, true, "retry", store.Outcome{Kind: KindLater, Answer: "421 4.3.2 later", Host: host}},
		{"closes after an answer", oneHost, map[string][]string{"RCPT": {closes}}, true, "retry", store.Outcome{Kind: KindReach, Answer: "250 2.1.0 sender ok", TLS: "TLS 1.3", Host: host}},
		{"closes before any", oneHost, map[string][]string{"greeting": {closes}}, true, "retry", store.Outcome{Kind: KindReach, Host: host}},
		{"long, with controls", oneHost, map[string][]string{"RCPT": {"450 \x1b[2J" + long}}, true, "retry",
			store.Outcome{Kind: KindLater, Answer: `450 \x1b[2J` + long, TLS: "TLS 1.3", Host: host}},
		{"the host has no address", "example.org. MX 0 gone.example.org.\n", nil, true, "fail", store.Outcome{Kind: KindNowhere, Host: "gone.example.org"}},
		{"the last that said something", oneHost + two, map[string][]string{"RCPT": {"450 4.2.0 later"}}, true, "retry", store.Outcome{Kind: KindLater, Answer: "450 4.2.0 later", TLS: "TLS 1.3", Host: host}},
		{"the domain is not there", "", nil, true, "fail", store.Outcome{Kind: KindNowhere}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &stub{script: c.script}
			if c.tls {
				s = offering(certificate(t))
				for verb, answers := range c.script {
					s.script[verb] = answers
				}
			}
			d, k := service(t, c.zone, func(cfg *Config) {
				cfg.Port, cfg.Retries = listen(t, map[string]*stub{"127.0.0.1": s}), []time.Duration{time.Hour}
			})
			put(t, k, entry("one"))
			d.Enqueue(entry("one"))
			k.next(t, c.told+" one")
			got := recorded(t, k)
			got.Reason = ""
			if len(c.want.Answer) > maxText {
				c.want.Answer = c.want.Answer[:maxText-3] + "..."
			}
			if got != c.want || len(got.Answer) > maxText {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// Which failures are the domain's, so that its other entries wait with the one that found out.
func TestADomainThatCannotBeReachedRests(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		script map[string][]string
		rests  bool
	}{
		{"421 in the greeting", map[string][]string{"greeting": {"421 4.3.2 later"}}, true},
		{"it closes", map[string][]string{"EHLO": {closes}}, true},
		{"MAIL is refused", map[string][]string{"MAIL": {"451 4.7.1 later"}}, false},
		{"RCPT is refused", map[string][]string{"RCPT": {"450 4.2.0 later"}}, false},
		{"it closes behind the message", map[string][]string{".": {closes}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &stub{script: c.script}
			slow := func(cfg *Config) { cfg.PerDomain, cfg.Retries = 1, []time.Duration{10 * time.Minute} }
			bubble(t, map[string]*stub{"192.0.2.1": s}, oneDomain, slow, func(t *testing.T, d *Deliverer, k *kept, _ func()) {
				for _, id := range []string{"one", "two", "three"} {
					put(t, k, entry(id))
					d.Enqueue(entry(id))
				}
				time.Sleep(9 * time.Minute)
				n := 3
				if c.rests {
					n = 1
				}
				if got := s.connections(); got != n {
					t.Errorf("%d connections, want %d", got, n)
				}
				s.mu.Lock()
				s.script = nil // all is well again
				s.mu.Unlock()
				time.Sleep(15 * time.Minute)
				done := slices.DeleteFunc(k.history(), func(line string) bool { return !strings.HasPrefix(line, "done ") })
				if len(done) != 3 {
					t.Errorf("done %q, want all three: %q", done, k.history())
				}
			})
		})
	}
}

// The host that answers ends the rest of its domain, though another one was not there.
func TestOneHostThatAnswersIsEnough(t *testing.T) {
	t.Parallel()
	first := &stub{script: map[string][]string{"greeting": {"421 4.3.2 later"}}}
	second := &stub{script: map[string][]string{"RCPT": {"450 4.2.0 later"}}}
	c := config(t)
	c.Port = listen(t, map[string]*stub{"127.0.0.1": first, "127.0.0.2": second})
	for _, zone := range []string{
		"example.org. MX 1 a.example.org.\nexample.org. MX 2 b.example.org.\na.example.org. A 127.0.0.1\nb.example.org. A 127.0.0.2\n",
		"example.org. MX 2 a.example.org.\nexample.org. MX 1 b.example.org.\na.example.org. A 127.0.0.1\nb.example.org. A 127.0.0.2\n",
	} {
		what, err := deliverer(t, c, zone).tryWhole(t.Context(), entry("one"))
		want(t, err, "temporary", "")
		if !what.talked {
			t.Errorf("%s: got %+v, want a server that was talked to", zone, what)
		}
	}
}

// With a relay that is not there no domain's entries are tried.
func TestARelayThatCannotBeReachedRests(t *testing.T) {
	t.Parallel()
	var dials atomic.Int64
	change := func(cfg *Config) {
		cfg.Relay, cfg.Concurrency, cfg.Retries = "192.0.2.1:25", 1, []time.Duration{10 * time.Minute}
		cfg.Dial = func(context.Context, string, string) (net.Conn, error) {
			dials.Add(1)
			return nil, errors.New("connection refused")
		}
	}
	bubble(t, nil, silent, change, func(t *testing.T, d *Deliverer, k *kept, _ func()) {
		for _, id := range []string{"one", "two", "three"} {
			e := entry(id)
			e.To = "a@" + id + ".example"
			put(t, k, e)
			d.Enqueue(e)
		}
		time.Sleep(9 * time.Minute)
		if n := dials.Load(); n != 1 {
			t.Errorf("%d connections were tried, want 1: %q", n, k.history())
		}
	})
}

// RFC 5321, 4.5.1: mail for postmaster was taken, so that its loss is an error of ours, not a tester's bad address.
func TestMailForTheOperatorIsNotLostUnseen(t *testing.T) {
	t.Parallel()
	var log journal
	d, k := service(t, "", func(c *Config) {
		c.Operator = "you@[192.0.2.25]"
		c.Own = only("192.0.2.25")
		c.Log = slog.New(slog.NewTextHandler(&log, nil))
		c.Dial = nil
	})
	e, other := entry("operator"), entry("other")
	e.To, other.To = "You@[192.0.2.25]", "anna@[192.0.2.25]"
	for _, e := range []reply.Entry{e, other} {
		put(t, k, e)
		d.Enqueue(e)
		k.next(t, "fail "+e.ID)
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	for id, want := range map[string]string{"operator": "level=ERROR", "other": "level=WARN"} {
		i := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, "report="+id) })
		if i < 0 || !strings.Contains(lines[i], want) || !strings.Contains(lines[i], "our own address") {
			t.Errorf("%s: want %s and the reason:\n%s", id, want, log.String())
		}
	}
}

func TestSameAddress(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"you@xn--bcher-kva.example", "You@Bücher.example", true},
		{"you@example.org", "you@EXAMPLE.org.", true},
		{"you@example.org", "you@example.net", false},
		{"you@example.org", "me@example.org", false},
		{"You@[192.0.2.25]", "you@[192.0.2.25]", true},
		{"you", "you", false},
	} {
		if got := sameAddress(c.a, c.b); got != c.want {
			t.Errorf("%s, %s: got %t", c.a, c.b, got)
		}
	}
}
