"""Clears the messages that a broker retains for modules, by publishing an empty retained message over each.

Touches only topics with a retained message, and only those that the routes give to these modules.
"""

import os
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from paho.mqtt import MQTTException
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from seve_schema.simulated import NAME

from seve_embedded.shared.pubsub import broker, publish_all

SIMULATED: Final = "--simulated"
"""Used instead of filters: selects the topics on which simulated modules retain messages."""

PATIENCE: Final = 30.0
"""Seconds for the broker's answers."""

_RETAINED_BY_THE_SIMULATION: Final = ("+/status", "+/system/config", "+/hardware/config", "+/sensors/config")

Login = tuple[str, str] | None


def clear(environ: Mapping[str, str], filters: Sequence[str], reader: Login, publisher: Login) -> int:
    """Clear the messages that MQTT_BROKER retains under some filters, or of simulated modules; return their number.

    `reader` may subscribe, `publisher` may publish. Raises OSError or MQTTException, SettingsError for files of TLS.
    """
    if list(filters) == [SIMULATED]:
        simulated = re.compile(NAME)
        found = retained(environ, _RETAINED_BY_THE_SIMULATION, reader)
        topics = [topic for topic in found if simulated.match(topic.partition("/")[0])]
    else:
        topics = retained(environ, filters, reader)
    if topics:
        publish_all(environ, [(topic, b"", 1, True) for topic in topics], publisher)
    return len(topics)


def retained(environ: Mapping[str, str], filters: Sequence[str], login: Login) -> list[str]:
    """Return the topics under some filters on which MQTT_BROKER retains a message. Raises as `clear`.

    A broker sends retained messages before it answers the next packet: the answer to a second subscription shows that
    all have come.
    """
    topics: set[str] = set()
    answers: list[Any] = []
    client = Client(CallbackAPIVersion.VERSION2, client_id=f"seve-retained-{os.getpid()}")

    def connected(*arguments: Any) -> None:
        answers.append(arguments[3])

    def subscribed(*arguments: Any) -> None:
        answers.append(next((code for code in arguments[3] if code.is_failure), arguments[3][0]))

    def arrived(_client: Client, _data: Any, message: MQTTMessage) -> None:
        if message.retain:
            topics.add(message.topic)

    client.on_connect, client.on_subscribe, client.on_message = connected, subscribed, arrived
    host, port, tls = broker(environ)
    if tls:
        client.tls_set_context(tls)
    if login:
        client.username_pw_set(*login)
    client.connect(host, port)
    try:
        _wait(client, answers, 1)
        for wanted in (2, 3):
            client.subscribe([(each, 0) for each in filters])
            _wait(client, answers, wanted)
    finally:
        client.disconnect()
    return sorted(topics)


def _wait(client: Client, answers: Sequence[Any], count: int) -> None:
    """Wait for that many answers. Raises MQTTException, also if one is a refusal."""
    deadline = time.monotonic() + PATIENCE
    while len(answers) < count:
        if client.loop(timeout=1) != MQTTErrorCode.MQTT_ERR_SUCCESS or time.monotonic() > deadline:
            raise MQTTException("the broker does not answer (MQTT_BROKER)")
    if answers[-1].is_failure:
        raise MQTTException(f"the broker refuses to tell what it retains (MQTT_BROKER): {answers[-1]}")
