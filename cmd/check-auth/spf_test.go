package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"checkauth/verify/dns/dnstest"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

const spfZone = `
example.org.        TXT "v=spf1 include:_spf.example.net mx -all"
example.org.        MX  10 mx.example.org.
mx.example.org.     A   192.0.2.1
_spf.example.net.   TXT "v=spf1 ip4:198.51.100.0/25 a:gone.example.net ~all"
late.example.       TXT "v=spf1 ip4:192.0.2.1 include:many.example include:nothing.example ?all"
many.example.       TXT "v=spf1 a a a a a a a a a a a -all"
many.example.       A   192.0.2.9
nothing.example.    A   192.0.2.9
xn--bcher-kva.example. TXT "v=spf1 ip4:192.0.2.1 -all"
;FAULT SERVFAIL broken.example ANY
`

func TestSPF(t *testing.T) {
	t.Parallel()
	resolver := "--resolver=" + dnstest.New(t, spfZone).Addr().String()
	for _, c := range []struct {
		name string
		args []string
		code int
		say  string
	}{
		{"pass", []string{"example.org", "--ip=192.0.2.1"}, exitPass, "Result:         pass (matches mx of example.org)"},
		{"fail", []string{"example.org", "--ip=192.0.2.2"}, exitFail, "Result:         fail (-all of example.org decides)"},
		{"a DNS that fails", []string{"broken.example", "--ip=192.0.2.2"}, exitUnknown, "Result:         temperror"},
		{"no record", []string{"nothing.example", "--ip=192.0.2.2"}, exitFail, "Result:         none"},
		{"a text, no domain", []string{"--record=v=spf1 ip4:192.0.2.1 -all", "--ip=192.0.2.1"}, exitPass, "matches ip4:192.0.2.1 of example.invalid"},
		{"a text at a domain in letters", []string{"b\u00fccher.example", "--record=v=spf1 -ip4:192.0.2.1", "--ip=192.0.2.1"}, exitFail, "of xn--bcher-kva.example decides"},
		{"a text that asks", []string{"example.org", "--record=v=spf1 mx -all", "--ip=192.0.2.1"}, exitPass, "matches mx of example.org"},
		{"an empty domain", []string{"", "--ip=192.0.2.1"}, exitFail, "none (there is no domain to check)"},
		{"RFC 7208, 4.3: an empty label", []string{"A...example.com", "--ip=192.0.2.1"}, exitFail, "none (a...example.com is not a full domain name"},
		{"RFC 7208, 4.3: an address", []string{"[1.2.3.5]", "--ip=1.2.3.5"}, exitFail, "none ([1.2.3.5] is not a full domain name"},
		{"RFC 7208, 4.3: a long label", []string{strings.Repeat("x", 64) + ".example.com", "--ip=192.0.2.1"}, exitFail, "is not a full domain name"},
		{"octets", []string{"\x1b[2J\xff", "--helo=\x00", "--mail-from=\x1b@\x9b", "--ip=192.0.2.1"}, exitFail, "none ("},
		{"an address as the domain", []string{"anna@example.org", "--ip=192.0.2.1"}, exitPass, "Sender:         anna@example.org"},
		{"another domain than the sender's", []string{"_spf.example.net", "--mail-from=anna@example.org", "--ip=198.51.100.7"}, exitPass, "of _spf.example.net"},
		{"the sender alone", []string{"--mail-from=<anna@example.org>", "--ip=192.0.2.1"}, exitPass, "Sender:         anna@example.org"},
		{"the null sender", []string{"--mail-from=", "--helo=mx.example.org", "--ip=192.0.2.1"}, exitFail, "Sender:         postmaster@mx.example.org"},
		{"HELO alone", []string{"--helo=example.org", "--ip=192.0.2.1"}, exitPass, "pass"},
		{"mapped", []string{"example.org", "--ip=::ffff:192.0.2.1"}, exitPass, "Source IP:      192.0.2.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := play(t, t.Context(), "", append([]string{"spf", resolver}, c.args...)...)
			if got.code != c.code || got.err != "" || !strings.Contains(got.out, c.say) {
				t.Errorf("got exit %d, %s%s\nwant exit %d and %q", got.code, got.err, got.out, c.code, c.say)
			}
			if strings.ContainsAny(got.out, "\x1b\x00\r") || !utf8.ValidString(got.out) {
				t.Errorf("a control character reached the terminal:\n%q", got.out)
			}
		})
	}
}

