package store

import (
	"errors"
	"fmt"
	"strings"
)

// The operator's statements, which SQLite and PostgreSQL both take.
const (
	storedColumns = `id, sender, recipient, message_id, smtputf8, eightbit, digest, created, expires,
	state, node, due, tries, reason, answer, tls, host, aside`

	sqlShow = `SELECT ` + storedColumns + `, body FROM entries WHERE id = $1`

	// One that is leased is a node's own until its lease is over.
	sqlHurry = `UPDATE entries SET due = $2, hurried = 1 WHERE id = $1 AND (state = 'waiting' OR (state = 'leased' AND due <= $2))`
	sqlDrop  = `UPDATE entries SET state = 'failed', due = $3, reason = $4, sender = '', recipient = '', message_id = '', body = '',
		network = '', site = '', organisation = ''
	WHERE id = $1 AND (state = 'waiting' OR (state = 'leased' AND due <= $2))`
	sqlWhy = `SELECT state, node, due FROM entries WHERE id = $1`

	// Those that are due already are not touched, so that it comes to an end.
	sqlHurryAll = `UPDATE entries SET due = $1, hurried = 1
	WHERE id IN (SELECT id FROM entries WHERE state = 'waiting' AND due > $1 LIMIT $2) AND state = 'waiting'`

	// Of the migrations that were run.
	sqlVersion = `SELECT COALESCE(MAX(version_id), 0) FROM goose_db_version`

	sqlStats  = `SELECT state, COUNT(*), MIN(created) FROM entries GROUP BY state`
	sqlAsides = `SELECT COUNT(*) FROM entries WHERE aside = 1`
)

// listQuery is the statement for a filter.
func listQuery(f Filter, limit int) (query string, args []any) {
	arg := func(v any) string {
		args = append(args, v)
		return fmt.Sprintf("$%d", len(args))
	}
	where := "TRUE"
	if len(f.States) > 0 {
		var states []string
		for _, s := range f.States {
			states = append(states, arg(string(s)))
		}
		where += " AND state IN (" + strings.Join(states, ", ") + ")"
	}
	if f.Domain != "" {
		escaped := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(f.Domain))
		where += ` AND LOWER(recipient) LIKE ` + arg("%@"+escaped) + ` ESCAPE '\'`
	}
	return "SELECT " + storedColumns + " FROM entries WHERE " + where + " ORDER BY created, id LIMIT " + arg(limit), args
}

// number of a column. SQLite keeps any type in any column; a damaged row is to be seen too.
type column struct {
	n   int64
	bad error
}

// Scan implements sql.Scanner.
func (c *column) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		c.bad = fmt.Errorf("a column holds %T where a number belongs", v)
	}
	c.n = n
	return nil
}

// scanStored reads a row of storedColumns, with the packed body where that is asked for.
func scanStored(row interface{ Scan(...any) error }, withBody bool) (s Stored, body []byte, err error) {
	var utf8, eightBit, created, expires, due, tries, aside column
	to := []any{&s.ID, &s.From, &s.To, &s.MessageID, &utf8, &eightBit, &s.Digest, &created, &expires,
		&s.State, &s.Node, &due, &tries, &s.Reason, &s.Answer, &s.TLS, &s.Host, &aside}
	if withBody {
		to = append(to, &body)
	}
	if err := row.Scan(to...); err != nil {
		return s, nil, err
	}
	s.UTF8, s.EightBit, s.Aside = utf8.n != 0, eightBit.n != 0, aside.n != 0
	s.Created, s.Expires, s.Due, s.Tries = fromNano(created.n), fromNano(expires.n), fromNano(due.n), int(tries.n)
	s.Fault = errors.Join(utf8.bad, eightBit.bad, created.bad, expires.bad, due.bad, tries.bad, aside.bad)
	return s, body, nil
}
