package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"checkauth/reply"
	"checkauth/reply/deliver"
	"checkauth/reply/store"
	"checkauth/verify/dns/dnstest"
)

// gate stands in front of a sink: shut, it closes whatever connects.
type gate struct {
	listener net.Listener
	open     atomic.Bool
	sink     *sink
	running  sync.WaitGroup
}

func newGate(t *testing.T, s *sink) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{listener: l, sink: s}
	g.running.Go(g.serve)
	t.Cleanup(func() { _ = l.Close(); g.running.Wait() })
	return g
}

func (g *gate) serve() {
	for {
		in, err := g.listener.Accept()
		if err != nil {
			return
		}
		if !g.open.Load() {
			_ = in.Close()
			continue
		}
		out, err := net.Dial("tcp", g.sink.addr())
		if err != nil {
			_ = in.Close()
			continue
		}
		for from, to := range map[net.Conn]net.Conn{in: out, out: in} {
			g.running.Go(func() {
				_, _ = io.Copy(to, from)
				_, _ = in.Close(), out.Close()
			})
		}
	}
}

func (g *gate) port() string {
	_, port, _ := net.SplitHostPort(g.listener.Addr().String())
	return port
}

// reported sends a mail to a running service and gives the report's id.
func reported(t *testing.T, addr, from string, n int) string {
	t.Helper()
	code, text := dialogue(t, addr, from, "check-auth@verifier.example", mailOf(n))
	id := regexp.MustCompile(`report (\w+) to`).FindStringSubmatch(text)
	if code != 250 || id == nil {
		t.Fatalf("answered %d %s", code, text)
	}
	return id[1]
}

// listedAs is what queue list --json says.
func listedAs(t *testing.T, args ...string) (out queueJSON, code int) {
	t.Helper()
	got := play(t, t.Context(), "", append([]string{"queue", "list", "--json"}, args...)...)
	if got.err != "" {
		t.Fatalf("exit %d: %s", got.code, got.err)
	}
	if err := json.Unmarshal([]byte(got.out), &out); err != nil {
		t.Fatalf("%v in\n%s", err, got.out)
	}
	return out, got.code
}

// until asks until the list has so many entries.
func until(t *testing.T, n int, args ...string) []entryJSON {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		out, _ := listedAs(t, args...)
		if len(out.Entries) == n {
			return out.Entries
		}
		if time.Now().After(end) {
			t.Fatalf("%v: %d entries, want %d: %+v", args, len(out.Entries), n, out)
		}
	}
}

