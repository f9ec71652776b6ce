"""The queries in SQL. Pure. `SETTLED` restricts rows of `measurements` to a position."""

from typing import Final

from seve_schema.settled import SETTLED

LIMITS: Final = "SELECT set_config('statement_timeout', %s, true), set_config('enable_seqscan', 'off', true)"
"""Every query has an index; outdated statistics must not make the planner choose another way."""

LAYOUT: Final = """
SELECT position, horizon, kept_from, relkind = 'r', date_trunc('hour', now() - interval '3 hours', 'UTC')
FROM rollup, pg_class WHERE pg_class.oid = to_regclass('measurements_hourly')
"""
"""Without TimescaleDB, the hourly aggregate is a table (relkind r), and `rollup` says how far it goes."""

RECENT: Final = """
SELECT date_trunc('hour', min(earliest), 'UTC') FROM ledger WHERE committed_at > now() - interval '2 hours'
"""
"""With TimescaleDB: the earliest hour that got samples in the last two hours. The hourly aggregate may lack those,
since a policy refreshes it every 30 minutes.
"""

OLDEST_CHUNK: Final = """
SELECT min(range_start) FROM timescaledb_information.chunks
WHERE hypertable_schema = current_schema AND hypertable_name = 'measurements'
"""
"""With TimescaleDB: the time from which samples are kept. The hourly aggregate may have earlier hours, whose samples
were dropped.
"""

_OF_SERIES: Final = "module_id = %(module)s AND sensor_type = %(sensor)s AND hardware_id = %(hardware)s"

SERIES: Final = """
WITH RECURSIVE one AS (
    (SELECT sensor_type, hardware_id FROM measurements WHERE module_id = %(module)s
     ORDER BY sensor_type, hardware_id LIMIT 1)
    UNION ALL
    SELECT following.* FROM one, LATERAL (
        SELECT sensor_type, hardware_id FROM measurements
        WHERE module_id = %(module)s AND (sensor_type, hardware_id) > (one.sensor_type, one.hardware_id)
        ORDER BY sensor_type, hardware_id LIMIT 1
    ) AS following
)
SELECT sensor_type, hardware_id FROM one LIMIT %(most)s
"""
"""Finds each series with one index lookup, however many samples it has."""

RAW: Final = f"""
SELECT floor(extract(epoch FROM time) * 1000)::bigint, value FROM measurements
WHERE {_OF_SERIES} AND time >= %(start)s AND time < %(end)s AND {SETTLED}
ORDER BY time LIMIT %(most)s
"""  # noqa: S608  (constants of this file)

BUCKETS: Final = f"""
SELECT (extract(epoch FROM bucket) * 1000)::bigint, min, max, avg, count FROM (
    SELECT date_bin(%(width)s, time, %(origin)s) AS bucket, min(value), max(value), avg(value), count(value)
    FROM measurements
    WHERE {_OF_SERIES} AND time >= %(start)s AND time < %(end)s AND {SETTLED}
    GROUP BY 1
) AS made WHERE count > 0 ORDER BY 1
"""  # noqa: S608  (as above)

LATE: Final = f"""
WITH late AS MATERIALIZED (
    SELECT module_id, sensor_type, hardware_id, time FROM measurements
    WHERE position > %(rolled)s AND time < %(horizon)s AND time >= coalesce(%(kept_from)s, '-infinity'::timestamptz)
)
SELECT DISTINCT date_trunc('hour', time, 'UTC') FROM late WHERE {_OF_SERIES}
"""  # noqa: S608  (as above)
"""The hours of a series that have samples the hourly aggregate lacks."""

_HOURS: Final = f"{_OF_SERIES} AND hour < %(horizon)s AND hour <> ALL (%(late)s::timestamptz[])"
_UNAGGREGATED: Final = f"""
    SELECT time, value FROM measurements
    WHERE {_OF_SERIES} AND time >= greatest(%(horizon)s, %(start)s) AND time < %(end)s AND {SETTLED}
    UNION ALL
    SELECT time, value FROM unnest(%(late)s::timestamptz[]) AS hour, LATERAL (
        SELECT time, value FROM measurements
        WHERE {_OF_SERIES} AND time >= hour AND time < hour + interval '1 hour' AND {SETTLED}
    ) AS found WHERE hour >= %(start)s AND hour < %(end)s
"""  # noqa: S608  (as above)

