"""The service on real NATS and PostgreSQL: its answers and refusals, also while the database is down."""

import asyncio
import os
import subprocess
import sys
from itertools import count

import pytest
from seve_writer.schema.migrate import migrate

from .conftest import BASE, HOUR, SECOND, Refusal, answers, running


async def fill(asker, number, *, every=10 * SECOND, sensor="co2", value=float):
    """Store samples of a series, all of them acknowledged."""
    asker.commit(await asker.journal(), [(n + 1, sensor, n * every, value(n)) for n in range(number)])


async def test_samples_that_fit_are_answered_unchanged(service):
    """With null where the device had no number, hardware null where there is none, and the range as asked."""
    await fill(service, 3, value=lambda n: None if n == 1 else n)
    answer, position = await service.series()
    assert answer == {
        "module": "croissance",
        "from": "2025-11-30T19:00:00.000000Z",
        "to": "2025-11-30T20:00:00.000000Z",
        "series": [
            {
                "sensor": "co2",
                "hardware": None,
                "width": 0,
                "points": [[BASE // 1000, 0], [BASE // 1000 + 10_000, None], [BASE // 1000 + 20_000, 2]],
            }
        ],
        "token": f"{position}-ffff",
    }
    assert position == (await service.journal(), 3)


async def test_samples_that_do_not_fit_are_answered_in_buckets_that_keep_the_peaks(service):
    """Minimum, maximum, average, count; the range is covered by whole buckets."""
    await fill(service, 360, value=lambda n: 1000 if n == 100 else n)
    answer, _ = await service.series(points=4)
    (series,) = answer["series"]
    assert series["width"] == 900
    begins = [BASE // 1000 + n * 900_000 for n in range(4)]
    assert series["points"] == [
        [begins[0], 0, 89, 44.5, 90],
        [begins[1], 90, 1000, pytest.approx((sum(range(90, 180)) + 900) / 90), 90],
        [begins[2], 180, 269, 224.5, 90],
        [begins[3], 270, 359, 314.5, 90],
    ]


async def test_stretches_without_samples_have_no_buckets(service):
    journal = await service.journal()
    service.commit(journal, [(n, "co2", n * SECOND, 1) for n in range(1, 10)])
    service.commit(journal, [(n, "co2", HOUR // 2 + n * SECOND, 2) for n in range(10, 20)])
    answer, _ = await service.series(points=6)
    assert [point[1:] for point in answer["series"][0]["points"]] == [[1, 1, 1, 9], [2, 2, 2, 10]]


async def test_a_sensor_and_a_hardware_restrict_the_series(service):
    journal, numbers = await service.journal(), count(1)
    for sensor in ("co2", "humidity", "temperature"):
        service.commit(journal, [(next(numbers), sensor, 0, 1)])
    service.query("UPDATE measurements SET hardware_id = 'dht22' WHERE sensor_type <> 'co2'")

    async def named(**more):
        answer, _ = await service.series(**more)
        return [(series["sensor"], series["hardware"]) for series in answer["series"]]

    everything = [("co2", None), ("humidity", "dht22"), ("temperature", "dht22")]
    assert await named() == everything
    assert await named(sensor="humidity") == everything[1:2]
    assert await named(hardware="dht22") == everything[1:]
    assert await named(hardware="") == everything[:1]
    assert await named(module="nobody") == []


async def test_points_are_shared_by_the_series_of_an_answer(nats_server, laid_out, asker):
    journal = await asker.journal()
    for sensor in range(5):
        asker.commit(journal, [(n, f"s{sensor}", n * SECOND, n) for n in range(1, 50)])
    async with running(nats_server.url, laid_out, QUERY_MAX_POINTS="50"):
        await answers(asker, points=50)
        answer, _ = await asker.series(points=50, end=BASE + 60 * SECOND)
        assert [series["width"] for series in answer["series"]] == [10] * 5
        asker.query("INSERT INTO measurements SELECT now(), 'croissance', 'x' || i, '' FROM generate_series(1, 50) i")
        with pytest.raises(Refusal) as refused:
            await asker.series(points=50)
        assert (refused.value.status, "name a sensor" in refused.value.reason) == (400, True)


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ({"points": 50_001}, "`points` is not between 1 and 50000 (QUERY_MAX_POINTS)"),
        ({"points": 0}, "`points` is not between 1 and 50000 (QUERY_MAX_POINTS)"),
        ({"end": BASE}, "`from` is not before `to`"),
        ({"end": BASE + 3661 * 24 * HOUR}, "from `from` to `to` is more than 3660d (QUERY_MAX_RANGE)"),
        ({"module": 5}, "not a history query: Expected `str`, got `int` - at `$.module`"),
    ],
)
async def test_queries_beyond_the_bounds_are_refused(service, question, reason):
    with pytest.raises(Refusal) as refused:
        await service.series(**question)
    assert (refused.value.status, refused.value.reason) == (400, reason)


async def test_the_answer_about_a_module_has_its_states_and_series(service):
    await fill(service, 3, value=lambda n: None if n == 1 else n)
    service.query(
        "INSERT INTO device_system_status (module_id, ip, rssi, updated_at)"
        " VALUES ('croissance', '10.0.0.7', -40, '2025-11-30T21:00:00Z')"
    )
    service.query("INSERT INTO device_presence VALUES ('croissance', 'online', NULL, '2025-11-30T18:00:00Z')")
    service.query(
        "INSERT INTO sensor_config (module_id, sensor_type, interval_seconds, updated_at)"
        " VALUES ('croissance', 'co2', 10, '2025-11-30T19:30:00Z')"
    )
    answer, position = await service.module()
    assert answer["token"] == f"{position}-ffff"
    assert (answer["firstSeen"], answer["lastSeen"]) == ("2025-11-30T18:00:00.000000Z", "2025-11-30T21:00:00.000000Z")
    assert answer["presence"] == {"status": "online", "updatedAt": "2025-11-30T18:00:00.000000Z"}
    assert (answer["system"]["ip"], answer["system"]["rssi"], answer["system"]["heapFreeKb"]) == ("10.0.0.7", -40, None)
    assert answer["hardware"] is None
    assert answer["sensors"]["co2"]["config"]["intervalSeconds"] == 10
    assert answer["series"] == [
        {
            "sensor": "co2",
            "hardware": None,
            "first": "2025-11-30T19:00:00.000000Z",
            "last": "2025-11-30T19:00:20.000000Z",
            "count": 2,
        }
    ]


async def test_lines_of_a_log_are_found_by_level_text_and_time(service):
    """The newest first; another module's are not among them."""
    for second, module, level, text in (
        (1, "croissance", "info", "started"),
        (2, "croissance", "warn", "sensor is Slow"),
        (3, "veille", "warn", "slow"),
        (4, "croissance", "warn", "100 % slow_"),
        (5, "croissance", None, "{}"),
    ):
        service.query(
            "INSERT INTO device_logs (module_id, position, time, level, message, updated_at)"
            " VALUES (%s, ARRAY[1, %s, 0]::bigint[], to_timestamp(%s), %s, %s, now())",
            *(module, second, BASE // SECOND + second, level, text),
        )

    async def found(**question):
        answer = await service.logs(**question)
        return [line["message"] for line in answer["lines"]], answer["more"]

    assert await found() == (["{}", "100 % slow_", "sensor is Slow", "started"], False)
    assert await found(most=1) == (["{}"], True)
    assert await found(level="WARN", text="SLOW") == (["100 % slow_", "sensor is Slow"], False)
    assert await found(text="% slow_") == (["100 % slow_"], False)
    assert await found(start=BASE + 2 * SECOND, end=BASE + 4 * SECOND) == (["sensor is Slow"], False)
    first = (await service.logs(text="started"))["lines"]
    assert first == [{"time": "2025-11-30T19:00:01.000000Z", "level": "info", "message": "started"}]
    with pytest.raises(Refusal, match="`lines` is not between 1 and 1000"):
        await service.logs(most=1001)


async def test_a_module_of_which_nothing_is_known_is_404(service):
    with pytest.raises(Refusal) as refused:
        await service.module("nobody")
    assert refused.value.status == 404


async def test_queries_are_refused_while_the_database_is_down(nats_server, asker, postgres_server):
    """The service keeps running, and answers again as soon as the database is back."""
    migrate(postgres_server.url)
    async with running(nats_server.url, postgres_server.url):
        await answers(asker)
        postgres_server.kill()
        with pytest.raises(Refusal) as refused:
            await asker.series()
        assert (refused.value.status, refused.value.reason) == (503, "the database cannot be read")
        postgres_server.start()
        await answers(asker)


async def test_queries_are_refused_on_a_schema_of_an_earlier_version(nats_server, asker, laid_out):
    asker.query("DELETE FROM schema_migrations WHERE migration_id > '0003'")
    async with running(nats_server.url, laid_out):
        with pytest.raises(Refusal) as refused:
            await answers(asker)
        assert (refused.value.status, refused.value.reason) == (503, "the database cannot be read")


async def test_a_query_that_takes_too_long_is_cancelled(nats_server, laid_out, asker):
    """The database cancels the query, and the connection is used again."""
    await fill(asker, 3)
    async with running(nats_server.url, laid_out, QUERY_TIMEOUT="500ms", QUERY_CONNECTIONS="1"):
        await answers(asker)
        with asker.connection.transaction():
            asker.query("LOCK TABLE measurements IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(Refusal) as refused:
                await asker.series()
        assert (refused.value.status, "QUERY_TIMEOUT" in refused.value.reason) == (503, True)
        await answers(asker)


async def test_waiting_queries_are_bounded(nats_server, laid_out, asker):
    """While one connection is busy, one question waits, and the next is refused at once."""
    async with running(nats_server.url, laid_out, QUERY_CONNECTIONS="1", QUERY_MAX_WAITING="1"):
        await answers(asker)
        with asker.connection.transaction():
            asker.query("LOCK TABLE measurements IN ACCESS EXCLUSIVE MODE")
            first = [asyncio.create_task(asker.series()) for _ in range(3)]
            done, _ = await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            error = done.pop().exception()
            assert (error.status, error.reason) == (503, "too many history queries wait")
        outcomes = await asyncio.gather(*first, return_exceptions=True)
        assert sum(isinstance(outcome, Refusal) for outcome in outcomes) == 1


def test_the_command_checks_its_settings():
    """Exit code 2, and the setting on stderr."""
    command = [sys.executable, "-m", "seve_history", "--check"]
    environ = {"PATH": os.environ["PATH"], "QUERY_TIMEOUT": "5"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "QUERY_TIMEOUT = '5'" in done.stderr
    assert "DATABASE_URL is not set" in done.stderr


async def test_an_open_range_ends_with_the_newest_sample(service):
    """Samples that came between query and answer are in it, since its token covers them; a far future is not."""
    journal = await service.journal()
    service.commit(journal, [(n, "co2", at * SECOND, n) for n, at in enumerate((0, 20, 599, 7200), 1)])

    async def values(**more):
        answer, _ = await service.series(end=BASE + 10 * SECOND, **more)
        return [point[-1] for point in answer["series"][0]["points"]]

    assert await values() == [1]
    assert await values(open=True) == [1, 2, 3]
    assert await values(open=True, points=2) == [3]


async def test_an_answer_with_log_lines_is_bounded(service):
    """However long the lines are. If some are left out, `more` is true."""
    for at in range(7):
        service.query(
            "INSERT INTO device_logs (module_id, position, time, level, message, updated_at)"
            " VALUES ('croissance', ARRAY[1, %s, 0], to_timestamp(%s), 'info', repeat('x', 250000), now())",
            *(at, BASE // SECOND + at),
        )
    told = await service.logs()
    assert (len(told["lines"]), told["more"]) == (4, True)
    assert told["lines"][0]["time"].endswith("06.000000Z")
    assert (await service.logs(start=BASE + 3 * SECOND))["more"] is False


async def test_an_answer_that_is_too_large_for_nats_is_refused(service):
    """The client gets the refusal at once."""
    service.query(
        "INSERT INTO sensor_status (module_id, sensor_type, status, updated_at)"
        " SELECT 'croissance', 'sensor-' || i, repeat('x', 10000), now() FROM generate_series(1, 1000) AS i"
    )
    with pytest.raises(Refusal, match="400: the answer has more than"):
        await service.module()
