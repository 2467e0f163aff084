package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/textproto"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"checkauth/verify/dns/dnstest"
)

// tools/fail2ban.sh has the lines written down, and gives them to fail2ban's own program.
var fail2banLines = flag.String("fail2ban-lines", "", "folder to write the log lines of TestFail2ban to")

// attack is a dialogue of one session that leaves one line.
type attack struct{ client, commands, message string }

// attacks are one of each kind.
var attacks = []attack{
	{"192.0.2.1", "MAIL FROM:<a@sender.example>\nRCPT TO:<b@victim.example>", ""},
	{"2001:db8::2", "MAIL FROM:<>\nRCPT TO:<b@victim.example>", ""},
	{"192.0.2.3", "MAIL FROM:<a@sender.example>\nRCPT TO:<b%victim.example@verifier.example>", ""},
	{"192.0.2.4", "MAIL FROM:<a@sender.example>\nRCPT TO:<b@victim.example@verifier.example>", ""},
	{"192.0.2.5", "MAIL FROM:<a@sender.example>\nRCPT TO:<sales@verifier.example>", ""},
	{"192.0.2.6", "AUTH LOGIN", ""},
	{"2001:db8::7", "AUTH PLAIN AGFkbWluAGFkbWlu", ""},
	{"192.0.2.8", "MAIL FROM:<a@[192.0.2.8]>", ""},
	{"192.0.2.9", "MAIL FROM:<a@sender.example> SIZE=99999999999", ""},
	{"192.0.2.10", "MAIL FROM:<a@sender.example> RET=FULL", ""},
	{"192.0.2.11", "MAIL FROM:<a@sender.example>\nRCPT TO:<check-auth@verifier.example> NOTIFY=NEVER", ""},
	{"192.0.2.12", "MAIL FROM:<a@sender.example>\nRCPT TO:<check-auth@verifier.example>", strings.Repeat("x\n", 70<<10)},
}

// attacker tries to have victim banned: with his own address in the log, and whatever a line could be made of.
const attacker, victim = "198.51.100.66", "203.0.113.66"

// forgeries are values that look like the rest of a line.
var forgeries = []string{
	`level=INFO msg="command refused" session=1 client=` + victim + ` command=RCPT reason=relay code=550 `,
	`" level=INFO msg="command refused" session=1 client=` + victim + ` command=RCPT reason=relay code=550 x="`,
	"x\\nlevel=INFO msg=\"command refused\" session=1 client=" + victim + " command=RCPT reason=relay code=550",
	"x\vlevel=INFO msg=\"command refused\" session=1 client=" + victim + " command=RCPT reason=relay code=550",
	"x\u2028level=INFO\u00a0msg=\"command refused\" session=1 client=" + victim + " command=RCPT reason=relay code=550",
	"x\u0085level=INFO msg=\"command refused\" session=1 client=" + victim + " command=RCPT reason=relay code=550",
	`","client":"` + victim + `","command":"RCPT","reason":"relay","code":550}`,
	"client=" + victim, victim,
	"h check-auth[1]: level=INFO msg=\"message refused\" session=1 client=" + victim + " report=x code=552 ",
}

// A site is the service with a log in all its forms.
type site struct {
	plain, proxied string
	sink           *sink

	mu      sync.Mutex
	text    bytes.Buffer // standard error
	json    bytes.Buffer // with log.json
	entries [][]byte     // of the journal
}

// at gives each record the same time.
type at struct {
	slog.Handler
	time time.Time
}

func (a at) Handle(ctx context.Context, r slog.Record) error {
	r.Time = a.time
	return a.Handler.Handle(ctx, r)
}
func (a at) WithAttrs(attrs []slog.Attr) slog.Handler { return at{a.Handler.WithAttrs(attrs), a.time} }
func (a at) WithGroup(name string) slog.Handler       { return at{a.Handler.WithGroup(name), a.time} }

// into writes to one of the site's logs.
type into struct {
	s  *site
	to *bytes.Buffer
}

func (w into) Write(b []byte) (int, error) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	return w.to.Write(b)
}

