package receivers_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"checkauth/verify"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/mail"
	"checkauth/verify/receivers"
	"checkauth/verify/run"
)

// session is what SMTP said, as in a case.json.
type session struct {
	ClientIP string `json:"client_ip"`
	Helo     string `json:"helo"`
	MailFrom string `json:"mail_from"`
	TLS      bool   `json:"tls"`
}

// evaluate runs the whole evaluation of a message against a zone.
func evaluate(t *testing.T, zone string, s session, raw []byte) *verify.Report {
	t.Helper()
	env := verify.Envelope{ID: "test", Host: "verifier.example", Time: time.Now(), Helo: s.Helo, MailFrom: s.MailFrom,
		Client: netip.AddrPortFrom(netip.MustParseAddr(s.ClientIP), 0), RcptTo: []string{"check-auth@verifier.example"}}
	if s.TLS {
		env.TLS = &verify.TLS{}
	}
	m := &verify.Message{Envelope: env, Whole: mail.Data{At: bytes.NewReader(raw), Size: int64(len(raw))}}
	var err error
	if m.Fields, m.Body, err = mail.Split(m.Whole, mail.DefaultBounds()); err != nil {
		t.Fatal(err)
	}
	ev := run.Evaluator{Config: run.Defaults(), DNS: dnstest.New(t, zone).Client(t), Now: time.Now}
	return ev.Evaluate(t.Context(), m)
}

func judged(t *testing.T, r *verify.Report) []receivers.Verdict {
	t.Helper()
	set, err := receivers.Load()
	if err != nil {
		t.Fatal(err)
	}
	return set.Judge(receivers.FactsOf(r))
}

// inShort is "gmail=reject 550 5.7.26", one a receiver.
func inShort(all []receivers.Verdict) map[string]string {
	out := map[string]string{}
	for _, v := range all {
		out[v.ID] = strings.TrimSpace(v.Verdict + " " + v.Code)
	}
	return out
}

func TestIncidents(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		dir  string
		want map[string]string
	}{
		{"04-helo-private-literal-no-spf", map[string]string{"gmail": "reject 550 5.7.26", "yahoo": "reject 550 5.7.9", "icloud": "reject 554 5.7.1",
			"gmx": "reject 554", "outlook": "junk", "microsoft365": "junk", "cloudflare": "reject"}},
		{"05-forwarded-spf-fails-dkim-saves", map[string]string{"gmail": "accept", "yahoo": "accept", "outlook": "accept", "icloud": "accept",
			"gmx": "reject 550", "microsoft365": "accept"}},
		{"07-mailing-list-tag-and-footer", map[string]string{"gmail": "reject 550 5.7.26", "yahoo": "reject 554 5.7.9", "outlook": "reject 550 5.7.509",
			"icloud": "reject 554 5.7.1", "gmx": "reject 554", "microsoft365": "reject 550 5.7.509"}},
		{"06-dkim-antivirus-footer", map[string]string{"gmail": "accept", "outlook": "accept", "gmx": "reject 554"}},
		{"22-spf-ipv6-not-covered", map[string]string{"microsoft365": "defer 450 4.7.26", "outlook": "defer 450 4.7.26", "gmail": "reject 550 5.7.26"}},
		{"23-ptr-mismatch", map[string]string{"gmail": "reject 550 5.7.25", "yahoo": "junk", "outlook": "junk", "tonline": "reject 554"}},
		{"25-dnssec-bogus", map[string]string{"gmail": "unknown", "yahoo": "unknown", "outlook": "unknown", "icloud": "unknown", "gmx": "unknown"}},
	} {
		t.Run(c.dir, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join("../testdata/cases", c.dir)
			var s session
			if err := json.Unmarshal(read(t, dir, "case.json"), &s); err != nil {
				t.Fatal(err)
			}
			r := evaluate(t, string(read(t, dir, "zone.txt")), s, read(t, dir, "message.eml"))
			all := judged(t, r)
			got := inShort(all)
			for id, want := range c.want {
				if got[id] != want {
					t.Errorf("%s: got %q, want %q", id, got[id], want)
				}
			}
			// What a report that was stored says must be the same, but for the header, which is not stored.
			b, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			var stored verify.Report
			if err := json.Unmarshal(b, &stored); err != nil {
				t.Fatal(err)
			}
			if again := inShort(judged(t, &stored)); again["outlook"] != got["outlook"] || again["microsoft365"] != got["microsoft365"] {
				t.Errorf("from JSON: got %v, want %v", again, got)
			}
		})
	}
}

