"""Turns reports and log lines into patches of their tables, ordered by journal position, without patches that a newer
one covers. No clock decides which report is newer. A patch changes only the columns that its report carried. Writes no
SQL.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET
from seve_schema.codec import encode
from seve_schema.device_reports import HardwareConfig, Presence, SensorConfig, SensorStatus, SystemConfig, SystemStatus

from seve_writer.decode import LogLine, Report

Place = tuple[int, int, int]
"""Journal, sequence and index in the message. The greater of two places is the newer report."""


class Patch(NamedTuple):
    """The columns of one row that one report sets. `position` names the column that guards them."""

    table: str
    key: tuple[str | Place, ...]
    position: str
    place: Place
    retained: bool
    updated_at: str
    columns: dict[str, Any]


_SYSTEM_STATUS: Final = {"rssi": "rssi"}
_SYSTEM_CONFIG: Final = {"chip_id": "chip_id", "ip": "ip", "mac": "mac", "uptime_start": "uptime_start"}
_STATUS_MEMORY: Final = {"heap_free_kb": "heap_free_kb", "heap_min_free_kb": "heap_min_free_kb"}
_CONFIG_MEMORY: Final = {"heap_total_kb": "heap_total_kb"}
_FLASH: Final = {"used_kb": "flash_used_kb", "free_kb": "flash_free_kb", "system_kb": "flash_system_kb"}
_CHIP: Final = {
    "model": "chip_model",
    "rev": "chip_rev",
    "cpu_freq_mhz": "cpu_freq_mhz",
    "flash_kb": "flash_kb",
    "cores": "cores",
}
_SENSOR_STATUS: Final = {"status": "status", "value": "value"}
_SENSOR_CONFIG: Final = {"interval": "interval_seconds", "model": "model", "enabled": "enabled"}
_PRESENCE: Final = {"status": "status"}
_LOG_KEYS: Final = {"level", "msg", "time"}
MAX_LEVEL: Final = 32
"""Characters of a log line's level that are kept."""


def patches(report: Report[Any], place: Place) -> list[Patch]:
    """Return the patches of one report: one for its module, or one for each sensor it names."""
    module, when, retained = report.module_id, report.received_at, report.retained

    def patch(table: str, columns: dict[str, Any], position: str = "position", *key: str) -> Patch:
        return Patch(table, (module, *key), position, place, retained, when, columns)

    match report.metadata:
        case SystemStatus() as body:
            columns = _set(body, _SYSTEM_STATUS) | _set(body.memory, _STATUS_MEMORY)
            return [patch("device_system_status", columns, "status_position")]
        case SystemConfig() as body:
            columns = _set(body, _SYSTEM_CONFIG) | _set(body.flash, _FLASH) | _set(body.memory, _CONFIG_MEMORY)
            return [patch("device_system_status", columns, "config_position")]
        case HardwareConfig() as body:
            return [patch("device_hardware", _set(body.chip, _CHIP))]
        case Presence() as body:
            return [patch("device_presence", _set(body, _PRESENCE))]
        case dict() as sensors:
            return [row for sensor, body in sensors.items() for row in _of_sensor(patch, sensor, body)]
        case _:
            return []


def log_line(line: LogLine, place: Place) -> Patch:
    """Return the patch for one line of a log. The place is part of its key, so lines never replace each other. A body
    that has other fields than a level, a text and a time is kept whole, as JSON.
    """
    body = line.metadata or {}
    level, text = body.get("level"), body.get("msg")
    whole = not isinstance(text, str) or not body.keys() <= _LOG_KEYS
    columns = {
        "time": line.time,
        "level": level[:MAX_LEVEL] if isinstance(level, str) else None,
        "message": encode(body).decode() if whole else text,
    }
    return Patch("device_logs", (line.module_id, place), "position", place, False, line.received_at, columns)


def _of_sensor(patch: Any, sensor: str, body: SensorStatus | SensorConfig | None) -> Iterator[Patch]:
    if isinstance(body, SensorStatus):
        yield patch("sensor_status", _set(body, _SENSOR_STATUS), "position", sensor)
    elif isinstance(body, SensorConfig):
        yield patch("sensor_config", _set(body, _SENSOR_CONFIG), "position", sensor)


def _set(body: msgspec.Struct | msgspec.UnsetType | None, columns: dict[str, str]) -> dict[str, Any]:
    """Return the columns that a body carries. A group that is null sets each of its columns to null."""
    if body is UNSET:
        return {}
    if body is None:
        return dict.fromkeys(columns.values())
    return {column: value for field, column in columns.items() if (value := getattr(body, field)) is not UNSET}


def rounds(everything: Iterable[Patch]) -> list[list[Patch]]:
    """Return the patches in rounds, to be applied oldest first. A round has at most one patch per row and position
    column, sorted by key.

    There is nearly always one round. A patch is left out if newer ones set all of its columns. A retained patch applies
    only to a row that does not exist yet, so it is left out unless it is the first of its row.
    """
    chains: dict[tuple[str, tuple[str | Place, ...], str], list[Patch]] = {}
    for patch in sorted(everything, key=lambda patch: patch.place):
        chains.setdefault((patch.table, patch.key, patch.position), []).append(patch)
    result: list[list[Patch]] = []
    for _, chain in sorted(chains.items()):
        for depth, patch in enumerate(_uncovered(chain)):
            if depth == len(result):
                result.append([])
            result[depth].append(patch)
    return result


def _uncovered(chain: list[Patch]) -> list[Patch]:
    """Return the patches of one row that set a column which no newer patch sets. Both lists are oldest first."""
    news = [patch for place, patch in enumerate(chain) if place == 0 or not patch.retained]
    kept: list[Patch] = []
    covered: set[str] = set()
    for patch in reversed(news):
        if not kept or not covered.issuperset(patch.columns):
            kept.append(patch)
            covered |= patch.columns.keys()
    return kept[::-1]
