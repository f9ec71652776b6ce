"""Identities of devices: which modules have one, since when, and the digest of the password. Pure, except for reading
the route file; standard library only, for both modes of the stack. Keeps no password: a lost one is replaced.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from seve_ingest.routing import device_topics
from seve_runtime.errors import SeveError

FILE: Final = "devices.json"


class DeviceError(SeveError):
    """An identity cannot be made, removed or loaded by the broker; the text has a line for each fault."""


class Identity(NamedTuple):
    """The stored identity of one module. `digest` is what the broker compares: bcrypt for NATS, PBKDF2 for Mosquitto.

    `made` is an RFC 3339 time. `topics` are further filters under which it may publish, for a gateway.
    """

    digest: str
    made: str
    topics: tuple[str, ...] = ()


class Rights(NamedTuple):
    """The topic filters under which a module may publish, and those that it may read."""

    publish: list[str]
    read: list[str]


class Rules(NamedTuple):
    """The rules from which rights follow: the routes in their order, and the levels before every topic."""

    routes: list[device_topics.Layout]
    prefix: str

    @classmethod
    def of(cls, environ: Mapping[str, str], root: Path) -> Self:
        """Return the rules of the settings; ROUTES_FILE is relative to `root`. Raises DeviceError."""
        own: list[device_topics.Layout] = []
        try:
            if file := environ.get("ROUTES_FILE"):
                own = [_layout(one) for one in tomllib.loads((root / file).read_text("utf-8")).get("route", [])]
            return cls(
                device_topics.routes(environ.get("ROUTE_PRESETS", ""), own), environ.get("MQTT_TOPIC_PREFIX", "")
            )
        except (OSError, ValueError) as error:
            raise DeviceError(f"the topics of devices cannot be told: {error}") from error

    def rights(self, module: str, topics: Iterable[str] = ()) -> Rights:
        """Return the rights of a module with these further topics."""
        return Rights([*device_topics.publish(self.routes, module, self.prefix), *topics], device_topics.read(module))

    def faults(self, modules: Iterable[str], topics: Iterable[str], taken: Iterable[str]) -> list[str]:
        """Return why these modules cannot have an identity; `taken` are names of other users at the broker."""
        found = [
            f"{topic!r} is no filter for a gateway: it begins with a word, such as zigbee2mqtt/#"
            for topic in topics
            if not device_topics.usable_filter(topic)
        ]
        others = set(taken)
        for module in modules:
            if not device_topics.usable_name(module):
                found.append(
                    f"{module!r} cannot be a device: letters, digits and _ . - make a name, a letter or digit first"
                )
            elif module in others:
                found.append(f"{module!r} is the name of a user of the stack: call the module otherwise")
            elif not self.rights(module, topics).publish:
                found.append(f"{module!r} has no topic of its own: the routes read all of them as other modules'")
        return found


def _layout(route: Any) -> device_topics.Layout:
    """Return the parts of a route that decide whose its topics are. Raises ValueError for anything but a route."""
    match route:
        case {"topic": str(topic), "kind": str(kind)}:
            return device_topics.Layout(topic, kind, str(route.get("module", "")))
    raise ValueError("ROUTES_FILE has a route without topic or kind: ./seve explain says which")


def load(folder: Path) -> dict[str, Identity]:
    """Return the identities stored in a folder of secrets. Raises DeviceError if the file is damaged."""
    path = folder / FILE
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return {module: Identity(one["digest"], one["made"], tuple(one["topics"])) for module, one in kept.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DeviceError(f"{path} is damaged: {type(error).__name__}: {error}") from error


def text(identities: Mapping[str, Identity]) -> str:
    """Return the file's text, a line per module."""
    lines = [f"{json.dumps(module)}: {json.dumps(one._asdict())}" for module, one in sorted(identities.items())]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def rights(known: Mapping[str, Identity], environ: Mapping[str, str], root: Path) -> dict[str, Rights]:
    """Return the rights of each module under these settings. Raises DeviceError if the routes cannot be read."""
    rules = Rules.of(environ, root) if known else None
    return {module: rules.rights(module, one.topics) for module, one in known.items() if rules}


def check_shared(known: Mapping[str, Identity], shared: tuple[str, str] | None) -> None:
    """Raise DeviceError if the shared user of devices has the name of a device with an identity."""
    if shared and shared[0] in known:
        raise DeviceError(f"MQTT_USERNAME = {shared[0]!r}: the device of that name has an identity; share another name")
