"""seve-ingest as a child process that tests can kill and start again, and the messages it left in the journal."""

import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nats
from seve_runtime.nats import topology
from seve_schema.codec import decode_envelopes
from seve_schema.envelope import Envelope

from support.conditions import free_port, wait_until


class Ingest:
    """The service against a broker (which has `mqtt_url`) and a NATS server; `settings` are more variables."""

    def __init__(self, folder: Path, broker, nats_server, **settings) -> None:
        self.log = folder / "ingest.log"
        self.admin = f"127.0.0.1:{free_port()}"
        self.process: subprocess.Popen | None = None
        self.environ = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("MQTT_", "NATS_"))},
            "MQTT_BROKER": broker.mqtt_url,
            "MQTT_RECONNECT": "200ms",
            "NATS_URL": nats_server.url,
            "ADMIN_LISTEN": self.admin,
            "LOG_FORMAT": "json",
            **settings,
        }

    def start(self, *, wait: bool = True) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([sys.executable, "-m", "seve_ingest"], env=self.environ, stderr=log)
        if wait:
            self.wait_ready()

    def wait_ready(self, seconds: float = 30) -> None:
        wait_until(lambda: self.ready() or self.process.poll() is not None, "ingest ready", seconds)
        assert self.process.poll() is None, self.log.read_text()[-3000:]

    def ready(self) -> bool:
        return "true" in self.ask("/health/ready")

    def ask(self, path: str) -> str:
        """Return the answer of the admin port; an empty text if there is none."""
        try:
            with urllib.request.urlopen(f"http://{self.admin}{path}", timeout=5) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as answer:
            return answer.read().decode()
        except OSError:
            return ""

    def count(self, name: str, **labels: str) -> float:
        """Return the sum of the series of `seve_ingest_{name}` with these labels."""
        total = 0.0
        for line in self.ask("/metrics").splitlines():
            match = re.fullmatch(rf"seve_ingest_{name}(\{{.*\}})? (\S+)", line)
            if match and all(f'{key}="{value}"' in (match[1] or "") for key, value in labels.items()):
                total += float(match[2])
        return total

    def memory(self) -> int:
        """Return the resident memory in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(30)


async def set_up(server, **sizes) -> None:
    """Create the streams and the consumer, small enough for a test."""
    defaults = {"journal_max_bytes": 256 << 20, "history_max_bytes": 256 << 20}
    client = await nats.connect(server.url)
    await topology.apply(client.jetstream(), topology.TopologySettings(**{**defaults, **sizes}))
    await client.close()


async def drain(server, at_least: int = 0, seconds: float = 60) -> list[Envelope]:
    """Take all messages from the journal in order, as a writer does; wait until `at_least` have come and then none for
    a second.
    """
    deadline = time.monotonic() + seconds
    client = await nats.connect(server.url)
    js = client.jetstream()
    subscription = await js.pull_subscribe_bind(topology.WRITER, stream=topology.JOURNAL)
    found: list[Envelope] = []
    try:
        while True:
            try:
                messages = await subscription.fetch(500, timeout=1)
            except TimeoutError:
                if len(found) >= at_least:
                    return found
                assert time.monotonic() < deadline, f"{len(found)} of {at_least} in the journal"
                continue
            for message in messages:
                found.extend(decode_envelopes(message.data))
                await message.ack_sync()
    finally:
        await client.close()


async def make_room(server) -> None:
    """Purge the drained messages, as a writer does beyond HISTORY_MAX_BYTES."""
    client = await nats.connect(server.url)
    js = client.jetstream()
    taken = (await js.consumer_info(topology.JOURNAL, topology.WRITER)).ack_floor.stream_seq
    await js.purge_stream(topology.JOURNAL, seq=taken + 1)
    await client.close()
