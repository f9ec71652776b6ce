"""History queries of clients are parsed, authorised and passed on; without an answer, one line says why."""

import contextlib
import json
from contextlib import asynccontextmanager
from urllib.parse import quote

import nats
import pytest
from seve_broadcaster.history import MOST
from seve_broadcaster.protocol.history_query import parse, parse_logs
from seve_broadcaster.protocol.requests import Refusal
from seve_schema.history import (
    ERROR_CODE,
    ERROR_TEXT,
    LOGS_SUBJECT,
    MODULE_SUBJECT,
    POSITION,
    SERIES_SUBJECT,
    LogsRequest,
    SeriesRequest,
)
from seve_schema.position import Position
from support.broadcasting import broadcasting, envelope
from support.conditions import eventually

from .test_http import ask, unread
from .tokens import SECRET, token

NOW = 1_764_529_200_000_000
"""2025-11-30T19:00:00Z."""
HOUR = 3_600_000_000


def read(query):
    return parse(query, journal=7, now=NOW)


def test_every_parameter_of_a_history_query_is_parsed():
    """Times have an offset, whose + may arrive as a space; durations count back from now."""
    assert read("module=a%2Fb&sensor=co2&hardware=&from=2025-11-30T18:00:00%2B01:00&to=1h&points=7") == SeriesRequest(
        module="a/b", sensor="co2", hardware="", start=NOW - 2 * HOUR, end=NOW - HOUR, points=7, journal=7
    )
    assert read("module=a&from=2025-11-30T18:00:00+01:00").start == NOW - 2 * HOUR


def test_a_history_query_without_times_covers_the_last_day():
    assert read("module=a") == SeriesRequest(
        module="a", start=NOW - 24 * HOUR, end=NOW, open=True, points=500, journal=7
    )


@pytest.mark.parametrize(
    ("query", "explanation"),
    [
        ("", "no module is named"),
        ("module=", "no module is named"),
        ("module=a&module=b", "`module` is given more than once"),
        ("module=a&form=1h", "unknown parameter 'form'; did you mean `from`?"),
        ("module=a&from=yesterday", "`from` = 'yesterday': expected a time such as"),
        ("module=a&to=2025-11-30T18:00:00", "`to` = '2025-11-30T18:00:00': expected a time such as"),
        ("module=a&from=0001-01-01T00:00:00Z", "expected a time such as"),
        ("module=a&from=999999999d", "expected a time such as"),
        ("module=a&points=0", "`points` = '0': expected a number from 1 to 1,000,000"),
        ("module=a&points=²", "expected a number from 1 to 1,000,000"),
        ("module=a&sensor=" + "x" * 257, "`sensor` is longer than 256 bytes"),
    ],
)
def test_a_refusal_names_what_is_wrong(query, explanation):
    with pytest.raises(Refusal) as refusal:
        read(query)
    assert explanation in refusal.value.explanation


def test_every_parameter_of_a_log_query_is_parsed():
    read = parse_logs("module=a&level=warn&text=slow&from=2h&to=1h&lines=7", journal=7, now=NOW)
    assert read == LogsRequest(
        module="a", level="warn", text="slow", start=NOW - 2 * HOUR, end=NOW - HOUR, most=7, journal=7
    )
    read = parse_logs("module=a&level=", journal=7, now=NOW)
    assert read == LogsRequest(module="a", start=NOW - 24 * HOUR, end=NOW, most=200, journal=7)
    with pytest.raises(Refusal, match="unknown parameter 'txt'"):
        parse_logs("module=a&txt=slow", journal=7, now=NOW)


@asynccontextmanager
async def answering(nats_url, body=b"{}", **headers):
    """Run a history service that gives the same answer to every query; yields the received queries."""
    asked = []

    async def answer(message):
        asked.append(json.loads(message.data))
        await client.publish(message.reply, body, headers=headers)

    client = await nats.connect(nats_url)
    for subject in (SERIES_SUBJECT, MODULE_SUBJECT, LOGS_SUBJECT):
        await client.subscribe(subject, "history", cb=answer)
    await client.flush()
    try:
        yield asked
    finally:
        await client.close()


async def status_and_body(url, path, *headers):
    head, body = await ask(url, *headers, path=path)
    return int(head.split()[1]), body


