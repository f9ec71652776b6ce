"""What `tap` shows of one message: as it arrived with what becomes of it, as an envelope, or as a dead letter. Pure."""

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
"""Bytes of a payload that are looked at for showing; lines are cut to the terminal besides."""


def concerns(normalise: Normaliser, topic: str, modules: frozenset[str]) -> bool:
    """Tell whether a topic is one of `modules`, or any is wanted."""
    return not modules or normalise.place(_raw(topic)).module_id in modules


def of_mqtt(normalise: Normaliser, topic: str, payload: bytes, *, now: int) -> list[str]:
    """Lines of a message that the broker delivered at `now` (µs): the message, and what becomes of it."""
    shown = payload[:MOST_PAYLOAD].decode(errors="replace")
    return [f"{_clock(now)}  {topic}  {shown}", *explain(normalise, _raw(topic), payload, received_at=now).splitlines()]


def of_journal(message: StoredMessage, modules: frozenset[str]) -> Iterator[list[str]]:
    """Lines of each envelope of a journal message; of bytes that are none, one block that says so."""
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
    """Lines of a dead letter; none where no level of its topic is one of `modules`, if any."""
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
