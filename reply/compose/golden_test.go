package compose

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"checkauth/reply/policy"
	"checkauth/verify"
	"checkauth/verify/evaluate"
	"checkauth/verify/mail"
)

var update = flag.Bool("update", false, "write the golden files anew")

// now is when the replies of the tests are written.
var now = time.Date(2026, 11, 24, 2, 10, 7, 0, time.UTC)

// given are the reports in testdata: NAME.json, and NAME.eml with the message. Class A's goldens are
// NAME.txt.
var given = []struct {
	name  string
	class policy.Class
}{
	{"all-well", policy.Proved},
	{"founding-story", policy.Open},
	{"dkim-body-changed", policy.Proved},
	{"spf-permerror", policy.Open},
	{"dns-outage", policy.Open},
	{"unproved", policy.Open},
	{"hostile", policy.Proved},
	{"hostile-unproved", policy.Open},
	{"founding-story-tr", policy.Open},
	{"spf-eleven-lookups", policy.Proved},
	{"spf-two-records", policy.Open},
	{"forwarded", policy.Proved},
	{"dkim-wrong-selector", policy.Proved},
	{"vendor-not-aligned", policy.Proved},
	{"ptr-mismatch", policy.Proved},
	{"stale-cache", policy.Proved},
	{"mailing-list", policy.Proved},
}

// decision is the policy's for a class: an unproved sender is given two addresses.
func decision(r *verify.Report, class policy.Class) policy.Decision {
	d := policy.Decision{Class: class, To: r.Session.MailFrom}
	if class != policy.Proved {
		d.Again, d.Never = "check-auth+uyb7xk2m4qzfw3ar6t@verifier.example", "check-auth-stop+uyqd5e7rzm2nkb4xwh@verifier.example"
	}
	return d
}

func composer(t testing.TB, change ...func(*Config)) *Composer {
	t.Helper()
	cfg := Defaults()
	cfg.Host, cfg.Service = "verifier.example", "check-auth@verifier.example"
	cfg.From, cfg.Operator = "auth-results@verifier.example", "postmaster@verifier.example"
	for _, c := range change {
		c(&cfg)
	}
	c, err := New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// load reads a report with its message. Both of the hostile ones are one report.
func load(t testing.TB, name string) (*verify.Report, mail.Data) {
	t.Helper()
	name = strings.TrimSuffix(name, "-unproved")
	b, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	r := &verify.Report{}
	if err := json.Unmarshal(b, r); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	mark(r)
	restored(t, r)
	raw := hostileMessage
	if name != "hostile" {
		b, err := os.ReadFile(filepath.Join("testdata", name+".eml"))
		if err != nil {
			t.Fatal(err)
		}
		raw = strings.ReplaceAll(string(b), "\n", "\r\n")
	}
	return r, within(t, r, raw)
}

// within puts the header into the report and gives the body.
func within(t testing.TB, r *verify.Report, raw string) mail.Data {
	t.Helper()
	fields, body, err := mail.Split(data(raw), mail.DefaultBounds())
	if err != nil {
		t.Fatal(err)
	}
	r.Message.Fields = fields
	return body
}

// restored has the facts of a report that was read, or made by hand.
func restored(t testing.TB, r *verify.Report) *verify.Report {
	t.Helper()
	if err := evaluate.Restore(r); err != nil {
		t.Fatal(err)
	}
	return r
}

func data(s string) mail.Data { return mail.Data{At: strings.NewReader(s), Size: int64(len(s))} }

// hostileMessage has what no text file keeps.
const hostileMessage = "From: \x1b]0;title\x07<x@example.org>\r\n" +
	"Subject: =?utf-8?q?x?= \xff\xfe \xe2\x80\xae gpj.exe \xc2\x9b31m\r\n" +
	"no field at all \x00\x08\r\n" +
	"Received: from a\rb by c\r\n" +
	"\r\n" +
	"body \x1b[2J\r\n.\r\nFrom: somebody else\r\n\xe2\x80\xae<script>alert(1)</script> https://evil.example/\r\n"

// golden compares with testdata/name, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got == string(want) {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range max(len(g), len(w)) {
		if i >= len(g) || i >= len(w) || g[i] != w[i] {
			t.Fatalf("%s, line %d:\ngot  %q\nwant %q\n(go test ./reply/compose -update writes it anew)", file, i+1,
				g[min(i, len(g)-1)], w[min(i, len(w)-1)])
		}
	}
}

