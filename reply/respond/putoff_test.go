package respond_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"checkauth/reply/policy"
	"checkauth/verify"
	"checkauth/verify/dkim"
	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/known"
	"checkauth/verify/receivers"
)

// warnings keeps the log's lines of level WARN and above.
type warnings struct {
	mu    sync.Mutex
	lines []string
}

func (w *warnings) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }
func (w *warnings) WithAttrs([]slog.Attr) slog.Handler           { return w }
func (w *warnings) WithGroup(string) slog.Handler                { return w }
func (w *warnings) Handle(_ context.Context, r slog.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	line := r.Message
	r.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	w.lines = append(w.lines, line)
	return nil
}

func (w *warnings) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.lines...)
}

// served is a house with all that serve has, its quotas among it, before that zone.
func served(t *testing.T, zone string) (*house, *warnings) {
	t.Helper()
	h, w := build(t), &warnings{}
	h.Config.Log = slog.New(w)
	h.now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	h.Policy.Providers, h.Policy.Servers = policy.Providers(), policy.Servers()
	h.Run.DNS = dnstest.Zone(t, zone, patient)
	h.Run.Quota = dns.DefaultQuotas()
	h.Run.Quota.Selectors, h.Run.Quota.Now = dkim.UsualSelectors, h.Run.Now
	var err error
	if h.Run.Atlas, err = known.Load(); err != nil {
		t.Fatal(err)
	}
	if h.Run.Receivers, err = receivers.Load(); err != nil {
		t.Fatal(err)
	}
	return h, w
}

// honest is a mail of the nth domain, from a server of its own in one /24.
func (h *house) honest(t *testing.T, n int) *verify.Message {
	domain := fmt.Sprintf("honest%d.example", n)
	raw := fmt.Sprintf("From: ann@%[1]s\r\nSubject: test\r\nMessage-ID: <%[2]d@%[1]s>\r\nDate: Tue, 24 Nov 2026 12:00:00 +0000\r\n\r\nhello\r\n", domain, h.ids)
	return h.message(t, raw, func(e *verify.Envelope) {
		e.MailFrom, e.Helo = "ann@"+domain, "mx."+domain
		e.Client = netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(n + 1)}), 4025)
	})
}

// neighbours are domains of one /24, each with a mail server; with an SPF record or, as far as anybody can tell, nobody's.
func neighbours(n int, record bool) string {
	var b strings.Builder
	for i := range n {
		d, ip := fmt.Sprintf("honest%d.example", i), fmt.Sprintf("198.51.100.%d", i+1)
		fmt.Fprintf(&b, "%[1]s. MX 10 mx.%[1]s.\nmx.%[1]s. A %[2]s\n", d, ip)
		fmt.Fprintf(&b, "%[1]d.100.51.198.in-addr.arpa. PTR vm%[1]d.hoster.example.\nvm%[1]d.hoster.example. A %[2]s\n", i+1, ip)
		if record {
			fmt.Fprintf(&b, "%s. TXT \"v=spf1 ip4:%s -all\"\n", d, ip)
		}
	}
	return b.String()
}

// Forty honest domains of one hoster's /24 test within ten seconds.
func TestManyHonestDomainsOfOneNetwork(t *testing.T) {
	t.Parallel()
	h, w := served(t, neighbours(40, true))
	for n := range 40 {
		a := h.answers(t, h.honest(t, n), 250, "spf=pass")
		if all := strings.Join(a.Lines, " "); strings.Contains(all, "temperror") {
			t.Errorf("mail %d: %s", n, all)
		}
		h.now = h.now.Add(250 * time.Millisecond)
	}
	if len(h.kicked) != 40 || len(w.all()) != 0 {
		t.Errorf("%d mailed, warnings %q, want 40 and none", len(h.kicked), w.all())
	}
}

// Without a record nothing proves them: the quota of reports decides, never that of DNS questions.
func TestManyUnprovedDomainsOfOneNetwork(t *testing.T) {
	t.Parallel()
	h, w := served(t, neighbours(40, false))
	for n := range 40 {
		code, line := 250, "spf=none"
		if n >= 10 {
			code, line = 550, "No report is mailed: quota open-network-hour"
		}
		a := h.answers(t, h.honest(t, n), code, line)
		if all := strings.Join(a.Lines, " "); strings.Contains(all, "temperror") {
			t.Errorf("mail %d: %s", n, all)
		}
		h.now = h.now.Add(250 * time.Millisecond)
	}
	if len(h.kicked) != 10 || len(w.all()) != 0 {
		t.Errorf("%d mailed, warnings %q, want 10 and none", len(h.kicked), w.all())
	}
}