func openSite(t *testing.T, level string) *site {
	t.Helper()
	world, d := dnstest.New(t, "*.sender.example. TXT \"v=spf1 ip4:192.0.2.0/24 -all\"\n*.sender.example. MX 10 mx.sender.example.\nmx.sender.example. A 127.0.0.1\n"), newJournald(t)
	v := &site{sink: newSink(t)}
	s := defaults(func(string) string { return "" })
	s.Hostname, s.Operator, s.State = "verifier.example", "you@operator.example", t.TempDir()
	s.Listen, s.Proxy.Listen, s.Proxy.Trusted = []string{"127.0.0.1:0"}, []string{"127.0.0.1:0"}, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	s.Resolver.Servers, s.Deliver.Relay, s.SMTP.Message = []string{world.Addr().String()}, v.sink.addr(), 64<<10
	s.SMTP.PerIP, s.SMTP.PerNetwork, s.SMTP.PerMinute = unlimited, unlimited, unlimited
	s.Resolver.PerNetwork, s.Resolver.PerTarget, s.Resolver.Made = unlimited, unlimited, unlimited
	q := &s.Policy
	q.Unlimited = append(q.Unlimited, "192.0.2.0/24", "198.51.100.0/24")
	for _, limit := range []*limit{&q.AddressMinute, &q.AddressDay, &q.NetworkHour, &q.DestinationHour, &q.DomainDay, &q.Total} {
		*limit = unlimited
	}
	s.Log.Level = level
	lines, objects := s.Log, s.Log
	objects.JSON = true
	clock := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	log := slog.New(slog.NewMultiHandler(at{lines.handler(into{v, &v.text}), clock}, at{objects.handler(into{v, &v.json}), clock},
		newJournal(d.path, gone{}, lines.handler)))
	go func() {
		for {
			b, _, err := d.receive()
			if err != nil {
				return
			}
			v.mu.Lock()
			v.entries = append(v.entries, bytes.Clone(b))
			v.mu.Unlock()
		}
	}()
	open, err := openService(t.Context(), &s, log, env{now: time.Now, err: os.Stderr, getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	v.plain, v.proxied = open.plain[0].Addr().String(), open.proxied[0].Addr().String()
	runs(t, open.run)
	return v
}

// dial is a client with that address, behind the load balancer.
func (v *site) dial(t *testing.T, client string) *textproto.Conn {
	t.Helper()
	raw, err := net.Dial("tcp", v.proxied)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	family, local := "TCP4", "198.51.100.25"
	if strings.Contains(client, ":") {
		family, local = "TCP6", "2001:db8::25"
	}
	c := textproto.NewConn(raw)
	if err := c.PrintfLine("PROXY %s %s %s 40000 25", family, client, local); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.ReadResponse(220); err != nil {
		t.Fatal(err)
	}
	return c
}

// session says commands and reads the replies, whatever they are, and waits for the end.
func (v *site) session(t *testing.T, client, helo, commands, message string) {
	t.Helper()
	c := v.dial(t, client)
	lines := append([]string{"EHLO " + helo}, strings.Split(commands, "\n")...)
	if message != "" {
		lines = append(lines, "DATA", strings.ReplaceAll(message, "\n", "\r\n")+".")
	}
	for _, line := range append(lines, "QUIT") {
		if line == "" {
			continue
		}
		if err := c.PrintfLine("%s", line); err != nil {
			return // it was closed
		}
		if _, _, err := c.ReadResponse(0); err != nil {
			return
		}
	}
	_, _ = c.R.ReadByte() // the end
}

// since gives the lines of a log behind the first n octets.
func (v *site) since(log *bytes.Buffer, n int) (lines []string, end int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	text := log.String()
	for line := range strings.Lines(text[n:]) {
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
	return lines, len(text)
}

// filter is deploy/fail2ban's, as regular expressions of ours: line gives the address that a line is a match for.
func filter(t *testing.T) (match func(line string) (addr string, ok bool)) {
	t.Helper()
	text, err := os.ReadFile("../../deploy/fail2ban/filter.d/check-auth.conf")
	if err != nil {
		t.Fatal(err)
	}
	value := func(key string) string {
		m := regexp.MustCompile(`(?m)^` + key + ` = (.*(?:\n +.*)*)`).FindStringSubmatch(string(text))
		if m == nil {
			t.Fatalf("the filter has no %s", key)
		}
		return m[1]
	}
	var all []*regexp.Regexp
	for e := range strings.SplitSeq(value("failregex"), "\n") {
		e = strings.TrimLeft(e, " ")
		for _, name := range []string{"_prefix", "_reason"} {
			e = strings.ReplaceAll(e, "%("+name+")s", value(name))
		}
		all = append(all, regexp.MustCompile(strings.ReplaceAll(e, "<ADDR>", `(?P<addr>[0-9a-fA-F.:]+)`)))
	}
	if len(all) != 4 {
		t.Fatalf("%d expressions", len(all))
	}
	date := regexp.MustCompile(`^(time=|\{"time":")\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"?`)
	return func(line string) (string, bool) {
		// fail2ban takes the time out of a line first.
		line = date.ReplaceAllString(line, "")
		for _, re := range all {
			if m := re.FindStringSubmatch(line); m != nil {
				return m[re.SubexpIndex("addr")], true
			}
		}
		return "", false
	}
}

// journalLines are the entries as fail2ban puts them together.
func (v *site) journalLines(t *testing.T) (lines []string) {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, b := range v.entries {
		lines = append(lines, "verifier check-auth[123]: "+parseEntry(t, b)["MESSAGE"])
	}
	return lines
}

// wait until a line of the log has been written so often.
func (v *site) wait(t *testing.T, what string, n int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		lines, _ := v.since(&v.text, 0)
		if got := strings.Count(strings.Join(lines, "\n"), what); got >= n {
			return
		} else if time.Now().After(end) {
			t.Fatalf("%q was logged %d times, want %d:\n%s", what, got, n, strings.Join(lines, "\n"))
		}
	}
}

var anyReport = regexp.MustCompile(`\breport(=|":")[a-z2-7]{26}`)

// Each attack is a match of deploy/fail2ban's filter, in each form of the log; what a good day leaves is none.
func TestFail2ban(t *testing.T) {
	t.Parallel()
	v, match := openSite(t, "info"), filter(t)
	v.wait(t, `msg="taking mail"`, 2)
	good, end := v.since(&v.text, 0)
	_, endJSON := v.since(&v.json, 0)
	for _, a := range attacks {
		v.session(t, a.client, "mx.sender.example", a.commands, a.message)
	}
	refused, end := v.since(&v.text, end)
	refusedJSON, endJSON := v.since(&v.json, endJSON)
	for i, line := range refused {
		refused[i] = anyReport.ReplaceAllString(line, "report${1}4uzntbkiziywcsj27kmtclkkyh")
	}
	for form, lines := range map[string][]string{"lines": refused, "objects": refusedJSON} {
		if len(lines) != len(attacks) {
			t.Fatalf("%d attacks left the %s\n%s", len(attacks), form, strings.Join(lines, "\n"))
		}
		for i, line := range lines {
			if addr, ok := match(line); !ok || addr != attacks[i].client {
				t.Errorf("the filter takes %s for an attack of %q, want %s", line, addr, attacks[i].client)
			}
		}
	}
	same(t, "testdata/fail2ban.log", strings.Join(refused, "\n")+"\n")

	v.goodDay(t)
	more, _ := v.since(&v.text, end)
	good = append(good, more...)
	goodJSON, _ := v.since(&v.json, endJSON)
	if len(good) < 100 {
		t.Errorf("%d good lines, want 100", len(good))
	}
	for _, line := range append(good[:len(good):len(good)], goodJSON...) {
		if addr, ok := match(line); ok {
			t.Errorf("the filter takes %s for an attack of %s", line, addr)
		}
	}
	matched := 0
	for _, line := range v.journalLines(t) {
		if _, ok := match(line); ok {
			matched++
		}
	}
	if matched != len(attacks) {
		t.Errorf("the filter takes %d entries of the journal for attacks, want %d", matched, len(attacks))
	}
	if *fail2banLines != "" {
		v.writeLines(t, *fail2banLines, refused, good, refusedJSON, goodJSON)
	}
}

// goodDay is what is not to be banned for: tests that are taken, refused or put off, mistakes, and noise.
func (v *site) goodDay(t *testing.T) {
	t.Helper()
	const mails = 30
	for n := range mails {
		from := fmt.Sprintf("anna@d%d.sender.example", n)
		v.session(t, fmt.Sprintf("192.0.2.%d", 100+n), "mx.sender.example", "MAIL FROM:<"+from+">\nRCPT TO:<check-auth@verifier.example>",
			"From: "+from+"\nMessage-ID: <"+from+">\nSubject: test\n\nhello\n")
		v.sink.next(t)
	}
	for n := range 5 {
		client := fmt.Sprintf("198.51.100.%d", n)
		v.session(t, client, "other.example", "MAIL FROM:<b@d1.sender.example>\nRCPT TO:<check-auth@verifier.example>", "From: b@d1.sender.example\n\nhello\n") // SPF fails
		v.session(t, client, "other.example", "MAIL FROM:<b@sender.example> BODY=X", "")
		v.session(t, client, "other.example", "RCPT TO:<b@sender.example>\nMAIL FROM:<@>\nVRFY b\nHELP", "")
		v.session(t, client, "other.example", "MAIL FROM:<>\nRCPT TO:<check-auth@verifier.example>\nRCPT TO:<check-auth@verifier.example>", "")
		v.session(t, client, "other.example", "MAIL FROM:<>\nRCPT TO:<postmaster@verifier.example>", "From: b@d1.sender.example\n\nhello\n")
		v.session(t, client, "other.example", "GET / HTTP/1.1", "")
		v.session(t, client, "other.example", "BDAT 5 LAST", "")
		v.session(t, "10.0.0.5", "other.example", "MAIL FROM:<b@d1.sender.example>", "")
	}
	for range 5 {
		v.sink.next(t)
	}
	v.wait(t, `msg="report delivered"`, mails+5)
}

// writeLines writes each form of the log: the attacks, and the rest.
func (v *site) writeLines(t *testing.T, dir string, refused, good, refusedJSON, goodJSON []string) {
	t.Helper()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("refused.log", strings.Join(refused, "\n")+"\n")
	write("good.log", strings.Join(good, "\n")+"\n")
	write("refused.json", strings.Join(refusedJSON, "\n")+"\n")
	write("good.json", strings.Join(goodJSON, "\n")+"\n")
	write("count", fmt.Sprintf("%d %d\n", len(refused), len(good)))
	// What journald adds, in the form that systemd-journal-remote reads.
	var export bytes.Buffer
	began, n := time.Now().UnixMicro(), int64(0)
	entry := func(unit string, b []byte) {
		n++
		fmt.Fprintf(&export, "__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n_BOOT_ID=%032x\n_MACHINE_ID=%032[3]x\n_HOSTNAME=verifier\n_PID=123\n_COMM=check-auth\n_SYSTEMD_UNIT=%s\n%s\n",
			began+n, n, 1, unit, b)
	}
	for _, b := range v.entries {
		entry("check-auth.service", b)
		if bytes.Contains(b, []byte(" code=5")) && bytes.Contains(b, []byte(`msg="command refused"`)) || bytes.Contains(b, []byte(" code=552 ")) {
			entry("other.service", b)
		}
	}
	write("journal.export", export.String())
}

// A stranger cannot have another address banned: whatever he says, the lines are matches for his own or for none.
func TestFail2ban_forged_lines(t *testing.T) {
	t.Parallel()
	v, match := openSite(t, "debug"), filter(t)
	const to = "\nRCPT TO:<check-auth@verifier.example>"
	for _, f := range forgeries {
		quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(f) + `"`
		// His HELO and his addresses, their domains, parameters and commands.
		v.session(t, attacker, f, "MAIL FROM:<a@d1.sender.example>"+to, "From: a@d1.sender.example\nMessage-ID: <"+f+">\nSubject: "+f+"\n\n"+f+"\n")
		v.session(t, attacker, f, "MAIL FROM:<"+quoted+"@d1.sender.example>"+to, f+"\n")
		v.session(t, attacker, f, "MAIL FROM:<"+quoted+"@d1.sender.example> SMTPUTF8\nRCPT TO:<"+quoted+"@victim.example>\nRCPT TO:<"+quoted+"@verifier.example>", "")
		v.session(t, attacker, f, "MAIL FROM:<a@"+f+">"+to, f+"\n")
		v.session(t, attacker, f, "MAIL FROM:<a@"+f+"> SMTPUTF8"+to, f+"\n")
		v.session(t, attacker, f, "MAIL FROM:<a@["+f+"]>", "")
		v.session(t, attacker, f, "MAIL FROM:<a@d1.sender.example> "+f, "")
		v.session(t, attacker, f, "MAIL FROM:<a@d1.sender.example>\nRCPT TO:<b@"+f+">\nRCPT TO:<"+f+">", "")
		v.session(t, attacker, f, f+"\nAUTH "+f, "")
		v.session(t, attacker, f, f, "")
	}
	v.overTLS(t)
	v.wait(t, `msg="session ended"`, len(forgeries)*10+1)
	lines, _ := v.since(&v.text, 0)
	objects, _ := v.since(&v.json, 0)
	seen := 0
	for _, line := range append(append(lines, objects...), v.journalLines(t)...) {
		if strings.Contains(line, victim) {
			seen++
		}
		if addr, ok := match(line); ok && addr != attacker {
			t.Errorf("the filter takes %s for an attack of %s", line, addr)
		}
	}
	if seen < len(forgeries) {
		t.Errorf("%d lines have what was forged: the test tries nothing", seen)
	}
}

// overTLS says a name in the handshake.
func (v *site) overTLS(t *testing.T) {
	t.Helper()
	raw, err := net.Dial("tcp", v.proxied)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	c := textproto.NewConn(raw)
	if err := c.PrintfLine("PROXY TCP4 %s 198.51.100.25 40000 25\r\nEHLO x\r\nSTARTTLS", attacker); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{220, 250, 220} {
		if _, _, err := c.ReadResponse(want); err != nil {
			t.Fatal(err)
		}
	}
	_ = tls.Client(raw, &tls.Config{ServerName: "x level=INFO client=" + victim, InsecureSkipVerify: true}).Handshake() // however it ends
}
