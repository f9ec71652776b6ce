"""`./seve device`: makes, lists, removes and renews the identities of devices. Standard library only, for both modes.

Prints a password once and keeps its digest. Only one command at a time changes the identities of a stack; others wait.
"""

import argparse
import csv
import fcntl
import io
import json
import secrets
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from seve_runtime.units import is_loopback, reachable, split_listen

from seve_embedded.shared import identities
from seve_embedded.shared.identities import DeviceError, Identity, Rules
from seve_embedded.shared.tables import table

PASSWORD_BYTES: Final = 16
"""Random bytes: so many cannot be guessed, however cheap the digest is."""

COLUMNS: Final = ("module", "password")
Say = Callable[[str], None]


class BrokerAddress(NamedTuple):
    """The broker's address for devices. `host` is this machine's address; `note` says why others cannot connect yet;
    with TLS `ca` is the file that verifies the broker.
    """

    host: str
    port: int
    note: str = ""
    ca: str | None = None


def broker_address(listen: str, networks: Sequence[str], ca: str | None = None) -> BrokerAddress:
    """Return the address at which devices reach a broker; `networks` are this machine's addresses."""
    host, port = split_listen(listen)
    if is_loopback(listen):
        return BrokerAddress(reachable(host), port, "this machine alone, until MQTT_LISTEN in .env lets others in", ca)
    every = reachable(host) != host
    return BrokerAddress(networks[0] if every and networks else reachable(host), port, ca=ca)


class Broker(Protocol):
    """The broker of one mode of the stack. `folder` has its secrets, `taken` the names of its other users; `own` says
    whether only devices with an identity may connect.
    """

    folder: Path
    rules: Rules
    taken: frozenset[str]
    address: BrokerAddress
    own: bool

    def digest(self, password: str) -> str:
        """Return the digest that this broker compares a password with."""
        ...

    def write(self, file: Path, text: str) -> None:
        """Write a file of secrets."""
        ...

    def apply(self) -> bool:
        """Have the running broker load the identities in `folder`, and no others; return False if none runs. Raises
        DeviceError if it refuses them.
        """
        ...


def run(arguments: argparse.Namespace, broker: Broker, say: Say) -> None:
    """Run one command. Raises DeviceError; then nothing has changed unless the text says so."""
    {"add": _add, "list": _list, "remove": _remove, "rotate": _rotate}[arguments.action](arguments, broker, say)


def _add(arguments: argparse.Namespace, broker: Broker, say: Say) -> None:
    modules = list(dict.fromkeys([*arguments.module, *_names(arguments.file)]))
    if not modules:
        raise DeviceError("name a module, or a file of names: ./seve device add --help")
    topics = tuple(arguments.publish)
    with _alone(broker.folder):
        known = identities.load(broker.folder)
        faults = broker.rules.faults(modules, topics, broker.taken)
        faults += [
            f"{module!r} has an identity already; `rotate` gives it a new password"
            for module in modules
            if module in known
        ]
        if faults:
            raise DeviceError("\n".join(faults))
        passwords = {module: secrets.token_hex(PASSWORD_BYTES) for module in modules}
        made = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        fresh = {module: Identity(broker.digest(word), made, topics) for module, word in passwords.items()}
        up = _change(broker, known, {**known, **fresh})
    _hand_out(arguments, broker, passwords, topics, say, up=up)


def _rotate(arguments: argparse.Namespace, broker: Broker, say: Say) -> None:
    with _alone(broker.folder):
        known = identities.load(broker.folder)
        _need(known, [arguments.module])
        password = secrets.token_hex(PASSWORD_BYTES)
        before = known[arguments.module]
        up = _change(broker, known, {**known, arguments.module: before._replace(digest=broker.digest(password))})
    _hand_out(arguments, broker, {arguments.module: password}, before.topics, say, up=up)


def _remove(arguments: argparse.Namespace, broker: Broker, say: Say) -> None:
    with _alone(broker.folder):
        known = identities.load(broker.folder)
        _need(known, arguments.module)
        left = {module: one for module, one in known.items() if module not in arguments.module}
        broker.write(broker.folder / identities.FILE, identities.text(left))
        try:
            up = broker.apply()
        except DeviceError as error:
            raise DeviceError(
                f"{error}\nIt is removed all the same: the broker learns of it when it starts next"
            ) from error
    end = "its connection is closed, its password refused" if up else "it is refused when Sève is up again"
    for module in arguments.module:
        say(f"{module} has no identity any more: {end}.")


