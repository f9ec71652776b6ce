"""What ingest alone can do: a broker full of messages waits for its session, and ingest empties it.

    .venv/bin/python tests/bench/bench_ingest.py [--broker mosquitto|nats] [--modules 50] [--messages 300000]

QoS 1, acknowledged by hand after JetStream's ack, full normalisation, one process. In the same run: the raw receive
limit (the same client, the same broker, every message acknowledged unread), and a plain paho client's. The backlog is
made beforehand, so the load generator takes no CPU while ingest is measured; broker and NATS do. CPU a message is the
process's own and says what a core to itself would do: `a core` is its inverse. Stages are timed in this process, alone.
"""

import argparse
import asyncio
import os
import selectors
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from seve_ingest.mqtt.client import FastClient
from seve_ingest.mqtt.connect import connect
from seve_ingest.mqtt.framing import Arrival, Framing
from seve_ingest.normalise.normaliser import Normaliser
from seve_ingest.pipeline import Intake
from seve_ingest.publish.deliveries import Delivery, Keys, Queue, Seen
from seve_ingest.publish.subject_queues import Lanes
from seve_ingest.routing.presets import NATIVE
from seve_ingest.routing.routes import RouteTable
from seve_schema.codec import encode, join
from seve_schema.times import format_time
from support.conditions import wait_until
from support.embedded import NatsServer
from support.ingest import Ingest, set_up
from support.mosquitto import Mosquitto, program
from support.mqtt_load import Load, publish_packet

TICKS = os.sysconf("SC_CLK_TCK")
SENSORS = 8


def messages(count, modules):
    """Samples as devices send them, `modules` times eight series, each with a time of its own."""
    start = time.time_ns() // 1000 - count
    for number in range(count):
        topic = f"module-{number % modules:04d}/sensor{number // modules % SENSORS}"
        yield topic, b'{"value": %d.5, "time": "%b"}' % (number % 1000, format_time(start + number).encode())


def cpu(pid):
    """Seconds of CPU a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def backlog(broker, client_id, count, modules):
    """Make the broker hold `count` messages for the session `client_id`."""
    subscriber = Load(broker.mqtt_port, client_id, clean=False)
    subscriber.subscribe("#")
    subscriber.leave()
    load = Load(broker.mqtt_port, "load", window=5000)
    load.publish(messages(count, modules))
    load.finish()


class Measured:
    """What one run cost: messages, seconds, and CPU seconds by process."""

    def __init__(self, name, count, seconds, own, broker, nats):
        self.row = (name, count / seconds, 1e6 * own / count, count / own, 1e6 * broker / count, 1e6 * nats / count)


def service(folder, broker, nats, count, modules):
    """The service, from its first message to the last JetStream ack."""
    ingest = Ingest(folder, broker, nats, MQTT_CLIENT_ID="bench", DEDUP_TAIL="0", MAX_INFLIGHT="16384")
    backlog(broker, "bench", count, modules)
    ingest.start(wait=False)
    wait_until(lambda: ingest.count("envelopes_total") > 0, "first message")
    first, started = ingest.count("envelopes_total"), time.monotonic()
    before = [cpu(process.pid) for process in (ingest.process, broker.process, nats.process)]
    while ingest.count("envelopes_total") < count:
        assert time.monotonic() - started < 120, "not drained within 120 s"
        time.sleep(0.05)
    seconds = time.monotonic() - started
    own, brokers, servers = (
        cpu(process.pid) - then
        for process, then in zip((ingest.process, broker.process, nats.process), before, strict=True)
    )
    publishes = ingest.count("publishes_total")
    assert ingest.count("outcomes_total", outcome="published") == count
    ingest.stop()
    done = count - first
    shared = broker is nats
    return Measured("seve-ingest", done, seconds, own, 0 if shared else brokers, servers), count / publishes


def raw(broker, nats, count, modules, make):
    """A bare receive loop in this process: every message acknowledged unread."""
    backlog(broker, make.__name__, count, modules)
    client, received = make(broker)
    before = [time.process_time(), cpu(broker.process.pid), cpu(nats.process.pid)]
    started = time.monotonic()
    with selectors.DefaultSelector() as selector:
        selector.register(client.socket(), selectors.EVENT_READ)
        while received() < count:
            assert selector.select(20), "the broker sends nothing"
            client.loop_read()
            while client.want_write():
                client.loop_write()
    seconds = time.monotonic() - started
    own = time.process_time() - before[0]
    spent = [cpu(broker.process.pid) - before[1], cpu(nats.process.pid) - before[2]]
    client.disconnect()
    client.loop_write()
    return Measured(client.bench_name, count, seconds, own, 0 if broker is nats else spent[0], spent[1])


def _options(client_id):
    return {"client_id": client_id, "clean_session": False, "manual_ack": True}


def fast_client(broker):
    """Ingest's client."""
    count = 0

    class Counting(FastClient):
        bench_name = "raw: ingest's client"

        def _packet_read(self):
            nonlocal count
            code = super()._packet_read()
            if self.arrived:
                self.acknowledge([arrival.mid for arrival in self.arrived])
                count += len(self.arrived)
                self.arrived.clear()
            return code

    client = Counting(CallbackAPIVersion.VERSION2, **_options(fast_client.__name__))
    client.connect_async("127.0.0.1", broker.mqtt_port)
    client.on_socket_register_write = lambda *_: None
    client.open(asyncio.run(connect("127.0.0.1", broker.mqtt_port, None, "", patience=5)))
    client.loop_write()
    return client, lambda: count


