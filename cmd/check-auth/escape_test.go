package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"checkauth/reply/compose"
	"checkauth/reply/policy"
	"checkauth/verify"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/mail"
)

// marker is what no stranger may bring to a terminal: ESC, C1 in both forms, bidirectional and other format
// characters, line separators of Unicode, NUL, CR, and a line break in front of words that would be ours.
const marker = "\x1b]0;t\x07\x1b[2J\u009b31m\x9b\u202e\u2066\u200b\u2028\u2029\u0085\x00\r\nResult: pass (FORGED)"

// raw is what of a text must not stand in an output: nothing but printable characters and line feeds may.
func raw(out string) string {
	for i, r := range out {
		if r == utf8.RuneError && !strings.HasPrefix(out[i:], "\ufffd") || r != '\n' && !unicode.IsPrint(r) {
			return fmt.Sprintf("%q", out[max(0, i-60):min(len(out), i+30)])
		}
	}
	if i := strings.Index(out, "\nResult: pass (FORGED)"); i >= 0 {
		return fmt.Sprintf("a line of a stranger's: %q", out[max(0, i-60):i+20])
	}
	return ""
}

// changed gives each string of a JSON document, keys of objects included, and its place to change; the new one stays.
func changed(v any, at string, change func(at, s string) string) any {
	switch x := v.(type) {
	case string:
		return change(at, x)
	case []any:
		for i := range x {
			x[i] = changed(x[i], at+"[]", change)
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(x)) {
			x[k] = changed(x[k], at+"."+k, change)
		}
	}
	return v
}

// savedReports are those of all incidents, as verify saves them.
func savedReports(t *testing.T) (out [][]byte) {
	t.Helper()
	all, err := filepath.Glob("../../verify/testdata/cases/*/case.json")
	if err != nil || len(all) < 20 {
		t.Fatalf("%d incidents, %v", len(all), err)
	}
	for _, file := range all {
		var c struct {
			IP       string `json:"client_ip"`
			Helo     string `json:"helo"`
			MailFrom string `json:"mail_from"`
			TLS      bool   `json:"tls"`
		}
		b, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(b, &c)
		}
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Dir(file)
		got := play(t, t.Context(), "", "verify", "--json", "--zone="+dir+"/zone.txt", "--ip="+c.IP, "--helo="+c.Helo, "--mail-from="+c.MailFrom, fmt.Sprintf("--tls=%t", c.TLS), dir+"/message.eml")
		if got.code >= exitUsage {
			t.Fatalf("%s: exit %d, %s", dir, got.code, got.err)
		}
		out = append(out, []byte(got.out))
	}
	return out
}

