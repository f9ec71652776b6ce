"""Formats what `tap` shows: a message with what becomes of it, an envelope, or a dead letter. Pure."""

from collections.abc import Iterator
from typing import Final

import msgspec
from seve_runtime.nats.stream_reader import StoredMessage
from seve_schema.codec import decode_envelopes, encode
from seve_schema.deadletter import WriterDeadLetter, decode_deadletter
from seve_schema.envelope import Envelope
from seve_schema.times import format_time, parse_time, to_micros

from seve_ingest.deadletters.records import StoredDeadLetter, line
from seve_ingest.normalise.explain import explain
from seve_ingest.normalise.normaliser import Normaliser

MOST_PAYLOAD: Final = 4096
"""Most bytes of a payload that are formatted. Lines are also cut to the width of the terminal."""


def concerns(normalise: Normaliser, topic: str, modules: frozenset[str]) -> bool:
    """Return whether a topic belongs to one of `modules`; if that is empty, every topic does."""
    return not modules or normalise.place(_raw(topic)).module_id in modules


def of_mqtt(normalise: Normaliser, topic: str, payload: bytes, *, now: int) -> list[str]:
    """Return the lines of a message that the broker delivered at `now` (µs since 1970): itself, and what becomes
    of it.
    """
    shown = payload[:MOST_PAYLOAD].decode(errors="replace")
    return [f"{_clock(now)}  {topic}  {shown}", *explain(normalise, _raw(topic), payload, received_at=now).splitlines()]


def of_journal(message: StoredMessage, modules: frozenset[str]) -> Iterator[list[str]]:
    """Yield the lines of each envelope in a journal message; for other bytes, one block that says so."""
    stored = message.stored_ns // 1000
    try:
        envelopes = decode_envelopes(message.data)
    except ValueError as error:
        yield [f"{_clock(stored)}  {message.sequence}  no envelopes: {error}", repr(message.data[:MOST_PAYLOAD])]
        return
    for place, envelope in enumerate(envelopes):
        if not modules or envelope.module_id in modules:
            yield [_envelope(f"{message.sequence}.{place}", envelope, stored)]


def of_dead(message: StoredMessage, modules: frozenset[str]) -> Iterator[list[str]]:
    """Yield the lines of a dead letter; none if `modules` is not empty and no level of the topic is one of them."""
    dead_letter = StoredDeadLetter(
        message.sequence, message.subject.rpartition(".")[2], decode_deadletter(message.data)
    )
    if modules and modules.isdisjoint(dead_letter.topic.split("/")):
        return
    content = dead_letter.content
    kept = encode(content.envelope) if isinstance(content, WriterDeadLetter) else content.payload
    yield [line(dead_letter), f"payload    {kept[:MOST_PAYLOAD].decode(errors='replace')}"]


def _raw(topic: str) -> bytes:
    return topic.encode(errors="surrogateescape")


def _envelope(where: str, envelope: Envelope, stored: int) -> str:
    content = envelope.value if envelope.kind == "measurement" else envelope.metadata
    late = (stored - to_micros(parse_time(envelope.received_at))) / 1000
    parts = [_clock(stored), where, envelope.kind, envelope.topic, msgspec.json.encode(content).decode(), envelope.time]
    parts += [f"+{late:.1f} ms", *(["retained"] if envelope.retained else [])]
    return "  ".join([*parts, *(["server's clock"] if envelope.clock == "server" else [])])


def _clock(micros: int) -> str:
    return format_time(micros)[11:23]
