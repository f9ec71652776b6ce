-- What devices log, one row a line; the position makes a redelivered line the same row.
CREATE TABLE device_logs (
    module_id text NOT NULL,
    position bigint[] NOT NULL,
    time timestamptz NOT NULL,
    level text,
    message text NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (module_id, position)
);
CREATE INDEX device_logs_time ON device_logs (module_id, time);
CREATE INDEX device_logs_updated_at ON device_logs USING brin (updated_at);
