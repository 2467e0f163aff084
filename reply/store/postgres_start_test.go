package store_test

import (
	"context"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"checkauth/reply/store"
)

// freezer stands before a server and passes so many of its answers on; then nothing passes any more in either
// direction, and no connection ends.
type freezer struct {
	to     string
	frozen chan struct{} // closed when it is

	mu    sync.Mutex
	left  int
	conns []net.Conn
}

func freezeAfter(t *testing.T, to string, answers int) (*freezer, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &freezer{to: to, left: answers, frozen: make(chan struct{})}
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", f.to)
			f.mu.Lock()
			f.conns = append(f.conns, in)
			f.mu.Unlock()
			if err != nil {
				_ = in.Close()
				continue
			}
			f.mu.Lock()
			f.conns = append(f.conns, out)
			f.mu.Unlock()
			go f.pass(out, in, false)
			go f.pass(in, out, true)
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, c := range f.conns {
			_ = c.Close()
		}
	})
	return f, l.Addr().String()
}

// pass hands on what comes, as long as it may.
func (f *freezer) pass(to, from net.Conn, answers bool) {
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			_ = to.Close()
			return
		}
		f.mu.Lock()
		if answers && f.left >= 0 {
			if f.left--; f.left < 0 {
				close(f.frozen)
			}
		}
		stuck := f.left < 0
		f.mu.Unlock()
		if stuck {
			return // with both ends open
		}
		if _, err := to.Write(b[:n]); err != nil {
			_ = from.Close()
			return
		}
	}
}

// Wherever a server hangs while the store is opened, tables and all, the end of the context ends the opening: the
// service manager's stop must not wait for a database.
func TestPostgres_opening_ends_with_its_context(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(server(t))
	if err != nil {
		t.Fatal(err)
	}
	if u.Host == "" {
		t.Skip("the server is on a unix socket: nothing stands between")
	}
	for n := 0; ; n++ {
		own, err := url.Parse(schema(t, server(t)))
		if err != nil {
			t.Fatal(err)
		}
		f, addr := freezeAfter(t, own.Host, n)
		own.Host = addr
		ctx, cancel := context.WithCancel(t.Context())
		opened := make(chan error, 1)
		go func() {
			s, err := store.OpenPostgres(ctx, pgConfig(t, own.String(), "a"))
			if err == nil {
				_ = s.Close()
			}
			opened <- err
		}()
		select {
		case err := <-opened:
			cancel()
			if err != nil {
				t.Errorf("%d answers: %v", n, err)
			}
			if n < 20 {
				t.Errorf("it opens after %d answers: the test is broken", n)
			}
			return // it needs no more
		case <-f.frozen:
		}
		told := time.Now()
		cancel()
		select {
		case err := <-opened:
			if took := time.Since(told); err == nil || took > 2*time.Second {
				t.Errorf("%d answers: got %v after %s, want an error at once", n, err, took)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("%d answers: it does not end", n)
		}
	}
}
