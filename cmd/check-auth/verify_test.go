package main

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"checkauth/verify"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

const verifyZone = `
example.org.             TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc.example.org.      TXT "v=DMARC1; p=reject"
mx.example.org.          A   192.0.2.1
1.2.0.192.in-addr.arpa.  PTR mx.example.org.
;FAULT SERVFAIL *.broken.example ANY
`

const savedMail = "From: Anna <anna@example.org>\nSubject: test\nDate: Tue, 24 Nov 2026 02:10:05 +0000\n\nhello\n"

func TestVerify(t *testing.T) {
	t.Parallel()
	resolver := "--resolver=" + dnstest.New(t, verifyZone).Addr().String()
	args := func(more ...string) []string {
		return append([]string{"verify", resolver, "--helo=mx.example.org", "--mail-from=anna@example.org"}, more...)
	}
	for _, c := range []struct {
		name, stdin string
		args        []string
		code        int
		say         []string
	}{
		{"authenticated", savedMail, args("--ip=192.0.2.1", "-"), exitPass, []string{"\nAUTHENTICATED.", "SPF check:          pass"}},
		{"not authenticated", savedMail, args("--ip=192.0.2.9", "-"), exitFail, []string{"\nNOT AUTHENTICATED.", "SPF check:          fail"}},
		{"the DNS fails", strings.ReplaceAll(savedMail, "example.org", "broken.example"),
			[]string{"verify", resolver, "--ip=192.0.2.1", "--helo=mx.broken.example", "--mail-from=a@broken.example", "-"},
			exitUnknown, []string{"\nCOULD NOT TELL.", "temperror"}},
		{"from loopback", savedMail, args("--ip=127.0.0.1", "-"), exitUnknown, []string{"\nCOULD NOT TELL.", "SPF check:          not run", "loopback address", "--loopback"}},
		{"from loopback of IPv6", savedMail, args("--ip=::1", "-"), exitUnknown, []string{"\nCOULD NOT TELL.", "SPF check:          not run"}},
		{"from loopback, evaluated", savedMail, args("--ip=127.0.0.1", "--loopback", "-"), exitFail, []string{"\nNOT AUTHENTICATED.", "SPF check:          fail"}},
		{"the null sender", savedMail, append(args("--ip=192.0.2.1", "--mail-from=", "-"), "--tls"), exitFail, []string{"TLS check:          pass"}},
		{"a mail that is no mail", "\x00\x01garbage\x1b[2J\nmore\n\n", args("--ip=192.0.2.1", "-"), exitFail, []string{"Line 1 of the header", `\x1b[2J`}},
		{"a header that is too large", "X: " + strings.Repeat("a", 200<<10) + "\n\n", args("--ip=192.0.2.1", "-"), exitFail, []string{"header too large"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := play(t, t.Context(), c.stdin, c.args...)
			if got.code != c.code || got.err != "" {
				t.Errorf("got exit %d, want %d; stderr %q", got.code, c.code, got.err)
			}
			for _, want := range c.say {
				if !strings.Contains(got.out, want) {
					t.Errorf("the report does not say %q:\n%s", want, got.out)
				}
			}
			if strings.ContainsAny(got.out, "\x1b\x00\r") {
				t.Errorf("a control character reached the terminal:\n%q", got.out)
			}
		})
	}
}

func TestVerifyJSON(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "message.eml")
	if err := os.WriteFile(file, []byte(savedMail), 0o600); err != nil {
		t.Fatal(err)
	}
	got := play(t, t.Context(), "", "verify", "--json", "--resolver="+dnstest.New(t, verifyZone).Addr().String(),
		"--ip=192.0.2.1", "--helo=mx.example.org", "--mail-from=anna@example.org", "--rcpt-to=check-auth@v.example", "--tls=false", file)
	var r verify.Report
	if err := json.Unmarshal([]byte(got.out), &r); err != nil {
		t.Fatalf("exit %d, %s: %v\n%s", got.code, got.err, err, got.out)
	}
	if got.code != exitPass || r.Version != verify.Version || r.Verdict.Word != verify.Authenticated || r.Session.TLS != nil ||
		r.Session.RcptTo[0] != "check-auth@v.example" || result.Detail[spf.Result](r.Check(verify.MethodSPF)).Matched != "ip4:192.0.2.1" {
		t.Errorf("exit %d, report %+v", got.code, r)
	}
	for _, f := range r.Findings {
		if f.Text == "" || f.Text == string(f.Code) {
			t.Errorf("finding %q has no sentence", f.Code)
		}
	}
}

// Mail in another's name does not authenticate, whatever passes for the one who sent it.
func TestVerify_not_for_From(t *testing.T) {
	t.Parallel()
	const forged = "From: ceo@victim.example\r\nTo: check-auth@v.example\r\nSubject: invoice\r\n\r\nPay.\r\n"
	args := []string{"--resolver=" + dnstest.New(t, verifyZone+"victim.example. A 192.0.2.80\n").Addr().String(), "--ip=192.0.2.1", "--helo=mx.example.org", "--mail-from=anna@example.org", "-"}
	got := play(t, t.Context(), forged, append([]string{"verify", "--json"}, args...)...)
	var r verify.Report
	if err := json.Unmarshal([]byte(got.out), &r); err != nil {
		t.Fatal(err)
	}
	if got.code != exitFail || r.Verdict.Word != verify.NotProved || r.Verdict.Why.Code != verify.NotForFrom {
		t.Errorf("exit %d, verdict %s (%s)", got.code, r.Verdict.Word, r.Verdict.Why)
	}
	for name, text := range map[string]ended{
		"verify": play(t, t.Context(), forged, append([]string{"verify"}, args...)...), "explain": play(t, t.Context(), got.out, "explain", "-"),
	} {
		if text.code != exitFail || !strings.Contains(text.out, "\nPASSES, BUT NOT FOR THE FROM ADDRESS. SPF passes for example.org, but From") {
			t.Errorf("%s: exit %d\n%s", name, text.code, text.out)
		}
	}
}

