"""The parts of a story, wired together, and the invariants that hold at every moment: no PUBACK before the journal
holds a message, no acknowledgement to the journal and no purge before the message is stored. Lets nothing happen by
itself.
"""

import random
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Final

import msgspec
from seve_schema.deadletter import JournalDeadLetter, decode_deadletter
from seve_schema.position import Position, Token
from seve_schema.times import MICROS

from simulation.broker import Message, Mosquitto, NatsListener
from simulation.clock import EPOCH, VirtualLoop
from simulation.consumer import Consumer
from simulation.database import Tables
from simulation.jetstream import Server
from simulation.judge import Broken, Entry
from simulation.processes import Broadcaster, Process, ingest, writer
from simulation.screen import Screen, number_of, series_of, taken_of
from simulation.stream import Stored, Stream

JOURNAL_CREATED: Final = EPOCH - 1000 * MICROS

_envelopes = msgspec.json.Decoder(list[dict]).decode


class World:
    """All parts of a story. `log` is told what happens, where somebody listens."""

    def __init__(self, seed: int, loop: VirtualLoop, log: Callable[[str], None] | None = None) -> None:
        self.rng = rng = Random(seed)
        random.seed(seed)  # the services' own jitter
        self.loop = loop
        self._log = log
        self.messages: list[Message] = []
        self.entries: list[Entry] = []
        self.tokens: dict[int, list[Token]] = {}
        self.letters: Counter[int] = Counter()
        self.purged: set[Position] = set()
        self.deletes = rng.random() < 0.3  # and nobody does on a slow network: decision 0206 says why
        self.gone: set[int] = set()
        self.poison: set[float] = set()
        self.tables = Tables(self.poison)
        self.server = Server(loop, rng)
        self.server.on_stored, self.server.on_purged = self._stored, self._purged
        self.history = rng.choice((1000, 1 << 20))
        small = rng.random() < 0.3  # the journal is full soon, and a message of what the broker has in flight fits in
        self.room = self.history + (4000 if small else 1 << 30)
        self.create_journal(JOURNAL_CREATED)
        kind = rng.choice((Mosquitto, NatsListener))
        self.broker: Mosquitto = kind(loop, rng, 3 if small else rng.choice((3, 20)))
        self.broker.on_acknowledged = self._acknowledged
        self.broadcaster = Broadcaster(rng.choice((800, 1 << 20)), rng.choice((1.0, 4.0)))
        self.processes = self._processes()
        self.processes[0].on_start = self._ingest_starts
        self.screens = [
            Screen(loop, rng, self.broadcaster, frozenset(rng.choice((("*",), ("a",), ("a", "b")))), number)
            for number in range(rng.choice((1, 2)))
        ]
        self.broadcaster.on_lost = lambda: [screen.cut() for screen in self.screens]

    def _processes(self) -> list[Process]:
        rng, loop = self.rng, self.loop
        mains = {"ingest": ingest(loop, rng, self.broker, max_inflight=rng.choice((4, 100)))}
        for number in range(rng.choice((1, 2))):
            mains[f"writer-{number}"] = writer(loop, rng, self.tables, size=rng.choice((3, 10)), history=self.history)
        mains["broadcaster"] = self.broadcaster.main
        return [Process(name, loop, rng, self.server, main) for name, main in mains.items()]

    def create_journal(self, created: int) -> None:
        streams = self.server.streams
        for name in ("LATEST", "DEADLETTER"):
            streams.setdefault(name, Stream(name, JOURNAL_CREATED, newest_only=name == "LATEST"))
        journal = streams["TELEMETRY"] = Stream("TELEMETRY", created, max_bytes=self.room, refuses=True)
        consumer = self.server.add_consumer(journal, name="writer", start=1, explicit=True, ack_wait=3.0)
        consumer.acknowledged = lambda sequence: self._booked(created, sequence)

    def log(self, text: str) -> None:
        if self._log is not None:
            self._log(f"{self.loop.time():9.4f}  {text}")

    @property
    def journal(self) -> Stream | None:
        return self.server.streams.get("TELEMETRY")

    @property
    def consumer(self) -> Consumer:
        return self.server.streams["TELEMETRY"].consumers["writer"]

    # invariants that hold at every moment

    def _stored(self, stream: Stream, stored: Stored) -> None:
        if stream.name == "DEADLETTER":
            letter = decode_deadletter(stored.data)
            if isinstance(letter, JournalDeadLetter):
                raise Broken(f"the journal holds what cannot be read: {letter}")
            payload = getattr(letter, "payload", None)
            number = int(payload.split()[-1]) if payload is not None else int(letter.envelope.value)
            self.letters[number] += 1
            self.log(f"dead letter of {number}")
        elif stream.name == "TELEMETRY":
            position, numbers = Position(stream.created, stored.sequence), []
            for place, envelope in enumerate(_envelopes(stored.data)):
                number = number_of(envelope)
                series, taken = series_of(envelope), taken_of(envelope)
                entry = Entry(Token(position, place), number, envelope["moduleId"], series, taken)
                self.entries.append(entry)
                self.tokens.setdefault(number, []).append(entry.token)
                numbers.append(number)
            self.log(f"journal {stored.sequence}: {stored.subject} {numbers}")

    def _purged(self, stream: Stream, sequences: list[int]) -> None:
        self.log(f"purged {sequences}")
        self.purged.update(Position(stream.created, sequence) for sequence in sequences)
        for sequence in sequences:
            if (stream.created, sequence) not in self.tables.booked:
                raise Broken(f"message {sequence} was purged before it was stored")

    def _booked(self, created: int, sequence: int) -> None:
        if (created, sequence) not in self.tables.booked:
            raise Broken(f"message {sequence} was acknowledged to the journal before it was stored")

    def _acknowledged(self, message: Message) -> None:
        self.log(f"PUBACK of {message.numbers}")
        held = self.letters if message.malformed else self.tokens
        if missing := [number for number in message.numbers if number not in held]:
            raise Broken(f"PUBACK of {missing} before the journal held it")

    def _ingest_starts(self) -> None:
        for message in (*self.broker.in_flight.values(), *self.broker.queue):
            message.orphaned = message.orphaned or any(number in self.tokens for number in message.numbers)
