package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"checkauth/reply"
	"checkauth/reply/store"
	"checkauth/reply/store/storetest"
)

func config(t testing.TB) store.Config {
	return store.Config{Lease: storetest.Lease, Node: "a.example.org", Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
}

func open(t testing.TB, dir string) *store.SQLite {
	t.Helper()
	s, err := store.Open(t.Context(), dir, config(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestSQLite(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, t.TempDir()) })
}

// The path's own ? and % must not be read as options.
func TestOpen_in_a_folder_with_an_odd_name(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a?b%20c#d é")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	for _, name := range []string{"queue.db", "queue.db-wal", "lock"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got %v, %v, want mode 0600", name, info, err)
		}
	}
}

func TestOpen_refuses_a_folder_in_use(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := open(t, dir)
	_, err := store.Open(t.Context(), dir, config(t))
	if !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("second: got %v, want %v with the process", err, store.ErrLocked)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
}

func TestOpen_takes_over_leases_at_once(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	if _, err := s.Put(t.Context(), storetest.Entry("one"), nil, storetest.Start); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := open(t, dir).Claim(t.Context(), storetest.Start, 10)
	if err != nil || len(got) != 1 {
		t.Errorf("got %d entries, %v, want 1", len(got), err)
	}
}

// foreign makes SQLite files that are not ours.
func foreign(t *testing.T, file, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOpen_refuses_and_keeps_what_is_not_ours(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		make func(t *testing.T, dir, file string)
		want error
	}{
		{"a text file", func(t *testing.T, _, file string) { write(t, file, []byte("dear diary")) }, store.ErrForeign},
		{"a long file of zeros", func(t *testing.T, _, file string) { write(t, file, make([]byte, 8192)) }, store.ErrForeign},
		{"a header alone", func(t *testing.T, _, file string) { write(t, file, []byte("SQLite format 3\x00")) }, store.ErrCorrupt},
		{"somebody's database", func(t *testing.T, _, file string) { foreign(t, file, "CREATE TABLE diary (day TEXT)") }, store.ErrForeign},
		{"another program's mark", func(t *testing.T, _, file string) { foreign(t, file, "PRAGMA application_id = 7") }, store.ErrForeign},
		{"a queue of ours with a damaged page", damaged, store.ErrCorrupt},
		{"a queue of a newer version", newer, store.ErrNewer},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, "queue.db")
			c.make(t, dir, file)
			before := read(t, file)
			_, err := store.Open(t.Context(), dir, config(t))
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "move it") {
				t.Errorf("got %v, want %v with the file and the way out", err, c.want)
			}
			if after := read(t, file); !bytes.Equal(before, after) {
				t.Errorf("the file was changed")
			}
		})
	}
}

// damaged overwrites the middle of a closed queue, where its tables are.
func damaged(t *testing.T, dir, file string) {
	fill(t, open(t, dir), 20)
	b := read(t, file)
	for i := 4096; i < len(b); i += 512 {
		copy(b[i:], "damage damage damage")
	}
	write(t, file, b)
}

func newer(t *testing.T, dir, file string) {
	fill(t, open(t, dir), 1)
	foreign(t, file, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)")
}

// A backup of queue.db alone, taken while the service runs, lacks what is still in queue.db-wal. It is refused, and left
// as it is, however often it is tried; with its -wal it opens, and so does a file that was closed.
func TestOpen_refuses_a_file_without_its_wal(t *testing.T) {
	t.Parallel()
	from, to := t.TempDir(), t.TempDir()
	s := open(t, from)
	if _, err := s.Put(t.Context(), storetest.Entry("one"), nil, storetest.Start); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(to, "queue.db")
	write(t, file, read(t, filepath.Join(from, "queue.db")))
	for range 2 {
		_, err := store.Open(t.Context(), to, config(t))
		_, beside := store.Attach(t.Context(), to)
		_, look := store.Look(t.Context(), to)
		for _, err := range []error{err, beside, look} {
			if !errors.Is(err, store.ErrHalf) || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "copied without queue.db-wal") ||
				!strings.Contains(err.Error(), "copy both") || !strings.Contains(err.Error(), "move the file away") {
				t.Errorf("got %v, want %v with the file and the way out", err, store.ErrHalf)
			}
		}
		if !bytes.Equal(read(t, file), read(t, filepath.Join(from, "queue.db"))) {
			t.Error("the file was changed")
		}
	}
	write(t, file+"-wal", read(t, filepath.Join(from, "queue.db-wal")))
	if got, err := open(t, to).Claim(t.Context(), storetest.Start.Add(storetest.Lease), 10); len(got) != 1 || err != nil {
		t.Errorf("with its -wal: %d entries, %v", len(got), err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	closed := t.TempDir()
	write(t, filepath.Join(closed, "queue.db"), read(t, filepath.Join(from, "queue.db")))
	if got, err := open(t, closed).Claim(t.Context(), storetest.Start.Add(storetest.Lease), 10); len(got) != 1 || err != nil {
		t.Errorf("of a service that was stopped: %d entries, %v", len(got), err)
	}
}

// What could not be made whole is not there: the next start makes it.
func TestOpen_leaves_no_half_made_file(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := store.Open(ctx, dir, config(t)); err == nil {
		t.Fatal("no error")
	}
	if _, err := os.Stat(filepath.Join(dir, "queue.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file is left: %v", err)
	}
	open(t, dir)
}

// fill puts entries and closes.
func fill(t *testing.T, s *store.SQLite, n int) {
	t.Helper()
	for i := range n {
		if _, err := s.Put(t.Context(), storetest.Entry(fmt.Sprint("e", i)), nil, storetest.Start); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, file string, b []byte) {
	t.Helper()
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPut_shares_commits(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	before := s.Commits()
	release := s.Hold()
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			if _, err := s.Put(t.Context(), storetest.Entry(fmt.Sprint("e", i)), nil, storetest.Start); err != nil {
				t.Errorf("entry %d: %v", i, err)
			}
		})
	}
	for s.Waiting() < 100 {
		time.Sleep(time.Millisecond)
	}
	release()
	all.Wait()
	if got := s.Commits() - before; got != 2 {
		t.Errorf("got %d commits, want 2: the one that was held, and one for all 100", got)
	}
}

