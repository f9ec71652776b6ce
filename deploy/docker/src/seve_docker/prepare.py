"""Prepares `docker compose up`: checks that no listen address is opened by mistake, and creates passwords.

Refuses settings that cannot be used, makes every password once, as a file below `.seve/docker`, and returns the other
settings that Compose needs. Only Mosquitto's files of users and rights and the secret for tokens are rewritten each
time.

Other users cannot enter the folder of the secrets. The files in it have to be readable for everybody, because
containers' users read them through mounts.
"""

import base64
import hashlib
import re
import secrets
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from seve_embedded.shared import identities, known_settings, nats_memory
from seve_embedded.shared.identities import DeviceError
from seve_embedded.shared.links import links, switched
from seve_embedded.state import KNOWN_SESSION
from seve_runtime import units
from seve_runtime.errors import SettingsError

from seve_docker import mosquitto_acl, tls
from seve_docker.mosquitto_acl import PIPELINE

NATS_USERS = ("setup", "ingest", "writer", "broadcaster", "history", "observer", "operator")
NATS_SERVERS = ("nats-1", "nats-2", "nats-3")
WORDS = (
    *(f"nats_{user}" for user in NATS_USERS),
    *(f"postgres_{role}" for role in ("owner", "writer", "operator", "history")),
    "nats_route",
    "mqtt_pipeline",
    "grafana_admin",
)
ACCESS = Path(__file__).parents[2] / "mosquitto/access"
CLIENT_ID = "seve-ingest"
PATIENCE = "3m"
SHARED, OWN = "shared", "own"
"""Values of MQTT_DEVICES."""

MIN_SECRET_BYTES = 32
"""The broadcaster's rule for JWT_SECRET, checked before anything is written."""

_USER = re.compile(r"[^:\x00-\x1f\x7f]*")
"""In Mosquitto's password file a colon ends the name, and a line break the line."""

_PROJECT = re.compile(r"[a-z0-9][a-z0-9_-]*")
"""Compose's rule for a project's name; the name is part of a path."""

ROUNDS = 101
"""Rounds of PBKDF2, as in mosquitto_passwd. The broker's only thread spends them at every CONNECT, even a stranger's:
10,000 would take 20 ms, and fifty connections per second all of its time. The file is protected by its folder instead.
"""


class BadSettings(ValueError):
    """Settings that cannot be used; `faults` has one text per setting."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


def prepare(root: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Make the passwords; return the other settings that Compose needs. Raises BadSettings; then nothing has
    changed.
    """
    if found := faults(root, environ):
        raise BadSettings(found)
    settings = listeners(environ)[1] | key_files(root, environ)[0] | tls.settings(root, environ)
    settings |= memory(environ)
    folder = secrets_folder(root, environ)
    shared = shared_login(environ)
    try:
        known = identities.load(folder)
        identities.check_shared(known, shared)
        devices = identities.rights(known, environ, root)
    except DeviceError as error:
        raise BadSettings([str(error)]) from error
    settings["MQTT_CLIENT_ID"] = environ.get("MQTT_CLIENT_ID") or client_id(folder)
    if settings["MQTT_CLIENT_ID"] == CLIENT_ID and not units.is_loopback(settings["MQTT_LISTEN"]):
        print(KNOWN_SESSION, file=sys.stderr)
    write_secrets(folder, verified=links(environ, root).postgres is not None)
    _write(folder / "jwt_secret", environ.get("JWT_SECRET", ""))
    digests = {module: one.digest for module, one in known.items()}
    _write(folder / "mqtt_passwords", mosquitto_passwords(_kept(folder / "mqtt_pipeline"), shared, digests))
    anonymous = settings["MQTT_ACCESS"] == "open"
    _write(folder / "mqtt_acl", mosquitto_acl.text(devices, shared=shared and shared[0], anonymous=anonymous))
    write_tls(folder, tls.files(root, environ, ACCESS))
    return settings


def faults(root: Path, environ: Mapping[str, str]) -> list[str]:
    """Return the faults of the settings that are used before any container runs, and of the files of TLS."""
    found = [*listeners(environ)[0], *names(environ), *key_files(root, environ)[1], *tls.check(root, environ)]
    try:
        patience(environ)
    except ValueError as error:
        found.append(f"START_TIMEOUT = {environ['START_TIMEOUT']!r}: {error}")
    try:
        nats_memory.limit(environ)
    except ValueError as error:
        found.append(f"NATS_MEMORY_BYTES = {environ['NATS_MEMORY_BYTES']!r}: {error}")
    return found


