-- SQLite and PostgreSQL both take this file. Times are nanoseconds since 1970, UTC.

-- +goose Up
CREATE TABLE entries (
	id         TEXT PRIMARY KEY,
	sender     TEXT NOT NULL,
	recipient  TEXT NOT NULL,
	message_id TEXT NOT NULL,
	smtputf8   BIGINT NOT NULL,
	eightbit   BIGINT NOT NULL,
	digest     BYTEA NOT NULL,
	created    BIGINT NOT NULL,
	expires    BIGINT NOT NULL,
	state      TEXT NOT NULL,
	node       TEXT NOT NULL,
	due        BIGINT NOT NULL, -- leased: the lease's end; waiting: the next try; else: forget it then
	tries      BIGINT NOT NULL,
	-- The last try's outcome; a finished entry keeps it.
	reason     TEXT NOT NULL,
	answer     TEXT NOT NULL,
	tls        TEXT NOT NULL,
	host       TEXT NOT NULL,
	hurried    BIGINT NOT NULL, -- 1: the operator wants a try now
	aside      BIGINT NOT NULL, -- 1: failed because it could not be read
	body       BYTEA NOT NULL -- packed; last: the columns in front are read without it
);
CREATE INDEX entries_due ON entries (state, due, created);
CREATE INDEX entries_aside ON entries (id) WHERE aside = 1;
CREATE INDEX entries_digest ON entries (digest, created);

CREATE TABLE counters (
	bucket  TEXT PRIMARY KEY,
	n       BIGINT NOT NULL,
	expires BIGINT NOT NULL
);
CREATE INDEX counters_expires ON counters (expires);

CREATE TABLE reports (
	id      TEXT PRIMARY KEY,
	created BIGINT NOT NULL,
	expires BIGINT NOT NULL,
	json    BYTEA NOT NULL
);
CREATE INDEX reports_expires ON reports (expires);

CREATE TABLE secrets (
	name    TEXT PRIMARY KEY,
	secret  BYTEA NOT NULL,
	expires BIGINT NOT NULL
);

CREATE TABLE stops (
	address TEXT PRIMARY KEY, -- SHA-256 of it, in hexadecimal: who wants no mail need not be known here
	created BIGINT NOT NULL
);

-- +goose Down
DROP TABLE stops;
DROP TABLE secrets;
DROP TABLE reports;
DROP TABLE counters;
DROP TABLE entries;
