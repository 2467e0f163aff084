-- SQLite and PostgreSQL both take this file.

-- +goose Up
ALTER TABLE entries ADD COLUMN network TEXT NOT NULL DEFAULT ''; -- whose test it answers: /24, or /64 of IPv6; it goes with the addresses
ALTER TABLE entries ADD COLUMN site TEXT NOT NULL DEFAULT ''; -- that takes turns with others: /24, or /48 of IPv6
ALTER TABLE entries ADD COLUMN organisation TEXT NOT NULL DEFAULT ''; -- of the recipient's domain
-- Most entries are never in it: they are leased when they are made, and done after their first try.
CREATE INDEX entries_turns ON entries (site, due, organisation, id) WHERE state = 'waiting';

-- +goose Down
DROP INDEX entries_turns;
ALTER TABLE entries DROP COLUMN organisation;
ALTER TABLE entries DROP COLUMN site;
ALTER TABLE entries DROP COLUMN network;
