-- SQLite and PostgreSQL both take this file. Times are nanoseconds since 1970, UTC.

-- +goose Up
CREATE TABLE entries (
	id         TEXT PRIMARY KEY,
	sender     TEXT NOT NULL,
	recipient  TEXT NOT NULL,
	message_id TEXT NOT NULL,
	body       BYTEA NOT NULL, -- zstd
	smtputf8   BIGINT NOT NULL,
	eightbit   BIGINT NOT NULL,
	digest     BYTEA NOT NULL,
	created    BIGINT NOT NULL,
	expires    BIGINT NOT NULL,
	state      TEXT NOT NULL,
	node       TEXT NOT NULL,
	due        BIGINT NOT NULL, -- leased: the lease's end; waiting: the next try; else: forget it then
	tries      BIGINT NOT NULL,
	reason     TEXT NOT NULL
);
CREATE INDEX entries_due ON entries (state, due);
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

-- +goose Down
DROP TABLE reports;
DROP TABLE counters;
DROP TABLE entries;
