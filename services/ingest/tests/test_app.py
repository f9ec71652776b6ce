"""The whole service against real servers: what a device publishes is in the journal, and only then acknowledged."""

import asyncio
import urllib.request

import nats
import pytest
from paho.mqtt import publish
from servers.conditions import eventually, free_port
from seve_ingest.app import app
from seve_ingest.settings import BrokerSettings, Settings
from seve_runtime import topology
from seve_runtime.nats import NatsSettings
from seve_runtime.service import ServiceSettings
from seve_schema.codec import decode_envelopes


def settings_for(server, **options):
    broker = BrokerSettings(mqtt_broker=server.mqtt_url, mqtt_reconnect=0.2, **options)
    service = ServiceSettings(admin_listen=f"127.0.0.1:{free_port()}")
    return Settings(broker=broker, nats=NatsSettings(nats_url=(server.url,)), service=service)


@pytest.fixture
async def jetstream(nats_server):
    client = await nats.connect(nats_server.url)
    js = client.jetstream()
    await topology.apply(js, topology.TopologySettings(journal_max_bytes=64 << 20, history_max_bytes=64 << 20))
    yield js
    await client.close()


@pytest.fixture
async def ingest(nats_server, jetstream):
    stop = asyncio.Event()
    settings = settings_for(nats_server)
    running = asyncio.create_task(app(settings, stop))
    await eventually(lambda: ready(settings), "ingest ready")
    yield running
    stop.set()
    await running


async def ready(settings):
    def ask():
        try:
            with urllib.request.urlopen(f"http://{settings.service.admin_listen}/health/ready", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    return await asyncio.to_thread(ask)


async def journal(js):
    info = await js.stream_info(topology.JOURNAL)
    found = []
    for sequence in range(info.state.first_seq, info.state.last_seq + 1):
        message = await js.get_msg(topology.JOURNAL, sequence)
        found.extend((message.subject, envelope) for envelope in decode_envelopes(message.data))
    return found


async def test_a_sample_reaches_the_journal(nats_server, jetstream, ingest):
    """Topic, value and subject are as contracts say."""
    await asyncio.to_thread(
        publish.single, "croissance/co2", b'{"value": 450.5}', qos=1, hostname="127.0.0.1", port=nats_server.mqtt_port
    )
    await eventually(lambda: journal(jetstream), "an envelope")
    [(subject, envelope)] = await journal(jetstream)
    assert (subject, envelope.value) == ("telemetry.croissance.measurement", 450.5)
