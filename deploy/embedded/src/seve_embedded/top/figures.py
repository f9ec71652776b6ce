"""The figures of one reading of the stack, and the differences of two readings. Pure."""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

Samples = dict[str, float]
"""Samples of a scrape, by name with labels as Prometheus writes them."""

_ENDLESS: Final = float("inf")


class Stream(msgspec.Struct, frozen=True):
    """A stream of NATS: sizes in bytes, a limit of 0 or less is none."""

    name: str
    messages: int
    size: int
    limit: int
    last: int


class ClientFigures(msgspec.Struct, frozen=True, rename="camel"):
    """A WebSocket client as the broadcaster describes it."""

    address: str
    pace: str
    queue_bytes: int
    missed: int
    behind: int
    subscriptions: int


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """All answers of one moment, `at` in seconds. A part that did not answer is missing, and named in `silent`.

    `services` are scrapes by the service's kind (`ingest`, `writer`, `broadcaster`); `modules` counts envelopes by
    module in the newest messages of the journal; `dead` counts dead letters by subject; `errors` are program and text.
    """

    at: float
    clock: str
    services: dict[str, list[Samples]] = {}
    streams: list[Stream] = []
    lag: int = 0
    modules: dict[str, int] = {}
    clients: list[ClientFigures] = []
    dead: dict[str, int] = {}
    errors: list[tuple[str, str]] = []
    silent: dict[str, str] = {}


def parse(text: str) -> Samples:
    """Parse metrics in Prometheus' text format; skip all other lines."""
    samples: Samples = {}
    for line in text.splitlines():
        name, _, value = line.rpartition(" ")
        if name and not line.startswith("#"):
            try:
                samples[name] = float(value)
            except ValueError:
                continue
    return samples


def total(scrapes: Iterable[Samples], name: str, *labels: str) -> float:
    """Sum a metric over scrapes. A sample counts if it has any of the `labels`, texts such as `outcome="dead"`."""
    return sum(
        value
        for scrape in scrapes
        for sample, value in scrape.items()
        if sample.partition("{")[0] == name and (not labels or any(label in sample for label in labels))
    )


def largest(scrapes: Iterable[Samples], name: str) -> float:
    """Return the largest value of a metric with which all processes describe the same thing; 0 if there is none."""
    return max((scrape.get(name, 0.0) for scrape in scrapes), default=0.0)


def rate(before: float, now: float, seconds: float) -> float:
    """Return the rate per second; a counter that restarted counts from 0."""
    return (now - before if now >= before else now) / seconds if seconds > 0 else 0.0


def quantile(before: Iterable[Samples], now: Iterable[Samples], name: str, share: float) -> float | None:
    """Return the lowest bound of a histogram that is not below the given `share` of the values between two looks; None
    if there were no values.

    `inf` means more than the largest bound.
    """
    earlier = _buckets(before).get(name, {})
    risen = {bound: max(0.0, count - earlier.get(bound, 0.0)) for bound, count in _buckets(now).get(name, {}).items()}
    if not risen or not risen.get(_ENDLESS):
        return None
    wanted = share * risen[_ENDLESS]
    return min(bound for bound, count in risen.items() if count >= wanted)


def _buckets(scrapes: Iterable[Samples]) -> dict[str, dict[float, float]]:
    """Return cumulative counts by bound, summed over all scrapes."""
    found: dict[str, dict[float, float]] = {}
    for scrape in scrapes:
        for sample, value in scrape.items():
            name, bar, labels = sample.partition('_bucket{le="')
            if bar:
                bounds = found.setdefault(name, {})
                bound = float(labels.rstrip('"}').replace("+Inf", "inf"))
                bounds[bound] = bounds.get(bound, 0.0) + value
    return found


def shares(modules: Mapping[str, int], most: int) -> list[tuple[str, float]]:
    """Return the modules with the most envelopes, and their shares."""
    whole = sum(modules.values())
    ordered = sorted(modules.items(), key=lambda pair: (-pair[1], pair[0]))
    return [(name, count / whole) for name, count in ordered[:most]]
