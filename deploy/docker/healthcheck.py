"""Exit code 0 when the service in this container answers that it is ready, or, asked with `live`, that it lives; else
1, with its answer printed.

Speaks HTTP over a bare socket: the image has no curl, and this runs every few seconds, so it imports next to nothing.
"""

import os
import socket
import sys

PORT = int(os.environ.get("ADMIN_LISTEN", ":9000").rpartition(":")[2])


def answer(question: str) -> bytes:
    """What the admin port says to `GET /health/ready`, or another question about health."""
    with socket.create_connection(("127.0.0.1", PORT), timeout=2) as connection:
        connection.sendall(f"GET /health/{question} HTTP/1.0\r\n\r\n".encode())
        return b"".join(iter(lambda: connection.recv(4096), b""))


def main() -> int:
    """The exit code Docker asks for."""
    try:
        said = answer(*sys.argv[1:] or ["ready"])
    except OSError as error:
        print(f"no answer on port {PORT}: {error}")
        return 1
    print(said.rpartition(b"\r\n\r\n")[2].decode(errors="replace").strip())
    return 0 if said.split(b" ", 2)[1:2] == [b"200"] else 1


if __name__ == "__main__":
    sys.exit(main())
