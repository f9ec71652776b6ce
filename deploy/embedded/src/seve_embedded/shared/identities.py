"""Identities of devices: which module has one, since when, and the digest of its password. Pure, but for the file of
routes; standard library only, for both modes of the stack. Keeps no password: a lost one is replaced.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from seve_ingest.routing import rights as topics_of
from seve_runtime.errors import SeveError

FILE: Final = "devices.json"


class DeviceError(SeveError):
    """An identity that cannot be made, removed or handed to the broker; the text has a line for each fault."""


class Identity(NamedTuple):
    """What is kept of one module. `digest` is what the broker compares: bcrypt for NATS, PBKDF2 for Mosquitto.

    `made` is an RFC 3339 time. `topics` are further filters under which it may publish: those of a gateway.
    """

    digest: str
    made: str
    topics: tuple[str, ...] = ()


class Rights(NamedTuple):
    """The filters of topics under which a module may publish, and of those that it may read."""

    publish: list[str]
    read: list[str]


class Rules(NamedTuple):
    """What rights follow from: the routes in their order, and the levels before every topic."""

    routes: list[topics_of.Layout]
    prefix: str

    @classmethod
    def of(cls, environ: Mapping[str, str], root: Path) -> Self:
        """Return those of the settings; ROUTES_FILE is relative to `root`. Raises DeviceError."""
        own: list[topics_of.Layout] = []
        try:
            if file := environ.get("ROUTES_FILE"):
                own = [_layout(one) for one in tomllib.loads((root / file).read_text("utf-8")).get("route", [])]
            return cls(topics_of.routes(environ.get("ROUTE_PRESETS", ""), own), environ.get("MQTT_TOPIC_PREFIX", ""))
        except (OSError, ValueError) as error:
            raise DeviceError(f"the topics of devices cannot be told: {error}") from error

    def rights(self, module: str, topics: Iterable[str] = ()) -> Rights:
        """Return the rights of a module with these further topics."""
        return Rights([*topics_of.publish(self.routes, module, self.prefix), *topics], topics_of.read(module))

    def faults(self, modules: Iterable[str], topics: Iterable[str], taken: Iterable[str]) -> list[str]:
        """Return why these modules cannot have an identity; `taken` are names that others have at the broker."""
        found = [
            f"{topic!r} is no filter for a gateway: it begins with a word, such as zigbee2mqtt/#"
            for topic in topics
            if not topics_of.usable_filter(topic)
        ]
        others = set(taken)
        for module in modules:
            if not topics_of.usable_name(module):
                found.append(
                    f"{module!r} cannot be a device: letters, digits and _ . - make a name, a letter or digit first"
                )
            elif module in others:
                found.append(f"{module!r} is the name of a user of the stack: call the module otherwise")
            elif not self.rights(module, topics).publish:
                found.append(f"{module!r} has no topic of its own: the routes read all of them as other modules'")
        return found


def _layout(route: Any) -> topics_of.Layout:
    """What a route of the file says of whose its topics are. Raises ValueError where it is none."""
    match route:
        case {"topic": str(topic), "kind": str(kind)}:
            return topics_of.Layout(topic, kind, str(route.get("module", "")))
    raise ValueError("ROUTES_FILE has a route without topic or kind: ./seve explain says which")


def load(folder: Path) -> dict[str, Identity]:
    """Return the identities that a folder of secrets keeps. Raises DeviceError where the file is damaged."""
    path = folder / FILE
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return {module: Identity(one["digest"], one["made"], tuple(one["topics"])) for module, one in kept.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DeviceError(f"{path} is damaged: {type(error).__name__}: {error}") from error


def text(identities: Mapping[str, Identity]) -> str:
    """Return what the file holds, a line for each module."""
    lines = [f"{json.dumps(module)}: {json.dumps(one._asdict())}" for module, one in sorted(identities.items())]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def rights(known: Mapping[str, Identity], environ: Mapping[str, str], root: Path) -> dict[str, Rights]:
    """Return what each may do by these settings. Raises DeviceError where its routes cannot be read."""
    rules = Rules.of(environ, root) if known else None
    return {module: rules.rights(module, one.topics) for module, one in known.items() if rules}


def check_shared(known: Mapping[str, Identity], shared: tuple[str, str] | None) -> None:
    """Raise DeviceError where the user that devices share has the name of a device with an identity."""
    if shared and shared[0] in known:
        raise DeviceError(f"MQTT_USERNAME = {shared[0]!r}: the device of that name has an identity; share another name")
