package store

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Commits is how many transactions were committed.
func (s *SQLite) Commits() int64 { return s.w.commits.Load() }

// Hold keeps the writer busy until release is called.
func (s *SQLite) Hold() (release func()) {
	begun, end, done := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		done <- s.w.do(context.Background(), func(context.Context, *statements) error {
			close(begun)
			<-end
			return nil
		})
	}()
	<-begun
	return func() { close(end); <-done }
}

// Waiting is how many writes wait.
func (s *SQLite) Waiting() int { return len(s.w.queue) }

// Exec changes the tables behind the store's back.
func (s *SQLite) Exec(query string, args ...any) error {
	return s.w.do(context.Background(), func(ctx context.Context, _ *statements) error {
		_, err := s.w.conn.ExecContext(ctx, query, args...)
		return err
	})
}

// Query reads one value on the connection that writes.
func (s *SQLite) Query(query string, to any) error {
	return s.w.do(context.Background(), func(ctx context.Context, _ *statements) error {
		return s.w.conn.QueryRowContext(ctx, query).Scan(to)
	})
}

// Commits is how many transactions were committed.
func (p *Postgres) Commits() int64 { return p.w.commits.Load() }

// Setting is what the connections that write have in force, and those that claim.
func (p *Postgres) Setting(name string) (writer, others string, err error) {
	err = p.w.do(context.Background(), &pgChange{run: func(b *pgx.Batch, _ func(error)) {
		b.Queue("SELECT current_setting($1)", name).QueryRow(func(row pgx.Row) error { return row.Scan(&writer) })
	}})
	if err == nil {
		err = p.db.QueryRow("SELECT current_setting($1)", name).Scan(&others)
	}
	return writer, others, err
}
