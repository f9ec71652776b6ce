-- Never changed: a recorded migration is not run again, so that a new column is a new file, 0002.<what>.sql.
-- IF NOT EXISTS: earlier versions of `setup` committed these tables before they recorded that they had; one that was
-- killed in between left tables without a mark. Later migrations need no such care: they commit together with their mark.

CREATE TABLE IF NOT EXISTS measurements (
    time timestamptz NOT NULL,
    module_id text NOT NULL,
    sensor_type text NOT NULL,
    hardware_id text NOT NULL DEFAULT '',
    value double precision,
    PRIMARY KEY (module_id, sensor_type, hardware_id, time)
);

-- A position is [journal created, µs since 1970; sequence; place in the message]. Arrays compare element by element.
CREATE TABLE IF NOT EXISTS device_system_status (
    module_id text PRIMARY KEY,
    ip text,
    mac text,
    uptime_start bigint,
    rssi integer,
    flash_used_kb integer,
    flash_free_kb integer,
    flash_system_kb integer,
    heap_total_kb integer,
    heap_free_kb integer,
    heap_min_free_kb integer,
    status_position bigint[],
    config_position bigint[],
    updated_at timestamptz NOT NULL
);

CREATE TABLE IF NOT EXISTS device_hardware (
    module_id text PRIMARY KEY,
    chip_model text,
    chip_rev integer,
    cpu_freq_mhz integer,
    flash_kb integer,
    cores integer,
    position bigint[],
    updated_at timestamptz NOT NULL
);

CREATE TABLE IF NOT EXISTS sensor_status (
    module_id text NOT NULL,
    sensor_type text NOT NULL,
    status text,
    value double precision,
    position bigint[],
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (module_id, sensor_type)
);

CREATE TABLE IF NOT EXISTS sensor_config (
    module_id text NOT NULL,
    sensor_type text NOT NULL,
    interval_seconds integer,
    model text,
    enabled boolean,
    position bigint[],
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (module_id, sensor_type)
);

CREATE TABLE IF NOT EXISTS device_presence (
    module_id text PRIMARY KEY,
    status text,
    position bigint[],
    updated_at timestamptz NOT NULL
);

-- One row a transaction, committed with it. `sequences` are NATS messages, the counts are envelopes.
CREATE TABLE IF NOT EXISTS ledger (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    journal timestamptz NOT NULL,
    sequences int8multirange NOT NULL,
    received bigint NOT NULL,
    inserted bigint NOT NULL,
    updated bigint NOT NULL,
    replaced bigint NOT NULL,
    dead bigint NOT NULL,
    ignored bigint NOT NULL,
    committed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS ledger_committed_at ON ledger (committed_at);
