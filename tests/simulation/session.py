"""Ingest's session at the model of the broker: what `seve_ingest.session` does, without a socket. Reads while there is
room, acknowledges what the journal holds.
"""

import asyncio
from random import Random

from seve_ingest.mqtt.framing import Arrival
from seve_ingest.pipeline import Pipeline
from seve_ingest.publisher import Publisher
from seve_runtime.lifecycle import Stop, first_of

from simulation.broker import Mosquitto
from simulation.clock import VirtualLoop

GRACE = 5.0
"""Seconds that a service has from a stop to its end."""


class Session:
    """A session of one run of ingest."""

    def __init__(self, loop: VirtualLoop, rng: Random, broker: Mosquitto, pipeline: Pipeline, publisher: Publisher):
        self._loop = loop
        self._rng = rng
        self._broker = broker
        self._pipeline = pipeline
        self._publisher = publisher
        self._arrived: list[Arrival] = []
        self._unread_since = 0.0
        self._connected = False
        self._reading = False
        self._paused = False
        self._leaving = False
        self._lost = asyncio.Event()
        self.dead = False
        self.finished = asyncio.Event()

    async def run(self, stop: Stop) -> None:
        while not stop.is_set():
            self._lost.clear()
            if self._broker.connect(self):
                await first_of(stop, self._lost)
                if self._lost.is_set():
                    self._arrived.clear()
                    self._pipeline.connection_lost()
            if not stop.is_set():
                await asyncio.sleep(0.2 + self._rng.random())
        self._paused = self._leaving = True
        try:
            async with asyncio.timeout(0.8 * GRACE):
                while self._pipeline.queues.envelopes:
                    await self._pipeline.progress.wait()
                    await asyncio.sleep(0)
        except TimeoutError:
            pass
        self._acknowledge()
        self.dead = True
        self.finished.set()
        self._pipeline.progress.set()

    async def acknowledge(self) -> None:
        while not self.finished.is_set():
            await self._pipeline.progress.wait()
            self._pipeline.progress.clear()
            self._acknowledge()

    def _acknowledge(self) -> None:
        if self._connected and not self.dead and (done := self._pipeline.acknowledgeable()):
            self._broker.acknowledge([each.mid for each in done])
        if self._paused and self._pipeline.eased and not self._leaving:
            self._paused = False
            self._read_soon()

    # what the broker tells

    def connected(self, *, session_present: bool) -> None:
        self._connected = True
        self._pipeline.progress.set()
        if not session_present:
            self._pipeline.session_lost()

    def arrived(self, arrival: Arrival) -> None:
        if not self.dead:
            self._unread_since = self._unread_since if self._arrived else self._loop.time()
            self._arrived.append(arrival)
            self._read_soon()

    def lost(self) -> None:
        self._connected = False
        self._lost.set()

    def _read_soon(self) -> None:
        if not self._reading and self._arrived:
            self._reading = True
            self._loop.call_later(self._rng.random() * 0.005, self._read)

    def _read(self) -> None:
        self._reading = False
        if self.dead or self._paused or not self._connected:
            return
        arrived, self._arrived = self._arrived, []
        self._pipeline.take(arrived, self._loop.time() - self._unread_since)
        self._publisher.send()
        self._paused = self._pipeline.full
