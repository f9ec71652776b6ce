"""Clients draw a module's past and follow it live, while writers, database, NATS, history and broadcaster are killed.

What a client has at the end, its answer and the stream behind it, is what was published: each message of the journal
is in the one or in the other. The seed decides what is killed and when; FAULTS_SEED runs it again.
"""

import asyncio
import json
import os
import random
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from urllib.parse import urlsplit

from nats.aio.client import Client
from paho.mqtt import publish
from seve_schema.position import Token
from seve_schema.times import parse_time, to_micros
from support.conditions import wait_until
from support.faults import kill_one
from support.fleet import simulated
from support.ledger import assert_every_message_is_accounted_for
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

SECONDS = 15
PARTS = ["writer", "writer-2", "broadcaster", "history", "nats", "postgres"]
CLIENTS = 5
MARK = "last-word"


class Screen(threading.Thread):
    """A client that draws a module's past and follows from there; it comes back where it broke off."""

    def __init__(self, stack, module):
        super().__init__(daemon=True)
        self.module = module
        self.answer = None
        self.news = []
        self.faults = []
        self.refused = Counter()
        self.connections = 0
        self._ws = stack.ws_url
        self._over = threading.Event()

    def run(self):
        since = self._draw()
        while since and not self._over.is_set():
            since = self._follow(since)

    def end(self):
        """Stop where it stands."""
        self._over.set()
        self.join(30)

    @property
    def heard_the_last_word(self):
        return any(envelope["sensorType"] == MARK for _, envelope in self.news)

    def _draw(self):
        """Ask until there is an answer; give its token."""
        url = self._ws.replace("ws:", "http:").removesuffix("/ws")
        while not self._over.is_set():
            try:
                with urllib.request.urlopen(f"{url}/api/history?module={self.module}&points=50000", timeout=20) as told:
                    self.answer = json.loads(told.read())
            except urllib.error.HTTPError as error:
                self.refused[error.read().decode().strip()] += 1
                if error.code != 503:
                    raise
            except (OSError, ValueError):  # the broadcaster is away, or went away amid its answer
                self.refused["no connection"] += 1
            else:
                return self.answer["token"]
            time.sleep(0.05)
        return None

    def _follow(self, since):
        """Take frames until the connection ends; give the newest token."""
        self.connections += 1
        try:
            with connect(f"{self._ws}?module={self.module}&since={since}", max_size=None, open_timeout=5) as ws:
                while not self._over.is_set():
                    try:
                        frame = json.loads(ws.recv(timeout=0.2))
                    except TimeoutError:
                        continue
                    if frame["event"] in ("gap", "skipped", "error"):
                        self.faults.append(frame)
                    if frame["event"] == "mqtt-message" and not frame.get("snapshot"):
                        self._take(frame)
                    since = frame.get("seq", since)
        except (WebSocketException, OSError):
            time.sleep(0.05)
        return since

    def _take(self, frame):
        if frame["data"]["kind"] == "measurement":
            self.news.append((frame["seq"], frame["data"]))

    def drawn(self):
        """The samples of the answer."""
        return Counter(
            (series["sensor"], series["hardware"], at) for series in self.answer["series"] for at, _ in series["points"]
        )


def sample(envelope):
    """How an answer tells a sample: series, and milliseconds since 1970."""
    moment = to_micros(parse_time(envelope["time"])) // 1000
    return envelope["sensorType"], envelope["hardwareId"], moment


async def published(nats_url, module):
    """Every sample of a module in the journal, with its sequence."""
    client = Client()
    await client.connect(nats_url)
    try:
        js = client.jetstream()
        last = (await js.stream_info("TELEMETRY")).state.last_seq
        subscription = await js.subscribe("telemetry.*.measurement", stream="TELEMETRY", ordered_consumer=True)
        found = []
        while True:
            message = await subscription.next_msg(timeout=10)
            sequence = message.metadata.sequence.stream
            found += [(sequence, envelope) for envelope in json.loads(message.data) if envelope["moduleId"] == module]
            if message.metadata.num_pending == 0:
                assert sequence <= last
                return found
    finally:
        await client.close()


def test_the_past_and_the_stream_are_what_was_published(make_stack, tmp_path, record_property):
    """Two writers, so that transactions overtake each other."""
    seed = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(2**31))
    record_property("seed", seed)
    dice = random.Random(seed)
    stack = make_stack(writers=2, QUERY_TIMEOUT="2s")
    screens, told = [], []
    with simulated(stack, tmp_path, "--modules=5", "--rate=400", f"--seconds={SECONDS}", PATIENCE="60s") as run:
        run.wait_until_at_work()
        wait_until(lambda: stack.query("SELECT FROM measurements LIMIT 1"), "a row")
        ((module,),) = stack.query("SELECT module_id FROM measurements LIMIT 1")
        end = time.monotonic() + SECONDS - 3
        while time.monotonic() < end and run.process.poll() is None:
            if len(screens) < CLIENTS:
                screens.append(Screen(stack, module))
                screens[-1].start()
            told.append(kill_one(stack, dice, PARTS))
        wait_until(lambda: run.process.poll() is not None, "the end of the run", 120)
        assert run.process.returncode == 0, f"FAULTS_SEED={seed}: {told}\n{run.text}"
    stack.wait_ready()
    broker = urlsplit(stack.mqtt_url)
    publish.single(f"{module}/{MARK}", "1", qos=1, hostname=broker.hostname, port=broker.port)
    assert_every_message_is_accounted_for(stack)
    everything = asyncio.run(published(stack.nats_url, module))
    assert len(everything) > SECONDS * 40
    for screen in screens:
        wait_until(lambda screen=screen: screen.heard_the_last_word, f"the last word, FAULTS_SEED={seed}: {told}", 30)
        screen.end()
        judge(screen, everything, f"FAULTS_SEED={seed}: {told}")


def judge(screen, everything, story):
    """Each message is in the answer or behind its token; one with the key of a newer one may be in neither."""
    assert screen.faults == [], story
    position = Token.parse(screen.answer["token"]).position.sequence
    behind = Counter(sample(envelope) for sequence, envelope in everything if sequence > position)
    assert Counter(sample(envelope) for _, envelope in screen.news) == behind, f"the stream; {story}"
    before = Counter(sample(envelope) for sequence, envelope in everything if sequence <= position)
    drawn = screen.drawn()
    assert set(drawn) <= set(before), f"nothing that the stream brings alone; {story}"
    assert set(before) - set(drawn) <= set(behind), f"nothing is missing; {story}"
    once = Counter(sample(envelope) for _, envelope in everything)
    assert all(count <= once[one] for one, count in drawn.items()), story
    assert not [one for one in drawn if one in behind and once[one] < 2], f"nothing twice; {story}"
