"""TLS of the containers: the files of each one below `/run/tls`, and the settings for Compose that follow.

Every container has a folder of its own, so that it gets only the keys that it needs. Without TLS the folders exist
without keys. Standard library only; makes no certificate.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from seve_embedded.shared.links import Links, faults, links
from seve_runtime.errors import SettingsError
from seve_runtime.tls import Pair, check_server

INSIDE: Final = "/run/tls"
NAMES: Final = {
    "mqtt": ("mosquitto",),
    "nats": ("nats", "nats-1", "nats-2", "nats-3"),
    "postgres": ("postgres",),
    "ws": ("broadcaster", "broadcaster.seve.internal", "proxy", "proxy.seve.internal"),
}
"""The names by which containers reach each server."""

CONTAINERS: Final = ("mosquitto", "nats", "postgres", "writer", "broadcaster", "ingest", "tools")
"""The containers with a folder; `setup`, history and Grafana use the writer's."""

ACCESS: Final = ("open", "password")
OF_CLIENTS: Final = ("MQTT_CA_FILE", "MQTT_CERT_FILE", "MQTT_KEY_FILE", "NATS_CA_FILE", "WS_CA_FILE")
"""Settings whose files a client in a container reads. They are the stack's files if its server has TLS, else those that
the person has set.
"""

POSTGRES: Final = (
    "-c ssl=on -c ssl_cert_file=/tmp/cert.pem -c ssl_key_file=/tmp/key.pem -c hba_file=/run/tls/pg_hba.conf"
)
PG_HBA: Final = "local all all trust\nhostssl all all all scram-sha-256\n"
VERIFIED: Final = f"?sslmode=verify-full&sslrootcert={INSIDE}/ca.pem"
"""The end of the database's URL."""


class File(NamedTuple):
    """A file of a container: its folder, its name, and its text."""

    container: str
    name: str
    text: str


def check(root: Path, environ: Mapping[str, str]) -> list[str]:
    """Return the faults of settings and files of TLS."""
    told = faults(environ, root, NAMES)
    paths = {name: root / environ[name] for name in OF_CLIENTS if environ.get(name)}
    told += [f"{name} = {environ[name]!r}: no such file" for name, path in paths.items() if not path.is_file()]
    if environ.get("WS_TLS_CERT_FILE") and environ.get("WS_TLS_KEY_FILE"):
        told += _own_certificate(environ["WS_TLS_CERT_FILE"], environ["WS_TLS_KEY_FILE"], root)
    return told


def _own_certificate(cert: str, key: str, root: Path) -> list[str]:
    """Return the fault of the broadcaster's own certificate: its container gets the file only if it can be used."""
    try:
        check_server(f"WS_TLS_CERT_FILE = {cert!r}, WS_TLS_KEY_FILE = {key!r}", Pair(root / cert, root / key))
    except SettingsError as error:
        return error.faults
    return []


