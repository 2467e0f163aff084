package evaluate

import (
	"bytes"
	"context"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"checkauth/verify"
	"checkauth/verify/advise"
	"checkauth/verify/dns"
	"checkauth/verify/known"
	"checkauth/verify/mail"
	"checkauth/verify/receivers"
	"checkauth/verify/result"
)

// says answers every TXT question with one text, and everything else with one address or name.
func says(text string) dns.Resolver {
	return dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
		r := dns.Record{Name: q.Name, Type: q.Type, TTL: 300, Target: "mx.example.org", Addr: netip.MustParseAddr("192.0.2.1")}
		switch q.Type {
		case dns.TXT:
			r.Strings = []string{text}
		case dns.AAAA:
			r.Addr = netip.MustParseAddr("2001:db8::1")
		case dns.SOA, dns.NS, dns.CNAME:
			return dns.Answer{Question: q}, nil
		}
		return dns.Answer{Question: q, Records: []dns.Record{r}}, nil
	})
}

// provedActions: at most three, and every change of the DNS has its proof, which is better than what was.
func provedActions(t *testing.T, r *verify.Report) {
	t.Helper()
	if len(r.Actions) > advise.Most {
		t.Fatalf("%d actions", len(r.Actions))
	}
	for _, a := range r.Actions {
		if (a.Name != "") != (a.Proof != nil) {
			t.Fatalf("%s %q: proof %+v", a.Code, a.Name, a.Proof)
		}
		if a.Proof != nil && a.Proof.Before.DMARC == result.Pass && a.Proof.DMARC != result.Pass {
			t.Fatalf("%s %q makes DMARC worse: %+v", a.Code, a.Value, a.Proof)
		}
	}
}

// FuzzEvaluate is the whole path from a session's bytes and a domain's records to a Report.
func FuzzEvaluate(f *testing.F) {
	f.Add([]byte(plain), "mx.example.org", "a@example.org", "v=spf1 mx -all")
	f.Add([]byte("From: <a@x>:<b@y>\nDKIM-Signature: v=1; a=rsa-sha256; d=x; s=s; h=From; bh=; b=\n\n"), "?192.168.1.5?", "", "v=DKIM1; p=")
	f.Add([]byte("\x00 : \n\tx\nFrom\t: a@b\n"), "[1.2.3.4]", `"a b"@x`, "v=DMARC1; p=reject; sp=none")
	f.Add([]byte(plain), "mx.example.org", "a@example.org", "v=spf1 include:example.net ~all")
	f.Add([]byte(plain), "mx.example.org", "a@example.org", "v=DMARC1 p=rejct rua=mailto:a@example.org")
	atlas, err := known.Load()
	if err != nil {
		f.Fatal(err)
	}
	rules, err := receivers.Load()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte, helo, from, text string) {
		ev := Evaluator{Config: Defaults(), DNS: says(text), Atlas: atlas, Receivers: rules, Now: func() time.Time { return time.Unix(1764000000, 0) },
			Panicked: func(_, method string, v any, stack []byte) { t.Errorf("%s panicked: %v\n%s", method, v, stack) }}
		m := &verify.Message{
			Envelope: verify.Envelope{ID: "fuzz", Host: "verifier.example", Time: ev.Now(), Helo: helo, MailFrom: from,
				Client: netip.MustParseAddrPort("192.0.2.1:25"), Purpose: verify.ForTest},
			Whole: mail.Data{At: strings.NewReader(string(raw)), Size: int64(len(raw))},
		}
		var err error
		if m.Fields, m.Body, err = mail.Split(m.Whole, mail.DefaultBounds()); err != nil {
			m.Unparsed = err
		}
		r := ev.Evaluate(t.Context(), m)
		if r.Verdict.Word == verify.Authenticated && !somethingPassed(r) {
			t.Fatalf("authenticated by nothing: %+v", r.Checks)
		}
		provedActions(t, r)
		first := written(t, r)
		if again := written(t, readAgain(t, first)); !bytes.Equal(written(t, readAgain(t, again)), again) || len(again) == 0 {
			t.Fatalf("read and written again:\n%s\n%s", first, again)
		}
	})
}

func written(t *testing.T, r *verify.Report) []byte {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func readAgain(t *testing.T, b []byte) *verify.Report {
	t.Helper()
	var r verify.Report
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	return &r
}

func somethingPassed(r *verify.Report) bool {
	for _, c := range r.Checks {
		if c.Result == result.Pass && (c.Method == verify.MethodSPF || c.Method == verify.MethodDKIM || c.Method == verify.MethodDMARC) {
			return true
		}
	}
	return false
}
