"""What a person asks of the containers, from inside their network: `client.py status`, `publish TOPIC PAYLOAD`,
`watch [MODULE...]`. The words and the code are those of the stack without Docker; only the addresses differ.
"""

import os
import shutil
import sys
from pathlib import Path

from paho.mqtt import MQTTException
from seve_embedded.shared import logfile, pubsub, status_report
from seve_embedded.shared.disk import Room
from websockets.exceptions import WebSocketException


def main() -> int:
    """The exit code."""
    command, *arguments = sys.argv[1:] or ["status"]
    try:
        match command, arguments:
            case "status", []:
                return _status()
            case "publish", [topic, payload]:
                login = (os.environ["MQTT_USERNAME"], _secret("MQTT_PASSWORD_FILE"))
                pubsub.publish(os.environ, topic, payload, login)
            case "watch", modules:
                pubsub.watch(modules, os.environ, lambda line: print(line, flush=True))
            case _:
                print("usage: status | publish TOPIC PAYLOAD | watch [MODULE...]", file=sys.stderr)
                return 2
    except (OSError, MQTTException, WebSocketException) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _status() -> int:
    """Ask the servers; what Compose's logs said of errors comes on stdin, as `container | {event}`."""
    found = status_report.Report(headline="", healthy=True)
    status_report.ask_servers(found, os.environ, _secret("DATABASE_URL_FILE"))
    disk = shutil.disk_usage("/")  # of Docker's own folder, where its volumes are
    status_report.note_room(found, Room(disk.free, disk.total))
    for line in sys.stdin:
        name, _, event = line.partition("|")
        day = str((logfile.parsed(event.strip()) or {}).get("timestamp", ""))[:10]
        found.errors.append([name.strip(), day, logfile.readable(event.strip())[:200]])
    print(status_report.render(found))
    return 0 if found.healthy else 1


def _secret(variable: str) -> str:
    return Path(os.environ[variable]).read_text(encoding="utf-8").strip()


if __name__ == "__main__":
    sys.exit(main())
