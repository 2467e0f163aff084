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
	"time"

	"golang.org/x/sys/unix"
)

// Beside is the queue of a service that may be running, opened by another process: it takes neither the
// folder nor the leases, and changes no table.
type Beside struct {
	file string
	db   *sql.DB
	pack *packer
}

var _ Keeper = (*Beside)(nil)

// OpenBeside opens the queue in dir, which must be there (else fs.ErrNotExist). It refuses a file that is
// damaged where this is seen at once, or not ours, or of another version (ErrCorrupt, ErrForeign, ErrNewer,
// ErrOlder), and changes nothing in it. The whole file is not checked: that would take long, and Open does.
func OpenBeside(ctx context.Context, dir string) (_ *Beside, err error) {
	b := &Beside{file: filepath.Join(dir, "queue.db")}
	if err := usable(b.file); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close())
		}
	}()
	if b.db, err = sql.Open("sqlite", dsn(b.file, "mode=rw", "_pragma=busy_timeout(5000)", "_pragma=synchronous(FULL)", "_txlock=immediate")); err != nil {
		return nil, fmt.Errorf("store: %s: %w", b.file, err)
	}
	b.db.SetMaxOpenConns(1)
	if err := ours(ctx, b.db, b.file); noDatabase(err) {
		return nil, fmt.Errorf("store: %s: %w: %s", b.file, ErrForeign, moveAway)
	} else if err != nil {
		return nil, err
	}
	if err := b.version(ctx); err != nil {
		return nil, err
	}
	// Of a file that was made from a backup, and not opened since, it may be another one.
	if _, err := b.db.ExecContext(ctx, "PRAGMA journal_mode = WAL"); err != nil {
		return nil, b.failed(err)
	}
	b.pack, err = newPacker()
	return b, err
}

// usable asks the file system alone. To open and close the file here would take its locks from a service
// within the same process (sqlite.org/howtocorrupt.html, 2.2).
func usable(file string) error {
	info, err := os.Stat(file)
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

// version refuses tables that this program does not know.
func (b *Beside) version(ctx context.Context) error {
	want, err := latest()
	if err != nil {
		return err
	}
	var tables, have int64
	err = b.db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master WHERE name = 'goose_db_version'").Scan(&tables)
	if err == nil && tables > 0 {
		err = b.db.QueryRowContext(ctx, "SELECT COALESCE(MAX(version_id), 0) FROM goose_db_version").Scan(&have)
	}
	switch {
	case err != nil:
		return b.failed(err)
	case have > want:
		return fmt.Errorf("store: %s: %w (schema %d, this program knows %d): use the check-auth that serves it", b.file, ErrNewer, have, want)
	case have < want:
		return fmt.Errorf("store: %s: %w (schema %d, this program wants %d): start this check-auth as the service, which brings it up to date", b.file, ErrOlder, have, want)
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

func (b *Beside) failed(err error) error { return fmt.Errorf("store: %s: %w", b.file, known(err)) }

// List gives entries without their content.
func (b *Beside) List(ctx context.Context, f Filter, limit int) (out []Stored, err error) {
	query, args := listQuery(f, limit)
	found, err := b.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, b.failed(err)
	}
	defer func() { err = errors.Join(err, found.Close()) }()
	for found.Next() {
		s, _, err := scanStored(found, false)
		if err != nil {
			return nil, b.failed(err)
		}
		out = append(out, s)
	}
	if err := found.Err(); err != nil {
		return nil, b.failed(err)
	}
	return out, nil
}

// Show gives an entry with its content.
func (b *Beside) Show(ctx context.Context, id string) (Stored, error) {
	s, body, err := scanStored(b.db.QueryRowContext(ctx, sqlShow, id), true)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return s, fmt.Errorf("store: entry %s: %w", id, ErrUnknown)
	case err != nil:
		return s, b.failed(err)
	case len(body) == 0 || s.Fault != nil:
		return s, nil
	}
	s.Body, s.Fault = b.pack.unpack(body)
	return s, nil
}

// Retry makes an entry due.
func (b *Beside) Retry(ctx context.Context, id string, now time.Time) error {
	return b.change(ctx, id, sqlHurry, id, nano(now))
}

// Drop ends an entry.
func (b *Beside) Drop(ctx context.Context, id string, now time.Time, reason string) error {
	return b.change(ctx, id, sqlDrop, id, nano(now), nano(now.Add(remember)), reason)
}

// change runs a sentence that changes one entry. Where it did not, why is read in the same transaction.
func (b *Beside) change(ctx context.Context, id, query string, args ...any) (err error) {
	tx, err := b.db.BeginTx(ctx, nil)
	if err != nil {
		return b.failed(err)
	}
	defer func() {
		if err != nil {
			_ = tx.Rollback() // the error before says more
		}
	}()
	r, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return b.failed(err)
	}
	n, err := r.RowsAffected()
	if err != nil {
		return b.failed(err)
	}
	if n == 0 {
		return b.unchanged(ctx, tx, id)
	}
	if err := tx.Commit(); err != nil {
		return b.failed(err)
	}
	return nil
}

// hurried is how many entries RetryAll changes at once: the service's own writes wait that long.
const hurried = 500

// RetryAll makes all that wait due.
func (b *Beside) RetryAll(ctx context.Context, now time.Time) (all int64, err error) {
	for {
		r, err := b.db.ExecContext(ctx, sqlHurryAll, nano(now), hurried)
		if err != nil {
			return all, b.failed(err)
		}
		n, err := r.RowsAffected()
		if err != nil {
			return all, b.failed(err)
		}
		if all += n; n < hurried {
			return all, nil
		}
	}
}

// Stats counts.
func (b *Beside) Stats(ctx context.Context) (Stats, error) {
	s, err := stats(ctx, b.db)
	if err != nil {
		return s, b.failed(err)
	}
	return s, nil
}

// Close gives the file back.
func (b *Beside) Close() error {
	if b.pack != nil {
		b.pack.close()
	}
	if b.db == nil {
		return nil
	}
	return b.db.Close()
}
