"""A WebSocket client on a plain socket, for clients that never read, and for benchmarks whose clients must cost
little.
"""

import socket
from contextlib import contextmanager
from urllib.parse import urlsplit

REQUEST = (
    "GET /ws?{query} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def subscribed(url, query, takes=None):
    """Return a connection that has subscribed by `query`; the kernel buffers about `takes` bytes for it."""
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
    """Connect a client that subscribes and then reads nothing, with a small receive buffer; yields its socket."""
    query = "&".join([f"module={modules}", *(f"{name}={value}" for name, value in options.items())])
    with subscribed(url, query, takes) as sock:
        yield sock


def frame(payload, opcode=0x1, *, final=True):
    """Return a frame of a client, masked with zeros; the payload may have up to 125 bytes."""
    return bytes([(0x80 if final else 0) | opcode, 0x80 | len(payload), 0, 0, 0, 0]) + payload