// A failed write takes its transaction with it; its neighbours run again.
func TestPut_failure_leaves_its_neighbours(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	release := s.Hold()
	var all sync.WaitGroup
	failed := make(chan error, 20)
	for i := range 20 {
		all.Go(func() {
			_, err := s.Put(t.Context(), storetest.Entry(fmt.Sprint("e", i/2)), nil, storetest.Start)
			if err != nil {
				failed <- err
			}
		})
	}
	for s.Waiting() < 20 {
		time.Sleep(time.Millisecond)
	}
	release()
	all.Wait()
	got, err := s.Claim(t.Context(), storetest.Start.Add(storetest.Lease), 100)
	if len(got) != 10 || len(failed) != 10 || err != nil {
		t.Errorf("stored %d, failed %d, %v: want 10 and 10", len(got), len(failed), err)
	}
}

func TestClaim_sets_aside_what_cannot_be_read(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	for _, id := range []string{"good", "body", "type", "bomb"} {
		if _, err := s.Put(t.Context(), storetest.Entry(id), nil, storetest.Start); err != nil {
			t.Fatal(err)
		}
	}
	// A block that says of itself that it unpacks to 2^30 octets.
	bomb := binary.AppendUvarint([]byte{0, 0, 0, 0}, 1<<30)
	for id, change := range map[string]any{"body": []byte("no block"), "bomb": bomb} {
		if err := s.Exec("UPDATE entries SET body = $1 WHERE id = $2", change, id); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Exec("UPDATE entries SET created = 'yesterday' WHERE id = 'type'"); err != nil {
		t.Fatal(err)
	}
	for _, after := range []time.Duration{storetest.Lease, 1000 * time.Hour} {
		got, err := s.Claim(t.Context(), storetest.Start.Add(after), 10)
		if err != nil || len(got) != 1 || got[0].ID != "good" {
			t.Errorf("after %s: got %v, %v, want the good one", after, got, err)
		}
	}
}

func TestClosed_store_says_so(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), storetest.Entry("one"), nil, storetest.Start); !errors.Is(err, store.ErrClosed) {
		t.Errorf("got %v, want %v", err, store.ErrClosed)
	}
}

func BenchmarkEnqueue(b *testing.B) {
	body := bytes.Repeat([]byte("X-Line: a report has many lines like this one\r\n"), 400) // 18 kB
	for _, producers := range []int{1, 16, 64} {
		b.Run(fmt.Sprint("producers=", producers), func(b *testing.B) {
			s := open(b, b.TempDir())
			before := s.Commits()
			n := produceIn(b, producers, func(i int) {
				e := storetest.Entry(fmt.Sprint("e", i))
				e.Body = body
				buckets := []reply.Bucket{{Key: fmt.Sprint("address/", i%1000), Limit: 1 << 40, Expires: e.Expires}}
				if _, err := s.Put(b.Context(), e, buckets, storetest.Start); err != nil {
					b.Error(err)
				}
			})
			b.ReportMetric(float64(n)/float64(s.Commits()-before), "entries/commit")
		})
	}
}

// BenchmarkLife is an entry's whole life: stored, claimed, done.
func BenchmarkLife(b *testing.B) {
	body := bytes.Repeat([]byte("X-Line: a report has many lines like this one\r\n"), 400) // 18 kB
	for _, producers := range []int{1, 16, 64} {
		b.Run(fmt.Sprint("producers=", producers), func(b *testing.B) {
			s := open(b, b.TempDir())
			before := s.Commits()
			n := produceIn(b, producers, func(i int) {
				e := storetest.Entry(fmt.Sprint("e", i))
				e.Body = body
				if _, err := s.Put(b.Context(), e, nil, storetest.Start); err != nil {
					b.Error(err)
				}
				claimed, err := s.Claim(b.Context(), storetest.Start.Add(storetest.Lease), 1)
				if err != nil || len(claimed) != 1 {
					b.Errorf("claimed %d, %v", len(claimed), err)
					return
				}
				if err := s.Done(b.Context(), claimed[0].ID, storetest.Start, store.Outcome{Answer: "2.0.0 queued", TLS: "TLS 1.3"}); err != nil {
					b.Error(err)
				}
			})
			b.ReportMetric(float64(s.Commits()-before)/float64(n), "commits/entry")
		})
	}
}
