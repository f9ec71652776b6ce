"""The lines that `tap` shows for one message: from the broker, from the journal, from the dead letters."""

import pytest
from seve_ingest.normalise.normaliser import Normaliser
from seve_ingest.routing.routes import NATIVE, RouteTable
from seve_ingest.tap import lines
from seve_runtime.nats.stream_reader import StoredMessage
from seve_schema.codec import encode, join
from seve_schema.deadletter import IngestDeadLetter, WriterDeadLetter
from seve_schema.envelope import Envelope
from seve_schema.times import format_time, parse_time, to_micros

NOW = to_micros(parse_time("2025-11-30T19:00:00.5Z"))
RULES = Normaliser(RouteTable(("native", route) for route in NATIVE), retention=90 * 86400.0)


def envelope(module, **other):
    fields = {"kind": "measurement", "sensor_type": "co2", "value": 450.5, "clock": "device", **other}
    at = format_time(NOW - 2500)
    return Envelope(topic=f"{module}/co2", module_id=module, time=at, received_at=at, **fields)


def stored(data, subject="telemetry.a.measurement"):
    return StoredMessage(subject, data, 7, NOW * 1000)


def test_a_message_shows_what_becomes_of_it_and_why_it_was_repaired():
    head, *rest = lines.of_mqtt(RULES, "croissance/co2", b'{"value": "450,5"}', now=NOW)
    assert head == '19:00:00.500  croissance/co2  {"value": "450,5"}'
    assert [line.split()[0] for line in rest] == ["route", "envelope", "repaired", "repaired"]
    assert "number_in_text: a number in a string became a number" in rest[2]


@pytest.mark.parametrize(("modules", "concerned"), [((), True), (("croissance",), True), (("other",), False)])
def test_a_module_that_is_not_asked_for_is_left_out(modules, concerned):
    wanted = frozenset(modules)
    assert lines.concerns(RULES, "croissance/co2", wanted) is concerned
    data = join([encode(envelope("croissance"))])
    assert bool(list(lines.of_journal(stored(data), wanted))) is concerned


def test_each_envelope_of_a_journal_message_has_its_place_and_its_delay():
    data = join([encode(envelope("a")), encode(envelope("b", clock="server", retained=True))])
    [[first], [second]] = lines.of_journal(stored(data), frozenset())
    assert first == "19:00:00.500  7.0  measurement  a/co2  450.5  2025-11-30T19:00:00.497500Z  +2.5 ms"
    assert second.endswith("+2.5 ms  retained  server's clock")
    [[told, raw]] = lines.of_journal(stored(b"{"), frozenset())
    assert "no envelopes" in told
    assert raw == "b'{'"


def test_a_dead_letter_shows_its_reason_and_its_payload():
    dead_letter = IngestDeadLetter(
        topic="croissance/co2",
        payload=b"warm",
        size=4,
        digest="",
        reason="not_a_number",
        error="co2 is no number",
        received_at=format_time(NOW),
    )
    dead = stored(encode(dead_letter), "deadletter.ingest.not_a_number")
    [[head, payload]] = lines.of_dead(dead, frozenset({"croissance"}))
    assert "ingest/not_a_number" in head
    assert payload == "payload    warm"
    assert list(lines.of_dead(dead, frozenset({"other"}))) == []
    refused = WriterDeadLetter(
        envelope=envelope("a"), position="1-1", index=0, sqlstate="23514", error="x", failed_at=format_time(NOW)
    )
    [[head, payload]] = lines.of_dead(stored(encode(refused), "deadletter.writer.23514"), frozenset())
    assert "writer/23514" in head
    assert '"value":450.5' in payload
