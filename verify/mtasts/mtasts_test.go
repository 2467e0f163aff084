package mtasts

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"checkauth/verify/dns"
)

const (
	noRecord = `mta-sts.example.org. A 192.0.2.1`
	newer    = "version: STSv1\nmode: testing\nmx: new.example.org\nmax_age: 86400"
)

func TestRFC8461_3_1_without_a_record_nothing_is_fetched(t *testing.T) {
	t.Parallel()
	for name, zone := range map[string]string{
		"none":                noRecord,
		"several":             zoneText("one") + `_mta-sts.example.org. TXT "v=STSv1; id=two"`,
		"malformed":           zoneText("a-b"),
		"of the domain above": `_mta-sts.org. TXT "v=STSv1; id=one"`,
		"at the domain":       `example.org. TXT "v=STSv1; id=one"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, zone, nil)
			w.want(t, "", "", "")
			w.wantRequests(t, 0)
			if q := w.dns.Queries(); !slices.Equal(q, []string{"_mta-sts.example.org TXT"}) {
				t.Errorf("asked %q", q)
			}
		})
	}
}

func TestRFC8461_3_1_strings_are_joined(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
_mta-sts.example.org. TXT "v=STS" "v1; id=o" "ne"
mta-sts.example.org.  A   192.0.2.1
`, nil)
	w.want(t, Enforce, "one", "")
}

// RFC 8461, 8.2: a provider's record and host are reached by CNAME; the certificate stays the domain's.
func TestRFC8461_8_2_delegated(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
_mta-sts.example.org. CNAME _mta-sts.example.net.
mta-sts.example.org.  CNAME mta-sts.example.net.
_mta-sts.example.net. TXT   "v=STSv1; id=one"
mta-sts.example.net.  A     192.0.2.1
`, nil)
	w.want(t, Enforce, "one", "")
	if !strings.HasPrefix(w.hosts[0], "mta-sts.example.org mta-sts.example.org ") {
		t.Errorf("asked for %q", w.hosts)
	}
}

func TestRFC8461_3_4_names_that_have_no_policy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zoneText("one"), nil)
	for _, domain := range []string{
		"", ".", "[192.0.2.1]", "[IPv6:2001:db8::1]", "exam_ple.org", "example..org", "-example.org", "a b.example.org",
		"example.org/x", "example.org:80", "user@example.org", "\xff.example.org", "example.org\r\nX: y",
		strings.Repeat("a", 64) + ".org", strings.Repeat("abcdefghi.", 25), strings.Repeat("abcdefghi.", 24) + "abcdef",
	} {
		if p, err := w.Policy(t.Context(), domain); p.Mode != "" || err != nil {
			t.Errorf("%q: got %+v, %v", domain, p, err)
		}
	}
	if q := w.dns.Queries(); len(q) != 0 {
		t.Errorf("asked %q", q)
	}
}

func TestRFC8461_3_2_domain_in_U_labels(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
_mta-sts.xn--bcher-kva.example. TXT "v=STSv1; id=one"
mta-sts.xn--bcher-kva.example.  A   192.0.2.1
`, nil)
	for _, domain := range []string{"b\u00fccher.example", "B\u00dcCHER.example", "xn--bcher-kva.example"} {
		if p, err := w.Policy(t.Context(), domain); p.Mode != Enforce || err != nil {
			t.Errorf("%s: got %+v, %v", domain, p, err)
		}
	}
	w.wantRequests(t, 1)
}

func TestRFC8461_3_1_same_id_is_not_fetched_again(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zoneText("one"), nil)
	for range 3 {
		w.want(t, Enforce, "one", "")
		w.clock.pass(7 * time.Hour)
	}
	w.wantRequests(t, 1)
}

func TestRFC8461_3_1_new_id_is_fetched(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zoneText("one"), nil)
	w.want(t, Enforce, "one", "")
	w.zone(t, zoneText("two"))
	w.says(newer)
	w.want(t, Testing, "two", "")
	w.want(t, Testing, "two", "")
	w.wantRequests(t, 2)
}

func TestRFC8461_3_3_refresh(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zoneText("one"), nil)
	w.want(t, Enforce, "one", "")
	w.clock.pass(24 * time.Hour)
	w.want(t, Enforce, "one", "")
	w.wantRequests(t, 2)
	// Had it not been fetched anew it would have expired by now.
	w.zone(t, noRecord)
	w.clock.pass(7*24*time.Hour - time.Second)
	w.want(t, Enforce, "one", "")
	w.clock.pass(time.Second)
	w.want(t, "", "", "")
}