// A report can be made again without the DNS, to the letter but for its id and its times.
func TestVerifyFromASavedZone(t *testing.T) {
	t.Parallel()
	zone := filepath.Join(t.TempDir(), "zone.txt")
	args := []string{"verify", "--ip=192.0.2.9", "--helo=mx.example.org", "--mail-from=anna@example.org", "-"}
	first := play(t, t.Context(), savedMail, append([]string{args[0], "--resolver=" + dnstest.New(t, verifyZone).Addr().String(), "--save-zone=" + zone}, args[1:]...)...)
	second := play(t, t.Context(), savedMail, append([]string{args[0], "--zone=" + zone}, args[1:]...)...)
	plain := func(s string) string { return varying.ReplaceAllString(s, "*") }
	if first.code != exitFail || second.code != exitFail || plain(first.out) != plain(second.out) {
		t.Errorf("exit %d, then %d (%s%s)\n%s\nthen\n%s", first.code, second.code, first.err, second.err, first.out, second.out)
	}
	for _, c := range []struct{ flag, say string }{
		{"--zone=/no/such/file", "no such file"}, {"--zone=" + configFileOf(t, "no zone at all"), "zone text"},
		{"--save-zone=/no/such/folder/zone", "--save-zone"},
	} {
		got := play(t, t.Context(), savedMail, append([]string{args[0], c.flag, "--zone=" + zone}, args[1:]...)...)
		if strings.HasPrefix(c.flag, "--zone") {
			got = play(t, t.Context(), savedMail, append([]string{args[0], c.flag}, args[1:]...)...)
		}
		if got.code != exitUsage || !strings.Contains(got.err, c.say) {
			t.Errorf("%s: exit %d, %s", c.flag, got.code, got.err)
		}
	}
}

func TestVerifyBadInput(t *testing.T) {
	t.Parallel()
	refused := closedPort(t)
	for _, c := range []struct {
		name, stdin string
		args        []string
		code        int
		say         string
	}{
		{"a missing file", "", []string{"--ip=192.0.2.1", "/no/such\x1bfile.eml"}, exitUsage, `no such file`},
		{"an empty input", "", []string{"--ip=192.0.2.1", "-"}, exitUsage, `"-" is empty`},
		{"a folder", "", []string{"--ip=192.0.2.1", "."}, exitUsage, "cannot be read"},
		{"an address that is none", savedMail, []string{"--ip=1.2.3", "-"}, exitUsage, `--ip "1.2.3" is no address`},
		{"a sender that is none", savedMail, []string{"--ip=192.0.2.1", "--mail-from=anna", "-"}, exitUsage, `--mail-from "anna" is no address`},
		{"a resolver that is none", savedMail, []string{"--ip=192.0.2.1", "--resolver=nowhere", "-"}, exitUsage, `--resolver "nowhere"`},
		{"a resolver that is not there", savedMail, []string{"--ip=192.0.2.1", "--helo=mx.example.org", "--mail-from=a@example.org", "--resolver=" + refused, "-"}, exitUnknown, refused},
		{"no address at all", savedMail, []string{"-"}, exitUsage, "--ip"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := play(t, t.Context(), c.stdin, append([]string{"verify"}, c.args...)...)
			line := lastLine(got.err)
			if got.code != c.code || !strings.Contains(line, c.say) || got.out != "" && c.code == exitUnknown {
				t.Errorf("got exit %d, %q, want exit %d and %q", got.code, got.err, c.code, c.say)
			}
			if strings.ContainsAny(got.err, "\x1b\x00") || strings.Contains(got.err, "goroutine ") {
				t.Errorf("unescaped input or a stack trace: %q", got.err)
			}
		})
	}
}

// closedPort is an address of UDP and TCP at which nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// Beside a resolver of one's own on loopback the zones' name servers are asked at its port.
func TestVerifyAsksTheZonesServers(t *testing.T) {
	t.Parallel()
	const dir = "../../verify/testdata/cases/26-stale-cache-already-mended/"
	zone, err := os.ReadFile(dir + "zone.txt")
	if err != nil {
		t.Fatal(err)
	}
	world := dnstest.New(t, string(zone), dnstest.WithAuthoritative())
	got := play(t, t.Context(), "", "verify", "--resolver="+world.Addr().String(), "--ip=198.51.100.180", "--helo=relay180.mailhub.example",
		"--mail-from=desk@thistle-press.example", "--rcpt-to=check-auth@verifier.example", "--tls=true", dir+"message.eml")
	if got.code != exitFail || !strings.Contains(got.out, "Change nothing and test again after") || !strings.Contains(got.out, "(in 30 minutes)") {
		t.Errorf("exit %d, %s\n%s", got.code, got.err, got.out)
	}
}
