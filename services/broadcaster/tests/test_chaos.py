"""Clients that connect, drop and resume at random, while NATS and the broadcaster are killed and restarted.

CHAOS_MESSAGES is the number of envelopes (4,000 by default), CHAOS_RATE their number per second, CHAOS_SEED repeats a
run; `--log-cli-level=INFO` shows the account of each client.
"""

import asyncio
import contextlib
import json
import logging
import os
import random
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass, field

import nats
from nats.js.errors import APIError
from seve_runtime.nats.topology import TopologySettings, apply
from seve_schema.codec import decode_envelopes, encode
from seve_schema.position import Position, Token
from seve_schema.times import to_micros
from support.broadcasting import SUBJECT, envelope
from support.conditions import eventually, free_port
from support.stack import ServiceProcess
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

log = logging.getLogger("chaos")
MESSAGES = int(os.environ.get("CHAOS_MESSAGES", "4000"))
RATE = int(os.environ.get("CHAOS_RATE", "500"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))
PURGE_CHANCE = 0.005
WRONG_LAST_SEQUENCE = 10071
TOPOLOGY = TopologySettings(
    journal_max_bytes=1 << 30,
    history_max_bytes=1 << 30,
    max_ack_pending=1_000_000,
)
MODULES = [f"m{number}" for number in range(6)]
SENSORS = ["co2", "t", "h"]