// Whoever is sent a report.json, and has it explained, sees nothing that a terminal obeys, from whatever string of it.
func TestExplainEscapesEveryString(t *testing.T) {
	t.Parallel()
	done, shown := map[string]int{}, 0
	composer, err := compose.New(compose.Defaults(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, saved := range savedReports(t) {
		var places []string
		change := func(only string) string {
			var v any
			if err := json.Unmarshal(saved, &v); err != nil {
				t.Fatal(err)
			}
			v = changed(v, "", func(at, s string) string {
				if only == "" {
					places = append(places, at)
				}
				if only == "" || at == only {
					return s + strings.ToValidUTF8(marker, "") + s
				}
				return s
			})
			b, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		explained(t, composer, "every string", change(""))
		slices.Sort(places)
		for _, at := range slices.Compact(places) {
			if done[at]++; done[at] <= 1 && explained(t, composer, at, change(at)) {
				shown++
			}
		}
	}
	if len(done) < 200 || shown < 150 {
		t.Errorf("%d places of strings, %d reports shown: the walk is broken", len(done), shown)
	}
}

// explained gives a report to the command, and to the page as well. It tells whether it was taken for a report.
func explained(t *testing.T, composer *compose.Composer, where, report string) bool {
	t.Helper()
	var out, errs strings.Builder
	e := env{in: strings.NewReader(report), out: &out, err: &errs, getenv: func(string) string { return "" }}
	code := fail(e, (&explainCmd{Report: "-"}).Run(t.Context(), e)) // as run does
	got := ended{code, out.String(), errs.String()}
	if bad := raw(got.out); bad != "" {
		t.Errorf("%s: the terminal gets %s", where, bad)
	}
	if bad := raw(got.err); bad != "" {
		t.Errorf("%s: the terminal gets, as an error, %s", where, bad)
	}
	if got.code >= exitUsage {
		return false
	}
	r := &verify.Report{}
	if err := json.Unmarshal([]byte(report), r); err != nil {
		t.Fatal(err)
	}
	// A reply is made of a report that was never read: the last step alone must do.
	text, err := composer.Text(r, policy.Decision{Class: policy.Proved}, mail.Data{})
	if err != nil {
		t.Fatalf("%s: %v", where, err)
	}
	if bad := raw(strings.ReplaceAll(text, "\nResult: pass (FORGED)", "")); bad != "" {
		t.Errorf("%s: the text has %s", where, bad)
	}
	page, err := composer.HTML(r, policy.Decision{Class: policy.Proved})
	if err != nil {
		t.Fatalf("%s: %v", where, err)
	}
	if bad := raw(strings.ReplaceAll(page, "\nResult: pass (FORGED)", "")); bad != "" {
		t.Errorf("%s: the page has %s", where, bad)
	}
	return true
}

// inZone is a text as a zone file has it, octet by octet.
func inZone(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, "\\%03d", c)
	}
	return b.String()
}

// Nor does any other command hand on what a stranger writes into his DNS or his mail, with colours or without.
func TestCommandsEscapeStrangersWords(t *testing.T) {
	t.Parallel()
	m := inZone(marker)
	zone := strings.NewReplacer("MARK", m, "LONG", inZone(strings.Repeat(marker, 4))).Replace(`
evil.example.              SOA MARK.evil.example. MARK.evil.example. 7 1 1 1 60
evil.example.              NS  MARK.evil.example.
evil.example.              MX  10 MARK.evil.example.
evil.example.              TXT "v=spf1 include:MARK a:MARK.evil.example exists:MARK%{i} MARK=MARK redirect=MARK ip4:MARK mx:mx.evil.example include:inc.evil.example exp=exp.evil.example -all"
evil.example.              TXT "LONG"
one.evil.example.          TXT "v=spf1 include:inc.evil.example a:MARK.evil.example MARK=MARK exp=exp.evil.example -all"
inc.evil.example.          TXT "v=spf1 exists:MARK.evil.example mx:mx.evil.example ?all"
mx.evil.example.           MX  10 MARK.evil.example.
exp.evil.example.          TXT "LONG"
MARK.evil.example.         A   192.0.2.77
alias.evil.example.        CNAME MARK.evil.example.
_dmarc.evil.example.       TXT "v=DMARC1; p=MARK; rua=mailto:MARK@MARK,MARK; ruf=MARK; fo=MARK; MARK=MARK; sp=none"
_dmarc.one.evil.example.   TXT "v=DMARC1; p=none; rua=mailto:MARK@MARK.evil.example; MARK=MARK"
s1._domainkey.evil.example. TXT "v=DKIM1; k=MARK; h=MARK; s=MARK; n=MARK; t=MARK; MARK=MARK; p=MARK"
_mta-sts.evil.example.     TXT "v=STSv1; id=MARK"
_smtp._tls.evil.example.   TXT "v=TLSRPTv1; rua=MARK"
default._bimi.evil.example. TXT "v=BIMI1; l=MARK; a=MARK"
1.2.0.192.in-addr.arpa.    PTR MARK.evil.example.
;FAULT SERVFAIL broken.evil.example ANY
`)
	server := dnstest.New(t, zone)
	message := strings.ReplaceAll("From: MARK <MARK@evil.example>\r\nTo: MARK\r\nSubject: MARK\r\nDate: MARK\r\nMessage-ID: <MARK>\r\nReceived: from MARK (MARK [192.0.2.9]) by MARK; MARK\r\n"+
		"Authentication-Results: MARK; spf=MARK (MARK)\r\nARC-Seal: i=1; cv=MARK; a=MARK; d=evil.example; s=MARK; b=MARK\r\nARC-Message-Signature: i=1; a=MARK; c=MARK; d=MARK; s=s1; h=MARK; bh=MARK; b=MARK\r\nARC-Authentication-Results: i=1; MARK; MARK\r\n"+
		"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=evil.example; s=s1; i=MARK@evil.example; q=MARK; h=From:MARK; bh=MARK; b=MARK; z=MARK; MARK=MARK\r\n"+
		"DKIM-Signature: v=MARK; a=MARK; c=MARK; d=MARK; s=MARK; i=MARK; h=MARK; l=MARK; t=MARK; x=MARK; bh=MARK; b=MARK\r\n"+
		"MARK: MARK\r\nContent-Type: MARK; charset=MARK\r\nList-Unsubscribe: MARK\r\nReply-To: MARK\r\nSender: MARK@MARK\r\n\r\nMARK\r\n", "MARK", strings.NewReplacer("\r", "", "\n", "").Replace(marker))
	resolver := "--resolver=" + server.Addr().String()
	for _, args := range [][]string{
		{"spf", "evil.example", "--ip=192.0.2.1"},
		{"spf", "one.evil.example", "--ip=192.0.2.1", "--helo=" + marker, "--mail-from=" + marker + "@one.evil.example"},
		{"spf", "one.evil.example", "--ip=192.0.2.1", "--try=v=spf1 a:" + marker + " -all"},
		{"spf", "--record=v=spf1 " + marker, "--ip=192.0.2.1"},
		{"spf", marker, "--ip=" + marker},
		{"dmarc", "evil.example"},
		{"dmarc", "one.evil.example", "--from=" + marker + "@one.evil.example"},
		{"dmarc", marker + "@" + marker},
		{"dkim"}, {"dkim", "--canon"},
		{"dkim", "key", "s1", "evil.example"}, {"dkim", "key", marker, marker},
		{"visible", "evil.example", "TXT", "--also=none"}, {"visible", "evil.example", "MX", "--also=none"}, {"visible", "evil.example", "NS", "--also=none"},
		{"visible", "alias.evil.example", "CNAME", "--also=none"}, {"visible", "192.0.2.1", "PTR", "--also=none"}, {"visible", "evil.example", "TXT", "--also=none", "--want=" + marker},
		{"visible", marker, marker},
		{"verify", "--ip=192.0.2.1", "--helo=" + marker, "--mail-from=" + strings.NewReplacer("\r", "", "\n", "").Replace(marker) + "@evil.example", "--host=" + marker, "--rcpt-to=" + marker, "-"},
		{"verify", "--ip=192.0.2.1", "--helo=evil.example", "--mail-from=a@evil.example", "--full", "-"},
		{"verify", "--ip=192.0.2.1", "--zone=" + marker, "-"},
		{marker}, {"--" + marker}, {"spf", "--" + marker + "=" + marker},
	} {
		for _, more := range [][]string{nil, {"--json"}} {
			for colour, force := range map[string]string{"plain": "", "in colours": "1"} {
				t.Run(fmt.Sprintf("%.60q %v %s", args, more, colour), func(t *testing.T) {
					t.Parallel()
					all := append(slices.Clone(args), more...)
					if (args[0] == "spf" || args[0] == "dmarc" || args[0] == "dkim" || args[0] == "visible" || args[0] == "verify") && !slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "--zone") }) {
						all = append(all, resolver)
					}
					var out, errs strings.Builder
					code := run(t.Context(), all, env{in: strings.NewReader(message), out: &out, err: &errs, now: time.Now, getenv: func(key string) string {
						if key == "CLICOLOR_FORCE" {
							return force
						}
						return ""
					}})
					if code == exitSoftware {
						t.Errorf("exit %d: %s", code, errs.String())
					}
					if out.Len()+errs.Len() == 0 {
						t.Error("it says nothing")
					}
					if bad := raw(sgr.ReplaceAllString(out.String(), "")); bad != "" {
						t.Errorf("the terminal gets %s", bad)
					}
					if bad := raw(errs.String()); bad != "" {
						t.Errorf("the terminal gets, as an error, %s", bad)
					}
				})
			}
		}
	}
}
