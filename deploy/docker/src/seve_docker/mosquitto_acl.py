"""Writes the rights of users at Mosquitto, in the form of its `acl_file`. Pure.

Uses no `pattern`, which would apply to every user: devices with an identity have fewer rights than others. `#` does not
match topics that begin with `$`, so nobody may use $SYS and $CONTROL by it.
"""

from collections.abc import Mapping
from typing import Final

from seve_embedded.shared.identities import Rights
from seve_ingest.routing.device_topics import ALL_COMMANDS

PIPELINE: Final = "pipeline"
ANY_DEVICE: Final = Rights(["#"], list(ALL_COMMANDS))
"""Rights of devices without an identity: publish everything, read commands only."""


def text(devices: Mapping[str, Rights], *, shared: str | None, anonymous: bool) -> str:
    """Return the file. `devices` have an identity; `shared` is the user of all other devices, unless `anonymous`."""
    parts = ["# Written by ./seve; what devices may do is in docs/security.md."]
    parts += _lines(ANY_DEVICE) if anonymous else []  # rules before the first user are for clients without a name
    parts += [f"user {PIPELINE}", "topic readwrite #", "topic read $SYS/#"]
    parts += [f"user {shared}", *_lines(ANY_DEVICE)] if shared else []
    for module, rights in sorted(devices.items()):
        parts += [f"user {module}", *_lines(rights)]
    return "\n".join([*parts, ""])


def _lines(rights: Rights) -> list[str]:
    return [*(f"topic write {one}" for one in rights.publish), *(f"topic read {one}" for one in rights.read)]
