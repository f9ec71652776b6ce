"""One story from one seed: devices publish, parts die, links break, and in the end everything is well again. `judge`
says whether all is where it belongs.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Final

import msgspec
from seve_schema.deadletter import JournalDeadLetter, decode_deadletter
from seve_schema.position import Position, Token
from seve_schema.times import MICROS, format_time

from simulation.broker import Message, Mosquitto, NatsListener
from simulation.clock import EPOCH, StandsStillError, VirtualLoop
from simulation.database import Tables
from simulation.jetstream import Consumer, Server, Stored, Stream
from simulation.judge import Broken, Entry, Judge
from simulation.processes import Broadcaster, Process, ingest, writer
from simulation.screen import Screen, number_of, series_of, taken_of

STORM: Final = 8.0
"""Seconds in which things go wrong."""

PATIENCE: Final = 90.0
"""Seconds after the storm within which all has to be well."""

JOURNAL_CREATED: Final = EPOCH - 1000 * MICROS
MODULES: Final = ("a", "b", "c")

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
        self._create_streams(JOURNAL_CREATED)
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

    def _create_streams(self, created: int) -> None:
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
            position = Position(stream.created, stored.sequence)
            for place, envelope in enumerate(_envelopes(stored.data)):
                number = number_of(envelope)
                series, taken = series_of(envelope), taken_of(envelope)
                entry = Entry(Token(position, place), number, envelope["moduleId"], series, taken)
                self.entries.append(entry)
                self.tokens.setdefault(number, []).append(entry.token)
            self.log(f"journal {stored.sequence}: {stored.subject} {[number_of(e) for e in _envelopes(stored.data)]}")

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

    # what devices do

    def publish(self) -> None:
        """A device publishes a message."""
        rng, number = self.rng, sum(len(each.numbers) for each in self.messages) + 1
        module, chance = rng.choice(MODULES), rng.random()
        if chance < 0.1:
            message = Message(b"%b/logs" % module.encode(), b"%d" % number, (number,), "log")
        elif chance < 0.25:
            payload = b'{"rssi":%d}' % number
            message = Message(b"%b/system" % module.encode(), payload, (number,), "system.status")
        elif chance < 0.3:
            payload = b"not json %d" % number
            message = Message(b"%b/system" % module.encode(), payload, (number,), "", malformed=True)
        else:
            message = self._samples(module, number)
        if self.broker.publish(message):
            self.messages.append(message)
            self.log(f"published {message.numbers} {message.topic.decode()}")

    def _samples(self, module: str, number: int) -> Message:
        rng = self.rng
        topic = b"%b/co2" % module.encode()
        poison = rng.random() < 0.1
        count = rng.choice((1, 1, 1, 3))
        numbers = tuple(range(number, number + count))
        if poison:
            self.poison.add(float(numbers[-1]))
        if count == 1 and rng.random() < 0.5:
            return Message(topic, b"%d" % number, numbers, "measurement", poison=poison)
        samples = [{"value": each, "time": format_time(EPOCH + each * 1000)} for each in numbers]
        payload = msgspec.json.encode(samples if count > 1 else samples[0])
        return Message(topic, payload, numbers, "measurement", timed=True, poison=poison)

    # what goes wrong

    def trouble(self) -> None:
        """One thing goes wrong, for a while."""
        rng = self.rng
        deeds = (
            self._kill,
            self._kill,
            self._stop,
            self._cut,
            self._unreachable,
            self._journal_deleted if self.deletes else self._slow,
            self._server_killed,
            self._broker_killed,
            self._broker_cut,
            self._database_away,
            self._database_troubled,
            self._screen_cut,
            self._screen_slow,
            self._saved,
            self._everything,
        )
        rng.choice(deeds)()

    def _later(self, work: Callable[[], None], least: float, most: float) -> None:
        self.loop.call_later(least + self.rng.random() * (most - least), work)

    def _kill(self) -> None:
        process = self.rng.choice(self.processes)
        self.log(f"kill {process.name}")
        process.kill()

    def _stop(self) -> None:
        process = self.rng.choice(self.processes)
        self.log(f"stop {process.name}")
        process.stop()

    def _client(self) -> Process:
        return self.rng.choice(self.processes)

    def _cut(self) -> None:
        process, unnoticed = self._client(), self.rng.choice((0.0, 0.3, 3.0))
        self.log(f"cut the connection of {process.name} to NATS, unnoticed for {unnoticed} s")
        if process.client is not None:
            process.client.cut(unnoticed)

    def _unreachable(self) -> None:
        process = self._client()
        client = process.client
        if client is not None:
            self.log(f"NATS cannot be reached by {process.name}")
            client.reachable = False
            client.cut(self.rng.choice((0.0, 2.0)))
            self._later(lambda: setattr(client, "reachable", True), 0.5, 5.0)

    def _slow(self) -> None:
        process = self._client()
        client = process.client
        if client is not None:
            self.log(f"the network of {process.name} is slow")
            client.link.slow = self.rng.choice((0.1, 1.0, 2.5))
            self._later(lambda: setattr(client.link, "slow", 0.0), 0.5, 4.0)

    def _server_killed(self) -> None:
        if self.server.alive:
            self.log("kill nats-server")
            self.server.kill()
            for process in self.processes:
                if process.client is not None:
                    process.client.cut(self.rng.random() * 0.2)
            if isinstance(self.broker, NatsListener):
                self.broker.kill()
            self._later(self._server_back, 0.3, 3.0)

    def _server_back(self) -> None:
        if self.server.alive:
            return
        self.server.start()
        if isinstance(self.broker, NatsListener):
            self.broker.start()

    def _broker_killed(self) -> None:
        if isinstance(self.broker, NatsListener):
            self._server_killed()
        elif self.broker.alive:
            self.log("kill the broker")
            self.broker.kill()
            self._later(self.broker.start, 0.3, 3.0)

    def _broker_cut(self) -> None:
        self.log("cut the connection to the broker")
        self.broker.cut()

    def _database_away(self) -> None:
        self.log("the database is away")
        self.tables.up = False
        self._later(lambda: setattr(self.tables, "up", True), 0.3, 6.0)

    def _database_troubled(self) -> None:
        self.log("the database is troubled")
        self.tables.trouble = self.rng.choice((0.3, 0.9))
        self._later(lambda: setattr(self.tables, "trouble", 0.0), 0.5, 5.0)

    def _screen_cut(self) -> None:
        self.rng.choice(self.screens).cut()

    def _screen_slow(self) -> None:
        screen = self.rng.choice(self.screens)
        screen.slow = True
        self._later(lambda: setattr(screen, "slow", False), 0.5, 4.0)

    def _saved(self) -> None:
        self.server.save()
        self.broker.save()

    def _journal_deleted(self) -> None:
        """Somebody deletes the journal, and makes it again a little later. What was not stored yet is lost with it."""
        if self.journal is None or not self.server.alive:
            return
        self.log("the journal is deleted")
        created = self.journal.created
        lost = (entry for entry in self.entries if entry.token.position.journal == created)
        self.gone |= {entry.number for entry in lost if entry.token.position not in self.tables.booked}
        for message in self.messages:
            message.unanswered += not message.acknowledged and any(each in self.tokens for each in message.numbers)
        self.server.delete("TELEMETRY")
        self._later(self._journal_made, 0.5, 3.0)

    def _journal_made(self) -> None:
        if self.journal is None:
            self.log("the journal is made again")
            self._create_streams(self.loop.micros())

    def _everything(self) -> None:
        """As a machine that is reset."""
        self._server_killed()
        self._broker_killed()
        for process in self.processes:
            process.kill()

    # the story

    async def play(self) -> None:
        """Raises Broken."""
        rng, loop = self.rng, self.loop
        for process in self.processes:
            process.start()
        for _ in range(rng.randint(5, 40)):
            loop.call_at(rng.random() * STORM, self.publish)
        for _ in range(rng.randint(0, 8)):
            loop.call_at(rng.random() * STORM, self.trouble)
        for _ in range(4):
            loop.call_at(rng.random() * STORM, self._saved)
        await asyncio.sleep(STORM)
        self.heal()
        end = loop.time() + PATIENCE
        while not self.settled():
            if loop.time() > end:
                raise Broken(f"not well {PATIENCE:g} s after the storm: {self.unsettled()}")
            await asyncio.sleep(0.5)
        Judge(self).judge()

    def heal(self) -> None:
        """What stood still goes on; nothing goes wrong from here."""
        self.log("the storm is over")
        self._server_back()
        self._journal_made()
        if not self.broker.alive:
            self.broker.start()
        self.tables.up, self.tables.trouble = True, 0.0
        for process in self.processes:
            if process.client is not None:
                process.client.reachable, process.client.link.slow = True, 0.0
        for screen in self.screens:
            screen.slow = False

    def settled(self) -> bool:
        return not self.unsettled()

    def unsettled(self) -> list[str]:
        """What is not done yet."""
        journal, consumer, hub = self.journal, self.consumer, self.broadcaster.hub
        end = journal and Position(journal.created, journal.last)
        reasons = {
            "the broker holds messages": not self.broker.empty,
            "messages wait in the journal": bool(consumer.pending or consumer.unread),
            "the broadcaster is behind": hub is None or hub.head != end,
            "a screen is behind": not all(screen.at_head for screen in self.screens),
        }
        return [reason for reason, holds in reasons.items() if holds]


def play(seed: int, log: Callable[[str], None] | None = None) -> World:
    """Play the story of a seed. Raises Broken, with the seed in its text."""
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    faults: list[BaseException] = []
    loop.set_exception_handler(lambda _, context: faults.append(context.get("exception") or Broken(context["message"])))
    world = None
    try:
        world = World(seed, loop, log)
        loop.run_until_complete(_until_broken(world, faults))
    except StandsStillError as error:
        raise Broken(f"seed {seed}: {error}") from error
    except Broken as error:
        raise Broken(f"seed {seed}: {error}") from error
    finally:
        if world is not None:
            end(world, loop)
        asyncio.set_event_loop(None)
        loop.close()
    return world


async def _until_broken(world: World, faults: list[BaseException]) -> None:
    story = asyncio.ensure_future(world.play())
    while not story.done():
        await asyncio.wait((story,), timeout=0.25)
        if faults:
            story.cancel()
            raise faults[0] if isinstance(faults[0], Broken) else Broken(repr(faults[0])) from faults[0]
    story.result()


def end(world: World, loop: VirtualLoop) -> None:
    for process in world.processes:
        process.end()
    for screen in world.screens:
        screen.end()
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
