package evaluate_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"checkauth/verify"
	"checkauth/verify/dkim"
	"checkauth/verify/dns"
	"checkauth/verify/dns/client"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/evaluate"
	"checkauth/verify/known"
	"checkauth/verify/known/knowntest"
	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// incident is a case.json of verify/testdata/cases.
type incident struct {
	Title    string
	ClientIP string `json:"client_ip"`
	Helo     string `json:"helo"`
	MailFrom string `json:"mail_from"`
	RcptTo   string `json:"rcpt_to"`
	TLS      bool   `json:"tls"`
	Expect   struct {
		SPF       string   `json:"spf"`
		SPFHelo   string   `json:"spf_helo"`
		DKIM      []string `json:"dkim"`
		DMARC     string   `json:"dmarc"`
		IPRev     string   `json:"iprev"`
		Causes    []string `json:"causes"`
		NotCauses []string `json:"not_causes"`

		Actions      []wantedAction
		MustNotTouch []string `json:"must_not_touch"`
		MustNotSay   []string `json:"must_not_say"`
	}
}

// wantedAction must be matched by one action of the report.
type wantedAction struct {
	Name, Type     string
	MustContain    []string `json:"must_contain"`
	MustNotContain []string `json:"must_not_contain"`
	After          struct{ SPF, DKIM, DMARC result.Word }
}

// causesNamed is how many of the incidents have all of their causes, and none that is wrong. It may only
// rise: the later checks (why a signature broke, advice) name the rest.
const causesNamed = 27

const cases = "../testdata/cases"

func TestCases(t *testing.T) {
	t.Parallel()
	dirs, err := filepath.Glob(cases + "/*/case.json")
	if err != nil || len(dirs) != 27 {
		t.Fatalf("%d incidents below %s, want 27 (%v)", len(dirs), cases, err)
	}
	named := 0
	for _, file := range dirs {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			c, r := evaluateCase(t, dir)
			checkWords(t, c, r)
			checkActions(t, dir, c, r)
			checkSettings(t, r)
			if missing := causes(c, r); len(missing) > 0 {
				t.Logf("causes: %s", strings.Join(missing, ", "))
			} else {
				named++
			}
		})
	}
	t.Logf("causes named in %d of %d incidents", named, len(dirs))
	if named != causesNamed {
		t.Errorf("causes named in %d incidents, the register says %d: it may only rise, then write the new number there", named, causesNamed)
	}
}

// checkSettings: what is set in a mail system neither breaks it nor does nothing.
func checkSettings(t *testing.T, r *verify.Report) {
	t.Helper()
	for _, a := range r.Actions {
		for _, s := range a.Settings {
			if why := knowntest.Refused(t, s.Value); why != "" {
				t.Errorf("%s: %q: %s", a.Code, s, why)
			}
		}
	}
}

func evaluateCase(t *testing.T, dir string) (incident, *verify.Report) {
	t.Helper()
	return evaluateCaseWith(t, dir, func(zone string) string { return zone })
}

func evaluateCaseIn(t *testing.T, dir, zone string) (incident, *verify.Report) {
	t.Helper()
	var c incident
	b, err := os.ReadFile(filepath.Join(dir, "case.json"))
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "message.eml"))
	if err != nil {
		t.Fatal(err)
	}
	env := verify.Envelope{ID: "case", Host: "verifier.example", Time: time.Now(), Helo: c.Helo, MailFrom: c.MailFrom,
		Client: netip.AddrPortFrom(netip.MustParseAddr(c.ClientIP), 0), RcptTo: []string{c.RcptTo}, Purpose: verify.ForTest}
	if c.TLS {
		env.TLS = &verify.TLS{}
	}
	return c, evaluated(t, zone, env, raw)
}

// evaluate runs the whole evaluation of a message against a zone.
func evaluated(t *testing.T, zone string, env verify.Envelope, raw []byte) *verify.Report {
	t.Helper()
	m := &verify.Message{Envelope: env, Whole: mail.Data{At: bytes.NewReader(raw), Size: int64(len(raw))}}
	var err error
	if m.Fields, m.Body, err = mail.Split(m.Whole, mail.DefaultBounds()); err != nil {
		t.Fatal(err)
	}
	// The zones' name servers have addresses of loopback and listen on the resolver's port.
	server := dnstest.New(t, zone, dnstest.WithAuthoritative())
	authorities := client.Authorities(server.Addr().Port(), netip.Addr.IsLoopback)
	atlas, err := known.Load()
	if err != nil {
		t.Fatal(err)
	}
	authorities.Servers = 4
	ev := evaluate.Evaluator{Config: evaluate.Defaults(), DNS: server.Client(t), Authorities: &authorities, Now: time.Now,
		Atlas: atlas, Quota: served(),
		Panicked: func(_, method string, v any, stack []byte) { t.Errorf("%s panicked: %v\n%s", method, v, stack) }}
	e := ev.Begin(t.Context(), m.Envelope)
	e.Header(m.Fields)
	r, err := e.Finish(m)
	if err := cmp.Or(err, e.Spared()); err != nil {
		t.Errorf("one mail meets a quota: %v", err)
	}
	return r
}

// served are the quotas that serve has of itself.
func served() *dns.Quotas {
	q := dns.DefaultQuotas()
	q.Selectors = dkim.UsualSelectors
	return q
}

func checkWords(t *testing.T, c incident, r *verify.Report) {
	t.Helper()
	for _, w := range []struct{ method, want string }{
		{verify.MethodSPF, c.Expect.SPF}, {verify.MethodSPFHelo, c.Expect.SPFHelo},
		{verify.MethodDMARC, c.Expect.DMARC}, {verify.MethodIPRev, c.Expect.IPRev},
	} {
		got := r.Check(w.method)
		if !slices.Contains(strings.Split(w.want, "|"), string(got.Result)) {
			t.Errorf("%s: got %s (%s; %s), want %s", w.method, got.Result, got.Reason, got.Cause, w.want)
		}
	}
	signatures := r.All(verify.MethodDKIM)
	if len(signatures) != len(c.Expect.DKIM) {
		t.Fatalf("dkim: got %d results, want %d", len(signatures), len(c.Expect.DKIM))
	}
	for i, want := range c.Expect.DKIM {
		if got := signatures[i]; !slices.Contains(strings.Split(want, "|"), string(got.Result)) {
			t.Errorf("dkim %d: got %s (%s; %s), want %s", i, got.Result, got.Reason, got.Cause, want)
		}
	}
}

// causes lists what is missing among the findings or wrongly there.
func causes(c incident, r *verify.Report) (wrong []string) {
	has := func(codes string) bool {
		for _, f := range r.Findings {
			if slices.Contains(strings.Split(codes, "|"), string(f.Code)) {
				return true
			}
		}
		return false
	}
	for _, want := range c.Expect.Causes {
		if !has(want) {
			wrong = append(wrong, "missing "+want)
		}
	}
	for _, not := range c.Expect.NotCauses {
		if has(not) {
			wrong = append(wrong, "wrong "+not)
		}
	}
	return wrong
}
