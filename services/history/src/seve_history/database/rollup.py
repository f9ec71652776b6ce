"""The state of the hourly aggregate. Pure."""

from datetime import datetime
from typing import NamedTuple


class Rollup(NamedTuple):
    """Each hour before `horizon` is in `measurements_hourly`, with every sample up to `position`; None: no hour is.

    If `late`, some of these hours have samples behind that position, and have to be read from `measurements`. Samples
    of hours before `kept_from` were deleted.
    """

    position: int = 0
    horizon: datetime | None = None
    kept_from: datetime | None = None
    late: bool = False
