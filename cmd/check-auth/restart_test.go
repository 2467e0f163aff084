package main

import (
	"errors"
	"maps"
	"net"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"checkauth/reply/store"
)

// restarts of each kind.
const restarts = 3

// maySee is all that clients see of a restart where the service manager holds the port: nobody is refused; a
// connection that was just taken is closed with 421 or without a word, before a command of it was answered; one
// that has no transaction hears 421 to its next command; a transaction that has begun is answered as always.
var maySee = regexp.MustCompile(`^(250 at message|421 at (greeting|EHLO|MAIL)|closed at greeting)$`)

// The program is started anew under load, on a socket that outlives it: no 250 is lost, nobody is refused, and who
// is within a message gets an answer to it.
func TestRestart_under_load(t *testing.T) {
	t.Parallel()
	for _, v := range []struct {
		name  string
		start func(t *testing.T, m *manager, old *life) *life
	}{
		{"the next one when the former has ended", func(t *testing.T, m *manager, old *life) *life {
			<-old.over
			return m.start(t)
		}},
		{"the next one at once", func(t *testing.T, m *manager, old *life) *life { return m.startBeside(t, old) }},
	} {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			c := newCrowd(t)
			m := newManager(t, c.serve(t.TempDir()))
			c.addr.Store(&m.addr)
			c.begin()
			p := m.start(t)
			for range restarts {
				c.more(t, p, 20)
				within := openMessage(t, m.addr)
				if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
				m.hear(t, "STOPPING=1")
				within.finish(t)
				next := v.start(t, m, p)
				p.ended(t)
				p = next
			}
			c.more(t, p, 20)
			f := c.close(t, p)
			m.hear(t, "STOPPING=1")
			t.Logf("restarts %d, 250s heard %d, seen %v", restarts, f.heard, c.outcomes)
			t.Logf("lost %d, replies %d, duplicates %d, mails with two reports %d", f.lost, f.replies, f.twice, f.two)
			if f.lost+f.twice+f.two > 0 {
				t.Errorf("lost %d, duplicates %d, mails with two reports %d: want none", f.lost, f.twice, f.two)
			}
			for _, o := range slices.Sorted(maps.Keys(c.outcomes)) {
				if !maySee.MatchString(o) {
					t.Errorf("a client saw %q %d times", o, c.outcomes[o])
				}
			}
		})
	}
}

// manager is the service manager: it holds the port and hears how its service is.
type manager struct {
	addr   string
	args   []string
	port   *os.File
	notify *net.UnixConn
}

func newManager(t *testing.T, args []string) *manager {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	m := &manager{addr: l.Addr().String(), args: args}
	if m.port, err = l.(*net.TCPListener).File(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.port.Close() })
	// The path of a socket is short: that of a test's folder may not be.
	dir, err := os.MkdirTemp("", "notify")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if m.notify, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.notify.Close() })
	return m
}

// launch starts the program with the port as sd_listen_fds(3) has it: the shell knows the number that the
// process will have.
func (m *manager) launch(t *testing.T) *life {
	t.Helper()
	cmd := exec.Command("/bin/sh", append([]string{"-c", `LISTEN_PID=$$; export LISTEN_PID; exec "$0" "$@"`, os.Args[0]}, m.args...)...)
	cmd.Env = []string{"LISTEN_FDS=1", "LISTEN_FDNAMES=smtp", "NOTIFY_SOCKET=" + m.notify.LocalAddr().String()}
	cmd.ExtraFiles = []*os.File{m.port}
	return launch(t, cmd)
}

// start returns when the service says that it is ready.
func (m *manager) start(t *testing.T) *life {
	t.Helper()
	p := m.launch(t)
	m.ready(t, p)
	return p
}

func (m *manager) ready(t *testing.T, p *life) {
	t.Helper()
	if got := *p.await(t); got != m.addr {
		t.Fatalf("it takes mail on %s, want the socket that it was given, %s", got, m.addr)
	}
	m.hear(t, "READY=1")
}

// startBeside starts the next one while the former may still run. The folder is the former's until its end: who
// comes too early says so, ends, and is started again; it has taken no connection.
func (m *manager) startBeside(t *testing.T, old *life) *life {
	t.Helper()
	for {
		p := m.launch(t)
		select {
		case a := <-p.taking:
			p.taking <- a
			m.ready(t, p)
			return p
		case <-p.over:
		}
		code := -1
		if x, ok := errors.AsType[*exec.ExitError](p.err); ok {
			code = x.ExitCode()
		}
		if code != exitTemp || !strings.Contains(p.log(), store.ErrLocked.Error()) {
			t.Fatalf("beside another one it ended with %v:\n%s", p.err, p.log())
		}
	}
}

// hear waits for a message of sd_notify(3).
func (m *manager) hear(t *testing.T, want string) {
	t.Helper()
	if err := m.notify.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	n, err := m.notify.Read(b)
	if err != nil || string(b[:n]) != want {
		t.Fatalf("the service manager heard %q (%v), want %q", b[:n], err, want)
	}
}

// ended waits for the end after SIGTERM, with status 0.
func (p *life) ended(t *testing.T) {
	t.Helper()
	if <-p.over; p.err != nil {
		t.Fatalf("the service ended with %v after SIGTERM:\n%s", p.err, p.log())
	}
	p.blameless(t)
}

// more waits for some more answers.
func (c *crowd) more(t *testing.T, p *life, n int) {
	t.Helper()
	for want := c.answers() + n; c.answers() < want; {
		select {
		case <-p.over:
			t.Fatalf("the service ended by itself (%v):\n%s", p.err, p.log())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// unfinished is a message that is under way while the service is told to stop.
type unfinished struct{ conn *textproto.Conn }

func openMessage(t *testing.T, addr string) unfinished {
	t.Helper()
	conn, err := textproto.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	m := unfinished{conn}
	if _, _, err := conn.ReadResponse(220); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"EHLO mx.sender.example", "MAIL FROM:<>", "RCPT TO:<check-auth@verifier.example>"} {
		m.say(t, line, 250)
	}
	m.say(t, "DATA", 354)
	if err := conn.PrintfLine("From: anna@sender.example\r\n"); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m unfinished) say(t *testing.T, line string, want int) {
	t.Helper()
	if err := m.conn.PrintfLine("%s", line); err != nil {
		t.Fatal(err)
	}
	if code, text, err := m.conn.ReadResponse(want); err != nil {
		t.Fatalf("%s: %d %s, %v", line, code, text, err)
	}
}

// finish ends the message: it is answered, then the service says goodbye.
func (m unfinished) finish(t *testing.T) {
	t.Helper()
	m.say(t, "hello\r\n.", 250)
	if code, text, err := m.conn.ReadResponse(0); err != nil || code != 421 {
		t.Errorf("behind the answer to a message came %d %s (%v), want 421", code, text, err)
	}
}
