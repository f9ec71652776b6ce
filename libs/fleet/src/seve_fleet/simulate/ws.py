"""A WebSocket client as a screen would be: subscribes, takes every frame, and resumes where a connection broke off.

Tells its audience each envelope once it is live; snapshots are not news. Reconnects for ever, with backoff and jitter.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec
from seve_runtime.backoff import backoff, jittered
from seve_runtime.clock import micros
from seve_runtime.errors import describe
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

FIRST_BACKOFF: Final = 0.1
LONGEST_BACKOFF: Final = 2.0


class Shown(msgspec.Struct, frozen=True, rename="camel"):
    """What of an envelope a screen needs here."""

    topic: str
    module_id: str
    kind: str
    time: str
    clock: str
    retained: bool = False


class Frame(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """Any frame the broadcaster sends."""

    event: str
    seq: str | None = None
    data: Shown | list[Shown] | None = None
    snapshot: bool = False
    from_: Any = None
    to: Any = None
    module: str | None = None
    kind: str | None = None
    code: str | None = None
    message: str | None = None


class Missed(NamedTuple):
    """What was declared as missed behind `start`, up to and including `end`; only of `module` and `kind` if named."""

    event: str
    start: str
    end: str
    module: str | None = None
    kind: str | None = None

    def __str__(self) -> str:
        only = f", {self.module}'s {self.kind} only" if self.module else ""
        return f"{self.event} from {self.start} to {self.end}{only}"


Audience = Callable[[Shown, int], None]
_decoder: Final = msgspec.json.Decoder(Frame)


class Screen:
    """Watches `modules` (names, or `*` for all) at `url`; `audience` gets each envelope and when it came
    (microseconds since 1970).
    """

    def __init__(self, url: str, audience: Audience, *, modules: list[str], token: str | None = None) -> None:
        self._url = url
        self._audience = audience
        self._modules = modules
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._since: str | None = None
        self.live = asyncio.Event()
        self.connections = 0
        self.gaps: list[Missed] = []
        self.errors: list[str] = []

    async def run(self) -> None:
        """Until cancelled."""
        failures = 0
        while True:
            failures += 1
            try:
                async with connect(
                    self._url, additional_headers=self._headers, compression=None, max_size=None, max_queue=1024
                ) as connection:
                    self.connections += 1
                    await self._watch(connection)
                    failures = 1
            except (OSError, WebSocketException, TimeoutError) as error:
                self.errors.append(describe(error))
            wait = backoff(failures, first=FIRST_BACKOFF, longest=LONGEST_BACKOFF)
            await asyncio.sleep(jittered(wait, random.random()))  # noqa: S311  (no secret)

    async def _watch(self, connection: ClientConnection) -> None:
        request: dict[str, Any] = {"action": "subscribe", "modules": self._modules, "batch": True}
        if self._since:
            request["since"] = self._since
        await connection.send(msgspec.json.encode(request).decode())
        async for text in connection:
            self._take(_decoder.decode(text), micros())

    def _take(self, frame: Frame, arrived: int) -> None:
        match frame.event:
            case "mqtt-message" | "mqtt-batch" if not frame.snapshot:
                self._since = frame.seq or self._since
                shown = frame.data if isinstance(frame.data, list) else [frame.data]
                for envelope in shown:
                    if envelope is not None:
                        self._audience(envelope, arrived)
            case "subscribed":
                self._since = self._since or frame.seq
            case "live":
                self.live.set()
            case "gap" | "skipped":
                self.gaps.append(Missed(frame.event, str(frame.from_), str(frame.to), frame.module, frame.kind))
            case "error":
                self.errors.append(f"{frame.code}: {frame.message}")
