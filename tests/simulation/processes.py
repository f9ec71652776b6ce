"""The services as processes: the real cores, wired as `app.py` wires them, over the models. A kill ends one between two
turns of the event loop: nothing of it runs any more, and what it had sent may still arrive.
"""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from nats.errors import Error as NatsError
from seve_broadcaster.fanout.hub import Hub
from seve_broadcaster.feed import Feed
from seve_broadcaster.snapshot.snapshot import NEVER, LatestValues
from seve_broadcaster.snapshot_store import SnapshotStore
from seve_broadcaster.stream.replay_buffer import ReplayBuffer
from seve_broadcaster.websocket.journal_replay import JournalReplay
from seve_ingest.normalise.normaliser import Normaliser
from seve_ingest.pipeline import Pipeline
from seve_ingest.publish.recovery import published_before
from seve_ingest.publish.redelivery import RedeliveryMemory
from seve_ingest.publish.subject_queues import SubjectQueues
from seve_ingest.publisher import Publisher
from seve_ingest.routing.routes import NATIVE, RouteTable
from seve_runtime.errors import Stopped
from seve_runtime.health import Health
from seve_runtime.lifecycle import Stop
from seve_runtime.rate_limit import Quota
from seve_schema.subjects import ingest_name
from seve_writer.database.batch_writer import BatchWriter
from seve_writer.deadletters import DeadLetters
from seve_writer.errors import JournalReplaced
from seve_writer.flush_loop import FlushLoop
from seve_writer.flush_rule import Waiting
from seve_writer.journal.consumer import Consumer
from seve_writer.journal.monitor import Monitor

from simulation.broker import Mosquitto
from simulation.client import Client
from simulation.clock import VirtualLoop
from simulation.database import ModelStore, Tables
from simulation.jetstream import Server
from simulation.session import GRACE, Session

CLIENT_ID = "ingest"
RULES = Normaliser(RouteTable(("native", route) for route in NATIVE), retention=10_000 * 86400.0)

Main = Callable[[Client, Stop], Awaitable[None]]


class Process:
    """A service under a supervisor: it is started again whenever it ended, until it is told to `stay_away`.

    `faults` has what ended it that nobody wanted.
    """

    def __init__(self, name: str, loop: VirtualLoop, rng: Random, server: Server, main: Main) -> None:
        self.name = name
        self.faults: list[BaseException] = []
        self.client: Client | None = None
        self.starts = 0
        self.on_start: Callable[[], None] = lambda: None
        self._loop = loop
        self._rng = rng
        self._server = server
        self._main = main
        self._stop = asyncio.Event()
        self._task: asyncio.Task | None = None
        self._away = False

    @property
    def runs(self) -> bool:
        return self._task is not None

    def start(self) -> None:
        if self.runs:
            return
        self.starts += 1
        self.on_start()
        self._stop = asyncio.Event()
        self.client = Client(self._loop, self._rng, self._server, f"{self.name}-{self.starts}")
        self._task = asyncio.ensure_future(self._run(self.client, self._stop))
        self._task.add_done_callback(self._ended)

    async def _run(self, client: Client, stop: Stop) -> None:
        try:
            await client.connect()
            await self._main(client, stop)
        finally:
            client.kill()

    def _ended(self, task: asyncio.Task) -> None:
        self._task = None
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, JournalReplaced | NatsError | Stopped):
            self.faults.append(error)
        if not self._away:
            self._loop.call_later(0.3 + self._rng.random(), self.start)

    def kill(self) -> None:
        if self._task is not None and self.client is not None:
            self.client.kill()
            self._task.cancel()

    def stop(self) -> None:
        """SIGTERM; killed if it is not gone after a while."""
        self._stop.set()
        task = self._task
        self._loop.call_later(2 * GRACE, lambda: self._task is task and self.kill())

    def end(self) -> None:
        """The story is over."""
        self._away = True
        self.kill()


async def together(stop: Stop, *workers: Awaitable[Any]) -> None:
    """Run workers until all have ended; one that fails stops the others, and its error is raised."""
    tasks = [asyncio.ensure_future(worker) for worker in workers]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        stop.set()
        await asyncio.wait(tasks, timeout=GRACE)
        for task in tasks:
            if task.done() and not task.cancelled() and (error := task.exception()):
                raise error
    finally:
        for task in tasks:
            task.cancel()


def ingest(loop: VirtualLoop, rng: Random, broker: Mosquitto, *, max_inflight: int) -> Main:
    """`seve_ingest.app`."""

    async def main(client: Client, stop: Stop) -> None:
        memory = RedeliveryMemory(identifiers=1000, window=200)
        memory.load(*await published_before(client, stop, CLIENT_ID, 10_000))
        pipeline = Pipeline(
            RULES,
            SubjectQueues(f"{rng.getrandbits(48):x}"),
            memory,
            ingest=ingest_name(CLIENT_ID),
            client_id=CLIENT_ID,
            max_inflight=max_inflight,
            max_bytes=1 << 20,
            clock=loop.micros,
        )
        publisher = Publisher(client, pipeline, Health("journal"), timeout=2.0)
        session = Session(loop, rng, broker, pipeline, publisher)
        try:
            await together(stop, session.run(stop), session.acknowledge(), publisher.run(session.finished))
        finally:
            session.dead = True
            broker.cut()

    return main


def writer(loop: VirtualLoop, rng: Random, tables: Tables, *, size: int, history: int) -> Main:
    """`seve_writer.app`."""

    async def main(client: Client, stop: Stop) -> None:
        store = ModelStore(loop, rng, tables)
        dead_letters = DeadLetters(client.jetstream(), Quota(10_000), loop.micros)
        batch_writer = BatchWriter(store, dead_letters, Health("database", "schema"), stop)
        waiting = Waiting(size, 1.0, 4 * size)
        monitor = Monitor(client, history)
        await monitor.look()
        flush_loop = FlushLoop(waiting, batch_writer, monitor)
        consumer = Consumer(client, flush_loop.arrived, most=8 * size, most_bytes=1 << 20)

        async def pull() -> None:
            try:
                await batch_writer.until_ready()
                await consumer.run(stop)
            except Stopped:
                pass
            finally:
                flush_loop.drain()

        try:
            await together(
                stop,
                pull(),
                flush_loop.run(consumer),
                consumer.keep(stop, monitor.ack_wait / 3),
                monitor.run(stop, consumer),
            )
        finally:
            consumer.nak_all()

    return main


class Broadcaster:
    """`seve_broadcaster.app`, without its gateway: `hub` and `replay` are there while clients are served."""

    def __init__(self, recent_bytes: int, save_every: float) -> None:
        self.hub: Hub | None = None
        self.replay: JournalReplay | None = None
        self.on_lost: Callable[[], None] = lambda: None
        self._recent_bytes = recent_bytes
        self._save_every = save_every

    async def main(self, client: Client, stop: Stop) -> None:
        hub = Hub(NEVER, LatestValues(), ReplayBuffer(self._recent_bytes, NEVER))
        store = SnapshotStore(client, hub, self._save_every, 0)
        replay = JournalReplay(client, hub)
        feed = Feed(client, hub, Health("stream"), lambda _: None)
        try:
            await feed.start(store.restore, stop)
            if not stop.is_set():
                self.hub, self.replay = hub, replay
            await together(stop, self._serve(stop), feed.watch(stop), replay.run(stop), store.keep(stop))
        finally:
            self.hub = self.replay = None
            self.on_lost()

    async def _serve(self, stop: Stop) -> None:
        """The gateway sends everyone away at a stop."""
        await stop.wait()
        self.hub = self.replay = None
        self.on_lost()