// A policy that lives for less than a day is fetched anew before it ends.
func TestRFC8461_3_3_refresh_of_a_short_policy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zoneText("one"), nil)
	w.says("version: STSv1\nmode: enforce\nmx: mx.example.org\nmax_age: 3600")
	for range 5 {
		w.want(t, Enforce, "one", "")
		w.clock.pass(30 * time.Minute)
	}
	w.wantRequests(t, 5)
}

func TestRFC8461_3_3_refresh_that_fails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zoneText("one"), nil)
	w.want(t, Enforce, "one", "")
	w.clock.pass(24 * time.Hour)
	w.set(func(w *world) { w.answer = http.NotFound })
	w.want(t, Enforce, "one", HTTP)
	if err := w.want(t, Enforce, "one", HTTP); !err.Remembered {
		t.Errorf("got %+v, want the last failure", err)
	}
	w.wantRequests(t, 2)
	w.clock.pass(5 * time.Minute)
	w.want(t, Enforce, "one", HTTP)
	w.says(policyText)
	w.clock.pass(5 * time.Minute)
	w.want(t, Enforce, "one", "")
	w.wantRequests(t, 4)
}

// RFC 8461, 3.3: what cannot be had live does not take back what is cached.
func TestRFC8461_3_3_cached_policy_applies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(t *testing.T, w *world)
		step   Step
	}{
		{"the record is gone", func(t *testing.T, w *world) { w.zone(t, noRecord) }, ""},
		{"the record is malformed", func(t *testing.T, w *world) { w.zone(t, zoneText("a-b")) }, ""},
		{"SERVFAIL", func(t *testing.T, w *world) { w.zone(t, zoneText("one")+";FAULT SERVFAIL _mta-sts.example.org. TXT\n") }, Record},
		{"the DNS is silent", func(t *testing.T, w *world) { w.zone(t, zoneText("one")+";FAULT TIMEOUT _mta-sts.example.org. TXT\n") }, Record},
		{"new id, no address", func(t *testing.T, w *world) { w.zone(t, `_mta-sts.example.org. TXT "v=STSv1; id=two"`) }, Connect},
		{"new id, no certificate", func(t *testing.T, w *world) {
			w.zone(t, zoneText("two"))
			w.set(func(w *world) { w.cert = newAuthority(t).certificate(t, nil, "mta-sts.example.org") })
		}, TLS},
		{"new id, no file", func(t *testing.T, w *world) {
			w.zone(t, zoneText("two"))
			w.set(func(w *world) { w.answer = http.NotFound })
		}, HTTP},
		{"new id, no policy", func(t *testing.T, w *world) {
			w.zone(t, zoneText("two"))
			w.says("mode: none")
		}, Body},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, zoneText("one"), nil)
			w.want(t, Enforce, "one", "")
			c.change(t, w)
			w.clock.pass(time.Hour)
			w.want(t, Enforce, "one", c.step)
			w.clock.pass(7*24*time.Hour - time.Hour)
			w.want(t, "", "", c.step) // expired
		})
	}
}

func TestRFC8461_3_3_no_record_to_be_had_is_none(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zoneText("one")+";FAULT SERVFAIL _mta-sts.example.org. TXT\n", nil)
	err := w.want(t, "", "", Record)
	if e, ok := errors.AsType[*dns.Error](err); !ok || e.Kind != dns.ServFail {
		t.Errorf("got %v, want SERVFAIL", err)
	}
	w.wantRequests(t, 0)
}

func TestRFC8461_3_3_five_minutes_after_a_failure(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zoneText("one"), nil)
	w.set(func(w *world) { w.answer = http.NotFound })
	if err := w.want(t, "", "", HTTP); err.Remembered || !errors.Is(err, ErrStatus) {
		t.Errorf("got %+v", err)
	}
	w.says(policyText)
	w.clock.pass(5*time.Minute - time.Second)
	if err := w.want(t, "", "", HTTP); !err.Remembered || !strings.Contains(err.Error(), "404") {
		t.Errorf("got %+v, want the last failure", err)
	}
	w.wantRequests(t, 1)
	w.clock.pass(time.Second)
	w.want(t, Enforce, "one", "")
	w.wantRequests(t, 2)
}

// RFC 8461, 3.3: a policy that was mended, and its id changed, need not wait.
func TestRFC8461_3_3_new_id_after_a_failure(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zoneText("one"), nil)
	w.says("hello")
	w.want(t, "", "", Body)
	w.says(policyText)
	w.zone(t, zoneText("two"))
	w.want(t, Enforce, "two", "")
}

