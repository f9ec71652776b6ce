"""Reads many samples of one sensor from one message, which a device stored while it was offline. There are three forms.

    [{"value": 1, "time": "2025-11-30T19:00:00Z"}, ...]        `objects`
    {"values": [["2025-11-30T19:00:00Z", 1], ...]}             `pairs`
    {"t0": "2025-11-30T19:00:00Z", "dt": 10, "v": [1, ...]}    `series`, `dt` in seconds

Either all samples are read or none: a faulty one raises lenient_json.Malformed, which names its index, from 0.
"""

from typing import Any, Final

from seve_ingest.normalise import coerce
from seve_ingest.normalise.coerce import Notes
from seve_ingest.normalise.lenient_json import Malformed
from seve_ingest.normalise.samples import MAX_SAMPLES, Sample, own_sample, time_of
from seve_ingest.normalise.timestamps import After
from seve_ingest.routing.routes import Match

_LONGEST_STEP: Final = 86_400.0 * 366


def objects(match: Match, items: list[dict[str, Any]], notes: Notes) -> list[Sample]:
    """Return the samples of an array of objects, each with the route's value and time."""
    route = match.route
    result = []
    for place, item in enumerate(items):
        if route.value not in item:
            raise Malformed(f"sample {place} has no {route.value!r}")
        others = {key: more for key, more in item.items() if key != route.value and key not in route.time}
        result.append(own_sample(match, item[route.value], time_of(route, item), others or None, notes))
    return result


def pairs(match: Match, body: dict[str, Any], notes: Notes) -> list[Sample]:
    """Return the samples of `{"values": [[time, value], ...]}`. Other keys become metadata of the last sample."""
    result = []
    for place, pair in enumerate(bounded(body["values"])):
        if not isinstance(pair, list) or len(pair) != 2:
            raise Malformed(f"sample {place} is not [time, value]")
        result.append(own_sample(match, pair[1], pair[0], None, notes))
    return _described(result, body, ("values",))


def series(match: Match, body: dict[str, Any], notes: Notes) -> list[Sample]:
    """Return the samples of `{"t0", "dt", "v"}`; without `t0` the last sample is from the time of receipt. Other keys
    become metadata of the last sample.
    """
    values = bounded(body["v"])
    step = coerce.number(body["dt"], notes)
    if step is None or not 0 < step <= _LONGEST_STEP:
        raise Malformed("dt is not a positive number of seconds")
    start, first = (body["t0"], 0) if "t0" in body else (0, 1 - len(values))
    result = [
        own_sample(match, value, After(start, round(place * step * 1e6)), None, notes)
        for place, value in enumerate(values, first)
    ]
    return _described(result, body, ("t0", "dt", "v"))


def bounded(items: list[Any]) -> list[Any]:
    """Return `items`. Raises Malformed if a message may not have as many samples."""
    if len(items) > MAX_SAMPLES:
        raise Malformed(f"{len(items)} samples, at most {MAX_SAMPLES}")
    return items


def _described(result: list[Sample], body: dict[str, Any], keys: tuple[str, ...]) -> list[Sample]:
    """Add the other keys of the body to the last sample only: on each of 256 samples they would multiply in size."""
    others = {key: item for key, item in body.items() if key not in keys}
    if result and others:
        result[-1] = result[-1]._replace(metadata=others)
    return result
