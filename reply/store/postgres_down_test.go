package store_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"checkauth/reply"
	"checkauth/reply/store"
	"checkauth/reply/store/storetest"
)

// cluster is a server of this test's own, which it may stop.
type cluster struct {
	bin, dir string
	who      *syscall.Credential
	url      string
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	server(t) // where there is none, nobody wants these tests
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		if at, err := exec.LookPath("initdb"); err == nil {
			found = append(found, at)
		}
	}
	if len(found) == 0 {
		missing(t, "no initdb here, to make a server that may be stopped: install postgresql")
	}
	dir, err := os.MkdirTemp("", "check-auth-postgres-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	c := &cluster{bin: filepath.Dir(found[len(found)-1]), dir: dir}
	if os.Geteuid() == 0 { // PostgreSQL does not run as root
		c.who = anybody(t)
		if err := os.Chown(dir, int(c.who.Uid), int(c.who.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	c.url = fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", port)
	c.run(t, "initdb", "-D", filepath.Join(dir, "data"), "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C")
	conf := fmt.Sprintf("\nlisten_addresses = '127.0.0.1'\nport = %d\nunix_socket_directories = ''\n", port)
	f, err := os.OpenFile(filepath.Join(dir, "data", "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(conf); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	c.start(t)
	t.Cleanup(func() { _ = c.command("pg_ctl", "-D", filepath.Join(dir, "data"), "-m", "immediate", "stop").Run() })
	return c
}

func anybody(t *testing.T) *syscall.Credential {
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, _ := strconv.ParseUint(u.Uid, 10, 32)
			gid, _ := strconv.ParseUint(u.Gid, 10, 32)
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	missing(t, "this is root and there is no user to run PostgreSQL as")
	return nil
}

func (c *cluster) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(c.bin, name), args...)
	cmd.Dir = c.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.who}
	return cmd
}

func (c *cluster) run(t *testing.T, name string, args ...string) {
	t.Helper()
	// To a file: pg_ctl's server keeps what it inherits open.
	out, err := os.CreateTemp(c.dir, name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	cmd := c.command(name, args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(out.Name())
		t.Fatalf("%s: %v\n%s", name, err, said)
	}
}

func (c *cluster) start(t *testing.T) {
	t.Helper()
	c.run(t, "pg_ctl", "-D", filepath.Join(c.dir, "data"), "-w", "start")
}

// crash ends the server as a loss of power would: it recovers at the next start.
func (c *cluster) crash(t *testing.T) {
	t.Helper()
	c.run(t, "pg_ctl", "-D", filepath.Join(c.dir, "data"), "-w", "-m", "immediate", "stop")
}

// The server crashes and comes back while two nodes store: meanwhile every Put fails, which clients hear as 451;
// then all goes on by itself, and what was acknowledged is there.
func TestPostgres_the_server_restarts_under_load(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	nodes := []store.Store{openPostgres(t, c.url, "a"), openPostgres(t, c.url, "b")}
	l := &load{said: map[string]bool{}, stop: make(chan struct{})}
	var all sync.WaitGroup
	for p := range 8 {
		all.Go(func() { l.produce(t.Context(), nodes[p%2], fmt.Sprint("p", p)) })
	}
	l.wait(t, &l.good, 100)
	for range 2 {
		failed := l.bad.Load()
		c.crash(t)
		l.wait(t, &l.bad, failed+20)
		c.start(t)
		l.wait(t, &l.good, l.good.Load()+100)
	}
	close(l.stop)
	all.Wait()
	got, err := nodes[0].Claim(t.Context(), storetest.Start.Add(100*time.Hour), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, e := range got {
		there[e.ID] = true
	}
	lost := 0
	for id := range l.said {
		if !there[id] {
			lost++
			t.Errorf("%s was acknowledged and is lost", id)
		}
	}
	t.Logf("%d acknowledged, %d put off, %d there, lost %d", len(l.said), l.bad.Load(), len(there), lost)
	if int64(len(there)) > int64(len(l.said))+l.bad.Load() {
		t.Errorf("%d are there of %d acknowledged and %d put off", len(there), len(l.said), l.bad.Load())
	}
}

// What deploy/postgres says makes a database that a node can use, and others cannot read; its backup comes back.
func TestPostgres_deploy(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	text, err := os.ReadFile("../../deploy/postgres/setup.sql")
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(c.dir, "setup.sql")
	if err := os.WriteFile(script, text, 0o644); err != nil {
		t.Fatal(err)
	}
	c.run(t, "psql", "-X", "-v", "ON_ERROR_STOP=1", "-f", script, c.url)
	of := func(user, database string) string {
		u, err := url.Parse(c.url)
		if err != nil {
			t.Fatal(err)
		}
		u.User, u.Path = url.User(user), "/"+database
		return u.String()
	}
	s := openPostgres(t, of("check_auth", "check_auth"), "a")
	if _, err := s.Put(t.Context(), storetest.Entry("one"), nil, storetest.Start); err != nil {
		t.Fatal(err)
	}
	do(t, of("postgres", "postgres"), "CREATE ROLE stranger LOGIN")
	if _, err := store.AttachPostgres(t.Context(), pgConfig(t, of("stranger", "check_auth"), "x")); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a stranger: got %v, want %v", err, fs.ErrPermission)
	}
	if !strings.Contains(string(text), "pg_dump --format=custom --file=check_auth.dump check_auth") {
		t.Error("setup.sql has no backup line")
	}
	c.run(t, "pg_dump", "--format=custom", "--file=check_auth.dump", of("postgres", "check_auth"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	do(t, of("postgres", "postgres"), "CREATE DATABASE again OWNER check_auth TEMPLATE template0")
	c.run(t, "pg_restore", "--dbname="+of("postgres", "again"), "check_auth.dump")
	s = openPostgres(t, of("check_auth", "again"), "a")
	if got, err := s.Claim(t.Context(), storetest.Start, 10); err != nil || len(got) != 1 || string(got[0].Body) != string(storetest.Entry("one").Body) {
		t.Errorf("after the restore: %v, %v", got, err)
	}
}

// load is entries without end.
type load struct {
	mu        sync.Mutex
	said      map[string]bool
	good, bad atomic.Int64
	stop      chan struct{}
}

func (l *load) produce(ctx context.Context, s store.Store, name string) {
	for i := 0; ; i++ {
		id := fmt.Sprint(name, "-", i)
		b := []reply.Bucket{{Key: fmt.Sprint("b", i%5), Limit: 1 << 40, Expires: storetest.Start.Add(time.Hour)}}
		_, err := s.Put(ctx, storetest.Entry(id), b, storetest.Start)
		if err == nil {
			l.good.Add(1)
			l.mu.Lock()
			l.said[id] = true
			l.mu.Unlock()
		} else {
			l.bad.Add(1)
			time.Sleep(10 * time.Millisecond)
		}
		select {
		case <-l.stop:
			return
		default:
		}
	}
}

func (l *load) wait(t *testing.T, n *atomic.Int64, want int64) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); n.Load() < want; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d acknowledged, %d put off: it stands still", l.good.Load(), l.bad.Load())
		}
	}
}

// valve stands between a store and its server.
type valve struct {
	gate sync.RWMutex // held: nothing passes
	to   string
}

func (v *valve) pass(from, to net.Conn) {
	defer func() { _, _ = from.Close(), to.Close() }()
	buffer := make([]byte, 1<<16)
	for {
		n, err := from.Read(buffer)
		v.gate.RLock()
		_, failed := to.Write(buffer[:n])
		v.gate.RUnlock()
		if err != nil || failed != nil {
			return
		}
	}
}

func (v *valve) serve(l net.Listener) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", v.to)
		if err != nil {
			_ = in.Close()
			continue
		}
		go v.pass(in, out)
		go v.pass(out, in)
	}
}

