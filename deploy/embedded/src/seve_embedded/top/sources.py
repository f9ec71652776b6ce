"""Asks the parts of a stack for the figures of `top`: admin ports, NATS, the end of the journal. Changes nothing.

Asks each part separately, for at most two seconds: one that does not answer is named, the rest is shown.
"""

import asyncio
import http.client
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Final, NamedTuple

import msgspec
from nats.errors import Error as NatsError
from seve_runtime.errors import describe
from seve_runtime.nats.connection import NatsSettings, connected_once
from seve_runtime.nats.direct import DirectClient
from seve_runtime.nats.stream_info import StreamInfo, stream_info
from seve_runtime.nats.stream_reader import reading
from seve_runtime.nats.topology import DEADLETTER, JOURNAL, LATEST, WRITER

from seve_embedded.top.figures import ClientFigures, Look, Samples, Stream, parse

PATIENCE: Final = 2.0
NEWEST: Final = 64
"""How many of the journal's newest messages are counted by module: a sample, at most 16,384 envelopes."""


class Listener(NamedTuple):
    """The admin port of a service: its kind (`ingest`, `writer`, `broadcaster`), its name, host and port."""

    kind: str
    name: str
    host: str
    port: int


class _Envelope(msgspec.Struct, rename="camel", gc=False):
    module_id: str


_envelopes: Final = msgspec.json.Decoder(list[_Envelope])
_clients: Final = msgspec.json.Decoder(list[ClientFigures])


class Sources:
    """One stack. `listeners` returns the current admin ports, `errors` the last errors, program and text, in order."""

    def __init__(
        self,
        listeners: Callable[[], Sequence[Listener]],
        nats: NatsSettings,
        errors: Callable[[], list[tuple[str, str]]],
    ) -> None:
        self._listeners = listeners
        self._nats = nats
        self._errors = errors
        self._open = AsyncExitStack()
        self._client: DirectClient | None = None

    async def look(self) -> Look:
        """Ask every part once."""
        silent: dict[str, str] = {}
        listeners = self._listeners()
        scrapes = await asyncio.gather(
            *(asyncio.to_thread(_get, listener, "/metrics", silent) for listener in listeners)
        )
        services: dict[str, list[Samples]] = {}
        for listener, text in zip(listeners, scrapes, strict=True):
            if text:
                services.setdefault(listener.kind, []).append(parse(text))
        found = [
            await asyncio.to_thread(_get, listener, "/clients", silent)
            for listener in listeners
            if listener.kind == "broadcaster"
        ]
        asked = Look(
            at=time.monotonic(),
            clock=time.strftime("%H:%M:%S"),
            services=services,
            clients=[client for text in found if text for client in _clients.decode(text)],
            errors=self._errors(),
            silent=silent,
        )
        return await self._ask_nats(asked)

    async def close(self) -> None:
        """Close the connection to NATS."""
        self._client = None
        await self._open.aclose()

    async def _ask_nats(self, asked: Look) -> Look:
        try:
            if self._client is None or not self._client.is_connected:
                await self.close()
                self._client = await self._open.enter_async_context(connected_once(self._nats, "seve top"))
            async with asyncio.timeout(PATIENCE):
                return await _of_nats(self._client, asked)
        except (NatsError, OSError, msgspec.DecodeError) as error:  # TimeoutError is an OSError
            return msgspec.structs.replace(asked, silent={**asked.silent, "nats": describe(error)})


async def _of_nats(client: DirectClient, asked: Look) -> Look:
    infos = {name: await stream_info(client, name, patience=PATIENCE) for name in (JOURNAL, LATEST)}
    infos[DEADLETTER] = await stream_info(client, DEADLETTER, patience=PATIENCE, subjects_filter=">")
    consumer = await client.jetstream().consumer_info(JOURNAL, WRITER)
    dead = infos[DEADLETTER].state
    return msgspec.structs.replace(
        asked,
        streams=[stream for name, info in infos.items() if (stream := _stream(name, info))],
        lag=(consumer.num_pending or 0) + (consumer.num_ack_pending or 0),
        modules=await _modules(client, infos[JOURNAL]),
        dead=dead.subjects if dead else {},
    )


def _stream(name: str, info: StreamInfo) -> Stream | None:
    if info.state is None:
        return None
    return Stream(name, info.state.messages, info.state.bytes, info.config.max_bytes, info.state.last_seq)


async def _modules(client: DirectClient, info: StreamInfo) -> dict[str, int]:
    """Count envelopes by module in the newest messages of the journal; skip messages without envelopes."""
    counted: dict[str, int] = {}
    if info.state is None or not info.state.messages:
        return counted
    async with reading(client, JOURNAL, start=info.state.last_seq - NEWEST + 1) as stored:
        for message in await stored.chunk():
            try:
                envelopes = _envelopes.decode(message.data)
            except msgspec.DecodeError:
                continue
            for envelope in envelopes:
                counted[envelope.module_id] = counted.get(envelope.module_id, 0) + 1
    return counted


def _get(listener: Listener, path: str, silent: dict[str, str]) -> str:
    """Return the answer of an admin port; if there is none, return nothing and note the reason in `silent`."""
    connection = http.client.HTTPConnection(listener.host, listener.port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode()
    except (OSError, http.client.HTTPException) as error:
        silent[listener.name] = describe(error)
        return ""
    finally:
        connection.close()
    if answer.status != http.client.OK:
        silent[listener.name] = f"{path} answers {answer.status}"
        return ""
    return text
