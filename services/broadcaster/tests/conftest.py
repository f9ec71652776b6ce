"""Fixtures of the broadcaster's tests."""

import nats
import pytest
from seve_runtime.nats.topology import apply
from support.broadcasting import SMALL, Journal, broadcasting


@pytest.fixture
async def journal(nats_server):
    """The streams, applied as `setup` does."""
    client = await nats.connect(nats_server.url)
    await apply(client.jetstream(), SMALL)
    yield Journal(client)
    await client.close()


@pytest.fixture
async def ws_url(nats_server, journal):
    """A broadcaster with its default settings."""
    async with broadcasting(nats_server.url) as url:
        yield url
