package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"

	"checkauth/reply/folder"
	"golang.org/x/sys/unix"
)

//go:embed migrations/*.sql
var migrations embed.FS

// SQLite is the store of one node: a file in a folder of its own.
type SQLite struct {
	cfg   Config
	fresh string // the file, until all of it is made
	lock  *os.File
	write *sql.DB // one connection, the writer's
	read  *sql.DB
	look  readStatements
	w     *writer
	heals healer
}

var _ Store = (*SQLite)(nil)

// readers is how many look-ups run beside the writer; WAL lets them.
const readers = 4

// The options of a connection. Driver and spelling belong together: modernc ignores mattn's spelling
// in silence, which is why Open asks what is in force.
var options = []string{
	"_pragma=busy_timeout(5000)", "_pragma=journal_mode(WAL)", "_pragma=synchronous(FULL)", "_pragma=wal_autocheckpoint(1000)", "_pragma=temp_store(MEMORY)",
	"_txlock=immediate",
}

// pageSize of a new file: most entries then lie within a page, where one of 4096 octets would be followed by
// a chain of others. It can be said only before anything is written, and WAL mode writes.
const pageSize = 16384

// Open opens the queue in dir, and makes it where there is none. It refuses a folder in use
// (ErrLocked) and a file that is damaged or not ours (ErrCorrupt, ErrForeign, ErrNewer); that file is
// left as it was. Leases of the process before this one end at once.
func Open(ctx context.Context, dir string, cfg Config) (_ *SQLite, err error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &SQLite{cfg: cfg}
	if s.lock, err = lockFolder(dir); err != nil {
		return nil, err
	}
	if err := s.open(ctx, filepath.Join(dir, "queue.db")); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *SQLite) open(ctx context.Context, file string) (err error) {
	if err := sane(file); err != nil {
		return err
	}
	fresh, err := inspect(ctx, file)
	if err != nil {
		return err
	}
	if err := private(file); err != nil {
		return err
	}
	if fresh {
		s.fresh = file
		if err := create(ctx, file); err != nil {
			return fmt.Errorf("store: %s: %w", file, err)
		}
	}
	if s.write, err = sql.Open("sqlite", dsn(file, options...)); err != nil {
		return fmt.Errorf("store: %s: %w", file, err)
	}
	s.write.SetMaxOpenConns(1)
	if err := assertModes(ctx, s.write, fresh); err != nil {
		return fmt.Errorf("store: %s: %w", file, err)
	}
	if err := migrate(ctx, s.write, file); err != nil {
		return err
	}
	if err := s.startWriter(ctx, file); err != nil {
		return err
	}
	s.read, err = sql.Open("sqlite", dsn(file, "_pragma=busy_timeout(5000)", "_pragma=query_only(1)"))
	if err != nil {
		return fmt.Errorf("store: %s: %w", file, err)
	}
	s.read.SetMaxOpenConns(readers)
	s.read.SetMaxIdleConns(readers)
	if err := s.look.prepare(ctx, s.read); err != nil {
		return fmt.Errorf("store: %s: %w", file, err)
	}
	s.fresh = ""
	return nil
}

func (s *SQLite) startWriter(ctx context.Context, file string) error {
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return fmt.Errorf("store: %s: %w", file, err)
	}
	if _, err := conn.ExecContext(ctx, sqlTakeOver, int64(s.cfg.Lease)); err != nil {
		return fmt.Errorf("store: %s: %w", file, errors.Join(err, conn.Close()))
	}
	st, err := prepare(ctx, conn)
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	s.w = newWriter(conn, st)
	return nil
}

// sane refuses a database one of whose files (sqlite.org/tempfiles.html) is a link or another user's: SQLite would
// read and write what it leads to.
func sane(file string) error {
	return strange(folder.Sound(file, file+"-wal", file+"-shm", file+"-journal"))
}

