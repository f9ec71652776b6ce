"""The state of the hourly aggregate. Pure."""

from datetime import datetime
from typing import NamedTuple


class Rollup(NamedTuple):
    """For each hour before `horizon`, `measurements_hourly` has every sample up to `position`; None: for no hour.

    With `late`, some of these hours have samples behind that position, and are read from the samples. Samples of hours
    before `kept_from` were deleted.
    """

    position: int = 0
    horizon: datetime | None = None
    kept_from: datetime | None = None
    late: bool = False
