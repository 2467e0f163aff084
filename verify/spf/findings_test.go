package spf_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

// codes of findings, with the arguments that a row wants to see.
func codes(findings []result.Finding) []string {
	var out []string
	for _, f := range findings {
		out = append(out, string(f.Severity)+" "+result.Reason{Code: f.Code, Args: f.Args}.String())
	}
	return out
}

func TestFindings(t *testing.T) {
	t.Parallel()
	r := dnstest.Zone(t, `
none.example.           A 192.0.2.9
apex.example.           TXT "v=spf1 mx -all"
news.apex.example.      A 192.0.2.9
deep.news.apex.example. A 192.0.2.9
old.example.            SPF "v=spf1 -all"
wrong.example.          A 192.0.2.9
_spf.wrong.example.     TXT "v=spf1 -all"
double.example.         A 192.0.2.9
double.example.double.example. TXT "v=spf1 -all"
glued.example.          TXT "v=spf1" "ip4:192.0.2.1 -all"
version.example.        TXT "v=spf2 -all"
comma.example.          TXT "v=spf1,-all"
two.example.            TXT "v=spf1 -all"
two.example.            TXT "v=spf1 +all"
listed.example.         TXT "v=spf1 ip4:192.0.2.7 -all"
soft.example.           TXT "v=spf1 ip4:192.0.2.7"
minus.example.          TXT "v=spf1 -ip4:192.0.2.1 ~all"
eleven.example.         TXT "v=spf1 a include:big.eleven.example include:small.eleven.example a a a a -all"
eleven.example.         A 192.0.2.9
big.eleven.example.     TXT "v=spf1 a:eleven.example a:eleven.example a:eleven.example -all"
small.eleven.example.   TXT "v=spf1 a:eleven.example -all"
void.example.           TXT "v=spf1 a:x.example a:y.example a:z.example -all"
in.example.             TXT "v=spf1 include:none.example -all"
re.example.             TXT "v=spf1 redirect=none.example"
inglued.example.        TXT "v=spf1 include:listed.example" "a:none.example -all"
loop.example.           TXT "v=spf1 include:loop2.example -all"
loop2.example.          TXT "v=spf1 include:loop.example -all"
self.example.           TXT "v=spf1 redirect=self.example"
typo.example.           TXT "v=spf1 mx ipv4:192.0.2.1 -all"
bogus.example.          TXT "v=spf1 moo -all"
joined.example.         TXT "v=spf1 ip4:198.51.100.0/26" "include:listed.example -all"
cut.example.            TXT "v=spf1 ip4:19" "8.51.100.0/260 -all"
manymx.example.         TXT "v=spf1 mx -all"
`+mxes("manymx.example", 11))
	for _, c := range []struct {
		domain string
		want   []string
	}{
		{"none.example", []string{`error spf-none domain="none.example"`}},
		{"gone.example", []string{`error spf-none domain="gone.example"`}},
		{"news.apex.example", []string{`error spf-none-on-subdomain domain="news.apex.example" parent="apex.example"`}},
		{"gone.apex.example", []string{`error spf-none-on-subdomain domain="gone.apex.example" parent="apex.example"`}},
		{"deep.news.apex.example", []string{`error spf-none domain="deep.news.apex.example"`}}, // one more question, not two
		{"localhost", []string{`warning spf-domain-invalid sender="a@localhost"`}},
		{"old.example", []string{`error spf-type99-only domain="old.example"`}},
		{"wrong.example", []string{`error spf-wrong-name domain="wrong.example" name="_spf.wrong.example"`}},
		{"double.example", []string{`error spf-wrong-name domain="double.example" name="double.example.double.example"`}},
		{"glued.example", []string{`error spf-strings-joined after="ip4:192.0.2.1" before="v=spf1" domain="glued.example" term="v=spf1ip4:192.0.2.1"`}},
		{"version.example", []string{`error spf-version domain="version.example" text="v=spf2 -all"`}},
		{"comma.example", []string{`error spf-version domain="comma.example" text="v=spf1,-all"`}},
		{"two.example", []string{`error spf-multiple-records count="2" domain="two.example"`}},
		{"listed.example", []string{`error spf-sender-not-listed domain="listed.example" ip="192.0.2.1" result="fail"`}},
		{"soft.example", []string{`warning spf-sender-not-listed domain="soft.example" ip="192.0.2.1" result="neutral"`}},
		{"minus.example", []string{`error spf-sender-excluded domain="minus.example" ip="192.0.2.1" result="fail" term="-ip4:192.0.2.1"`}},
		{"eleven.example", []string{`error spf-too-many-lookups costly="include:big.eleven.example (4), include:small.eleven.example (2), a (1)" count="11" domain="eleven.example"`}},
		{"void.example", []string{`error spf-void-lookups domain="void.example" names="x.example, y.example, z.example"`}},
		{"in.example", []string{`error spf-include-no-record domain="in.example" target="none.example" term="include:none.example"`}},
		{"re.example", []string{`error spf-include-no-record domain="re.example" target="none.example" term="redirect=none.example"`}},
		{"inglued.example", []string{`error spf-strings-joined after="a:none.example" before="include:listed.example" domain="inglued.example" term="include:listed.examplea:none.example"`}},
		{"loop.example", []string{`error spf-include-loop chain="loop.example > loop2.example > loop.example" domain="loop.example"`}},
		{"self.example", []string{`error spf-include-loop chain="self.example > self.example" domain="self.example"`}},
		{"typo.example", []string{`error spf-syntax column="11" domain="typo.example" term="ipv4:192.0.2.1"`,
			`info spf-syntax-near domain="typo.example" near="ip4:192.0.2.1" term="ipv4:192.0.2.1"`}},
		{"bogus.example", []string{`error spf-syntax column="8" domain="bogus.example" term="moo"`}},
		{"joined.example", []string{`error spf-strings-joined after="include:listed.example" before="ip4:198.51.100.0/26" domain="joined.example" term="ip4:198.51.100.0/26include:listed.example"`}},
		{"cut.example", []string{`error spf-syntax column="8" domain="cut.example" term="ip4:198.51.100.0/260"`}},
		{"manymx.example", []string{`error spf-too-many-mx count="11" domain="manymx.example" name="manymx.example"`}},
	} {
		t.Run(c.domain, func(t *testing.T) {
			t.Parallel()
			got := evaluate(t, r, "192.0.2.1", "a@"+c.domain)
			if found := codes(got.Findings); !slices.Equal(found, c.want) {
				t.Errorf("%s (%s): got\n  %s\nwant\n  %s", got.Word, got.Reason, strings.Join(found, "\n  "), strings.Join(c.want, "\n  "))
			}
		})
	}
}

