package conformance

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"checkauth/verify/dmarc"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/mail"
	"checkauth/verify/result"
)

const espoofer = "https://github.com/chenjj/espoofer testcases.py, rendered to messages"

// spoofZone: the victim refuses what is not his; the attacker has a policy too, and one of a name that
// holds the victim's.
const spoofZone = `
legitimate.com.        TXT "v=spf1 -all"
_dmarc.legitimate.com. TXT "v=DMARC1; p=reject"
attack.com.            TXT "v=spf1 +all"
_dmarc.attack.com.     TXT "v=DMARC1; p=none"
example.com.           TXT "v=spf1 +all"
_dmarc.example.com.    TXT "v=DMARC1; p=reject"
`

// spoofReasons is what must be said of each trick.
var spoofReasons = map[string]result.Code{
	"server_a1":  "dmarc-fail-nothing-passes",
	"server_a2":  "dmarc-fail-not-aligned",
	"server_a4":  "dmarc-fail-not-aligned",
	"server_a5":  "dmarc-fail-not-aligned",
	"server_a7":  "dmarc-fail-not-aligned",
	"server_a8":  "from-is-several",
	"server_a10": "from-is-several",
	"server_a11": "from-is-several",
	"server_a13": "from-is-spaced",
	"server_a14": "from-has-several-domains",
	"server_a16": "from-has-route",
	"server_a17": "from-has-backslash",
	"server_a19": "from-has-trailing-text",
	"client_a1":  "from-is-several",
	"client_a3":  "dmarc-pass-spf", // the same domain: what a mail service must forbid its own users
}

type spoofCase struct {
	Case     string `json:"case"`
	Helo     string `json:"helo"`
	MailFrom string `json:"mail_from"`
	D        string `json:"dkim_d"`
	S        string `json:"dkim_s"`
}

func TestSpoof_espoofer(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(Suite(t, "spoof/espoofer/cases.json", espoofer))
	if err != nil {
		t.Fatal(err)
	}
	var cases []spoofCase
	if err := json.Unmarshal(b, &cases); err != nil || len(cases) != len(spoofReasons) {
		t.Fatalf("%d cases, want %d (%v)", len(cases), len(spoofReasons), err)
	}
	for _, c := range cases {
		t.Run(c.Case, func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(Suite(t, filepath.Join("spoof/espoofer", c.Case+".eml"), espoofer))
			if err != nil {
				t.Fatal(err)
			}
			fs, _, err := mail.Split(mail.Data{At: bytes.NewReader(raw), Size: int64(len(raw))}, mail.DefaultBounds())
			if err != nil {
				t.Fatal(err)
			}
			from := mail.ParseFrom(fs)
			r := dmarc.Evaluator{DNS: dnstest.Zone(t, spoofZone)}.Check(t.Context(), c.query(from))
			if r.Word == result.Pass && r.Author == "legitimate.com" {
				t.Errorf("passes for the victim: %s, From %q, SPF %+v, DKIM %+v", r.Reason, from.Raw, r.SPF, r.DKIM)
			}
			if r.Reason.Code != spoofReasons[c.Case] {
				t.Errorf("From %q (%s): got %s (%s), want %s", from.Raw, from.Problem, r.Word, r.Reason, spoofReasons[c.Case])
			}
		})
	}
}

// query gives the attacker what he has: every signature that he makes verifies, and SPF passes for the
// domain of MAIL FROM, or, where that is no mailbox, for the HELO name.
func (c spoofCase) query(from mail.From) dmarc.Query {
	path := strings.Trim(c.MailFrom, "<>")
	q := dmarc.Query{From: from, SPF: dmarc.Identifier{Domain: path[strings.LastIndexByte(path, '@')+1:], Word: result.Pass}}
	switch {
	case strings.HasSuffix(q.SPF.Domain, ".notexist.legitimate.com"):
		q.SPF.Word = result.None // the pass of the HELO name must not be taken for this one's
	case strings.HasPrefix(path, "("):
		q.SPF.Domain = c.Helo
	}
	if c.D != "" {
		q.DKIM = []dmarc.Identifier{{Domain: c.D, Selector: c.S, Word: result.Pass}}
	}
	return q
}
