"""The streams and the consumer that services share, declared once. `setup` calls `apply`. Services call `wait_for` and
create nothing, so that their credentials can be narrow; they wait until the topology exists.
"""

from contextlib import suppress
from typing import Annotated, Any, Final, Literal

import msgspec
import structlog
from msgspec import Meta
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import APIError, NotFoundError

from seve_runtime.errors import TopologyError, describe
from seve_runtime.lifecycle import Stop, pause
from seve_runtime.settings import Bytes, Count, Seconds
from seve_runtime.units import DAY

log = structlog.get_logger()

JOURNAL: Final = "TELEMETRY"
LATEST: Final = "LATEST"
EARLIER_HISTORY: Final = "HISTORY"
DEADLETTER: Final = "DEADLETTER"
WRITER: Final = "writer"


class TopologySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of the streams. Every program that reads these settings needs the same values."""

    nats_replicas: Annotated[Literal[1, 3], Meta(description="copies of each stream: 1, or 3 on a cluster")] = 1
    journal_max_bytes: Annotated[
        Bytes,
        Meta(description="size for messages that no writer has stored yet: it limits how long an outage may last"),
    ] = 2 << 30
    history_max_bytes: Annotated[
        Bytes, Meta(description="size for stored messages that WebSocket clients can still replay")
    ] = 1 << 30
    latest_max_bytes: Annotated[Bytes, Meta(description="size of the stream with the newest values of each module")] = (
        256 << 20
    )
    deadletter_max_bytes: Annotated[Bytes, Meta(description="size of the dead-letter stream")] = 256 << 20
    ack_wait: Annotated[
        Seconds, Meta(gt=0, description="time after which an unacknowledged journal message goes to another writer")
    ] = 30.0
    max_ack_pending: Annotated[
        Count, Meta(description="NATS messages that all writers together may hold; at least twice writers x batch")
    ] = 20_000


SIZE_SETTINGS: Final = {
    JOURNAL: "JOURNAL_MAX_BYTES or HISTORY_MAX_BYTES",
    LATEST: "LATEST_MAX_BYTES",
    DEADLETTER: "DEADLETTER_MAX_BYTES",
}

NO_ROOM: Final = (10023, 10047)
"""NATS' error codes where it cannot reserve a stream's size."""

SHORTEST_WINDOW: Final = 0.1
"""Seconds: the shortest duplicate window that NATS allows. The journal needs none (`seve_ingest.publish`)."""


def streams(settings: TopologySettings) -> tuple[StreamConfig, ...]:
    """Return the three streams. The journal keeps messages until a writer purges them. A full journal refuses more."""
    common: dict[str, Any] = {"storage": StorageType.FILE, "num_replicas": settings.nats_replicas}
    return (
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
            subjects=["telemetry.*.>"],
            retention=RetentionPolicy.LIMITS,
            discard=DiscardPolicy.NEW,
            max_bytes=settings.journal_max_bytes + settings.history_max_bytes,
            duplicate_window=SHORTEST_WINDOW,
            **common,
        ),
    )


def writer_consumer(settings: TopologySettings) -> ConsumerConfig:
    """Return the durable consumer that all writers share."""
    return ConsumerConfig(
        durable_name=WRITER,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=settings.ack_wait,
        max_ack_pending=settings.max_ack_pending,
        max_deliver=-1,
    )


async def apply(js: JetStreamContext, settings: TopologySettings) -> list[str]:
    """Create missing streams and update those that differ; return a line per change. Raises TopologyError if NATS
    refuses one, or if a journal of an earlier version is not empty.
    """
    changes = await _replace_earlier(js)
    changes += [change for config in streams(settings) if (change := await _apply_stream(js, config))]
    try:
        await js.add_consumer(JOURNAL, writer_consumer(settings))
    except APIError as error:
        raise TopologyError(WRITER, error.description or describe(error)) from error
    return changes


async def _replace_earlier(js: JetStreamContext) -> list[str]:
    """Delete the streams of the earlier layout (a work queue, republished to HISTORY) once every message is stored."""
    try:
        journal = await js.stream_info(JOURNAL)
    except NotFoundError:
        return []
    if journal.config.retention != RetentionPolicy.WORK_QUEUE:
        return []
    if journal.state.messages:
        raise TopologyError(
            JOURNAL,
            f"an earlier version created it, and {journal.state.messages} messages are not stored yet: start that "
            "version until its `status` shows that nothing waits, stop it, then start this one",
        )
    await js.delete_stream(JOURNAL)
    with suppress(NotFoundError):
        await js.delete_stream(EARLIER_HISTORY)
    return [f"{JOURNAL} of an earlier version deleted: it was empty"]


async def _apply_stream(js: JetStreamContext, config: StreamConfig) -> str | None:
    name = str(config.name)
    try:
        current = (await js.stream_info(name)).config
    except NotFoundError:
        current = None
    try:
        if current is None:
            await js.add_stream(config)
            return f"{name} created"
        if differences(current, config):
            await js.update_stream(config)
            return f"{name} updated: {', '.join(differences(current, config))}"
    except APIError as error:
        raise _refusal(config, error) from error
    return None


def _refusal(config: StreamConfig, error: APIError) -> TopologyError:
    """Return why NATS refuses a stream. It reserves the whole of a stream's size on its disk."""
    name, reason = str(config.name), error.description or describe(error)
    if error.err_code in NO_ROOM:
        reason += f": NATS reserves {config.max_bytes:,} bytes; make room on its disk, or lower {SIZE_SETTINGS[name]}"
    return TopologyError(name, reason)


async def verify(js: JetStreamContext) -> None:
    """Raise TopologyError for the first stream or consumer that is missing."""
    for name in (LATEST, DEADLETTER, JOURNAL):
        try:
            await js.stream_info(name)
        except NotFoundError as error:
            raise TopologyError(name, "no such stream; run `seve-writer setup`") from error
    try:
        await js.consumer_info(JOURNAL, WRITER)
    except NotFoundError as error:
        raise TopologyError(WRITER, "no such consumer; run `seve-writer setup`") from error


async def wait_for(js: JetStreamContext, stop: Stop, *, poll: float = 1.0) -> None:
    """Wait until `verify` passes or `stop` is set. Log a line whenever the reason changes; try every `poll` seconds."""
    logged = ""
    while not stop.is_set():
        try:
            await verify(js)
        except (TopologyError, APIError, TimeoutError, OSError) as error:
            reason = describe(error)
            if reason != logged:
                log.warning("waiting for the topology", reason=reason)
                logged = reason
            await pause(stop, poll)
        else:
            return


def differences(current: StreamConfig, wanted: StreamConfig) -> list[str]:
    """Return the names of the fields in which a stream's configuration differs from the wanted one."""
    keys = (
        "subjects",
        "retention",
        "discard",
        "max_bytes",
        "max_msgs_per_subject",
        "max_age",
        "num_replicas",
        "duplicate_window",
    )
    defaults = {"max_age": 0, "max_msgs_per_subject": -1}

    def value(config: StreamConfig, key: str) -> Any:
        return getattr(config, key) or defaults.get(key)

    return [key for key in keys if value(wanted, key) is not None and value(current, key) != value(wanted, key)]
