package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// application marks a database file as ours (PRAGMA application_id): "cAq1".
const application = 0x63417131

// magic is how a SQLite file begins (sqlite.org/fileformat2.html, 1.3.1).
const magic = "SQLite format 3\x00"

// way out of a file that is not what we want.
const moveAway = "move it and its -wal and -shm files away to start with an empty queue, or restore a backup"

// inspect refuses a file that is not a sound queue of ours, before anything could be written to it:
// switching to WAL alone would change a stranger's file. A missing or empty file is a new queue: fresh.
func inspect(ctx context.Context, file string) (fresh bool, err error) {
	if fresh, err = begins(file); err != nil || fresh {
		return fresh, err
	}
	if err := whole(file); err != nil {
		return false, err
	}
	db, err := sql.Open("sqlite", dsn(file, "mode=ro", "_pragma=busy_timeout(5000)"))
	if err != nil {
		return false, fmt.Errorf("store: %s: %w", file, err)
	}
	defer func() { _ = db.Close() }()
	return false, examine(ctx, db, file)
}

// examine refuses a database that is not a sound queue of ours.
func examine(ctx context.Context, db *sql.DB, file string) error {
	if err := ours(ctx, db, file); err != nil {
		return err
	}
	var check string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&check); err != nil {
		return fmt.Errorf("store: %s: %w: %w: %s", file, ErrCorrupt, err, moveAway)
	}
	if check != "ok" {
		return fmt.Errorf("store: %s: %w (%q): %s", file, ErrCorrupt, check, moveAway)
	}
	return nil
}

// Octets of a SQLite file's header (sqlite.org/fileformat2.html, 1.3).
const (
	headerSize    = 100
	versionAt     = 18 // 2: WAL
	schemaAt      = 40 // counts the changes of the tables
	applicationAt = 68
)

// whole refuses a queue.db that was copied without its -wal: the tables themselves are still in there, until the first
// checkpoint, and the file alone looks like a queue that was never used. A service that is killed leaves its -wal. This
// is read before SQLite opens the file, which would make a -wal.
func whole(file string) error {
	if walOf(file) {
		return nil
	}
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("store: %w: let this user read and write it", err)
	}
	defer func() { _ = f.Close() }()
	head := make([]byte, headerSize)
	if _, err := io.ReadFull(f, head); err != nil {
		return nil // SQLite says what is wrong with it
	}
	number := func(at int) uint32 { return binary.BigEndian.Uint32(head[at:]) }
	if head[versionAt] == 2 && number(schemaAt) == 0 && number(applicationAt) == application {
		return halfError(file)
	}
	return nil
}

// walOf tells whether a file has its -wal beside it.
func walOf(file string) bool {
	_, err := os.Stat(file + "-wal")
	return err == nil
}

func halfError(file string) error {
	return fmt.Errorf("store: %s: %w: stop the service and copy both again, or make the copy with sqlite3's .backup; "+
		"to begin with an empty queue move the file away", file, ErrHalf)
}

// ours refuses another program's database.
func ours(ctx context.Context, db *sql.DB, file string) error {
	var id, tables int64
	err := errors.Join(
		db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id),
		db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master").Scan(&tables),
	)
	if err != nil {
		return fmt.Errorf("store: %s: %w: %w: %s", file, ErrCorrupt, err, moveAway)
	}
	// No mark and no table: this process, or one before it, ended right after making the file.
	if id != application && (id != 0 || tables > 0) {
		return fmt.Errorf("store: %s: %w (application id %#x, %d tables): %s", file, ErrForeign, id, tables, moveAway)
	}
	return nil
}

// begins looks at a file's first bytes; fresh is one that does not exist or is empty.
func begins(file string) (fresh bool, err error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("store: %w: let this user read and write it", err)
	}
	defer func() { _ = f.Close() }()
	head := make([]byte, len(magic))
	n, err := io.ReadFull(f, head)
	switch {
	case errors.Is(err, io.EOF):
		return true, nil
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return false, fmt.Errorf("store: %s: %w", file, err)
	case string(head[:n]) != magic:
		return false, fmt.Errorf("store: %s: %w (it begins with %q): %s", file, ErrForeign, head[:n], moveAway)
	}
	return false, nil
}

// dsn names the file to the driver. The path is escaped: a ? or % in it would start the options.
func dsn(file string, options ...string) string {
	u := "file:" + (&url.URL{Path: file}).EscapedPath()
	for i, o := range options {
		if i == 0 {
			u += "?" + o
		} else {
			u += "&" + o
		}
	}
	return u
}
