package respond_test

import (
	"testing"

	"checkauth/verify"
	"checkauth/verify/dns/dnstest"
)

// The domain's DMARC policy holds however the forger spells the address: nothing is mailed.
func TestRFC5890_2_3_2_4_every_spelling_of_a_domain_is_refused(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.Run.DNS = dnstest.Zone(t, zone+`
xn--bcher-kva.example.        MX  10 in.example.net.
in.example.net.               A   192.0.2.25
_dmarc.xn--bcher-kva.example. TXT "v=DMARC1; p=reject"
`, patient)
	for _, from := range []string{
		"victim@xn--bcher-kva.example", "victim@b\u00fccher.example", "victim@B\u00dcCHER.EXAMPLE", "victim@XN--BCHER-KVA.example",
		"victim@b\u00fccher\u3002example", "victim@b\u00fccher\uff0eexample", "victim@b\u00fccher\uff61example", "victim@bu\u0308cher.example",
		"victim+x@b\u00fccher.example", "x%y@b\u00fccher.example", "b\u00fccher.example!victim@b\u00fccher.example", `"victim"@b` + "\u00fccher.example",
	} {
		h.answers(t, h.message(t, free, func(e *verify.Envelope) { e.MailFrom = from }), 550, "_dmarc.xn--bcher-kva.example")
	}
	if len(h.kicked) != 0 {
		t.Errorf("%d mails to the victim", len(h.kicked))
	}
}
