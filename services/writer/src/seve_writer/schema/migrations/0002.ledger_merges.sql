-- Merges the ledger's rows of one journal and one past hour into one, and returns how many there were; 0: nothing to do.
-- It runs with the rights of the tables' owner: a writer may call it and add rows, and neither changes nor deletes one.
-- The sums and the sequences stay what they were. The search path is fixed, so that no table of the caller's stands in.
DO $body$
BEGIN
    EXECUTE format($create$
        CREATE FUNCTION merge_ledger() RETURNS bigint
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
                    (journal, sequences, received, inserted, updated, replaced, dead, ignored, committed_at)
                SELECT journal, range_agg(sequences), sum(received), sum(inserted), sum(updated), sum(replaced), sum(dead),
                       sum(ignored), max(committed_at)
                FROM gone GROUP BY journal
            ) SELECT count(*) FROM gone
        $merge$
    $create$, current_schema);
END $body$;
REVOKE ALL ON FUNCTION merge_ledger() FROM PUBLIC;
