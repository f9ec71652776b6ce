"""Publishes envelopes that the database refused to the dead-letter stream, with SQLSTATE and error. A redelivered
envelope is one dead letter, by its message id. At most 100 per second and reason; the others are counted.
"""

from collections.abc import Callable
from typing import Final

import structlog
from nats.js import JetStreamContext
from seve_runtime.rate_limit import Quota
from seve_schema.codec import decode_envelopes, encode, split
from seve_schema.deadletter import JournalDeadLetter, WriterDeadLetter
from seve_schema.position import Position
from seve_schema.subjects import deadletter_subject
from seve_schema.times import format_time

from seve_writer import metrics
from seve_writer.decode import Unit, Unreadable

log = structlog.get_logger()

PER_SECOND: Final = 100
"""Dead letters of each reason per second."""

UNREADABLE: Final = "unreadable"
_MOST_BYTES: Final = 256 * 1024


class DeadLetters:
    """Publishes with confirmation. `micros` gives the time of day, microseconds since 1970."""

    def __init__(self, js: JetStreamContext, quota: Quota, micros: Callable[[], int]) -> None:
        self._js = js
        self._quota = quota
        self._micros = micros

    async def dead_letter(self, unit: Unit, journal: int, sqlstate: str | None, error: str) -> None:
        """Publish one envelope, or count it as suppressed. Raises nats errors where NATS does not confirm."""
        reason = UNREADABLE if isinstance(unit.content, Unreadable) else sqlstate or "unknown"
        now = self._micros()
        if not self._quota.allows(reason, now / 1e6):
            metrics.SUPPRESSED.inc()
            return
        position = str(Position(journal, unit.message.sequence))
        content = _content(unit, position, sqlstate, error, format_time(now))
        await self._js.publish(
            deadletter_subject("writer", reason),
            encode(content),
            headers={"Nats-Msg-Id": f"{position}:{unit.index}"},
        )
        metrics.DEAD.labels(reason).inc()
        log.warning("dead letter", reason=reason, position=position, index=unit.index, error=error)


def _content(
    unit: Unit, position: str, sqlstate: str | None, error: str, failed_at: str
) -> WriterDeadLetter | JournalDeadLetter:
    if isinstance(unit.content, Unreadable):
        return _raw(unit, unit.content.raw, position, unit.content.error, failed_at)
    raw = bytes(split(unit.message.data)[unit.index])
    try:
        envelope = decode_envelopes(b"[" + raw + b"]")[0]
    except ValueError:  # a row, and yet no whole envelope: not ours, so there is nothing to retry
        return _raw(unit, raw, position, error, failed_at)
    return WriterDeadLetter(
        envelope=envelope, position=position, index=unit.index, sqlstate=sqlstate, error=error, failed_at=failed_at
    )


def _raw(unit: Unit, raw: bytes, position: str, error: str, failed_at: str) -> JournalDeadLetter:
    return JournalDeadLetter(
        subject=unit.message.subject,
        payload=raw[:_MOST_BYTES],
        size=len(raw),
        position=position,
        index=unit.index,
        error=error,
        failed_at=failed_at,
    )
