"""Brokers for ingest: NATS' listener always, Mosquitto if the program is installed."""

import pytest
from seve_runtime.nats.direct import DirectClient
from support.ingest import Ingest, set_up
from support.mosquitto import Mosquitto, program


@pytest.fixture
def mosquitto(tmp_path):
    """A Mosquitto that the test may stop and kill."""
    if program() is None:
        pytest.skip("the program `mosquitto` is not installed")
    (tmp_path / "mosquitto").mkdir()
    server = Mosquitto(tmp_path / "mosquitto")
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["nats", "mosquitto"])
def broker(request, nats_server):
    """Both brokers in turn."""
    return nats_server if request.param == "nats" else request.getfixturevalue("mosquitto")


@pytest.fixture
async def streams(nats_server):
    """The topology on this test's NATS server."""
    await set_up(nats_server)
    return nats_server


@pytest.fixture
async def client(streams):
    """A client of that server, as the services have."""
    connected = DirectClient()
    await connected.connect(streams.url)
    yield connected
    await connected.close()


@pytest.fixture
def run_ingest(tmp_path):
    """Makes services as processes, not started yet; kills those that still run at the end."""
    made = []

    def make(broker, nats_server, **settings):
        (tmp_path / f"ingest{len(made)}").mkdir()
        made.append(Ingest(tmp_path / f"ingest{len(made)}", broker, nats_server, **settings))
        return made[-1]

    yield make
    for process in made:
        if process.process and process.process.poll() is None:
            process.kill()


@pytest.fixture
def ingest(run_ingest, broker, streams):
    """The service against both brokers in turn, not started."""
    return run_ingest(broker, streams)
