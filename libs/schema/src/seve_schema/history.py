"""What the broadcaster asks the history service over NATS request/reply, and where.

An answer is the JSON that a client is given, with the header `POSITION`. A refusal has no body and the two headers that
services on NATS use for errors: the code is an HTTP status, the text says why in one line.
"""

from typing import Final

import msgspec

SERIES_SUBJECT: Final = "history.series"
MODULE_SUBJECT: Final = "history.module"
LOGS_SUBJECT: Final = "history.logs"
QUEUE: Final = "history"
"""The queue group: each question goes to one of the services that run."""

POSITION: Final = "Seve-Position"
"""The journal position up to which every message is contained in the answer."""
ERROR_CODE: Final = "Nats-Service-Error-Code"
ERROR_TEXT: Final = "Nats-Service-Error"


class SeriesRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The samples of a module in [`start`, `end`), microseconds since 1970, in at most `points` points a series.

    With `open` it ends where the database does: samples that came since `end`, or whose device's clock is ahead, belong
    to it. `sensor` and `hardware` None are all; `hardware` "" is none. `journal` is when the journal that the asker
    follows was created: the answer's position is in that one.
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
    """What is known of a module; `journal` as above."""

    module: str
    journal: int


class LogsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The newest `most` lines of a module's log in [`start`, `end`), microseconds since 1970; `journal` as above.

    `level` is that of the lines; `text` is what their text contains, whatever its case. None is any.
    """

    module: str
    level: str | None = None
    text: str | None = None
    start: int
    end: int
    most: int
    journal: int