HOURLY: Final = f"""
SELECT (extract(epoch FROM bucket) * 1000)::bigint, min, max, total / count, count FROM (
    SELECT bucket, min(minimum), max(maximum), sum(total) AS total, sum(samples)::bigint AS count FROM (
        SELECT date_bin(%(width)s, hour, %(origin)s) AS bucket, minimum, maximum, average * samples AS total, samples
        FROM measurements_hourly WHERE {_HOURS} AND hour >= %(start)s AND hour < %(end)s
        UNION ALL
        SELECT date_bin(%(width)s, time, %(origin)s), value, value, value, (value IS NOT NULL)::int
        FROM ({_UNAGGREGATED}) AS samples
    ) AS parts GROUP BY bucket
) AS made WHERE count > 0 ORDER BY 1
"""  # noqa: S608  (as above)
"""Buckets of whole hours: complete hours from the hourly aggregate, others from the samples."""

ONLY_HOURLY: Final = f"""
SELECT EXISTS (
    SELECT FROM measurements_hourly WHERE {_OF_SERIES} AND hour >= %(start)s AND hour < least(%(end)s, %(kept_from)s)
)
"""  # noqa: S608  (as above)
"""Whether samples of a part of the range were deleted, while their aggregate remains."""

FIRST: Final = f"SELECT min(time) FROM measurements WHERE {_OF_SERIES} AND {SETTLED}"  # noqa: S608  (as above)
LAST: Final = f"SELECT max(time) FROM measurements WHERE {_OF_SERIES} AND {SETTLED}"  # noqa: S608  (as above)
COUNT: Final = f"SELECT count(value) FROM measurements WHERE {_OF_SERIES} AND {SETTLED}"  # noqa: S608  (as above)
FIRST_HOUR: Final = f"SELECT min(hour) FROM measurements_hourly WHERE {_OF_SERIES} AND hour < %(kept_from)s"  # noqa: S608  (as above)
COUNT_HOURLY: Final = f"""
SELECT (SELECT coalesce(sum(samples), 0) FROM measurements_hourly WHERE {_HOURS})::bigint
     + (SELECT count(value) FROM ({_UNAGGREGATED}) AS samples)
"""  # noqa: S608  (as above)

STATES: Final = {
    "system": "SELECT to_jsonb(t) FROM device_system_status AS t WHERE module_id = %(module)s",
    "hardware": "SELECT to_jsonb(t) FROM device_hardware AS t WHERE module_id = %(module)s",
    "presence": "SELECT to_jsonb(t) FROM device_presence AS t WHERE module_id = %(module)s",
    "sensorStatus": """
        SELECT to_jsonb(t) FROM sensor_status AS t WHERE module_id = %(module)s ORDER BY sensor_type LIMIT %(most)s
    """,
    "sensorConfig": """
        SELECT to_jsonb(t) FROM sensor_config AS t WHERE module_id = %(module)s ORDER BY sensor_type LIMIT %(most)s
    """,
}

LOGS: Final = """
SELECT time, level, message, lines FROM (
    SELECT time, position, level, message, count(*) OVER () AS lines,
        sum(coalesce(octet_length(message), 0) + coalesce(octet_length(level), 0))
            OVER (ORDER BY time DESC, position DESC ROWS UNBOUNDED PRECEDING) AS bytes
    FROM (
        SELECT time, position, level, message FROM device_logs
        WHERE module_id = %(module)s AND time >= %(start)s AND time < %(end)s
            AND (%(level)s::text IS NULL OR lower(level) = lower(%(level)s::text))
            AND (%(text)s::text IS NULL OR strpos(lower(message), lower(%(text)s::text)) > 0)
        ORDER BY time DESC, position DESC LIMIT %(most)s
    ) AS newest
) AS measured WHERE bytes <= %(bytes)s ORDER BY time DESC, position DESC
"""
"""`lines` is the number of matching lines, at most `most`. Lines beyond `bytes` are not returned."""
