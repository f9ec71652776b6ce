"""How far the hourly aggregate goes. Pure."""

from datetime import datetime
from typing import NamedTuple


class Rollup(NamedTuple):
    """Of each hour before `horizon`, `measurements_hourly` has every sample up to `position`; None: of no hour.

    `late` tells that there are samples behind that position in such hours: these hours are read from the samples. Of
    hours before `kept_from` samples were deleted.
    """

    position: int = 0
    horizon: datetime | None = None
    kept_from: datetime | None = None
    late: bool = False
