package store

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// known names what SQLite says in numbers, as far as somebody acts on it: a full disk passes, a damaged file
// does not.
func known(err error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	switch {
	case e.Code()&0xff == lib.SQLITE_FULL,
		e.Code() == lib.SQLITE_IOERR_SHMSIZE: // the -shm file could not grow
		return fmt.Errorf("%w: %w", ErrFull, err)
	case e.Code()&0xff == lib.SQLITE_CORRUPT, noDatabase(err):
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return err
}

// noDatabase tells whether a file does not begin as one of SQLite does.
func noDatabase(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code()&0xff == lib.SQLITE_NOTADB
}
