package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

// Postgres is the store of several nodes: quotas, secrets, entries and reports are all nodes' own. Each node has a
// name of its own and leases entries in it.
//
// A database that is not there, or hangs, makes every method fail within Timeout, and is no matter any more as
// soon as it is back. A write whose commit was sent and not answered is an error: it may be there all the same,
// and Seen then says so.
type Postgres struct {
	cfg PostgresConfig
	w   *pgWriter
	db  *sql.DB // look-ups, claims and sweeps

	heals healer
}

var _ Store = (*Postgres)(nil)

// PostgresConfig of a Postgres store.
type PostgresConfig struct {
	Config
	URL      string        // postgres://USER@HOST:PORT/DATABASE?OPTIONS, or KEY=VALUE pairs
	Password string        // in place of the URL's
	Timeout  time.Duration // for one connection and one transaction
	// Apart is how far the nodes' clocks may be from each other: so much longer others leave a node its leases.
	Apart time.Duration
	Conns int // connections at once for what the writer does not do
}

// PostgresDefaults are Defaults, ten seconds for a transaction and five minutes between clocks.
func PostgresDefaults() PostgresConfig {
	return PostgresConfig{Config: Defaults(), Timeout: 10 * time.Second, Apart: 5 * time.Minute, Conns: 8}
}

func (c PostgresConfig) check() error {
	if err := c.Config.check(); err != nil {
		return err
	}
	if c.Timeout < 100*time.Millisecond || c.Apart < 0 || c.Conns < 1 {
		return fmt.Errorf("store: Timeout %s, Apart %s, Conns %d: start from PostgresDefaults()", c.Timeout, c.Apart, c.Conns)
	}
	return nil
}

// connection is how we connect.
func (c PostgresConfig) connection() (*pgx.ConnConfig, error) {
	if _, clear := Masked(c.URL); !clear {
		return nil, unreadable(c.URL, errUnclear)
	}
	conn, err := pgx.ParseConfig(c.URL)
	if err != nil {
		return nil, unreadable(c.URL, err)
	}
	if c.Password != "" {
		conn.Password = c.Password
	}
	// All hosts of the URL get their turn within the time for one transaction.
	conn.ConnectTimeout = c.Timeout / time.Duration(2+len(conn.Fallbacks))
	for name, value := range map[string]string{
		"application_name": "check-auth " + c.Node,
		// Before our own bound, after which the connection is cut.
		"statement_timeout": milliseconds(c.Timeout * 4 / 5), "lock_timeout": milliseconds(c.Timeout / 2),
		// A node that lost power or its network must not keep its locks for hours.
		"idle_in_transaction_session_timeout": milliseconds(2 * c.Timeout),
		"tcp_keepalives_idle":                 "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "4",
	} {
		if _, said := conn.RuntimeParams[name]; !said {
			conn.RuntimeParams[name] = value
		}
	}
	conn.AfterConnect = synchronous
	return conn, nil
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// synchronous: a 250 is a lie where a commit does not reach the disk, whatever a role or a database has set.
func synchronous(ctx context.Context, conn *pgconn.PgConn) error {
	return conn.Exec(ctx, "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'").Close()
}

// Check refuses what no try to connect would make better: a URL that cannot be read, a file that it names and is
// not there.
func (c PostgresConfig) Check() error {
	if err := c.check(); err != nil {
		return err
	}
	_, err := c.connection()
	return err
}

// databaseName is what an error says of it.
func databaseName(c *pgx.ConnConfig) string {
	return "PostgreSQL " + net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))) + "/" + c.Database
}

