"""Makes the passwords of the containers, once, as files below `.seve/secrets` that Compose hands to who needs them.

`python3 deploy/docker/passwords.py [FOLDER]` leaves what is there as it is; only the devices' own user and password,
which come from MQTT_USERNAME and MQTT_PASSWORD, are written anew each time. Prints no secret; needs nothing but Python.

The folder is closed to other users; the files in it are not, because a container's user reads them through a mount.
"""

import base64
import hashlib
import os
import secrets
import sys
from pathlib import Path

NATS_USERS = ("setup", "ingest", "writer", "broadcaster", "operator")
NATS_SERVERS = ("nats-1", "nats-2", "nats-3")
SINGLE = (*(f"nats_{user}" for user in NATS_USERS), "nats_route", "postgres_owner", "postgres_writer", "mqtt_ingest")


def main() -> int:
    """The exit code."""
    folder = Path(sys.argv[1] if sys.argv[1:] else ".seve/secrets")
    username, password = os.environ.get("MQTT_USERNAME") or "device", os.environ.get("MQTT_PASSWORD", "")
    if username == "ingest":
        print("MQTT_USERNAME=ingest is the pipeline's own user; give devices another", file=sys.stderr)
        return 2
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    words = {name: _kept(folder / name) for name in SINGLE}
    _write(folder / "nats_passwords", nats_passwords(words))
    _write(folder / "nats_routes", nats_routes(words["nats_route"]))
    _write(folder / "database_url", f"postgresql://seve_writer:{words['postgres_writer']}@postgres:5432/seve")
    _write(folder / "migration_database_url", f"postgresql://postgres:{words['postgres_owner']}@postgres:5432/seve")
    users = {"ingest": words["mqtt_ingest"], **({username: password} if password else {})}
    _write(folder / "mqtt_passwords", "".join(mosquitto_line(user, word) for user, word in users.items()))
    return 0


def nats_passwords(words: dict[str, str]) -> str:
    """The variables of users.conf."""
    return "".join(f'NATS_{user.upper()}_PASSWORD: "{words[f"nats_{user}"]}"\n' for user in NATS_USERS)


def nats_routes(password: str) -> str:
    """The variables of cluster.conf: a route's address carries the servers' password."""
    routes = ", ".join(f'"nats://route:{password}@{server}:6222"' for server in NATS_SERVERS)
    return f'NATS_ROUTE_PASSWORD: "{password}"\nNATS_ROUTES: [{routes}]\n'


def mosquitto_line(user: str, password: str, iterations: int = 101) -> str:
    """A line of Mosquitto's password file: PBKDF2 of SHA-512, as mosquitto_passwd writes it."""
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations)
    return f"{user}:$7${iterations}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}\n"


def _kept(path: Path) -> str:
    """The word in `path`, which is made where there is none."""
    if not path.exists():
        _write(path, secrets.token_hex(24))
    return path.read_text(encoding="utf-8")


def _write(path: Path, text: str) -> None:
    """`text` in `path`, in place: a running container holds this very file."""
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)


if __name__ == "__main__":
    sys.exit(main())
