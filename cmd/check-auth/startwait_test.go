package main

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// database of a start that waits. do has each connection, and reached is told when the process hangs there.
type hangingDatabase struct {
	l       net.Listener
	reached chan struct{}
	mu      sync.Mutex
	conns   []net.Conn
}

func hangAt(t *testing.T, do func(net.Conn) error) *hangingDatabase {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hangingDatabase{l: l, reached: make(chan struct{}, 1000)}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			h.mu.Lock()
			h.conns = append(h.conns, c)
			h.mu.Unlock()
			go func() {
				if do(c) == nil {
					h.reached <- struct{}{}
				}
			}()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, c := range h.conns {
			_ = c.Close()
		}
	})
	return h
}

// awaitsAny reads what the client says next, whatever it is.
func awaitsAny(c net.Conn) error {
	_, err := c.Read(make([]byte, 4096))
	return err
}

func writes(c net.Conn, text string) error {
	_, err := c.Write([]byte(text))
	return err
}

// Messages of PostgreSQL (postgresql.org/docs/current/protocol-message-formats.html).
const (
	takesTLS   = "S"
	loggedIn   = "R\x00\x00\x00\x08\x00\x00\x00\x00"
	ready      = "Z\x00\x00\x00\x05I"
	longNotice = "N\x00\x00\xff\xff"
)

// The service manager's stop, and Ctrl-C, are obeyed at once wherever a start waits for the database; SIGHUP, which
// means to read things again, ends nothing. What is said of it has no password.
func TestAStartThatWaitsObeysSignals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options string
		do      func(net.Conn) error // nil: nobody listens
	}{
		"the port refuses":            {"sslmode=disable", nil},
		"nothing is answered":         {"sslmode=disable", awaitsAny},
		"nothing is answered to TLS":  {"sslmode=require", awaitsAny},
		"no handshake":                {"sslmode=require", func(c net.Conn) error { return errors.Join(awaitsAny(c), writes(c, takesTLS), awaitsAny(c)) }},
		"logged in, and then nothing": {"sslmode=disable", func(c net.Conn) error { return errors.Join(awaitsAny(c), writes(c, loggedIn)) }},
		"ready, and no answer":        {"sslmode=disable", func(c net.Conn) error { return errors.Join(awaitsAny(c), writes(c, loggedIn+ready), awaitsAny(c)) }},
		"octet by octet": {"sslmode=disable", func(c net.Conn) error {
			err := errors.Join(awaitsAny(c), writes(c, loggedIn+longNotice))
			go func() {
				for writes(c, "x") == nil {
					time.Sleep(20 * time.Millisecond)
				}
			}()
			return err
		}},
		"closed at once, again and again": {"sslmode=disable", func(c net.Conn) error { return c.Close() }},
	} {
		for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
			t.Run(name+", "+signal.String(), func(t *testing.T) {
				t.Parallel()
				addr, reached := "127.0.0.1:1", (chan struct{})(nil)
				if c.do != nil {
					h := hangAt(t, c.do)
					addr, reached = h.l.Addr().String(), h.reached
				}
				p := launch(t, exec.Command(os.Args[0], "serve", "--listen=127.0.0.1:0", "--hostname=verifier.example", "--operator=you@operator.example",
					"--resolver-servers=127.0.0.1:1", "--state="+t.TempDir(), "--store-url=postgres://u:S3cr3tA@"+addr+"/d?"+c.options))
				if reached == nil {
					p.said(t, "the database is not there yet")
				} else {
					select {
					case <-reached:
					case <-p.over:
						t.Fatalf("it ended (%v):\n%s", p.err, p.log())
					}
				}
				obeys(t, p, signal)
			})
		}
	}
}

// obeys: a process that starts outlives SIGHUP, and ends at once and without a fault at that signal.
func obeys(t *testing.T, p *life, signal os.Signal) {
	t.Helper()
	p.signal(t, syscall.SIGHUP)
	select {
	case <-p.over:
		t.Fatalf("SIGHUP ended it (%v):\n%s", p.err, p.log())
	case <-time.After(200 * time.Millisecond):
	}
	told := time.Now()
	p.signal(t, signal)
	select {
	case <-p.over:
	case <-time.After(20 * time.Second):
		p.kill()
		t.Fatalf("it does not end:\n%s", p.log())
	}
	if took := time.Since(told); took > 3*time.Second {
		t.Errorf("it took %s to end:\n%s", took, p.log())
	}
	if p.err != nil {
		t.Errorf("it ended with %v, want 0:\n%s", p.err, p.log())
	}
	if strings.Contains(p.log(), "S3cr3t") {
		t.Errorf("the log has the password:\n%s", p.log())
	}
}
