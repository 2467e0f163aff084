package respond_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"checkauth/reply/policy"
	"checkauth/verify"
	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
)

// A test while the clock is years off, then the clock is set right: the next report comes as usual, also where the
// service was started anew in between.
func TestClockSetRight(t *testing.T) {
	t.Parallel()
	const years = 3 * 365 * 24 * time.Hour
	for name, off := range map[string]time.Duration{"ahead": years, "behind": -years} {
		for _, restarted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restarted %t", name, restarted), func(t *testing.T) {
				t.Parallel()
				h := build(t)
				h.Policy.Quotas.TotalHour = 2
				h.Run.DNS = dnstest.Zone(t, zone+"bare.example. MX 10 mx.bare.example.\nmx.bare.example. A 192.0.2.77\n", patient)
				h.Run.Quota = &dns.Quotas{PerNetwork: 100, PerTarget: 100, Made: 100, PerServer: 60, Now: h.Run.Now}
				n := 0
				test := func(from string, code int, line string) {
					t.Helper()
					n++
					raw := strings.Replace(letter, "<1@", fmt.Sprintf("<%d@", n), 1)
					if from == "open" { // nothing proves it
						raw = strings.ReplaceAll(raw, "a@example.org", "a@bare.example")
					}
					h.answers(t, h.message(t, raw, func(e *verify.Envelope) {
						if from == "open" {
							e.MailFrom, e.Helo = "a@bare.example", "x.bare.example"
						}
					}), code, line)
				}
				right := h.now
				h.now = right.Add(off)
				test("proved", 250, "report report1 to")
				test("proved", 550, "This address had its reports for now")
				test("open", 250, "report report3 to")
				test("open", 550, "next report after")
				if err := h.store.Sweep(t.Context(), h.now); err != nil {
					t.Fatal(err)
				}
				if restarted {
					h.restart(t)
				}
				h.now = right.Add(30 * time.Second)
				test("proved", 250, "report report5 to")
				test("proved", 550, "next report after "+clockOf(h.now.Add(time.Minute), h.now))
				test("open", 250, "report report7 to")
				test("open", 550, "next report after "+clockOf(h.now.Add(24*time.Hour), h.now))
			})
		}
	}
}

// A token of before still counts when a clock that was years ahead, and swept, is set right.
func TestTokenOutlastsAClockThatIsAhead(t *testing.T) {
	t.Parallel()
	d := newDay(t, []place{{name: "bare.example", mx: []string{"192.0.2.4"}}})
	tests := 0
	open := func(to string) *verify.Message {
		tests++
		return d.message(t, fmt.Sprintf("From: a@bare.example\r\nSubject: test %d\r\n\r\nhello\r\n", tests), func(e *verify.Envelope) {
			e.MailFrom, e.Helo = "a@bare.example", "x.bare.example"
			if to != "" {
				e.RcptTo = []string{to}
			}
		})
	}
	d.answers(t, open(""), 250, "report report1 to")
	token := tokenAddress.FindString(words(t, d.kicked[0]))
	if token == "" {
		t.Fatal("the report has no token address")
	}
	right := d.now
	d.now = right.Add(3 * 365 * 24 * time.Hour)
	d.answers(t, open(""), 250, "report report2 to")
	if err := d.store.Sweep(t.Context(), d.now); err != nil {
		t.Fatal(err)
	}
	d.restart(t)
	d.now = right.Add(2 * time.Minute)
	d.answers(t, open(""), 250, "report report3 to") // the day's one, without a proof
	d.answers(t, open(""), 550, "quota address-day")
	d.answers(t, open(token), 250, "report report5 to")
	// New ones are made with this month's key, not with that of the year ahead.
	const month = policy.KeyLife * 24 * 3600
	name := fmt.Sprintf("token/%08d", d.now.Unix()/month)
	all, err := d.store.Secrets(t.Context(), name, nil, d.now, d.now)
	if err != nil || all[name] == nil {
		t.Fatalf("no secret %s: %v", name, err)
	}
	third := tokenAddress.FindString(words(t, d.kicked[2]))
	token, _, _ = strings.Cut(third[strings.Index(third, "+")+1:], "@")
	if now := (policy.Keys{all[name]}); !now.Valid(policy.Again, "a@bare.example", token, d.now) {
		t.Errorf("the token %q is not of the key of now", third)
	}
}
