"""The raw limits of this machine, beside which the pipeline's figures are ratios: each hop alone, with nothing to do.

`broker`: Mosquitto to a receiver that only acknowledges. `journal`: JetStream stores 300-byte messages. `copy`: COPY
into an empty table like the pipeline's. `frames`: one process writes the same frame to a hundred sockets.
"""

import asyncio
import socket
import tempfile
import time
from array import array
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nats
import psycopg
from support.embedded import NatsServer, PostgresServer
from support.mosquitto import Mosquitto

from bench.measure import MICROS, LoadSpec, Screens, percentiles, publish
from bench.receiver import Receiver
from bench.usage import cpu_seconds

MESSAGE = b"x" * 300
WINDOW = 1000
ROWS_A_COPY = 5000
CLIENTS = 100
CALM = 1000
FLOOD = 60_000
MOST_FRAMES = 50_000
TABLE = """CREATE TABLE limits (
    time timestamptz NOT NULL, module_id text NOT NULL, sensor_type text NOT NULL, hardware_id text NOT NULL,
    value double precision, PRIMARY KEY (module_id, sensor_type, hardware_id, time)
)"""
COPY = "COPY limits (time, module_id, sensor_type, hardware_id, value) FROM STDIN"
UPGRADE = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"


def broker(folder: Path, seconds: float) -> dict:
    """Latency at 1,000 messages per second, and the highest rate; CPU time of the broker and of the load."""
    server = Mosquitto(folder)
    server.start()
    try:
        calm, _ = _through(server, folder, CALM, seconds)
        before = cpu_seconds(server.process.pid)
        latency, flood = _through(server, folder, FLOOD, seconds / 2)
        spent = cpu_seconds(server.process.pid) - before
    finally:
        server.stop()
    return {
        "frame_ms": calm,
        "flood_ms": latency,
        "per_second": flood["rate"],
        "broker_us": spent / flood["sent"] * MICROS,
        "load_ceiling": flood["ceiling"],
    }


def _through(server: Mosquitto, folder: Path, rate: float, seconds: float) -> tuple[dict, dict]:
    """What came through the broker: latency (ms), and what the load says with the rate at which all of it came."""
    receiver, log = Receiver(server.mqtt_port, 1), folder / "sent"
    try:
        load = publish(server.mqtt_url, LoadSpec(rate, seconds), log, 1)
        receiver.wait(load["sent"])
    finally:
        receiver.close()
    sent, arrivals = array("q", log.read_bytes()), receiver.arrivals
    took = (max(at for _, at in arrivals) - sent[0]) / MICROS
    return percentiles((at - sent[number]) / 1000 for number, at in arrivals), load | {"rate": len(arrivals) / took}


def journal(folder: Path, seconds: float, **options: str) -> dict:
    """Messages per second that JetStream acknowledges, a thousand in flight on a plain socket; its CPU time of each."""
    server = NatsServer(folder, **options)
    server.start()
    try:
        asyncio.run(_make_stream(server.url))
        before, began, stored = cpu_seconds(server.process.pid), time.monotonic(), 0
        with socket.create_connection(("127.0.0.1", server.port)) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.sendall(b'CONNECT {"verbose":false,"pedantic":false}\r\nSUB answers 1\r\n')
            while time.monotonic() - began < seconds:
                stored += _store(sock, WINDOW)
        took = time.monotonic() - began
        spent = cpu_seconds(server.process.pid) - before
    finally:
        server.stop()
    return {"per_second": stored / took, "nats_us": spent / stored * MICROS}


async def _make_stream(url: str) -> None:
    client = await nats.connect(url)
    await client.jetstream().add_stream(name="LIMITS", subjects=["limits"])
    await client.close()


def _store(sock: socket.socket, count: int) -> int:
    """Publish `count` messages and read as many acknowledgements."""
    sock.sendall(b"PUB limits answers %d\r\n%b\r\n" % (len(MESSAGE), MESSAGE) * count)
    read, mark = b"", b"MSG answers "
    seen = 0
    while seen < count:
        read += sock.recv(1 << 16)
        seen += read.count(mark)
        read = read[read.rfind(mark) + len(mark) :] if mark in read else read
    return count


def copy(folder: Path, seconds: float) -> dict:
    """Rows per second by COPY, five thousand in a transaction, with fsync."""
    server = PostgresServer(folder, fsync="on")
    server.start()
    try:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(TABLE)
            before, began, rows = cpu_seconds(server.process.pid), time.monotonic(), 0
            while time.monotonic() - began < seconds:
                with connection.cursor().copy(COPY) as writing:
                    writing.write(_rows(rows))
                rows += ROWS_A_COPY
            took = time.monotonic() - began
        spent = cpu_seconds(server.process.pid) - before
    finally:
        server.stop()
    return {"per_second": rows / took, "postgres_us": spent / rows * MICROS}


def _rows(first: int) -> str:
    return "".join(
        f"2026-01-01 00:00:00.{n % 1_000_000:06d}+{n // 1_000_000:02d}\tload-{n % 2000:05d}\tco2\t\t{n}\n"
        for n in range(first, first + ROWS_A_COPY)
    )


def frames(folder: Path, seconds: float) -> dict:
    """Frames per second that one process writes to a hundred sockets as fast as these read; its CPU time of each."""
    with socket.create_server(("127.0.0.1", 0), backlog=CLIENTS) as server, ThreadPoolExecutor(1) as elsewhere:
        url = f"ws://127.0.0.1:{server.getsockname()[1]}/ws"
        starting = elsewhere.submit(Screens, url, folder / "seen", CLIENTS, 0, MOST_FRAMES)
        sockets = [_accepted(server) for _ in range(CLIENTS)]
        screens = starting.result()
        used, began, number = time.process_time(), time.monotonic(), 0
        while time.monotonic() - began < seconds and number < MOST_FRAMES:
            data = _frame(b'{"event":"mqtt-message","data":{"pad":"%b","value":%d}}' % (MESSAGE, number))
            for sock in sockets:
                sock.sendall(data)
            number += 1
        used = time.process_time() - used
        seen = screens.result(number)
        took = time.monotonic() - began
        for sock in sockets:
            sock.close()
    return {"per_second": seen["seen"] / took, "frame_us": used / (number * CLIENTS) * MICROS}


def _accepted(server: socket.socket) -> socket.socket:
    sock, _ = server.accept()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.recv(4096)
    sock.sendall(UPGRADE + _frame(b'{"event":"live"}'))
    return sock


def _frame(payload: bytes) -> bytes:
    head = bytes((0x81, len(payload))) if len(payload) < 126 else b"\x81\x7e" + len(payload).to_bytes(2, "big")
    return head + payload


LIMITS = {"broker": broker, "journal": journal, "copy": copy, "frames": frames}


def measure(name: str, seconds: float) -> dict:
    """One limit, on servers of its own."""
    with tempfile.TemporaryDirectory() as folder:
        return LIMITS[name](Path(folder), seconds)
