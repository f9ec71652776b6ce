"""`history`: how long history queries take for one dense series among many others, over hours to a year."""

import time
import urllib.request

import psutil
import psycopg
from support.conditions import wait_until

from bench.options import Options
from bench.pipeline import Pipeline
from bench.plot import Axis
from bench.scenario import START_SECONDS, Bench, Plot, Scenario
from bench.table import Column

DAY = 86_400
ROWS_PER_SECOND = 60_000
QUESTION_SECONDS = 0.1
HOURS = {"1h": 1, "1d": 24, "7d": 168, "10d": 240, "30d": 720, "90d": 2160, "365d": 8760}
JOURNAL = "INSERT INTO journals (created) VALUES ('2000-01-01') RETURNING number"
ROWS = """
COPY (
    SELECT to_timestamp(at), module, sensor, '', 20 + 5 * sin(at / 14400.0) + random(),
           (%s::bigint << 48) + row_number() OVER (ORDER BY at)
    FROM (
        SELECT at, 'dense' AS module, 'temperature' AS sensor FROM generate_series(%s, %s, %s) AS at
        UNION ALL
        SELECT at + n %% %s, 'module-' || n / 10, 'sensor-' || n %% 10
        FROM generate_series(%s, %s, %s) AS at, generate_series(0, %s) AS n
    ) AS made ORDER BY at
) TO STDOUT (FORMAT binary)
"""


def fill(bench: Bench, pipeline: Pipeline, now: int) -> int:
    """Copy the days in, one after another, in the order of time, as they would have come. Return the number of rows."""
    chosen, total = bench.options, 0
    with (
        psycopg.connect(pipeline.database_url, autocommit=True) as source,
        psycopg.connect(pipeline.database_url, autocommit=True) as target,
    ):
        ((number,),) = target.execute(JOURNAL).fetchall()
        for day in range(chosen.days, 0, -1):
            start = now - day * DAY
            end = start + DAY - 1
            query = psycopg.ClientCursor(source).mogrify(
                ROWS,
                (
                    *(number, start, end, chosen.every, chosen.others_every),
                    *(start, end, chosen.others_every, chosen.others - 1),
                ),
            )
            with source.cursor().copy(query) as out, target.cursor() as cursor:
                with cursor.copy("COPY measurements FROM STDIN (FORMAT binary)") as into:
                    for data in out:
                        into.write(data)
                total += cursor.rowcount
            if day % 10 == 0:
                bench.say(f"{total:,} rows")
        target.execute("VACUUM ANALYZE measurements")
    return total


def run(bench: Bench) -> list[dict]:
    with bench.pipeline(broker="nats", MAINTENANCE_INTERVAL="1s", RETENTION="400d") as pipeline:
        now = int(time.time())
        bench.say("stopping the writer while rows are copied in")
        pipeline.terminate("writer")
        rows = fill(bench, pipeline, now)
        bench.say(f"{rows:,} rows; aggregating them")
        began = time.monotonic()
        pipeline.launch("writer")
        wait_until(lambda: aggregated(pipeline), "every hour aggregated", 600)
        bench.summary |= {"rows": rows, "seconds to aggregate all hours": time.monotonic() - began}
        service = psutil.Process(pipeline.pid("history"))
        bench.summary["history MB before"] = service.memory_info().rss / 1e6
        found = [asked(bench, pipeline, each) for each in bench.options.ranges]
        bench.summary["history MB after"] = service.memory_info().rss / 1e6
        return found


def aggregated(pipeline: Pipeline) -> bool:
    return pipeline.query("SELECT horizon > now() - interval '2 hours' FROM rollup") == [(True,)]


def asked(bench: Bench, pipeline: Pipeline, span: str) -> dict:
    """Ask for one range again and again, over HTTP."""
    server = pipeline.ws_url.replace("ws:", "http:").removesuffix("/ws")
    url = f"{server}/api/history?module=dense&points={bench.options.points}&from="
    times = []
    for _ in range(bench.options.questions):
        began = time.monotonic()
        with urllib.request.urlopen(f"{url}{span}") as told:
            body = told.read()
        times.append(1000 * (time.monotonic() - began))
    times, first = sorted(times), times[0]
    return {
        "range": span,
        "hours": HOURS.get(span),
        "bytes": len(body),
        "width_s": int(body.split(b'"width":')[1].split(b",")[0]),
        "ms": {"first": first, "p50": times[len(times) // 2], "max": times[-1]},
    }


def seconds(options: Options) -> float:
    rows = options.days * DAY * (1 / options.every + options.others / options.others_every)
    return START_SECONDS + 1.5 * rows / ROWS_PER_SECOND + len(options.ranges) * options.questions * QUESTION_SECONDS


SCENARIO = Scenario(
    about="queries for a series with a sample per EVERY s, beside OTHERS with one per OTHERS_EVERY s",
    defaults={
        "DAYS": 90,
        "EVERY": 10,
        "OTHERS": 1000,
        "OTHERS_EVERY": 1800,
        "POINTS": 500,
        "RANGES": tuple(HOURS),
        "QUESTIONS": 20,
    },
    brief={"DAYS": 4, "QUESTIONS": 5},
    seconds=seconds,
    run=run,
    columns=(
        Column("range", "range"),
        Column("bucket s", "width_s"),
        Column("bytes", "bytes"),
        Column("first ms", "ms.first", 1),
        Column("p50 ms", "ms.p50", 1),
        Column("max ms", "ms.max", 1),
    ),
    plot=Plot("hours", Axis("range, hours", log=True), Axis("milliseconds"), {"p50": "ms.p50", "max": "ms.max"}),
)
