package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// The statements that SQLite and PostgreSQL both take. Time is always a parameter: the caller's clock
// decides, so that tests need no sleep and nodes no common one.
const (
	sqlPut = `INSERT INTO entries
	(id, sender, recipient, message_id, smtputf8, eightbit, digest, created, expires, state, node, due, tries, reason, answer, tls, host, hurried, aside, body, whom,
	network, site, organisation)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'leased', $10, $11, 0, '', '', '', '', 0, 0, $12, $13, $14, $15, $16)`

	// SQLite's: all buckets of an entry at once, as JSON: an array of arrays of key and end. A counter whose window
	// is over, or void, starts again. $3 is slack.
	sqlCount = `INSERT INTO counters (bucket, n, expires) SELECT value->>0, 1, value->>1 FROM json_each($1) WHERE true
	ON CONFLICT (bucket) DO UPDATE SET
		n = CASE WHEN counters.expires <= $2 OR counters.expires > excluded.expires + $3 THEN 1 ELSE counters.n + 1 END,
		expires = CASE WHEN counters.expires <= $2 OR counters.expires > excluded.expires + $3 THEN excluded.expires ELSE counters.expires END`

	sqlPeek = `SELECT j.key, c.n, c.expires FROM json_each($1) AS j JOIN counters AS c ON c.bucket = j.value->>0
	WHERE c.expires > $2 AND c.expires <= (j.value->>1) + $3`

	// What was counted in a window that has begun anew since is not there any more.
	sqlUncount = `UPDATE counters SET n = n - 1 FROM (SELECT value->>0 AS key, value->>1 AS made FROM json_each($1)) AS back
	WHERE counters.bucket = back.key AND counters.n > 0 AND counters.expires > $2 AND counters.expires <= back.made`

	sqlOffer   = `INSERT INTO secrets (name, secret, expires) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING`
	sqlSecrets = `SELECT name, secret FROM secrets WHERE expires > $1`

	sqlStop    = `INSERT INTO stops (address, created) VALUES ($1, $2) ON CONFLICT (address) DO NOTHING`
	sqlResume  = `DELETE FROM stops WHERE address = $1`
	sqlStopped = `SELECT COUNT(*) FROM stops WHERE address = $1`

	sqlSeen = `SELECT id FROM entries WHERE digest = $1 AND created >= $2 AND created <= $3 AND state <> 'failed'
	ORDER BY created DESC LIMIT 1`

	sqlUndelivered = `SELECT created, tries, kind, state FROM entries
	WHERE whom = $1 AND state IN ('waiting', 'failed') AND kind <> '' ORDER BY created DESC LIMIT 1`

	// $5: who should have been looked at before then has aged unseen.
	sqlClaim = `UPDATE entries SET state = 'leased', node = $1, due = $2,
		expires = CASE WHEN expires <= $3 AND due > 0 AND due <= $5 THEN expires + ($3 - due) ELSE expires END
	WHERE id IN (SELECT id FROM entries WHERE state IN ('waiting', 'leased') AND due <= $3 ORDER BY due LIMIT $4)
	` + claimedColumns

	// Where more are due than are asked for, networks take turns.
	sqlClaimInTurn = `WITH ` + sqlTurns + sqlAnyLease + sqlTurnsEnd + ` UPDATE entries SET state = 'leased', node = $1, due = $2,
		expires = CASE WHEN expires <= $3 AND due > 0 AND due <= $5 THEN expires + ($3 - due) ELSE expires END
	WHERE id IN (SELECT id FROM turns ORDER BY turn, due LIMIT $4)
	` + claimedColumns

	// sqlTurns gives each entry that is due its turn: the first of each network, then the second of each; within a network
	// the first for each organisation, then the second. $3 is now. So that a flood costs little some 5000 are looked at: of
	// each network as many, those that wait longest. One whose lease is over is rare.
	sqlTurns = `RECURSIVE sites (site) AS (
		SELECT MIN(site) FROM entries WHERE state = 'waiting'
		UNION ALL
		SELECT (SELECT MIN(site) FROM entries WHERE state = 'waiting' AND site > sites.site) FROM sites WHERE site IS NOT NULL),
	each (n) AS (SELECT 1 + 5000 / COUNT(*) FROM sites),
	ripe AS (
		SELECT id, entries.site, organisation, due FROM sites JOIN entries ON entries.site = sites.site AND state = 'waiting'
			AND due <= COALESCE((SELECT due FROM entries AS e WHERE e.state = 'waiting' AND e.site = sites.site AND e.due <= $3
				ORDER BY e.due LIMIT 1 OFFSET (SELECT n FROM each)), $3)
		UNION ALL
		SELECT * FROM (SELECT id, site, organisation, due FROM entries WHERE state = 'leased' AND due <= $3 AND `
	sqlAnyLease = `TRUE`
	sqlTurnsEnd = ` ORDER BY due LIMIT 1000) AS l),
	inside AS (SELECT id, site, due, ROW_NUMBER() OVER (PARTITION BY site, organisation ORDER BY due) AS n FROM ripe),
	turns AS (SELECT id, due, ROW_NUMBER() OVER (PARTITION BY site ORDER BY n, due) AS turn FROM inside)`

	// sqlDue counts those that are due, up to $2.
	sqlDue = `SELECT COUNT(*) FROM (SELECT id FROM entries WHERE state IN ('waiting', 'leased') AND due <= $1 LIMIT $2) AS due`

	claimedColumns = `RETURNING entries.id, sender, recipient, message_id, smtputf8, eightbit, digest, created, expires, tries, hurried, network, body`

	sqlRenew = `UPDATE entries SET due = $2 WHERE id = $1 AND state = 'leased' AND node = $3`

	sqlRetry = `UPDATE entries SET state = 'waiting', due = $2, tries = tries + 1, reason = $3, answer = $4, tls = $5, host = $6,
		kind = $7, hurried = 0
	WHERE id = $1 AND state IN ('leased', 'waiting')`

	sqlRelease = `UPDATE entries SET state = 'waiting', due = $2 WHERE id = $1 AND state IN ('leased', 'waiting')`

	// The content and the addresses go with the end; the digest stays for Seen.
	// An entry that ends untried ($9 = 0) keeps what its last try has shown.
	sqlFinish = `UPDATE entries SET state = $2, due = $3,
		reason = CASE WHEN $9 = 0 AND reason <> '' THEN $4 || ': ' || reason ELSE $4 END,
		answer = CASE WHEN $9 = 0 THEN answer ELSE $5 END, tls = CASE WHEN $9 = 0 THEN tls ELSE $6 END,
		host = CASE WHEN $9 = 0 THEN host ELSE $7 END, kind = CASE WHEN $9 = 0 THEN kind ELSE $8 END, tries = tries + $9, sender = '', recipient = '', message_id = '', body = '',
		network = '', site = '', organisation = ''
	WHERE id = $1 AND state IN ('leased', 'waiting')`

	// What cannot be read stays as it is for its day, so that somebody may look at it.
	sqlAside = `UPDATE entries SET state = 'failed', due = $2, reason = $3, aside = 1 WHERE id = $1 AND state = 'leased'`

	// $1 is the lease: they are due since it began.
	sqlTakeOver = `UPDATE entries SET due = due - $1 WHERE state = 'leased'`

	// $2: what ends later than that is void.
	sqlSweepEntries  = `DELETE FROM entries WHERE state IN ('done', 'failed') AND (due <= $1 OR due > $2)`
	sqlSweepCounters = `DELETE FROM counters WHERE expires <= $1 OR expires > $2`
	sqlSweepReports  = `DELETE FROM reports WHERE expires <= $1`
	// The newest are kept: a clock that is years ahead must not cost us the key of the tokens that we gave.
	sqlSweepSecrets = `DELETE FROM secrets WHERE expires <= $1
		AND (SELECT COUNT(*) FROM secrets AS newer WHERE newer.expires > secrets.expires) >= 3`
)

