package store_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"checkauth/reply"
	"checkauth/reply/store"
	"checkauth/reply/store/storetest"
)

func beside(t testing.TB, dir string) *store.Attached {
	t.Helper()
	b, err := store.Attach(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func TestAttached(t *testing.T) {
	t.Parallel()
	storetest.RunAdmin(t, func(t *testing.T) (store.Store, store.Admin) {
		dir := t.TempDir()
		s := open(t, dir)
		return s, beside(t, dir)
	})
}

func TestAttach_refuses_and_keeps_what_is_no_queue(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		make func(t *testing.T, dir, file string)
		want error
	}{
		{"nothing", func(*testing.T, string, string) {}, fs.ErrNotExist},
		{"an empty file", func(t *testing.T, _, file string) { write(t, file, nil) }, fs.ErrNotExist},
		{"a folder", func(t *testing.T, _, file string) {
			if err := os.Mkdir(file, 0o700); err != nil {
				t.Fatal(err)
			}
		}, store.ErrForeign},
		{"a text file", func(t *testing.T, _, file string) { write(t, file, []byte("dear diary")) }, store.ErrForeign},
		{"a long file of zeros", func(t *testing.T, _, file string) { write(t, file, make([]byte, 8192)) }, store.ErrForeign},
		{"a header alone", func(t *testing.T, _, file string) { write(t, file, []byte("SQLite format 3\x00")) }, store.ErrForeign},
		{"somebody's database", func(t *testing.T, _, file string) { foreign(t, file, "CREATE TABLE diary (day TEXT)") }, store.ErrForeign},
		{"another program's mark", func(t *testing.T, _, file string) { foreign(t, file, "PRAGMA application_id = 7") }, store.ErrForeign},
		{"a queue of a newer version", newer, store.ErrNewer},
		{"a queue that was marked and not begun", func(t *testing.T, _, file string) { foreign(t, file, "PRAGMA application_id = 1665233201") }, store.ErrOlder},
		{"a queue of ours with a damaged page", damaged, store.ErrCorrupt},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, "queue.db")
			c.make(t, dir, file)
			before, _ := os.ReadFile(file)
			b, err := store.Attach(t.Context(), dir)
			if err == nil { // damage deep in the file is seen when it is read
				_, err = b.List(t.Context(), store.Filter{}, 1000)
				_ = b.Close()
			}
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), file) {
				t.Errorf("got %v, want %v with the file", err, c.want)
			}
			if after, _ := os.ReadFile(file); !bytes.Equal(before, after) {
				t.Errorf("the file was changed")
			}
		})
	}
}

// The service has the folder, and keeps it: nothing that is opened beside it takes its lock, its leases or
// its -wal file.
func TestAttached_leaves_the_service_alone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	if _, err := s.Put(t.Context(), storetest.Entry("one"), nil, storetest.Start); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		b, err := store.Attach(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		got, err := b.List(t.Context(), store.Filter{}, 10)
		if err != nil || len(got) != 1 || got[0].State != reply.Leased || got[0].Due != storetest.Start.Add(storetest.Lease) {
			t.Errorf("got %+v, %v", got, err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "queue.db-wal")); err != nil {
		t.Errorf("the service's -wal file: %v", err)
	}
	if _, err := store.Open(t.Context(), dir, config(t)); !errors.Is(err, store.ErrLocked) {
		t.Errorf("a second service: got %v, want %v", err, store.ErrLocked)
	}
	if _, err := s.Put(t.Context(), storetest.Entry("two"), nil, storetest.Start); err != nil {
		t.Error(err)
	}
}

