"""One story from one seed: devices publish, parts die, links break, and in the end everything is well again. `judge`
says whether all is where it belongs.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from seve_schema.position import Position

from simulation.clock import VirtualLoop
from simulation.devices import Devices
from simulation.judge import Broken, Judge
from simulation.troubles import Troubles
from simulation.world import World

STORMS: Final = (3.0, 4.0, 8.0)
"""Seconds in which things go wrong: in a short storm faults meet, a long one outlasts two ack waits. If all last 8, a
story finds no more of the mutants and takes a fifth more CPU.
"""

PATIENCE: Final = 90.0
"""Seconds after the storm within which all has to be well."""


def play(seed: int, log: Callable[[str], None] | None = None) -> World:
    """Play the story of a seed. Raises Broken, with the seed in its text."""
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    world = World(seed, loop, log)
    try:
        loop.run_until_complete(_story(world))
    except Broken as error:
        raise Broken(f"seed {seed}: {error}") from error
    except Exception as error:
        raise Broken(f"seed {seed}: {error!r}") from error
    finally:
        _end(world)
        asyncio.set_event_loop(None)
        loop.close()
    return world


async def _story(world: World) -> None:
    rng, loop = world.rng, world.loop
    storm = rng.choice(STORMS)
    devices, troubles = Devices(world), Troubles(world)
    for process in world.processes:
        process.start()
    for _ in range(rng.randint(5, 40)):
        loop.call_at(rng.random() * storm, devices.publish)
    for _ in range(rng.randint(0, 8)):
        loop.call_at(rng.random() * storm, troubles.one)
    for _ in range(4):
        loop.call_at(rng.random() * storm, troubles.save)
    await asyncio.sleep(storm)
    world.log("the storm is over")
    troubles.heal()
    end = loop.time() + PATIENCE
    while reasons := unsettled(world):
        if loop.time() > end:
            raise Broken(f"not well {PATIENCE:g} s after the storm: {reasons}")
        await asyncio.sleep(0.5)
    Judge(world).judge()


def unsettled(world: World) -> list[str]:
    """What is not done yet."""
    journal, consumer, hub = world.journal, world.consumer, world.broadcaster.hub
    end = journal and Position(journal.created, journal.last)
    reasons = {
        "the broker holds messages": not world.broker.empty,
        "messages wait in the journal": bool(consumer.pending or consumer.unread),
        "the broadcaster is behind": hub is None or hub.head != end,
        "a screen is behind": not all(screen.at_head for screen in world.screens),
    }
    return [reason for reason, holds in reasons.items() if holds]


def _end(world: World) -> None:
    for process in world.processes:
        process.end()
    for screen in world.screens:
        screen.end()
    for task in asyncio.all_tasks(world.loop):
        task.cancel()
    world.loop.run_ready()
