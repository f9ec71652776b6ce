"""Requests of the broadcaster to the history service over NATS request/reply, and their subjects.

An answer is the JSON for the client, with the header `POSITION`. A refusal has no body and the two headers that NATS
services use for errors: the code is an HTTP status, the text gives the reason in one line.
"""

from typing import Final

import msgspec

SERIES_SUBJECT: Final = "history.series"
MODULE_SUBJECT: Final = "history.module"
LOGS_SUBJECT: Final = "history.logs"
QUEUE: Final = "history"
"""The queue group: each request goes to one of the running history services."""

POSITION: Final = "Seve-Position"
"""The journal position up to which the answer contains every message."""
ERROR_CODE: Final = "Nats-Service-Error-Code"
ERROR_TEXT: Final = "Nats-Service-Error"


class SeriesRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Asks for the samples of a module in [`start`, `end`), microseconds since 1970, as at most `points` points per
    series.

    With `open` the range extends to the newest sample in the database, at most an hour past `end`: it includes samples
    that arrived after `end`, and samples of devices whose clock is ahead. None as `sensor` or `hardware` selects all;
    "" as `hardware` selects samples without one. `journal` is the creation time of the journal that the broadcaster
    follows; the answer's position is one in that journal.
    """

    module: str
    sensor: str | None = None
    hardware: str | None = None
    start: int
    end: int
    open: bool = False
    points: int
    journal: int


class ModuleRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Asks for the states and the series of a module; `journal` as above."""

    module: str
    journal: int


class LogsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Asks for the newest `most` lines of a module's log in [`start`, `end`), microseconds since 1970; `journal` as
    above.

    Only lines of `level` that contain `text`, in upper or lower case; None selects all.
    """

    module: str
    level: str | None = None
    text: str | None = None
    start: int
    end: int
    most: int
    journal: int
