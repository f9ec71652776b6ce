-- Without TimescaleDB: a plain table, found by time and by position through small indexes, and the hourly aggregate.
CREATE INDEX IF NOT EXISTS measurements_time ON measurements USING brin (time)
    WITH (pages_per_range = 32, autosummarize = on);

CREATE INDEX IF NOT EXISTS measurements_position ON measurements USING brin (position)
    WITH (pages_per_range = 32, autosummarize = on);

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('measurements_hourly') AND relkind = 'v') THEN
        DROP VIEW measurements_hourly; -- of earlier versions
    END IF;
END $$;

-- Kept by a writer's maintenance: hours that are over. Its key is that of measurements, with the hour in the time's place.
CREATE TABLE IF NOT EXISTS measurements_hourly (
    module_id text NOT NULL,
    sensor_type text NOT NULL,
    hardware_id text NOT NULL,
    hour timestamptz NOT NULL,
    average double precision,
    minimum double precision,
    maximum double precision,
    samples bigint NOT NULL,
    PRIMARY KEY (module_id, sensor_type, hardware_id, hour)
);
