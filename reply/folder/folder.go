// Package folder looks after the state folder, which has strangers' mail and the key of our signatures in it: it is
// this process's user's alone, and so are the files in it. A link there would have us read or write somewhere else.
package folder

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"
)

// What may be wrong with the folder or a file in it.
var (
	ErrOpen    = errors.New("others may enter it")
	ErrForeign = errors.New("it is another user's")
	ErrLink    = errors.New("it is a link")
	ErrNoFile  = errors.New("it is no file")
)

// Make makes the folder, and those above it, for us alone. One that is there must be so: Check.
func Make(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return Check(dir)
}

// Check refuses a folder that is another user's (ErrForeign) or that others may enter, read or change (ErrOpen). An
// access control list that lets somebody in shows in the mode's group bits, and counts as they do.
func Check(dir string) error { return check(dir, false) }

// Look is Check for who changes nothing: root may look at the service's folder.
func Look(dir string) error { return check(dir, os.Geteuid() == 0) }

func check(dir string, anyone bool) error {
	var st unix.Stat_t
	// The name may be a link, such as systemd's to /var/lib/private: where it leads to is what counts.
	if err := unix.Stat(dir, &st); err != nil {
		return &fs.PathError{Op: "stat", Path: dir, Err: err}
	}
	if uint32(st.Mode)&unix.S_IFMT != unix.S_IFDIR {
		return &fs.PathError{Op: "stat", Path: dir, Err: unix.ENOTDIR}
	}
	if !anyone && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("the folder %s: %w (%s; this process is %s): start the service as that user, or give it the folder with chown -R",
			dir, ErrForeign, name(int(st.Uid)), name(os.Geteuid()))
	}
	if mode := uint32(st.Mode) & 0o7777; mode&0o077 != 0 {
		return fmt.Errorf("the folder %s: %w (mode %04o): it has strangers' mail and the DKIM key in it: chmod 700 %s, after a look at what others may have put there",
			dir, ErrOpen, mode, dir)
	}
	return nil
}

// name of a user, for people.
func name(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return "user " + u.Username
	}
	return fmt.Sprintf("user %d", uid)
}

// OpenFile is os.OpenFile for a file of the folder: never through a symbolic link, and never one with a second name,
// or another user's, or a pipe (ErrLink, ErrForeign, ErrNoFile). With O_TRUNC the file is emptied when all that is sure. It
// does not wait for the other end of a pipe.
func OpenFile(file string, flag int, mode fs.FileMode) (*os.File, error) {
	f, err := os.OpenFile(file, flag&^os.O_TRUNC|unix.O_NOFOLLOW|unix.O_NONBLOCK, mode)
	if err != nil { // of a link, a folder, a pipe: what it is says more than ELOOP, EISDIR, ENXIO
		return nil, cmp.Or(Sound(file), err)
	}
	var st unix.Stat_t
	err = unix.Fstat(int(f.Fd()), &st)
	if err == nil {
		err = sound(file, &st)
	}
	if err == nil && st.Nlink > 1 {
		err = fmt.Errorf("%s: %w (the file has %d names): %s", file, ErrLink, st.Nlink, wayOut)
	}
	if err == nil && flag&os.O_TRUNC != 0 {
		err = f.Truncate(0)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Sound refuses what OpenFile would, for files that a library opens; they may have a second name, as a backup's. One
// that is not there is sound.
func Sound(files ...string) error {
	for _, file := range files {
		var st unix.Stat_t
		err := unix.Lstat(file, &st)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return &fs.PathError{Op: "lstat", Path: file, Err: err}
		}
		if err := sound(file, &st); err != nil {
			return err
		}
	}
	return nil
}

// wayOut of a file that is no file of ours.
const wayOut = "nobody but this service has files in its state folder: find out who put it there, then remove it"

func sound(file string, st *unix.Stat_t) error {
	switch kind := uint32(st.Mode) & unix.S_IFMT; {
	case kind == unix.S_IFLNK:
		target, _ := os.Readlink(file)
		return fmt.Errorf("%s: %w (to %q): %s", file, ErrLink, target, wayOut)
	case kind != unix.S_IFREG:
		return fmt.Errorf("%s: %w: %s", file, ErrNoFile, wayOut)
	case os.Geteuid() != 0 && int(st.Uid) != os.Geteuid():
		return fmt.Errorf("%s: %w (%s; this process is %s): %s, or give it back with chown", file, ErrForeign, name(int(st.Uid)), name(os.Geteuid()), wayOut)
	}
	return nil
}

// ReadFile is os.ReadFile under the rules of OpenFile.
func ReadFile(file string) ([]byte, error) {
	f, err := OpenFile(file, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(f)
}

// WriteFile is os.WriteFile under the rules of OpenFile.
func WriteFile(file string, b []byte, mode fs.FileMode) error {
	f, err := OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}

// ReadRegular is os.ReadFile for files that an operator names. A FIFO or a device is refused: who reads one may wait for ever.
func ReadRegular(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: file, Err: fmt.Errorf("it is no regular file (%s): name one", kind(info.Mode()))}
	}
	return os.ReadFile(file)
}

func kind(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "a folder"
	case m&fs.ModeNamedPipe != 0:
		return "a FIFO"
	case m&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}
