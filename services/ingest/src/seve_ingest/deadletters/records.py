"""Dead letters, of ingest and of the writer, for people: which are meant, how they read, and what NATS messages they
become when they are tried again. Pure; `deadletter_tool` reads and publishes.
"""

import fnmatch
from datetime import datetime
from typing import NamedTuple

import msgspec
from seve_schema.codec import encode, join
from seve_schema.deadletter import DeadLetter, IngestDeadLetter, JournalDeadLetter, WriterDeadLetter
from seve_schema.envelope import Envelope
from seve_schema.subjects import telemetry_subject
from seve_schema.times import parse_time, to_micros

from seve_ingest.normalise.normaliser import Normaliser


class Letter(NamedTuple):
    """One dead letter: its sequence in the stream, the last word of its subject, and what it holds."""

    sequence: int
    reason: str
    content: DeadLetter

    @property
    def topic(self) -> str:
        """The MQTT topic; of bytes that are no envelope, their subject in the journal."""
        match self.content:
            case IngestDeadLetter(topic=topic):
                return topic
            case WriterDeadLetter(envelope=envelope):
                return envelope.topic
            case JournalDeadLetter(subject=subject):
                return subject

    @property
    def time(self) -> str:
        """When ingest received it, or the writer gave it up."""
        return self.content.received_at if isinstance(self.content, IngestDeadLetter) else self.content.failed_at

    @property
    def service(self) -> str:
        """Whose it is."""
        return "ingest" if isinstance(self.content, IngestDeadLetter) else "writer"


class Filters(NamedTuple):
    """Which letters are meant; what is None does not matter. `topic` is a shell pattern, times are aware."""

    sequences: frozenset[int] = frozenset()
    service: str | None = None
    reason: str | None = None
    topic: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def accept(self, letter: Letter) -> bool:
        """Whether `letter` is meant."""
        at = parse_time(letter.time)
        return (
            (not self.sequences or letter.sequence in self.sequences)
            and self.service in (None, letter.service)
            and self.reason in (None, letter.reason)
            and (self.topic is None or fnmatch.fnmatchcase(letter.topic, self.topic))
            and (self.since is None or at >= self.since)
            and (self.until is None or at < self.until)
        )


class Unretriable(Exception):
    """Why a letter would only become one again."""


def messages(letter: Letter, normalise: Normaliser) -> list[tuple[str, bytes]]:
    """The NATS messages, subject and data, that a letter becomes when it is tried again. Raises Unretriable.

    The writer's envelope goes as it is. Ingest's payload is normalised anew, as of its receipt; a state (anything but a
    sample) is old news by now and travels as a retained one does, so that it never replaces a newer.
    """
    content = letter.content
    if isinstance(content, JournalDeadLetter):
        raise Unretriable("these bytes are no envelope")
    if isinstance(content, WriterDeadLetter):
        envelope = content.envelope
        return [(telemetry_subject(envelope.module_id, envelope.kind), join([encode(envelope)]))]
    if content.size > len(content.payload):
        raise Unretriable(f"only {len(content.payload)} of {content.size} bytes were kept")
    key = content.delivery_key
    if key is not None and not (key.isascii() and key.isalnum()):
        raise Unretriable("its delivery key is none of ingest's")
    verdict = normalise(
        content.topic.encode(),
        content.payload,
        received_at=to_micros(parse_time(content.received_at)),
        retained=content.retained,
        key=key,
    )
    if verdict.rejection:
        raise Unretriable(f"{verdict.rejection.reason}: {verdict.rejection.error}")
    return [(verdict.subject, join([encode(_old_news(envelope))])) for envelope in verdict.envelopes]


def _old_news(envelope: Envelope) -> Envelope:
    return envelope if envelope.kind == "measurement" else msgspec.structs.replace(envelope, retained=True)


def line(letter: Letter) -> str:
    """A letter in one line."""
    error = letter.content.error.splitlines()[0][:80] if letter.content.error else ""
    return f"{letter.sequence}  {letter.time}  {letter.service}/{letter.reason}  {letter.topic[:80]!r}  {error}"


def whole(letter: Letter) -> str:
    """All that is known of a letter."""
    parts = [line(letter), msgspec.json.format(encode(letter.content), indent=2).decode()]
    if isinstance(letter.content, IngestDeadLetter):
        parts.append(f"payload: {letter.content.payload[:1000]!r}")
    return "\n".join(parts)
