"""What the broadcaster can do: frames to many clients, latency, memory a client, and what one stuck client costs.

    .venv/bin/python tests/bench/bench_broadcaster.py [fanout stuck latency memory]

NATS and the broadcaster run as processes of their own; the clients here are raw sockets in one process, which takes as
much of the machine as what is measured. CPU per frame is the broadcaster's own and says what a free core would do.
"""

import argparse
import asyncio
import contextlib
import itertools
import os
import selectors
import socket
import statistics
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import nats
from seve_runtime.nats.topology import TopologySettings, apply
from seve_schema.codec import encode
from seve_schema.envelope import Envelope
from support.conditions import free_port, wait_until
from support.embedded import NatsServer
from support.raw_client import deaf, subscribed
from support.stack import ServiceProcess

STREAMS = TopologySettings(journal_max_bytes=1 << 30, history_max_bytes=1 << 30)
MARK = b'"event":"mqtt-'
TICKS = os.sysconf("SC_CLK_TCK")


class Bench:
    """A NATS server and a broadcaster."""

    def __init__(self, folder, **environment):
        (folder / "nats").mkdir(parents=True)
        self.nats = NatsServer(folder / "nats")
        port = free_port()
        self.url = f"ws://127.0.0.1:{port}/ws"
        self.service = ServiceProcess(
            folder / "broadcaster",
            "seve_broadcaster",
            {
                "NATS_URL": self.nats.url,
                "WS_LISTEN": f"127.0.0.1:{port}",
                "WS_MAX_CLIENTS_PER_ADDRESS": "20000",
                "WS_PING_INTERVAL": "60s",
                "LOG_FORMAT": "json",
                **environment,
            },
        )

    def start(self):
        self.nats.start()
        asyncio.run(self._set_up())
        self.service.start()
        wait_until(self._ready, "the broadcaster ready")

    async def _set_up(self):
        client = await nats.connect(self.nats.url)
        await apply(client.jetstream(), STREAMS)
        await client.close()

    def _ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.service.port}/health/ready", timeout=1) as answer:
                return answer.status == 200
        except OSError:
            return False

    def metric(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.service.port}/metrics", timeout=5) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(f"seve_broadcaster_{name} "):
                    return float(line.rsplit(" ", 1)[1])
        raise KeyError(name)

    def cpu(self):
        """Seconds of CPU of the broadcaster's process so far."""
        fields = Path(f"/proc/{self.service.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def resident(self):
        """Bytes of memory of the broadcaster's process that are its own."""
        for line in Path(f"/proc/{self.service.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) * 1024
        raise KeyError("VmRSS")

    def stop(self):
        self.service.stop()
        self.nats.stop()


class Clients:
    """Raw sockets that subscribed in their URL; they count the frames they are sent and keep the end of each stream."""

    def __init__(self, url, count, query):
        self.selector = selectors.DefaultSelector()
        self.received = [0] * count
        self.tails = [b""] * count
        self.sockets = [subscribed(url, query(number)) for number in range(count)]
        for number, sock in enumerate(self.sockets):
            self._await_live(sock)
            sock.setblocking(False)
            self.selector.register(sock, selectors.EVENT_READ, number)
        self.onread = None

    def _await_live(self, sock):
        read = b""
        while b'"event":"live"' not in read:
            more = sock.recv(4096)
            if not more:
                raise ConnectionError(read)
            read += more

    def read(self, timeout):
        for key, _ in self.selector.select(timeout):
            number = key.data
            data = key.fileobj.recv(262144)
            if not data:
                raise ConnectionError(f"client {number} was disconnected")
            seen = self.tails[number] + data
            self.received[number] += seen.count(MARK)
            # what could be the beginning of a mark stays for the next read
            self.tails[number] = seen[-(len(MARK) - 1) :]
            if self.onread is not None and number == 0:
                self.onread(data)

    def close(self):
        for sock in self.sockets:
            sock.close()


def envelopes(count, module="croissance"):
    made = [
        Envelope(
            topic=f"{module}/sensor{number}",
            module_id=module,
            kind="measurement",
            sensor_type=f"sensor{number}",
            value=20.5 + number,
            time="2025-11-30T19:00:00.000000Z",
            clock="device",
            received_at="2025-11-30T19:00:00.012345Z",
            delivery_key="9f86d081884c7d65:0",
        )
        for number in range(count)
    ]
    return encode(made)


def prompt(port):
    """A connection that sends at once: otherwise the system holds small packets back for up to 40 ms."""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


class Publisher:
    """Publishes into the journal from this thread, over a plain socket: PUB lines, nothing read back."""

    def __init__(self, port):
        self.sock = prompt(port)
        self.sock.recv(4096)
        self.sock.sendall(b'CONNECT {"verbose":false,"pedantic":false}\r\nPING\r\n')
        self.sock.recv(64)

    def publish(self, data, times=1, module="croissance"):
        line = b"PUB telemetry.%s.measurement %d\r\n%s\r\n" % (module.encode(), len(data), data)
        self.sock.sendall(line * times)

    def close(self):
        self.sock.close()


def fan_out(bench, *, clients, together, seconds, batch, window=400):
    """Frames a second with as much published as the slowest client has taken; gives a row."""
    query = "module=croissance" + ("&batch=1" if batch else "")
    group, publisher = Clients(bench.url, clients, lambda _: query), Publisher(bench.nats.port)
    data, per = envelopes(together), 1 if batch else together
    published, began, cpu = 0, time.perf_counter(), bench.cpu()
    while time.perf_counter() - began < seconds or min(group.received) < published * per:
        room = window - (published - min(group.received) // per)
        if room > window // 4 and time.perf_counter() - began < seconds:
            publisher.publish(data, room)
            published += room
        group.read(0.2)
    took, used = time.perf_counter() - began, bench.cpu() - cpu
    frames = sum(group.received)
    assert frames == published * per * clients, (frames, published * per * clients)
    slow = bench.metric('clients{pace="slow"}')
    group.close()
    publisher.close()
    return {
        "frames/s": frames / took,
        "envelopes/s": published * together * clients / took,
        "frames/CPU s": frames / used,
        "CPU µs/message": used / published * 1e6,
        "slow clients": slow,
        "MiB": bench.resident() / (1 << 20),
    }


def latency(bench, *, rate, seconds, clients):
    """Milliseconds from publishing to a client's read, at a steady rate of NATS messages of one envelope."""
    group, publisher = Clients(bench.url, clients, lambda _: "module=croissance"), Publisher(bench.nats.port)
    sent, samples, rest = [], [], b""
    body = envelopes(1)

    def onread(data):
        nonlocal rest
        now, seen = time.perf_counter(), rest + data
        for _ in range(seen.count(MARK)):
            samples.append(now - sent[len(samples)])
        rest = seen[-(len(MARK) - 1) :]

    group.onread = onread
    began = time.perf_counter()
    while len(samples) < len(sent) or time.perf_counter() - began < seconds:
        due = int((time.perf_counter() - began) * rate) - len(sent) if time.perf_counter() - began < seconds else 0
        if due > 0:
            now = time.perf_counter()
            sent += [now] * due
            publisher.publish(body, due)
        group.read(0.0005)
    group.close()
    publisher.close()
    cuts = statistics.quantiles(samples, n=100)
    return {"p50 ms": cuts[49] * 1000, "p99 ms": cuts[98] * 1000, "worst ms": max(samples) * 1000}


def memory(bench, *, clients):
    """Bytes a client of one module each, at rest and after each was sent something."""
    before = bench.resident()
    began = time.perf_counter()
    group = Clients(bench.url, clients, lambda number: f"module=m{number}")
    took = time.perf_counter() - began
    resting = bench.resident()
    publisher = Publisher(bench.nats.port)
    for number in range(clients):
        publisher.publish(envelopes(1, f"m{number}"), module=f"m{number}")
    while sum(group.received) < clients:
        group.read(1)
    after = bench.resident()
    group.close()
    publisher.close()
    return {
        "KiB/client": (resting - before) / clients / 1024,
        "KiB/client after a message each, its module's state included": (after - before) / clients / 1024,
        "connects/s": clients / took,
    }


def show(title, row):
    print(f"{title:<44}" + "  ".join(f"{name} {value:,.1f}" for name, value in row.items()), flush=True)


@contextlib.contextmanager
def started():
    """A bench in a folder of its own, running."""
    with tempfile.TemporaryDirectory() as folder:
        running = Bench(Path(folder))
        try:
            running.start()
            yield running
        finally:
            running.stop()


def measure_fanout(seconds):
    with started() as bench:
        for together, batch in [(1, False), (10, False), (10, True)]:
            title = f"100 clients, {together} together{', batch' if batch else ''}"
            show(title, fan_out(bench, clients=100, together=together, seconds=seconds, batch=batch))


def measure_stuck(seconds):
    """The same with and without a client that reads nothing, in turn; it is stuck when the latency is measured."""
    with started() as bench:
        for round_, stuck in itertools.product((1, 2, 3), (0, 1)):
            with contextlib.ExitStack() as clients:
                for _ in range(stuck):
                    clients.enter_context(deaf(bench.url, "croissance"))
                title = f"round {round_}, {stuck} stuck, 100 clients"
                show(title, fan_out(bench, clients=100, together=10, seconds=seconds, batch=False))
                show(f"{title}, 1,000/s", latency(bench, rate=1_000, seconds=seconds, clients=100))


def measure_latency(seconds):
    with started() as bench:
        for rate, clients in [(1_000, 1), (10_000, 1), (1_000, 100)]:
            row = latency(bench, rate=rate, seconds=seconds, clients=clients)
            show(f"NATS to WebSocket at {rate:,}/s, {clients} clients", row)


def measure_memory(_):
    with started() as bench:
        show("5,000 clients of one module each", memory(bench, clients=5000))


PARTS = {
    "fanout": measure_fanout,
    "stuck": measure_stuck,
    "latency": measure_latency,
    "memory": measure_memory,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=f"{', '.join(PARTS)}; all unless named")
    parser.add_argument("--seconds", type=float, default=4, help="of each measurement [4]")
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    for part in asked.parts or PARTS:
        PARTS[part](asked.seconds)
