package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"checkauth/reply/store"
)

// exitCode is the code of an error; an error without one is our fault.
func exitCode(err error) int {
	if x, ok := errors.AsType[*exitError](err); ok {
		return x.code
	}
	return exitSoftware
}

// together joins faults under the code of the gravest: where one of them needs somebody's hand, starting again
// does not help, whatever the others are.
func together(faults []error) error {
	var all []error
	code := 0
	for _, err := range faults {
		if err != nil {
			all, code = append(all, err), max(code, exitCode(err))
		}
	}
	if len(all) == 0 {
		return nil
	}
	return &exitError{code, errors.Join(all...)}
}

// passing are the errors of the system that end by themselves, or whose end is no matter of the configuration.
var passing = []error{
	syscall.ENOSPC, syscall.EDQUOT, syscall.EIO, syscall.EROFS, syscall.ESTALE, syscall.ENOTCONN,
	syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EAGAIN, syscall.EINTR, syscall.ETIMEDOUT,
}

func passes(err error) bool {
	for _, p := range passing {
		if errors.Is(err, p) {
			return true
		}
	}
	return false
}

// unusable is what is wrong with something that a key names; what passes by itself has another code.
func (s *settings) unusable(key string, err error) error {
	code := exitConfig
	if passes(err) {
		code = exitTemp
	}
	return &exitError{code, fmt.Errorf("configuration: %w", s.fault(key, "%w", err))}
}

// storeExit tells what somebody has to change from what passes, such as a full disk, a database that restarts or
// another process that is about to end: with 78 the service manager does not try again.
func storeExit(err error) int {
	for _, kind := range []error{store.ErrLocked, store.ErrTaken, store.ErrFull, store.ErrAway, context.DeadlineExceeded} {
		if errors.Is(err, kind) {
			return exitTemp
		}
	}
	if passes(err) {
		return exitTemp
	}
	for _, kind := range []error{store.ErrForeign, store.ErrCorrupt, store.ErrHalf, store.ErrNewer, store.ErrURL, fs.ErrPermission, fs.ErrNotExist} {
		if errors.Is(err, kind) {
			return exitConfig
		}
	}
	return exitSoftware
}
