"""A device and a screen, as plain as a newcomer would write them: paho and websockets, blocking, with deadlines."""

import contextlib
import json
import threading
from urllib.parse import urlsplit

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from support.conditions import wait_until


@contextlib.contextmanager
def device(mqtt_url: str, client_id: str = "", login: tuple[str, str] | None = None):
    """Yield `publish(topic, payload, qos=1, retain=False)` of a connected paho client; it returns once acknowledged."""
    address = urlsplit(mqtt_url)
    client = Client(CallbackAPIVersion.VERSION2, client_id)
    if login:
        client.username_pw_set(*login)
    taken_in = threading.Event()
    client.on_connect = lambda *_: taken_in.set()
    client.connect(address.hostname, address.port)
    client.loop_start()
    assert taken_in.wait(10)

    def publish(topic: str, payload: str | bytes | float, qos: int = 1, retain: bool = False) -> None:
        client.publish(topic, payload, qos, retain).wait_for_publish(20)

    try:
        yield publish
    finally:
        client.disconnect()
        client.loop_stop()


class Watched:
    """What a client has received so far: all `frames`, and the data of its messages in `envelopes` and `snapshot`."""

    def __init__(self) -> None:
        self.frames: list[dict] = []

    @property
    def envelopes(self) -> list[dict]:
        return [frame["data"] for frame in self._messages() if not frame.get("snapshot")]

    @property
    def snapshot(self) -> list[dict]:
        return [frame["data"] for frame in self._messages() if frame.get("snapshot")]

    def _messages(self) -> list[dict]:
        return [frame for frame in self.frames if frame["event"] == "mqtt-message"]

    def has(self, event: str) -> bool:
        return any(frame["event"] == event for frame in self.frames)


@contextlib.contextmanager
def screen(ws_url: str, *modules: str, headers: dict[str, str] | None = None, **options):
    """A WebSocket that subscribed to modules and is live; `options` are the optional fields of the subscription.

    Without modules it sends no request: the URL has the subscription.
    """
    watched = Watched()
    with connect(ws_url, open_timeout=10, max_size=None, additional_headers=headers) as connection:

        def take() -> None:
            with contextlib.suppress(ConnectionClosed):
                for text in connection:
                    watched.frames.append(json.loads(text))

        reader = threading.Thread(target=take)
        reader.start()
        try:
            if modules:
                connection.send(json.dumps({"action": "subscribe", "modules": list(modules), **options}))
            wait_until(lambda: watched.has("live"), f"{modules} live")
            yield watched
        finally:
            connection.close()
            reader.join(10)