@dataclass
class Wanderer:
    """A client that keeps its last token and all frames. It disconnects without a close frame, and returns at
    random.
    """

    name: str
    chance: random.Random
    subscription: dict
    token: str | None = None
    began: Token | None = None
    news: list = field(default_factory=list)
    gaps: list = field(default_factory=list)
    connections: int = 0

    async def wander(self, url, over):
        while not over.is_set():
            await self.visit(url, self.chance.randint(1, MESSAGES // 20))
            await asyncio.sleep(self.chance.choice([0, 0, 0.05, 0.3, 1.5]))  # the duration of its absence matters

    async def visit(self, url, frames):
        """Read so many frames; with None, read up to the end of the stream."""
        try:
            async with connect(url, compression=None, max_size=None, max_queue=16, ping_interval=None) as connection:
                self.connections += 1
                since = {"since": self.token} if self.token else {}
                await connection.send(json.dumps({"action": "subscribe", **self.subscription, **since}))
                await self._read(connection, frames)
                connection.transport.abort()
        except (OSError, WebSocketException, TimeoutError):
            return False
        return True

    async def _read(self, connection, frames):
        async with asyncio.timeout(60 if frames is None else 5):
            while frames is None or frames > 0:
                frame = json.loads(await connection.recv())
                self.take(frame)
                if frames is not None:
                    frames -= 1
                    if self.chance.random() < 0.001:
                        await asyncio.sleep(0.5)  # a reader that pauses
                elif frame["event"] == "live":
                    return

    def take(self, frame):
        event = frame["event"]
        if event in ("mqtt-message", "mqtt-batch") and not frame.get("snapshot"):
            data = frame["data"] if event == "mqtt-batch" else [frame["data"]]
            self.news += [int(one["value"]) for one in data]
        elif event in ("gap", "skipped"):
            self.gaps.append((event, Token.parse(frame["from"]), Token.parse(frame["to"])))
        if "seq" in frame:
            self.token = frame["seq"]
            self.began = self.began or Token.parse(frame["seq"])

    def wants(self, one):
        named = "*" in self.subscription["modules"] or one.module_id in self.subscription["modules"]
        return named and one.sensor_type in self.subscription.get("sensors", SENSORS)


class Publisher:
    """Publishes numbered envelopes as ingest does: each is repeated, with the same expected sequence, until the journal
    has it. `purged` has the messages that the journal held before a purge.
    """

    def __init__(self, url, chance):
        self.url, self.chance, self.acknowledged, self.last, self.purged = url, chance, 0, 0, {}

    async def run(self, total):
        client = await nats.connect(self.url, max_reconnect_attempts=-1, reconnect_time_wait=0.1, error_cb=self._fault)
        js = client.jetstream(timeout=2)
        number, loop = 0, asyncio.get_running_loop()
        began = loop.time()
        while number < total:
            await asyncio.sleep(began + number / RATE - loop.time())  # a rate, so that faults meet messages
            size = min(self.chance.randint(1, 8), total - number)
            made = [
                envelope(self.chance.choice(MODULES), float(number + n), sensor=self.chance.choice(SENSORS))
                for n in range(size)
            ]
            await self._publish(js, encode(made))
            number += size
            self.acknowledged = number
            if self.chance.random() < PURGE_CHANCE:
                await self._purge(js)
        await client.close()

    async def _publish(self, js, data):
        while not await self._published(js, data):
            await asyncio.sleep(0.05)  # the server is down; nothing signals its return

    async def _published(self, js, data):
        headers = {"Nats-Expected-Last-Subject-Sequence": str(self.last)}
        try:
            try:
                self.last = (await js.publish(SUBJECT, data, headers=headers)).seq
            except APIError as error:
                if error.err_code != WRONG_LAST_SEQUENCE:
                    raise
                self.last = (await js.get_last_msg("TELEMETRY", SUBJECT)).seq  # our message is stored; its ack was lost
        except (nats.errors.Error, TimeoutError, OSError):
            return False
        return True

    async def _purge(self, js):
        """Purge all but the newest messages, as a writer does with stored ones, and keep them for the account."""
        with contextlib.suppress(nats.errors.Error, TimeoutError, OSError):
            found, end = await stream(self.url)
            self.purged.update(found)
            await js.purge_stream("TELEMETRY", seq=end.sequence - 20)

    async def _fault(self, error):
        """Ignore errors of the connection: the test causes them."""


async def stream(url):
    """Return all envelopes of the journal, by token, and the position of its end."""
    client = await nats.connect(url)
    try:
        js = client.jetstream()
        info = await js.stream_info("TELEMETRY")
        journal, found = to_micros(info.created), {}
        if info.state.messages:
            first, last = info.state.first_seq, info.state.last_seq
            for sequence in range(first, last + 1):
                message = await js.get_msg("TELEMETRY", seq=sequence)
                for place, one in enumerate(decode_envelopes(message.data)):
                    found[Token(Position(journal, sequence), place)] = one
        return found, Position(journal, info.state.last_seq)
    finally:
        await client.close()


async def havoc(server, broadcaster, publisher, chance):
    """Kill, stop and start both until all is published; between two faults some messages get through."""
    deeds = Counter()
    while publisher.acknowledged < MESSAGES:
        before = publisher.acknowledged
        goal = min(MESSAGES, before + chance.randint(MESSAGES // 20, MESSAGES // 8))
        await eventually(lambda goal=goal: publisher.acknowledged >= goal, "messages published", 120)
        deed = chance.choice(["kill nats", "kill broadcaster", "stop broadcaster", "kill both"])
        deeds[deed] += 1
        if deed != "kill nats":
            await asyncio.to_thread(broadcaster.terminate if deed == "stop broadcaster" else broadcaster.kill)
        if deed in ("kill nats", "kill both"):
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
        if deed != "kill nats":
            broadcaster.start()
        await eventually(lambda: ready(broadcaster), "the broadcaster ready", 60)
    return deeds


def ready(broadcaster):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{broadcaster.port}/health/ready", timeout=2) as answer:
            return answer.status == 200
    except urllib.error.HTTPError as error:
        error.close()
        return False
    except OSError:
        return False


def wanderers(chance):
    ways = [{"modules": ["*"]}, {"modules": ["*"], "batch": True}, {"modules": ["*"], "sensors": ["t"]}]
    ways += [{"modules": MODULES[:2]}, {"modules": [MODULES[3]], "sensors": ["co2"], "batch": True}]
    ways += [{"modules": [MODULES[number]]} for number in range(3)]
    return [Wanderer(f"{n}: {way}", random.Random(chance.random()), way) for n, way in enumerate(ways)]


async def test_every_client_gets_exactly_the_stream(nats_server, tmp_path):
    """News come in order and once; whatever did not come lies in a declared gap or skip."""
    chance = random.Random(SEED)
    client = await nats.connect(nats_server.url)
    await apply(client.jetstream(), TOPOLOGY)
    await client.close()
    port = free_port()
    environ = {"NATS_URL": nats_server.url, "WS_LISTEN": f"127.0.0.1:{port}", "RECENT_MAX_BYTES": "64KiB"}
    environ |= {"WS_BUFFER_BYTES": "16KiB", "LATEST_SAVE_INTERVAL": "500ms", "LOG_FORMAT": "json"}
    broadcaster = ServiceProcess(tmp_path / "broadcaster", "seve_broadcaster", environ)
    broadcaster.start()
    url, over, crowd = f"ws://127.0.0.1:{port}/ws", asyncio.Event(), wanderers(chance)
    try:
        publisher = Publisher(nats_server.url, chance)
        wandering = [asyncio.create_task(one.wander(url, over)) for one in crowd]
        publishing = asyncio.create_task(publisher.run(MESSAGES))
        deeds = await havoc(nats_server, broadcaster, publisher, random.Random(SEED))
        await publishing
        over.set()
        await asyncio.gather(*wandering)
        left, end = await stream(nats_server.url)
        told = sorted({**publisher.purged, **left}.items())
        for one in crowd:
            await eventually(lambda one=one: all_came(one, url, end), f"all of the stream, for {one.name}", 120)
    finally:
        broadcaster.stop()
    log.info("%d envelopes, %s", len(told), dict(deeds))
    for one in crowd:
        account(one, told)


async def all_came(one, url, end):
    return await one.visit(url, None) and Token.parse(one.token).position >= end


def account(one, told):
    """Compute the account of a client, and assert it."""
    asked = {int(what.value): token for token, what in told if one.wants(what) and token > one.began}
    came = set(one.news)
    places = [asked[number] for number in one.news if number in asked]
    assert sorted(set(places)) == places, f"out of order or twice, for {one.name}"
    assert came <= set(asked), f"not asked for, by {one.name}"
    missing = {number: at for number, at in asked.items() if number not in came}
    unexplained = [
        number for number, token in missing.items() if not any(start < token <= end for _, start, end in one.gaps)
    ]
    kinds = Counter(event for event, *_ in one.gaps)
    log.info(
        "%s: %d connections, %d came, %d declared by %s",
        one.name,
        one.connections,
        len(came),
        len(missing),
        dict(kinds),
    )
    assert unexplained == [], f"never told to {one.name}"
    assert came, f"nothing came to {one.name}"
