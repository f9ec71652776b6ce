"""The normalisation with the routes of the presets, at a fixed time of receipt."""

from seve_ingest.normalise.normaliser import Normaliser, Verdict
from seve_ingest.routing.routes import PRESETS, RouteTable
from seve_schema.envelope import Envelope
from seve_schema.times import parse_time, to_micros

NOW = to_micros(parse_time("2025-11-30T19:00:00.012345Z"))
DAY = 86_400_000_000
RETENTION = 90 * DAY


def rules(*presets, file=(), **options):
    """Return a normaliser with the routes of a file, then these presets, then `native`."""
    routes = [("file", route) for route in file]
    routes += [(name, route) for name in (*presets, "native") for route in PRESETS[name]]
    return Normaliser(RouteTable(routes), retention=90 * 86400.0, **options)


NATIVE = rules()


def normalise(topic, payload, **options) -> Verdict:
    """Return the verdict on one message with the native routes."""
    name = topic if isinstance(topic, bytes) else topic.encode()
    return NATIVE(name, payload, **{"received_at": NOW, **options})


def only(verdict) -> Envelope:
    """Return the only envelope of a verdict."""
    [envelope] = verdict.envelopes
    return envelope