// What the command prints, whole.
func TestSPFGolden(t *testing.T) {
	t.Parallel()
	zone := filepath.Join(t.TempDir(), "zone.txt")
	if err := os.WriteFile(zone, []byte(spfZone), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
	}{
		{"spf-fail", []string{"example.org", "--ip=198.51.100.130"}},
		{"spf-late", []string{"late.example", "--ip=192.0.2.1"}},
		{"spf-try", []string{"example.org", "--ip=198.51.100.130", "--try=v=spf1 mx ipv4:198.51.100.128/25 -all"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			same(t, "testdata/"+c.name+".txt", play(t, t.Context(), "", append([]string{"spf", "--zone=" + zone}, c.args...)...).out)
		})
	}
}

func TestSPFJSON(t *testing.T) {
	t.Parallel()
	got := play(t, t.Context(), "", "spf", "--json", "--resolver="+dnstest.New(t, spfZone).Addr().String(), "example.org",
		"--ip=192.0.2.9", "--try=v=spf1 ip4:192.0.2.0/24 moo=\u00fc -all")
	var r struct {
		Result   result.Word
		Reason   result.Reason
		Findings []result.Finding
		Whole    spf.Whole   `json:"whole"`
		Record   *spf.Record `json:"record"`
		Before   *struct {
			Result  result.Word
			Lookups int
			Whole   spf.Whole `json:"whole"`
		}
	}
	if err := json.Unmarshal([]byte(got.out), &r); err != nil {
		t.Fatalf("%v\n%s%s", err, got.out, got.err)
	}
	if got.code != exitFail || r.Result != result.PermError || r.Reason.Text == "" || r.Record == nil || len(r.Findings) == 0 ||
		r.Before == nil || r.Before.Result != result.Fail || r.Before.Lookups != 3 || r.Before.Whole.Lookups != 3 {
		t.Errorf("exit %d, %+v, before %+v", got.code, r, r.Before)
	}
	for _, f := range r.Findings {
		if f.Text == "" || f.Text == string(f.Code) {
			t.Errorf("finding %q has no sentence", f.Code)
		}
	}
	if strings.ContainsFunc(got.out, func(r rune) bool { return r > '~' }) {
		t.Error("the JSON is not ASCII")
	}
}

func TestSPFBadInput(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		args []string
		say  string
	}{
		{"no address", []string{"example.org"}, "--ip"},
		{"an address that is none", []string{"example.org", "--ip=1.2.3"}, `--ip "1.2.3" is no address`},
		{"nothing to evaluate", []string{"--ip=192.0.2.1"}, "give a DOMAIN"},
		{"a zone that is not there", []string{"example.org", "--ip=192.0.2.1", "--zone=/no/such/file"}, "no such file"},
		{"a resolver that is none", []string{"example.org", "--ip=192.0.2.1", "--resolver=x"}, `--resolver "x"`},
	} {
		got := play(t, t.Context(), "", append([]string{"spf"}, c.args...)...)
		if got.code != exitUsage || !strings.Contains(lastLine(got.err), c.say) {
			t.Errorf("%s: got exit %d, %q, want exit %d and %q", c.name, got.code, got.err, exitUsage, c.say)
		}
	}
}

func TestSPFColours(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		env   map[string]string
		wants bool
	}{
		{"a pipe", nil, false},
		{"forced", map[string]string{"CLICOLOR_FORCE": "1"}, true},
		{"not forced", map[string]string{"CLICOLOR_FORCE": "0"}, false},
		{"forbidden", map[string]string{"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, false},
	} {
		var out, errs bytes.Buffer
		e := env{in: strings.NewReader(""), out: &out, err: &errs, now: time.Now, getenv: func(key string) string { return c.env[key] }}
		code := run(t.Context(), []string{"spf", "--record=v=spf1 ip4:192.0.2.1 -all", "--ip=192.0.2.1"}, e)
		if code != exitPass || strings.Contains(out.String(), "\x1b[32m") != c.wants {
			t.Errorf("%s: exit %d, want colours %v:\n%q%s", c.name, code, c.wants, out.String(), errs.String())
		}
	}
}
