"""Everything is killed at random under load, and the account closes all the same.

The seed decides what is killed and when; a failure shows it, and FAULTS_SEED runs it again. How the kills meet the
messages is the machine's to decide, so that every run is another one.
"""

import os
import random
import time

from support.conditions import wait_until
from support.faults import kill_one
from support.fleet import simulated
from support.ledger import assert_every_message_is_accounted_for

SECONDS = 15
PARTS = ["ingest", "writer", "writer-2", "broadcaster", "nats", "postgres"]


def test_random_kills_cost_nothing(make_stack, tmp_path, record_property):
    """Two writers; a killed part is restarted at once or a moment later, as by a supervisor."""
    seed = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(2**31))
    record_property("seed", seed)
    dice = random.Random(seed)
    stack = make_stack(writers=2)
    told = []
    with simulated(stack, tmp_path, "--modules=20", "--rate=400", f"--seconds={SECONDS}", PATIENCE="60s") as run:
        run.wait_until_at_work()
        end = time.monotonic() + SECONDS - 2
        while time.monotonic() < end and run.process.poll() is None:
            told.append(kill_one(stack, dice, PARTS))
        wait_until(lambda: run.process.poll() is not None, "the end of the run", 120)
        assert run.process.returncode == 0, f"FAULTS_SEED={seed}: {told}\n{run.text}"
    stack.wait_ready()
    assert_every_message_is_accounted_for(stack)
