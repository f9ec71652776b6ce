"""Libraries of which Sève uses names that are not public: the names are there, and a version bound stops the next minor
release until somebody has run these tests on it.
"""

import ast
import asyncio
import inspect
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from nats.aio.client import Client as NatsClient
from nats.aio.subscription import Subscription
from nats.aio.transport import TcpTransport
from nats.protocol.parser import Parser
from paho.mqtt.client import Client as MqttClient
from paho.mqtt.client import MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from psycopg import AsyncConnection, errors, generators
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

ROOT = Path(__file__).parent.parent


def mqtt_client():
    return MqttClient(CallbackAPIVersion.VERSION2)


CLIENT = (
    *("_ps", "_sid", "_remove_sub", "_error_cb", "_flush_queue", "_transport"),
    *("_pending", "_pending_data_size", "_max_pending_size", "_max_payload"),
)
PARSER = ("parse", "reset", "buf", "nc")
PAHO = (
    *("_packet_read", "_packet_handle", "_packet_queue", "_in_packet", "_create_socket", "_sock", "_sock_recv"),
    *("_sock_send", "_out_packet"),
    *("_loop_rc_handle", "_last_bytes_received", "_ping_t"),
)
WEBSOCKETS = ("process_event", "send_data", "recv_messages", "paused", "protocol", "transport", "loop")


def lacking(thing, names):
    return [name for name in names if not hasattr(thing, name)]


def parameters(function):
    return list(inspect.signature(function).parameters)


def lost(library, where, names):
    return f"{library} {version(library)} lacks what {where} uses: {', '.join(names)}. Change that file, or its bound."


def test_nats_py_has_the_names_that_the_direct_client_uses():
    where = "seve_runtime/nats/direct.py"
    client = NatsClient()
    missing = lacking(client, CLIENT) + lacking(Parser(client), PARSER) + lacking(Subscription(client, id=7), ("_id",))
    missing += lacking(TcpTransport(), ("_io_writer",))
    assert not missing, lost("nats-py", where, missing)
    assert isinstance(client._ps, Parser), lost("nats-py", where, ["Client._ps: Parser"])
    assert isinstance(client._pending, list), lost("nats-py", where, ["Client._pending: list"])
    assert parameters(client._remove_sub)[0] == "sid"


def test_paho_has_the_names_that_the_fast_client_uses():
    where = "seve_ingest/mqtt/client.py"
    client = mqtt_client()
    missing = lacking(client, PAHO) + lacking(MQTTMessage(), ("_topic",))
    assert not missing, lost("paho-mqtt", where, missing)
    assert {"command", "packet", "remaining_length", "pos"} <= set(client._in_packet)


def test_psycopg_has_the_names_that_several_statements_in_one_message_use():
    where = "seve_writer/database/multi_statement.py"
    missing = lacking(generators, ("execute", "copy_to", "send")) + lacking(errors, ("error_from_result",))
    missing += lacking(AsyncConnection, ("wait",))
    assert not missing, lost("psycopg", where, missing)
    assert parameters(generators.execute) == ["pgconn"]
    assert parameters(generators.copy_to) == ["pgconn", "buffer", "flush"]


async def test_websockets_has_the_names_that_a_connection_uses():
    where = "seve_broadcaster/websocket/connection.py"
    served = asyncio.get_running_loop().create_future()

    async def handler(connection):
        missing = lacking(connection, WEBSOCKETS)
        served.set_result(missing + lacking(connection.recv_messages, ("pause", "resume", "paused")))

    async with serve(handler, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()[:2]
        async with connect(f"ws://{host}:{port}"):
            missing = await asyncio.wait_for(served, 30)
    assert not missing, lost("websockets", where, missing)


LIBRARIES = {
    "nats-py": ("libs/runtime", "src/seve_runtime/nats/direct.py", NatsClient, CLIENT),
    "paho-mqtt": ("services/ingest", "src/seve_ingest/mqtt/client.py", mqtt_client, PAHO),
    "psycopg": ("services/writer", "src/seve_writer/database/multi_statement.py", None, ()),
    "websockets": ("services/broadcaster", "src/seve_broadcaster/websocket/connection.py", None, ()),
}


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_next_minor_release_is_not_installed_unseen(library):
    """The package that uses private names bounds the version; the installed one is below the bound."""
    folder = LIBRARIES[library][0]
    project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    [requirement] = [name for name in project["dependencies"] if name.startswith(library)]
    major, minor = map(int, version(library).split(".")[:2])
    assert requirement.endswith(f",<{major}.{minor + 1}")


@pytest.mark.parametrize("library", ["nats-py", "paho-mqtt"])
def test_the_tables_above_are_complete(library):
    """Every underscored attribute in the file that the library's client has is one of the names that are watched."""
    folder, file, client, watched = LIBRARIES[library]
    tree = ast.parse((ROOT / folder / file).read_text(encoding="utf-8"))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr.startswith("_")}
    theirs = {name for name in used - {"__init__"} if hasattr(client(), name)}
    assert theirs
    assert theirs <= set(watched)
