"""Attacks an embedded stack as a local user without rights. Runs as that user's program, on a Python without packages:
reads the stack's folder, processes and ports as JSON from stdin, and prints the attempts that succeeded.
"""

import contextlib
import json
import os
import signal
import socket
import struct
import sys
import urllib.error
import urllib.request
from pathlib import Path

FILES_OF_A_PROCESS = ("environ", "mem", "maps", "fd", "root", "cwd")


def main() -> None:
    """Try everything; print the successful attempts."""
    told = json.load(sys.stdin)
    done = [
        *state(Path(told["folder"])),
        *(attempt for pid in told["pids"] for attempt in process(pid)),
        *(attempt for name in told["sockets"] for attempt in supervisor(Path(name))),
        *nats(told["nats"]),
        *postgres(told["postgres"]),
        *mqtt(told["mqtt"]),
        *websocket(told["ws"]),
    ]
    json.dump({"uid": os.getuid(), "done": done, "lines": command_lines(told["pids"])}, sys.stdout)


def state(folder: Path):
    """Try to read and write the stack's files."""
    for path in (folder, *(folder / name for name in ("secrets", "run", "logs", "data", "secrets/postgres"))):
        for what in (lambda path: list(path.iterdir()), Path.read_bytes, lambda path: (path / "mine").touch()):
            with contextlib.suppress(OSError):
                what(path)
                yield f"came into {path}"
    for path in (folder.parent / ".env", folder.parent / "mine"):
        with contextlib.suppress(OSError):
            path.open("a")
            yield f"wrote to {path}"
    with contextlib.suppress(OSError):
        (folder.parent / ".env").read_text()
        yield "read .env"


def process(pid: int):
    """Try to read the environment and files of a process, and to stop it."""
    for name in FILES_OF_A_PROCESS:
        path = Path(f"/proc/{pid}/{name}")
        with contextlib.suppress(OSError):
            if list(path.iterdir()) if path.is_dir() else path.read_bytes():
                yield f"read {path}"
    for number in (0, signal.SIGCONT, signal.SIGTERM):
        with contextlib.suppress(PermissionError):
            os.kill(pid, number)
            yield f"sent {number} to {pid}"


def supervisor(path: Path):
    """Try to command the supervisor."""
    with socket.socket(socket.AF_UNIX) as sock, contextlib.suppress(OSError):
        sock.connect(str(path))
        yield f"reached {path}"


def nats(port: int):
    """Try to connect as each user of NATS, without a password or with a guessed one."""
    for user in ("", "setup", "ingest", "writer", "broadcaster", "operator", "broker", "pipeline", "device"):
        for word in ("", user, "password"):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
                sock.recv(4096)
                sock.sendall(b"CONNECT %s\r\nPING\r\n" % json.dumps({"user": user, "pass": word}).encode())
                if b"PONG" in sock.recv(4096):
                    yield f"came into NATS as {user!r} with {word!r}"


def postgres(port: int):
    """Try to connect to the database as each role, with an empty password."""
    for role in (b"postgres", b"seve_writer", b"seve_operator"):
        body = b"\0\3\0\0user\0" + role + b"\0database\0seve\0\0"
        with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
            sock.sendall(struct.pack("!I", len(body) + 4) + body)
            answer = sock.recv(4096)
        if answer[:1] == b"R" and struct.unpack("!I", answer[5:9]) == (0,):
            yield f"came into the database as {role.decode()}"


def mqtt(port: int):
    """Try to connect as a device without its password, and as ingest."""
    for user in (b"", b"pipeline", b"device"):
        flags, payload = 0x02, b"\0\1x"
        if user:
            flags, payload = 0xC2, payload + b"".join(struct.pack("!H", len(word)) + word for word in (user, user))
        body = b"\0\4MQTT\4" + bytes([flags]) + b"\0\x3c" + payload
        with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
            sock.sendall(b"\x10" + bytes([len(body)]) + body)
            if sock.recv(4) == b"\x20\2\0\0":
                yield f"connected as {user.decode() or 'nobody'}"


def websocket(port: int):
    """Try to get the list of modules without a token."""
    with contextlib.suppress(urllib.error.HTTPError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/api/modules", timeout=10)
        yield "read the list of modules"


def command_lines(pids):
    """Try to find passwords in the processes' command lines."""
    return [Path(f"/proc/{pid}/cmdline").read_text(errors="replace") for pid in pids]


if __name__ == "__main__":
    main()
