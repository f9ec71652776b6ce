"""`hostile`: what each part's memory grows by under an attack without end, beside a device and a screen that must lose
nothing. Loopback only; each attack is bounded by its number.

`names` invents a module with each sample. `unread` are WebSocket clients that subscribe to everything and read nothing
while samples come. `half-open` are connections, to the WebSocket port and to the MQTT port, that never say a word.
"""

import contextlib
import resource
import socket
import time
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

from support.honest import honest
from support.raw_client import subscribed

from bench.measure import MICROS, LoadSpec, publish
from bench.options import Options
from bench.pipeline import Pipeline
from bench.plot import Axis
from bench.rows import accounted
from bench.scenario import PARTS, START_SECONDS, Bench, Plot, Scenario
from bench.table import Column
from bench.usage import Usage

ADDRESSES = 40
"""Of the loopback network, from which connections come."""

RECEIVE_BUFFER = 4096
POLL_SECONDS = 0.1
PATIENCE_SECONDS = 600
"""The longest wait until the database has what was published."""


class Done(NamedTuple):
    """How much of the attack could be done, and of connections how many the server still held at its end."""

    count: int
    held: int | None = None


def names(bench: Bench, pipeline: Pipeline) -> Done:
    """A new module in every sample."""
    options = bench.options
    spec = LoadSpec(options.rate, options.names / options.rate, options.names)
    before = accounted(pipeline)
    load = publish(pipeline.mqtt_url, spec, bench.folder / "sent", pipeline.number(options.names))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while accounted(pipeline) - before < load["sent"] and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return Done(load["sent"])


def unread(bench: Bench, pipeline: Pipeline) -> Done:
    """Clients that read nothing, while samples come."""
    options = bench.options
    with contextlib.ExitStack() as several:
        for _ in range(options.clients):
            several.enter_context(subscribed(pipeline.ws_url, "module=*", RECEIVE_BUFFER))
        spec = LoadSpec(options.rate, options.seconds)
        publish(pipeline.mqtt_url, spec, bench.folder / "sent", pipeline.number(options.rate * options.seconds))
        counted = pipeline.metrics("broadcaster").items()
        held = sum(value for name, value in counted if name.startswith("seve_broadcaster_clients{"))
    return Done(options.clients, int(held) - 1)  # 1: the honest screen


def half_open(bench: Bench, pipeline: Pipeline) -> Done:
    """Connections without a word, half of them to each port, from several addresses."""
    options = bench.options
    ports = [urlsplit(url).port for url in (pipeline.ws_url, pipeline.mqtt_url)]
    with contextlib.ExitStack() as several:
        sockets = [
            several.enter_context(_silent(ports[number % 2], f"127.0.{1 + number // 2 % ADDRESSES}.2"))
            for number in range(options.connections)
        ]
        time.sleep(options.seconds)
        return Done(len(sockets), sum(map(_open, sockets)))


def _silent(port: int, source: str) -> socket.socket:
    sock = socket.socket()
    sock.settimeout(5)
    sock.bind((source, 0))
    with contextlib.suppress(OSError):
        sock.connect(("127.0.0.1", port))
    return sock


def _open(sock: socket.socket) -> bool:
    """Whether the other side holds the connection."""
    sock.setblocking(False)
    try:
        return sock.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


ATTACKS: dict[str, Callable[[Bench, Pipeline], Done]] = {"names": names, "unread": unread, "half-open": half_open}


def run(bench: Bench) -> list[dict]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        return [attacked(bench, name) for name in bench.options.attacks]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def attacked(bench: Bench, name: str) -> dict:
    """One attack on a pipeline of its own, as a row of figures."""
    with bench.pipeline(broker="nats") as pipeline, honest(pipeline, "honest") as beside:
        bench.say(name)
        with Usage(pipeline.processes) as usage:
            done = ATTACKS[name](bench, pipeline)
        beside.lost_nothing(PATIENCE_SECONDS)
        return {"attack": name, "count": done.count, "held": done.held, "honest": len(beside.numbers)} | memory(usage)


def memory(usage: Usage) -> dict:
    """Of each part, in MB: at the start, in the middle and at the end of the attack, and the most it had."""
    series = {part: [size / MICROS for _, size in found] for part, found in usage.series.items()}
    return {
        "start_mb": {part: found[0] for part, found in series.items()},
        "middle_mb": {part: found[len(found) // 2] for part, found in series.items()},
        "end_mb": {part: found[-1] for part, found in series.items()},
        "most_mb": {part: max(found) for part, found in series.items()},
    }


def seconds(options: Options) -> float:
    takes = {
        "names": options.names / options.rate * 2,
        "unread": options.seconds + 10,
        "half-open": options.seconds + 10,
    }
    return sum(START_SECONDS + takes[attack] for attack in options.attacks)


SCENARIO = Scenario(
    about="memory of each part under NAMES invented modules, CLIENTS that read nothing, CONNECTIONS that say nothing",
    defaults={
        "ATTACKS": ("names", "unread", "half-open"),
        "NAMES": 1_000_000,
        "CLIENTS": 1000,
        "CONNECTIONS": 10_000,
        "RATE": 5000,
        "SECONDS": 60,
    },
    brief={"NAMES": 50_000, "CLIENTS": 200, "CONNECTIONS": 2000, "SECONDS": 10},
    seconds=seconds,
    run=run,
    columns=(
        Column("attack", "attack"),
        Column("count", "count"),
        Column("held", "held"),
        Column("honest samples", "honest"),
        *(
            Column(f"{part} {moment}", f"{moment}_mb.{part}")
            for part in PARTS
            for moment in ("start", "middle", "end", "most")
        ),
    ),
    plot=Plot(
        "attack",
        Axis("attack"),
        Axis("most memory, MB"),
        {part: f"most_mb.{part}" for part in PARTS},
    ),
)
