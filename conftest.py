"""Fixtures of every suite: real servers, one of each for the whole run, and fresh ones for tests that break them."""

import uuid

import psycopg
import pytest
from hypothesis import settings
from support.embedded import NatsServer, PostgresServer
from support.kinds import KINDS, running
from support.stack import EmbeddedStack

pytest_plugins = ["support.order", "support.skips"]

settings.register_profile("seve", deadline=None)  # timing is never asserted: this machine has other work too
settings.load_profile("seve")

SERVERS = frozenset(
    {
        "shared_postgres",
        "postgres_server",
        "nats_server",
        "stack",
        "make_stack",
        "own_stack",
        "project",
        "broker",
        "engine",
    }
)
"""Fixtures that start programs. A test that takes one is slow, and so is all that lies in one of these folders."""

SLOW_FOLDERS = frozenset({"bench", "browser", "docker", "examples", "faults", "hostile", "integration"})


SECONDS = {"bench": 1800, "docker": 1800, "faults": 1800}
"""How long a test of a folder may take, where that is longer than `timeout` in pyproject.toml."""


def pytest_collection_modifyitems(items):
    """Mark what needs servers as slow; what else takes longer than a second is marked where it stands."""
    for item in items:
        if seconds := SECONDS.get(item.path.parent.name):
            item.add_marker(pytest.mark.timeout(seconds))
        if SERVERS.intersection(item.fixturenames) or item.path.parent.name in SLOW_FOLDERS:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def shared_postgres(tmp_path_factory):
    """One PostgreSQL server for the run; take `database_url` instead of this."""
    server = PostgresServer(tmp_path_factory.mktemp("postgres"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def database_url(shared_postgres):
    """An empty database of the test's own."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(shared_postgres.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield shared_postgres.url.rsplit("/", 1)[0] + f"/{name}"
    with psycopg.connect(shared_postgres.url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def postgres_server(tmp_path):
    """A PostgreSQL server of the test's own, to stop and kill."""
    (tmp_path / "postgres").mkdir()
    server = PostgresServer(tmp_path / "postgres")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def nats_server(tmp_path):
    """A NATS server of the test's own, empty, with its MQTT listener; to stop and kill."""
    (tmp_path / "nats").mkdir()
    server = NatsServer(tmp_path / "nats")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session", params=KINDS)
def stack(request, tmp_path_factory):
    """One whole pipeline for the run, for stories that leave it as they found it; take names of your own."""
    with running(request.param, tmp_path_factory.mktemp("stack")) as one:
        yield one


@pytest.fixture
def make_stack(tmp_path):
    """Starts pipelines of the test's own, with options and settings of its choice, and stops them after it."""
    made = []

    def make(**options):
        made.append(EmbeddedStack(tmp_path / f"stack-{len(made)}", **options))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def own_stack(make_stack):
    """A whole pipeline of the test's own, to kill parts of."""
    return make_stack()
