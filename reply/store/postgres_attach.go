package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5/stdlib"
)

// AttachedPostgres is the queue of nodes that may be running. It takes no node's name and no leases, and changes no
// table.
type AttachedPostgres struct{ admin }

var _ Admin = (*AttachedPostgres)(nil)

// AttachPostgres opens the queue, which must be there (else fs.ErrNotExist), and of this version (ErrNewer,
// ErrOlder).
func AttachPostgres(ctx context.Context, cfg PostgresConfig) (_ *AttachedPostgres, err error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	conn, err := cfg.connection()
	if err != nil {
		return nil, err
	}
	b := &AttachedPostgres{admin{name: databaseName(conn), db: stdlib.OpenDB(*conn), known: knownPostgres}}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close())
		}
	}()
	var there bool
	if err := b.db.QueryRowContext(ctx, "SELECT to_regclass('goose_db_version') IS NOT NULL").Scan(&there); err != nil {
		return nil, b.failed(err)
	}
	if !there {
		return nil, fmt.Errorf("store: %s: %w: no service has used this schema", b.name, fs.ErrNotExist)
	}
	want, err := latest()
	if err != nil {
		return nil, err
	}
	var have int64
	if err := b.db.QueryRowContext(ctx, sqlVersion).Scan(&have); err != nil {
		return nil, b.failed(err)
	}
	if err := sameVersion(b.name, have, want); err != nil {
		return nil, err
	}
	return b, nil
}
