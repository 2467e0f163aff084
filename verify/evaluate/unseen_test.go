package evaluate

import (
	"strings"
	"testing"
	"time"

	"checkauth/verify"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/known"
	"checkauth/verify/result"
)

// An address that is not the sender's decides nothing, and nobody is advised to publish it.
func TestUnseenClients(t *testing.T) {
	t.Parallel()
	atlas, err := known.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		ip       string
		loopback bool
		code     result.Code // empty: evaluated
		verdict  result.Code
	}{
		{"127.0.0.1", false, "client-address-loopback", "verdict-client-loopback"},
		{"127.3.2.1", false, "client-address-loopback", "verdict-client-loopback"},
		{"::1", false, "client-address-loopback", "verdict-client-loopback"},
		{"::ffff:127.0.0.1", false, "client-address-loopback", "verdict-client-loopback"},
		{"10.0.0.1", false, "client-address-private", "verdict-client-private"},
		{"10.0.0.1", true, "client-address-private", "verdict-client-private"},
		{"127.0.0.1", true, "", "verdict-dmarc-fail"},
		{"192.0.2.9", false, "", "verdict-dmarc-fail"},
	} {
		t.Run(c.ip, func(t *testing.T) {
			t.Parallel()
			for _, all := range []string{"-all", "~all"} {
				ev := Evaluator{Config: Defaults(), Now: time.Now, Loopback: c.loopback, Atlas: atlas,
					DNS: dnstest.Zone(t, strings.Replace(zone, "-all", all, 1))}
				r := ev.Evaluate(t.Context(), message(t, c.ip, plain))
				for _, method := range []string{verify.MethodSPF, verify.MethodSPFHelo, verify.MethodIPRev} {
					got := r.Check(method)
					if run := got.Result != result.NotRun; run != (c.code == "") || !run && got.Reason.Code != c.code {
						t.Errorf("%s, %s: %s (%s), want %q", all, method, got.Result, got.Reason, c.code)
					}
				}
				said := false
				for _, f := range r.Findings {
					said = said || f.Code == c.code && f.Severity == result.Error
				}
				if r.Verdict.Why.Code != c.verdict || said != (c.code != "") || c.code != "" && len(r.Actions) > 0 {
					t.Errorf("%s: verdict %s, findings %v, actions %+v", all, r.Verdict.Why, r.Findings, r.Actions)
				}
			}
		})
	}
}
