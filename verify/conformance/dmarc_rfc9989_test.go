package conformance

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"checkauth/verify/dmarc"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/mail"
	"checkauth/verify/result"
)

const mailAuthDMARC = "https://github.com/stalwartlabs/mail-auth and the worked examples of RFC 9989"

// dmarcCase is one case of cases.yml; what expect does not have is not asserted.
type dmarcCase struct {
	ID     string
	Author string
	Exists []string
	Zone   map[string]string
	SPF    struct{ Result, Domain string }
	DKIM   []struct{ Result, D string }
	Expect struct {
		Queries     []string
		Org         string `yaml:"org_domain"`
		Policy      string
		Tag         string
		SPFAligned  *bool `yaml:"spf_aligned"`
		DKIMAligned *bool `yaml:"dkim_aligned"`
		Applies     *bool
	}
}

func (c dmarcCase) zone() string {
	var b strings.Builder
	for name, text := range c.Zone {
		fmt.Fprintf(&b, "%s. TXT %q\n", name, text)
	}
	for _, name := range c.Exists {
		fmt.Fprintf(&b, "%s. A 192.0.2.1\n", name)
	}
	return b.String()
}

func (c dmarcCase) query() dmarc.Query {
	q := dmarc.Query{From: mail.From{Fields: 1, Domain: c.Author}}
	q.SPF = dmarc.Identifier{Domain: c.SPF.Domain, Word: result.Word(c.SPF.Result)}
	for _, s := range c.DKIM {
		q.DKIM = append(q.DKIM, dmarc.Identifier{Domain: s.D, Word: result.Word(s.Result)})
	}
	return q
}

func TestDMARC_rfc9989(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(Suite(t, "dmarc/rfc9989/cases.yml", mailAuthDMARC))
	if err != nil {
		t.Fatal(err)
	}
	var cases []dmarcCase
	if err := yaml.Unmarshal(b, &cases); err != nil || len(cases) < 20 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	for _, c := range cases {
		t.Run(c.ID, func(t *testing.T) {
			t.Parallel()
			server := dnstest.New(t, c.zone())
			r := dmarc.Evaluator{DNS: server.Client(t)}.Check(t.Context(), c.query())
			c.assert(t, r, server.Queries())
		})
	}
}

func (c dmarcCase) assert(t *testing.T, r dmarc.Result, queries []string) {
	t.Helper()
	e := c.Expect
	for _, v := range []struct{ what, got, want string }{
		{"organisational domain", r.Org, e.Org}, {"policy", string(r.Policy), e.Policy}, {"tag", r.Tag, e.Tag},
	} {
		if v.want != "" && v.got != v.want {
			t.Errorf("%s: got %q, want %q", v.what, v.got, v.want)
		}
	}
	// Aligned is said of the name there and of name and result in the suite.
	aligned := func(a dmarc.Alignment) bool { return a.Aligned && a.Word == result.Pass }
	pass := aligned(r.SPF)
	if e.SPFAligned != nil && aligned(r.SPF) != *e.SPFAligned {
		t.Errorf("SPF: got %+v, want aligned %t", r.SPF, *e.SPFAligned)
	}
	for _, a := range r.DKIM {
		if e.DKIMAligned != nil && aligned(a) != *e.DKIMAligned {
			t.Errorf("DKIM: got %+v, want aligned %t", a, *e.DKIMAligned)
		}
		pass = pass || aligned(a)
	}
	if applies := e.Applies == nil || *e.Applies; applies && len(c.Zone) > 0 && (r.Word == result.Pass) != pass || (r.Word == result.None) == applies {
		t.Errorf("got %s (%s), applies %t, pass %t", r.Word, r.Reason, applies, pass)
	}
	if len(e.Queries) == 0 {
		return
	}
	var asked []string
	for _, q := range queries {
		if name, ok := strings.CutSuffix(q, " TXT"); ok && strings.HasPrefix(name, "_dmarc.") && len(asked) < len(e.Queries) {
			asked = append(asked, name)
		}
	}
	if got, want := strings.Join(asked, " "), strings.Join(e.Queries, " "); got != want {
		t.Errorf("asked\n%s\nwant\n%s", got, want)
	}
}
