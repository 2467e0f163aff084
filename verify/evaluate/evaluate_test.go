package evaluate

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"checkauth/verify"
	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/mail"
	"checkauth/verify/result"
)

const zone = `
example.org.             TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc.example.org.      TXT "v=DMARC1; p=reject"
mx.example.org.          A   192.0.2.1
1.2.0.192.in-addr.arpa.  PTR mx.example.org.
`

func message(t *testing.T, ip, raw string) *verify.Message {
	t.Helper()
	m := &verify.Message{
		Envelope: verify.Envelope{ID: "test", Host: "verifier.example", Time: time.Now(), Helo: "mx.example.org",
			MailFrom: "a@example.org", Client: netip.AddrPortFrom(netip.MustParseAddr(ip), 25), Purpose: verify.ForTest},
		Whole: mail.Data{At: strings.NewReader(raw), Size: int64(len(raw))},
	}
	var err error
	if m.Fields, m.Body, err = mail.Split(m.Whole, mail.DefaultBounds()); err != nil {
		t.Fatal(err)
	}
	return m
}

const plain = "From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n"

func TestEvaluate(t *testing.T) {
	t.Parallel()
	ev := Evaluator{Config: Defaults(), DNS: dnstest.Zone(t, zone), Now: time.Now}
	r := ev.Evaluate(t.Context(), message(t, "192.0.2.1", plain))
	for method, want := range map[string]result.Word{
		verify.MethodSPF: result.Pass, verify.MethodSPFHelo: result.None, verify.MethodDKIM: result.None,
		verify.MethodDMARC: result.Pass, verify.MethodIPRev: result.Pass, verify.MethodHelo: result.Pass, verify.MethodTLS: result.None,
	} {
		if got := r.Check(method); got.Result != want {
			t.Errorf("%s: got %s (%s; %s), want %s", method, got.Result, got.Reason, got.Cause, want)
		}
	}
	if r.Verdict.Word != verify.Authenticated {
		t.Errorf("verdict: got %s, want pass", r.Verdict.Word)
	}
}

func TestOneFailingCheckDoesNotTakeTheOthersDown(t *testing.T) {
	t.Parallel()
	var told string
	ev := Evaluator{Config: Defaults(), DNS: dnstest.Zone(t, zone), Now: time.Now,
		Panicked: func(id, method string, v any, _ []byte) { told = id + " " + method + " " + v.(string) }}
	e := ev.Begin(t.Context(), message(t, "192.0.2.1", plain).Envelope)
	e.early.Wait()
	e.start(&e.early, check{method: verify.MethodHelo, run: func(context.Context, Evaluator, dns.Resolver, input) []result.Outcome { panic("oops") }}, input{})
	r, err := e.Finish(message(t, "192.0.2.1", plain))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Check(verify.MethodHelo); got.Result != result.TempError || got.Reason.Code != "check-panicked" {
		t.Errorf("helo: got %s (%s), want temperror (check-panicked)", got.Result, got.Reason)
	}
	if told != "test helo oops" {
		t.Errorf("told %q", told)
	}
	if got := r.Check(verify.MethodSPF).Result; got != result.Pass {
		t.Errorf("spf: got %s, want pass", got)
	}
}

func TestSilentDNSIsTempErrorWhenTheTimeIsOver(t *testing.T) {
	t.Parallel()
	silent := dns.ResolverFunc(func(ctx context.Context, q dns.Question) (dns.Answer, error) {
		<-ctx.Done()
		return dns.Answer{}, &dns.Error{Question: q, Kind: dns.Canceled, Err: context.Cause(ctx)}
	})
	cfg := Defaults()
	cfg.Evaluation = 50 * time.Millisecond
	r := Evaluator{Config: cfg, DNS: silent, Now: time.Now}.Evaluate(t.Context(), message(t, "192.0.2.1", plain))
	for _, method := range []string{verify.MethodSPF, verify.MethodIPRev, verify.MethodDMARC} {
		got := r.Check(method)
		if got.Result != result.TempError || !strings.Contains(got.Cause, "50ms for one message are over") {
			t.Errorf("%s: got %s (cause %q), want temperror with the deadline as its cause", method, got.Result, got.Cause)
		}
	}
	if r.Verdict.Word != verify.Unknown {
		t.Errorf("verdict: got %s, want unknown", r.Verdict.Word)
	}
}

func TestPrivateClientIsNotEvaluated(t *testing.T) {
	t.Parallel()
	ev := Evaluator{Config: Defaults(), DNS: dnstest.Zone(t, zone), Now: time.Now}
	for _, ip := range []string{"10.1.2.3", "100.64.0.1", "fd00::1", "fe80::1"} {
		r := ev.Evaluate(t.Context(), message(t, ip, plain))
		for _, method := range []string{verify.MethodSPF, verify.MethodSPFHelo, verify.MethodIPRev} {
			if got := r.Check(method).Result; got != result.NotRun {
				t.Errorf("%s, %s: got %s, want not run", ip, method, got)
			}
		}
		if r.Verdict.Word != verify.Unknown {
			t.Errorf("%s: verdict %s, want unknown: what was not run proves nothing", ip, r.Verdict.Word)
		}
	}
}

func TestBudgetsAddUp(t *testing.T) {
	t.Parallel()
	sum, diagnosis := 0, diagnosisBudget
	for _, c := range list {
		sum += c.budget
		diagnosis += c.diagnosis
	}
	if sum != 200 {
		t.Errorf("the checks may ask %d questions, want 200", sum)
	}
	if diagnosis > 60 {
		t.Errorf("the checks may ask %d questions more about why, want at most 60", diagnosis)
	}
}

func TestReadersEndWithTheContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	m := bounded(ctx, message(t, "192.0.2.1", plain))
	over := errors.New("over")
	cancel(over)
	var b bytes.Buffer
	if _, err := b.ReadFrom(m.Body.Reader()); !errors.Is(err, over) {
		t.Errorf("read after the end: got %v, want the cause of the end", err)
	}
}

// What cannot be read is said, and not taken for a mail without From and signature.
func TestUnreadableHeaderIsSaid(t *testing.T) {
	t.Parallel()
	m := message(t, "192.0.2.1", plain)
	m.Fields, m.Body, m.Unparsed = nil, mail.Data{}, mail.ErrTooManyFields
	r := Evaluator{Config: Defaults(), DNS: dnstest.Zone(t, zone), Now: time.Now}.Evaluate(t.Context(), m)
	for _, method := range []string{verify.MethodDKIM, verify.MethodDMARC} {
		if got := r.Check(method); got.Result != result.NotRun || got.Reason.Code != "message-not-read" {
			t.Errorf("%s: got %s (%s), want not run", method, got.Result, got.Reason)
		}
	}
	if r.Verdict.Word != verify.NotProved || len(r.Findings) == 0 || r.Findings[0].Code != "message-unparsable" {
		t.Errorf("verdict %s, findings %v", r.Verdict.Word, r.Findings)
	}
}

// Over the quota of questions nothing passes and nothing fails: it could not be learnt.
func TestQuotaIsTempError(t *testing.T) {
	t.Parallel()
	quota := &dns.Quotas{PerNetwork: 1, PerTarget: 100, Made: 100, PerServer: 60, Now: time.Now}
	m := message(t, "192.0.2.1", plain)
	e := Evaluator{Config: Defaults(), DNS: dnstest.Zone(t, zone), Quota: quota, Now: time.Now}.Begin(t.Context(), m.Envelope)
	e.Header(m.Fields)
	r, err := e.Finish(m)
	// Where the quota is met before the message is in, its checks are not even begun.
	got := r.Check(verify.MethodDMARC).Result
	if _, quota := errors.AsType[*dns.QuotaError](err); !quota || got != result.TempError && got != "" || r.Verdict.Word != verify.Unknown {
		t.Errorf("dmarc: got %q, verdict %s, error %v; want temperror or nothing, unknown, and the quota", got, r.Verdict.Word, err)
	}
}

// An outage is never a pass and never the sender's mistake; lost datagrams are asked again.
func TestFaultsOfTheDNS(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault string
		want  result.Word
	}{
		{"SERVFAIL", result.TempError}, {"REFUSED", result.TempError}, {"TIMEOUT", result.TempError}, {"DELAY=5s", result.TempError},
		{"ALLGARBAGE", result.TempError}, {"BOGUS", result.TempError}, {"LAME", result.TempError}, {"RCODE=5", result.TempError},
		{"DROP=4", result.Pass}, {"GARBAGE", result.Pass}, {"WRONGID", result.Pass}, {"TRUNCATE", result.Pass},
	} {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			ev := Evaluator{Config: Defaults(), DNS: dnstest.Zone(t, zone+";FAULT "+c.fault+" *.example.org ANY\n"), Now: time.Now}
			r := ev.Evaluate(t.Context(), message(t, "192.0.2.1", plain))
			for _, method := range []string{verify.MethodSPF, verify.MethodDMARC} {
				if got := r.Check(method); got.Result != c.want {
					t.Errorf("%s: got %s (%s; %s), want %s", method, got.Result, got.Reason, got.Cause, c.want)
				}
			}
			if want := map[result.Word]verify.VerdictWord{result.Pass: verify.Authenticated, result.TempError: verify.Unknown}[c.want]; r.Verdict.Word != want {
				t.Errorf("verdict %s, want %s", r.Verdict.Word, want)
			}
		})
	}
}

// What only informs may hang, and the verdict does not wait for it: the keys of an ARC chain and the mail
// servers of the author's domain never answer here.
func TestInformationHoldsUpNoVerdict(t *testing.T) {
	t.Parallel()
	up := dnstest.Zone(t, zone)
	hanging := dns.ResolverFunc(func(ctx context.Context, q dns.Question) (dns.Answer, error) {
		if q.Type == dns.MX || strings.Contains(q.Name, "sealer.example") {
			<-ctx.Done()
			return dns.Answer{}, &dns.Error{Question: q, Kind: dns.Canceled, Err: context.Cause(ctx)}
		}
		return up.Resolve(ctx, q)
	})
	tags := " i=1; a=rsa-sha256; d=sealer.example; s=x; b=AAAA"
	sealed := "ARC-Seal: cv=none;" + tags + "\r\nARC-Message-Signature: bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; h=From;" + tags +
		"\r\nARC-Authentication-Results: i=1; sealer.example; none\r\n"
	cfg := Defaults()
	cfg.Evaluation = 2 * time.Second
	r := Evaluator{Config: cfg, DNS: hanging, Now: time.Now}.Evaluate(t.Context(), message(t, "192.0.2.1", sealed+plain))
	if d := r.Check(verify.MethodDMARC); d.Result != result.Pass || r.Verdict.Word != verify.Authenticated {
		t.Errorf("DMARC: got %s (%s), verdict %s, want pass", d.Result, d.Reason, r.Verdict.Word)
	}
	for _, method := range []string{verify.MethodARC, verify.MethodInbound} {
		if c := r.Check(method); c.Result != result.TempError {
			t.Errorf("%s: got %s (%s), want temperror", method, c.Result, c.Reason)
		}
	}
}
