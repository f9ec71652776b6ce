"""`normalise`: CPU from payload to encoded envelope, by form of payload, in this process and without a server."""

import time

from seve_ingest.normalise.normaliser import Normaliser
from seve_ingest.routing.routes import NATIVE, RouteTable
from seve_schema.times import format_time

from bench.options import Options
from bench.plot import Axis
from bench.scenario import Bench, Plot, Scenario
from bench.table import Column

ROUNDS = 5
KEY = "0123456789abcdef0123"
BATCH = 100
SECONDS_PER_MESSAGE = 60e-6
"""Making and normalising one message of each form, about."""


def device_time(number):
    """A time of the device's own, up to ten seconds before the receipt."""
    return time.time_ns() // 1000 - number % 10_000 * 1000


FORMS = {
    "450.5": lambda number: b"%d.5" % (number % 1000),
    "{value}": lambda number: b'{"value": %d.5}' % (number % 1000),
    "{value, time: RFC 3339}": lambda number: (
        b'{"value": %d.5, "time": "%b"}' % (number % 1000, format_time(device_time(number)).encode())
    ),
    "{value, time: epoch}": lambda number: (
        b'{"value": %d.5, "time": %d}' % (number % 1000, device_time(number) // 1_000_000)
    ),
    "{value, unit}": lambda number: b'{"value": %d.5, "unit": "ppm"}' % (number % 1000),
    "{t0, dt, v} of 100": lambda number: (
        b'{"t0": -1000, "dt": 10, "v": [%b]}' % b",".join(b"%d.5" % (number % 1000 + each) for each in range(BATCH))
    ),
}


def run(bench: Bench) -> list[dict]:
    """The best of five rounds, which alternate between the forms; modules take turns, as a fleet does."""
    normalise = Normaliser(RouteTable(("native", route) for route in NATIVE), retention=90 * 86400.0)
    topics = [b"module-%04d/co2" % number for number in range(bench.options.modules)]
    best = dict.fromkeys(FORMS, float("inf"))
    for number in range(ROUNDS):
        bench.say(f"round {number + 1} of {ROUNDS}")
        for form, payload in FORMS.items():
            count = max(bench.options.rows // (BATCH if form.endswith("100") else 1), 1)
            batch = [(topics[place % len(topics)], payload(place)) for place in range(count)]
            best[form] = min(best[form], microseconds(normalise, batch))
    plain = best["450.5"]
    return [{"form": form, "us": cost, "ratio": cost / plain} for form, cost in best.items()]


def microseconds(normalise, batch) -> float:
    """CPU of this process per message."""
    received = time.time_ns() // 1000
    begun = time.process_time()
    for topic, payload in batch:
        received += 1
        normalise(topic, payload, received_at=received, key=KEY)
    return 1e6 * (time.process_time() - begun) / len(batch)


def seconds(options: Options) -> float:
    return ROUNDS * len(FORMS) * options.rows * SECONDS_PER_MESSAGE


SCENARIO = Scenario(
    about="the normalisation alone: ROWS messages of each form of payload, from MODULES in turn",
    defaults={"ROWS": 50_000, "MODULES": 2000},
    brief={"ROWS": 10_000},
    seconds=seconds,
    run=run,
    columns=(Column("form", "form"), Column("us per message", "us", 2), Column("x bare number", "ratio", 2)),
    plot=Plot("form", Axis("payload"), Axis("CPU per message, microseconds"), {"ingest": "us"}),
)