def _list(arguments: argparse.Namespace, broker: Broker, say: Say) -> None:
    known = sorted(identities.load(broker.folder).items())
    filters = {module: broker.rules.rights(module, one.topics).publish for module, one in known}
    if arguments.json:
        rows = [{"module": module, "made": one.made, "publish": filters[module]} for module, one in known]
        say(json.dumps(rows, ensure_ascii=False))
        return
    cells = [[module, one.made, "  ".join(filters[module])] for module, one in known]
    heads = ["module", "made", "publishes"]
    say(
        table("Devices with an identity", heads, cells)
        or "No device has an identity: ./seve device add MODULE makes one."
    )


def _need(known: Mapping[str, Identity], modules: Sequence[str]) -> None:
    if strangers := [module for module in modules if module not in known]:
        raise DeviceError(
            "\n".join(f"{module!r} has no identity; `./seve device list` shows those that have" for module in strangers)
        )


def _change(broker: Broker, before: Mapping[str, Identity], after: Mapping[str, Identity]) -> bool:
    """Store the identities and have the broker load them; if it refuses them, restore the earlier ones."""
    path = broker.folder / identities.FILE
    broker.write(path, identities.text(after))
    try:
        return broker.apply()
    except DeviceError:
        broker.write(path, identities.text(before))
        raise


def _names(file: str | None) -> list[str]:
    """Return the names in a file, one per line; `-` is standard input."""
    if file is None:
        return []
    lines = sys.stdin if file == "-" else Path(file).read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip()]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = folder / "devices.lock"
    lock.touch(0o600)
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _hand_out(
    arguments: argparse.Namespace,
    broker: Broker,
    passwords: Mapping[str, str],
    topics: Sequence[str],
    say: Say,
    *,
    up: bool,
) -> None:
    """Show the passwords, or write them to a file. They are stored nowhere else."""
    address = broker.address
    if arguments.json:
        say(
            json.dumps(
                [
                    {**_facts(broker, *one, topics), "host": address.host, "port": address.port}
                    for one in passwords.items()
                ]
            )
        )
    elif arguments.out:
        broker.write(Path(arguments.out), _rows(passwords))
        say(f"{len(passwords):,} identities are in {arguments.out}, with their passwords; nothing else has these.")
    elif len(passwords) > 1:
        say(_rows(passwords).rstrip("\n"))
    else:
        [(module, password)] = passwords.items()
        say(_page(broker, module, password, topics))
        if not up:
            say("\n  Sève is not up: the identity holds from its next start.")
        if not broker.own:
            say("\n  Devices without an identity are let in too: MQTT_DEVICES=own in .env refuses them.")


def _rows(passwords: Mapping[str, str]) -> str:
    lines = io.StringIO()
    csv.writer(lines, lineterminator="\n").writerows([COLUMNS, *passwords.items()])
    return lines.getvalue()


def _facts(broker: Broker, module: str, password: str, topics: Sequence[str]) -> dict[str, object]:
    return {"module": module, "password": password, **broker.rules.rights(module, topics)._asdict()}


def _page(broker: Broker, module: str, password: str, topics: Sequence[str]) -> str:
    rights, address = broker.rules.rights(module, topics), broker.address
    rows = {
        "host": address.host + (f"   ({address.note})" if address.note else ""),
        "port": str(address.port),
        **({"trust": f"{address.ca}   (TLS: the device needs this file)"} if address.ca else {}),
        "user": module,
        "password": password,
        "publish": "  ".join(rights.publish),
        "read": "  ".join(rights.read),
    }
    topic = shlex.quote(_example(rights.publish, module))
    trust = f" --cafile {shlex.quote(address.ca)}" if address.ca else ""
    line = f"mosquitto_pub -h {address.host} -p {address.port}{trust} -u {module} -P {password} -q 1 -t {topic}"
    return "\n".join(
        [
            f"{module} has an identity. Its password is shown this once:\n",
            *(f"  {name:<9} {value}" for name, value in rows.items()),
            f"\n  {line} -m {shlex.quote(json.dumps({'value': 450.5}))}",
        ]
    )


def _example(filters: Sequence[str], module: str) -> str:
    """Return a topic under one of the filters, preferably of the native layout."""
    *levels, last = min(filters, key=lambda one: not one.startswith(f"{module}/")).split("/")
    return "/".join([*("any" if level == "+" else level for level in levels), "co2" if last in "#+" else last])
