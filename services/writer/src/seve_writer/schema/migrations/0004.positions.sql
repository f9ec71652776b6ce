-- What history needs to answer with everything up to a position of the journal, and nothing behind it.

-- Where a sample came from: journals.number * 2^48 + sequence. Null for samples of earlier versions.
ALTER TABLE measurements ADD COLUMN position bigint;

CREATE TABLE journals (
    number smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created timestamptz NOT NULL UNIQUE
);

-- `earliest` is no later than the time of any sample of the transaction. The index finds the few transactions above a
-- sequence.
ALTER TABLE ledger ADD COLUMN earliest timestamptz;
CREATE INDEX ledger_reach ON ledger (journal, upper(sequences));

-- How far measurements_hourly goes, one row: it has every sample up to `position` of the hours before `horizon`. Of the
-- hours before `kept_from` measurements were deleted. Null: no hour yet.
CREATE TABLE rollup (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    position bigint NOT NULL DEFAULT 0,
    horizon timestamptz,
    kept_from timestamptz
);
INSERT INTO rollup DEFAULT VALUES;

-- As 0002 made it, and `earliest` too.
DO $body$
BEGIN
    EXECUTE format($create$
        CREATE OR REPLACE FUNCTION merge_ledger() RETURNS bigint
        LANGUAGE sql SECURITY DEFINER SET search_path = %I, pg_temp
        AS $merge$
            WITH slot AS (
                SELECT journal, date_trunc('hour', committed_at, 'UTC') AS hour
                FROM ledger WHERE committed_at < now() - interval '1 day'
                GROUP BY 1, 2 HAVING count(*) > 1 ORDER BY 2 LIMIT 1
            ), gone AS (
                DELETE FROM ledger USING slot
                WHERE ledger.journal = slot.journal AND committed_at >= hour AND committed_at < hour + interval '1 hour'
                RETURNING ledger.*
            ), merged AS (
                INSERT INTO ledger
                    (journal, sequences, received, inserted, updated, replaced, dead, ignored, committed_at, earliest)
                SELECT journal, range_agg(sequences), sum(received), sum(inserted), sum(updated), sum(replaced), sum(dead),
                       sum(ignored), max(committed_at), min(earliest)
                FROM gone GROUP BY journal
            ) SELECT count(*) FROM gone
        $merge$
    $create$, current_schema);
END $body$;