// OpenPostgres opens the store, and makes its tables where there are none. It waits until the context ends for another
// process of this node's name to end (ErrLocked). Leases of the process before this one end at once.
func OpenPostgres(ctx context.Context, cfg PostgresConfig) (_ *Postgres, err error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	conn, err := cfg.connection()
	if err != nil {
		return nil, err
	}
	p := &Postgres{cfg: cfg}
	if err := p.open(ctx, conn); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (p *Postgres) open(ctx context.Context, conn *pgx.ConnConfig) (err error) {
	if err := migratePostgres(ctx, conn); err != nil {
		return err
	}
	w := &pgWriter{config: conn, node: p.cfg.Node, lease: p.cfg.Lease, timeout: p.cfg.Timeout}
	if err := w.first(ctx); err != nil {
		return errors.Join(fmt.Errorf("store: %s: %w", databaseName(conn), knownPostgres(err)), w.drop())
	}
	w.group = newGroup(w.commit)
	p.w = w
	p.db = stdlib.OpenDB(*conn)
	p.db.SetMaxOpenConns(p.cfg.Conns)
	p.db.SetMaxIdleConns(p.cfg.Conns)
	p.db.SetConnMaxIdleTime(5 * time.Minute)
	return nil
}

// migratePostgres looks whether this is a database that we can use, and brings the tables up to date, one node
// after the other.
func migratePostgres(ctx context.Context, conn *pgx.ConnConfig) (err error) {
	patient := tied(ctx, conn)
	patient.RuntimeParams["statement_timeout"], patient.RuntimeParams["lock_timeout"] = "0", "0"
	db := stdlib.OpenDB(*patient)
	defer func() { err = errors.Join(err, db.Close()) }()
	failed := func(err error) error { return fmt.Errorf("store: %s: %w", databaseName(conn), knownPostgres(err)) }
	alone, err := db.Conn(ctx)
	if err != nil {
		return failed(err)
	}
	defer func() { err = errors.Join(err, alone.Close()) }()
	if err := fit(ctx, alone); err != nil {
		return failed(err)
	}
	if _, err := alone.ExecContext(ctx, "SELECT pg_advisory_lock("+lockKey+")", "migrations"); err != nil {
		return failed(err)
	}
	defer func() {
		_, unlocked := alone.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock("+lockKey+")", "migrations")
		err = errors.Join(err, unlocked)
	}()
	return knownPostgres(up(ctx, goose.DialectPostgres, db, databaseName(conn), "name another schema or database"))
}

// tied makes connections that the context's end cuts, so that nothing waits for a server that hangs: neither what is
// done without the context, nor a goodbye. The server takes a session's locks and transaction back with it.
func tied(ctx context.Context, conn *pgx.ConnConfig) *pgx.ConnConfig {
	out := conn.Copy()
	dial := conn.DialFunc
	out.DialFunc = func(dialing context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(dialing, network, addr)
		if err == nil {
			context.AfterFunc(ctx, func() { _ = c.Close() })
		}
		return c, err
	}
	return out
}

// lockKey is an advisory lock's, of something of ours within the schema.
const lockKey = "hashtextextended('check-auth/' || current_schema() || '/' || $1::text, 0)"

// fit asks what is in force.
func fit(ctx context.Context, conn *sql.Conn) error {
	var version int
	var schema sql.NullString
	var encoding, fsync string
	var standby bool
	err := conn.QueryRowContext(ctx, `SELECT current_setting('server_version_num')::int, current_schema(),
		current_setting('server_encoding'), current_setting('fsync'), pg_is_in_recovery()`).Scan(&version, &schema, &encoding, &fsync, &standby)
	switch {
	case err != nil:
		return err
	case version < 130000:
		return fmt.Errorf("%w: its version is %d: want PostgreSQL 13 or later", ErrForeign, version/10000)
	case !schema.Valid:
		return fmt.Errorf("%w: no schema of the search path is there: make one that belongs to this role", fs.ErrNotExist)
	case encoding != "UTF8":
		return fmt.Errorf("%w: its encoding is %s: want UTF8", ErrForeign, encoding)
	case fsync != "on":
		return fmt.Errorf("%w: fsync is %s, so that what was stored may be lost: want on", ErrForeign, fsync)
	case standby:
		// A standby becomes the primary when that one is lost.
		return fmt.Errorf("%w: it is a standby, which takes no writes: name the primary, or several hosts with target_session_attrs=read-write", ErrAway)
	}
	return nil
}

// knownPostgres puts what somebody acts on into our kinds: a full disk passes, and so does a server that is not
// there yet; a wrong password does not.
func knownPostgres(err error) error {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		// A Unix socket that is not there yet is "no such file", which elsewhere somebody has to fix.
		if _, ok := errors.AsType[*pgconn.ConnectError](err); ok && !errors.Is(err, fs.ErrPermission) {
			return &away{err}
		}
		return err
	}
	switch e.Code {
	case "53100": // disk_full
		return fmt.Errorf("%w: %w", ErrFull, err)
	case "28P01", "28000", "42501": // a login or a right that is refused
		return fmt.Errorf("%w: %w", fs.ErrPermission, err)
	case "3D000": // no such database
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	switch e.Code[:min(2, len(e.Code))] {
	case "08", "53", "57": // connection, resources, an administrator's shutdown or a server that starts
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	return err
}

// away is an error of connecting: what it wraps says more than the kind, and is of the kind alone.
type away struct{ err error }

func (a *away) Error() string { return ErrAway.Error() + ": " + a.err.Error() }

// Is: a missing socket is no missing database.
func (a *away) Is(target error) bool {
	return target == ErrAway || target != fs.ErrNotExist && errors.Is(a.err, target)
}

// As lets the cause be asked for.
func (a *away) As(target any) bool { return errors.As(a.err, target) }

// Close waits for the writes that have begun.
func (p *Postgres) Close() error {
	var errs []error
	if p.w != nil {
		p.w.close()
		errs = append(errs, p.w.drop())
	}
	if p.db != nil {
		errs = append(errs, p.db.Close())
	}
	return errors.Join(errs...)
}
