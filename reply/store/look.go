package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5/stdlib"
	"golang.org/x/sys/unix"

	"checkauth/reply/folder"
)

// Look tells whether Open would take the folder, and changes nothing in it: no file is made, and the folder is
// not taken. The tables' version and the whole file are looked at where no process uses it; where one does, its
// number comes back as user, and the file is left alone.
func Look(ctx context.Context, dir string) (user string, err error) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", makeable(dir)
	case err != nil:
		return "", fmt.Errorf("store: %w", err)
	case !info.IsDir():
		return "", fmt.Errorf("store: %s: %w: it is no folder", dir, ErrForeign)
	}
	if err := access(dir, unix.R_OK|unix.W_OK|unix.X_OK); err != nil {
		return "", fmt.Errorf("store: %w: make the folder writable for this user", err)
	}
	if user, err := holder(dir); user != "" || err != nil {
		return user, err
	}
	file := filepath.Join(dir, "queue.db")
	if err := sane(file); err != nil {
		return "", err
	}
	return "", sound(ctx, file)
}

// makeable tells whether the folder could be made.
func makeable(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	parent := filepath.Dir(dir)
	for parent != filepath.Dir(parent) {
		if _, err := os.Stat(parent); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		parent = filepath.Dir(parent)
	}
	if err := access(parent, unix.W_OK|unix.X_OK); err != nil {
		return fmt.Errorf("store: %s is not there and cannot be made: %w", dir, err)
	}
	return nil
}

func access(name string, mode uint32) error {
	if err := unix.Faccessat(unix.AT_FDCWD, name, mode, unix.AT_EACCESS); err != nil {
		return &fs.PathError{Op: "access", Path: name, Err: err}
	}
	return nil
}

// holder is the process that has taken the folder; empty where none has. The lock is shared and given back at
// once: a service that starts within that moment says that the folder is in use, and is started again.
func holder(dir string) (string, error) {
	f, err := folder.OpenFile(filepath.Join(dir, "lock"), os.O_RDONLY, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case errors.Is(err, fs.ErrPermission):
		return "", fmt.Errorf("store: lock file: %w: run this as the service's user, or as root", err)
	case err != nil:
		return "", strange(err)
	}
	defer func() { _ = f.Close() }()
	switch err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		number, _ := io.ReadAll(io.LimitReader(f, 20))
		return "process " + strings.TrimSpace(string(number)), nil
	case err != nil:
		return "", fmt.Errorf("store: lock %s: %w: the folder must be on a local disk", f.Name(), err)
	}
	return "", unix.Flock(int(f.Fd()), unix.LOCK_UN)
}

// sound refuses what Open would refuse.
func sound(ctx context.Context, file string) error {
	if fresh, err := begins(file); err != nil || fresh {
		return err
	}
	if err := access(file, unix.R_OK|unix.W_OK); err != nil {
		return fmt.Errorf("store: %w: let this user read and write it", err)
	}
	if err := whole(file); err != nil {
		return err
	}
	// Not read-only: who reads a file in WAL mode makes its -wal and -shm files, and only who may write takes
	// them away at the end.
	db, err := sql.Open("sqlite", dsn(file, "mode=rw", "_pragma=busy_timeout(5000)"))
	if err != nil {
		return fmt.Errorf("store: %s: %w", file, err)
	}
	if err = examine(ctx, db, file); err == nil {
		b := Attached{admin{name: file, known: known, db: db}}
		if err = b.version(ctx, true); errors.Is(err, ErrOlder) {
			err = nil // Open brings it up to date
		}
	}
	return errors.Join(err, db.Close())
}

// LookPostgres tells whether OpenPostgres would take the database, and changes nothing in it: no table is made
// and no node's name taken.
func LookPostgres(ctx context.Context, cfg PostgresConfig) (err error) {
	if err := cfg.check(); err != nil {
		return err
	}
	conn, err := cfg.connection()
	if err != nil {
		return err
	}
	db := stdlib.OpenDB(*tied(ctx, conn))
	defer func() { err = errors.Join(err, db.Close()) }()
	failed := func(err error) error { return fmt.Errorf("store: %s: %w", databaseName(conn), knownPostgres(err)) }
	one, err := db.Conn(ctx)
	if err != nil {
		return failed(err)
	}
	defer func() { err = errors.Join(err, one.Close()) }()
	if err := fit(ctx, one); err != nil {
		return failed(err)
	}
	have, err := tables(ctx, one)
	if err != nil {
		return failed(err)
	}
	want, err := latest()
	if err != nil {
		return err
	}
	if err := sameVersion(databaseName(conn), have, want); !errors.Is(err, ErrOlder) {
		return err
	}
	return nil // OpenPostgres brings them up to date
}

// tables is the version of the tables; 0 where there are none.
func tables(ctx context.Context, conn *sql.Conn) (version int64, err error) {
	var there bool
	err = conn.QueryRowContext(ctx, "SELECT to_regclass('goose_db_version') IS NOT NULL").Scan(&there)
	if err == nil && there {
		err = conn.QueryRowContext(ctx, sqlVersion).Scan(&version)
	}
	return version, err
}
