package store_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"checkauth/reply/store"
)

// content is what a folder has in it, with the octets of each file.
func content(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, _ := os.ReadFile(filepath.Join(dir, e.Name())) // a folder has none
		all = append(all, e.Name()+": "+string(b))
	}
	return all
}

func TestLook_changes_nothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		make func(t *testing.T, dir, file string)
		want error
	}{
		{"an empty folder", func(*testing.T, string, string) {}, nil},
		{"a queue that was used", func(t *testing.T, dir, _ string) {
			if err := open(t, dir).Close(); err != nil {
				t.Fatal(err)
			}
		}, nil},
		{"an empty file", func(t *testing.T, _, file string) { write(t, file, nil) }, nil},
		{"a queue that was marked and not begun", func(t *testing.T, _, file string) { foreign(t, file, "PRAGMA application_id = 1665233201") }, nil},
		{"a text file", func(t *testing.T, _, file string) { write(t, file, []byte("dear diary")) }, store.ErrForeign},
		{"somebody's database", func(t *testing.T, _, file string) { foreign(t, file, "CREATE TABLE diary (day TEXT)") }, store.ErrForeign},
		{"a queue of a newer version", newer, store.ErrNewer},
		{"a queue of ours with a damaged page", damaged, store.ErrCorrupt},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			c.make(t, dir, filepath.Join(dir, "queue.db"))
			before := content(t, dir)
			user, err := store.Look(t.Context(), dir)
			if user != "" || !errors.Is(err, c.want) || c.want == nil && err != nil {
				t.Errorf("got %q, %v, want %v", user, err, c.want)
			}
			if after := content(t, dir); !slices.Equal(before, after) {
				t.Errorf("the folder was changed: %.300q, before %.300q", after, before)
			}
		})
	}
}

func TestLook_at_a_folder_that_is_not_there(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := store.Look(t.Context(), filepath.Join(dir, "a", "b")); err != nil {
		t.Errorf("a folder that could be made: %v", err)
	}
	if left := content(t, dir); len(left) > 0 {
		t.Errorf("it left %q", left)
	}
	file := filepath.Join(dir, "file")
	write(t, file, nil)
	if _, err := store.Look(t.Context(), file); !errors.Is(err, store.ErrForeign) {
		t.Errorf("a file in place of the folder: %v", err)
	}
	if _, err := store.Look(t.Context(), filepath.Join(file, "state")); err == nil {
		t.Error("a folder that nobody can make: no error")
	}
}

// The service runs: its queue is left alone, and it goes on.
func TestLook_beside_a_service(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	user, err := store.Look(t.Context(), dir)
	if user == "" || err != nil {
		t.Errorf("got %q, %v, want the process that uses the folder", user, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if user, err = store.Look(t.Context(), dir); user != "" || err != nil {
		t.Errorf("after its end: %q, %v", user, err)
	}
}

// A database that is not there yet is another kind than a login that is refused, or a URL that cannot be read: a
// missing socket is "no such file" too, and comes with the server.
func TestOpenPostgres_tells_away_from_wrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, url string
		want, not error
	}{
		{"nobody listens", "postgres://a@127.0.0.1:1/db?sslmode=disable", store.ErrAway, fs.ErrNotExist},
		{"no socket yet", "host=" + t.TempDir() + " user=a dbname=db", store.ErrAway, fs.ErrNotExist},
		{"no URL", "db.example.org", store.ErrURL, store.ErrAway},
		{"a certificate that is not there", "postgres://a@127.0.0.1:1/db?sslmode=verify-full&sslrootcert=/none", store.ErrURL, store.ErrAway},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := store.PostgresDefaults()
			cfg.URL = c.url
			_, err := store.OpenPostgres(t.Context(), cfg)
			if !errors.Is(err, c.want) || errors.Is(err, c.not) {
				t.Errorf("got %v, want %v and not %v", err, c.want, c.not)
			}
			if err := store.LookPostgres(t.Context(), cfg); !errors.Is(err, c.want) {
				t.Errorf("a look: got %v, want %v", err, c.want)
			}
			if err := cfg.Check(); errors.Is(c.want, store.ErrURL) != (err != nil) {
				t.Errorf("Check: %v", err)
			}
		})
	}
}
