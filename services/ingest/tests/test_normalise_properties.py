"""Properties of the normalisation for arbitrary topics and payloads; and both of its paths agree."""

import math

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from seve_ingest.normalise.coerce import REPAIRS
from seve_schema.codec import encode
from seve_schema.times import format_time, parse_time, to_micros
from support.rules import DAY, NOW, normalise, only, rules

LEVELS = [
    "m",
    "co2",
    "system",
    "config",
    "status",
    "sensors",
    "hardware",
    "logs",
    "",
    "é\x00",
    "x" * 130,
    "$SYS",
    "broker",
    "tele",
]
LEVELS += ["zigbee2mqtt", "SENSOR", "STATE", "sensor", "state", "availability", "bridge"]
KEYS = ["value", "time", "co2", "rssi", "values", "v", "t0", "dt", "n", "bn", "bt", "bv", "t", "vs", "vb", "sensors"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["ON", "450,5", "1e999", ""]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(KEYS), inner),
)
TOPICS = st.binary(max_size=300) | st.lists(st.sampled_from(LEVELS), max_size=5).map(
    lambda each: "/".join(each).encode()
)
PAYLOADS = st.binary() | JSON.map(lambda value: msgspec.json.encode(_without_surrogates(value)))


def _without_surrogates(value):
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value


EVERY = rules("esphome", "tasmota", "zigbee2mqtt", ranges={"co2": (0.0, 5000.0)})


@pytest.mark.slow
@given(topic=TOPICS, payload=PAYLOADS, retained=st.booleans())
@example(topic=b"$SYS/broker/publish/messages/dropped", payload=b"9" * 310, retained=False)
@example(topic=b"$SYS", payload=b"", retained=True)
@example(topic=b"/" * 65_535, payload=b"1", retained=False)
@example(topic=b"m/co2", payload=b'[{"n":"a","t":1e308,"bt":1e308,"v":1e308,"bv":1e308}]', retained=False)
@example(topic=b"m/co2", payload=b'{"t0":"2025-11-30T19:00:00Z","dt":1e300,"v":[1,2]}', retained=False)
@example(topic=b"m/co2", payload=b'{"value":1,"time":-1e308}', retained=False)
@settings(max_examples=500, deadline=None)
def test_any_topic_and_bytes_end_in_one_verdict(topic, payload, retained):
    """Envelopes that every part of Sève can hold, or a reason; never an exception, and never neither."""
    verdict = EVERY(topic, payload, received_at=NOW, retained=retained, key="key")
    assert bool(verdict.envelopes) or (verdict.rejection is not None) != (verdict.ignored is not None)
    assert set(verdict.repairs) <= set(REPAIRS)
    for data, envelope in zip(verdict.encoded, verdict.envelopes, strict=True):
        assert data == encode(envelope)
        assert verdict.kind == envelope.kind
        assert envelope.value is None or math.isfinite(envelope.value)
        assert NOW - 90 * DAY <= to_micros(parse_time(envelope.time)) <= NOW + 600_000_000
        assert (envelope.kind == "measurement") == (envelope.sensor_type is not None)
        assert "\x00" not in encode(envelope).decode().replace("\\u0000", "\x00")


NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70)
TIMES = st.integers(NOW - 100 * DAY, NOW + DAY).flatmap(
    lambda micros: st.sampled_from(
        [
            f'"{format_time(micros)}"',
            f'"{format_time(micros)[:19]}Z"',
            f'"{format_time(micros)[:23]}Z"',
            f'"{format_time(micros)[:22]}Z"',
            f'"{format_time(micros)[:-1]}+01:00"',
            f'"{format_time(micros)[:19]}"',
            f"{micros / 1e6}",
            f"{micros // 1000}",
            '"2025-11-30T19:00:00.1234567Z"',
            '"2025-11-30T19:00:00.Z"',
            '"2025-11-30T19:00:00.+1Z"',
            '"2025-11-30T19:00:00.12٣Z"',
            '"2025-02-30T19:00:00Z"',
            '"0001-01-01T00:00:00Z"',
            "null",
            "0",
            "-5",
        ]
    )
)


@pytest.mark.slow
@given(value=NUMBERS, time=TIMES | st.none(), bare=st.booleans())
@settings(max_examples=500, deadline=None)
def test_both_paths_give_the_same_bytes(value, time, bare):
    """The fast path takes payloads of up to 128 bytes: with spaces appended, the other path reads the same payload."""
    text = str(value)
    if time is not None or not bare:
        text = f'{{"value":{value}' + (f',"time":{time}}}' if time is not None else "}")
    fast, careful = (normalise("m/co2", payload, key="k") for payload in (text.encode(), text.encode() + b" " * 128))
    assert fast == careful


@pytest.mark.parametrize(
    "payload",
    [
        b"450.5",
        b" 7\n",
        b'{"value":1e-7}',
        b'{"value":450.5,"time":"2025-11-30T19:00:00Z"}',
        b'{"value":1,"time":null}',
    ],
)
@pytest.mark.parametrize("topic", ["m/co2", 'quoted"\\/,"value":null,', "serre é/dht22/température", "m\x01/co2"])
def test_a_plain_sample_is_encoded_like_any_envelope(topic, payload):
    """The bytes of the fast path are those of the codec, whatever the topic."""
    verdict = normalise(topic, payload, key="0a1b")
    assert verdict.encoded == (encode(only(verdict)),)
    assert only(verdict).topic == topic
