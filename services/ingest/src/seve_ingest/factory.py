"""Builds the route table and the normaliser from the settings. Routes of the file come first, then those of the
presets, then `native`.
"""

from pathlib import Path
from typing import Final

import msgspec
from seve_runtime.clock import micros
from seve_runtime.errors import SettingsError
from seve_runtime.units import DAY

from seve_ingest.normalise.normaliser import Normaliser
from seve_ingest.normalise.route_tests import failures
from seve_ingest.routing import route_file
from seve_ingest.routing.route_file import RouteFile
from seve_ingest.routing.routes import PRESETS, RouteTable
from seve_ingest.settings import RuleSettings

EVER: Final = 10_000 * 365.0 * DAY
"""Seconds used for RETENTION=0: no sample is too old."""


def read_route_file(settings: RuleSettings) -> RouteFile:
    """Return the route file, empty if ROUTES_FILE is not set. Raises SettingsError with every fault of the file."""
    if not settings.routes_file:
        return RouteFile([], [])
    path = Path(settings.routes_file)
    try:
        return route_file.parse(path.read_text(encoding="utf-8"), str(path))
    except route_file.RouteFileError as error:
        raise SettingsError([f"ROUTES_FILE: {fault}" for fault in error.faults]) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"ROUTES_FILE = {settings.routes_file!r}: {error}"]) from error


def route_table(settings: RuleSettings) -> RouteTable:
    """Return the routes in the order in which they are tried. Raises SettingsError."""
    own = read_route_file(settings).routes
    routes = [(Path(settings.routes_file or "").name, route) for route in own]
    presets = [*(name for name in settings.route_presets if name != "native"), "native"]
    routes += [(name, route) for name in presets for route in PRESETS[name]]
    return RouteTable(routes)


def normaliser(settings: RuleSettings) -> Normaliser:
    """Return the normaliser for these settings. Raises SettingsError."""
    return Normaliser(
        route_table(settings),
        retention=settings.retention or EVER,
        ranges=settings.ranges(),
        prefix=settings.mqtt_topic_prefix,
    )


def with_routes_file(settings: RuleSettings, path: str) -> RuleSettings:
    """Return the settings with another route file."""
    return msgspec.structs.replace(settings, routes_file=path)


def run_route_tests(settings: RuleSettings) -> int:
    """Run the tests in the route file; return their number. Raises SettingsError with every failure."""
    tests = read_route_file(settings).tests
    failed = failures(normaliser(settings), tests, now=micros())
    if failed:
        raise SettingsError([f"ROUTES_FILE: {settings.routes_file}:{fault}" for fault in failed])
    return len(tests)
