"""The settings of the history service. Reads nothing: `seve_runtime.settings` does."""

from typing import Annotated

import msgspec
from msgspec import Meta
from seve_runtime.nats.connection import NatsSettings
from seve_runtime.service import ServiceSettings
from seve_runtime.settings import Count, Seconds, Secret
from seve_runtime.units import DAY

DatabaseUrl = Annotated[
    Secret, Meta(description="PostgreSQL, as a role that may SELECT: `postgresql://user:password@host/db`")
]


class ExportSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of `seve-history export`."""

    database_url: DatabaseUrl


class HistorySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of `seve-history`."""

    service: ServiceSettings
    nats: NatsSettings
    database_url: DatabaseUrl
    query_timeout: Annotated[
        Seconds, Meta(gt=0, description="how long a history query may take before it is answered with 503")
    ] = 10.0
    query_connections: Annotated[Count, Meta(description="database connections, each for one query at a time")] = 4
    query_max_waiting: Annotated[
        Count, Meta(description="most queries that wait for a connection; the next is refused with 503")
    ] = 64
    query_max_points: Annotated[
        Count, Meta(le=100_000, description="most points of one answer, all series together")
    ] = 50_000
    query_max_range: Annotated[Seconds, Meta(gt=0, description="longest time between `from` and `to`")] = 3660 * DAY