def settings(root: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that Compose substitutes: schemes of addresses, and paths of files inside containers."""
    found = links(environ, root)
    schemes = {
        "MQTT_SCHEME": "mqtts" if found.mqtt else "mqtt",
        "NATS_SCHEME": "tls" if found.nats else "nats",
        "WS_SCHEME": "wss" if found.ws else "ws",
        "PROXY_MODE": "tcp" if found.ws else "http",
        "POSTGRES_SSLMODE": "verify-full" if found.postgres else "disable",
    }
    there = {f"INSIDE_{name}": f"{INSIDE}/{_name(name)}" for name in client_files(root, environ, found)}
    absent = {f"INSIDE_{name}": "" for name in OF_CLIENTS}
    server = {
        f"INSIDE_WS_TLS_{part}_FILE": f"{INSIDE}/{part.lower()}.pem" if found.ws else "" for part in ("CERT", "KEY")
    }
    return {**schemes, **absent, **there, **server}


def client_files(root: Path, environ: Mapping[str, str], found: Links) -> dict[str, Path]:
    """Return the file of each setting in OF_CLIENTS that has one."""
    own = {name: root / environ[name] for name in OF_CLIENTS if environ.get(name)}
    client = found.mqtt_client
    ours = {
        "MQTT_CA_FILE": found.mqtt_ca if found.mqtt else None,
        "MQTT_CERT_FILE": client and client.cert,
        "MQTT_KEY_FILE": client and client.key,
        "NATS_CA_FILE": found.ca if found.nats else None,
        "WS_CA_FILE": found.ws_ca if found.ws else None,
    }
    return own | {name: path for name, path in ours.items() if path}


def files(root: Path, environ: Mapping[str, str], access: Path) -> list[File]:
    """Return every file of every container; `access` is the folder with Mosquitto's listeners."""
    found = links(environ, root)
    given = {name: path.read_text(encoding="utf-8") for name, path in client_files(root, environ, found).items()}
    nats_ca = {name: text for name, text in given.items() if name == "NATS_CA_FILE"}
    every = [*_mosquitto(found, access, given), *_nats(found), *_postgres(found)]
    for container, several in (("writer", nats_ca), ("broadcaster", nats_ca), ("ingest", given), ("tools", given)):
        every += [File(container, _name(name), text) for name, text in several.items()]
    if found.postgres and found.ca:
        every += [File(container, "ca.pem", _text(found.ca)) for container in ("writer", "tools")]
    if found.ws:
        every += [
            File("broadcaster", "cert.pem", _text(found.ws.cert)),
            File("broadcaster", "key.pem", _text(found.ws.key)),
        ]
    return every


def _mosquitto(found: Links, access: Path, given: Mapping[str, str]) -> list[File]:
    lines, client, several = "", [], []
    if found.mqtt:
        lines = f"certfile {INSIDE}/cert.pem\nkeyfile {INSIDE}/key.pem\n"
        several = [
            File("mosquitto", "cert.pem", _text(found.mqtt.cert)),
            File("mosquitto", "key.pem", _text(found.mqtt.key)),
        ]
        if trusted := given.get("MQTT_CA_FILE"):
            several.append(File("mosquitto", "trusted.pem", trusted))
        # for the health check in the same container, which has no name to verify; with TLS its client would use port
        # 8883
        trust = ["--cafile", f"{INSIDE}/trusted.pem"] if trusted else ["--tls-use-os-certs"]
        client = ["-p", "1883", "--insecure", *trust]
    if found.mqtt_client_ca and found.mqtt_client:
        lines += f"cafile {INSIDE}/devices.pem\nrequire_certificate true\n"
        shown = {
            "devices.pem": found.mqtt_client_ca,
            "client.pem": found.mqtt_client.cert,
            "client_key.pem": found.mqtt_client.key,
        }
        several += [File("mosquitto", name, _text(path)) for name, path in shown.items()]
        client += ["--cert", f"{INSIDE}/client.pem", "--key", f"{INSIDE}/client_key.pem"]
    listeners = [
        File("mosquitto", f"access/{one}/access.conf", _text(access / one / "access.conf") + lines) for one in ACCESS
    ]
    return [*several, *listeners, File("mosquitto", "client", " ".join(client))]


def _nats(found: Links) -> list[File]:
    if not (found.nats and found.ca):
        return [File("nats", name, "# clear text\n") for name in ("server.conf", "routes.conf")]
    pair = f'cert_file: "{INSIDE}/cert.pem", key_file: "{INSIDE}/key.pem", timeout: 5'
    return [
        File("nats", "server.conf", f"tls {{ {pair}, handshake_first: true }}\n"),
        File("nats", "routes.conf", f'tls {{ {pair}, ca_file: "{INSIDE}/ca.pem" }}\n'),
        File("nats", "cert.pem", _text(found.nats.cert)),
        File("nats", "key.pem", _text(found.nats.key)),
        File("nats", "ca.pem", _text(found.ca)),
    ]


def _postgres(found: Links) -> list[File]:
    if not found.postgres:
        return [File("postgres", "options", "")]
    return [
        File("postgres", "options", POSTGRES),
        File("postgres", "pg_hba.conf", PG_HBA),
        File("postgres", "cert.pem", _text(found.postgres.cert)),
        File("postgres", "key.pem", _text(found.postgres.key)),
    ]


def _name(setting: str) -> str:
    """Return the name of a setting's file inside a container: `mqtt_ca.pem`."""
    return f"{setting.removesuffix('_FILE').lower()}.pem"


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
