"""Hostile WebSocket and HTTP clients against the whole stack: an honest device and an honest screen lose nothing.

Attackers connect from other addresses of the loopback network, so that the limits per address tell them apart; Docker
gives them all one. Each attack is bounded in connections and bytes.
"""

import collections
import contextlib
import http.client
import resource
import socket
import subprocess
import sys
import urllib.request
from urllib.parse import urlsplit

import psutil
import pytest
from support.conditions import free_port, wait_until
from support.kinds import KINDS, running
from support.raw_client import REQUEST, frame
from support.stack import EmbeddedStack

GROWTH = 96 << 20
"""What the broadcaster may grow by: some buffers of clients, and what its allocator keeps."""

A_SOCKET = 12 << 10
"""And by this for each open socket: all those of an attack may be open at once, for as long as a request may take."""

MANY = 10_000
MANY_BY_PROXY = 4_000
"""Connections in all. To a container they go through Docker's proxy, which ends where its descriptors do."""


class Attack:
    """Sockets of attackers, newest last; beyond `most` the oldest is closed."""

    def __init__(self, port, most=2000, many=MANY):
        self.port = port
        self.many = many
        self._most = most
        self._sockets = collections.deque()

    @property
    def allowed_growth(self):
        """Bytes that the broadcaster may take for what is open now."""
        return GROWTH + A_SOCKET * len(self._sockets)

    def connect(self, source="127.0.0.2", takes=None):
        """One more connection; None where the server refuses it."""
        if len(self._sockets) >= self._most:
            self._sockets.popleft().close()
        sock = socket.socket()
        self._sockets.append(sock)
        if takes:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, takes)
        sock.settimeout(5)
        sock.bind((source, 0))
        with contextlib.suppress(OSError):
            sock.connect(("127.0.0.1", self.port))
            return sock
        return None

    def send(self, sock, data):
        """Send until the server stops reading or cuts the connection."""
        with contextlib.suppress(OSError):
            sock.settimeout(0.2)
            sock.sendall(data)

    def subscribed(self, query="module=*", **options):
        sock = self.connect(takes=4096, **options)
        if sock:
            self.send(sock, REQUEST.format(query=query).encode())
        return sock

    def close(self):
        for sock in self._sockets:
            sock.close()


def half_open_of_one_address(attack):
    for _ in range(2000):
        attack.connect()


def half_open_of_many_addresses(attack):
    for number in range(attack.many):
        attack.connect(f"127.0.{1 + number % 40}.2")


def half_a_request(attack):
    for _ in range(500):
        if sock := attack.connect():
            attack.send(sock, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ")


def clients_that_read_nothing(attack):
    for _ in range(200):
        attack.subscribed()


def pings_without_end(attack):
    for _ in range(50):
        if sock := attack.subscribed():
            attack.send(sock, frame(b"x" * 125, opcode=0x9) * 2000)


def subscriptions_without_end(attack):
    for _ in range(50):
        if sock := attack.subscribed():
            attack.send(sock, frame(b'{"action":"subscribe","modules":["*"]}') * 2000)


def nonsense(attack):
    for payload in (b"{", b"", b"[[[[[[[[[[", b'"\xff"', b'{"action":"subscribe","modules":[{}]}'):
        for opcode in (0x1, 0x2, 0x3, 0x0, 0xF):
            if sock := attack.subscribed():
                attack.send(sock, frame(payload, opcode) * 50)


def fragments_without_end(attack):
    for _ in range(50):
        if sock := attack.subscribed():
            attack.send(sock, frame(b"", final=False) + frame(b"", 0x0, final=False) * 20_000)


def answers_that_nobody_reads(attack):
    for _ in range(500):
        if sock := attack.connect(takes=4096):
            attack.send(sock, b"GET /api/modules HTTP/1.1\r\nHost: localhost\r\n\r\n")


def coming_and_going(attack):
    for _ in range(1000):
        if sock := attack.subscribed():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            sock.close()


ATTACKS = (
    half_open_of_one_address,
    half_open_of_many_addresses,
    half_a_request,
    clients_that_read_nothing,
    pings_without_end,
    subscriptions_without_end,
    nonsense,
    fragments_without_end,
    answers_that_nobody_reads,
    coming_and_going,
)


@pytest.fixture(scope="module", params=KINDS)
def stack(request, descriptors, tmp_path_factory):
    """A pipeline of this file's own: the memory of its broadcaster is looked at."""
    with running(request.param, tmp_path_factory.mktemp("screens")) as one:
        yield one


@pytest.fixture(scope="module")
def descriptors():
    """As many descriptors as the attacks need, for this process and the servers it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 16_384:
        pytest.skip(f"needs 16384 file descriptors, the system allows {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (16_384, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_an_honest_screen_loses_nothing(stack, honest, attack):
    """Every sample is stored and seen; the broadcaster stays ready, and does not grow with the attack."""
    many = MANY if isinstance(stack, EmbeddedStack) else MANY_BY_PROXY
    attackers = Attack(urlsplit(stack.ws_url).port, most=12_000, many=many)
    process = psutil.Process(stack.pid("broadcaster"))
    with contextlib.closing(attackers):
        wait_until(lambda: honest.numbers, "the stream flowing")
        before = process.memory_info().rss
        attack(attackers)
        honest.lost_nothing()
        assert process.memory_info().rss - before < attackers.allowed_growth
        with urllib.request.urlopen(f"{stack.admin_url('broadcaster')}/health/ready", timeout=20) as answer:
            assert answer.status == 200


def test_the_health_port_answers_when_sockets_take_every_descriptor(stack, tmp_path):
    """A process that may have 160 descriptors keeps some for itself, whoever connects from however many addresses."""
    if not isinstance(stack, EmbeddedStack):
        pytest.skip("a broadcaster of the test's own, which is a process of this machine")
    ws, admin = free_port(), free_port()
    environment = {**stack.environment, "WS_LISTEN": f"127.0.0.1:{ws}", "ADMIN_LISTEN": f"127.0.0.1:{admin}"}
    command = ["sh", "-c", 'ulimit -n 160 && exec "$0" -m seve_broadcaster', sys.executable]
    attackers = Attack(ws)
    with (tmp_path / "log").open("w") as log, contextlib.closing(attackers):
        process = subprocess.Popen(command, env={"PATH": "/usr/bin:/bin", **environment}, stdout=log, stderr=log)
        try:
            wait_until(lambda: health(admin) == 200, "ready")
            for number in range(600):
                attackers.connect(f"127.0.{1 + number % 40}.3")
                if number % 50 == 0:
                    assert health(admin) == 200
            assert health(admin) == 200
            attackers.close()
            wait_until(lambda: page(ws) == 200, "the page again")
        finally:
            process.terminate()
            assert process.wait(30) == 0


def health(port):
    return status(port, "/health/ready")


def page(port):
    return status(port, "/")


def status(port, path):
    """The status of an answer, 0 where there is none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