// A service runs as a process of its own. Its destination cannot be reached, so that replies wait; one is
// dropped and never sent, the other is retried at once when the destination is there.
func TestQueueOfARunningService(t *testing.T) {
	t.Parallel()
	world, replies := dnstest.New(t, serveZone), newSink(t)
	g, state := newGate(t, replies), t.TempDir()
	at := "--state-dir=" + state
	p := start(t, state, "--resolver-servers="+world.Addr().String(), "--deliver-port="+g.port())
	kept, dropped := reported(t, p.addr, "anna@sender.example", 1), reported(t, p.addr, "bert@sender.example", 2)
	for _, e := range until(t, 2, at, "--state=waiting", "--domain=Sender.Example") {
		if e.To != "anna@sender.example" && e.To != "bert@sender.example" || e.Due.Before(time.Now()) {
			t.Errorf("listed: %+v", e)
		}
	}
	list := play(t, t.Context(), "", "queue", "list", at)
	if list.code != exitPass || !regexp.MustCompile(`(?m)^`+kept+` +waiting +\d +in \S+ +anna@sender\.example +\S`).MatchString(list.out) ||
		!strings.Contains(list.out, "2 waiting") || !strings.Contains(list.out, "the oldest on its way is ") {
		t.Errorf("list: exit %d, %s\n%s", list.code, list.err, list.out)
	}
	show := play(t, t.Context(), "", "queue", "show", at, kept)
	for _, want := range []string{"ID:             " + kept, "State:          waiting, next try ", "Sender:         <>", "Recipient:      <anna@sender.example>", "Message-ID:     <" + kept + "@verifier.example>"} {
		if show.code != exitPass || !strings.Contains(show.out, want) {
			t.Errorf("show: exit %d, %s\n%s\nwant %q", show.code, show.err, show.out, want)
		}
	}
	if m := play(t, t.Context(), "", "queue", "show", at, "--message", kept); !strings.Contains(m.out, "\r\nMessage-Id: <"+kept+"@verifier.example>\r\n") {
		t.Errorf("the message: exit %d, %s\n%s", m.code, m.err, m.out)
	}
	drop := play(t, t.Context(), "", "queue", "drop", at, dropped)
	if drop.code != exitPass || drop.out != dropped+" is dropped\n" {
		t.Errorf("drop: exit %d, %s%s", drop.code, drop.out, drop.err)
	}
	for _, again := range []string{"drop", "retry"} {
		if got := play(t, t.Context(), "", "queue", again, at, dropped); got.code != exitFail || !strings.Contains(got.err, "it has ended: failed") {
			t.Errorf("%s what was dropped: exit %d, %s%s", again, got.code, got.out, got.err)
		}
	}
	g.open.Store(true)
	retry := play(t, t.Context(), "", "queue", "retry", at, kept)
	if retry.code != exitPass || retry.out != kept+" is due now\n" {
		t.Errorf("retry: exit %d, %s%s", retry.code, retry.out, retry.err)
	}
	if m := replies.next(t); m.to != "anna@sender.example" {
		t.Errorf("a reply went to %s", m.to)
	}
	if done := until(t, 1, at, "--state=done")[0]; done.Tries < 1 {
		t.Errorf("%d tries are counted, want the one that did not fail too", done.Tries)
	}
	if failed := until(t, 1, at, "--state=failed")[0]; failed.ID != dropped || failed.Reason != dropReason || failed.To != "" {
		t.Errorf("dropped: %+v", failed)
	}
	if out, code := listedAs(t, at); code != exitFail || len(out.Entries) != 0 || out.Stats.Done != 1 || out.Stats.Failed != 1 {
		t.Errorf("nothing is on its way: exit %d, %+v", code, out)
	}
	select {
	case m := <-replies.mails:
		t.Errorf("one more reply, to %s", m.to)
	case <-time.After(1500 * time.Millisecond):
	}
}

