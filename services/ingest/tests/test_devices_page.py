"""The tables of docs/devices.md are correct: each of their rows is normalised here."""

import json
from pathlib import Path

import pytest
from seve_ingest.normalise.normaliser import Normaliser
from seve_ingest.routing.routes import PRESETS, RouteTable
from seve_schema.times import parse_time, to_micros

PAGE = (Path(__file__).parent.parent.parent.parent / "docs" / "devices.md").read_text(encoding="utf-8")
RECEIVED = to_micros(parse_time("2025-11-30T19:00:05Z"))


def rows(name):
    """Return the rows of a table of the page, with cells without backticks."""
    lines = PAGE.split(f"<!-- checked: {name} -->\n")[1].split("\n\n")[0].splitlines()[2:]
    assert lines
    return [tuple(cell.replace("`", "").strip() for cell in line.strip("|").split("|")) for line in lines]


def read(topic, payload, *presets):
    routes = [(name, route) for name in (*presets, "native") for route in PRESETS[name]]
    normalise = Normaliser(RouteTable(routes), retention=90 * 86400.0)
    return normalise(topic.encode(), payload.encode(), received_at=RECEIVED)


@pytest.mark.parametrize(("topic", "payload", "kind", "_stored"), rows("topics"))
def test_topics(topic, payload, kind, _stored):
    topic = topic.format(module="croissance", hardware="dht22", sensor="temperature")
    verdict = read(topic, payload)
    [envelope] = verdict.envelopes
    assert (envelope.module_id, envelope.kind) == ("croissance", kind)
    assert (envelope.hardware_id == "dht22") == ("/dht22/" in topic)
    assert verdict.rejection is None
    assert set(verdict.repairs) <= {"time_missing"}


@pytest.mark.parametrize(("payload", "value", "repair"), rows("values"))
def test_values(payload, value, repair):
    verdict = read("croissance/co2", payload)
    [envelope] = verdict.envelopes
    assert envelope.value == json.loads(value)
    assert set(verdict.repairs) - {"time_missing"} == set(repair.split(", ") if repair else ())


@pytest.mark.parametrize(("payload", "time", "repair"), rows("times"))
def test_times(payload, time, repair):
    verdict = read("croissance/co2", payload)
    [envelope] = verdict.envelopes
    assert to_micros(parse_time(envelope.time)) == to_micros(parse_time(time))
    assert list(verdict.repairs) == ([repair] if repair else [])
    relative = '"time": -' in payload
    assert envelope.clock == ("server" if repair or relative else "device")


@pytest.mark.parametrize(("payload", "values", "span"), rows("batches"))
def test_batches(payload, values, span):
    envelopes = read("croissance/co2", payload).envelopes
    assert [envelope.value for envelope in envelopes] == json.loads(values)
    times = [to_micros(parse_time(envelope.time)) for envelope in envelopes]
    assert [times[0], times[-1]] == [to_micros(parse_time(time)) for time in span.split(", ")]


@pytest.mark.parametrize(("topic", "payload", "reason"), rows("refused"))
def test_refused(topic, payload, reason):
    verdict = read(topic, payload)
    assert verdict.rejection.reason == reason
    assert list(verdict.envelopes) == []


@pytest.mark.parametrize(("preset", "topic", "payload", "module", "sensor", "value"), rows("presets"))
def test_presets(preset, topic, payload, module, sensor, value):
    [envelope] = read(topic, payload, preset).envelopes
    assert (envelope.module_id, envelope.sensor_type, envelope.value) == (module, sensor, json.loads(value))
