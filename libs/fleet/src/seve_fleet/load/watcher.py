"""A screen at high rates: `python -m seve_fleet.load.watcher`, a process of its own that benches start beside `load`.

Counts the samples of one load that come on the WebSocket, and measures from the time in each (the moment of its
publishing, by the same clock) to its frame. Says `live` when it watches; its last line is the result in JSON.
"""

import argparse
import asyncio
import sys
import time
from typing import Final

import msgspec
import uvloop
from seve_schema.times import parse_time, to_micros

from seve_fleet.simulate.ws import Screen, Shown

POLL_SECONDS: Final = 0.05


class Seen(msgspec.Struct, frozen=True):
    """What was seen; latencies in milliseconds, None where nothing was. `seen` counts repeated ones too."""

    seen: int
    p50: float | None
    p99: float | None
    longest: float | None
    connections: int
    gaps: list[str]


class Watch:
    """The samples of the modules whose names begin with `prefix`."""

    def __init__(self, url: str, prefix: str, token: str | None = None) -> None:
        self._prefix = prefix
        self._seen: list[tuple[str, int]] = []
        self._newest = time.monotonic()
        self.screen = Screen(url, self._see, modules=["*"], token=token)

    def _see(self, shown: Shown, arrived: int) -> None:
        if shown.kind == "measurement" and shown.module_id.startswith(self._prefix):
            self._seen.append((shown.time, arrived))  # what it says is worked out when nothing is measured any more
            self._newest = time.monotonic()

    async def until(self, expected: int, patience: float) -> Seen:
        """Until that many were seen, or none came for `patience` seconds."""
        while len(self._seen) < expected and time.monotonic() - self._newest < patience:  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)
        return self._result()

    def _result(self) -> Seen:
        ranked = sorted((arrived - to_micros(parse_time(published))) / 1000 for published, arrived in self._seen)
        gaps = list(map(str, self.screen.gaps))
        if not ranked:
            return Seen(0, None, None, None, self.screen.connections, gaps)
        p50, p99 = ranked[len(ranked) // 2], ranked[min(len(ranked) - 1, len(ranked) * 99 // 100)]
        return Seen(len(ranked), p50, p99, ranked[-1], self.screen.connections, gaps)


async def run(arguments: argparse.Namespace) -> Seen:
    """Watch, say so, and wait for what is expected."""
    watch = Watch(arguments.url, arguments.prefix)
    async with asyncio.TaskGroup() as group:
        screen = group.create_task(watch.screen.run())
        await watch.screen.live.wait()
        print("live", flush=True)  # noqa: T201  (a command prints)
        result = await watch.until(arguments.expect, arguments.patience)
        screen.cancel()
    return result


def main() -> int:
    """Run the command: exit code 1 where fewer were seen than expected."""
    words = argparse.ArgumentParser(prog="python -m seve_fleet.load.watcher", description=__doc__)
    words.add_argument("url", help="ws://host:port/ws")
    words.add_argument("--prefix", default="load", help="modules whose names begin so")
    words.add_argument("--expect", type=int, required=True, help="how many samples end the watch")
    words.add_argument("--patience", type=float, default=20, help="seconds without a sample that end it (20)")
    result = uvloop.run(run(arguments := words.parse_args()))
    print(msgspec.json.encode(result).decode(), flush=True)  # noqa: T201
    return 0 if result.seen >= arguments.expect else 1


if __name__ == "__main__":
    sys.exit(main())
