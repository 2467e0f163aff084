-- SQLite and PostgreSQL both take this file.

-- +goose Up
ALTER TABLE entries ADD COLUMN whom TEXT NOT NULL DEFAULT ''; -- SHA-256 of the recipient, as in stops; it stays when the address goes
ALTER TABLE entries ADD COLUMN kind TEXT NOT NULL DEFAULT ''; -- of the last try's failure, in a word of ours
-- Most entries are never in it: they are leased when they are made, and done after their first try.
CREATE INDEX entries_whom ON entries (whom, created) WHERE state IN ('waiting', 'failed');

-- +goose Down
DROP INDEX entries_whom;
ALTER TABLE entries DROP COLUMN kind;
ALTER TABLE entries DROP COLUMN whom;
