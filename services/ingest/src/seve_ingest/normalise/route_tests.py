"""Runs the tests of a route file: normalises each message, and compares its outcome with the expectation. Pure."""

from typing import Any, Final

import msgspec
from seve_schema.times import parse_time, to_micros

from seve_ingest.normalise.normaliser import Normaliser
from seve_ingest.normalise.verdict import Verdict
from seve_ingest.routing.route_file import Expected, RouteTest

_FIELDS: Final = {"module": "module_id", "sensor": "sensor_type", "hardware": "hardware_id"}
"""Names in a test that differ from those of the envelope."""


def failures(normalise: Normaliser, tests: list[tuple[int, RouteTest]], *, now: int) -> list[str]:
    """Return a text for each test that fails, with the line on which it begins. `now` is in microseconds since 1970."""
    texts = []
    for line, test in tests:
        try:
            received_at = to_micros(parse_time(test.received_at)) if test.received_at else now
        except (ValueError, TypeError):
            texts.append(f"{line}: received_at: {test.received_at!r} is not a time such as 2025-11-30T19:00:00Z")
            continue
        verdict = normalise(test.topic.encode(), test.payload.encode(), received_at=received_at, retained=test.retained)
        if fault := _fault(test.expect, verdict):
            texts.append(f"{line}: test: {test.topic} {test.payload[:60]}: {fault}")
    return texts


def _fault(expect: str | Expected | list[Expected], verdict: Verdict) -> str | None:
    outcome = verdict.rejection.reason if verdict.rejection else verdict.ignored
    if isinstance(expect, str):
        return None if expect == outcome else f"expected {expect}, got {outcome or _count(verdict)}"
    expected = [expect] if isinstance(expect, Expected) else expect
    envelopes = verdict.envelopes
    if len(expected) != len(envelopes):
        got = f"{outcome}, " if outcome else ""
        return f"expected {len(expected)} envelopes, got {got}{_count(verdict)}"
    for wanted, envelope in zip(expected, envelopes, strict=True):
        for name, value in msgspec.structs.asdict(wanted).items():
            actual = getattr(envelope, _FIELDS.get(name, name))
            if value is not msgspec.UNSET and not _equal(name, value, actual):
                return f"expected {name} = {value!r}, got {actual!r}"
    return None


def _equal(name: str, wanted: Any, actual: Any) -> bool:
    if name == "time":
        try:
            return to_micros(parse_time(wanted)) == to_micros(parse_time(actual))
        except (ValueError, TypeError):
            return False
    return actual is None if name == "value" and wanted == "null" else bool(wanted == actual)


def _count(verdict: Verdict) -> str:
    return f"{len(verdict.encoded)} envelopes" + (f" of {verdict.kind}" if verdict.encoded else "")