func TestRFC8461_5_1_expiry(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zoneText("one"), nil)
	w.want(t, Enforce, "one", "")
	w.clock.pass(7 * 24 * time.Hour)
	w.set(func(w *world) { w.answer = http.NotFound })
	w.want(t, "", "", HTTP)
}

func TestRFC8461_3_2_max_age_0(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zoneText("one"), nil)
	w.says("version: STSv1\nmode: enforce\nmx: mx.example.org\nmax_age: 0")
	w.want(t, Enforce, "one", "")
	w.want(t, Enforce, "one", "")
	w.wantRequests(t, 2)
}

// RFC 8461, 8.3: a domain that leaves says so with mode none.
func TestRFC8461_8_3_removal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zoneText("one"), nil)
	w.want(t, Enforce, "one", "")
	w.zone(t, zoneText("two"))
	w.says("version: STSv1\nmode: none\nmax_age: 86400")
	w.want(t, None, "two", "")
	w.zone(t, noRecord)
	w.want(t, None, "two", "")
}

func TestManyAskersShareOneFetch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zoneText("one"), nil)
	release := make(chan struct{})
	w.set(func(w *world) {
		w.answer = func(out http.ResponseWriter, r *http.Request) {
			<-release
			text(policyText)(out, r)
		}
	})
	const askers = 20
	var asked, all sync.WaitGroup
	asked.Add(askers)
	inner := w.Client.dns
	w.Client.dns = dns.ResolverFunc(func(ctx context.Context, q dns.Question) (dns.Answer, error) {
		a, err := inner.Resolve(ctx, q)
		if q.Type == dns.TXT {
			asked.Done()
		}
		return a, err
	})
	for range askers {
		all.Go(func() {
			if p, err := w.Policy(t.Context(), "example.org"); p.Mode != Enforce || err != nil {
				t.Errorf("got %+v, %v", p, err)
			}
		})
	}
	asked.Wait()
	close(release)
	all.Wait()
	w.wantRequests(t, 1)
}

func TestFirstAskerLeaves(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zoneText("one"), nil)
	begun, release := make(chan struct{}), make(chan struct{})
	w.set(func(w *world) {
		w.answer = func(out http.ResponseWriter, r *http.Request) {
			close(begun)
			<-release
			text(policyText)(out, r)
		}
	})
	left := errors.New("the first asker leaves")
	ctx, leave := context.WithCancelCause(t.Context())
	first := make(chan error)
	go func() {
		_, err := w.Policy(ctx, "example.org")
		first <- err
	}()
	<-begun
	leave(left)
	err := <-first
	if _, ok := errors.AsType[*FetchError](err); ok || !errors.Is(err, left) {
		t.Errorf("got %v, want %v", err, left)
	}
	close(release)
	w.want(t, Enforce, "one", "")
	w.wantRequests(t, 1)
}

// Whoever is out of time does not hear "no policy" where one is cached, nor that this is final.
func TestAskerWithoutTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zoneText("one"), nil)
	w.want(t, Enforce, "one", "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p, err := w.Policy(ctx, "example.org")
	if _, ok := errors.AsType[*FetchError](err); ok || !errors.Is(err, context.Canceled) || p.Mode != Enforce {
		t.Errorf("got %+v, %v", p, err)
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zoneText("one"), nil)
	begun := make(chan struct{})
	w.set(func(w *world) {
		w.answer = func(_ http.ResponseWriter, r *http.Request) {
			close(begun)
			<-r.Context().Done()
		}
	})
	result := make(chan error)
	go func() {
		_, err := w.Policy(t.Context(), "example.org")
		result <- err
	}()
	<-begun
	w.Close()
	if err := <-result; !errors.Is(err, errClosed) {
		t.Errorf("got %v, want %v", err, errClosed)
	}
	if err := w.want(t, "", "", Connect); !errors.Is(err, errClosed) || err.Remembered {
		t.Errorf("after it: got %+v, want %v", err, errClosed)
	}
	w.Close()
}

// domains makes a zone in which all of them have a policy.
func domains(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "_mta-sts.d%d.example. TXT \"v=STSv1; id=one\"\nmta-sts.d%d.example. A 192.0.2.1\n", i, i)
	}
	return b.String()
}

