"""Decides which links speak TLS, and with which files; finds faults of those files before anything starts.

Standard library only, for both modes. Makes no certificate: `certs` does.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from seve_runtime.errors import SettingsError
from seve_runtime.tls import Pair, check_client, check_server

FOLDER: Final = ".seve/tls"
"""The folder of the certificates that `certs` makes, below the project's, unless TLS_FOLDER says otherwise."""

NAMES: Final = ("mqtt", "nats", "postgres", "ws")
SWITCH: Final = ("on", "off")
MADE_BY: Final = "`./seve certs` makes and renews it"


class Links(NamedTuple):
    """The server's certificate of each link that speaks TLS, and what its clients need; None for clear text.

    Without `mqtt_ca` the certificate of the MQTT broker is verified by the system's certificates; `mqtt_client_ca`
    signs what devices must show, and `mqtt_client` is what ingest shows.
    """

    ca: Path | None = None
    mqtt: Pair | None = None
    nats: Pair | None = None
    postgres: Pair | None = None
    ws: Pair | None = None
    mqtt_ca: Path | None = None
    mqtt_client_ca: Path | None = None
    mqtt_client: Pair | None = None
    mqtt_name: str | None = None
    ws_ca: Path | None = None
    ws_name: str | None = None


def folder(environ: Mapping[str, str]) -> str:
    """Return the folder of the files that `certs` makes, by the settings."""
    return environ.get("TLS_FOLDER") or FOLDER


