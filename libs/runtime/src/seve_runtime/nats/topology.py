"""The streams and the consumer of contracts between services, declared once. `apply` is for `setup`, `verify` for the
services, which create nothing: a service with narrow credentials starts only on a topology that is there.
"""

from typing import Annotated, Any, Final, Literal

import msgspec
import structlog
from msgspec import Meta
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    RePublish,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import APIError, NotFoundError

from seve_runtime.errors import TopologyError
from seve_runtime.lifecycle import Stop, pause
from seve_runtime.settings import Bytes, Count, Seconds

log = structlog.get_logger()

JOURNAL: Final = "TELEMETRY"
HISTORY: Final = "HISTORY"
LATEST: Final = "LATEST"
DEADLETTER: Final = "DEADLETTER"
WRITER: Final = "writer"

DAY: Final = 86400.0


class TopologySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of the streams; every part of the stack that reads them must be given the same."""

    nats_replicas: Annotated[Literal[1, 3], Meta(description="copies of each stream: 1, or 3 on a cluster")] = 1
    journal_max_bytes: Annotated[
        Bytes, Meta(description="the journal's size, hence how long an outage of the database it rides out")
    ] = 2 << 30
    history_max_bytes: Annotated[Bytes, Meta(description="size of what WebSocket clients can replay")] = 1 << 30
    history_max_msgs_per_subject: Annotated[
        Count, Meta(description="NATS messages kept of each module and kind for replay")
    ] = 2000
    latest_max_bytes: Annotated[Bytes, Meta(description="size of the newest-of-each-series stream")] = 256 << 20
    deadletter_max_bytes: Annotated[Bytes, Meta(description="size of the dead-letter stream")] = 256 << 20
    duplicate_window: Annotated[
        Seconds, Meta(ge=0.1, description="how long the journal recognises a repeated publish; costs memory in NATS")
    ] = 30.0
    ack_wait: Annotated[
        Seconds, Meta(gt=0, description="after how long an unacknowledged journal message goes to another writer")
    ] = 30.0
    max_ack_pending: Annotated[
        Count, Meta(description="NATS messages that all writers together may hold; at least twice writers x batch")
    ] = 20_000


def streams(settings: TopologySettings) -> tuple[StreamConfig, ...]:
    """The four streams in the order of their creation: HISTORY before the journal that republishes to it."""
    common: dict[str, Any] = {"storage": StorageType.FILE, "num_replicas": settings.nats_replicas}
    return (
        StreamConfig(
            name=HISTORY,
            subjects=["live.>"],
            retention=RetentionPolicy.LIMITS,
            discard=DiscardPolicy.OLD,
            max_bytes=settings.history_max_bytes,
            max_msgs_per_subject=settings.history_max_msgs_per_subject,
            duplicate_window=0.1,  # the shortest NATS allows: copies keep Nats-Msg-Id, and remembering costs
            **common,
        ),
        StreamConfig(
            name=LATEST,
            subjects=["latest.*"],
            retention=RetentionPolicy.LIMITS,
            discard=DiscardPolicy.OLD,
            max_bytes=settings.latest_max_bytes,
            max_msgs_per_subject=1,
            allow_direct=True,
            **common,
        ),
        StreamConfig(
            name=DEADLETTER,
            subjects=["deadletter.*.*"],
            retention=RetentionPolicy.LIMITS,
            discard=DiscardPolicy.OLD,
            max_bytes=settings.deadletter_max_bytes,
            max_age=30 * DAY,
            duplicate_window=max(120.0, 2 * settings.ack_wait),
            allow_direct=True,
            **common,
        ),
        StreamConfig(
            name=JOURNAL,
            subjects=["telemetry.>"],
            retention=RetentionPolicy.WORK_QUEUE,
            discard=DiscardPolicy.NEW,
            max_bytes=settings.journal_max_bytes,
            duplicate_window=settings.duplicate_window,
            republish=RePublish(src="telemetry.>", dest="live.>"),
            **common,
        ),
    )


def writer_consumer(settings: TopologySettings) -> ConsumerConfig:
    """The durable consumer that all writers share."""
    return ConsumerConfig(
        durable_name=WRITER,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=settings.ack_wait,
        max_ack_pending=settings.max_ack_pending,
        max_deliver=-1,
    )


async def apply(js: JetStreamContext, settings: TopologySettings) -> list[str]:
    """Create what is missing and update what differs; tells what it did. Raises TopologyError for what NATS refuses."""
    done = [change for config in streams(settings) if (change := await _apply_stream(js, config))]
    try:
        await js.add_consumer(JOURNAL, writer_consumer(settings))
    except APIError as error:
        raise TopologyError(WRITER, error.description or str(error)) from error
    return done


async def _apply_stream(js: JetStreamContext, config: StreamConfig) -> str | None:
    name = str(config.name)
    try:
        there = (await js.stream_info(name)).config
    except NotFoundError:
        there = None
    try:
        if there is None:
            await js.add_stream(config)
            return f"{name} created"
        if _differences(there, config):
            await js.update_stream(config)
            return f"{name} updated: {', '.join(_differences(there, config))}"
    except APIError as error:
        raise TopologyError(name, error.description or str(error)) from error
    return None


async def verify(js: JetStreamContext) -> None:
    """Raise TopologyError for the first stream or consumer that is not there."""
    for name in (HISTORY, LATEST, DEADLETTER, JOURNAL):
        try:
            await js.stream_info(name)
        except NotFoundError as error:
            raise TopologyError(name, "no such stream; run `seve-writer setup`") from error
    try:
        await js.consumer_info(JOURNAL, WRITER)
    except NotFoundError as error:
        raise TopologyError(WRITER, "no such consumer; run `seve-writer setup`") from error


async def wait_for(js: JetStreamContext, stop: Stop, *, poll: float = 1.0) -> None:
    """Wait, with one log line a change of reason, until `verify` is content or `stop` is set."""
    told = ""
    while not stop.is_set():
        try:
            await verify(js)
        except (TopologyError, APIError, TimeoutError, OSError) as error:
            reason = str(error) or type(error).__name__
            if reason != told:
                log.warning("waiting for the topology", reason=reason)
                told = reason
            await pause(stop, poll)
        else:
            return


def _differences(there: StreamConfig, wanted: StreamConfig) -> list[str]:
    keys = (
        "subjects",
        "retention",
        "discard",
        "max_bytes",
        "max_msgs_per_subject",
        "max_age",
        "num_replicas",
        "duplicate_window",
        "republish",
    )
    defaults = {"max_age": 0, "max_msgs_per_subject": -1}
    return [
        key
        for key in keys
        if (want := getattr(wanted, key)) is not None
        and not (key == "duplicate_window" and want == 0)
        and (getattr(there, key) or defaults.get(key)) != want
    ]
