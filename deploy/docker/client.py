"""Runs commands inside the containers' network: `client.py status`, `top`, `publish TOPIC PAYLOAD`, `clear FILTER...`,
`watch [MODULE...]`. The commands and their code are those of embedded mode; only the addresses differ.
"""

import os
import shutil
import socket
import sys
import threading
from collections import deque
from pathlib import Path

from paho.mqtt import MQTTException
from seve_embedded.shared import logfile, pubsub, retained, status_report
from seve_embedded.shared.disk import Room
from seve_embedded.top.command import top
from seve_embedded.top.sources import Listener, Sources
from seve_runtime.nats.connection import NatsSettings
from seve_runtime.settings import load
from websockets.exceptions import WebSocketException

ADMIN_PORT = 9000
"""The admin port that the images set."""

OBSERVER = {
    "NATS_USER": "observer",
    "NATS_INBOX_PREFIX": "_INBOX_observer",
    "NATS_PASSWORD_FILE": "/run/secrets/nats_observer",
}
"""The login of a user that only reads."""


def main() -> int:
    """Run the command; return the exit code."""
    command, *arguments = sys.argv[1:] or ["status"]
    try:
        match command, arguments:
            case "status", []:
                return _status()
            case "top", []:
                _top()
            case "publish", [topic, payload]:
                pubsub.publish(os.environ, topic, payload, _login())
            case "clear", [_, *_] as filters:
                cleared = retained.clear(os.environ, filters, _login(), _login())
                print(f"Cleared {cleared} retained messages at the broker.", flush=True)
            case "watch", modules:
                pubsub.watch(modules, os.environ, lambda line: print(line, flush=True))
            case _:
                print(
                    "usage: status | top | publish TOPIC PAYLOAD | clear FILTER... | watch [MODULE...]", file=sys.stderr
                )
                return 2
    except (OSError, MQTTException, WebSocketException) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _status() -> int:
    """Ask the servers, and print the page. The errors in Compose's logs come on stdin, as `container | {event}`."""
    found = status_report.StatusReport(headline="", healthy=True)
    status_report.ask_servers(found, os.environ, _secret("DATABASE_URL_FILE"))
    disk = shutil.disk_usage("/")  # the disk of Docker's folder, which has the volumes
    status_report.note_room(found, Room(disk.free, disk.total))
    for line in sys.stdin:
        name, _, event = line.partition("|")
        day = str((logfile.parsed(event.strip()) or {}).get("timestamp", ""))[:10]
        found.errors.append([name.strip(), day, logfile.readable(event.strip())[:200]])
    print(status_report.render(found))
    return 0 if found.healthy else 1


def _top() -> None:
    """Show `top`. As for `status`, errors come on stdin, for as long as it runs."""
    told: deque[tuple[str, str]] = deque(maxlen=20)

    def hear() -> None:
        for line in sys.stdin:
            name, _, event = line.partition("|")
            told.append((name.strip(), logfile.readable(event.strip())))

    threading.Thread(target=hear, daemon=True).start()
    nats = load(NatsSettings, {**os.environ, **OBSERVER})
    top(Sources(_listeners, nats, lambda: list(told)), "Docker", live=os.environ.get("SEVE_TERMINAL") == "1")


def _listeners() -> list[Listener]:
    """Return the admin port of each container of each service, by address: a name may resolve to several."""
    found = []
    for kind in ("ingest", "writer", "history", "broadcaster"):
        try:
            addresses = sorted({each[4][0] for each in socket.getaddrinfo(kind, ADMIN_PORT, type=socket.SOCK_STREAM)})
        except OSError:  # no container of that name: `docker compose ps` says why
            addresses = [kind]
        many = len(addresses) > 1
        found += [
            Listener(kind, f"{kind}-{number}" if many else kind, str(address), ADMIN_PORT)
            for number, address in enumerate(addresses, 1)
        ]
    return found


def _login() -> tuple[str, str]:
    return os.environ["MQTT_USERNAME"], _secret("MQTT_PASSWORD_FILE")


def _secret(variable: str) -> str:
    return Path(os.environ[variable]).read_text(encoding="utf-8").strip()


if __name__ == "__main__":
    sys.exit(main())
