"""Returns the sequence up to which the writers have acknowledged the journal. Requests it from NATS, at most once per
second; changes nothing.

A message is acknowledged after its transaction committed. So a later snapshot of the database has every message up to
this floor, except for messages that are lost or went to another database: no writer will store those any more.
"""

import time
from typing import Final

import msgspec
from nats.aio.client import Client
from nats.errors import Error as NatsError
from seve_runtime.errors import describe
from seve_runtime.nats.stream_info import stream_info
from seve_runtime.nats.topology import JOURNAL, WRITER
from seve_schema.position import Position

from seve_history.errors import Refused

FRESH_SECONDS: Final = 1.0
"""Seconds for which a floor is reused. An older floor is still correct, but more of the ledger has to be read."""
PATIENCE: Final = 2.0


class AckFloor:
    """The acknowledgement floor of the current journal."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._js = client.jetstream()
        self._known: Position | None = None
        self._asked = 0.0

    async def of(self, journal: int) -> int:
        """Return the floor in the journal created at `journal`; 0 if the current journal is another one.

        Raises Refused.
        """
        known = self._known
        if known is None or known.journal != journal or time.monotonic() - self._asked > FRESH_SECONDS:
            known = await self._ask()
        return known.sequence if known.journal == journal else 0

    async def _ask(self) -> Position:
        asked = time.monotonic()
        try:
            consumer = await self._js.consumer_info(JOURNAL, WRITER, timeout=PATIENCE)
            stream = await stream_info(self._client, JOURNAL, patience=PATIENCE)
            if not stream.created:
                raise Refused(503, "there is no journal")
            again = await self._js.consumer_info(JOURNAL, WRITER, timeout=PATIENCE)
        except (NatsError, OSError, msgspec.DecodeError) as error:
            raise Refused(503, f"the journal does not answer: {describe(error)}") from error
        same = consumer.created == again.created  # else the journal was recreated meanwhile
        floor = consumer.ack_floor.stream_seq if same and consumer.ack_floor else 0
        self._known, self._asked = Position(stream.created_at, floor), asked
        return self._known
