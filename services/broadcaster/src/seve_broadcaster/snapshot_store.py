"""LATEST: the present of each module, saved so that a start needs neither all of HISTORY nor the devices' patience.

A module's document is written only over what this broadcaster last saw there, and only where its own is newer: several
broadcasters share the stream and none moves it back. When all that changed is written, a checkpoint tells up to where
the documents together are complete. Holds no present itself.
"""

import asyncio
from typing import Final

import msgspec
import structlog
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError
from nats.js.errors import APIError, NotFoundError
from seve_runtime.lifecycle import Stop, pause
from seve_runtime.nats.direct import DirectClient
from seve_runtime.nats.stream_reader import reading
from seve_runtime.nats.topology import LATEST
from seve_schema.position import Position
from seve_schema.subjects import LATEST_PREFIX, latest_subject, module_of_token

from seve_broadcaster.fanout.hub import Hub
from seve_broadcaster.snapshot.document import decode_module, encode_module
from seve_broadcaster.snapshot.snapshot import NEVER

log = structlog.get_logger()

CHECKPOINT: Final = f"{LATEST_PREFIX}.%"
"""A subject that no module's token can make."""

WRONG_LAST_SEQUENCE: Final = 10071
AT_ONCE: Final = 8


class _Checkpoint(msgspec.Struct):
    position: str


class Latest:
    """Restores and saves. `saved` and `unsaved` count documents written, and those that could not be."""

    def __init__(self, client: DirectClient, hub: Hub, interval: float) -> None:
        self.saved = 0
        self.unsaved = 0
        self._client = client
        self._js = client.jetstream()
        self._hub = hub
        self._interval = interval
        self._sequences: dict[str, int] = {}
        self._positions: dict[str, Position] = {}

    async def restore(self) -> Position:
        """Take in what is saved; gives the position up to which it is complete, NEVER where nobody can tell."""
        checkpoint = NEVER
        async with reading(self._client, LATEST) as stored:
            while chunk := await stored.chunk():
                for document in chunk:
                    self._sequences[document.frame.subject] = document.sequence
                    checkpoint = max(checkpoint, self._take(document.frame.subject, document.frame.data))
        log.info("present restored", modules=len(self._hub.present.modules), checkpoint=str(checkpoint))
        return checkpoint

    def _take(self, subject: str, data: bytes) -> Position:
        try:
            if subject == CHECKPOINT:
                return Position.parse(msgspec.json.decode(data, type=_Checkpoint).position)
            name, module = module_of_token(subject.partition(".")[2]), decode_module(data)
        except ValueError as error:  # msgspec's and our own alike
            log.warning("unreadable document", subject=subject, error=str(error))
            return NEVER
        self._hub.present.restore(name, module)
        self._positions[name] = module.position
        return NEVER

    async def keep(self, stop: Stop) -> None:
        """Save every few seconds, and once more at the end."""
        stopped = False
        while not stopped:
            stopped = await pause(stop, self._interval)
            try:
                await self.save()
            except (NatsError, TimeoutError) as error:
                log.warning("present not saved", error=str(error) or type(error).__name__)

    async def save(self) -> None:
        """Write what changed, then the checkpoint. Raises nats.errors.Error and TimeoutError."""
        head = self._hub.head
        changed = [
            name
            for name, module in self._hub.present.modules.items()
            if module.position > self._positions.get(name, NEVER)
        ]
        for start in range(0, len(changed), AT_ONCE):
            await asyncio.gather(*(self._save(name) for name in changed[start : start + AT_ONCE]))
        if changed:
            await self._checkpoint(head)

    async def _save(self, name: str) -> None:
        module = self._hub.present.modules[name]
        position, document = module.position, encode_module(module)
        try:
            written = await self._write(latest_subject(name), document, position)
        except MaxPayloadError:
            self.unsaved += 1
            log.warning("module too large to save", module=name, size=len(document))
        else:
            self.saved += written
        self._positions[name] = position

    async def _checkpoint(self, head: Position) -> None:
        await self._write(CHECKPOINT, msgspec.json.encode(_Checkpoint(str(head))), head)

    async def _write(self, subject: str, document: bytes, position: Position) -> bool:
        """Write over what was last seen there; look again where that is no longer it. False where it is newer."""
        while True:
            try:
                expected = str(self._sequences.get(subject, 0))
                headers = {"Nats-Expected-Last-Subject-Sequence": expected}
                self._sequences[subject] = (await self._js.publish(subject, document, headers=headers)).seq
            except APIError as error:
                if error.err_code != WRONG_LAST_SEQUENCE:
                    raise
            else:
                return True
            if await self._there(subject) >= position:
                return False

    async def _there(self, subject: str) -> Position:
        try:
            found = await self._js.get_msg(LATEST, subject=subject)
        except NotFoundError:
            self._sequences.pop(subject, None)
            return NEVER
        self._sequences[subject] = found.seq or 0
        try:
            return Position.parse(msgspec.json.decode(found.data or b"", type=_Checkpoint).position)
        except ValueError:
            return NEVER
