package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"checkauth/reply/folder"
)

// unlock gives the folder back. Closing the file alone would not do while a child that was just forked
// still has it open.
func unlock(f *os.File) error {
	return errors.Join(unix.Flock(int(f.Fd()), unix.LOCK_UN), f.Close())
}

// lockFolder takes the folder for this process. The kernel gives the lock back when the process ends,
// however it ends, so none is ever stale; that is what allows Open to take over all leases at once.
func lockFolder(dir string) (*os.File, error) {
	name := filepath.Join(dir, "lock")
	f, err := folder.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("store: lock file: %w: make the folder writable for this user", err)
	}
	if err != nil {
		return nil, strange(err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		holder, _ := io.ReadAll(io.LimitReader(f, 20))
		_ = f.Close()
		return nil, fmt.Errorf("store: %s: %w (process %q): stop it, or give this one a state folder of its own",
			dir, ErrLocked, strings.TrimSpace(string(holder)))
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("store: lock %s: %w: the folder must be on a local disk", name, err)
	}
	// The number is a courtesy for the error above; the lock holds without it.
	if f.Truncate(0) == nil {
		_, _ = fmt.Fprintln(f, os.Getpid())
	}
	return f, nil
}
