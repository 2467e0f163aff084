package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// The sentences that SQLite and PostgreSQL both take. Time is always a parameter: the caller's clock
// decides, so that tests need no sleep and nodes no common one.
const (
	sqlPut = `INSERT INTO entries
	(id, sender, recipient, message_id, body, smtputf8, eightbit, digest, created, expires, state, node, due, tries, reason)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'leased', $11, $12, 0, '')`

	// No row is changed where the bucket is full: that is how the caller hears of it. A counter whose
	// window is over starts again.
	sqlCount = `INSERT INTO counters (bucket, n, expires) VALUES ($1, 1, $2)
	ON CONFLICT (bucket) DO UPDATE SET
		n = CASE WHEN counters.expires <= $4 THEN 1 ELSE counters.n + 1 END,
		expires = excluded.expires
	WHERE counters.n < $3 OR counters.expires <= $4`

	sqlPeek = `SELECT n FROM counters WHERE bucket = $1 AND expires > $2`

	sqlSeen = `SELECT id FROM entries WHERE digest = $1 AND created >= $2 AND state <> 'failed'
	ORDER BY created DESC LIMIT 1`

	sqlClaim = `UPDATE entries SET state = 'leased', node = $1, due = $2
	WHERE id IN (SELECT id FROM entries WHERE state IN ('waiting', 'leased') AND due <= $3 ORDER BY due LIMIT $4)
	RETURNING id, sender, recipient, message_id, body, smtputf8, eightbit, digest, created, expires, tries`

	sqlWait = `UPDATE entries SET state = 'waiting', due = $2, tries = tries + $3, reason = $4
	WHERE id = $1 AND state IN ('leased', 'waiting')`

	// The content and the addresses go with the end; the digest stays for Seen.
	sqlFinish = `UPDATE entries SET state = $2, due = $3, reason = $4, sender = '', recipient = '', message_id = '', body = ''
	WHERE id = $1 AND state IN ('leased', 'waiting')`

	sqlTakeOver = `UPDATE entries SET due = 0 WHERE state = 'leased'`

	sqlSweepEntries  = `DELETE FROM entries WHERE state IN ('done', 'failed') AND due <= $1`
	sqlSweepCounters = `DELETE FROM counters WHERE expires <= $1`
	sqlSweepReports  = `DELETE FROM reports WHERE expires <= $1`
)

// statements are the prepared sentences of the connection that writes.
type statements struct {
	put, count, claim, wait, finish, sweepEntries, sweepCounters, sweepReports *sql.Stmt
}

func prepare(ctx context.Context, conn *sql.Conn) (*statements, error) {
	st := &statements{}
	for _, p := range []struct {
		at    **sql.Stmt
		query string
	}{
		{&st.put, sqlPut},
		{&st.count, sqlCount},
		{&st.claim, sqlClaim},
		{&st.wait, sqlWait},
		{&st.finish, sqlFinish},
		{&st.sweepEntries, sqlSweepEntries},
		{&st.sweepCounters, sqlSweepCounters},
		{&st.sweepReports, sqlSweepReports},
	} {
		stmt, err := conn.PrepareContext(ctx, p.query)
		if err != nil {
			return nil, fmt.Errorf("store: prepare: %w", errors.Join(err, st.close()))
		}
		*p.at = stmt
	}
	return st, nil
}

func (st *statements) close() error {
	var errs []error
	for _, s := range []*sql.Stmt{st.put, st.count, st.claim, st.wait, st.finish, st.sweepEntries, st.sweepCounters, st.sweepReports} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}
