"""The writer's settings. `seve_runtime.settings` reads them."""

from typing import Annotated

import msgspec
from msgspec import Meta
from seve_runtime.nats.connection import NatsSettings
from seve_runtime.nats.topology import TopologySettings
from seve_runtime.service import ServiceSettings
from seve_runtime.settings import Bytes, Count, Seconds, Secret
from seve_runtime.units import DAY

DatabaseUrl = Annotated[
    Secret, Meta(description="PostgreSQL 15 or later, also behind PgBouncer: `postgresql://user:password@host/db`")
]


class AuditSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of `seve-writer audit`."""

    nats: NatsSettings
    database_url: DatabaseUrl


class WriterSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of `seve-writer` and of `seve-writer setup`."""

    service: ServiceSettings
    nats: NatsSettings
    topology: TopologySettings
    database_url: DatabaseUrl
    migration_database_url: Annotated[
        Secret | None,
        Meta(description="for `setup`, if it differs: as the owner of the tables, on a direct connection"),
    ] = None
    batch_size: Annotated[Count, Meta(description="a batch is written when this many rows wait")] = 100
    flush_interval: Annotated[
        Seconds, Meta(description="a batch is also written when its oldest row has waited this long")
    ] = 5.0
    batch_max: Annotated[
        Count, Meta(description="most rows of one batch when the database was slower than the stream")
    ] = 5000
    fetch_max_bytes: Annotated[Bytes, Meta(description="most bytes of journal messages held in memory")] = 8 << 20
    database_timeout: Annotated[
        Seconds,
        Meta(gt=0, description="how long a connection or a transaction may take before it is aborted and repeated"),
    ] = 30.0
    retention: Annotated[
        Seconds,
        Meta(description="age at which measurements, and states of modules that are gone, are deleted; 0 keeps all"),
    ] = 90 * DAY
    log_retention: Annotated[
        Seconds, Meta(description="lines of devices' logs older than this are deleted; 0 keeps all")
    ] = 30 * DAY
    maintenance_interval: Annotated[
        Seconds, Meta(gt=0, description="how often old rows are deleted and the ledger is merged")
    ] = 60.0

    def __post_init__(self) -> None:
        """Rules between settings."""
        if self.batch_max < self.batch_size:
            raise ValueError(f"BATCH_MAX = {self.batch_max} is less than BATCH_SIZE = {self.batch_size}")
        if self.topology.max_ack_pending < 2 * self.batch_max:
            raise ValueError(
                f"MAX_ACK_PENDING = {self.topology.max_ack_pending} is less than twice BATCH_MAX = {self.batch_max}"
            )
        if self.topology.ack_wait <= self.flush_interval:
            raise ValueError(
                f"ACK_WAIT = {self.topology.ack_wait:g}s is not longer than FLUSH_INTERVAL = {self.flush_interval:g}s"
            )