// statements are the prepared statements of the connection that writes.
type statements struct {
	begin, commit                                           *sql.Stmt
	put, count, uncount, peek, heal                         *sql.Stmt
	due, claim, claimInTurn                                 *sql.Stmt
	renew, retry, release, finish, aside                    *sql.Stmt
	offer, secrets, stop, resume                            *sql.Stmt
	sweepEntries, sweepCounters, sweepReports, sweepSecrets *sql.Stmt
}

func prepare(ctx context.Context, conn *sql.Conn) (*statements, error) {
	st := &statements{}
	if err := prepareAll(ctx, conn, []statement{
		{&st.begin, "BEGIN IMMEDIATE"},
		{&st.commit, "COMMIT"},
		{&st.put, sqlPut},
		{&st.count, sqlCount},
		{&st.uncount, sqlUncount},
		{&st.peek, sqlPeek},
		{&st.offer, sqlOffer},
		{&st.secrets, sqlSecrets},
		{&st.stop, sqlStop},
		{&st.resume, sqlResume},
		{&st.due, sqlDue},
		{&st.claim, sqlClaim},
		{&st.claimInTurn, sqlClaimInTurn},
		{&st.heal, sqlHeal},
		{&st.renew, sqlRenew},
		{&st.retry, sqlRetry},
		{&st.release, sqlRelease},
		{&st.finish, sqlFinish},
		{&st.aside, sqlAside},
		{&st.sweepEntries, sqlSweepEntries},
		{&st.sweepCounters, sqlSweepCounters},
		{&st.sweepReports, sqlSweepReports},
		{&st.sweepSecrets, sqlSweepSecrets},
	}); err != nil {
		return nil, errors.Join(err, st.close())
	}
	return st, nil
}

// statement is one to be prepared, and where.
type statement struct {
	at    **sql.Stmt
	query string
}

func prepareAll(ctx context.Context, on interface {
	PrepareContext(context.Context, string) (*sql.Stmt, error)
}, all []statement) error {
	for _, p := range all {
		stmt, err := on.PrepareContext(ctx, p.query)
		if err != nil {
			return fmt.Errorf("store: prepare: %w", err)
		}
		*p.at = stmt
	}
	return nil
}

// readStatements are the prepared statements that read on a connection of its own, which the writer does not hold up.
type readStatements struct{ peek, seen, stopped, undelivered *sql.Stmt }

func (r *readStatements) prepare(ctx context.Context, db *sql.DB) error {
	return prepareAll(ctx, db, []statement{{&r.peek, sqlPeek}, {&r.seen, sqlSeen}, {&r.stopped, sqlStopped}, {&r.undelivered, sqlUndelivered}})
}

func (r *readStatements) close() error { return closeAll(r.peek, r.seen, r.stopped, r.undelivered) }

func (st *statements) close() error {
	return closeAll(st.begin, st.commit, st.put, st.count, st.uncount, st.peek, st.due, st.claim, st.claimInTurn, st.heal, st.renew, st.retry, st.release, st.finish, st.aside,
		st.offer, st.secrets, st.stop, st.resume, st.sweepEntries, st.sweepCounters, st.sweepReports, st.sweepSecrets)
}

func closeAll(all ...*sql.Stmt) error {
	var errs []error
	for _, s := range all {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}
