-- The database of several nodes. Run it once, as its superuser:
--
--   sudo -u postgres psql -f setup.sql
--   sudo -u postgres psql -c '\password check_auth'
--
-- and let the nodes in (pg_hba.conf; with server certificates, for replies have addresses in them):
--
--   hostssl  check_auth  check_auth  192.0.2.0/24  scram-sha-256
--
-- The nodes make and change their tables themselves, at their start.
--
-- Backup, every night; the file has strangers' addresses in it:
--
--   pg_dump --format=custom --file=check_auth.dump check_auth
--
-- Back from it: createdb as below, then pg_restore --dbname=check_auth check_auth.dump with all nodes stopped. What was
-- on its way at the time of the backup is sent again; check-auth queue drop takes out what must not be.
--
-- Where a standby takes the primary's place at a failure, commits have to reach it before they are answered
-- (synchronous_standby_names), or replies that a 250 has promised are lost with the primary.
CREATE ROLE check_auth LOGIN;
CREATE DATABASE check_auth OWNER check_auth ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0;
REVOKE ALL ON DATABASE check_auth FROM PUBLIC;
\connect check_auth
REVOKE ALL ON SCHEMA public FROM PUBLIC;
CREATE SCHEMA check_auth AUTHORIZATION check_auth;