// A full quota of a minute is ours: the message is put off until there is room, nothing is mailed and nobody's quota of
// reports is spent. The operator hears of it once a minute.
func TestAFullQuotaOfDNSQuestions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		bound  dns.Bound
		change func(*dns.Quotas)
		want   string
	}{
		{dns.PerNetwork, func(q *dns.Quotas) { q.PerNetwork = 3 }, "for one client network"},
		{dns.PerTarget, func(q *dns.Quotas) { q.PerTarget = 0 }, "names a minute below one domain for one client network"},
		{dns.Made, func(q *dns.Quotas) { q.Made = 0 }, "names a minute below one domain is reached"},
	} {
		t.Run(string(c.bound), func(t *testing.T) {
			t.Parallel()
			h, w := served(t, neighbours(2, false))
			h.Run.Atlas = nil // no advice
			c.change(h.Run.Quota)
			put := h.honest(t, 0)
			if a := h.answers(t, put, 451, c.want); a.Enhanced != [3]int{4, 7, 1} || !strings.Contains(a.Lines[0], "try again in 1 minute") {
				t.Errorf("got %v %q, want 4.7.1 and when to come again", a.Enhanced, a.Lines)
			}
			h.now = h.now.Add(20 * time.Second)
			h.answers(t, put, 451, "try again in 40 seconds")
			warned := w.all()
			if len(warned) != 1 || !strings.Contains(warned[0], "network=198.51.100.0/24 bound="+c.bound.Key()) {
				t.Errorf("warnings %q, want one with network and bound", warned)
			}
			// Nothing was mailed or counted: the same mail is answered as if it came for the first time.
			h.now = h.now.Add(40 * time.Second)
			h.Run.Quota.PerNetwork, h.Run.Quota.PerTarget, h.Run.Quota.Made = 1500, 100, 100
			if len(h.kicked) != 0 {
				t.Errorf("%d mailed while the quota was full", len(h.kicked))
			}
			h.answers(t, put, 250, "report report1 to")
		})
	}
}

// What advice alone wants to know is left out where the quota ends there, and the report says so.
func TestAFullQuotaWithinAdvice(t *testing.T) {
	t.Parallel()
	h, w := served(t, neighbours(1, false))
	// Advice comes last: with one question less than all of it needs, it is advice that misses one.
	asked := 0
	up := h.Run.DNS
	var mu sync.Mutex
	h.Run.DNS = dns.ResolverFunc(func(ctx context.Context, q dns.Question) (dns.Answer, error) {
		mu.Lock()
		asked++
		mu.Unlock()
		return up.Resolve(ctx, q)
	})
	h.answers(t, h.honest(t, 0), 250, "report report1 to")
	h.now = h.now.Add(25 * time.Hour)
	h.Run.Quota.PerNetwork = asked - 1
	h.answers(t, h.honest(t, 0), 250, "report report2 to")
	texts := parts(t, h.kicked[1])
	if !strings.Contains(strings.Join(strings.Fields(texts["text/plain"]), " "), "Some advice is left out: this service asks only so many DNS questions a minute") {
		t.Errorf("the report does not say what is left out:\n%s", texts["text/plain"])
	}
	if warned := w.all(); len(warned) != 1 || !strings.Contains(warned[0], "advice is left out") {
		t.Errorf("warnings %q, want one", warned)
	}
}

// The resolver dies within a transaction: the message is put off, and the test after its return is as if nothing was.
func TestResolverDiesWithinATransaction(t *testing.T) {
	t.Parallel()
	h, _ := served(t, neighbours(1, true))
	up := h.Run.DNS
	dead := errors.New("no answer")
	h.Run.Health = &dns.Health{Now: h.Run.Now, Probe: func(context.Context) error { return dead }}
	h.Run.DNS = dns.ResolverFunc(func(ctx context.Context, q dns.Question) (dns.Answer, error) {
		return dns.Answer{}, &dns.Error{Question: q, Kind: dns.Timeout}
	})
	m := h.honest(t, 0)
	for range 2 { // it is found out, and then known
		if a := h.answers(t, m, 451, "Our own DNS resolver does not answer"); a.Enhanced != [3]int{4, 4, 3} {
			t.Errorf("got %v, want 4.4.3", a.Enhanced)
		}
	}
	if len(h.kicked) != 0 {
		t.Errorf("%d mailed", len(h.kicked))
	}
	h.answers(t, h.message(t, letter, func(e *verify.Envelope) { e.Purpose = verify.ForOperator }), 250, "passed on to the operator")
	dead, h.Run.DNS, h.now = nil, up, h.now.Add(5*time.Second)
	h.answers(t, m, 250, "spf=pass")
}

// A domain whose servers are silent, or fail, is no trouble of ours: the resolver says that it is well.
func TestHostile_60_a_silent_domain_is_answered(t *testing.T) {
	t.Parallel()
	for _, kind := range []dns.Kind{dns.Timeout, dns.ServFail, dns.Lame} {
		h, _ := served(t, neighbours(1, true))
		up, probes := h.Run.DNS, 0
		h.Run.Health = &dns.Health{Now: h.Run.Now, Probe: func(context.Context) error { probes++; return nil }}
		h.Run.DNS = dns.ResolverFunc(func(ctx context.Context, q dns.Question) (dns.Answer, error) {
			if strings.HasSuffix(q.Name, "honest0.example") {
				return dns.Answer{}, &dns.Error{Question: q, Kind: kind}
			}
			return up.Resolve(ctx, q)
		})
		h.answers(t, h.honest(t, 0), 250, "spf=temperror")
		h.answers(t, h.honest(t, 0), 550, "spf=temperror")
		if probes != 1 {
			t.Errorf("%s: the resolver was asked %d times, want once in 5 s", kind, probes)
		}
	}
}
