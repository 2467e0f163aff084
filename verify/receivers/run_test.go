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
	"checkauth/verify/evaluate"
	"checkauth/verify/mail"
	"checkauth/verify/receivers"
)

// session is what SMTP said, as in a case.json.
type session struct {
	ClientIP string `json:"client_ip"`
	Helo     string `json:"helo"`
	MailFrom string `json:"mail_from"`
	TLS      bool   `json:"tls"`
}

// evaluate runs the whole evaluation of a message against a zone.
func evaluated(t *testing.T, zone string, s session, raw []byte) *verify.Report {
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
	ev := evaluate.Evaluator{Config: evaluate.Defaults(), DNS: dnstest.New(t, zone).Client(t), Now: time.Now}
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
		{"04-helo-private-literal-no-spf", map[string]string{"gmail": "reject 550 5.7.26", "yahoo": "reject 550 5.7.9", "icloud": "unknown",
			"gmx": "unknown", "outlook": "junk", "microsoft365": "junk", "cloudflare": "reject"}},
		{"05-forwarded-spf-fails-dkim-saves", map[string]string{"gmail": "accept", "yahoo": "accept", "outlook": "accept", "icloud": "unknown",
			"gmx": "unknown", "microsoft365": "accept"}},
		{"07-mailing-list-tag-and-footer", map[string]string{"gmail": "reject 550 5.7.26", "yahoo": "reject 554 5.7.9", "outlook": "reject 550 5.7.509",
			"icloud": "reject 554 5.7.1", "gmx": "reject 554", "microsoft365": "reject 550 5.7.509"}},
		{"06-dkim-antivirus-footer", map[string]string{"gmail": "accept", "outlook": "accept", "gmx": "unknown"}},
		{"22-spf-ipv6-not-covered", map[string]string{"microsoft365": "defer 450 4.7.26", "outlook": "defer 450 4.7.26", "gmail": "reject 550 5.7.26"}},
		{"23-ptr-mismatch", map[string]string{"gmail": "reject 550 5.7.25", "yahoo": "accept", "outlook": "accept", "gmx": "unknown", "tonline": "reject 554"}},
		{"25-dnssec-bogus", map[string]string{"gmail": "unknown", "yahoo": "unknown", "outlook": "unknown", "icloud": "unknown", "gmx": "unknown"}},
	} {
		t.Run(c.dir, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join("../testdata/cases", c.dir)
			var s session
			if err := json.Unmarshal(read(t, dir, "case.json"), &s); err != nil {
				t.Fatal(err)
			}
			r := evaluated(t, string(read(t, dir, "zone.txt")), s, read(t, dir, "message.eml"))
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
	return signed(t, raw)
}

func signed(t *testing.T, raw string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := dkim.Sign(&b, strings.NewReader(raw), &dkim.SignOptions{Domain: "example.org", Selector: "s", Signer: key, Hash: crypto.SHA256}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestNothingSpeaksAgainstAMailThatIsAllWell(t *testing.T) {
	t.Parallel()
	r := evaluated(t, zone(), session{ClientIP: "192.0.2.25", Helo: "mail.example.org", MailFrom: "ann@example.org", TLS: true}, message(t, true))
	for _, v := range judged(t, r) {
		if v.Verdict != receivers.Accept && v.Why.Code != "receiver-unknown-few" {
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

// A mail that is all well but for one thing, which a receiver asks for without saying what happens else: its verdict stays.
// Where another receiver publishes what happens, that one's does not.
func TestASingleFaultBreaksOnlyTheVerdictsThatAreKnown(t *testing.T) {
	t.Parallel()
	good := session{ClientIP: "192.0.2.25", Helo: "mail.example.org", MailFrom: "ann@example.org", TLS: true}
	like := func(change func(*session)) session {
		s := good
		change(&s)
		return s
	}
	resigned := func(change func(string) string) []byte { return signed(t, change(string(message(t, false)))) }
	for _, c := range []struct {
		name    string
		zone    string
		session session
		raw     []byte
		asked   []string          // rules that are not met, and decide nothing
		want    map[string]string // verdicts of those that decide
	}{
		{"unsigned", zone(), good, message(t, false), []string{"gmx-dkim-aligned"}, nil},
		{"no TLS", zone(), like(func(s *session) { s.TLS = false }), message(t, true), []string{"gmail-tls"}, nil},
		{"+all", strings.Replace(zone(), "v=spf1 a:mail.example.org -all", "v=spf1 a:mail.example.org +all", 1), good, message(t, true), []string{"gmail-spf-suspicious"}, nil},
		{"no PTR", strings.Replace(zone(), "25.2.0.192.in-addr.arpa.", "26.2.0.192.in-addr.arpa.", 1), good, message(t, true),
			[]string{"yahoo-ptr", "outlook-ptr", "gmx-ptr"}, map[string]string{"gmail": "reject 550 5.7.25", "tonline": "reject 554"}},
		{"a name of a dynamic line", zone() + "77.2.0.192.in-addr.arpa. PTR dyn-192-0-2-77.dsl.example.net.\ndyn-192-0-2-77.dsl.example.net. A 192.0.2.77\n",
			like(func(s *session) { s.ClientIP = "192.0.2.77" }), message(t, true), []string{"outlook-dynamic", "gmx-dynamic"},
			map[string]string{"gmx": "reject", "tonline": "reject 554", "orange": "reject 550 5.5.0"}},
		{"an envelope that does not exist", zone(), like(func(s *session) { s.MailFrom = "x@bounce.example.org" }), message(t, true), []string{"icloud-envelope", "gmx-from-mx"},
			map[string]string{"yahoo": "reject 554"}},
		{"HELO without a domain", zone(), like(func(s *session) { s.Helo = "mail" }), message(t, true), []string{"gmx-helo"}, nil},
		{"SPF fails, a signature passes", zone(), like(func(s *session) { s.ClientIP, s.Helo = "192.0.2.66", "mail.attacker.example" }), message(t, true),
			[]string{"gmx-spf-fail"}, map[string]string{"orange": "reject 550 5.5.0"}},
		{"no Date", zone(), good, resigned(func(s string) string { return strings.Replace(s, "\r\nDate:", "\r\nX-Date:", 1) }), []string{"yahoo-date-message-id", "gmx-rfc"}, nil},
		{"a Message-ID without a domain", zone(), good, resigned(func(s string) string { return strings.Replace(s, "<1@example.org>", "<abc123>", 1) }),
			[]string{"yahoo-date-message-id", "gmx-rfc"}, map[string]string{"gmail": "reject 550 5.7.1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := judged(t, evaluated(t, c.zone, c.session, c.raw))
			for id, said := range inShort(got) {
				want, decided := c.want[id]
				if decided && said != want || !decided && said != receivers.Accept && said != receivers.Unknown {
					t.Errorf("%s: got %q, want %q", id, said, want)
				}
			}
			for _, id := range c.asked {
				var ru receivers.Rule
				for _, v := range got {
					if i := slices.IndexFunc(v.Rules, func(ru receivers.Rule) bool { return ru.ID == id }); i >= 0 {
						ru = v.Rules[i]
					}
				}
				if ru.State != receivers.NotMet || ru.Decides || ru.Verdict != receivers.None {
					t.Errorf("%s: %q, %q, decides %t", id, ru.State, ru.Verdict, ru.Decides)
				}
			}
		})
	}
}

func TestSpoofedMailIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, mailFrom string }{
		{"the envelope as well", "ann@example.org"}, {"From alone, under an envelope that passes", "x@attacker.example"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := evaluated(t, zone(), session{ClientIP: "192.0.2.66", Helo: "mail.attacker.example", MailFrom: c.mailFrom, TLS: true}, message(t, false))
			got := judged(t, r)
			for id, rule := range map[string]string{"gmail": "gmail-dmarc-policy", "yahoo": "yahoo-dmarc-policy", "outlook": "outlook-dmarc-policy",
				"microsoft365": "m365-dmarc", "icloud": "icloud-dmarc-policy", "gmx": "gmx-dmarc-policy"} {
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
	r := evaluated(t, zone(), session{ClientIP: "192.168.1.5", Helo: "mail.example.org", MailFrom: "ann@example.org", TLS: true}, message(t, true))
	got := inShort(judged(t, r))
	for _, id := range []string{"gmail", "outlook", "gmx", "tonline"} {
		if got[id] != receivers.Unknown {
			t.Errorf("%s: got %q, want unknown", id, got[id])
		}
	}
	if got["yahoo"] != receivers.Accept {
		t.Errorf("yahoo: got %q: the signature passes, and what it asks of the address has no known consequence", got["yahoo"])
	}
}
