"""Reads the logs of the stack's programs: JSON lines of ours, plain lines of the servers'. Writes none."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from seve_runtime.terminal import visible

TAIL_BYTES: Final = 256 * 1024
_ASIDE: Final = frozenset({"event", "level", "timestamp", "service"})


def last_lines(path: Path, count: int, since: int = 0) -> list[str]:
    """Return the last lines of a file that may be large or missing; none before byte `since`, unless the file
    shrank.
    """
    try:
        with path.open("rb") as file:
            end = file.seek(0, 2)
            file.seek(max(0, end - TAIL_BYTES, since if since <= end else 0))
            return file.read().decode(errors="replace").splitlines()[-count:]
    except FileNotFoundError:
        return []


def tail(path: Path, count: int = 15, since: int = 0) -> str:
    """Return the end of a log for a person, from byte `since`: each line indented, JSON as text."""
    lines = last_lines(path, count, since)
    return "\n".join(f"    {readable(line)}" for line in lines) or "    (nothing in its log)"


def readable(line: str) -> str:
    """Return one line for a person: time, level and event first, then the other fields. Lines of other programs are
    kept, without control characters for the terminal: servers log names that devices chose.
    """
    event = parsed(line)
    return visible(line) if event is None else told(event)


def told(event: dict[str, Any]) -> str:
    """Return one event as text for a person."""
    rest = " ".join(f"{key}={_shown(value)}" for key, value in event.items() if key not in _ASIDE)
    clock = str(event.get("timestamp", ""))[11:23]
    return visible(f"{clock} {event.get('level', ''):<7} {event.get('event', '')} {rest}".rstrip())


def parsed(line: str) -> dict[str, Any] | None:
    """Return the event of a JSON line, or None for any other line."""
    if not line.startswith("{"):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def is_error(event: dict[str, Any]) -> bool:
    """Whether an event is of level error or critical."""
    return event.get("level") in _BAD


def errors(path: Path, count: int) -> Iterator[dict[str, Any]]:
    """Return the last events of level error or critical in a service's log, oldest first."""
    found = [event for line in last_lines(path, 10_000) if (event := parsed(line)) and is_error(event)]
    yield from found[-count:]


_BAD: Final = frozenset({"error", "critical"})


def _shown(value: object) -> str:
    if isinstance(value, str) and value and " " not in value:
        return value
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 400 else f"{text[:400]}…"