func text(t *testing.T, name string, class policy.Class) string {
	t.Helper()
	r, body := load(t, name)
	out, err := composer(t).Text(r, decision(r, class), body)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestText_is_what_the_golden_files_say(t *testing.T) {
	t.Parallel()
	for _, c := range given {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			golden(t, c.name+".txt", text(t, c.name, c.class))
		})
	}
}

// Scripts read these by line and column since Port25's time; nothing of it may move.
func TestText_keeps_Port25s_layout(t *testing.T) {
	t.Parallel()
	for _, c := range given {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out := text(t, c.name, c.class)
			rule, thin, wide := strings.Repeat("=", 58), strings.Repeat("-", 58), strings.Repeat("=", 62)
			var parts []int
			for _, part := range []string{
				"\n" + rule + "\nSummary of Results\n" + rule + "\n",
				"\nSPF check:          ", "\n\"iprev\" check:      ", "\nDKIM check:         ", "\nDMARC check:        ",
				"\nHELO check:         ", "\nTLS check:          ",
				"\n" + rule + "\nDetails:\n" + rule + "\n\n",
				"\nHELO hostname:  ", "\nSource IP:      ", "\nmail-from:      ",
				"\n" + thin + "\nSPF check details:\n" + thin + "\nResult:         ",
				"\nID(s) verified:", "\nDNS record(s):",
				"\n" + thin + "\n\"iprev\" check details:\n" + thin + "\nResult:         ",
				"\n" + thin + "\nDKIM check details:\n" + thin + "\nResult:         ",
				"\n" + wide + "\nExplanation of the possible results\n" + wide + "\n",
				"\n" + rule + "\nOriginal Email\n" + rule + "\n\n",
			} {
				parts = append(parts, strings.Index(out, part))
			}
			if slices.Contains(parts, -1) || !slices.IsSorted(parts) {
				t.Errorf("the labels stand at %v, want all of them, in order", parts)
			}
		})
	}
}

var word = regexp.MustCompile(`^(none|neutral|pass|fail|softfail|policy|temperror|permerror|not run|ham|spam)$`)

func TestText_summary_has_one_word_a_check(t *testing.T) {
	t.Parallel()
	for _, c := range given {
		out := text(t, c.name, c.class)
		_, out, _ = strings.Cut(out, "\nSummary of Results\n")
		out, _, _ = strings.Cut(out[strings.Index(out, "\n")+1:], "\n\n")
		r, _ := load(t, c.name)
		lines := strings.Split(out, "\n")
		if len(lines) != len(r.Checks)+len(r.Receivers) {
			t.Errorf("%s: %d lines for %d checks and %d receivers", c.name, len(lines), len(r.Checks), len(r.Receivers))
		}
		for _, l := range lines[:len(r.Checks)] {
			if len(l) < 21 || !word.MatchString(l[20:]) {
				t.Errorf("%s: %q, want a word in column 21", c.name, l)
			}
		}
	}
}

// copied are lines whose value is to be copied as it is: of records, and directives behind the name of their file.
var copied = regexp.MustCompile(`^   (Name|Value|Zone|Was) |^ {13}\S+: `)

// What prose there is fits a terminal; records stay whole so that they can be copied.
func TestText_of_an_honest_report_has_no_long_prose(t *testing.T) {
	t.Parallel()
	for _, c := range given {
		if strings.HasPrefix(c.name, "hostile") {
			continue
		}
		before, _, _ := strings.Cut(text(t, c.name, c.class), "\nDetails:\n")
		for l := range strings.SplitSeq(before, "\n") {
			if n := utf8.RuneCountInString(l); n > width && !copied.MatchString(l) {
				t.Errorf("%s: %d columns: %q", c.name, n, l)
			}
		}
	}
}

// An address that is not proved gets nothing of the message's own words.
func TestHostile_44_an_unproved_sender_gets_no_words_of_the_message(t *testing.T) {
	t.Parallel()
	r, body := load(t, "unproved")
	c := composer(t)
	e, err := c.Reply(r, policy.Decision{Class: policy.Open}, body, now)
	if err != nil {
		t.Fatal(err)
	}
	all := decoded(t, e.Body)
	for _, words := range []string{"pills", "Buy now", "Cheap", "555 0100", "Canonicalized", "this is a test"} {
		if bytes.Contains(all, []byte(words)) {
			t.Errorf("the reply has %q of the message", words)
		}
	}
}
