package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"checkauth/reply"
)

// Secrets keeps an offer where there is none of its name, and reads all within the same commit, so that two
// nodes that offer at once agree.
func (s *SQLite) Secrets(ctx context.Context, name string, offer []byte, expires, now time.Time) (all map[string][]byte, err error) {
	err = s.w.do(ctx, func(ctx context.Context, tx *statements) (err error) {
		all = map[string][]byte{}
		if _, err := tx.offer.ExecContext(ctx, name, notNil(offer), nano(expires)); err != nil {
			return fmt.Errorf("store: secret %q: %w", name, err)
		}
		found, err := tx.secrets.QueryContext(ctx, nano(now))
		if err != nil {
			return fmt.Errorf("store: secrets: %w", err)
		}
		defer func() { err = errors.Join(err, found.Close()) }()
		for found.Next() {
			var name string
			var secret []byte
			if err := found.Scan(&name, &secret); err != nil {
				return fmt.Errorf("store: secrets: %w", err)
			}
			all[name] = secret
		}
		return found.Err()
	})
	return all, err
}

// Stop keeps an address out; it is stored as a digest.
func (s *SQLite) Stop(ctx context.Context, address string, now time.Time) error {
	return s.w.do(ctx, func(ctx context.Context, tx *statements) error {
		if _, err := tx.stop.ExecContext(ctx, hashed(address), nano(now)); err != nil {
			return fmt.Errorf("store: stop an address: %w", err)
		}
		return nil
	})
}

// Resume lets an address in again.
func (s *SQLite) Resume(ctx context.Context, address string) error {
	return s.w.do(ctx, func(ctx context.Context, tx *statements) error {
		if _, err := tx.resume.ExecContext(ctx, hashed(address)); err != nil {
			return fmt.Errorf("store: resume an address: %w", err)
		}
		return nil
	})
}

// Stopped reads on a connection of its own, which the writer does not hold up.
func (s *SQLite) Stopped(ctx context.Context, address string) (bool, error) {
	var n int64
	if err := s.look.stopped.QueryRowContext(ctx, hashed(address)).Scan(&n); err != nil {
		return false, fmt.Errorf("store: look for a stopped address: %w", err)
	}
	return n > 0, nil
}

// Undelivered reads on a connection of its own, which the writer does not hold up.
func (s *SQLite) Undelivered(ctx context.Context, whom string) (Undelivered, error) {
	if whom == "" {
		return Undelivered{}, nil
	}
	u, err := undelivered(s.look.undelivered.QueryRowContext(ctx, hashed(whom)))
	if err != nil {
		return u, fmt.Errorf("store: look for a reply that did not arrive: %w", err)
	}
	return u, nil
}

func undelivered(row *sql.Row) (u Undelivered, err error) {
	var created int64
	var state reply.State
	switch err := row.Scan(&created, &u.Tries, &u.Kind, &state); {
	case errors.Is(err, sql.ErrNoRows):
		return u, nil
	case err != nil:
		return u, err
	}
	u.Created, u.Ended = fromNano(created), state == reply.Failed
	return u, nil
}

// recipientDigest is what is stored of whom an entry is for.
func recipientDigest(whom string) string {
	if whom == "" {
		return ""
	}
	return hashed(whom)
}

func hashed(address string) string {
	sum := sha256.Sum256([]byte(address))
	return hex.EncodeToString(sum[:])
}
