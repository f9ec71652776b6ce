"""A WebSocket client as a bare socket: for one that never reads, and for benches in which clients must cost little."""

import socket
from contextlib import contextmanager
from urllib.parse import urlsplit

REQUEST = (
    "GET /ws?{query} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def subscribed(url, query, takes=None):
    """A connection that has asked for what `query` names; the kernel takes about `takes` bytes for it."""
    address = urlsplit(url)
    sock = socket.socket()
    sock.settimeout(60)
    if takes:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, takes)
    sock.connect((address.hostname, address.port))
    sock.sendall(REQUEST.format(query=query).encode())
    return sock


@contextmanager
def deaf(url, modules="a", takes=4096, **options):
    """A client that subscribes and then reads nothing, whose kernel takes little; gives its socket."""
    query = "&".join([f"module={modules}", *(f"{name}={value}" for name, value in options.items())])
    with subscribed(url, query, takes) as sock:
        yield sock


def frame(payload, opcode=0x1, *, final=True):
    """A frame as a client sends it: masked, with a mask of zeros; for payloads of up to 125 bytes."""
    return bytes([(0x80 if final else 0) | opcode, 0x80 | len(payload), 0, 0, 0, 0]) + payload
