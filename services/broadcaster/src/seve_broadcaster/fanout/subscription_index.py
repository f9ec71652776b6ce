"""Finds the clients that receive a message. Clients with equal subscriptions in the same form are one audience."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from seve_broadcaster.fanout.subscriber import Subscriber
from seve_broadcaster.protocol import frames
from seve_broadcaster.protocol.requests import EVERYTHING
from seve_broadcaster.stream.message import Message

Sensors = frozenset[str] | None
Key = tuple[bool, frozenset[tuple[str, Sensors]]]


@dataclass(slots=True, eq=False)
class Audience:
    """Clients that receive the same envelopes, as single frames or as batches.

    `sensors` has, for each module name or `*`, the sensors whose measurements it receives; None is all.
    A `whole` audience receives every envelope.
    """

    batch: bool
    sensors: dict[str, Sensors]
    clients: set[Subscriber] = field(default_factory=set)
    whole: bool = field(init=False)

    def __post_init__(self) -> None:
        self.whole = self.sensors == {EVERYTHING: None}

    def places(self, message: Message) -> range | list[int]:
        """Return the places of the envelopes in a message that this audience receives."""
        if self.whole:
            return range(len(message.parts))
        star: Sensors | Literal[False] = self.sensors.get(EVERYTHING, False)
        measurements = message.kind == "measurement"
        places = []
        for place, head in enumerate(message.heads):
            sensors = self.sensors.get(head.module_id, star)
            if sensors is None or (sensors is not False and (not measurements or head.sensor_type in sensors)):
                places.append(place)
        return places

    def frames(self, message: Message, places: range | list[int]) -> bytes:
        """Encode the envelopes at `places`."""
        if not self.batch:
            return frames.messages(message.position, places, message.parts)
        return frames.batch(message.position, places, message.parts)

    def count(self, places: range | list[int]) -> int:
        """Return the number of frames for the envelopes at `places`."""
        return 1 if self.batch else len(places)


class SubscriptionIndex:
    """Audiences by their subscriptions and by module. `subscriptions` is the number of subscriptions of all clients."""

    def __init__(self) -> None:
        self.subscriptions = 0
        self._audiences: dict[Key, Audience] = {}
        self._of_client: dict[Subscriber, Key] = {}
        self._by_module: dict[str, dict[Audience, Sensors]] = {}
        self._of_everything: dict[Audience, None] = {}

    def update(self, client: Subscriber) -> None:
        """Move a client to the audience of its current subscriptions; to none if it has none."""
        self._leave(client)
        wanted = {name: one.sensors for name, one in client.subscriptions.items()}
        if not wanted:
            return
        key = (client.batch, frozenset(wanted.items()))
        audience = self._audiences.get(key)
        if audience is None:
            audience = self._audiences[key] = Audience(client.batch, wanted)
            if EVERYTHING in wanted:
                self._of_everything[audience] = None
            else:
                for name, sensors in wanted.items():
                    self._by_module.setdefault(name, {})[audience] = sensors
        audience.clients.add(client)
        self._of_client[client] = key
        self.subscriptions += len(wanted)

    def audience(self, client: Subscriber) -> Audience | None:
        """Return the audience of a client that has subscriptions."""
        key = self._of_client.get(client)
        return None if key is None else self._audiences[key]

    def match(self, message: Message) -> Iterator[tuple[Audience, range | list[int]]]:
        """Yield each audience that receives envelopes of a message, with their places."""
        if self._by_module:
            yield from self._named(message).items()
        for audience in self._of_everything:
            if places := audience.places(message):
                yield audience, places

    def of_module(self, module: str) -> Iterator[Subscriber]:
        """Yield the clients that receive a module."""
        for audience in (*self._by_module.get(module, ()), *self._of_everything):
            yield from audience.clients

    def _named(self, message: Message) -> dict[Audience, list[int]]:
        places: dict[Audience, list[int]] = {}
        measurements = message.kind == "measurement"
        for place, head in enumerate(message.heads):
            for audience, sensors in self._by_module.get(head.module_id, {}).items():
                if sensors is None or not measurements or head.sensor_type in sensors:
                    places.setdefault(audience, []).append(place)
        return places

    def _leave(self, client: Subscriber) -> None:
        key = self._of_client.pop(client, None)
        if key is None:
            return
        audience = self._audiences[key]
        audience.clients.discard(client)
        self.subscriptions -= len(audience.sensors)
        if audience.clients:
            return
        del self._audiences[key]
        self._of_everything.pop(audience, None)
        for name in audience.sensors:
            audiences = self._by_module.get(name)
            if audiences is not None and audience in audiences:
                del audiences[audience]
                if not audiences:
                    del self._by_module[name]
