"""Devices: they publish samples, reports, lines of logs, and what cannot be read. They hear of nothing."""

from typing import Final

import msgspec
from seve_schema.times import format_time

from simulation.broker import Message
from simulation.clock import EPOCH
from simulation.world import World

MODULES: Final = ("a", "b", "c")


class Devices:
    """All devices of a story. `poison` of the world names the samples that the tables refuse."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = world.rng

    def publish(self) -> None:
        """A device publishes a message."""
        rng, messages = self._rng, self._world.messages
        number = messages[-1].numbers[-1] + 1 if messages else 1
        module, chance = rng.choice(MODULES), rng.random()
        if chance < 0.1:
            message = Message(b"%b/logs" % module.encode(), b"%d" % number, (number,), "log")
        elif chance < 0.25:
            payload = b'{"rssi":%d}' % number
            message = Message(b"%b/system" % module.encode(), payload, (number,), "system.status")
        elif chance < 0.3:
            payload = b"not json %d" % number
            message = Message(b"%b/system" % module.encode(), payload, (number,), "", malformed=True)
        else:
            message = self._samples(module, number)
        if self._world.broker.publish(message):
            messages.append(message)
            self._world.log(f"published {message.numbers} {message.topic.decode()}")

    def _samples(self, module: str, number: int) -> Message:
        rng = self._rng
        topic = b"%b/co2" % module.encode()
        poison = rng.random() < 0.1
        count = rng.choice((1, 1, 1, 3))
        numbers = tuple(range(number, number + count))
        if poison:
            self._world.poison.add(float(numbers[-1]))
        if count == 1 and rng.random() < 0.5:
            return Message(topic, b"%d" % number, numbers, "measurement", poison=poison)
        samples = [{"value": each, "time": format_time(EPOCH + each * 1000)} for each in numbers]
        payload = msgspec.json.encode(samples if count > 1 else samples[0])
        return Message(topic, payload, numbers, "measurement", timed=True, poison=poison)
