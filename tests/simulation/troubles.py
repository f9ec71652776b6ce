"""What goes wrong: processes are killed and stopped, connections cut, servers killed, the database away, the journal
deleted. Each trouble ends by itself after a while, and `heal` ends all.
"""

from collections.abc import Callable

from simulation.broker import NatsListener
from simulation.processes import Process
from simulation.world import World


class Troubles:
    """The troubles of one story."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._rng = world.rng

    def one(self) -> None:
        """One thing goes wrong, for a while."""
        rng = self._rng
        deeds = (
            self._kill,
            self._kill,
            self._stop,
            self._cut,
            self._unreachable,
            self._journal_deleted if self.world.deletes else self._slow,
            self._server_killed,
            self._broker_killed,
            self._broker_cut,
            self._database_away,
            self._database_troubled,
            self._screen_cut,
            self._screen_slow,
            self.save,
            self._everything,
        )
        rng.choice(deeds)()

    def _later(self, work: Callable[[], None], least: float, most: float) -> None:
        self.world.loop.call_later(least + self._rng.random() * (most - least), work)

    def _kill(self) -> None:
        process = self._rng.choice(self.world.processes)
        self.world.log(f"kill {process.name}")
        process.kill()

    def _stop(self) -> None:
        process = self._rng.choice(self.world.processes)
        self.world.log(f"stop {process.name}")
        process.stop()

    def _client(self) -> Process:
        return self._rng.choice(self.world.processes)

    def _cut(self) -> None:
        process, unnoticed = self._client(), self._rng.choice((0.0, 0.3, 3.0))
        self.world.log(f"cut the connection of {process.name} to NATS, unnoticed for {unnoticed} s")
        if process.client is not None:
            process.client.cut(unnoticed)

    def _unreachable(self) -> None:
        process = self._client()
        client = process.client
        if client is not None:
            self.world.log(f"NATS cannot be reached by {process.name}")
            client.reachable = False
            client.cut(self._rng.choice((0.0, 2.0)))
            self._later(lambda: setattr(client, "reachable", True), 0.5, 5.0)

    def _slow(self) -> None:
        process = self._client()
        client = process.client
        if client is not None:
            self.world.log(f"the network of {process.name} is slow")
            client.link.slow = self._rng.choice((0.1, 1.0, 2.5))
            self._later(lambda: setattr(client.link, "slow", 0.0), 0.5, 4.0)

    def _server_killed(self) -> None:
        if self.world.server.alive:
            self.world.log("kill nats-server")
            self.world.server.kill()
            for process in self.world.processes:
                if process.client is not None:
                    process.client.cut(self._rng.random() * 0.2)
            if isinstance(self.world.broker, NatsListener):
                self.world.broker.kill()
            self._later(self._server_back, 0.3, 3.0)

    def _server_back(self) -> None:
        if self.world.server.alive:
            return
        self.world.server.start()
        if isinstance(self.world.broker, NatsListener):
            self.world.broker.start()

    def _broker_killed(self) -> None:
        if isinstance(self.world.broker, NatsListener):
            self._server_killed()
        elif self.world.broker.alive:
            self.world.log("kill the broker")
            self.world.broker.kill()
            self._later(self.world.broker.start, 0.3, 3.0)

    def _broker_cut(self) -> None:
        self.world.log("cut the connection to the broker")
        self.world.broker.cut()

    def _database_away(self) -> None:
        self.world.log("the database is away")
        self.world.tables.up = False
        self._later(lambda: setattr(self.world.tables, "up", True), 0.3, 6.0)

    def _database_troubled(self) -> None:
        self.world.log("the database is troubled")
        self.world.tables.trouble = self._rng.choice((0.3, 0.9))
        self._later(lambda: setattr(self.world.tables, "trouble", 0.0), 0.5, 5.0)

    def _screen_cut(self) -> None:
        self._rng.choice(self.world.screens).cut()

    def _screen_slow(self) -> None:
        screen = self._rng.choice(self.world.screens)
        screen.slow = True
        self._later(lambda: setattr(screen, "slow", False), 0.5, 4.0)

    def save(self) -> None:
        """The servers write down what a kill leaves of them."""
        self.world.server.save()
        self.world.broker.save()

    def _journal_deleted(self) -> None:
        """Somebody deletes the journal, and makes it again a little later. What was not stored yet is lost with it."""
        if self.world.journal is None or not self.world.server.alive:
            return
        self.world.log("the journal is deleted")
        created = self.world.journal.created
        lost = (entry for entry in self.world.entries if entry.token.position.journal == created)
        self.world.gone |= {entry.number for entry in lost if entry.token.position not in self.world.tables.booked}
        for message in self.world.messages:
            message.unanswered += not message.acknowledged and any(
                each in self.world.tokens for each in message.numbers
            )
        self.world.server.delete("TELEMETRY")
        self._later(self._journal_made, 0.5, 3.0)

    def _journal_made(self) -> None:
        if self.world.journal is None:
            self.world.log("the journal is made again")
            self.world.create_journal(self.world.loop.micros())

    def _everything(self) -> None:
        """As a machine that is reset."""
        self._server_killed()
        self._broker_killed()
        for process in self.world.processes:
            process.kill()

    def heal(self) -> None:
        """End all troubles."""
        self._server_back()
        self._journal_made()
        if not self.world.broker.alive:
            self.world.broker.start()
        self.world.tables.up, self.world.tables.trouble = True, 0.0
        for process in self.world.processes:
            if process.client is not None:
                process.client.reachable, process.client.link.slow = True, 0.0
        for screen in self.world.screens:
            screen.slow = False
