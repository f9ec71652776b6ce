"""A WebSocket client that behaves like a screen: subscribes, reads every frame, and resumes after a lost connection.

Passes live envelopes to a callback, but no snapshots. Reconnects for ever, with backoff and jitter.
"""

import asyncio
import random
import ssl
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
    """The fields of an envelope that the account needs."""

    topic: str
    module_id: str
    kind: str
    time: str
    clock: str
    retained: bool = False


class Event(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """Any frame of the broadcaster."""

    event: str
    seq: str | None = None
    data: Shown | list[Shown] | None = None
    snapshot: bool = False
    from_: Any = None
    to: Any = None
    code: str | None = None
    message: str | None = None


class Missed(NamedTuple):
    """A declared gap: messages behind `start`, up to and including `end`. `event` is `gap` or `skipped`."""

    event: str
    start: str
    end: str

    def __str__(self) -> str:
        return f"{self.event} from {self.start} to {self.end}"


OnEnvelope = Callable[[Shown, int], None]
_decoder: Final = msgspec.json.Decoder(Event)


class Screen:
    """Watches `modules` (names, or `*` for all) at `url`. `on_envelope` gets each envelope and its time of arrival
    (microseconds since 1970).
    """

    def __init__(
        self,
        url: str,
        on_envelope: OnEnvelope,
        *,
        modules: list[str],
        token: str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._url = url
        self._tls = tls
        self._on_envelope = on_envelope
        self._modules = modules
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._since: str | None = None
        self.live = asyncio.Event()
        self.connections = 0
        self.gaps: list[Missed] = []
        self.errors: list[str] = []

    async def run(self) -> None:
        """Watch until cancelled."""
        failures = 0
        while True:
            failures += 1
            try:
                async with connect(
                    self._url,
                    ssl=self._tls,
                    additional_headers=self._headers,
                    compression=None,
                    max_size=None,
                    max_queue=1024,
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

    def _take(self, frame: Event, arrived: int) -> None:
        match frame.event:
            case "mqtt-message" | "mqtt-batch" if not frame.snapshot:
                self._since = frame.seq or self._since
                shown = frame.data if isinstance(frame.data, list) else [frame.data]
                for envelope in shown:
                    if envelope is not None:
                        self._on_envelope(envelope, arrived)
            case "subscribed":
                self._since = self._since or frame.seq
            case "live":
                self.live.set()
            case "gap" | "skipped":
                self.gaps.append(Missed(frame.event, str(frame.from_), str(frame.to)))
            case "error":
                self.errors.append(f"{frame.code}: {frame.message}")