// strange gives what is wrong with a file its kind, ErrForeign; nil stays nil.
func strange(err error) error {
	if errors.Is(err, folder.ErrLink) || errors.Is(err, folder.ErrForeign) || errors.Is(err, folder.ErrNoFile) {
		return &strangeFile{err}
	}
	return err
}

type strangeFile struct{ cause error }

func (s *strangeFile) Error() string        { return "store: " + s.cause.Error() }
func (s *strangeFile) Unwrap() error        { return s.cause }
func (s *strangeFile) Is(target error) bool { return target == ErrForeign }

// private makes the file, readable for us alone: it has strangers' mail in it. SQLite gives its -wal
// and -shm files the same mode.
func private(file string) error {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("store: %w: let this user read and write it", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("store: %s: %w", file, err)
	}
	return nil
}

// create makes the empty file a database with our page size and mark.
func create(ctx context.Context, file string) (err error) {
	db, err := sql.Open("sqlite", dsn(file, fmt.Sprintf("_pragma=page_size(%d)", pageSize), "_pragma=synchronous(FULL)"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return mark(ctx, db)
}

// assertModes asks what is in force: a 250 is a lie where a commit does not reach the disk. A file that was
// there keeps its page size.
func assertModes(ctx context.Context, db *sql.DB, fresh bool) error {
	modes := []struct{ pragma, want string }{
		{"journal_mode", "wal"},
		{"synchronous", "2"}, // FULL
		{"busy_timeout", "5000"},
		{"wal_autocheckpoint", "1000"}, // the -wal file starts again at its beginning: it does not grow for ever
		{"page_size", strconv.Itoa(pageSize)},
	}
	if !fresh {
		modes = modes[:len(modes)-1]
	}
	for _, m := range modes {
		var got string
		if err := db.QueryRowContext(ctx, "PRAGMA "+m.pragma).Scan(&got); err != nil {
			return fmt.Errorf("PRAGMA %s: %w", m.pragma, err)
		}
		if !strings.EqualFold(got, m.want) {
			return fmt.Errorf("PRAGMA %s is %q, want %q: the folder must be on a local disk that allows shared memory", m.pragma, got, m.want)
		}
	}
	return nil
}

// migrate brings the tables up to date. The mark comes first: a process that ends between the two
// leaves a file that is known as ours.
func migrate(ctx context.Context, db *sql.DB, file string) error {
	if err := mark(ctx, db); err != nil {
		return fmt.Errorf("store: %s: %w", file, err)
	}
	return up(ctx, goose.DialectSQLite3, db, file, moveAway)
}

// up runs the migrations that are missing.
func up(ctx context.Context, dialect goose.Dialect, db *sql.DB, name, wayOut string) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	p, err := goose.NewProvider(dialect, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("store: migrations: %w", err)
	}
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("store: %s: %w", name, err)
	}
	if current > target {
		return fmt.Errorf("store: %s: %w (schema %d, this program knows %d): start the newer check-auth, or %s", name, ErrNewer, current, target, wayOut)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("store: %s: migrate from schema %d: %w", name, current, err)
	}
	return nil
}

// mark writes only where there is no mark: a file that is refused later on stays as it was.
func mark(ctx context.Context, db *sql.DB) error {
	var id int64
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil || id == application {
		return err
	}
	_, err := db.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d", application))
	return err
}

// Close waits for the writes that have begun, and gives the folder back.
func (s *SQLite) Close() error {
	var errs []error
	if s.w != nil {
		s.w.close()
		errs = append(errs, s.w.sql.close(), s.w.conn.Close())
	}
	errs = append(errs, s.look.close())
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	if s.fresh != "" {
		// Nothing is in it, and without its tables it would be taken for half of a queue.
		errs = append(errs, os.Remove(s.fresh))
	}
	// Last: until here the folder is in use.
	errs = append(errs, unlock(s.lock))
	return errors.Join(errs...)
}
