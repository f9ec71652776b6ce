"""The page that `up` ends with: all addresses, and lines to copy. Pure; standard library only, for both modes."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from seve_runtime.units import is_loopback, split_listen

COMMAND: Final = "./seve"


def text(
    rows: Mapping[str, str],
    *,
    mqtt: str,
    listen: str,
    username: str | None,
    own: bool,
    networks: Sequence[str],
    ca: str | None = None,
) -> str:
    """Return the whole page.

    `rows` are names and addresses; `mqtt` is the broker's URL on this machine, `listen` is MQTT_LISTEN, `username`
    what devices must give, unless each has its own, `networks` are this machine's addresses, `ca` the file that
    verifies the broker.
    """
    lines = [f"  {name:<12} {value}" for name, value in rows.items()]
    if own:
        who, steps = "each with its own user and password: ./seve device add MODULE", _first_steps(None)
    else:
        who = f"user {username}, its password" if username else "no password: anybody may publish"
        steps = _first_steps(mosquitto(mqtt, username, ca))
    return "\n".join(["", *lines, "", *steps, "", *_network(listen, who, networks, ca)])


def _first_steps(mosquitto_pub: str | None) -> list[str]:
    payload = shlex.quote('{"value": 450.5}')
    alternative = [f"  or       {mosquitto_pub} -q 1 -t croissance/co2 -m {payload}"] if mosquitto_pub else []
    return [
        f"  watch    {COMMAND} watch croissance",
        f"  publish  {COMMAND} publish croissance/co2 {payload}",
        *alternative,
        f"  see      {COMMAND} status · {COMMAND} logs · {COMMAND} simulate · {COMMAND} down · {COMMAND} --help",
    ]


def mosquitto(mqtt: str, username: str | None, ca: str | None = None) -> str:
    """Return the beginning of a command with mosquitto_pub; the reader fills in the password."""
    place = urlsplit(mqtt)
    login = f' -u {shlex.quote(username)} -P "$MQTT_PASSWORD"' if username else ""
    tls = f" --cafile {shlex.quote(ca)}" if ca else ""
    return f"mosquitto_pub -h {place.hostname} -p {place.port}{tls}{login}"


def _network(listen: str, who: str, networks: Sequence[str], ca: str | None) -> list[str]:
    host, port = split_listen(listen)
    if is_loopback(listen):
        return [
            "  Devices on your network cannot connect yet: MQTT listens on this machine alone.",
            f"  To let them in: {COMMAND} certs --name ADDRESS; then in .env TLS=on, MQTT_LISTEN=0.0.0.0:8883,",
            f"  MQTT_DEVICES=own; then make down up, and for each device {COMMAND} device add MODULE",
        ]
    shown = networks if host in ("0.0.0.0", "::") else [host]  # noqa: S104  (recognised, not listened on)
    trust = ", TLS: the device needs the file ca.pem" if ca else ""
    return [f"  Devices on your network connect to {' or '.join(shown) or 'this machine'}, port {port} ({who}{trust})"]