// mxes makes n MX records with an address each: 203.0.113.0 and on.
func mxes(name string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s. MX %d mx%d.%s.\nmx%d.%s. A 203.0.113.%d\n", name, i, i, name, i, name, i)
	}
	return b.String()
}

func TestFindings_ipv6_not_covered(t *testing.T) {
	t.Parallel()
	r := dnstest.Zone(t, `
example.org.       TXT  "v=spf1 ip4:192.0.2.1 ~all"
mail.example.org.  AAAA 2001:db8::1
mail.example.org.  A    192.0.2.1
host.example.net.  AAAA 2001:db8::2
host.example.net.  A    192.0.2.1
evil.example.com.  AAAA 2001:db8::4
evil.example.com.  A    192.0.2.1
`+arpa("2001:db8::2")+` PTR host.example.net.
`+arpa("192.0.2.1")+` PTR host.example.net.
`+arpa("2001:db8::4")+` PTR evil.example.com.
`+arpa("2001:db8::3")+` PTR mail.example.org.
`)
	for _, c := range []struct{ name, ip, want string }{
		{"by the HELO name", "2001:db8::1", `error spf-ipv6-not-covered domain="example.org" host="mail.example.org" ip="2001:db8::1" ip4="192.0.2.1"`},
		{"by the PTR name", "2001:db8::2", `error spf-ipv6-not-covered domain="example.org" host="host.example.net" ip="2001:db8::2" ip4="192.0.2.1"`},
		{"a stranger's name, to which he gave the address of another", "2001:db8::4", `error spf-sender-not-listed domain="example.org" ip="2001:db8::4" result="softfail"`},
		{"a name that has not the address", "2001:db8::3", `error spf-sender-not-listed domain="example.org" ip="2001:db8::3" result="softfail"`},
	} {
		if got := codes(evaluate(t, r, c.ip, "a@example.org").Findings); !slices.Equal(got, []string{c.want}) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func arpa(ip string) string { return dns.ReverseName(netip.MustParseAddr(ip)) + "." }

func TestNullSenderLeavesMissingRecordsToTheCaller(t *testing.T) {
	t.Parallel()
	r := dnstest.Zone(t, "mail.example.org. A 192.0.2.1\nexample.org. TXT \"v=spf1 -all\"\n")
	if got := evaluate(t, r, "192.0.2.1", ""); got.Word != result.None || len(got.Findings) > 0 {
		t.Errorf("got %s with %v, want none without findings", got.Word, got.Findings)
	}
}

// Diagnosis asks six questions more at most, and what they come to changes nothing.
func TestDiagnosisAsksLittle(t *testing.T) {
	t.Parallel()
	zone := `
example.org.       TXT  "v=spf1` + terms(8, "exists:%%{i}.x%d.example.org") + ` -all"
mail.example.org.  AAAA 2001:db8::1
mail.example.org.  A 192.0.2.1
*.example.org.     A 192.0.2.2
`
	zone = strings.Replace(zone, "exists", "-exists", 1)
	s := dnstest.New(t, zone)
	first := evaluate(t, s.Client(t), "2001:db8::1", "a@example.org")
	if n := len(s.Queries()); first.Word != result.Fail || n > 2+6 {
		t.Errorf("got %s after %d questions %q, want fail after at most 8", first.Word, n, s.Queries())
	}
	failing := dns.ResolverFunc(func(ctx context.Context, q dns.Question) (dns.Answer, error) {
		if q.Type == dns.TXT || strings.HasPrefix(q.Name, "2.") || strings.Contains(q.Name, ".x0.") {
			return s.Client(t).Resolve(ctx, q)
		}
		return dns.Answer{}, &dns.Error{Question: q, Kind: dns.ServFail}
	})
	second := evaluate(t, failing, "2001:db8::1", "a@example.org")
	if second.Word != first.Word || second.Reason.String() != first.Reason.String() {
		t.Errorf("got %s (%s), want %s (%s)", second.Word, second.Reason, first.Word, first.Reason)
	}
}

func TestTreeOfAllThatWasVisited(t *testing.T) {
	t.Parallel()
	r := dnstest.Zone(t, `
example.org.      300 TXT "v=spf1 a:x.example.org include:in.example.org mx -all exp=why.example.org"
in.example.org.   60  TXT "v=spf1 mx:host.example.org/28 ~all"
host.example.org. MX  10 mx.example.org.
mx.example.org.   A   192.0.2.7
`)
	got := evaluate(t, r, "192.0.2.1", "a@example.org")
	if got.Word != result.Pass || got.Matched != "mx:host.example.org/28" || got.MatchedIn != "in.example.org" || got.Network != 28 {
		t.Errorf("got %s by %q of %q, %d bits", got.Word, got.Matched, got.MatchedIn, got.Network)
	}
	var lines []string
	var walk func(rec *spf.Record, indent string)
	walk = func(rec *spf.Record, indent string) {
		lines = append(lines, fmt.Sprintf("%s%s %d", indent, rec.Domain, rec.TTL))
		for _, n := range rec.Terms {
			lines = append(lines, fmt.Sprintf("%s %d %s: %s %v target=%s %d/%d %s", indent, n.Offset, n.Text, n.Outcome, n.Found, n.Target, n.Lookups, n.Voids, n.Why.Code))
			if n.Record != nil {
				walk(n.Record, indent+"  ")
			}
		}
	}
	walk(got.Root, "")
	want := []string{
		"example.org 300",
		" 7 a:x.example.org: no match [] target=x.example.org 1/1 spf-found-nothing",
		" 23 include:in.example.org: match [] target=in.example.org 3/1 ",
		"  in.example.org 60",
		"   7 mx:host.example.org/28: match [192.0.2.7] target=host.example.org 3/1 ",
		"   30 ~all: not reached [] target= 3/1 ",
		" 46 mx: not reached [] target= 3/1 ",
		" 49 -all: not reached [] target= 3/1 ",
		" 54 exp=why.example.org: modifier [] target= 3/1 ",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

func TestWalkGoesOnPastTheLimit(t *testing.T) {
	t.Parallel()
	r := dnstest.Zone(t, `
example.org.    TXT "v=spf1`+terms(9, "include:i%d.example.org")+` include:last.example.org +all"
*.example.org.  TXT "v=spf1 ip4:198.51.100.1 -all"
last.example.org. TXT "v=spf1 include:deep.example.org include:deep2.example.org ip4:192.0.2.1 -all"
deep2.example.org. TXT "v=spf1 mx a a a +all"
`)
	got := evaluate(t, r, "192.0.2.1", "a@example.org")
	last := got.Root.Terms[9]
	if got.Word != result.PermError || got.Lookups != 16 || last.Outcome != spf.Failed || last.Record.Terms[2].Outcome != spf.NotReached {
		t.Errorf("got %s with %d look-ups, term %+v", got.Word, got.Lookups, last)
	}
}

// The incidents that SPF alone can name.
func TestCases(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../testdata/cases/*/case.json")
	if err != nil || len(files) != 27 {
		t.Fatalf("%d incidents, want 27 (%v)", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			t.Parallel()
			runCase(t, filepath.Dir(file))
		})
	}
}

// elsewhere are codes of SPF that need more than SPF to be seen.
var elsewhere = []string{"spf-forwarded", "spf-missing-relay-include", "spf-not-aligned", "spf-helo-null-sender"}

func runCase(t *testing.T, dir string) {
	var c struct {
		ClientIP string `json:"client_ip"`
		Helo     string `json:"helo"`
		MailFrom string `json:"mail_from"`
		Expect   struct {
			SPF       string   `json:"spf"`
			SPFHelo   string   `json:"spf_helo"`
			Causes    []string `json:"causes"`
			NotCauses []string `json:"not_causes"`
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "case.json"))
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	zone, err2 := os.ReadFile(filepath.Join(dir, "zone.txt"))
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	e, q := spf.Evaluator{DNS: dnstest.Zone(t, string(zone))}, spf.Query{IP: netip.MustParseAddr(c.ClientIP), Helo: c.Helo, MailFrom: c.MailFrom}
	got, helo := e.Examine(t.Context(), q), e.CheckHelo(t.Context(), q)
	if !slices.Contains(strings.Split(c.Expect.SPF, "|"), string(got.Word)) || !slices.Contains(strings.Split(c.Expect.SPFHelo, "|"), string(helo.Word)) {
		t.Errorf("got %s (%s) and HELO %s (%s), want %s and %s", got.Word, got.Reason, helo.Word, helo.Reason, c.Expect.SPF, c.Expect.SPFHelo)
	}
	var found []string
	for _, f := range got.Findings {
		found = append(found, string(f.Code))
	}
	for _, code := range c.Expect.Causes {
		fits := func(s string) bool {
			return slices.Contains(found, s) || slices.Contains(elsewhere, s) || !strings.HasPrefix(s, "spf-")
		}
		if !slices.ContainsFunc(strings.Split(code, "|"), fits) {
			t.Errorf("got the causes %q, want %s among them", found, code)
		}
	}
	for _, code := range c.Expect.NotCauses {
		if slices.Contains(found, code) {
			t.Logf("the cause %s must be taken back by who knows more than SPF", code)
		}
	}
}

// The time of a term is that of all that was asked for it, what lies below it included.
func TestTreeTellsHowLongTheDNSTook(t *testing.T) {
	t.Parallel()
	zone := records(map[string]string{
		"example.org":    "v=spf1 ip4:192.0.2.9 include:in.example.org redirect=re.example.org",
		"in.example.org": "v=spf1 a:gone.example.org -all", "re.example.org": "v=spf1 a -all",
	})
	slow := dns.ResolverFunc(func(ctx context.Context, q dns.Question) (dns.Answer, error) {
		if q == dns.Ask("re.example.org", dns.A) {
			return dns.Answer{}, &dns.Error{Question: q, Kind: dns.Timeout, Took: 6 * time.Second}
		}
		a, err := zone.Resolve(ctx, q)
		a.Took = 1500 * time.Microsecond
		return a, err
	})
	got := evaluate(t, slow, "192.0.2.1", "a@example.org")
	terms := got.Root.Terms
	if ms := [...]int64{terms[0].MS, terms[1].MS, terms[1].Record.Terms[0].MS, terms[2].MS}; ms != [...]int64{0, 3, 1, 6001} || got.Word != result.TempError {
		t.Errorf("got %s and milliseconds %v, want temperror, 0, 3, 1 and 6001", got.Word, ms)
	}
}
