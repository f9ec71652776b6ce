"""The whole pipeline on this machine: what arrives of what is published, how late, and what each part spends on it.

    .venv/bin/python tests/bench/bench_pipeline.py [--broker mosquitto] [--rates 1000 10000 20000 30000] [--stuck]

Samples at QoS 1 with the device's time, from a process of their own; one WebSocket client for all modules in another.
Both take their share of the machine. PostgreSQL keeps `fsync`, services their default settings. The broker is NATS' own
listener, as without Docker, or Mosquitto, as in Docker, where it is installed. `held` says that the publisher kept its
pace; a rate counts as sustained where it did and everything was stored and seen. With `--stuck` each rate runs a second
time beside a WebSocket client that asks for everything and reads nothing.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.conditions import wait_until
from support.mosquitto import Mosquitto
from support.raw_client import deaf
from support.stack import EmbeddedStack

TICKS = os.sysconf("SC_CLK_TCK")
PARTS = ("ingest", "nats", "broadcaster", "writer", "postgres")
COUNT = "SELECT count(*) FROM measurements WHERE module_id LIKE %s"
ACCOUNTED = "SELECT coalesce(sum(received), 0) FROM ledger"
"""Of all that was ever written; cheap to ask while something is measured."""


def cpu_seconds(pid):
    """CPU time of a process and of its children, which come and go (seconds)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except FileNotFoundError:  # its parent has its time now, or has had it already
        return 0.0
    own = sum(map(int, fields[11:15])) / TICKS  # user, system, and those of children that ended
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(cpu_seconds(child) for child in children)


class Watched:
    """The WebSocket client of one run, live when made."""

    def __init__(self, stack, prefix, expect):
        command = [
            sys.executable,
            "-m",
            "seve_fleet.load.watcher",
            stack.ws_url,
            f"--prefix={prefix}",
            f"--expect={expect}",
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout.readline() == "live\n"

    def result(self):
        out, _ = self._process.communicate(timeout=120)
        return json.loads(out.splitlines()[-1])


def load(stack, prefix, rate, seconds):
    """What came of publishing."""
    wishes = [f"--prefix={prefix}", f"--rate={rate}", f"--seconds={seconds}"]
    command = [sys.executable, "-m", "seve_fleet.load.publisher", stack.mqtt_url, *wishes]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=seconds + 120)
    return json.loads(done.stdout.splitlines()[-1])


def one_rate(stack, broker, rate, seconds, *, number, stuck=False):
    """A run at one rate, as a row of the table; no two have a number in common."""
    with deaf(stack.ws_url, "*") if stuck else nullcontext():
        return {"rate": rate, "stuck": stuck, **measured(stack, broker, rate, seconds, f"bench{number}")}


def measured(stack, broker, rate, seconds, prefix):
    """What became of samples at one rate, and what each part spent on them."""
    processes = {part: stack.pid(part) for part in PARTS} | ({"broker": broker.process.pid} if broker else {})
    expect = round(rate * seconds)
    accounted = stack.query(ACCOUNTED)[0][0]
    before = {part: cpu_seconds(pid) for part, pid in processes.items()}
    watched = Watched(stack, prefix, expect)
    began = time.monotonic()
    sent = load(stack, prefix, rate, seconds)
    wait_until(lambda: stack.query(ACCOUNTED)[0][0] - accounted >= sent["acknowledged"], "all stored", 120)
    stored_after = time.monotonic() - began
    seen = watched.result()
    spent = {part: (cpu_seconds(pid) - before[part]) / sent["sent"] * 1e6 for part, pid in processes.items()}
    return {
        **sent,
        **seen,
        "stored": stack.query(COUNT, f"{prefix}-%")[0][0],
        "after": stored_after,
        **spent,
    }


COLUMNS = {
    "rate": lambda row: f"{row['rate']}{' stuck' * row['stuck']}",
    "sent/s": lambda row: f"{row['sent'] / row['seconds']:.0f}",
    "held": lambda row: "yes" if row["seconds"] <= row["planned"] * 1.02 else "no",
    "acked": lambda row: f"{row['acknowledged']}",
    "stored": lambda row: f"{row['stored']}",
    "seen": lambda row: f"{row['seen']}",
    "p50 ms": lambda row: f"{row['p50']:.1f}",
    "p99 ms": lambda row: f"{row['p99']:.1f}",
    "max ms": lambda row: f"{row['longest']:.1f}",
    "all stored": lambda row: f"{row['after']:.1f} s",
    **{f"{part} us": lambda row, part=part: f"{row.get(part, 0):.1f}" for part in ("broker", *PARTS)},
}


def show(rows):
    """The table: latency from publishing to the WebSocket frame, CPU time of each part for a sample."""
    lines = [list(COLUMNS), *([cell(row) for cell in COLUMNS.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--rates", type=int, nargs="+", default=[1000, 10_000, 20_000, 30_000], help="samples a second")
    words.add_argument("--seconds", type=float, default=5, help="of each rate (5)")
    words.add_argument("--broker", choices=("nats", "mosquitto"), default="nats", help="where devices publish (nats)")
    words.add_argument("--stuck", action="store_true", help="each rate again beside a client that reads nothing")
    wishes = words.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        broker, elsewhere = None, {}
        if wishes.broker == "mosquitto":
            broker = Mosquitto(Path(folder))
            broker.start()
            elsewhere = {"MQTT_BROKER": broker.mqtt_url}
        stack = EmbeddedStack(Path(folder) / "stack", fsync="on", quick=False, **elsewhere)
        stack.mqtt_url = stack.environment["MQTT_BROKER"]
        try:
            stack.start()
            one_rate(stack, broker, 500, 1, number=0)  # warms up what is lazy
            runs = enumerate(itertools.product(wishes.rates, (False, True) if wishes.stuck else (False,)), start=1)
            show([one_rate(stack, broker, rate, wishes.seconds, number=n, stuck=stuck) for n, (rate, stuck) in runs])
        finally:
            stack.stop()
            if broker:
                broker.stop()


if __name__ == "__main__":
    main()
