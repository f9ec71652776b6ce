"""The questions in SQL. Pure.

`SETTLED` is what restricts every reading of `measurements` to messages up to a position: rows of the journal in
question (its number is in the upper bits of their position) behind that position are left out, rows of other journals
and rows without a position are not.
"""

from typing import Final

LIMITS: Final = "SELECT set_config('statement_timeout', %s, true)"

JOURNAL: Final = "SELECT number FROM journals WHERE created = %s"

REACH: Final = """
SELECT upper(part) - 1
FROM (
    SELECT unnest(range_agg(sequences)) AS part FROM ledger WHERE journal = %(journal)s AND upper(sequences) > %(next)s
) AS parts WHERE part @> %(next)s::bigint
"""
"""How far every sequence from `next` on is in the ledger. Writers commit out of order, so there may be holes behind."""

ROLLUP: Final = "SELECT position, horizon, kept_from FROM rollup"

SETTLED: Final = "(position IS NULL OR position <= %(settled)s OR position > %(last)s)"

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
"""Each series by one step in the index, however many samples it has."""

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

EXTENT: Final = f"""
SELECT min(time), max(time), count(value) FROM measurements WHERE {_OF_SERIES} AND {SETTLED}
"""  # noqa: S608  (as above)

STATES: Final = {
    "system": "SELECT to_jsonb(t) FROM device_system_status AS t WHERE module_id = %(module)s",
    "hardware": "SELECT to_jsonb(t) FROM device_hardware AS t WHERE module_id = %(module)s",
    "presence": "SELECT to_jsonb(t) FROM device_presence AS t WHERE module_id = %(module)s",
    "sensorStatus": "SELECT to_jsonb(t) FROM sensor_status AS t WHERE module_id = %(module)s ORDER BY sensor_type",
    "sensorConfig": "SELECT to_jsonb(t) FROM sensor_config AS t WHERE module_id = %(module)s ORDER BY sensor_type",
}

LOGS: Final = """
SELECT time, level, message FROM device_logs
WHERE module_id = %(module)s AND time >= %(start)s AND time < %(end)s
    AND (%(level)s::text IS NULL OR lower(level) = lower(%(level)s::text))
    AND (%(text)s::text IS NULL OR strpos(lower(message), lower(%(text)s::text)) > 0)
ORDER BY time DESC, position DESC LIMIT %(most)s
"""
