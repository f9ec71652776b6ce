#!/bin/sh
# Runs once, on an empty data folder. The writer's role may read and change rows and nothing else; the tables belong to
# the owner, who runs the migrations.
set -eu
psql -q -v ON_ERROR_STOP=1 -v password="$(cat /run/secrets/postgres_writer)" -U postgres -d seve <<'SQL'
CREATE ROLE seve_writer LOGIN PASSWORD :'password';
GRANT CONNECT, TEMPORARY ON DATABASE seve TO seve_writer;
GRANT USAGE ON SCHEMA public TO seve_writer;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO seve_writer;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO seve_writer;
SQL
