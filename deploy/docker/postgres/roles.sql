-- The roles of the database. Runs at every start. The tables belong to the owner, who runs the migrations.
--   seve_writer    the writer
--   seve_operator  people and their commands
--   seve_history   the history service, which reads
-- `seve-writer setup` grants them their rights on each table. None is a superuser, who could run programs, and none may
-- connect to another database. psql reads the passwords from the environment, so that no list of processes shows them.
\set ON_ERROR_STOP on
\getenv writer SEVE_WRITER_PASSWORD
\getenv operator SEVE_OPERATOR_PASSWORD
\getenv history SEVE_HISTORY_PASSWORD

SELECT format('CREATE ROLE %I', name) FROM unnest(ARRAY['seve_writer', 'seve_operator', 'seve_history']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
ALTER ROLE seve_writer LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'writer';
ALTER ROLE seve_operator LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'operator';
ALTER ROLE seve_history LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'history';
ALTER ROLE seve_history SET default_transaction_read_only = on;
ALTER ROLE seve_history SET statement_timeout = '1min'; -- the service sets QUERY_TIMEOUT for each query

REVOKE CONNECT, TEMPORARY ON DATABASE seve, postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE seve TO seve_writer, seve_operator, seve_history;
GRANT USAGE ON SCHEMA public TO seve_writer, seve_operator, seve_history;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

-- Large objects belong to the role that creates them, and nothing deletes them: so no role may create one.
REVOKE EXECUTE ON FUNCTION pg_catalog.lo_creat(integer), pg_catalog.lo_create(oid), pg_catalog.lo_from_bytea(oid, bytea)
FROM PUBLIC;
