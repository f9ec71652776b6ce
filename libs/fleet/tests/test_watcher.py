"""A watch counts the samples of its load and measures how long they took."""

import asyncio
import json
import time

from seve_fleet.load.watcher import Watch
from seve_schema.times import format_time
from websockets.asyncio.server import serve


def message(module, age):
    moment = format_time(time.time_ns() // 1000 - age * 1000)
    data = {"topic": f"{module}/co2", "moduleId": module, "kind": "measurement", "time": moment, "clock": "device"}
    return json.dumps({"event": "mqtt-message", "seq": "1-1-0", "data": data})


async def test_samples_of_other_modules_do_not_count_and_latency_is_from_their_time():
    async def broadcaster(connection):
        await connection.recv()
        for text in (message("other-000", 0), message("load-000", 5000), message("load-001", 5000)):
            await connection.send(text)
        await connection.wait_closed()

    async with serve(broadcaster, "127.0.0.1", 0) as server:
        watch = Watch(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws", "load")
        screen = asyncio.create_task(watch.screen.run())
        result = await watch.until(expected=2, patience=10)
        screen.cancel()
        await asyncio.wait((screen,))
    assert (result.seen, result.connections, result.gaps) == (2, 1, [])
    assert 5000 <= result.p50 <= result.p99 <= result.longest


async def test_a_watch_ends_when_nothing_comes():
    result = await Watch("ws://127.0.0.1:1/ws", "load").until(expected=2, patience=0)
    assert (result.seen, result.p99) == (0, None)
