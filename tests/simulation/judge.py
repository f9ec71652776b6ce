"""What has to hold when a story is over: what is stored and was seen, against what was published. Changes nothing."""

from collections import Counter
from typing import TYPE_CHECKING

import msgspec
from seve_schema.position import Token

from simulation.broker import Message
from simulation.screen import Screen

if TYPE_CHECKING:
    from simulation.world import World


class Broken(AssertionError):
    """An invariant that did not hold."""


class Entry(msgspec.Struct, frozen=True):
    """An envelope that entered the journal."""

    token: Token
    number: int
    module: str
    series: tuple[str, str, str | None]
    taken: str


class Judge:
    """Judges one story."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self._rows = Counter(value for value, _ in world.tables.rows.values())
        states = world.tables.states.items()
        self._lines = Counter(row["message"] for (table, _), row in states if table == "device_logs")

    def judge(self) -> None:
        """Hold what is stored and what was seen against what was published. Raises Broken."""
        for process in self.world.processes:
            if process.faults:
                raise Broken(f"{process.name} died: {process.faults[0]!r}") from process.faults[0]
        for message in self.world.messages:
            self._judge_message(message)
        self._judge_ledger()
        self._judge_states()
        for screen in self.world.screens:
            self._judge_screen(screen)

    def _judge_message(self, message: Message) -> None:
        least = 0 if message.dropped and not message.acknowledged else 1
        most = 1 + message.forgotten + message.orphaned * message.renumbered + message.unanswered
        if message.malformed:
            for number in message.numbers:
                if not least <= self.world.letters[number]:
                    raise Broken(f"{number} is in no dead letter")
            return
        for number in (each for each in message.numbers if each not in self.world.gone):
            tokens = self.world.tokens.get(number, ())
            entered, gone = len(tokens), any(map(self._left, tokens))
            if not least <= entered <= most + gone * (message.came_back + message.orphaned):
                raise Broken(f"{number} entered the journal {entered} times, not {least} to {most}")
            if message.kind == "measurement" and entered:
                self._judge_sample(message, number, entered)
            elif message.kind == "log":
                self._judge_lines(message, number, entered)

    def _judge_lines(self, message: Message, number: int, entered: int) -> None:
        lines = self._lines[f'{{"msg":{number}}}']
        if not entered - message.unanswered <= lines <= entered:
            raise Broken(f"{number} entered the journal {entered} times and is {lines} lines of the log")

    def _left(self, token: Token) -> bool:
        """Whether a message left the journal: an ingest that starts reads no keys in it."""
        journal = self.world.journal
        return token.position in self.world.purged or journal is None or token.position.journal != journal.created

    def _judge_sample(self, message: Message, number: int, entered: int) -> None:
        rows = self._rows[float(number)]
        if float(number) in self.world.poison:
            if rows or not self.world.letters[number]:
                raise Broken(
                    f"{number}, which the tables refuse, has {rows} rows and {self.world.letters[number]} dead letters"
                )
            return
        least, most = (1, 1) if message.timed else (entered - message.unanswered, entered)
        if not least <= rows <= most:
            raise Broken(f"{number} entered the journal {entered} times and is stored {rows} times")

    def _judge_ledger(self) -> None:
        tables, journal = self.world.tables, self.world.journal
        assert journal is not None
        booked = {sequence for created, sequence in tables.booked if created == journal.created}
        if booked != set(range(1, journal.last + 1)):
            raise Broken(f"the ledger has {sorted(booked)}, the journal ended at {journal.last}")
        inserted = sum(row.counts.inserted for row in tables.ledger)
        if inserted != len(tables.rows) + len(tables.states):
            raise Broken(f"the ledger counts {inserted} inserted, not {len(tables.rows)} + {len(tables.states)}")

    def _judge_states(self) -> None:
        newest = {entry.module: entry.number for entry in self.world.entries if entry.series[1] == "system.status"}
        states = self.world.tables.states.items()
        stored = {key[0]: row["rssi"] for (table, key), row in states if table == "device_system_status"}
        if stored != newest and not self.world.gone:
            raise Broken(f"the states are {stored}, not {newest}")

    def _judge_screen(self, screen: Screen) -> None:
        began = screen.began
        assert began is not None
        wanted = {_behind(entry): entry for entry in self.world.entries if screen.wants(entry.module)}
        asked = {token: entry for token, entry in wanted.items() if token > began}
        tokens = [self._place(token) for token, _ in screen.news]
        if tokens != sorted(set(tokens)):
            raise Broken(f"a screen got news twice or out of order: {screen.news}")
        for token, (_, number) in zip(tokens, screen.news, strict=True):
            if token not in asked or asked[token].number != number:
                raise Broken(f"a screen got {number} at {token}, which is not the stream's")
        seen = set(tokens)
        for token, entry in asked.items():
            if token not in seen and not _within(token, screen.missed):
                raise Broken(f"a screen did not get {entry.number} at {token}, and was not told")
        newest: dict[tuple[str, str, str | None], Entry] = {}
        for entry in wanted.values():
            if entry.series[1] != "log" and (entry.series not in newest or entry.taken >= newest[entry.series].taken):
                newest[entry.series] = entry
        for series, entry in newest.items():
            known = self._of_this_journal(entry) and (entry.token > began or self._still_held(entry))
            told = _within(entry.token, screen.missed)
            if known and not told and screen.held.get(series) != (entry.taken, entry.number):
                raise Broken(f"a screen holds {screen.held.get(series)} of {series}, not {entry.number}")

    def _place(self, token: Token) -> Token:
        """The place of an envelope whose token says that it is the last of its message."""
        if token.place != 0xFFFF:
            return token
        return max(entry.token for entry in self.world.entries if entry.token.position == token.position)

    def _of_this_journal(self, entry: Entry) -> bool:
        """Of one that was deleted, the newest values may not have been saved when the broadcaster was killed."""
        return self.world.journal is not None and entry.token.position.journal == self.world.journal.created

    def _still_held(self, entry: Entry) -> bool:
        return self.world.journal is not None and entry.token.position.sequence in self.world.journal.messages


def _behind(entry: Entry) -> Token:
    return entry.token


def _within(token: Token, ranges: list[tuple[Token, Token]]) -> bool:
    return any(start < token <= end for start, end in ranges)