def plain_client(broker):
    """Paho's own, driven in the same way."""
    count = 0

    def on_message(client, _userdata, message):
        nonlocal count
        count += 1
        client.ack(message.mid, message.qos)

    client = Client(CallbackAPIVersion.VERSION2, **_options(plain_client.__name__))
    client.bench_name = "raw: plain paho"
    client.on_message = on_message
    client.connect("127.0.0.1", broker.mqtt_port)
    return client, lambda: count


def timed(work, count, repeat=3):
    """Microseconds of CPU a message, the best of `repeat`."""
    best = float("inf")
    for _ in range(repeat):
        begun = time.process_time()
        work()
        best = min(best, time.process_time() - begun)
    return 1e6 * best / count


def stages(modules, count=50_000):
    """What each step of the service costs a message, in this process and alone."""
    batch = [
        Arrival(topic.encode(), payload, number % 65535 + 1, 0x32)
        for number, (topic, payload) in enumerate(messages(count, modules))
    ]
    wire = b"".join(publish_packet(each.topic.decode(), each.payload, each.mid) for each in batch)
    wire5 = b"".join(
        publish_packet(each.topic.decode(), b"\x00" + each.payload, each.mid) for each in batch
    )  # a property length of none, where the payload of 3.1.1 begins
    normalise = Normaliser(RouteTable(("native", route) for route in NATIVE), retention=90 * 86400.0)
    keys, now = Keys("bench"), time.time_ns() // 1000

    def framing(data, *, version5):
        frames, arrived = Framing(version5=version5), []
        for at in range(0, len(data), 65536):
            frames.receive(data[at : at + 65536], arrived)
        assert len(arrived) == count

    def normalising():
        for topic, payload, _, _ in batch:
            normalise(topic, payload, received_at=now, key="0123456789abcdef0123")

    verdicts = [normalise(each.topic, each.payload, received_at=now, key="k") for each in batch]
    encoded = [(verdict.subject, encode(verdict.envelopes[0])) for verdict in verdicts]

    def intake():
        whole = Intake(normalise, Lanes("n"), keys, Seen(10_000), max_inflight=10**9, max_bytes=10**12)
        for at in range(0, count, 1000):
            whole.take(batch[at : at + 1000])
            waiting = list(whole.lanes.ready())
            while waiting:
                following = whole.held(waiting.pop().number)
                waiting += [following] if following else []
            whole.finished()

    def lanes():
        queue, waiting = Queue(), Lanes("n")
        for subject, data in encoded:
            delivery = Delivery(1, 1, 1, 0)
            queue.add(delivery)
            waiting.add(subject, data, delivery)
        list(waiting.ready())

    parts = [
        ("framing: packets out of a read", lambda: framing(wire, version5=False)),
        ("the same in MQTT 5", lambda: framing(wire5, version5=True)),
        ("delivery key", lambda: [keys.digest(each.mid, each.topic, each.payload) for each in batch]),
        ("normalise: payload to envelope", normalising),
        ("encode the envelope", lambda: [encode(verdict.envelopes[0]) for verdict in verdicts]),
        ("queue and group by subject", lanes),
        (
            "join a NATS message (of 100)",
            lambda: [join(d for _, d in encoded[i : i + 100]) for i in range(0, count, 100)],
        ),
        ("all of intake, ack to PUBACK queue", intake),
    ]
    normalising()
    return [(name, timed(work, count)) for name, work in parts]


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--broker", choices=("mosquitto", "nats"), default="mosquitto" if program() else "nats")
    options.add_argument("--modules", type=int, nargs="+", default=[50, 1000], help="each with eight sensors [50 1000]")
    options.add_argument("--messages", type=int, default=200_000, help="messages in the backlog [200000]")
    chosen = options.parse_args()
    print(f"{chosen.messages} messages of QoS 1 from {chosen.broker}; CPU in us a message")
    print(
        f"{'':<34}{'modules':>8}{'msgs/s':>10}{'own CPU':>9}{'a core':>10}{'broker':>8}{'NATS':>7}{'per NATS msg':>14}"
    )
    for modules in chosen.modules:
        with tempfile.TemporaryDirectory() as folder:
            run(Path(folder), chosen, modules)
    print("\nstage, us of CPU a message, timed alone")
    for name, cost in stages(chosen.modules[0]):
        print(f"  {name:<36}{cost:>6.2f}")


def run(folder, chosen, modules):
    """Everything for one number of modules, on servers of its own."""
    for name in ("nats", "mosquitto"):
        (folder / name).mkdir()
    nats = NatsServer(folder / "nats")
    nats.start()
    asyncio.run(set_up(nats, journal_max_bytes=2 << 30, history_max_bytes=256 << 20))
    broker = nats
    if chosen.broker == "mosquitto":
        broker = Mosquitto(folder / "mosquitto", inflight=10_000)
        broker.start()
    try:
        measured, grouped = service(folder, broker, nats, chosen.messages, modules)
        show(measured, modules, f"{grouped:>14.1f}")
        for make in (fast_client, plain_client):
            show(raw(broker, nats, chosen.messages, modules, make), modules)
    finally:
        if broker is not nats:
            broker.stop()
        nats.stop()


def show(measured, modules, more=""):
    name, rate, own, core, broker, nats = measured.row
    print(f"{name:<34}{modules:>8}{rate:>10,.0f}{own:>9.1f}{core:>10,.0f}{broker:>8.1f}{nats:>7.1f}{more}", flush=True)


if __name__ == "__main__":
    main()
