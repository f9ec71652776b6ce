-- Grants the roles of deploy/docker/postgres/roles.sql, if they exist, their rights on each table. Runs at every setup.
-- seve_writer and seve_operator read and change rows, seve_history reads them. The audit trusts the ledger, so only the
-- owner may delete from it: seve_writer adds rows, with the database's time, and merges them into hours by calling a
-- function of the owner; seve_operator only reads it. Only the owner may change the record of applied migrations.
DO $$
DECLARE
    role text;
    relation record;
    granted text;
BEGIN
    FOREACH role IN ARRAY ARRAY['seve_writer', 'seve_operator', 'seve_history'] LOOP
        CONTINUE WHEN NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role);
        FOR relation IN SELECT c.relname FROM pg_class c
                        WHERE c.relnamespace = current_schema::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') LOOP
            granted := CASE
                WHEN role = 'seve_history' THEN 'SELECT'
                WHEN relation.relname IN ('schema_migrations', 'ledger') OR relation.relname LIKE '%yoyo%' THEN 'SELECT'
                ELSE 'SELECT, INSERT, UPDATE, DELETE'
            END;
            EXECUTE format('REVOKE ALL ON %I FROM %I', relation.relname, role);
            EXECUTE format('GRANT %s ON %I TO %I', granted, relation.relname, role);
        END LOOP;
        CONTINUE WHEN role = 'seve_history';
        EXECUTE format('GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA %I TO %I', current_schema, role);
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'seve_writer') THEN
        GRANT INSERT (journal, sequences, received, inserted, updated, replaced, dead, ignored, earliest) ON ledger
            TO seve_writer;
        GRANT EXECUTE ON FUNCTION merge_ledger() TO seve_writer;
    END IF;
END $$;
