"""A client resumes, on a scripted broadcaster, since only a script can disconnect at a chosen frame."""

import asyncio
import contextlib
import json

from seve_fleet.simulate.ws import Missed, Screen
from support.conditions import eventually
from websockets.asyncio.server import serve


def envelope(value):
    return {"topic": f"serre/{value}", "moduleId": "serre", "kind": "measurement", "time": "t", "clock": "device"}


def frame(event, **fields):
    return json.dumps({"event": event, **fields})


@contextlib.asynccontextmanager
async def broadcaster(*scripts):
    """Answer the n-th connection with the frames of the n-th script, and then close it."""
    requests, left = [], list(scripts)

    async def handler(connection):
        requests.append(json.loads(await connection.recv()))
        script = left.pop(0) if left else None
        for text in script or []:
            await connection.send(text)
        if script is None:
            await connection.wait_closed()

    async with serve(handler, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws", requests


@contextlib.asynccontextmanager
async def watching(url):
    seen = []
    screen = Screen(url, lambda shown, _: seen.append(shown.topic), modules=["serre"])
    running = asyncio.create_task(screen.run())
    yield screen, seen
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_live_messages_are_passed_on_and_snapshots_are_not():
    script = [
        frame("subscribed", modules=["serre"], seq="1-1-0"),
        frame("mqtt-message", seq="1-1-0", data=envelope("old"), snapshot=True),
        frame("live"),
        frame("mqtt-message", seq="1-2-0", data=envelope("one")),
        frame("mqtt-batch", seq="1-3-1", data=[envelope("two"), envelope("three")]),
    ]
    async with broadcaster(script) as (url, _), watching(url) as (screen, seen):
        await eventually(lambda: len(seen) >= 3, "the frames")
        assert seen == ["serre/one", "serre/two", "serre/three"]
        assert screen.live.is_set()


async def test_a_broken_connection_is_resumed_after_the_last_frame():
    script = [
        frame("subscribed", modules=["serre"], seq="1-1-0"),
        frame("mqtt-message", seq="1-2-0", data=envelope("one")),
    ]
    async with broadcaster(script) as (url, requests), watching(url):
        await eventually(lambda: len(requests) == 2, "a second subscription")
    assert [request.get("since") for request in requests] == [None, "1-2-0"]


async def test_a_connection_broken_before_any_message_resumes_from_its_subscription():
    script = [frame("subscribed", modules=["serre"], seq="1-7-0"), frame("live")]
    async with broadcaster(script) as (url, requests), watching(url):
        await eventually(lambda: len(requests) == 2, "a second subscription")
    assert requests[1]["since"] == "1-7-0"


async def test_a_declared_gap_is_kept():
    script = [
        frame("subscribed", modules=["serre"], seq="1-1-0"),
        frame("gap", **{"from": "1-1-0", "to": "1-9-0"}),
        frame("skipped", **{"from": "1-9-0", "to": "1-a-0"}),
    ]
    async with broadcaster(script) as (url, _), watching(url) as (screen, _seen):
        await eventually(lambda: len(screen.gaps) == 2, "the gaps")
        assert screen.gaps == [Missed("gap", "1-1-0", "1-9-0"), Missed("skipped", "1-9-0", "1-a-0")]