// A real process produces while this one looks, retries and drops; then it is killed.
func TestAttached_a_busy_process(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	done := make(chan int, 1)
	ready := make(chan struct{})
	go func() {
		defer close(done)
		n := 0
		<-ready
		for ; n < 300; n++ {
			b, err := store.Attach(t.Context(), dir)
			if err != nil {
				t.Errorf("round %d: %v", n, err)
				return
			}
			found, err := b.List(t.Context(), store.Filter{}, 20)
			if err != nil {
				t.Error(err)
			}
			for _, f := range found {
				// Their leases, of 2026, are over; they are dropped while the process goes on.
				if err := b.Drop(t.Context(), f.ID, storetest.Start.Add(100*time.Hour), "dropped"); err != nil && !errors.Is(err, store.ErrEnded) {
					t.Errorf("drop %s: %v", f.ID, err)
				}
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
			if n > 3 && len(found) > 10 {
				return
			}
		}
	}()
	s := open(t, dir) // makes the file
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	close(ready)
	killed(t, dir, 300)
	<-done
	s = open(t, dir)
	stats, err := beside(t, dir).Stats(t.Context())
	if err != nil || stats.Failed == 0 || stats.Failed+stats.Leased < 300 {
		t.Errorf("got %+v, %v, want all that was said, and some dropped", stats, err)
	}
	if got, err := s.Claim(t.Context(), storetest.Start, 1<<20); err != nil || int64(len(got)) != stats.Leased {
		t.Errorf("claimed %d, %v, want %d: what was dropped does not come", len(got), err, stats.Leased)
	}
}

func TestAttached_shows_what_cannot_be_read(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, b := open(t, dir), beside(t, dir)
	for _, id := range []string{"good", "body", "type"} {
		if _, err := s.Put(t.Context(), storetest.Entry(id), nil, storetest.Start); err != nil {
			t.Fatal(err)
		}
	}
	for _, change := range []string{"UPDATE entries SET body = 'no block' WHERE id = 'body'", "UPDATE entries SET created = 'yesterday', body = 7 WHERE id = 'type'"} {
		if err := s.Exec(change); err != nil {
			t.Fatal(err)
		}
	}
	before, err := b.List(t.Context(), store.Filter{}, 10)
	if err != nil || len(before) != 3 {
		t.Errorf("got %d, %v, want 3", len(before), err)
	}
	if _, err := s.Claim(t.Context(), storetest.Start.Add(storetest.Lease), 10); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Stats(t.Context()); err != nil || got.Aside != 2 || got.Failed != 2 || got.Leased != 1 {
		t.Errorf("got %+v, %v, want two set aside", got, err)
	}
	for _, id := range []string{"body", "type"} {
		got, err := b.Show(t.Context(), id)
		if err != nil || !got.Aside || got.Fault == nil || got.To != "a@example.org" || got.Reason == "" {
			t.Errorf("%s: got %+v, %v, want it as far as it can be read", id, got, err)
		}
	}
	if err := s.Sweep(t.Context(), storetest.Start.Add(storetest.Lease+24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Stats(t.Context()); err != nil || got.Aside != 0 {
		t.Errorf("a day later: got %+v, %v", got, err)
	}
}

// A backup that was put in place is no WAL file until a service has opened it.
func TestAttach_a_restored_backup(t *testing.T) {
	t.Parallel()
	dir, other := t.TempDir(), t.TempDir()
	s := open(t, dir)
	if _, err := s.Put(t.Context(), storetest.Entry("one"), nil, storetest.Start); err != nil {
		t.Fatal(err)
	}
	backup := filepath.Join(other, "queue.db")
	foreign(t, filepath.Join(dir, "queue.db"), fmt.Sprintf("VACUUM INTO '%s'", backup))
	if got, err := beside(t, other).Show(t.Context(), "one"); err != nil || string(got.Body) != string(storetest.Entry("one").Body) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// A queue that this user may not write is refused with the way out.
func TestAttach_without_permission(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	dir := t.TempDir()
	fill(t, open(t, dir), 1)
	if err := os.Chmod(filepath.Join(dir, "queue.db"), 0o400); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Attach(t.Context(), dir); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v, want %v", err, fs.ErrPermission)
	}
}

// A new file has our page size and bounds its -wal file; one that was there keeps what it has.
func TestOpen_page_size(t *testing.T) {
	t.Parallel()
	fresh, old := t.TempDir(), t.TempDir()
	fill(t, open(t, fresh), 1)
	foreign(t, filepath.Join(old, "queue.db"), "PRAGMA page_size = 4096; PRAGMA application_id = 1665233201")
	fill(t, open(t, old), 1)
	for dir, want := range map[string]int{fresh: 16384, old: 4096} {
		db, err := sql.Open("sqlite", filepath.Join(dir, "queue.db"))
		if err != nil {
			t.Fatal(err)
		}
		var got int
		if err := db.QueryRow("PRAGMA page_size").Scan(&got); err != nil || got != want {
			t.Errorf("got %d, %v, want %d", got, err, want)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A full disk is told as such, takes nothing with it, and is no matter any more as soon as there is room.
func TestPut_disk_full(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	var pages int
	if err := s.Query("PRAGMA page_count", &pages); err != nil {
		t.Fatal(err)
	}
	put := func(i int) error {
		e := storetest.Entry(fmt.Sprint("e", i))
		e.Body = noise(20000)
		_, err := s.Put(t.Context(), e, []reply.Bucket{{Key: "a", Limit: 1000, Expires: e.Expires}}, storetest.Start)
		return err
	}
	if err := s.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages+20)); err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; n < 100; n++ {
		if err := put(n); err != nil {
			if !errors.Is(err, store.ErrFull) {
				t.Fatalf("entry %d: got %v, want %v", n, err, store.ErrFull)
			}
			break
		}
	}
	if n == 0 || n == 100 {
		t.Fatalf("%d entries were stored before the disk was full", n)
	}
	for range 3 {
		if err := put(100); !errors.Is(err, store.ErrFull) {
			t.Errorf("while it is full: got %v, want %v", err, store.ErrFull)
		}
	}
	// What is there can end, which makes room.
	if err := s.Done(t.Context(), "e0", storetest.Start, store.Outcome{}); err != nil {
		t.Errorf("an end while it is full: %v", err)
	}
	if err := s.Exec("PRAGMA max_page_count = 1000000"); err != nil {
		t.Fatal(err)
	}
	if err := put(100); err != nil {
		t.Errorf("with room again: %v", err)
	}
	got, err := s.Claim(t.Context(), storetest.Start.Add(storetest.Lease), 1000)
	if err != nil || len(got) != n {
		t.Errorf("claimed %d, %v, want %d: all that were accepted, less the one that ended", len(got), err, n)
	}
	full, err := s.Peek(t.Context(), []reply.Bucket{{Key: "a", Limit: int64(n + 2), Expires: storetest.Entry("").Expires}}, storetest.Start)
	if err != nil || full.Key != "" {
		t.Errorf("more was counted than stored: %v, %v", full, err)
	}
}

// noise does not compress.
func noise(n int) []byte {
	out, state := make([]byte, n), uint32(1)
	for i := range out {
		state = state*1664525 + 1013904223
		out[i] = byte(state >> 24)
	}
	return out
}
