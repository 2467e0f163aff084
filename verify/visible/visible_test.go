package visible

import (
	"testing"
	"time"

	"checkauth/verify/dns"
)

func TestPauseHasBounds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		v    Round
		want time.Duration
	}{
		{"the servers", Round{Held: true}, serverPause},
		{"the first that forgets", Round{Resolvers: []Answer{{State: NotYet, TTL: 40}, {State: NotYet, TTL: 20}, {State: OK, TTL: 7}}}, 21 * time.Second},
		{"never at once", Round{Resolvers: []Answer{{State: NotYet}}}, minPause},
		{"not for a day", Round{Resolvers: []Answer{{State: NotYet, TTL: 86400}}}, maxPause},
	} {
		if got := c.v.pause(); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

// Whatever the DNS shows of a text is taken by --want again.
func FuzzWantedText(f *testing.F) {
	f.Add("v=spf1 -all")
	f.Add("a\"\\\x00\xff")
	f.Fuzz(func(t *testing.T, s string) {
		if s == "" || len(s) > 500 {
			return
		}
		half := len(s) / 2
		r := dns.Record{Type: dns.TXT, Strings: []string{s[:half], s[half:]}}
		if got, err := Wanted(dns.TXT, r.Data()); err != nil || got != plain(r) {
			t.Fatalf("%s: got %q, %v, want %q", r.Data(), got, err, s)
		}
		_, _ = Wanted(dns.TXT, s)
		for _, kind := range Types {
			if got, err := Wanted(kind, s); err == nil && kind != dns.TXT {
				if again, err := Wanted(kind, got); err != nil && kind != dns.MX || err == nil && again != got {
					t.Fatalf("%s: %q is read as %q, and that as %q, %v", kind, s, got, again, err)
				}
			}
		}
	})
}

// A time of day is not before the time that it stands for.
func TestClock(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 14, 0, 0, 0, time.UTC)
	for after, want := range map[time.Duration]string{
		0: "14:00 UTC", time.Second: "14:01 UTC", 32 * time.Minute: "14:32 UTC", 10 * time.Hour: "26 Nov 2026 00:00 UTC", 366 * 24 * time.Hour: "26 Nov 2027 14:00 UTC",
	} {
		if got := Clock(now.Add(after), now); got != want {
			t.Errorf("%s: got %s, want %s", after, got, want)
		}
	}
}