func TestCacheForgetsTheLeastRecentlyUsed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, domains(4), func(c *Config) { c.Entries = 3 })
	ca := newAuthority(t)
	w.cfg.Roots, w.cert = ca.pool, ca.certificate(t, nil, "mta-sts.d0.example", "mta-sts.d1.example", "mta-sts.d2.example", "mta-sts.d3.example")
	for _, c := range []struct {
		domain int
		want   int // requests after it
	}{
		{0, 1}, {1, 2}, {2, 3},
		{0, 3}, // d1 is now the oldest
		{3, 4}, {0, 4}, {2, 4}, {1, 5}, {3, 6},
	} {
		if p, err := w.Policy(t.Context(), fmt.Sprintf("d%d.example", c.domain)); p.Mode != Enforce || err != nil {
			t.Fatalf("d%d: %+v, %v", c.domain, p, err)
		}
		w.wantRequests(t, c.want)
	}
	if len(w.cache.places) != 3 || w.cache.order.Len() != 3 {
		t.Errorf("%d and %d entries", len(w.cache.places), w.cache.order.Len())
	}
}

func TestCacheIsBoundedInOctets(t *testing.T) {
	t.Parallel()
	const octets = 100_000
	c := newCache(1000, octets)
	held := func() (n int) {
		for place := c.order.Front(); place != nil; place = place.Next() {
			n += place.Value.(*entry).weight()
		}
		return n
	}
	for i := range 500 {
		e := &entry{domain: fmt.Sprintf("d%d.example", i%300)}
		for range i % 50 {
			e.policy.MX = append(e.policy.MX, strings.Repeat("a", i%60))
		}
		if i%7 == 0 {
			e.failed = &FetchError{Err: errors.New(strings.Repeat("x", i))}
		}
		c.put(e)
		if c.get(e.domain) != e || c.held != held() || c.held > octets || len(c.places) != c.order.Len() {
			t.Fatalf("after %d: %d octets, said to be %d; %d entries, %d places", i, held(), c.held, c.order.Len(), len(c.places))
		}
	}
	if c.order.Len() < 20 {
		t.Errorf("%d entries", c.order.Len())
	}
	last, before := "d199.example", c.order.Len()
	c.put(&entry{domain: last, policy: Policy{MX: []string{strings.Repeat("a", octets)}}})
	if c.held != held() || c.order.Len() != before-1 || c.get(last) != nil {
		t.Errorf("an entry beyond the bound: %d octets, %d entries of %d", c.held, c.order.Len(), before)
	}
}

// What is remembered of a failure holds none of the certificates that a stranger sent.
func TestCacheKeepsTheTextOfFailuresAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zoneText("one"), nil)
	w.set(func(w *world) { w.cert = newAuthority(t).certificate(t, nil, "mta-sts.example.org") })
	first := w.want(t, "", "", TLS)
	again := w.want(t, "", "", TLS)
	if !again.Remembered || errors.Unwrap(again.Err) != nil || first.Error() != again.Error() {
		t.Errorf("got %#v, then %#v", first, again)
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	good := Defaults()
	good.Dial = (&world{}).dial
	for name, change := range map[string]func(*Config){
		"Dial":    func(c *Config) { c.Dial = nil },
		"Now":     func(c *Config) { c.Now = nil },
		"Port":    func(c *Config) { c.Port = 65536 },
		"Timeout": func(c *Config) { c.Timeout = time.Minute + 1 },
		"Refresh": func(c *Config) { c.Refresh = 0 },
		"Again":   func(c *Config) { c.Again = -1 },
		"Size":    func(c *Config) { c.Size = 0 },
		"Entries": func(c *Config) { c.Entries = 0 },
	} {
		c := good
		change(&c)
		if _, err := New(c, nil); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := New(good, nil); err != nil {
		t.Error(err)
	}
}

// A policy or a failure that was learnt in the future is learnt anew: the clock has been set back since.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	const years = 3 * 365 * 24 * time.Hour
	w := newWorld(t, zoneText("one"), nil)
	w.clock.pass(years)
	w.want(t, Enforce, "one", "")
	w.clock.pass(-years)
	w.want(t, Enforce, "one", "")
	w.wantRequests(t, 2)
	w.clock.pass(years)
	w.want(t, Enforce, "one", "")
	w.clock.pass(-years)
	w.set(func(w *world) { w.answer = http.NotFound })
	w.want(t, "", "", HTTP) // nobody knows how long the old one lives
	w.clock.pass(5 * time.Minute)
	w.says(policyText)
	w.want(t, Enforce, "one", "")
	w.wantRequests(t, 5)
}
