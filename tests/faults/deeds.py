"""What the crash matrix does to a pipeline, and the pipeline it does it to."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from support import faults
from support.conditions import wait_until
from support.mosquitto import Mosquitto
from support.stack import EmbeddedStack

FROZEN = 7.0
"""Seconds, at least: above NATS' MQTT ack wait (3 s) and the writers' ACK_WAIT (5 s)."""
FILLING = 4.0
"""Seconds in which the load fills the small journal; more than it takes to stop everything in turn."""


def now() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


class Pipeline(EmbeddedStack):
    """The stack, with Mosquitto as its part `broker` or without, and with wires between where they are given."""

    def __init__(self, folder: Path, broker: str, wires: list[faults.Wire], **environment: str) -> None:
        self.broker = None
        if broker == "mosquitto":
            (folder / "broker").mkdir(parents=True)
            self.broker = Mosquitto(folder / "broker")
            environment["MQTT_BROKER"] = self.broker.mqtt_url
        self.wires = wires
        if wires:
            environment["NATS_URL"] = f"nats://127.0.0.1:{wires[0].proxy.port}"
            environment["DATABASE_URL"] = f"postgresql://postgres@127.0.0.1:{wires[1].proxy.port}/seve"
        super().__init__(folder, writers=2, fsync="on", **environment)
        self.mqtt_url = self.environment["MQTT_BROKER"]
        for wire, server in zip(wires, (self.nats, self.postgres), strict=False):
            wire.proxy.target = server.port

    def part(self, name: str):
        return self.broker if name == "broker" else super().part(name)

    def those(self, part: str) -> list[str]:
        """The part itself; of `everything` all, those that hand on before those that they hand to."""
        return [*self.services, "postgres", "nats"] if part == "everything" else [part]

    def start(self) -> None:
        if self.broker:
            self.broker.start()
        super().start()

    def stop(self) -> None:
        super().stop()
        if self.broker:
            self.broker.stop()


class Deed(NamedTuple):
    """A fault: to whom, how long the part is away given the wish, and what is done. That gives the moment of the fault
    (microseconds since 1970) and what it found wrong. `stack` is plain, keeps little history to replay (forgetful), or
    wires between and a small journal (wired).
    """

    parts: tuple[str, ...]
    lasts: Callable[[float], float]
    do: Callable[[Pipeline, str, float], tuple[int, list[str]]]
    stack: str = "plain"


def killed(stack: Pipeline, part: str, seconds: float) -> tuple[int, list[str]]:
    for one in stack.those(part):
        faults.kill_hard(stack.part(one))
    return away(stack, part, seconds), []


def stopped(stack: Pipeline, part: str, seconds: float) -> tuple[int, list[str]]:
    codes = {one: stack.terminate(one) for one in stack.those(part)}
    wrong = [f"{one} stopped with exit code {code}" for one, code in codes.items() if code and one in stack.services]
    return away(stack, part, seconds), wrong


def away(stack: Pipeline, part: str, seconds: float) -> int:
    at = now()
    time.sleep(seconds)
    for one in reversed(stack.those(part)):
        stack.launch(one)
    return at


def frozen(stack: Pipeline, part: str, seconds: float) -> tuple[int, list[str]]:
    with ExitStack() as held:
        for one in stack.those(part):
            held.enter_context(faults.frozen(stack.part(one)))
        at = now()
        time.sleep(seconds)
    return at, []


def midway(stack: Pipeline, part: str, seconds: float) -> tuple[int, list[str]]:
    """What the part took and the next hop never held is in no hands but the hop's before."""
    with faults.frozen(stack.part("nats" if part == "ingest" else "postgres")):
        at = now()
        time.sleep(seconds)
        faults.kill_hard(stack.part(part))
    stack.launch(part)
    return at, []


def slow(stack: Pipeline, _part: str, seconds: float) -> tuple[int, list[str]]:
    at = now()
    stack.wires[1].slow_for(seconds, latency=0.1)
    return at, []


def cut(stack: Pipeline, _part: str, seconds: float) -> tuple[int, list[str]]:
    at, before = now(), stack.wires[0].proxy.accepted
    stack.wires[0].cut_for(seconds, every=0.4)
    return at, [] if stack.wires[0].proxy.accepted > before else ["nobody connected again"]


def full(stack: Pipeline, _part: str, seconds: float) -> tuple[int, list[str]]:
    """The database goes until the journal refuses, and stays away."""
    before = refusals(stack)
    faults.kill_hard(stack.postgres)
    wait_until(lambda: refusals(stack) > before, "the journal full", FILLING * 3)
    return away(stack, "postgres", seconds), []


def refusals(stack: Pipeline) -> float:
    return stack.metrics("ingest").get('seve_ingest_resends_total{reason="refused"}', 0)


PARTS = ("ingest", "broadcaster", "writer", "nats", "postgres", "broker", "everything")
FAULTS = {
    "killed": Deed(PARTS, lambda _: 0, killed),
    "stopped": Deed(PARTS, lambda _: 0, stopped),
    "away": Deed(PARTS, lambda wish: wish, killed),
    "frozen": Deed(PARTS, lambda wish: max(FROZEN, wish), frozen),
    "midway": Deed(("ingest", "writer"), lambda _: 1, midway),
    "behind": Deed(("broadcaster",), lambda wish: wish, killed, stack="forgetful"),
    "slow": Deed(("postgres",), lambda wish: max(4, wish), slow, stack="wired"),
    "cut": Deed(("nats",), lambda wish: max(4, wish), cut, stack="wired"),
    "full": Deed(("nats",), lambda wish: wish, full, stack="wired"),
}
