"""The wire format is fixed to the byte, and its texts can be read back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seve_schema.codec import decode_envelopes, encode, join, split
from seve_schema.deadletter import IngestDeadLetter, WriterDeadLetter, decode_deadletter
from seve_schema.envelope import Envelope
from seve_schema.position import Position, PositionError, Token
from seve_schema.times import format_time, parse_time, to_micros

CO2 = Envelope(
    topic="croissance/co2",
    module_id="croissance",
    kind="measurement",
    sensor_type="co2",
    value=450.5,
    time="2025-11-30T19:00:00.000000Z",
    clock="device",
    received_at="2025-11-30T19:00:00.012345Z",
    delivery_key="9f86d081884c7d65:0",
)


def test_an_envelope_is_encoded_with_every_field_in_order():
    """Names are camelCase; null fields are present."""
    expected = (
        '{"topic":"croissance/co2","moduleId":"croissance","kind":"measurement","sensorType":"co2","hardwareId":null,'
        '"value":450.5,"time":"2025-11-30T19:00:00.000000Z","clock":"device","receivedAt":"2025-11-30T19:00:00.012345Z",'
        '"metadata":null,"deliveryKey":"9f86d081884c7d65:0","retained":false}'
    )
    assert expected.encode() == encode(CO2)


def test_a_message_is_an_array_of_envelopes():
    """It is joined from encoded envelopes, and read back as structs or as bytes."""
    message = join([encode(CO2), encode(CO2)])
    assert decode_envelopes(message) == [CO2, CO2]
    assert [encode(CO2), encode(CO2)] == [bytes(part) for part in split(message)]


def test_an_unknown_field_is_ignored():
    """A newer ingest may send fields that an older reader does not know."""
    newer = json.dumps([{**json.loads(encode(CO2)), "newField": 1}]).encode()
    assert decode_envelopes(newer) == [CO2]


@given(st.integers(0, 4_000_000_000_000_000))
def test_a_time_survives_the_wire(micros):
    """The width is fixed, so times sort as text; microseconds are kept."""
    text = format_time(micros)
    assert len("2025-11-30T19:00:00.000000Z") == len(text)
    assert micros == to_micros(parse_time(text))


@given(st.integers(0, 2**62), st.integers(0, 2**62), st.integers(0, 255))
def test_a_resume_token_is_reversible(journal, sequence, index):
    """A client sends back the token that it got."""
    token = Token(Position(journal, sequence), index)
    assert token == Token.parse(str(token))


@pytest.mark.parametrize("text", ["", "-", "1", "1-2", "1-2-", "1--2", "x-1-2", "1-2-3-4", "1-2-" + "f" * 17, "-1-2-3"])
def test_a_forged_token_is_refused(text):
    """Clients send tokens, so any text may arrive."""
    with pytest.raises(PositionError):
        Token.parse(text)


def test_a_dead_letter_is_decoded_by_its_service():
    """One decoder reads every type of dead letter in the stream."""
    refused = IngestDeadLetter(
        topic="a/b", payload=b"\xff{", size=2, digest="00", reason="malformed", error="not JSON", received_at=CO2.time
    )
    unstored = WriterDeadLetter(
        envelope=CO2, position="1-2", index=0, sqlstate="23514", error="check", failed_at=CO2.time
    )
    assert [refused, unstored] == [decode_deadletter(encode(refused)), decode_deadletter(encode(unstored))]
