"""The network of the crash matrix: what it does to packets is what it was told, and only to them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from faults.isolation import NAMESPACES, TRIED

STORY = """
import socket, threading, time
from support.link import Fate, Way, network

with network(1) as net, socket.create_server(("0.0.0.0", 20000)) as server:
    one, other = net.address(), net.address()

    def serve():
        with server:
            for _ in range(2):
                connection, peer = server.accept()
                threading.Thread(target=echo, args=(connection,), daemon=True).start()

    def echo(connection):
        while data := connection.recv(65536):
            connection.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    ends = [socket.create_connection((address, 20000), 10) for address in (one, other)]

    def round_trip(end):
        began = time.monotonic()
        end.sendall(b"x")
        assert end.recv(1) == b"x"
        return time.monotonic() - began

    net.ways[one] = Way(Fate(delay=0.2), Fate(delay=0.3))
    assert round_trip(ends[0]) >= 0.5
    net.ways[one] = Way(back=Fate(loss=1.0))
    ends[0].sendall(b"y")
    round_trip(ends[1])
    ends[0].settimeout(1)
    try:
        assert not ends[0].recv(1)
    except TimeoutError:
        net.ways[one] = Way()
        ends[0].settimeout(10)
        assert ends[0].recv(1) == b"y"
        print("told apart")
"""


def test_each_direction_of_each_pair_has_a_way_of_its_own():
    if subprocess.run([*NAMESPACES, "sh", "-c", TRIED], check=False, capture_output=True).returncode:
        pytest.skip("no right to namespaces")
    done = subprocess.run(
        [*NAMESPACES, sys.executable, "-c", STORY],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        timeout=60,
    )
    assert done.stdout == "told apart\n", done.stderr
