package respond_test

import (
	"slices"
	"strings"
	"testing"

	"checkauth/verify"
	"checkauth/verify/dns/dnstest"
)

// What a domain publishes holds however the forger spells the address: each hears the same refusal, and nothing is mailed.
func TestRFC5890_2_3_2_4_every_spelling_of_a_domain_is_refused(t *testing.T) {
	t.Parallel()
	const mx = "xn--bcher-kva.example. MX 10 in.example.net.\nin.example.net. A 192.0.2.25\n"
	for name, c := range map[string]struct{ record, says string }{
		"p=reject":     {`_dmarc.xn--bcher-kva.example. TXT "v=DMARC1; p=reject"`, "_dmarc.xn--bcher-kva.example"},
		"p=quarantine": {`_dmarc.xn--bcher-kva.example. TXT "v=DMARC1; p=quarantine"`, "_dmarc.xn--bcher-kva.example"},
		"-all":         {`xn--bcher-kva.example. TXT "v=spf1 -all"`, "SPF: xn--bcher-kva.example does not let 192.0.2.1 send"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t)
			h.Run.DNS = dnstest.Zone(t, zone+mx+c.record, patient)
			var first []string
			for _, spelling := range spellings {
				for _, domain := range []string{"b\u00fccher.example", "B\u00dccher.EXAMPLE"} {
					from := spelling(domain)
					m := h.message(t, free, func(e *verify.Envelope) { e.MailFrom = from })
					a := h.answers(t, m, 550, c.says)
					for i, l := range a.Lines {
						a.Lines[i] = strings.ReplaceAll(l, m.Envelope.ID, "ID")
					}
					if first == nil {
						first = a.Lines
					}
					if !slices.Equal(a.Lines, first) {
						t.Errorf("%s: got %q, others %q", from, a.Lines, first)
					}
				}
			}
			h.nothing(t)
		})
	}
}
