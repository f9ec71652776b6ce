"""Publishes a message and shows frames, from the command line: for first steps."""

import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from ssl import SSLContext
from typing import cast
from urllib.parse import quote, urlsplit

from paho.mqtt import publish as paho
from seve_runtime.terminal import visible
from seve_runtime.tls import environment_context
from websockets.sync.client import connect


def publish(environ: Mapping[str, str], topic: str, payload: str, login: tuple[str, str] | None) -> None:
    """Publish one message at QoS 1 to MQTT_BROKER and wait for its acknowledgement; `login` is user and password.

    Raises OSError or MQTTException, and SettingsError for files of TLS.
    """
    publish_all(environ, [(topic, payload.encode("utf-8", "surrogateescape"), 1, False)], login)


def publish_all(
    environ: Mapping[str, str], messages: Sequence[tuple[str, bytes, int, bool]], login: tuple[str, str] | None
) -> None:
    """Publish messages as `publish` does one: each is topic, payload, QoS, and whether the broker retains it."""
    logging.getLogger("paho").setLevel(logging.CRITICAL)  # it logs its own disconnect as an error; faults are raised
    host, port, context = broker(environ)
    auth: paho.AuthParameter | None = {"username": login[0], "password": login[1]} if login else None
    # paho takes a context too, which its annotation does not say
    tls = cast("paho.TLSParameter | None", context)
    paho.multiple([*messages], hostname=host, port=port, client_id=f"seve-publish-{os.getpid()}", auth=auth, tls=tls)


def broker(environ: Mapping[str, str]) -> tuple[str, int, SSLContext | None]:
    """Return host, port and TLS context of MQTT_BROKER. Raises SettingsError for files of TLS."""
    place = urlsplit(environ["MQTT_BROKER"])
    tls = environment_context("MQTT", environ) if place.scheme == "mqtts" else None
    return place.hostname or "localhost", place.port or (1883 if tls is None else 8883), tls


def watch(modules: Sequence[str], environ: Mapping[str, str], show: Callable[[str], None]) -> None:
    """Show every frame of some modules, or of all, at WS_URL until the server or the person ends it.

    Sends `WS_TOKEN`, if set, as the bearer token. Raises OSError or WebSocketException, and SettingsError for files of
    TLS.
    """
    url = environ["WS_URL"]
    tls = environment_context("WS", environ) if url.startswith("wss:") else None
    token = environ.get("WS_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else None
    query = "&".join(f"module={quote(module, safe='*')}" for module in modules or ["*"])
    with connect(f"{url}?{query}", additional_headers=headers, ssl=tls) as connection:
        for frame in connection:
            show(line(frame))


def line(frame: str | bytes) -> str:
    """Return one frame as one line: messages as topic, value and time, other frames unchanged, all without control
    characters for the terminal.
    """
    said = json.loads(frame)
    if said.get("event") not in ("mqtt-message", "mqtt-batch"):
        return visible(json.dumps(said, ensure_ascii=False))
    several = said["data"] if isinstance(said["data"], list) else [said["data"]]
    return "\n".join(_message(data) for data in several)


def _message(data: dict[str, object]) -> str:
    value = data["value"] if data["kind"] == "measurement" else data["metadata"]
    return visible(f"{data['time']}  {data['topic']}  {json.dumps(value, ensure_ascii=False)}")
