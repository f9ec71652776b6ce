"""Checks whether a part works: services by `/health/live`, NATS by its own health check, PostgreSQL by a query.

Asks each part once, within PATIENCE; restarts nothing. A part that accepts connections and does not answer is frozen.
"""

import http.client
import json
import re
import socket
import ssl
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg
from seve_runtime.errors import SettingsError, describe
from seve_runtime.tls import environment_context

from seve_embedded.plan import Plan, Program
from seve_embedded.supervision.treatment import NO_CURE, START_PATIENCE, PartFault

PATIENCE: Final = 2
"""Seconds; also the least that libpq waits for a connection."""

HEALTHZ: Final = "$SYS.REQ.SERVER.PING.HEALTHZ"
"""The system account's health check, which also says whether each stream can be written to; publishers are not told."""

SILENT: Final = PartFault(f"does not answer within {PATIENCE} s")
NOT_LISTENING: Final = PartFault("does not listen", START_PATIENCE)

_FILE: Final = re.compile(r"write error: write .*: ")
"""The start of NATS' error for a file that it could not write; it is removed, so that the reason fits into the line."""


def probe(plan: Plan, program: Program) -> PartFault | None:
    """Return the fault of a program of `plan`; None if it is healthy, or cannot be asked."""
    if program.name == "nats":
        return nats(plan.addresses.health)
    if program.name == "postgres":
        return postgres(plan.addresses.database)
    return service(program.admin_port) if program.admin_port else None


def service(port: int) -> PartFault | None:
    """Ask a service's `/health/live` on 127.0.0.1."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", "/health/live")
        live = connection.getresponse().status == http.client.OK
    except ConnectionRefusedError:
        return NOT_LISTENING
    except (OSError, http.client.HTTPException):
        return SILENT
    finally:
        connection.close()
    return None if live else PartFault("its event loop stands still")


def nats(login: Mapping[str, str]) -> PartFault | None:
    """Ask the NATS server of `login` for its health. A stream that once failed to write stays unhealthy until a
    restart.
    """
    try:
        health = _healthz(login)
    except ConnectionRefusedError:
        return NOT_LISTENING
    except (SettingsError, ssl.SSLError) as error:  # such as an expired certificate
        return PartFault(describe(error), NO_CURE)
    except OSError:
        return SILENT
    if health.get("status") == "ok":
        return None
    return PartFault(_FILE.sub("write error: ", str(health.get("error") or health.get("status"))))


def postgres(url: str) -> PartFault | None:
    """Have the database answer a query. A refusal with a reason shows that it works."""
    if not _listens(url):
        return NOT_LISTENING
    options = f"-c statement_timeout={PATIENCE}s"
    try:
        with psycopg.connect(url, connect_timeout=PATIENCE, options=options, autocommit=True) as connection:
            connection.execute("SELECT 1")
    except psycopg.Error as error:
        reason = str(error).strip().partition("\n")[0]
        return PartFault(reason, NO_CURE) if error.sqlstate or "FATAL" in reason else SILENT
    return None


def _listens(url: str) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((str(parts.hostname), parts.port or 0), timeout=PATIENCE).close()
    except ConnectionRefusedError:
        return False
    except OSError:  # it listens, but accepts no more
        return True
    return True


def _secured(plain: socket.socket, login: Mapping[str, str]) -> socket.socket:
    parts = urlsplit(login["NATS_URL"])
    if parts.scheme != "tls":
        return plain
    return environment_context("NATS", login).wrap_socket(plain, server_hostname=parts.hostname)


def _healthz(login: Mapping[str, str]) -> dict[str, Any]:
    """Return the server's answer. Speaks NATS over a bare socket: nats-py leaves a socket open if the server is
    frozen.
    """
    parts, inbox = urlsplit(login["NATS_URL"]), f"{login['NATS_INBOX_PREFIX']}.1"
    words = {"user": login["NATS_USER"], "pass": login["NATS_PASSWORD"], "verbose": False}
    plain = socket.create_connection((str(parts.hostname), parts.port or 0), timeout=PATIENCE)
    with plain, _secured(plain, login) as connection:
        connection.sendall(f"CONNECT {json.dumps(words)}\r\nSUB {inbox} 1\r\nPUB {HEALTHZ} {inbox} 0\r\n\r\n".encode())
        with connection.makefile("rb") as lines:
            for line in lines:
                if line.startswith(b"MSG "):
                    return dict(json.loads(lines.read(int(line.split()[-1])))["data"])
                if line.startswith(b"-ERR"):
                    return {"status": line.decode(errors="replace").strip()}
    raise ConnectionError("closed without an answer")
