"""Filters dead letters of ingest and of the writer, renders them as text, and builds the NATS messages of a retry.
Pure: `command` reads and publishes.
"""

import fnmatch
from datetime import datetime
from typing import Final, NamedTuple

import msgspec
from seve_runtime.terminal import visible
from seve_schema.codec import encode, join
from seve_schema.deadletter import DeadLetter, IngestDeadLetter, JournalDeadLetter, WriterDeadLetter
from seve_schema.envelope import Envelope
from seve_schema.subjects import ingest_name, telemetry_subject
from seve_schema.times import parse_time, to_micros

from seve_ingest.normalise.normaliser import Normaliser

_INGEST: Final = ingest_name("seve-ingest deadletter retry")
"""The publisher's name in the subjects of retried messages. It is not that of ingest, which expects to be the only
publisher on its subjects.
"""


class StoredDeadLetter(NamedTuple):
    """One dead letter: its sequence in the stream, the last token of its subject, and its content."""

    sequence: int
    reason: str
    content: DeadLetter

    @property
    def topic(self) -> str:
        """The MQTT topic. Bytes that are no envelope have none; then it is their subject in the journal."""
        match self.content:
            case IngestDeadLetter(topic=topic):
                return topic
            case WriterDeadLetter(envelope=envelope):
                return envelope.topic
            case JournalDeadLetter(subject=subject):
                return subject

    @property
    def time(self) -> str:
        """The time at which ingest received the message, or at which the writer gave up."""
        return self.content.received_at if isinstance(self.content, IngestDeadLetter) else self.content.failed_at

    @property
    def service(self) -> str:
        """The service that published it."""
        return "ingest" if isinstance(self.content, IngestDeadLetter) else "writer"


class Filters(NamedTuple):
    """Filters of dead letters; None accepts all. `topic` is a shell pattern, times are aware."""

    sequences: frozenset[int] = frozenset()
    service: str | None = None
    reason: str | None = None
    topic: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def accept(self, dead_letter: StoredDeadLetter) -> bool:
        """Return whether all filters accept `dead_letter`."""
        at = parse_time(dead_letter.time)
        return (
            (not self.sequences or dead_letter.sequence in self.sequences)
            and self.service in (None, dead_letter.service)
            and self.reason in (None, dead_letter.reason)
            and (self.topic is None or fnmatch.fnmatchcase(dead_letter.topic, self.topic))
            and (self.since is None or at >= self.since)
            and (self.until is None or at < self.until)
        )


class Unretriable(Exception):
    """A retry would end in a dead letter again. The text says why."""


def messages(dead_letter: StoredDeadLetter, normalise: Normaliser) -> list[tuple[str, bytes]]:
    """Return the NATS messages of a retry, subject and data. Raises Unretriable.

    An envelope from the writer is sent unchanged. A payload from ingest is normalised again, with its original time of
    receipt; the envelopes are marked as retained unless they are measurements, so that they never replace a newer
    state.
    """
    content = dead_letter.content
    if isinstance(content, JournalDeadLetter):
        raise Unretriable("these bytes are no envelope")
    if isinstance(content, WriterDeadLetter):
        envelope = content.envelope
        return [_message(envelope)]
    if content.size > len(content.payload):
        raise Unretriable(f"only {len(content.payload)} of {content.size} bytes were kept")
    key = content.delivery_key
    if key is not None and not (key.isascii() and key.isalnum()):
        raise Unretriable("its delivery key does not have ingest's form")
    verdict = normalise(
        content.topic.encode(),
        content.payload,
        received_at=to_micros(parse_time(content.received_at)),
        retained=content.retained,
        key=key,
    )
    if verdict.rejection:
        raise Unretriable(f"{verdict.rejection.reason}: {verdict.rejection.error}")
    return [_message(_old_news(envelope)) for envelope in verdict.envelopes]


def _message(envelope: Envelope) -> tuple[str, bytes]:
    return telemetry_subject(_INGEST, envelope.kind), join([encode(envelope)])


def _old_news(envelope: Envelope) -> Envelope:
    return envelope if envelope.kind == "measurement" else msgspec.structs.replace(envelope, retained=True)


def line(dead_letter: StoredDeadLetter) -> str:
    """Return a dead letter in one line."""
    error = dead_letter.content.error.splitlines()[0][:80] if dead_letter.content.error else ""
    reason = f"{dead_letter.service}/{dead_letter.reason}"
    return visible(f"{dead_letter.sequence}  {dead_letter.time}  {reason}  {dead_letter.topic[:80]!r}  {error}")


def whole(dead_letter: StoredDeadLetter) -> str:
    """Return the whole content of a dead letter as text."""
    parts = [
        line(dead_letter),
        *map(visible, msgspec.json.format(encode(dead_letter.content), indent=2).decode().split("\n")),
    ]
    if isinstance(dead_letter.content, IngestDeadLetter):
        parts.append(f"payload: {dead_letter.content.payload[:1000]!r}")
    return "\n".join(parts)
