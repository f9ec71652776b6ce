"""One device publishes a hundred times its share: a neighbour's message waits for what was sent before it, only."""

import itertools
import json
from contextlib import ExitStack

from support import clients
from support.attacker import attacking
from support.conditions import wait_until

NEIGHBOURS = 5
ROUNDS = 100
SHARE = 100
"""Messages of the flood for each one of a neighbour."""


def flood(attacker, module, numbers):
    """One share, without waiting for any acknowledgement."""
    for number in itertools.islice(numbers, SHARE):
        attacker.send(f"{module}-flood/co2", b"%d" % number)


def sent_by_turns(stack, module):
    """How much of the flood was sent when the broker had acknowledged each neighbour's message; all of the flood."""
    numbers, told = itertools.count(), {}
    with ExitStack() as several:
        attacker = several.enter_context(attacking(stack.mqtt_url, "flood"))
        neighbours = [several.enter_context(clients.device(stack.mqtt_url)) for _ in range(NEIGHBOURS)]
        for turn in range(ROUNDS):
            flood(attacker, module, numbers)
            for place, publish in enumerate(neighbours):
                publish(f"{module}-{place}/co2", turn)
                told[f"{module}-{place}", turn] = (turn + 1) * SHARE
        wait_until(lambda: attacker.acknowledged == ROUNDS * SHARE, "the flood acknowledged", 120)
    return told


def test_a_flood_goes_first_only_as_far_as_it_was_sent_first(stack, module):
    """In the journal, which everything behind ingest reads in its order; and every row of either is stored."""
    told = sent_by_turns(stack, module)
    count = "SELECT count(*) FROM measurements WHERE module_id LIKE %s"
    whole = ROUNDS * (SHARE + NEIGHBOURS)
    wait_until(lambda: stack.query(count, f"{module}-%") == [(whole,)], "every row", 120)

    before, late = 0, {}
    for envelope in itertools.chain.from_iterable(map(json.loads, stack.stream_messages("TELEMETRY"))):
        name = envelope["moduleId"]
        if name == f"{module}-flood":
            before += 1
        elif (name, envelope["value"]) in told and before > told[name, envelope["value"]]:
            late[name, envelope["value"]] = before
    assert before == ROUNDS * SHARE
    assert late == {}
