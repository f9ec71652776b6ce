"""What is read of headers, and that it is what nats-py reads."""

import pytest
from nats.aio.client import Client
from seve_broadcaster.listener import Listener

REPUBLISHED = (
    b"NATS/1.0\r\nNats-Msg-Id: x-1\r\nNats-Stream: TELEMETRY\r\nNats-Subject: telemetry.a.measurement\r\n"
    b"Nats-Sequence: 123456\r\nNats-Time-Stamp: 2026-11-23T18:40:24.544152381Z\r\nNats-Last-Sequence: 1\r\n\r\n"
)


async def test_the_sequence_is_read_and_nothing_else():
    """It is the same as nats-py's."""
    full, own = await Client()._process_headers(REPUBLISHED), await Listener()._process_headers(REPUBLISHED)
    assert own == {"Nats-Sequence": full["Nats-Sequence"]}


@pytest.mark.parametrize(
    "headers",
    [
        None,
        b"NATS/1.0 404 No Messages\r\n\r\n",
        b"NATS/1.0 100 Idle Heartbeat\r\n\r\n",
        b"NATS/1.0\r\nfoo: bar\r\n\r\n",
    ],
)
async def test_everything_else_is_left_to_nats_py(headers):
    """Status messages and headers of others."""
    assert await Client()._process_headers(headers) == await Listener()._process_headers(headers)
