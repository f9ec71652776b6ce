-- With TimescaleDB: chunks of a day, compressed after seven, dropped after seve.retention, aggregated by the hour.
-- Every statement may run at every setup. seve.retention is an interval, or empty to keep everything.
DROP INDEX IF EXISTS measurements_time, measurements_position;

SELECT create_hypertable('measurements', by_range('time', INTERVAL '1 day'),
                         create_default_indexes => false, if_not_exists => true, migrate_data => true);

DO $$
BEGIN
    IF NOT (SELECT compression_enabled FROM timescaledb_information.hypertables
            WHERE hypertable_schema = current_schema AND hypertable_name = 'measurements') THEN
        ALTER TABLE measurements SET (
            timescaledb.compress,
            timescaledb.compress_segmentby = 'module_id, sensor_type, hardware_id',
            timescaledb.compress_orderby = 'time'
        );
    END IF;
END $$;
SELECT add_compression_policy('measurements', INTERVAL '7 days', if_not_exists => true);

SELECT remove_retention_policy('measurements', if_exists => true);
SELECT add_retention_policy('measurements', current_setting('seve.retention')::interval)
WHERE current_setting('seve.retention') <> '';

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM timescaledb_information.continuous_aggregates
                   WHERE view_schema = current_schema AND view_name = 'measurements_hourly') THEN
        IF EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('measurements_hourly') AND relkind = 'r') THEN
            DROP TABLE measurements_hourly; -- of the plain layout
            UPDATE rollup SET position = 0, horizon = NULL;
        END IF;
        DROP VIEW IF EXISTS measurements_hourly;
        CREATE MATERIALIZED VIEW measurements_hourly
        WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
        SELECT module_id, sensor_type, hardware_id, time_bucket(INTERVAL '1 hour', time) AS hour,
               avg(value) AS average, min(value) AS minimum, max(value) AS maximum, count(value) AS samples
        FROM measurements
        GROUP BY 1, 2, 3, 4
        WITH NO DATA;
    END IF;
END $$;

-- The policy refreshes hours whose samples changed, however old, up to the retention: beyond it, hours whose samples
-- were dropped would be aggregated again from nothing. A policy needs at least two hours between its offsets.
SELECT remove_continuous_aggregate_policy('measurements_hourly', if_exists => true);
SELECT add_continuous_aggregate_policy('measurements_hourly',
    start_offset => CASE WHEN current_setting('seve.retention') <> ''
                    THEN greatest(current_setting('seve.retention')::interval, INTERVAL '3 hours') END,
    end_offset => INTERVAL '1 hour', schedule_interval => INTERVAL '30 minutes');