// A server that hangs fails every call within the bound, and is no matter any more when it answers again.
func TestPostgres_a_server_that_hangs(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(schema(t, server(t)))
	if err != nil {
		t.Fatal(err)
	}
	if u.Host == "" {
		t.Skip("the server is on a unix socket: nothing stands between")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	v := &valve{to: u.Host}
	go v.serve(l)
	u.Host = l.Addr().String()
	c := pgConfig(t, u.String(), "a")
	c.Timeout = 3 * time.Second
	s := openPostgresWith(t, c)
	if _, err := s.Put(t.Context(), storetest.Entry("before"), nil, storetest.Start); err != nil {
		t.Fatal(err)
	}
	v.gate.Lock()
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if _, err := s.Put(t.Context(), storetest.Entry(fmt.Sprint("e", i)), nil, storetest.Start); err == nil {
				t.Error("a Put succeeded while nothing passes")
			}
		})
	}
	for name, call := range map[string]func() error{
		"Peek": func() error {
			_, err := s.Peek(t.Context(), []reply.Bucket{{Key: "a", Limit: 1}}, storetest.Start)
			return err
		},
		"Seen":    func() error { _, err := s.Seen(t.Context(), []byte("a"), storetest.Start, storetest.Start); return err },
		"Stopped": func() error { _, err := s.Stopped(t.Context(), "a@example.org"); return err },
		"Claim":   func() error { _, err := s.Claim(t.Context(), storetest.Start, 10); return err },
		"Sweep":   func() error { return s.Sweep(t.Context(), storetest.Start) },
		"Done":    func() error { return s.Done(t.Context(), "before", storetest.Start, store.Outcome{}) },
	} {
		all.Go(func() {
			if call() == nil {
				t.Errorf("%s succeeded while nothing passes", name)
			}
		})
	}
	all.Wait()
	v.gate.Unlock()
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		_, err := s.Put(t.Context(), storetest.Entry("after"), nil, storetest.Start)
		if err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("it does not come back: %v", err)
		}
	}
}