func read(t *testing.T, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var key = ed25519.NewKeyFromSeed([]byte("check-auth tests, 32 octets long"))

func zone() string {
	return `
$TTL 300
example.org.                  TXT "v=spf1 a:mail.example.org -all"
example.org.                  MX  10 mail.example.org.
mail.example.org.             A   192.0.2.25
mail.example.org.             TXT "v=spf1 a -all"
25.2.0.192.in-addr.arpa.      PTR mail.example.org.
_dmarc.example.org.           TXT "v=DMARC1; p=reject"
s._domainkey.example.org.     TXT "v=DKIM1; k=ed25519; p=` + base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey)) + `"
66.2.0.192.in-addr.arpa.      PTR mail.attacker.example.
mail.attacker.example.        A   192.0.2.66
mail.attacker.example.        TXT "v=spf1 a -all"
attacker.example.             TXT "v=spf1 ip4:192.0.2.66 -all"
`
}

func message(t *testing.T, sign bool) []byte {
	t.Helper()
	raw := "From: Ann <ann@example.org>\r\nTo: check-auth@verifier.example\r\nSubject: test\r\nDate: " +
		time.Now().Format(time.RFC1123Z) + "\r\nMessage-ID: <1@example.org>\r\n\r\nHello\r\n"
	if !sign {
		return []byte(raw)
	}
	var b bytes.Buffer
	if err := dkim.Sign(&b, strings.NewReader(raw), &dkim.SignOptions{Domain: "example.org", Selector: "s", Signer: key, Hash: crypto.SHA256}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestAllWellIsTakenEverywhere(t *testing.T) {
	t.Parallel()
	r := evaluate(t, zone(), session{ClientIP: "192.0.2.25", Helo: "mail.example.org", MailFrom: "ann@example.org", TLS: true}, message(t, true))
	for _, v := range judged(t, r) {
		if v.Verdict != receivers.Accept {
			t.Errorf("%s: got %s %s (%s)", v.ID, v.Verdict, v.Code, v.Text)
		}
		for _, ru := range v.Rules {
			if ru.State != receivers.Met && ru.Scope == receivers.All {
				t.Logf("%s: %s", ru.ID, ru.State)
			}
			if ru.State == receivers.NotMet && ru.Scope != receivers.Marketing {
				t.Errorf("%s: not met, for want of %v", ru.ID, ru.Missing)
			}
		}
	}
}

func TestSpoofedMailIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, mailFrom string }{
		{"the envelope as well", "ann@example.org"}, {"From alone, under an envelope that passes", "x@attacker.example"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := evaluate(t, zone(), session{ClientIP: "192.0.2.66", Helo: "mail.attacker.example", MailFrom: c.mailFrom, TLS: true}, message(t, false))
			got := judged(t, r)
			for id, rule := range map[string]string{"gmail": "gmail-dmarc-policy", "yahoo": "yahoo-dmarc-policy", "outlook": "outlook-dmarc-policy",
				"microsoft365": "m365-dmarc", "icloud": "icloud-dmarc-policy", "gmx": "gmx-dkim-aligned"} {
				i := slices.IndexFunc(got, func(v receivers.Verdict) bool { return v.ID == id })
				v := got[i]
				j := slices.IndexFunc(v.Rules, func(ru receivers.Rule) bool { return ru.ID == rule })
				if v.Verdict != receivers.Reject || !v.Rules[j].Decides {
					t.Errorf("%s: got %s, %s is %s", id, v.Verdict, rule, v.Rules[j].State)
				}
			}
		})
	}
}

// A client behind NAT: SPF and iprev were not run, and nothing may be concluded of that.
func TestWhatWasNotRunIsNotHeldAgainstAnybody(t *testing.T) {
	t.Parallel()
	r := evaluate(t, zone(), session{ClientIP: "192.168.1.5", Helo: "mail.example.org", MailFrom: "ann@example.org", TLS: true}, message(t, true))
	got := inShort(judged(t, r))
	for _, id := range []string{"gmail", "yahoo", "outlook", "gmx"} {
		if got[id] != receivers.Unknown {
			t.Errorf("%s: got %q, want unknown", id, got[id])
		}
	}
	if got["icloud"] != receivers.Accept {
		t.Errorf("icloud: got %q: the signature passes, and it asks for no more", got["icloud"])
	}
}