async def test_an_answer_is_passed_on_as_it_is(nats_server, journal):
    """The query names the journal that this server follows; no cache may store the answer."""
    async with broadcasting(nats_server.url) as url, answering(nats_server.url, b'{"a":1}', **position(0)) as asked:
        head, body = await ask(url, path="/api/history?module=a&points=3")
        assert head.startswith("HTTP/1.1 200 ")
        assert "Cache-Control: no-store" in head
        assert body == b'{"a":1}'
        assert (await status_and_body(url, f"/api/modules/{quote('é/b', safe='')}")) == (200, b'{"a":1}')
    series, module = asked
    assert (series["module"], series["points"], module["module"]) == ("a", 3, "é/b")
    assert series["journal"] == module["journal"] > 0


def position(sequence, created=1):
    return {POSITION: str(Position(created, sequence))}


async def test_a_refusal_of_the_history_service_is_passed_on_with_its_reason(nats_server, journal):
    refused = {ERROR_CODE: "404", ERROR_TEXT: "nothing is known of that module"}
    async with broadcasting(nats_server.url) as url, answering(nats_server.url, **refused):
        assert await status_and_body(url, "/api/modules/a") == (404, b"nothing is known of that module\n")


async def test_without_a_history_service_the_rest_is_served(nats_server, journal):
    async with broadcasting(nats_server.url) as url:
        assert await status_and_body(url, "/api/history?module=a") == (503, b"the history service is not running\n")
        assert await status_and_body(url, "/api/history?modul=a") == (
            400,
            b"unknown parameter 'modul'; did you mean `module`?\n",
        )
        assert (await status_and_body(url, "/api/modules"))[0] == 200


async def test_a_token_restricts_the_modules(nats_server, journal):
    """As for the WebSocket. A forbidden query is not sent to the history service."""
    async with (
        broadcasting(nats_server.url, JWT_SECRET=SECRET) as url,
        answering(nats_server.url, **position(0)) as asked,
    ):
        bearer = f"Authorization: Bearer {token(['a'])}"
        assert (await status_and_body(url, "/api/history?module=a"))[0] == 401
        assert (await status_and_body(url, "/api/modules/a"))[0] == 401
        forbidden = (403, b"the token does not allow that module\n")
        assert await status_and_body(url, "/api/history?module=b", bearer) == forbidden
        assert await status_and_body(url, "/api/modules/b", bearer) == forbidden
        assert asked == []
        assert (await status_and_body(url, "/api/history?module=a", bearer))[0] == 200
        assert await status_and_body(url, "/api/logs?module=b", bearer) == forbidden
        assert (await status_and_body(url, "/api/logs?module=a", bearer))[0] == 200
        assert (await status_and_body(url, "/api/modules/a", bearer))[0] == 200


async def test_an_answer_ahead_of_this_server_waits_for_it(nats_server, journal):
    """A client that subscribed from its position would get a gap, so it waits until the server has that position."""
    sequence = await journal.publish(envelope("a", 1.0))
    created = int((await journal.js.stream_info("TELEMETRY")).created.timestamp() * 1e6)
    async with broadcasting(nats_server.url, QUERY_TIMEOUT="100ms") as url:
        async with answering(nats_server.url, **position(sequence + 1, created + 10)):
            status, body = await status_and_body(url, "/api/history?module=a")
        assert (status, body) == (503, b"this server is behind the database; try again\n")
        async with answering(nats_server.url, **position(sequence, created)):
            assert (await status_and_body(url, "/api/history?module=a"))[0] == 200


async def test_open_history_queries_are_bounded(nats_server, journal):
    """One more is refused at once, counted, and may be sent again later; a client that disconnects makes room."""
    client = await nats.connect(nats_server.url)
    await client.subscribe(SERIES_SUBJECT, "history")  # never answers
    await client.flush()

    async with broadcasting(nats_server.url) as url:

        async def refused():
            return (await status_and_body(url, "/api/history?modul=a"))[0] == 503

        async def not_refused():
            return not await refused()

        with contextlib.ExitStack() as stack:
            for _ in range(MOST):
                stack.enter_context(unread(url, "/api/history?module=a"))
            await eventually(refused, "one more refused")
            head, body = await ask(url, path="/api/history?module=a")
            assert body == b"too many history queries are open\n"
            assert "Retry-After: 1" in head
            assert url.broadcaster.metric("refused_requests_total", reason="history")
        await eventually(not_refused, "room again")
    await client.close()
