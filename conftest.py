"""Fixtures of every suite: real servers, one of each for the whole run, and fresh ones for tests that break them."""

import uuid

import psycopg
import pytest
from servers.embedded import NatsServer, PostgresServer


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