def switched(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the setting that turns TLS on for each link that speaks it, by the link's name. Raises SettingsError."""
    faults = [
        f"{name} = {environ[name]!r}: expected one of {', '.join(SWITCH)}"
        for name in ("TLS", *(f"{link.upper()}_TLS" for link in NAMES))
        if environ.get(name, "on") not in (*SWITCH, "")
    ]
    found: dict[str, str] = {}
    for link in NAMES:
        own, pair = f"{link.upper()}_TLS", [f"{link.upper()}_TLS_{part}_FILE" for part in ("CERT", "KEY")]
        given = [name for name in pair if environ.get(name)] if link in ("mqtt", "ws") else []
        if len(given) == 1:
            faults.append(f"{pair[0]} and {pair[1]}: set both or neither")
        if given and environ.get(own) == "off":
            faults.append(f"{own} = 'off' and {given[0]}: set one of them")
        if setting := _by_which(environ, own, given):
            found[link] = setting
    if environ.get("MQTT_TLS_CLIENT_CA_FILE") and "mqtt" not in found:
        faults.append("MQTT_TLS_CLIENT_CA_FILE needs MQTT_TLS=on")
    if faults:
        raise SettingsError(faults)
    return found


def _by_which(environ: Mapping[str, str], own: str, given: Sequence[str]) -> str | None:
    if given:
        return given[0]
    if environ.get(own):
        return own if environ[own] == "on" else None
    return "TLS" if environ.get("TLS") == "on" else None


def links(environ: Mapping[str, str], root: Path) -> Links:
    """Return the files of every link that speaks TLS; opens none. Raises SettingsError for settings that clash."""
    on = switched(environ)

    def file(name: str) -> Path | None:
        return (root / environ[name]).absolute() if environ.get(name) else None

    def pair(cert: str, key: str) -> Pair | None:
        found = file(cert)
        return Pair(found, file(key) or found) if found else None

    def server(link: str) -> Pair | None:
        own = pair(f"{link.upper()}_TLS_CERT_FILE", f"{link.upper()}_TLS_KEY_FILE") if link in ("mqtt", "ws") else None
        return (own or made(environ, root, link)) if link in on else None

    if not on:
        return Links()
    ca = (root / folder(environ) / "ca.pem").absolute()
    own_mqtt, own_ws = (bool(environ.get(f"{link}_TLS_CERT_FILE")) for link in ("MQTT", "WS"))
    client_ca = file("MQTT_TLS_CLIENT_CA_FILE")
    return Links(
        ca=ca,
        mqtt=server("mqtt"),
        nats=server("nats"),
        postgres=server("postgres"),
        ws=server("ws"),
        mqtt_ca=(file("MQTT_CA_FILE") if own_mqtt else ca) if "mqtt" in on else None,
        mqtt_client_ca=client_ca,
        mqtt_client=(pair("MQTT_CERT_FILE", "MQTT_KEY_FILE") or made(environ, root, "pipeline")) if client_ca else None,
        mqtt_name=environ.get("MQTT_SERVER_NAME") if own_mqtt else None,
        ws_ca=file("WS_CA_FILE") if own_ws else ca,
        ws_name=environ.get("WS_SERVER_NAME") if own_ws else None,
    )


def made(environ: Mapping[str, str], root: Path, name: str) -> Pair:
    """Return the files of a certificate that `certs` makes."""
    place = (root / folder(environ)).absolute()
    return Pair(place / f"{name}.pem", place / f"{name}.key")


def mqtt_variables(found: Links) -> dict[str, str]:
    """Return the variables with which a client verifies the broker, and shows a certificate if the broker asks
    for one.
    """
    client = found.mqtt_client
    files = {
        "MQTT_CA_FILE": found.mqtt_ca,
        "MQTT_CERT_FILE": client and client.cert,
        "MQTT_KEY_FILE": client and client.key,
    }
    named = {"MQTT_SERVER_NAME": found.mqtt_name or ""}
    return {name: str(file or "") for name, file in files.items()} | named if found.mqtt else {}


def ws_variables(found: Links) -> dict[str, str]:
    """Return the variables with which a client verifies the broadcaster."""
    return {"WS_CA_FILE": str(found.ws_ca or ""), "WS_SERVER_NAME": found.ws_name or ""} if found.ws else {}


def made_files(found: Links) -> dict[str, str]:
    """Return the files in use that `certs` made, by the name that a setting for each would have."""
    pairs = {
        link: pair
        for link in NAMES
        if (pair := getattr(found, link)) and found.ca and pair.cert.parent == found.ca.parent
    }
    certs = {f"{link.upper()}_TLS_CERT_FILE": str(pair.cert) for link, pair in pairs.items()}
    return certs | {f"{link.upper()}_TLS_KEY_FILE": str(pair.key) for link, pair in pairs.items()}


def faults(environ: Mapping[str, str], root: Path, names: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the faults that clients would find in the certificates of the links in `names`, which has the names that
    they connect by.
    """
    try:
        on, found = switched(environ), links(environ, root)
    except SettingsError as error:
        return error.faults
    told = []
    for link in on.keys() & names.keys():
        try:
            _check(link, on[link], found, environ, names[link])
        except SettingsError as error:
            told += error.faults
    return told


def _check(link: str, setting: str, found: Links, environ: Mapping[str, str], names: Sequence[str]) -> None:
    pair: Pair = getattr(found, link)
    if setting.endswith("_FILE"):
        key = setting.replace("CERT_FILE", "KEY_FILE")
        words = f"{setting} = {environ[setting]!r}, {key} = {environ[key]!r}"
        if link == "mqtt":  # the broadcaster itself reports faults of the WebSocket's own certificate
            asked = [found.mqtt_name] if found.mqtt_name else names
            check_server(f"{words} (MQTT_CA_FILE, MQTT_SERVER_NAME)", pair, ca=found.mqtt_ca, names=asked)
    else:
        check_server(
            f"{setting} = 'on', {folder(environ)}/{pair.cert.name} ({MADE_BY})", pair, ca=found.ca, names=names
        )
    if link == "mqtt" and found.mqtt_client_ca and found.mqtt_client:
        shown = environ.get("MQTT_CERT_FILE") or f"{folder(environ)}/{found.mqtt_client.cert.name}"
        words = f"MQTT_TLS_CLIENT_CA_FILE = {environ['MQTT_TLS_CLIENT_CA_FILE']!r}, MQTT_CERT_FILE = {shown!r}"
        check_client(words, found.mqtt_client, pair, found.mqtt_client_ca)
