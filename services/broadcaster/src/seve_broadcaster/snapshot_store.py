"""Saves the newest values of each module in the stream LATEST, and restores them. Holds no values itself.

With them, a broadcaster starts without reading the whole journal or waiting for new messages of the devices. A document
is written only over the revision that this broadcaster last saw, and only if its own is newer: several broadcasters
share the stream, and none replaces a newer document by an older one. After all changed documents, a checkpoint records
the position up to which they are complete.
"""

import asyncio
import time
from typing import Final

import msgspec
import structlog
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError
from nats.js.errors import APIError, NotFoundError
from seve_runtime.errors import describe
from seve_runtime.lifecycle import Stop, pause
from seve_runtime.nats.direct import DirectClient, NatsMessage
from seve_runtime.nats.stream_reader import reading
from seve_runtime.nats.topology import LATEST
from seve_schema.position import Position
from seve_schema.subjects import FORGET_PREFIX, LATEST_PREFIX, latest_subject, module_of_token
from seve_schema.times import MICROS, format_time

from seve_broadcaster.fanout.hub import Hub
from seve_broadcaster.snapshot.document import decode_module, encode_module
from seve_broadcaster.snapshot.snapshot import NEVER, Module

log = structlog.get_logger()

CHECKPOINT: Final = f"{LATEST_PREFIX}.%"
"""A subject that no module's token can equal."""

WRONG_LAST_SEQUENCE: Final = 10071
AT_ONCE: Final = 8


class _Checkpoint(msgspec.Struct):
    position: str


class SnapshotStore:
    """Restores and saves the newest values, and forgets modules without a message for `forget_after` seconds.

    `saved` counts written documents, `unsaved` those that could not be written.
    """

    def __init__(self, client: DirectClient, hub: Hub, interval: float, forget_after: float) -> None:
        self.saved = 0
        self.unsaved = 0
        self._client = client
        self._js = client.jetstream()
        self._hub = hub
        self._interval = interval
        self._forget_after = forget_after
        self._checkpoint_revision = 0

    async def restore(self) -> Position:
        """Restore the saved values; return the position up to which they are complete, NEVER without a checkpoint."""
        checkpoint = NEVER
        async with reading(self._client, LATEST) as stored:
            while chunk := await stored.chunk():
                for item in chunk:
                    checkpoint = max(checkpoint, self._take(item.subject, item.data, item.sequence))
        self._forget()
        log.info("newest values restored", modules=len(self._hub.latest.modules), checkpoint=str(checkpoint))
        return checkpoint

    def _take(self, subject: str, data: bytes, revision: int) -> Position:
        try:
            if subject == CHECKPOINT:
                self._checkpoint_revision = revision
                return Position.parse(msgspec.json.decode(data, type=_Checkpoint).position)
            name, module = module_of_token(subject.partition(".")[2]), decode_module(data)
        except ValueError as error:  # DecodeError and PositionError are ValueErrors
            log.warning("unreadable document", subject=subject, error=describe(error))
            return NEVER
        module.revision = revision
        self._hub.latest.restore(name, module)
        return NEVER

    def _forget(self) -> None:
        if self._forget_after:
            names = self._hub.forget(format_time(int((time.time() - self._forget_after) * MICROS)))
            if names:
                log.info("modules forgotten", modules=len(names))

    async def listen(self) -> None:
        """Forget each module that `seve-writer forget` names, from now on."""
        await self._client.subscribe_direct(f"{FORGET_PREFIX}.*", self._on_forget)

    def _on_forget(self, message: NatsMessage) -> None:
        name = module_of_token(message.subject.partition(".")[2])
        self._hub.drop(name)
        log.info("module forgotten on request", module=name)

    async def keep(self, stop: Stop) -> None:
        """Save every `interval` seconds, and once more at the end."""
        stopped = False
        while not stopped:
            stopped = await pause(stop, self._interval)
            self._forget()
            try:
                await self.save(stop, self._interval / 2)
            except (NatsError, TimeoutError) as error:
                log.warning("newest values not saved", error=describe(error))

    async def save(self, stop: Stop, spread: float) -> None:
        """Write changed documents, spread over about `spread` seconds (at once if `stop` is set), then the checkpoint.
        Raises nats errors and TimeoutError.
        """
        head = self._hub.head
        changed = [
            (name, module) for name, module in self._hub.latest.modules.items() if module.position > module.saved
        ]
        for start in range(0, len(changed), AT_ONCE):
            if start:
                await pause(stop, spread * AT_ONCE / len(changed))
            await asyncio.gather(*(self._save(name, module) for name, module in changed[start : start + AT_ONCE]))
        if changed:
            self._checkpoint_revision, _ = await self._write(
                CHECKPOINT, msgspec.json.encode(_Checkpoint(str(head))), head, self._checkpoint_revision
            )

    async def _save(self, name: str, module: Module) -> None:
        position, document = module.position, encode_module(module)
        try:
            module.revision, written = await self._write(latest_subject(name), document, position, module.revision)
        except MaxPayloadError:
            self.unsaved += 1
            log.warning("module too large to save", module=name, size=len(document))
        else:
            self.saved += written
        module.saved = position

    async def _write(self, subject: str, document: bytes, position: Position, revision: int) -> tuple[int, bool]:
        """Write over the last seen revision; if another broadcaster wrote since, read and try again.

        Return the new revision and True, or the revision of a newer document and False.
        """
        while True:
            try:
                headers = {"Nats-Expected-Last-Subject-Sequence": str(revision)}
                return (await self._js.publish(subject, document, headers=headers)).seq, True
            except APIError as error:
                if error.err_code != WRONG_LAST_SEQUENCE:
                    raise
            revision, saved = await self._saved(subject)
            if saved >= position:
                return revision, False

    async def _saved(self, subject: str) -> tuple[int, Position]:
        """Return revision and position of the saved document."""
        try:
            saved = await self._js.get_msg(LATEST, subject=subject)
        except NotFoundError:
            return 0, NEVER
        try:
            return saved.seq or 0, Position.parse(msgspec.json.decode(saved.data or b"", type=_Checkpoint).position)
        except ValueError:
            return saved.seq or 0, NEVER