// The operator's commands run while the service takes mail and delivers: each report ends once, sent or
// dropped and never both.
func TestQueueBesideConcurrentDeliveries(t *testing.T) {
	t.Parallel()
	dir, replies := t.TempDir(), newSink(t)
	s, d := delivering(t, dir, func(c *deliver.Config) {
		c.Relay, c.Every, c.Retries = replies.addr(), 5*time.Millisecond, []time.Duration{3 * time.Second}
		// The first connections fail, and one now and then, so that entries wait: long enough for a busy machine to see
		// them.
		var n atomic.Int64
		c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if i := n.Add(1); i < 10 || i%3 == 0 {
				return nil, io.ErrUnexpectedEOF
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
	})
	const mails = 60
	got := map[string]int{}
	var all sync.WaitGroup
	all.Go(func() {
		for i := range mails {
			e := queued(fmt.Sprintf("r%02d", i))
			if _, err := s.Put(t.Context(), e, nil, time.Now()); err != nil {
				t.Error(err) // not put: this is no goroutine to end the test from
			}
			d.Enqueue(e)
		}
	})
	dropped := map[string]bool{}
	count := func() int {
		for {
			select {
			case m := <-replies.mails:
				got[strings.TrimSpace(string(m.data[len(m.data)-5:]))]++
			default:
				return len(got) + len(dropped)
			}
		}
	}
	at := "--state-dir=" + dir
	for end := time.Now().Add(30 * time.Second); count() < mails && time.Now().Before(end); {
		out, _ := listedAs(t, at, "--state=waiting")
		for i, e := range out.Entries {
			if i%2 == 0 && len(dropped) < 10 {
				if play(t, t.Context(), "", "queue", "drop", at, e.ID).code == exitPass {
					dropped[e.ID] = true
				}
				continue
			}
			play(t, t.Context(), "", "queue", "retry", at, e.ID)
		}
	}
	all.Wait()
	count()
	for i := range mails {
		id := fmt.Sprintf("r%02d", i)
		if n := got[id]; n != 1 && !dropped[id] || n != 0 && dropped[id] {
			t.Errorf("%s was sent %d times, dropped %t", id, n, dropped[id])
		}
	}
	if len(dropped) == 0 {
		t.Error("nothing was dropped: the test saw no waiting entry")
	}
}

// delivering is a store in dir with its delivery, running.
func delivering(t *testing.T, dir string, change func(*deliver.Config)) (*store.SQLite, *deliver.Deliverer) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	s, err := store.Open(t.Context(), dir, store.Config{Lease: 20 * time.Minute, Node: "a.example.net", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	c := deliver.Defaults()
	c.Hostname, c.AllowPrivate, c.Log = "verifier.example", true, log
	change(&c)
	d, err := deliver.New(c, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	runs(t, d.Run) // its cleanup comes first
	return s, d
}

// queued is an entry whose message ends with its id.
func queued(id string) reply.Entry {
	now := time.Now()
	return reply.Entry{ID: id, To: "a@example.org", MessageID: "<" + id + "@verifier.example>", Created: now, Expires: now.Add(time.Hour),
		Body: []byte("Subject: report\r\n\r\n" + id + "\r\n")}
}

// What a service has in memory, with its lease over, is not sent once it was dropped.
func TestDroppedWhileInMemoryIsNotSent(t *testing.T) {
	t.Parallel()
	dir, replies := t.TempDir(), newSink(t)
	s, d := delivering(t, dir, func(c *deliver.Config) { c.Relay, c.Every = replies.addr(), time.Hour })
	now := time.Now()
	put(t, s, queued("zero"), now)
	d.Enqueue(queued("zero"))
	replies.next(t) // from here on the service does not look into the store by itself
	old := queued("one")
	old.Created = now.Add(-time.Hour)
	put(t, s, old, old.Created)
	if got := play(t, t.Context(), "", "queue", "drop", "--state-dir="+dir, "one"); got.code != exitPass {
		t.Fatalf("exit %d, %s", got.code, got.err)
	}
	d.Enqueue(old)
	put(t, s, queued("two"), now)
	d.Enqueue(queued("two"))
	if m := replies.next(t); !strings.Contains(string(m.data), "two") {
		t.Errorf("sent:\n%s", m.data)
	}
	select {
	case m := <-replies.mails:
		t.Errorf("sent:\n%s", m.data)
	case <-time.After(300 * time.Millisecond):
	}
}

// closed is the queue of a stopped service with these entries in their states.
func closed(t *testing.T, do func(s *store.SQLite, now time.Time)) (dir string) {
	t.Helper()
	dir = t.TempDir()
	s, err := store.Open(t.Context(), dir, store.Config{Lease: 20 * time.Minute, Node: "a.example.net", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	do(s, time.Now())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func put(t *testing.T, s *store.SQLite, e reply.Entry, now time.Time) {
	t.Helper()
	if _, err := s.Put(t.Context(), e, nil, now); err != nil {
		t.Fatal(err)
	}
}

func TestQueueRefusals(t *testing.T) {
	t.Parallel()
	dir := closed(t, func(s *store.SQLite, now time.Time) {
		for _, id := range []string{"leased", "waits", "taken"} {
			put(t, s, queued(id), now)
		}
		later := store.Outcome{Reason: "later", Host: "mx.example.org", TLS: "TLS 1.3", Answer: "4.2.0 later"}
		if err := s.Retry(t.Context(), "waits", now.Add(time.Hour), later); err != nil {
			t.Fatal(err)
		}
		if err := s.Done(t.Context(), "taken", now, store.Outcome{Answer: "2.0.0 queued", TLS: "TLS 1.3 DANE", Host: "mx.example.org"}); err != nil {
			t.Fatal(err)
		}
	})
	at := "--state-dir=" + dir
	for _, c := range []struct {
		name string
		args []string
		code int
		say  string
	}{
		{"a leased entry is not dropped", []string{"drop", at, "leased"}, exitFail, "it is being tried by a.example.net, whose lease ends at"},
		{"nor retried", []string{"retry", at, "leased"}, exitFail, "see what comes of that try"},
		{"a finished one neither", []string{"retry", at, "taken"}, exitFail, "it has ended: done"},
		{"nor one that is not there", []string{"drop", at, "no\x1b[2Jbody"}, exitFail, `no\x1b[2Jbody: no such entry`},
		{"one of two", []string{"retry", at, "nobody", "waits"}, exitFail, "waits is due now"},
		{"all", []string{"retry", at, "--all"}, exitFail, "nothing waits for a later try"},
		{"all and one", []string{"retry", at, "--all", "waits"}, exitUsage, "or --all"},
		{"none", []string{"retry", at}, exitUsage, "give report ids"},
		{"drop none", []string{"drop", at}, exitUsage, "id"},
		{"show nothing", []string{"show", at, "nobody"}, exitFail, `no entry "nobody"`},
		{"a forgotten message", []string{"show", at, "--message", "taken"}, exitFail, "it is done, its message is forgotten"},
		{"raw what", []string{"show", at, "--raw", "taken"}, exitUsage, "--message"},
		{"message and JSON", []string{"show", at, "--message", "--json", "taken"}, exitUsage, "can't be used together"},
		{"what was said last", []string{"show", at, "taken"}, exitPass, "Last host:      mx.example.org\nTLS:            TLS 1.3 DANE\nAnswer:         2.0.0 queued\n"},
		{"as JSON", []string{"show", at, "--json", "taken"}, exitPass, `"tls": "TLS 1.3 DANE"`},
		{"who is at it", []string{"show", at, "leased"}, exitPass, "leased by a.example.net, which tries it, until "},
		{"a state that there is not", []string{"list", at, "--state=lost"}, exitUsage, "give leased, waiting, done, failed or all"},
		{"a limit of none", []string{"list", at, "--limit=0"}, exitUsage, "more than zero"},
		{"nobody's domain", []string{"list", at, "--domain=nobody.example"}, exitFail, "In the queue: 1 being tried, 1 waiting, 1 done, 0 failed"},
		{"the oldest", []string{"list", at, "--state=all", "--limit=1"}, exitPass, "these are the oldest 1"},
		{"both folders", []string{"list", at, "--config=x"}, exitUsage, "can't be used together"},
		{"no subcommand", nil, exitUsage, "list"},
	} {
		t.Run(c.name, func(t *testing.T) { // in this order: the first ones change something
			got := play(t, t.Context(), "", append([]string{"queue"}, c.args...)...)
			if got.code != c.code || !strings.Contains(got.out+got.err, c.say) {
				t.Errorf("%v: exit %d and\n%s%s\nwant exit %d and %q", c.args, got.code, got.out, got.err, c.code, c.say)
			}
		})
	}
}

// A folder that is no queue ends with 78; where a configuration names it, that one is read.
func TestQueueWhere(t *testing.T) {
	t.Parallel()
	there := closed(t, func(s *store.SQLite, now time.Time) { put(t, s, queued("one"), now) })
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "queue.db"), []byte("dear diary"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		say  string
	}{
		{"by a configuration", []string{"--config=" + configFileOf(t, fmt.Sprintf("state = %q\n", there))}, exitPass, "a@example.org"},
		{"nothing there", []string{"--state-dir=" + filepath.Join(there, "none")}, exitConfig, "name the service's with --state-dir or --config"},
		{"the default, empty", nil, exitConfig, "no service has used this folder"},
		{"not ours", []string{"--state-dir=" + foreign}, exitConfig, "not a queue of ours"},
		{"a configuration with a fault", []string{"--config=" + configFileOf(t, "stat = 1\n")}, exitConfig, `did you mean "state"?`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := play(t, t.Context(), "", append([]string{"queue", "list"}, c.args...)...)
			if got.code != c.code || !strings.Contains(got.out+got.err, c.say) {
				t.Errorf("exit %d and\n%s%s\nwant exit %d and %q", got.code, got.out, got.err, c.code, c.say)
			}
		})
	}
}

// What servers and senders wrote reaches no terminal raw.
func TestQueueCleansStrangersText(t *testing.T) {
	t.Parallel()
	const evil = "\x1b[2J\r\nfake line\u202e"
	dir := closed(t, func(s *store.SQLite, now time.Time) {
		e := queued("one")
		e.To, e.MessageID, e.Body = `"`+evil+`"@example.org`, "<"+evil+">", []byte("Subject: "+evil+"\r\n\r\nbody\r\n")
		put(t, s, e, now)
		if err := s.Retry(t.Context(), "one", now.Add(time.Hour), store.Outcome{Reason: evil, Answer: evil, TLS: evil, Host: evil}); err != nil {
			t.Fatal(err)
		}
	})
	at := "--state-dir=" + dir
	for _, args := range [][]string{{"list", at}, {"list", at, "--json"}, {"show", at, "one"}, {"show", at, "--json", "one"}} {
		got := play(t, t.Context(), "", append([]string{"queue"}, args...)...)
		if got.code != exitPass || strings.ContainsAny(got.out, "\x1b\r\u202e") || strings.Contains(got.out, "\nfake") {
			t.Errorf("%v: exit %d, %q", args, got.code, got.out)
		}
	}
	stored := store.Stored{Entry: queued("one")}
	stored.Body = []byte("Subject: " + evil + "\r\n\r\nbody\r\n")
	for raw, want := range map[bool]string{true: string(stored.Body), false: "Subject: \\x1b[2J\nfake line\\u202e\n\nbody\n"} {
		var out strings.Builder
		if err := printMessage(env{out: &out}, stored, raw); err != nil || out.String() != want {
			t.Errorf("raw %t: got %q, %v, want %q", raw, out.String(), err, want)
		}
	}
}

func TestRoughTimes(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 59 * time.Second: "59s", 61 * time.Second: "1m01s", 90 * time.Minute: "1h30m", 49 * time.Hour: "2d01h",
	} {
		if got := rough(d); got != want {
			t.Errorf("%s: got %s, want %s", d, got, want)
		}
	}
}

// Each command of the README's section on the queue runs, against a queue with that entry.
func TestReadmeQueueCommandsRun(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(b), "\n## Look into the queue\n")
	section, _, _ = strings.Cut(section, "\n## ")
	lines := regexp.MustCompile(`(?m)^    (?:sudo )?check-auth (queue .*)$`).FindAllStringSubmatch(section, -1)
	var ways []string
	for _, m := range lines {
		words := strings.Fields(m[1])
		id := words[len(words)-1]
		dir := closed(t, func(s *store.SQLite, now time.Time) {
			put(t, s, queued(id), now)
			if err := s.Retry(t.Context(), id, now.Add(time.Hour), store.Outcome{Reason: "later"}); err != nil {
				t.Fatal(err)
			}
		})
		args := strings.Fields(strings.ReplaceAll(m[1], "/etc/check-auth/config.toml", configFileOf(t, fmt.Sprintf("state = %q\n", dir))))
		if got := play(t, t.Context(), "", args...); got.code != exitPass {
			t.Errorf("%s: exit %d, %s%s", m[1], got.code, got.out, got.err)
		}
		if !slices.Contains(ways, words[1]) {
			ways = append(ways, words[1])
		}
	}
	if slices.Sort(ways); !slices.Equal(ways, []string{"drop", "list", "retry", "show"}) {
		t.Errorf("the README shows %v", ways)
	}
}
