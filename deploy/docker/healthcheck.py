"""Exits with 0 if the service in this container is ready or, with the argument `live`, alive; else with 1, and prints
its answer.

Speaks HTTP over a bare socket: the image has no curl, and this runs every few seconds, so it imports very little.
"""

import os
import socket
import sys

PORT = int(os.environ.get("ADMIN_LISTEN", ":9000").rpartition(":")[2])


def answer(question: str) -> bytes:
    """Return the answer of the admin port to `GET /health/{question}`."""
    with socket.create_connection(("127.0.0.1", PORT), timeout=2) as connection:
        connection.sendall(f"GET /health/{question} HTTP/1.0\r\n\r\n".encode())
        return b"".join(iter(lambda: connection.recv(4096), b""))


def main() -> int:
    """Return the exit code for Docker."""
    try:
        said = answer(*sys.argv[1:] or ["ready"])
    except OSError as error:
        print(f"no answer on port {PORT}: {error}")
        return 1
    print(said.rpartition(b"\r\n\r\n")[2].decode(errors="replace").strip())
    return 0 if said.split(b" ", 2)[1:2] == [b"200"] else 1


if __name__ == "__main__":
    sys.exit(main())
