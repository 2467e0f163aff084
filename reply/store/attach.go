package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Attached is the queue of a service that may be running, opened by another process: it takes neither the
// folder nor the leases, and changes no table.
type Attached struct{ admin }

var _ Admin = (*Attached)(nil)

// Attach opens the queue in dir, which must be there (else fs.ErrNotExist). It refuses a file that is
// damaged where this is seen at once, or not ours, or of another version (ErrCorrupt, ErrForeign, ErrNewer,
// ErrOlder), and changes nothing in it. The whole file is not checked: that would take long, and Open does.
func Attach(ctx context.Context, dir string) (_ *Attached, err error) {
	file := filepath.Join(dir, "queue.db")
	b := &Attached{admin{name: file, known: known}}
	wal := walOf(file) // before the file is opened, which makes one
	if err := usable(file); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close())
		}
	}()
	if b.db, err = sql.Open("sqlite", dsn(file, "mode=rw", "_pragma=busy_timeout(20000)", "_pragma=synchronous(FULL)", "_txlock=immediate")); err != nil {
		return nil, fmt.Errorf("store: %s: %w", file, err)
	}
	b.db.SetMaxOpenConns(1)
	if err := ours(ctx, b.db, file); noDatabase(err) {
		return nil, fmt.Errorf("store: %s: %w: %s", file, ErrForeign, moveAway)
	} else if err != nil {
		return nil, err
	}
	if err := b.version(ctx, wal); err != nil {
		return nil, err
	}
	// Of a file that was made from a backup, and not opened since, it may be another one.
	if _, err := b.db.ExecContext(ctx, "PRAGMA journal_mode = WAL"); err != nil {
		return nil, b.failed(err)
	}
	return b, nil
}

// usable asks the file system alone. To open and close the file here would take its locks from a service
// within the same process (sqlite.org/howtocorrupt.html, 2.2).
func usable(file string) error {
	// Root, too, looks into the folder of a user who has fewer rights.
	if err := sane(file); err != nil {
		return err
	}
	info, err := os.Lstat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("store: %w: no service has used this folder, or it is not the service's", err)
	case err != nil:
		return fmt.Errorf("store: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("store: %s: %w: it is no file", file, ErrForeign)
	case info.Size() == 0:
		return fmt.Errorf("store: %s: %w: the file is empty, no service has begun to use it", file, fs.ErrNotExist)
	}
	for _, name := range []string{file, filepath.Dir(file)} {
		if err := unix.Faccessat(unix.AT_FDCWD, name, unix.R_OK|unix.W_OK, unix.AT_EACCESS); err != nil {
			return fmt.Errorf("store: %w: run this as the service's user, or as root", &fs.PathError{Op: "open", Path: name, Err: err})
		}
	}
	return nil
}

// version refuses tables that this program does not know. Without any, and without the -wal that they may be in, the
// file is half of a queue.
func (b *Attached) version(ctx context.Context, wal bool) error {
	file := b.name
	want, err := latest()
	if err != nil {
		return err
	}
	var tables, have int64
	err = b.db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master WHERE name = 'goose_db_version'").Scan(&tables)
	var mode string
	if err == nil && tables == 0 && !wal {
		err = b.db.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode)
	}
	if mode == "wal" {
		return halfError(file)
	}
	if err == nil && tables > 0 {
		err = b.db.QueryRowContext(ctx, sqlVersion).Scan(&have)
	}
	if err != nil {
		return b.failed(err)
	}
	return sameVersion(file, have, want)
}

// sameVersion refuses tables of another version.
func sameVersion(name string, have, want int64) error {
	switch {
	case have > want:
		return fmt.Errorf("store: %s: %w (schema %d, this program knows %d): use the check-auth that serves it", name, ErrNewer, have, want)
	case have < want:
		return fmt.Errorf("store: %s: %w (schema %d, this program wants %d): start this check-auth as the service, which brings it up to date", name, ErrOlder, have, want)
	}
	return nil
}

// latest is the number of the last migration; it stands in front of its file's name.
func latest() (last int64, err error) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return 0, fmt.Errorf("store: migrations: %w", err)
	}
	for _, f := range files {
		number, _, _ := strings.Cut(filepath.Base(f), "_")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("store: migration %s: %w", f, err)
		}
		last = max(last, n)
	}
	return last, nil
}
