package main

import (
	"crypto/rand"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"checkauth/verify/dns/dnstest"
)

// database makes a schema on the server that the tests may use (see reply/store), and gives its URL.
func database(t *testing.T) *url.URL {
	t.Helper()
	server := os.Getenv("CHECK_AUTH_TEST_POSTGRES")
	switch {
	case server == "" && os.Getenv("CHECK_AUTH_TEST_POSTGRES_REQUIRED") != "":
		t.Fatal("no PostgreSQL server to test with: set CHECK_AUTH_TEST_POSTGRES to its URL")
	case server == "":
		t.Skip("no PostgreSQL server to test with: set CHECK_AUTH_TEST_POSTGRES to its URL")
	}
	db, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	schema := "test_" + strings.ToLower(rand.Text())
	if _, err := db.Exec("CREATE SCHEMA " + schema); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := db.Exec("DROP SCHEMA " + schema + " CASCADE"); err != nil {
			t.Error(err)
		}
		_ = db.Close()
	})
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u
}

// way to a server, which can be cut.
type way struct {
	to    string
	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

func (w *way) serve(l net.Listener) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", w.to)
		w.mu.Lock()
		if w.conns = append(w.conns, in); err != nil || w.cut {
			_ = in.Close()
		}
		w.mu.Unlock()
		if err != nil {
			continue
		}
		go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
		go func() { _, _ = io.Copy(in, out); _ = in.Close() }()
	}
}

func (w *way) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut = cut; cut {
		for _, c := range w.conns {
			_ = c.Close()
		}
		w.conns = nil
	}
}

// Two nodes of one database: what one has answered the other one does not answer again; while the database is away
// senders are put off (451), and it is no matter any more when it is back; the queue is one.
func TestNodes(t *testing.T) {
	t.Parallel()
	u := database(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	w := &way{to: u.Host}
	go w.serve(l)
	u.Host = l.Addr().String()
	world, replies := dnstest.New(t, serveZone), newSink(t)
	var nodes []*program
	for _, name := range []string{"a", "b"} {
		nodes = append(nodes, start(t, t.TempDir(), "--resolver-servers="+world.Addr().String(), "--deliver-port="+replies.port(),
			"--store-url="+u.String(), "--store-node="+name))
	}
	send := func(node int, from string, want int) string {
		t.Helper()
		code, text := dialogue(t, nodes[node].addr, from, "check-auth@verifier.example", mailOf(1))
		if code != want {
			t.Fatalf("node %d answered %d %s, want %d", node, code, text, want)
		}
		return text
	}
	first := send(0, "anna@sender.example", 250)
	if again := send(1, "anna@sender.example", 250); reportID.FindString(again) != reportID.FindString(first) {
		t.Errorf("the same mail at the other node: %s, want the id of %s", again, first)
	}
	if m := replies.next(t); m.to != "anna@sender.example" {
		t.Errorf("the first reply went to %s", m.to)
	}
	w.set(true)
	for i := range nodes {
		if text := send(i, "bert@sender.example", 451); !strings.HasPrefix(text, "4.3.") {
			t.Errorf("put off with %s", text)
		}
	}
	w.set(false)
	send(0, "bert@sender.example", 250)
	if m := replies.next(t); m.to != "bert@sender.example" {
		t.Errorf("the second reply went to %s", m.to)
	}
	file := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(file, fmt.Appendf(nil, "[store]\nurl = %q\n", u), 0o600); err != nil {
		t.Fatal(err)
	}
	// The reply is taken a moment before its end is written down.
	const want = "In the queue: 0 being tried, 0 waiting, 2 done"
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		got := play(t, t.Context(), "", "queue", "--config", file, "list", "--state=all")
		if got.code == exitPass && strings.Contains(got.out, want) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("queue list: exit %d, %s%s, want %s", got.code, got.out, got.err, want)
		}
	}
}

// A node is killed while a reply is under way. Another one leaves it alone as long as its lease lasts; the node itself,
// started again, sends it.
func TestNodes_one_is_killed(t *testing.T) {
	t.Parallel()
	u := database(t)
	world, replies := dnstest.New(t, serveZone), newSink(t)
	node := func(name, port string) *program {
		return start(t, t.TempDir(), "--resolver-servers="+world.Addr().String(), "--deliver-port="+port, "--store-url="+u.String(), "--store-node="+name)
	}
	b := node("b", silence(t))
	code, text := dialogue(t, b.addr, "anna@sender.example", "check-auth@verifier.example", mailOf(1))
	if code != 250 {
		t.Fatalf("answered %d %s", code, text)
	}
	b.kill()
	a := node("a", replies.port())
	if code, text := dialogue(t, a.addr, "bert@sender.example", "check-auth@verifier.example", mailOf(2)); code != 250 {
		t.Fatalf("answered %d %s", code, text)
	}
	if m := replies.next(t); m.to != "bert@sender.example" {
		t.Errorf("the first reply went to %s", m.to)
	}
	node("b", replies.port())
	if m := replies.next(t); m.to != "anna@sender.example" || !strings.Contains(string(m.data), reportID.FindStringSubmatch(text)[1]) {
		t.Errorf("the second reply went to %s, want the one that was promised by %s", m.to, text)
	}
}

func TestStoreSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	c, err := (&settings{Store: storeSettings{URL: "postgres://x@192.0.2.1/x", Secret: file("good", "secret\r\nmore"), Node: "a"}}).postgres()
	if err != nil || c.Password != "secret" || c.Node != "a" || c.URL == "" {
		t.Errorf("got %+v, %v", c, err)
	}
	for _, bad := range []string{file("empty", "\nmore"), filepath.Join(dir, "none")} {
		if _, err := (&settings{Store: storeSettings{Secret: bad}}).postgres(); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%s: got %v, want an error that names it", bad, err)
		}
	}
}

// The two nodes of deploy/postgres differ in what has to differ.
func TestShippedNodes(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, n := range []string{"a", "b"} {
		s := defaults(func(string) string { return "" })
		if err := s.load("../../deploy/postgres/node-" + n + ".toml"); err != nil {
			t.Fatal(err)
		}
		if err := s.check(); err != nil {
			t.Error(err)
		}
		if c := s.Store; seen[c.Node] || seen[s.Hostname] || c.URL == "" || c.Secret == "" {
			t.Errorf("node %s: %+v", n, c)
		}
		seen[s.Store.Node], seen[s.Hostname] = true, true
	}
}
