"""What `up` ends with: where everything is, and lines to copy. Pure."""

import shlex
from collections.abc import Sequence
from urllib.parse import urlsplit

from seve_runtime.units import is_loopback, split_listen

from seve_embedded.plan import Plan
from seve_embedded.settings import StackSettings


def text(settings: StackSettings, plan: Plan, stack: str, networks: Sequence[str]) -> str:
    """The whole page. `stack` is the command that dispatches; `networks` are this machine's addresses."""
    found = plan.addresses
    database = urlsplit(found.database)
    page = urlsplit(found.websocket)
    rows = {
        "MQTT": found.mqtt,
        "WebSocket": found.websocket,
        "Screen": f"{'https' if page.scheme == 'wss' else 'http'}://{page.netloc}/",
        "Database": f"postgresql://{database.hostname}:{database.port}{database.path}   (make psql)",
        **{
            program.name: f"http://127.0.0.1:{program.admin_port}/metrics"
            for program in plan.programs
            if program.admin_port
        },
    }
    lines = [f"  {name:<12} {value}" for name, value in rows.items()]
    return "\n".join(["", *lines, "", *_first_steps(settings, found.mqtt, stack), "", *_network(settings, networks)])


def _first_steps(settings: StackSettings, mqtt: str, stack: str) -> list[str]:
    payload = shlex.quote('{"value": 450.5}')
    return [
        "  watch    " + f"{stack} watch croissance",
        "  publish  " + f"{stack} publish croissance/co2 {payload}",
        "  or       " + mosquitto(mqtt, settings.mqtt_username) + f" -q 1 -t croissance/co2 -m {payload}",
        "  see      make status · make logs · make simulate · make down",
    ]


def mosquitto(mqtt: str, username: str | None) -> str:
    """The beginning of a line for mosquitto_pub; the password is for its reader to fill in."""
    place = urlsplit(mqtt)
    login = f' -u {shlex.quote(username)} -P "$MQTT_PASSWORD"' if username else ""
    return f"mosquitto_pub -h {place.hostname} -p {place.port}{login}"


def _network(settings: StackSettings, networks: Sequence[str]) -> list[str]:
    host, port = split_listen(settings.mqtt_listen)
    if is_loopback(settings.mqtt_listen):
        return [
            "  Devices on your network cannot connect yet: MQTT listens on this machine alone.",
            "  To let them in: MQTT_LISTEN=0.0.0.0:1883, MQTT_USERNAME and MQTT_PASSWORD in .env, then make down up",
        ]
    shown = networks if host in ("0.0.0.0", "::") else [host]  # noqa: S104  (recognised, not listened on)
    who = (
        f"user {settings.mqtt_username}, its password" if settings.mqtt_username else "no password: anybody may publish"
    )
    return [f"  Devices on your network connect to {' or '.join(shown) or 'this machine'}, port {port} ({who})"]
