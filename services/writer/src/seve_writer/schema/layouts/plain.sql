-- Without TimescaleDB: a plain table, found by time through a small index, and the hourly aggregate as a view.
CREATE INDEX IF NOT EXISTS measurements_time ON measurements USING brin (time)
    WITH (pages_per_range = 32, autosummarize = on);

CREATE OR REPLACE VIEW measurements_hourly AS
SELECT module_id, sensor_type, hardware_id, date_trunc('hour', time, 'UTC') AS hour,
       avg(value) AS average, min(value) AS minimum, max(value) AS maximum, count(value) AS samples
FROM measurements
GROUP BY 1, 2, 3, 4;
