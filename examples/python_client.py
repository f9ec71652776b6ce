"""A typed client of Sève's WebSocket: prints measurements as they come and resumes where it was cut off.

    pip install websockets msgspec
    python examples/python_client.py ws://127.0.0.1:8080/ws croissance serre-2

Needs these two libraries and nothing of Sève; in embedded mode .venv/bin/python has them.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator

import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed


class Envelope(msgspec.Struct, rename="camel"):
    """What of a message is of use here; msgspec leaves out the rest."""

    topic: str
    module_id: str
    kind: str
    sensor_type: str | None
    value: float | None
    time: str


class Frame(msgspec.Struct):
    """Any frame of the server; `seq` says where the stream stands, `data` is a message's."""

    event: str
    seq: str | None = None
    data: Envelope | None = None
    snapshot: bool = False
    message: str = ""


async def follow(url: str, modules: list[str], since: str | None = None) -> AsyncIterator[Frame]:
    """Every frame, for ever: on a lost connection it comes back and asks for what came `since`."""
    async for connection in connect(url):  # waits between attempts, longer each time
        asked = {"action": "subscribe", "modules": modules, "since": since}
        try:
            await connection.send(json.dumps(asked))
            async for text in connection:
                frame = msgspec.json.decode(text, type=Frame)
                yield frame
                if frame.seq and not frame.snapshot:  # a snapshot does not move the position
                    since = frame.seq
        except ConnectionClosed:
            continue


async def main(url: str, *modules: str) -> None:
    """Print until interrupted."""
    async for frame in follow(url, list(modules) or ["*"]):
        if frame.event == "mqtt-message" and frame.data and frame.data.kind == "measurement":
            print(frame.data.time, frame.data.module_id, frame.data.sensor_type, frame.data.value, flush=True)
        elif frame.event in ("gap", "skipped", "error"):
            print(frame.event, frame.message, file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