def memory(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the memory of NATS and of its container, in bytes: Go reads fewer forms of a size than `./seve`."""
    limit = nats_memory.limit(environ)
    return {"NATS_MEMORY_BYTES": f"{limit}B", "NATS_CONTAINER_BYTES": f"{nats_memory.container(limit)}b"}


def names(environ: Mapping[str, str]) -> list[str]:
    """Return the faults of names that become part of a path or of a password file, and of a secret that is too
    short.
    """
    faults = []
    if not _USER.fullmatch(environ.get("MQTT_USERNAME", "")):
        faults.append("MQTT_USERNAME: expected a name without a colon, line breaks and other control characters")
    if not _PROJECT.fullmatch(project := environ.get("SEVE_PROJECT") or "seve"):
        faults.append(f"SEVE_PROJECT = {project!r}: expected lower-case letters, digits, - and _")
    if 0 < len(environ.get("JWT_SECRET", "").encode()) < MIN_SECRET_BYTES:
        faults.append(f"JWT_SECRET is shorter than {MIN_SECRET_BYTES} bytes, the least that RFC 7518 allows for HS256")
    return faults


def key_files(root: Path, environ: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the folder and name of the key file for tokens, and the faults of its folder.

    The container mounts the whole folder: a file mounted alone would stay the old one after it is replaced.
    """
    name = next((name for name in ("JWT_PUBLIC_KEY_FILE", "JWT_JWKS_FILE") if environ.get(name)), None)
    if name is None:
        return {}, []
    file = (root / environ[name]).absolute()
    folder = file.parent.resolve()
    if root.resolve().is_relative_to(folder):
        fault = f"expected a file in a folder of its own, such as ./keys/{file.name}: the container sees all of it"
        return {}, [f"{name} = {environ[name]!r}: {fault}"]
    return {"JWT_KEYS_FOLDER": str(folder), "JWT_KEYS_NAME": file.name}, []


def secrets_folder(root: Path, environ: Mapping[str, str]) -> Path:
    """Return the folder of the passwords."""
    return root / (environ.get("SECRETS") or f".seve/docker/{environ.get('SEVE_PROJECT') or 'seve'}")


def patience(environ: Mapping[str, str]) -> float:
    """Return the seconds that `up` waits until everything is healthy. Raises ValueError."""
    return units.seconds(environ.get("START_TIMEOUT") or PATIENCE)


def misspelt(written: Mapping[str, str]) -> list[str]:
    """Return the faults of names in `.env` that resemble a setting; print those that resemble none."""
    settings = known_settings.known()
    for name in known_settings.unread(written, settings):
        print(f"  {name} in .env is read by no part of Sève")
    return known_settings.faults(written, settings)


def listeners(environ: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """Return the faults of the published listen addresses, and the settings for Compose that follow from them."""
    mqtt, websocket = environ.get("MQTT_LISTEN", "127.0.0.1:1883"), environ.get("WS_LISTEN", "127.0.0.1:8080")
    username, password = environ.get("MQTT_USERNAME", ""), environ.get("MQTT_PASSWORD", "")
    faults = [
        f"{name} = {listen!r}: expected {units.LISTEN_ADDRESS}"
        for name, listen in (("MQTT_LISTEN", mqtt), ("WS_LISTEN", websocket))
        if not _is_listen(listen)
    ]
    if faults:
        return faults, {}
    if bool(username) != bool(password):
        faults.append("MQTT_USERNAME and MQTT_PASSWORD: set both or neither")
    if username == PIPELINE:
        faults.append(f"MQTT_USERNAME = {username!r}: that name belongs to the services")
    devices, anybody = environ.get("MQTT_DEVICES") or SHARED, _true(environ, "MQTT_ALLOW_ANONYMOUS")
    if devices not in (SHARED, OWN):
        faults.append(f"MQTT_DEVICES = {devices!r}: expected {SHARED} or {OWN}")
    if devices == OWN and anybody:
        faults.append("MQTT_ALLOW_ANONYMOUS=true and MQTT_DEVICES=own contradict each other: take one out")
    if not (units.is_loopback(mqtt) or password or devices == OWN or anybody):
        faults.append(
            f"MQTT_LISTEN = {mqtt!r} opens MQTT to the network: MQTT_DEVICES=own lets in devices with "
            "an identity (./seve device add), MQTT_USERNAME and MQTT_PASSWORD those that know one password; "
            "MQTT_ALLOW_ANONYMOUS=true says outright that anybody may publish"
        )
    on = _encrypted(environ)
    if not (units.is_loopback(mqtt) or "mqtt" in on or _true(environ, "MQTT_ALLOW_UNENCRYPTED")):
        faults.append(
            f"MQTT_LISTEN = {mqtt!r} opens MQTT to the network in clear text: run `./seve certs` and set MQTT_TLS=on, "
            "or say outright that everybody may read along: MQTT_ALLOW_UNENCRYPTED=true"
        )
    proven = any(environ.get(name) for name in ("JWT_SECRET", "JWT_PUBLIC_KEY_FILE", "JWT_JWKS_FILE"))
    if not (units.is_loopback(websocket) or proven or _true(environ, "WS_ALLOW_UNAUTHENTICATED")):
        faults.append(
            f"WS_LISTEN = {websocket!r} is reachable from other machines and nobody would have to say who they are; "
            "set WS_ALLOW_UNAUTHENTICATED=true if that is meant"
        )
    if not (units.is_loopback(websocket) or "ws" in on or _true(environ, "WS_ALLOW_UNENCRYPTED")):
        faults.append(
            f"WS_LISTEN = {websocket!r} is reachable from other machines and everything, tokens too, would be sent in "
            "clear text; set WS_ALLOW_UNENCRYPTED=true if that is meant, such as behind a proxy"
        )
    return faults, {
        "MQTT_LISTEN": _published(mqtt),
        "WS_LISTEN": _published(websocket),
        "MQTT_ACCESS": "password" if password or devices == OWN else "open",
        "MQTT_USERNAME": username,
    }


def shared_login(environ: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the user and password that devices share; None if each has its own, or none is needed."""
    username, password = environ.get("MQTT_USERNAME"), environ.get("MQTT_PASSWORD")
    return (username, password) if username and password and environ.get("MQTT_DEVICES") != OWN else None


def client_id(folder: Path) -> str:
    """Return the name of ingest's session. It is created once, at random, so that no device can guess it; an older
    installation keeps its name.
    """
    path = folder / "mqtt_client_id"
    if not path.exists() and (folder / "mqtt_pipeline").exists():
        return CLIENT_ID
    return _kept(path, f"{CLIENT_ID}-{secrets.token_hex(8)}")


def _encrypted(environ: Mapping[str, str]) -> frozenset[str]:
    """Return the links that speak TLS; faults of their settings are reported elsewhere."""
    try:
        return frozenset(switched(environ))
    except SettingsError:
        return frozenset()


def _true(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").lower() in ("1", "true")


def _is_listen(text: str) -> bool:
    try:
        units.listen(text)
    except ValueError:
        return False
    return True


def _published(listen: str) -> str:
    """Return the same address in Docker's form: an IP address, not a name."""
    host, _, port = listen.rpartition(":")
    address = {"": "0.0.0.0", "localhost": "127.0.0.1"}.get(host, host)  # noqa: S104  (asked for by name)
    return f"{address}:{port}"


def write_secrets(folder: Path, *, verified: bool) -> None:
    """Write every file that Compose gives to a container, except those made from `.env`; `verified` says whether the
    database speaks TLS.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    words = {name: _kept(folder / name) for name in WORDS}
    owner, writer, person, reader = (words[f"postgres_{role}"] for role in ("owner", "writer", "operator", "history"))
    _write(folder / "nats_passwords", nats_passwords(words))
    _write(folder / "nats_routes", nats_routes(words["nats_route"]))
    place = f"postgres:5432/seve{tls.VERIFIED if verified else ''}"
    _write(folder / "database_url", f"postgresql://seve_writer:{writer}@{place}")
    _write(folder / "history_database_url", f"postgresql://seve_history:{reader}@{place}")
    _write(folder / "operator_database_url", f"postgresql://seve_operator:{person}@{place}")
    _write(folder / "migration_database_url", f"postgresql://postgres:{owner}@{place}")


def write_tls(folder: Path, files: Iterable[tls.File]) -> None:
    """Write every file of TLS in place; remove files of an earlier start that are no longer needed."""
    for container in tls.CONTAINERS:  # also if it stays empty: otherwise Docker would create one owned by root
        (folder / "tls" / container).mkdir(parents=True, exist_ok=True)
    wanted = {folder / "tls" / one.container / one.name: one.text for one in files}
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, text)
    for path in (folder / "tls").rglob("*.pem"):
        if path not in wanted:
            path.unlink()


def nats_passwords(words: Mapping[str, str]) -> str:
    """Return the variables of users.conf."""
    return "".join(f'NATS_{user.upper()}_PASSWORD: "{words[f"nats_{user}"]}"\n' for user in NATS_USERS)


def nats_routes(password: str) -> str:
    """Return the variables of cluster.conf: a route's address contains the servers' password."""
    routes = ", ".join(f'"nats://route:{password}@{server}:6222"' for server in NATS_SERVERS)
    return f'NATS_ROUTE_PASSWORD: "{password}"\nNATS_ROUTES: [{routes}]\n'


def mosquitto_passwords(pipeline: str, shared: tuple[str, str] | None, digests: Mapping[str, str]) -> str:
    """Return Mosquitto's password file: ingest, the shared user of devices, and the devices with an identity."""
    users = {PIPELINE: mosquitto_digest(pipeline), **digests}
    if shared:
        users[shared[0]] = mosquitto_digest(shared[1])
    return "".join(f"{user}:{digest}\n" for user, digest in users.items())


def mosquitto_digest(password: str, iterations: int = ROUNDS) -> str:
    """Return the digest of a password for Mosquitto: PBKDF2 of SHA-512, as mosquitto_passwd writes it."""
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations)
    return f"$7${iterations}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def _kept(path: Path, fresh: str = "") -> str:
    """Return the password in `path`; if there is none, first write `fresh` or a random one."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(0o700)
        _write(path, fresh or secrets.token_hex(24))
    return path.read_text(encoding="utf-8")


def _write(path: Path, text: str) -> None:
    """Write `text` to `path` in place: a running container has this same file open."""
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)
